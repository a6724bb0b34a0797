package mailfmt

import (
	"bytes"
	"cmp"
	"net/url"
	"strconv"
	"strings"
)

// text gathers a text as it is written, up to a bound, and decodes it at its end.
type text struct {
	p                       *parser
	parent                  *node
	kind, encoding, charset string
	flowed, delSp           bool
	inFile                  bool // a file in uuencode is being read

	raw []byte
	any bool // a line was begun
	cut bool
}

// rawFactor is how much larger a text is encoded than decoded, at most, where it is not wasteful: base64 takes 4/3 and
// line ends, quoted-printable up to 3 for what is not ASCII.
func rawFactor(encoding string) int {
	switch encoding {
	case "quoted-printable":
		return 3
	case "base64":
		return 2
	}
	return 1
}

func (t *text) line(l piece) {
	if t.within(&l) {
		return
	}
	if l.begins && t.any {
		t.add([]byte{'\n'})
	}
	t.any = true
	t.add(l.text)
}

func (t *text) add(b []byte) {
	if room := rawFactor(t.encoding)*min(maxPartText, t.p.room) - len(t.raw); len(b) > room {
		b = b[:max(room, 0)]
		t.cut = true
	}
	t.raw = append(t.raw, b...)
}

func (t *text) end() {
	raw, defect := decodeTransfer(t.raw, t.encoding)
	if cap(t.raw) <= maxDesk {
		t.p.raw = t.raw
	}
	t.raw = nil
	if limit := min(maxPartText, t.p.room); len(raw) > limit {
		raw, t.cut = raw[:limit], true
	}
	t.p.room -= len(raw)
	if t.cut {
		t.p.cut = true
		t.p.mail.defect(TextTooLarge)
	} else if defect != "" {
		t.p.mail.defect(defect)
	}
	kind := t.kind
	if kind != htmlText && looksLikeHTML(raw) {
		t.p.mail.defect(Mislabelled)
		kind = htmlText
	}
	t.p.label = cmp.Or(t.p.label, t.charset)
	source, defect := decodeText(raw, t.charset, kind == htmlText)
	if defect != "" {
		t.p.mail.defect(defect)
	}
	if kind == htmlText {
		t.p.showsImages(source)
	}
	t.p.grow(t.parent, &node{kind: kind, source: source, flowed: t.flowed, delSp: t.delSp})
}

func looksLikeHTML(b []byte) bool {
	b = bytes.TrimLeft(b[:min(len(b), 256)], " \t\r\n")
	for _, prefix := range []string{"<!doctype html", "<html>", "<html "} {
		if len(b) >= len(prefix) && strings.EqualFold(string(b[:len(prefix)]), prefix) {
			return true
		}
	}
	return false
}

// showsImages notes the content ids that HTML refers to ("cid:…", RFC 2392).
func (p *parser) showsImages(source string) {
	for {
		i := strings.Index(source, "cid:")
		if i < 0 {
			return
		}
		source = source[i+len("cid:"):]
		end := strings.IndexAny(source[:min(len(source), maxName)], "\"'<> )&\r\n")
		if end < 0 {
			continue
		}
		id := source[:end]
		if plain, err := url.PathUnescape(id); err == nil {
			id = plain
		}
		p.shown[id] = true
	}
}

// deliveryStatus reads of a report what became of the message that it reports on (RFC 3464, 2.3.3).
type deliveryStatus struct{ p *parser }

func (d *deliveryStatus) line(l piece) {
	name, value, ok := field(l.text)
	if ok && name == "action" && d.p.status == "" {
		d.p.status = strings.ToLower(strings.TrimSpace(string(value[:min(len(value), 32)])))
	}
}

func (d *deliveryStatus) end() {}

// extensions are those of unnamed attachments. The system's own table is not asked: it differs from machine to machine.
var extensions = map[string]string{
	"application/pdf": ".pdf", "application/zip": ".zip", "application/json": ".json", "application/xml": ".xml", "application/rtf": ".rtf", "application/postscript": ".ps",
	"application/msword": ".doc", "application/vnd.ms-excel": ".xls", "application/vnd.ms-powerpoint": ".ppt", "application/vnd.ms-outlook": ".msg",
	"application/vnd.openxmlformats-officedocument.wordprocessingml.document":   ".docx",
	"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet":         ".xlsx",
	"application/vnd.openxmlformats-officedocument.presentationml.presentation": ".pptx",
	"application/ms-tnef": ".dat", "application/pkcs7-mime": ".p7m", "application/x-pkcs7-mime": ".p7m",
	"application/pkcs7-signature": ".p7s", "application/x-pkcs7-signature": ".p7s", "application/pgp-signature": ".asc",
	"application/pgp-encrypted": ".asc", "application/ics": ".ics", "application/x-microsoft-rpmsg-message": ".rpmsg",
	"audio/basic": ".au", "audio/mpeg": ".mp3", "audio/wav": ".wav", "audio/x-wav": ".wav", "audio/mp4": ".m4a", "audio/ogg": ".ogg",
	"image/bmp": ".bmp", "image/gif": ".gif", "image/jpeg": ".jpg", "image/jpg": ".jpg", "image/png": ".png", "image/svg+xml": ".svg",
	"image/tiff": ".tif", "image/webp": ".webp", "image/heic": ".heic", "video/mp4": ".mp4", "video/quicktime": ".mov",
	"message/rfc822": ".eml", "message/global": ".eml", "message/delivery-status": ".txt", "message/disposition-notification": ".txt",
	"text/calendar": ".ics", "text/csv": ".csv", "text/html": ".html", "text/plain": ".txt", "text/rfc822-headers": ".txt",
	"text/vcard": ".vcf", "text/x-vcard": ".vcf", "text/xml": ".xml", "text/rtf": ".rtf", "message/feedback-report": ".txt",
}

// unnamed is the name of the number-th attachment when it has none, "attachment-2.pdf".
func unnamed(number int, kind string) string {
	extension, ok := extensions[kind]
	if !ok {
		extension = ".bin"
	}
	return "attachment-" + strconv.Itoa(number) + extension
}
