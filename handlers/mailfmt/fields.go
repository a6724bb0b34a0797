package mailfmt

import (
	"cmp"
	"encoding/hex"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// describe fills in what the header says.
func (p *parser) describe() {
	m, h := p.mail, p.head
	h.decode(p.label)
	from, sender := people(h["from"]), people(h["sender"])
	to, cc, bcc := people(h["to"]), people(h["cc"]), people(h["bcc"])
	m.From, m.To, m.CC, m.BCC, m.ReplyTo = written(from), written(to), written(cc), written(bcc), written(people(h["reply-to"]))
	authors := distinct(from, sender)
	if len(authors) > 0 {
		m.FromAddress = authors[0].addr
	}
	m.Authors = written(authors)
	m.Recipients = len(distinct(to, cc, bcc))
	m.Addresses = bareOnce(from, to, cc, bcc)

	m.Subject = decodeWords(h.get("subject"))
	m.MessageID, m.InReplyTo = identifier(h.get("message-id")), identifier(h.get("in-reply-to"))
	m.References = identifiers.FindAllString(oneLine(literal(h.get("references"))), -1)
	m.Conversation = decodeWords(h.get("thread-topic"))
	if m.Conversation == "" {
		_, m.Conversation = prefixes(m.Subject)
	}
	if index, _ := decodeBase64([]byte(h.get("thread-index"))); len(index) > 0 {
		m.ConversationIndex = hex.EncodeToString(index)
	}
	m.Class, m.Action = p.class(), action(m)
	m.Importance, m.Priority, m.Sensitivity = importance(h), titled(h.get("priority")), titled(h.get("sensitivity"))
	m.Categories = categories(h["keywords"])
	m.ReadReceipt, m.DeliveryReceipt = h.get("disposition-notification-to") != "", h.get("return-receipt-to") != ""
	if m.Sent = sent(h.get("date")); m.Sent.IsZero() && h.get("date") != "" {
		m.defect(BrokenDate)
	}
	p.markEmbedded()
}

// decode reads the bytes of fields that are no ASCII and declare no charset in that of the message's text: programs that
// write such a header have one charset for all. UTF-8 is left as it is.
func (h header) decode(label string) {
	if label == "" {
		return
	}
	for _, values := range h {
		for i, v := range values {
			if !utf8.ValidString(v) || strings.Contains(v, "\x1b$") { // ISO-2022 has no byte above 0x7F
				values[i], _ = decodeText([]byte(v), label, false)
			}
		}
	}
}

func people(values []string) []address {
	var all []address
	for _, v := range values {
		all = append(all, addresses(v)...)
	}
	return all
}

func written(people []address) []string {
	var all []string
	for _, a := range people {
		all = append(all, a.String())
	}
	return all
}

// bareOnce are the persons' addresses as they are written, each once.
func bareOnce(lists ...[]address) []string {
	var all []string
	seen := map[string]bool{"": true}
	for _, a := range slices.Concat(lists...) {
		if !seen[a.addr] {
			seen[a.addr] = true
			all = append(all, a.addr)
		}
	}
	return all
}

// distinct gives each person once, by the address in whatever case.
func distinct(lists ...[]address) []address {
	var all []address
	seen := map[string]bool{}
	for _, a := range slices.Concat(lists...) {
		if key := a.key(); !seen[key] {
			seen[key] = true
			all = append(all, a)
		}
	}
	return all
}

var identifiers = regexp.MustCompile(`<[^<>]+>`)

// identifier is a message id with its angle brackets, as it is written; without any, the value itself.
func identifier(value string) string {
	value = oneLine(literal(value))
	if id := identifiers.FindString(value); id != "" {
		return id
	}
	return value
}

// subjectPrefix is one prefix of a reply or a forward, in the languages of Outlook's versions, with or without a count.
var subjectPrefix = regexp.MustCompile(`(?i)^(?:(re|aw|sv|vs|antw|antwort|rif|r|odp|ynt|res|réf|ref|回复|答复|回覆|答覆|返信)|` +
	`(fw|fwd|wg|tr|vl|vb|doorst|i|inoltro|enc|rv|pd|ilt|i̇lt|转发|轉寄|転送))\s*(?:\[\d+\]|\(\d+\)|\^\d+)?\s*[:：]\s*`)

// prefixes cuts the prefixes off a subject. kind is the first one's: "Reply", "Forward", or empty.
func prefixes(subject string) (kind, topic string) {
	for range maxPrefixes {
		subject = strings.TrimSpace(subject)
		m := subjectPrefix.FindStringSubmatchIndex(shorten(subject, 64))
		if m == nil {
			return kind, subject
		}
		if kind == "" {
			kind = "Forward"
			if m[2] >= 0 {
				kind = "Reply"
			}
		}
		subject = subject[m[1]:]
	}
	return kind, subject
}

// maxPrefixes bounds the work on a subject that is nothing but prefixes.
const maxPrefixes = 100

// action tells how the message came about. MIME does not say it; it follows from the subject's first prefix, or without
// one from In-Reply-To. A reply to more than one recipient is a reply to all.
func action(m *Mail) string {
	kind, _ := prefixes(m.Subject)
	switch {
	case kind == "Forward":
		return kind
	case kind == "" && m.InReplyTo == "":
		return "Send"
	case m.Recipients > 1:
		return "Reply-All"
	}
	return "Reply"
}

// class is Outlook's message class, as far as the header and the types of the parts tell it.
func (p *parser) class() string {
	declared := strings.ToLower(oneLine(literal(p.head.get("content-class"))))
	switch {
	case strings.HasPrefix(declared, "ipm."):
		return oneLine(literal(p.head.get("content-class")))
	case p.mail.Meeting != nil && p.mail.Meeting.Method != "" || declared == "urn:content-classes:calendarmessage":
		return meetingClass(cmp.Or(p.mail.Meeting, &Meeting{}))
	case p.kind == "multipart/report" || declared == "urn:content-classes:dsn" || declared == "urn:content-classes:mdn":
		return p.reportClass()
	case p.kind == "multipart/signed" && strings.Contains(p.params["protocol"], "pkcs7"):
		return "IPM.Note.SMIME.MultipartSigned"
	case strings.HasSuffix(p.kind, "pkcs7-mime"):
		return "IPM.Note.SMIME"
	}
	return "IPM.Note"
}

func meetingClass(m *Meeting) string {
	switch m.Method {
	case "REQUEST", "ADD", "":
		return "IPM.Schedule.Meeting.Request"
	case "CANCEL":
		return "IPM.Schedule.Meeting.Canceled"
	case "REPLY", "COUNTER":
		switch m.Response {
		case "ACCEPTED":
			return "IPM.Schedule.Meeting.Resp.Pos"
		case "DECLINED":
			return "IPM.Schedule.Meeting.Resp.Neg"
		}
		return "IPM.Schedule.Meeting.Resp.Tent"
	}
	return "IPM.Note" // PUBLISH and others are a calendar sent along
}

func (p *parser) reportClass() string {
	switch kind := strings.ToLower(p.params["report-type"]); {
	case kind == "disposition-notification":
		return "REPORT.IPM.Note.IPNRN"
	case kind == "delivery-status" || p.status != "":
		switch p.status {
		case "delivered", "expanded", "relayed":
			return "REPORT.IPM.Note.DR"
		case "delayed":
			return "REPORT.IPM.Note.Delayed"
		}
		return "REPORT.IPM.Note.NDR"
	}
	return "IPM.Note"
}

// importance is Low, Normal or High, from the fields that say it, the plainest first.
func importance(h header) string {
	if v := titled(h.get("importance")); v != "" {
		return v
	}
	if v := h.get("x-priority"); v != "" { // "1 (Highest)"
		switch v[0] {
		case '1', '2':
			return "High"
		case '3':
			return "Normal"
		case '4', '5':
			return "Low"
		}
	}
	return titled(h.get("x-msmail-priority"))
}

// titled writes a keyword with capitals: "non-urgent" as "Non-Urgent".
func titled(value string) string {
	words := strings.Split(strings.ToLower(shorten(decodeWords(value), maxName)), "-")
	for i, w := range words {
		if w != "" && w[0] >= 'a' && w[0] <= 'z' {
			words[i] = string(w[0]-'a'+'A') + w[1:]
		}
	}
	return strings.Join(words, "-")
}

func categories(values []string) []string {
	var all []string
	seen := map[string]bool{"": true}
	for _, v := range values {
		for c := range strings.SplitSeq(decodeWords(v), ",") {
			if c = strings.TrimSpace(c); !seen[c] {
				seen[c] = true
				all = append(all, c)
			}
		}
	}
	return all
}
