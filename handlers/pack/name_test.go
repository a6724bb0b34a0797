package pack

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"chainmail/handlers/capture"

	"golang.org/x/text/unicode/norm"
)

func TestNamesFromMailAreMadeSafe(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ name, want string }{
		{"report.pdf", "report.pdf"},
		{"Übersicht 2026 😀.xlsx", "Übersicht 2026 😀.xlsx"},
		{"", "unnamed"},
		{".", "unnamed"},
		{"..", "unnamed"},
		{" . . ", "unnamed"},
		{"../../etc/passwd", "passwd"},
		{`..\..\windows\system.ini`, "system.ini"},
		{`C:\x\y.txt`, "y.txt"},
		{"/", "unnamed"},
		{"a/", "unnamed"},
		{"a:b", "a_b"},
		{`<>:"|?*`, "_______"},
		{"a\x00b\r\nc\x7F", "a_b__c_"},
		{"a\u0085b\u00ADc", "abc"},
		{"exe.\u202Etxt.fdp", "exe.txt.fdp"}, // an override of the direction
		{"a\u061Cb\u200Dc\uFEFFd\u2028e\U000E0041f", "abcdef"},
		{"e\u0301.txt", "é.txt"},
		{"e\u200D\u0301.txt", "é.txt"}, // composed only after the joiner has gone
		{"a\xFFb", "a_b"},
		{".hidden", "hidden"},
		{"trailing. . ", "trailing"},
		{"con", "_con"},
		{"CON.txt", "_CON.txt"},
		{"nul .txt", "_nul .txt"},
		{"com1", "_com1"},
		{"LPT9.log.gz", "_LPT9.log.gz"},
		{"com10", "com10"},
		{"console.txt", "console.txt"},
		{strings.Repeat("a", 60), strings.Repeat("a", 60)},
		{strings.Repeat("a", 61), strings.Repeat("a", 60)},
		{strings.Repeat("a", 70) + ".docx", strings.Repeat("a", 55) + ".docx"},
		{strings.Repeat("ä", 40) + ".txt", strings.Repeat("ä", 28) + ".txt"}, // not half a character
		{strings.Repeat("a", 50) + "." + strings.Repeat("b", 40), strings.Repeat("a", 50) + "." + strings.Repeat("b", 9)},
		{"a" + strings.Repeat(".", 70) + "b", "a.b"},
		{strings.Repeat("a", 54) + "  . .docx", strings.Repeat("a", 54) + ".docx"},
	} {
		if got := SafeName(row.name); got != row.want {
			t.Errorf("SafeName(%q) = %q, want %q", row.name, got, row.want)
		}
	}
}

func FuzzSafeName(f *testing.F) {
	for _, s := range []string{"", "a/b", `a\b`, "..", "con.", "\xFF", "e\u200D\u0301", "\u202E", strings.Repeat("ä", 99) + ".pdf", " .x. "} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		got := SafeName(name)
		switch {
		case got == "", len(got) > 60, !utf8.ValidString(got), !norm.NFC.IsNormalString(got):
			t.Errorf("SafeName(%q) = %q: empty, too long, not UTF-8 or not NFC", name, got)
		case strings.ContainsAny(got, `/\<>:"|?*`), strings.Trim(got, " .") != got:
			t.Errorf("SafeName(%q) = %q: no file name", name, got)
		case strings.ContainsFunc(got, func(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) }):
			t.Errorf("SafeName(%q) = %q: control or format characters", name, got)
		case SafeName(got) != got:
			t.Errorf("SafeName(%q) = %q, and again %q", name, got, SafeName(got))
		}
	})
}

func TestEntriesAreNamedForCustodianAndItem(t *testing.T) {
	t.Parallel()
	c, email := anna(), letter("one")
	event := email
	event.Kind = capture.Event
	nobody := capture.Custodian{Individual: capture.Individual{Identifier: "Who@contoso.example"}}
	base := c.ID + "/" + email.Key()
	for _, row := range []struct{ got, want string }{
		{NativeName(c, email), "OriginalNatives/" + base + ".eml"},
		{NativeName(c, event), "OriginalNatives/" + base + ".ics"},
		{AttachmentName(c, email, 1, "../a.txt"), "OriginalNatives/" + base + "/01-a.txt"},
		{AttachmentName(c, email, 123, ""), "OriginalNatives/" + base + "/123-unnamed"},
		{TextName(c, email, 0), "ExtractedData/" + base + ".txt"},
		{TextName(c, email, 7), "ExtractedData/" + base + "-07.txt"},
		{NativeName(nobody, email), "OriginalNatives/" + nobody.Name() + "/" + email.Key() + ".eml"},
	} {
		if row.got != row.want {
			t.Errorf("name %q, want %q", row.got, row.want)
		}
	}
	if strings.Contains(nobody.Name(), "who") {
		t.Errorf("%q names the person", nobody.Name())
	}
	if n := len(AttachmentName(c, email, 9999, strings.Repeat("x", 300))); n > maxEntryName {
		t.Errorf("a name of %d bytes does not fit into a package", n)
	}
}

