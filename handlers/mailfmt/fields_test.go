package mailfmt

import (
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestAddressesAreReadAsMailWritesThem(t *testing.T) {
	t.Parallel()
	tests := []struct {
		value string
		want  []string
	}{
		{"", nil},
		{"a@a.example", []string{"a@a.example"}},
		{"<a@a.example>", []string{"a@a.example"}},
		{"Anna <a@a.example>, Bo <b@a.example>", []string{"Anna <a@a.example>", "Bo <b@a.example>"}},
		{"Anna <a@a.example>; Bo <b@a.example>;", []string{"Anna <a@a.example>", "Bo <b@a.example>"}},
		{`"Berg, Bo" <b@a.example>`, []string{"Berg, Bo <b@a.example>"}},
		{`"Bo \"B\" Berg" <b@a.example>`, []string{`Bo "B" Berg <b@a.example>`}},
		{`"b@a.example" <b@a.example>`, []string{"b@a.example"}},
		{`'B@a.example' <b@a.example>`, []string{"b@a.example"}},
		{"=?utf-8?Q?Berg,_Bo?= <b@a.example>, c@a.example", []string{"Berg, Bo <b@a.example>", "c@a.example"}},
		{`"=?utf-8?B?QsO2?=" <b@a.example>`, []string{"Bö <b@a.example>"}},
		{"a@a.example (Anna (the first))", []string{"Anna (the first) <a@a.example>"}},
		{"Team: a@a.example, b@a.example; c@a.example", []string{"a@a.example", "b@a.example", "c@a.example"}},
		{"undisclosed-recipients:;", nil},
		{"Anna a@a.example", []string{"Anna <a@a.example>"}},
		{"System Administrator", []string{"System Administrator"}},
		{"<@x.example,@y.example:a@a.example>", []string{"a@a.example"}},
		{"<mailto:a@a.example>", []string{"a@a.example"}},
		{"Hanna </o=Org/ou=Site/cn=Recipients/cn=hanna>", []string{"Hanna </o=Org/ou=Site/cn=Recipients/cn=hanna>"}},
		{"Anna <a@a.example, Bo <b@a.example>", []string{"Anna <a@a.example, Bo <b@a.example>"}},
		{`"Anna <a@a.example>`, []string{"Anna <a@a.example>"}},
		{"Anna (a <a@a.example>", []string{"Anna (a <a@a.example>"}},
		{",;, ,<>", nil},
		{"M\xFCller <m@a.example>", []string{"Müller <m@a.example>"}},
	}
	for _, tt := range tests {
		if got := written(addresses(tt.value)); !slices.Equal(got, tt.want) {
			t.Errorf("addresses(%q) = %q, want %q", tt.value, got, tt.want)
		}
	}
}

func TestDatesAreReadLeniently(t *testing.T) {
	t.Parallel()
	const want = "2026-03-02T09:15:00Z"
	tests := []struct{ value, want string }{
		{"Mon, 2 Mar 2026 10:15:00 +0100", want},
		{"Mon, 02 Mar 2026 10:15:00 +0100 (CET)", want},
		{"2 Mar 2026 10:15 +0100", want},
		{"Mon, 2 Mar 2026 09:15:00 GMT", want},
		{"Mon, 2 Mar 2026 04:15:00 EST", want},
		{"Mon, 2 Mar 2026 01:15:00 PST", want},
		{"Mon, 2 Mar 2026 10:15:00 CET", want},
		{"Mon, 2 Mar 2026 10:15:00 GMT+0100", want},
		{"Mon, 2 Mar 2026 10:15:00 UTC+1", want},
		{"Mon, 2 Mar 2026 10:15:00 +1:00", want},
		{"Mon, 2 Mar 2026 10:15:00 +01:00", want},
		{"Monday, 2 March 2026 10:15:00 +0100", want},
		{"Mon 2 Mar 2026 10:15:00 +0100", want},
		{"Mon, 2 Mar 26 10:15:00 +0100", want},
		{"2-Mar-2026 10:15:00 +0100", want},
		{"Mon Mar  2 09:15:00 2026", want},
		{"Mon Mar 2 10:15:00 2026 +0100", want},
		{"Mon, 2 Mar 2026 09:15:00", want},
		{"2026-03-02T10:15:00.5+01:00", want},
		{"2026-03-02 09:15:00", want},
		{"Mon, 2 Mar 2026 10.15.00 +0100", want},
		{"Tue, 2 Mar 2026 10:15:00 +0100", want}, // the day's name is not asked
		{"Mon,2 Mar 2026 10:15:00+0100", want},
		{"Mon, 2 Mar 2026 10:15:00 +0100 +0100", want},
		{"Mon, 2 Mar 2026 10:15:00 +0100 CET", want},
		{"Mon, 2 Mar 2026 10:15:00 +0100 (CET", want},
		{"Mon, 2 Mar 126 10:15:00 +0100", want},
		{"Mon, 2 Mar 19126 10:15:00 +0100", want},
		{"Mon, 2 Mar 2026 10:15:00.250 +0100", want},
		{"Mo, 2 Mär 2026 10:15:00 +0100", want},
		{"lun., 2 mars 2026 10:15:00 +0100", want},
		{"Montag, 2. März 2026 10:15:00 +0100", want},
		{"lun, 2 mar 2026 10:15:00 +0100", want},
		{"mar, 3 mar 2026 10:15:00 +0100", "2026-03-03T09:15:00Z"},
		{"02.03.2026 09:15:00", want},
		{"2026/03/02 09:15", want},
		{"3/2/2026 9:15:00 AM", want},
		{"March 2, 2026 9:15 AM", want},
		{"Mon, 2 Mar 2026 09:14:60 GMT", "2026-03-02T09:14:59Z"},
		{"Mon, 2 Mar 2026 09:15:00 Z", want},
		{"2/3/2026 10:15:00", ""}, // the second of March, or the third of February
		{"Mon, 2 Mar 2026 10:15:00 +9999", ""}, {"1772442900", ""}, {"Mon, 31 Feb 2026 10:15:00 +0000", ""},
		{"", ""}, {"yesterday", ""}, {"Mon, 32 Mar 2026 10:15:00 +0100", ""}, {"Mon, 2 Mar 0001 10:15:00 +0000", ""},
		{strings.Repeat("(", 1000), ""},
	}
	for _, tt := range tests {
		got := ""
		if d := sent(tt.value); !d.IsZero() {
			got = d.Format(time.RFC3339)
		}
		if got != tt.want {
			t.Errorf("sent(%q) = %q, want %q", tt.value, got, tt.want)
		}
	}
}

func TestEncodedWordsAreDecodedAsFarAsTheyCanBe(t *testing.T) {
	t.Parallel()
	tests := []struct{ value, want string }{
		{"plain", "plain"},
		{"=?utf-8?Q?caf=C3=A9?=", "café"},
		{"=?UTF-8?b?Y2Fmw6k=?= au lait", "café au lait"},
		{"=?utf-8?B?Y2Fmw6k?=", "café"},                // no padding
		{"=?utf-8?Q?a?= \t =?utf-8?Q?b?= c", "ab c"},   // blanks between words
		{"=?utf-8?Q?caf=C3?= =?utf-8?Q?=A9?=", "café"}, // a character in two words
		{"=?utf-8?Q?two words?=", "two words"},         // blanks in a word
		{"=?iso-8859-1?Q?=80?=", "€"},                  // windows-1252 in fact
		{"=?iso-2022-jp?B?GyRCMnE1RBsoQg==?=", "会議"},
		{"=?utf-8*de?Q?a?=", "a"},
		{"=?x-nonsense?Q?=C3=A9?=", "é"},
		{"=?utf-8?X?a?=", "=?utf-8?X?a?="},
		{"=?utf-8?Q?a", "=?utf-8?Q?a"},
		{"a=?utf-8?Q?b?=c", "abc"},
		{"=?utf-8?Q??=a", "a"},
		{"=?utf-8?Q?a=0D=0AX:_b?=", "a  X: b"},
		{"caf\xE9", "café"},
		{"a\x00b", "ab"},
	}
	for _, tt := range tests {
		if got := decodeWords(tt.value); got != tt.want {
			t.Errorf("decodeWords(%q) = %q, want %q", tt.value, got, tt.want)
		}
	}
}

func TestParametersAreReadLeniently(t *testing.T) {
	t.Parallel()
	tests := []struct{ value, head, name, want string }{
		{"Text/Plain; charset=UTF-8", "text/plain", "charset", "UTF-8"},
		{`text/plain; a="x;y"; b=c`, "text/plain", "b", "c"},
		{`x/y; name="a\"b\\c"`, "x/y", "name", `a"b\c`},
		{`x/y; name="C:\temp\a.txt"`, "x/y", "name", `C:\temp\a.txt`},
		{"x/y; name=two words.txt; b=c", "x/y", "name", "two words.txt"},
		{`x/y; name="open; b=c`, "x/y", "name", "open"},
		{"x/y; name=a; name=b", "x/y", "name", "a"},
		{"x/y; name==?utf-8?Q?=C3=A9?=", "x/y", "name", "é"},
		{`x/y; name="=?utf-8?Q?=C3=A9?= =?utf-8?Q?.txt?="`, "x/y", "name", "é.txt"},
		{"x/y; name*=utf-8''%C3%A9.txt; name=e.txt", "x/y", "name", "é.txt"},
		{"x/y; name*1=b; name*0=a; name*10=d; name*2=c", "x/y", "name", "abcd"},
		{"x/y; name*0*=iso-8859-1'fr'%E9; name*1=%41; name*2*=%42", "x/y", "name", "é%41B"},
		{"x/y; name*=%E9", "x/y", "name", "é"},
		{"x/y;;; ; name = a ;", "x/y", "name", "a"},
		{"x/y; name", "x/y", "name", ""},
		{"", "", "name", ""},
	}
	for _, tt := range tests {
		head, params := parameters(tt.value)
		if head != tt.head || params[tt.name] != tt.want {
			t.Errorf("parameters(%q) = %q, %s %q, want %q, %q", tt.value, head, tt.name, params[tt.name], tt.head, tt.want)
		}
	}
}

func TestTheActionFollowsFromSubjectAndHeader(t *testing.T) {
	t.Parallel()
	const two = "To: a@a.example, b@a.example\r\n"
	tests := []struct{ header, action, topic string }{
		{"Subject: Terms\r\n", "Send", "Terms"},
		{"Subject: RE: Terms\r\n", "Reply", "Terms"},
		{two + "Subject: AW: Terms\r\n", "Reply-All", "Terms"},
		{two + "Subject: WG: RE: Terms\r\n", "Forward", "Terms"},
		{"Subject: Fwd: Terms\r\nIn-Reply-To: <x@a.example>\r\n", "Forward", "Terms"},
		{"Subject: Terms\r\nIn-Reply-To: <x@a.example>\r\n", "Reply", "Terms"},
		{"Subject: Re[2]: re : =?utf-8?Q?=E5=9B=9E=E5=A4=8D=EF=BC=9ATerms?=\r\n", "Reply", "Terms"},
		{"Subject: Real: terms\r\n", "Send", "Real: terms"},
		{"Subject: RE: Terms\r\nThread-Topic: Old terms\r\n", "Reply", "Old terms"},
		{"", "Send", ""},
	}
	for _, tt := range tests {
		m := read(t, tt.header+"\r\n")
		if m.Action != tt.action || m.Conversation != tt.topic {
			t.Errorf("with %q action, topic = %q, %q, want %q, %q", tt.header, m.Action, m.Conversation, tt.action, tt.topic)
		}
	}
}

func TestImportanceIsTakenFromTheFieldThatSaysIt(t *testing.T) {
	t.Parallel()
	tests := []struct{ header, want string }{
		{"Importance: HIGH\r\nX-Priority: 5\r\n", "High"}, {"X-Priority: 1 (Highest)\r\n", "High"}, {"X-Priority: 3\r\n", "Normal"},
		{"X-Priority: 5\r\n", "Low"}, {"X-MSMail-Priority: Low\r\n", "Low"}, {"X-Priority: \r\n", ""}, {"", ""},
	}
	for _, tt := range tests {
		if got := read(t, tt.header+"\r\n").Importance; got != tt.want {
			t.Errorf("Importance with %q = %q, want %q", tt.header, got, tt.want)
		}
	}
}

func FuzzAddresses(f *testing.F) {
	seed(f, "from", "to", "cc", "reply-to", "sender")
	for _, s := range []string{`"a, b" <c@d>, e`, "=?utf-8?Q?a,?= <b>", "g: a, b;, c (d (e)) <f", `"\`, "a@b c@d <e> (f"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, value string) {
		for _, a := range addresses(value) {
			if s := a.String(); s == "" || strings.ContainsAny(s, "\r\n\x00") {
				t.Errorf("addresses(%q) holds %q", value, s)
			}
		}
	})
}

func FuzzDate(f *testing.F) {
	seed(f, "date")
	for _, s := range []string{"Mon, 2 Mar 2026 10:15:00 +0100 (CET)", "2-Mar-26 1:2:3 UTC+1", "Mar 2 10:15:00 2026"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, value string) {
		if d := sent(value); !d.IsZero() && (d.Location() != time.UTC || d.Year() < 1970 || d.Year() > 9999 || d.Nanosecond() != 0) {
			t.Errorf("sent(%q) = %v, want whole seconds in UTC of a year of mail", value, d)
		}
	})
}

func FuzzWords(f *testing.F) {
	seed(f, "subject", "thread-topic", "from", "to")
	f.Fuzz(func(t *testing.T, value string) {
		got := decodeWords(value)
		if !utf8.ValidString(got) || strings.ContainsAny(got, "\r\n\x00\u202E") || got != strings.TrimSpace(got) {
			t.Errorf("decodeWords(%q) = %q, which is no line of text", value, got)
		}
		if !strings.Contains(value, "=?") && utf8.ValidString(value) && len(got) > len(value) {
			t.Errorf("decodeWords(%q) = %q, which is longer and had no words to decode", value, got)
		}
	})
}

func FuzzParameters(f *testing.F) {
	seed(f, "content-type", "content-disposition")
	for _, s := range []string{`text/plain; a="b\"c"; d*0*=utf-8''%41; d*1=e`, "a;=;b=c*;*=d;e*=''", "x;y*9999999999999999999999=z"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, value string) {
		_, params := parameters(value)
		for k, v := range params {
			if strings.ContainsAny(v, "\r\n\x00") {
				t.Errorf("parameters(%q) holds %q = %q", value, k, v)
			}
		}
	})
}
