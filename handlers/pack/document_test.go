package pack

import (
	"io"
	"testing"

	"chainmail/handlers/capture"
)

func TestAFamilyThatIsNoneIsRefused(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name string
		make func(p packer, f []Document) []Document
		text string
	}{
		{"a family", func(_ packer, f []Document) []Document { return f }, ""},
		{"nothing", func(packer, []Document) []Document { return nil }, "no documents"},
		{"no native", func(_ packer, f []Document) []Document { f[1].Native = nil; return f }, "document 1 has no native"},
		{"top with a parent", func(_ packer, f []Document) []Document { f[0].Parent = 0; return f }, "document 0 does not come after"},
		{"two tops", func(_ packer, f []Document) []Document { f[1].Parent = -1; return f }, "document 1 does not come after"},
		{"its own parent", func(_ packer, f []Document) []Document { f[2].Parent = 2; return f }, "document 2 does not come after"},
		{"parent behind it", func(_ packer, f []Document) []Document { f[1].Parent = 2; return f }, "document 1 does not come after"},
		{"an email attached", func(_ packer, f []Document) []Document { f[1].Kind = capture.Email; return f }, "is attached and of kind email"},
		{"an attachment synthesised", func(_ packer, f []Document) []Document { f[1].Synthesised = true; return f }, "document 1 is synthesised"},
		{"an event synthesised", func(_ packer, f []Document) []Document { f[0].Kind, f[0].Synthesised = capture.Event, true; return f }, "document 0 is synthesised"},
		{"native elsewhere", func(p packer, f []Document) []Document { f[1].Native = p.entry("x", ""); return f }, "native outside"},
		{"text elsewhere", func(p packer, f []Document) []Document { f[1].Text = p.entry(NativesFolder+"x", ""); return f }, "text outside"},
		{"the load file as native", func(p packer, f []Document) []Document { f[1].Native = p.entry(LoadFileName, ""); return f }, "native outside"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			p := newPacker(t)
			w := NewWriter(io.Discard, partOne(), "O365", day(), 1)
			wantError(t, "Add", w.Add(row.make(p, p.family("one"))), row.text)
			if row.text != "" { // the fault is the family's: the package goes on
				wantError(t, "Add of the next", w.Add(p.family("two")), "")
			}
		})
	}
}