func TestAPartsFilesAreNamedAlike(t *testing.T) {
	t.Parallel()
	n := Name{Source: "o365-mail", Batch: "20260302000000UTC-20260303000000UTC-2", Lane: 7, Part: 12}
	const stem = "o365-mail.20260302000000UTC-20260303000000UTC-2.007-12"
	const folder = "o365-mail/20260302000000UTC-20260303000000UTC-2/"
	for _, row := range []struct{ got, want string }{
		{n.Stem(), stem},
		{n.Base(), folder + stem},
		{n.Zip(), folder + stem + ".zip"},
		{n.Items(), folder + stem + ".items.jsonl"},
		{n.Exceptions(), folder + stem + ".exceptions.csv"},
		{n.Seal(), folder + stem + ".seal.json"},
		{ManifestName(n.Source, n.Batch), folder + "manifest.json"},
		{ManifestSumName(n.Source, n.Batch), folder + "manifest.json.sha256"},
	} {
		if row.got != row.want {
			t.Errorf("name %q, want %q", row.got, row.want)
		}
	}
	for _, s := range []string{n.Stem(), n.Base(), n.Zip(), n.Items(), n.Exceptions(), n.Seal(), stem + ".zip", stem + ".seal.json"} {
		if got, err := ParseName(s); err != nil || got != n {
			t.Errorf("ParseName(%q) = %+v, %v, want %+v", s, got, err, n)
		}
	}
}

func TestOtherNamesAreNoParts(t *testing.T) {
	t.Parallel()
	const batch = "20260302000000UTC-20260303000000UTC"
	for _, s := range []string{
		"", "manifest.json", "o365/" + batch + "/manifest.json",
		"o365." + batch + ".7-1.zip",      // lane of one digit
		"o365." + batch + ".0007-1.zip",   // and of one too many
		"o365." + batch + ".000007-1.zip", // and beyond all lanes
		"o365." + batch + ".007-0.zip", "o365." + batch + ".007-01.zip", "o365." + batch + ".007--1.zip",
		"O365." + batch + ".007-1.zip", "." + batch + ".007-1.zip", strings.Repeat("x", 25) + "." + batch + ".007-1.zip",
		"o365." + batch + "-1x.007-1.zip", "o365." + batch + "-0.007-1.zip", "o365.2026-2027.007-1.zip",
		"o365." + batch + ".007-1.zip.zip", "o365." + batch + ".007-1.zip\n", "o365." + batch + ".007-1.txt",
		"other/" + batch + "/o365." + batch + ".007-1.zip",
		"o365/" + batch + "-2/o365." + batch + ".007-1.zip",
		"o365/" + batch + "/o365." + batch + ".007-1.zip/",
		"o365/" + batch + "/o365." + batch + ".007-1/o365." + batch + ".007-1.zip",
		"/o365/" + batch + "/o365." + batch + ".007-1.zip",
		"./o365." + batch + ".007-1.zip",
	} {
		if n, err := ParseName(s); err == nil {
			t.Errorf("ParseName(%q) = %+v, want an error", s, n)
		}
	}
}

func FuzzParseName(f *testing.F) {
	n := partOne()
	for _, s := range []string{n.Stem(), n.Zip(), n.Seal(), n.Items() + "/", "x/" + n.Zip(), "a.b.c-d", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := ParseName(s)
		if err != nil {
			return
		}
		if again, err := ParseName(n.Zip()); err != nil || again != n {
			t.Errorf("ParseName(%q) = %+v, and of its package's name %+v, %v", s, n, again, err)
		}
		if !strings.HasPrefix(s, n.Base()) && !strings.HasPrefix(s, n.Stem()) {
			t.Errorf("ParseName(%q) = %+v, which is not named so", s, n)
		}
	})
}

func TestControlNumbers(t *testing.T) {
	t.Parallel()
	n := Name{Source: "s", Lane: 7, Part: 2}
	for _, row := range []struct {
		number, seq int
		want        string
	}{
		{0, 1, "O365-20260302T000000-007-2-000001"},
		{1, 1, "O365-20260302T000000-007-2-000001"},
		{2, 20000, "O365-20260302T000000-2-007-2-020000"},
		{3, 1234567, "O365-20260302T000000-3-007-2-1234567"},
	} {
		if got := n.ControlNumber("O365", day(), row.number, row.seq); got != row.want {
			t.Errorf("ControlNumber(%d, %d) = %s, want %s", row.number, row.seq, got, row.want)
		}
	}
}
