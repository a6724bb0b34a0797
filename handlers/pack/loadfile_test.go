package pack

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"chainmail/handlers/capture"
)

// parseDAT reads a load file by the rules of FORMAT.md alone, and refuses whatever departs from them.
func parseDAT(data string) ([][]string, error) {
	data, ok := strings.CutPrefix(data, "\xEF\xBB\xBF")
	if !ok {
		return nil, fmt.Errorf("no byte order mark")
	}
	if data, ok = strings.CutSuffix(data, "\r\n"); !ok {
		return nil, fmt.Errorf("the last line has no end")
	}
	if !utf8.ValidString(data) {
		return nil, fmt.Errorf("not UTF-8")
	}
	var records [][]string
	for n, line := range strings.Split(data, "\r\n") {
		var record []string
		for i, field := range strings.Split(line, "\x14") {
			if len(field) < 4 || !strings.HasPrefix(field, "þ") || !strings.HasSuffix(field, "þ") {
				return nil, fmt.Errorf("line %d, field %d is not quoted", n, i)
			}
			value := field[len("þ") : len(field)-len("þ")]
			if strings.ContainsAny(value, "þ\r\n") {
				return nil, fmt.Errorf("line %d, field %d is forged", n, i)
			}
			record = append(record, value)
		}
		if n > 0 && len(record) != len(records[0]) {
			return nil, fmt.Errorf("line %d has %d fields, the header %d", n, len(record), len(records[0]))
		}
		records = append(records, record)
	}
	return records, nil
}

// loadfile gives a package's load file: its columns, and its records by column.
func loadfile(t testing.TB, b built) (header []string, records []map[string]string) {
	t.Helper()
	lines, err := parseDAT(loadfileText(t, b))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range lines[1:] {
		record := map[string]string{}
		for i, v := range line {
			record[lines[0][i]] = v
		}
		records = append(records, record)
	}
	return lines[0], records
}

func loadfileText(t testing.TB, b built) string {
	t.Helper()
	tt, ok := t.(*testing.T)
	if !ok {
		t.Fatal("needs a test")
	}
	files := open(tt, b.data).File
	last := files[len(files)-1]
	if last.Name != LoadFileName {
		t.Fatalf("the last entry is %s", last.Name)
	}
	return content(tt, last)
}

// everything is a family that fills every column.
func everything(p packer) []Document {
	d := p.email("full")
	d.For, d.Synthesised = "20260301000000UTC-20260302000000UTC", true
	d.Fields = Fields{
		From: []string{"Anna Lind <anna@contoso.example>"}, To: []string{"Bo; the second <bo@contoso.example>", "Cid <cid@x.example>"},
		CC: []string{"d@x.example"}, BCC: []string{"e@x.example"}, FromAddress: "anna@contoso.example", Recipients: 4,
		Participants: []string{"Anna Lind <anna@contoso.example>", "Sekretariat <s@contoso.example>"}, Author: "Anna Lind",
		Subject: "Angebot þ und ®\x14\r\nþ\x14þ", Conversation: "Angebot", ConversationIndex: "01D9AB",
		MessageID: "<own@contoso.example>", InReplyTo: "<before@x.example>", MIH: "1de319c276884bd0c9e2f1621ada26cc",
		Class: "IPM.Note", Action: "Reply-All", Importance: "High", Priority: "Urgent", Sensitivity: "Private",
		Categories: []string{"Red", "Blue"}, Format: "HTML", ReadReceipt: true, DeliveryReceipt: true,
		Sent: at("2026-03-02T12:11:02+02:00"), Created: at("2026-03-02T10:00:01Z"), Modified: at("2026-03-02T11:00:00Z"),
		FileType: "message/rfc822", Attachments: []string{"a.txt"}, PasswordProtected: true,
		DocumentHash: strings.Repeat("ab", 32), Errors: []string{"one", "two"},
		Meeting: Meeting{Start: at("2026-03-05T08:00:00Z"), End: at("2026-03-05T09:00:00Z"), Location: "Room 1", Organizer: "Anna",
			Attendees: []string{"Bo", "Cid"}, Recurrence: "FREQ=DAILY", ICalUID: "040000008200E"},
		Other: []KeyValue{{"Mailer", `"x"`}, {"Nothing", ""}},
	}
	return []Document{d, p.attachment("full", 1, 0, "a.txt")}
}

func TestTheLoadFileIsTheGoldenOne(t *testing.T) {
	t.Parallel()
	p := newPacker(t)
	event := p.email("event")
	event.Item.Kind, event.Kind, event.Native = capture.Event, capture.Event, p.entry(NativeName(anna(), capture.Item{GraphID: "event", Kind: capture.Event}), "BEGIN:VCALENDAR")
	b := p.pack(everything(p), []Document{event}, p.family("one"))
	golden(t, "loadfile.dat", []byte(loadfileText(t, b)))
	items, err := EncodeItems(b.rows)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "items.jsonl", items)
}

