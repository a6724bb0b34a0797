package verify

import (
	"bufio"
	"context"
	"crypto/sha256"
	"io"
	"strings"

	"chainmail/handlers/capture"
	"chainmail/handlers/pack"
)

func itemKey(graphID string) string { return capture.ItemKey(graphID) }

// maxLine is the longest line of an items file that is read; those that are written are far shorter.
const maxLine = 16 << 20

// items reads the rows of a part's documents.
func (p *part) items(ctx context.Context) {
	file := p.name.Items()
	r, err := p.open(ctx, file)
	if err != nil {
		p.unreadable(file, err)
		return
	}
	defer r.Close()
	h := sha256.New()
	all := io.TeeReader(r, h)
	p.rowsRead = p.lines(all)
	if _, err := io.Copy(io.Discard, all); err != nil {
		p.unreadable(file, err)
		p.rowsRead = false
		return
	}
	if hexSum(h) != p.seal.ItemsSHA256 {
		p.found.add(file, "its SHA-256 is not the one that its seal names")
	}
	if len(p.rows) != p.seal.Documents {
		p.found.add(file, "it has %s, and its seal says %d", count(len(p.rows), "line"), p.seal.Documents)
	}
	if !p.rowsRead {
		return
	}
	if pack.CountTexts(p.rows) != p.seal.Texts {
		p.found.add(p.name.Seal(), "its counts of texts are not those of the items")
	}
	if pack.CountSynthesised(p.rows) != p.seal.Synthesised {
		p.found.add(p.name.Seal(), "its count of synthesised natives is not that of the items")
	}
	p.numbers()
	p.families()
	p.tally()
}

// lines reads row after row, and reports whether every one could be read.
func (p *part) lines(r io.Reader) bool {
	file, ok := p.name.Items(), true
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine)
	lines.Split(pack.WholeLines)
	for i := 0; lines.Scan(); i++ {
		for _, fault := range faults(p.schemas.item, lines.Bytes()) {
			p.found.add(file, "line %d: %s", i+1, fault)
		}
		rows, err := pack.DecodeItems(lines.Bytes())
		if err != nil || len(rows) != 1 {
			p.found.add(file, "line %d is not a whole line of the format", i+1)
			ok, rows = false, make([]pack.ItemRow, 1) // the lines after it keep their places
		}
		p.rows = append(p.rows, rows[0])
	}
	if err := lines.Err(); err == bufio.ErrTooLong {
		p.found.add(file, "a line is longer than any of the format is")
		ok = false
	} // any other is the reader's, and comes again
	return ok
}

// numbers checks that control numbers are consecutive.
func (p *part) numbers() {
	file, number := p.name.Items(), func(prefix string, i int) string {
		return p.name.ControlNumber(prefix, p.batch.window, p.batch.number, i+1)
	}
	if len(p.rows) == 0 {
		return
	}
	prefix, ok := strings.CutSuffix(p.rows[0].ControlNumber, number("", 0))
	if !ok {
		p.found.add(file, "line 1: its control number is not that of a part's first document")
		return
	}
	for i, row := range p.rows {
		if want := number(prefix, i); row.ControlNumber != want {
			p.found.add(file, "line %d: its control number is not %s", i+1, word(want))
		}
	}
}

// families checks that families adjoin, and that each of their documents names the first, what it is attached to, and the
// item that they all belong to.
func (p *part) families() {
	file := p.name.Items()
	var top *pack.ItemRow
	var members map[string]bool // of the family so far
	for i := range p.rows {
		row := &p.rows[i]
		fault := func(what string) { p.found.add(file, "line %d (%s): %s", i+1, word(row.ControlNumber), what) }
		if row.Parent == "" {
			top, members = row, map[string]bool{}
			if row.Kind == capture.Attachment {
				fault("an attachment without what it is attached to")
			}
			if row.Item != itemKey(row.GraphID) {
				fault("its item key is not that of its Graph id")
			}
		}
		switch {
		case top == nil:
			fault("a family begins without its first document")
			continue
		case row.GroupIdentifier != top.ControlNumber:
			fault("its group identifier is not the family's first document")
		case row.Parent == "":
		case row.Kind != capture.Attachment:
			fault("what is attached is of another kind than attachment")
		case !members[row.Parent]:
			fault("its parent is none of its family before it")
		}
		if row.Synthesised && (row.Parent != "" || row.Kind != capture.Email) {
			fault("it is synthesised, and not an email of its own")
		}
		members[row.ControlNumber] = true
		if row.Custodian != top.Custodian || row.Item != top.Item || row.GraphID != top.GraphID || row.ChangeKey != top.ChangeKey ||
			row.Folder != top.Folder || row.State != top.State || !row.Received.Equal(top.Received) || row.For != top.For {
			fault("it does not belong to the item that its family belongs to")
		}
		if why := misplaced(row); why != "" {
			fault(why)
		}
	}
}

// misplaced says why a document's entries do not lie where those of its item do.
func misplaced(row *pack.ItemRow) string {
	of := row.Custodian + "/" + row.Item
	native, ok := strings.CutPrefix(row.Native, pack.NativesFolder+of)
	switch {
	case !ok || !safe(row.Native):
		return "its native does not lie where those of its item do"
	case row.Kind == capture.Email && native != ".eml", row.Kind == capture.Event && native != ".ics",
		row.Kind == capture.Attachment && !strings.HasPrefix(native, "/"):
		return "its native does not bear the name of its kind"
	}
	if row.Text == "" {
		return ""
	}
	text, ok := strings.CutPrefix(row.Text, pack.TextFolder+of)
	if !ok || !safe(row.Text) || !strings.HasSuffix(text, ".txt") || (row.Parent == "") != (text == ".txt") {
		return "its text does not lie where that of its document does"
	}
	return ""
}

// tally counts what there is of each custodian. Items count, and not what is attached to them.
func (p *part) tally() {
	for i := range p.rows {
		row := &p.rows[i]
		s := p.shares[row.Custodian]
		switch {
		case row.Parent != "":
			continue
		case row.For != "":
			s.recovered++
		default:
			s.captured++
			p.once.see(row.Custodian, row.GraphID)
		}
		s.bytes += row.NativeBytes
		p.shares[row.Custodian] = s
	}
}
