package evidencetest

import (
	"strconv"
	"strings"

	"chainmail/handlers/capture"
	"chainmail/handlers/pack"
)

// An Own is an item that a test makes, with as many attachments as files are named.
type Own struct {
	Who, ID, Subject, MIH string
	MessageID             string // "": one is made of ID
	Event                 bool
	Files                 []string
	Bytes                 int // of the native, at least
}

// Made is sound evidence of one source and one day, with a part for each list.
func Made(source string, lists ...[]Own) Tree {
	b, release, err := newBuilder()
	if err != nil {
		panic(err)
	}
	defer release()
	var seals []pack.Seal
	for i, list := range lists {
		p := portion{name: Name(source, Day(2), 1, 0, i+1), found: map[string]int{}}
		for _, m := range list {
			p.families = append(p.families, b.made(m))
			p.found[m.Who]++
		}
		seals = append(seals, b.part(Day(2), p))
	}
	b.close(source, Day(2), 1, nil, seals...)
	return b.tree
}

func (b *builder) made(m Own) []pack.Document {
	it := item(m.ID, Day(2))
	if m.MessageID != "" {
		it.InternetMessageID = m.MessageID
	}
	if m.Event {
		it.Kind, it.InternetMessageID = capture.Event, ""
	}
	all := b.family(m.Who, it, len(m.Files), "")
	all[0].Fields.Subject, all[0].Fields.MIH = m.Subject, m.MIH
	if m.Bytes > 0 {
		all[0].Native = b.entry(all[0].Native.Name, noise(m.ID, m.Bytes))
	}
	for i, file := range m.Files {
		d := &all[i+1]
		d.FileName, d.Native = file, b.entry(pack.AttachmentName(d.Custodian, it, i+1, file), "attached "+m.ID)
	}
	return all
}

// noise is text that packs badly.
func noise(seed string, n int) string {
	var b strings.Builder
	for i := 0; b.Len() < n; i++ {
		b.WriteString(pack.Sum([]byte(seed + strconv.Itoa(i))))
	}
	return b.String()
}