func TestEveryColumnIsFilledFromItsSource(t *testing.T) {
	t.Parallel()
	p := newPacker(t)
	_, records := loadfile(t, p.pack(everything(p)))
	for column, want := range map[string]string{
		"Native File":                 `OriginalNatives\` + anna().ID + `\` + letter("full").Key() + ".eml",
		"Extracted Text":              `ExtractedData\` + anna().ID + `\` + letter("full").Key() + ".txt",
		"File Name":                   letter("full").Key() + ".eml",
		"File Extension":              "eml",
		"To":                          "Bo, the second <bo@contoso.example>;Cid <cid@x.example>",
		"Subject":                     "Angebot th und (R) ®th th",
		"Message ID":                  "<own@contoso.example>",
		"Message Class":               "Email",
		"Sent Date/Time":              "2026-03-02 10:11:02",
		"Received Date/Time":          "2026-03-02 10:11:13",
		"Number of Attachments":       "1",
		"Email Has Attachments":       "Yes",
		"Recipient Count":             "4",
		"Container Name":              "Projects",
		"Extracted Text Size in KB":   "0.01",
		"Trace Data Batch":            partOne().Stem(),
		"Trace Email Action":          "Reply-All",
		"Trace Has Errors":            "Yes",
		"Trace Is Extracted":          "No",
		"Custodian":                   "Anna Lind",
		"Mailbox":                     "anna@contoso.example",
		"Meeting Start Date/Time":     "2026-03-05 08:00:00",
		"Trace Monitored Individuals": "anna@contoso.example",
	} {
		if got := records[0][column]; got != want {
			t.Errorf("%s = %q, want %q", column, got, want)
		}
	}
	for column, v := range records[0] {
		if v == "" && column != "Parent Document ID" {
			t.Errorf("%s is empty in the record that has everything", column)
		}
	}
	var other []KeyValue
	if err := json.Unmarshal([]byte(records[0]["Other Metadata"]), &other); err != nil {
		t.Fatal(err)
	}
	want := []KeyValue{{"Mailer", `"x"`}, {"Item Key", letter("full").Key()}, {"Change Key", "CQAAABYAAAD"},
		{"Message Item Class", "IPM.Note"}, {"Recovered For", "20260301000000UTC-20260302000000UTC"}, {"Synthesised", "true"}}
	if !slices.Equal(other, want) {
		t.Errorf("Other Metadata %q, want %q", other, want)
	}
}

// An attachment has its item's place and none of its times.
func TestAttachmentsHaveTheirItemsPlace(t *testing.T) {
	t.Parallel()
	p := newPacker(t)
	_, records := loadfile(t, p.pack(p.family("one")))
	for column, want := range map[string]string{
		"File Name": "straße/ä.pdf", "File Extension": "pdf", "File Type": "application/octet-stream", "Message Class": "Attach",
		"Extracted Text": "", "Extracted Text Size in KB": "0.00", "Message ID": "", "Sent Date/Time": "", "Received Date/Time": "",
		"Created Date/Time": "", "Trace Is Extracted": "Yes", "Folder Path": "Inbox/Projects", "Item State": "active",
		"Trace Record Origin Identifier": "one", "Text Status": "NotSupported",
	} {
		if got := records[3][column]; got != want {
			t.Errorf("%s = %q, want %q", column, got, want)
		}
	}
	if records[3]["Trace Document Hash"] != records[3]["Native SHA-256"] {
		t.Error("the document hash of an attachment is not its native's")
	}
}

func TestTheListingStandsInForWhatTheContentDoesNotTell(t *testing.T) {
	t.Parallel()
	p := newPacker(t)
	d := p.email("one")
	d.Item.Draft = true
	d.Custodian.DisplayName = ""
	_, records := loadfile(t, p.pack([]Document{d}))
	for column, want := range map[string]string{
		"Message ID": "<one@contoso.example>", "Sent Date/Time": "2026-03-02 10:11:01", "Created Date/Time": "2026-03-02 10:10:00",
		"Email Created Date/Time": "2026-03-02 10:10:00", "Email Last Modified Date/Time": "2026-03-02 12:00:00",
		"Trace Email Action": "Draft", "Custodian": "anna@contoso.example",
	} {
		if got := records[0][column]; got != want {
			t.Errorf("%s = %q, want %q", column, got, want)
		}
	}
}

func TestValuesCannotEndTheirField(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ value, want string }{
		{"", ""},
		{"plain; ü 😀", "plain; ü 😀"},
		{"þ", "th"},
		{"Þ", "Þ"},
		{"®", "(R)"},
		{"a\x14b", "a b"},
		{"a\r\nb", "a®b"},
		{"a\rb\nc", "a®b®c"},
		{"a\n\rb", "a®®b"},
		{"a\r\n\r\nb", "a®®b"},
		{"a\v\f\u0085\u2028\u2029b", "a®®®®®b"},
		{"a\tb\x00c\x1Fd\x7Fe", "a\tb c d e"},
		{"\uFEFFa", " a"},
		{"a\xFFb\xC3", "a\uFFFDb\uFFFD"},
		{"\xFE\x14\xFE", "\uFFFD \uFFFD"}, // þ of Windows-1252
		{"þ\x14þforgedþ\r\nþ", "th thforgedth®th"},
	} {
		if got := string(appendField(nil, row.value)); got != "þ"+row.want+"þ" {
			t.Errorf("field of %q = %q, want %q", row.value, got, "þ"+row.want+"þ")
		}
	}
}

// documented makes the replacements that FORMAT.md lists, in the way that it words them.
func documented(value string) string {
	value = strings.Map(func(r rune) rune { return r }, value) // a byte that is not UTF-8 becomes U+FFFD
	value = strings.NewReplacer("þ", "th", "®", "(R)").Replace(value)
	value = strings.ReplaceAll(value, "\r\n", "\n")
	return strings.Map(func(r rune) rune {
		switch {
		case strings.ContainsRune("\r\n\v\f\u0085\u2028\u2029", r):
			return '®'
		case r < 0x20 && r != '\t', r == 0x7F, r == 0xFEFF:
			return ' '
		}
		return r
	}, value)
}

func FuzzNoValueForgesAColumnOrARecord(f *testing.F) {
	for _, s := range []string{"", "þ\x14þ", "þ\r\nþ", "\xC3", "\xBE", "\xFE\x14\xFE", "®;", "a\r", "\na", "\u2028", "\uFEFF", "\\"} {
		f.Add(s, s+"x")
	}
	f.Fuzz(func(t *testing.T, one, two string) {
		l := newLoadFile()
		c := anna()
		c.Identifier, c.DisplayName = two, one
		d := &Document{
			Custodian: c, Kind: capture.Email, Native: &Entry{Name: "n"}, FileName: one, Parent: -1, TextStatus: one,
			Item:   capture.Item{GraphID: two, Folder: one, FolderID: two, Kind: capture.Email},
			Fields: Fields{Subject: one, From: []string{one, two}, Errors: []string{two}, Other: []KeyValue{{one, two}}, MessageID: two},
		}
		r := record{Document: d, control: "C-1", top: "C-1", last: "C-1", batch: "b"}
		for i, c := range columns {
			l.field(i, c.value(&r))
		}
		lines, err := parseDAT(string(l.line))
		if err != nil {
			t.Fatal(err)
		}
		if len(lines) != 2 || !slices.Equal(lines[0], Columns()) {
			t.Fatalf("%d lines", len(lines))
		}
		for i, c := range columns {
			if want := documented(c.value(&r)); lines[1][i] != want {
				t.Errorf("%s comes back as %q, want %q", c.name, lines[1][i], want)
			}
			if c.name == "From" && strings.Count(lines[1][i], many) != 1 {
				t.Errorf("two authors became %q", lines[1][i])
			}
		}
	})
}

func TestDatesAreUTCWithoutFractions(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		t    time.Time
		want string
	}{
		{time.Time{}, ""},
		{at("2026-03-02T01:02:03.999Z"), "2026-03-02 01:02:03"},
		{at("2026-03-02T01:02:03+05:30"), "2026-03-01 19:32:03"},
		{at("9999-12-31T23:59:59Z"), "9999-12-31 23:59:59"},
		{at("9999-12-31T23:59:59-01:00"), ""}, // five digits in UTC
		{at("0000-06-01T00:00:00Z"), ""},
	} {
		if got := date(row.t); got != row.want {
			t.Errorf("date(%v) = %q, want %q", row.t, got, row.want)
		}
	}
}

func TestExtensionsAreShortAndLowerCase(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"": "", "a": "", "a.": "", "A.PDF": "pdf", "a.tar.gz": "gz", ".profile": "profile", "a.b c": "",
		"v1.2 of the paper": "", "a.abcdefghijk": "abcdefghijk", "a.abcdefghijkl": "",
	} {
		if got := extension(name); got != want {
			t.Errorf("extension(%q) = %q, want %q", name, got, want)
		}
	}
}

// What a mail says of its own times may be anything; it must not keep its package from being written.
func TestAnImpossibleTimeIsLeftOut(t *testing.T) {
	t.Parallel()
	p := newPacker(t)
	d := p.email("one")
	d.Fields.Sent = at("9999-12-31T23:59:59-01:00")
	b := p.pack([]Document{d})
	if _, err := EncodeItems(b.rows); err != nil {
		t.Errorf("EncodeItems = %v", err)
	}
	if _, records := loadfile(t, b); records[0]["Sent Date/Time"] != "" || !b.rows[0].Sent.IsZero() {
		t.Errorf("sent %q, %v, want none", records[0]["Sent Date/Time"], b.rows[0].Sent)
	}
}
