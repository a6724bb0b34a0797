package export

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"iter"
	"regexp"
	"strings"
	"time"

	"chainmail/handlers/capture"
	"chainmail/handlers/pack"
)

// A part is a part that a manifest names. Of its seal it keeps what an export needs.
type part struct {
	name       pack.Name
	sealSHA256 string // by the manifest

	pkg         *pack.Package // nil: no documents
	itemsSHA256 string
	documents   int      // of the whole part
	custodians  []string // ids of those who have documents in it

	families int   // that are exported
	matched  int   // their documents
	reads    int64 // bytes of their natives in the package
}

// sealed is what reading a part's seal came to.
type sealed struct {
	part
	fault      string
	identifier map[string]string // by custodian
}

// seal reads a part's seal, which is trusted if it has the hash that its manifest names.
func (e *exporter) seal(ctx context.Context, p part) (sealed, error) {
	got := sealed{part: p}
	data, fault, err := e.whole(ctx, p.name.Seal())
	switch {
	case err != nil || fault != "":
		got.fault = fault
		return got, err
	case pack.Sum(data) != p.sealSHA256:
		got.fault = "its SHA-256 is not the one that the manifest names"
		return got, nil
	}
	s, err := pack.ParseSeal(data)
	switch {
	case err != nil:
		got.fault = err.Error()
		return got, nil
	case s.Name() != p.name:
		got.fault = "is the seal of another part"
		return got, nil
	case s.Package != nil && p.name.Zip() != pack.Folder(p.name.Source, p.name.Batch)+s.Package.Name:
		got.fault = "names a package that is not the part's"
		return got, nil
	}
	got.pkg, got.itemsSHA256, got.documents = s.Package, s.ItemsSHA256, s.Documents
	got.identifier = map[string]string{}
	for _, c := range s.Custodians {
		got.identifier[c.ID] = c.Identifier
		if c.Captured+c.Recovered > 0 {
			got.custodians = append(got.custodians, c.ID)
		}
	}
	return got, nil
}

// A family is an email or event with all that is attached to it, in the order of the package.
type family struct {
	rows []pack.ItemRow
	next int64 // where the documents that follow in the package begin; 0: there are none
}

func (f *family) top() *pack.ItemRow { return &f.rows[0] }

// reads is how many bytes of the package are its natives.
func (f *family) reads() (n int64) {
	for i := range f.rows {
		n += f.rows[i].CompressedBytes
	}
	return n
}

// wants reports whether a family is asked for. ids are the custodians; nil: all.
func (o *Options) wants(ids map[string]bool, top *pack.ItemRow) bool {
	at := top.Received
	if at.IsZero() {
		at = top.Sent
	}
	return (ids == nil || ids[top.Custodian]) && (o.Kind == "" || o.Kind == top.Kind) && within(at, o.From, o.To)
}

func within(at, from, to time.Time) bool {
	return (from.IsZero() || !at.Before(from)) && (to.IsZero() || !at.IsZero() && at.Before(to))
}

// What may stand in the names of files that are written.
var (
	controlNumber = regexp.MustCompile(`^([0-9A-Za-z-]{1,80}-)(\d{6,9})$`)
	custodianName = regexp.MustCompile(`^[0-9A-Za-z](?:[0-9A-Za-z._-]{0,62}[0-9A-Za-z])?$`)
)

// stem is a control number without its counter; "": it is none.
func stem(control string) string {
	m := controlNumber.FindStringSubmatch(control)
	if m == nil {
		return ""
	}
	return m[1]
}

// A fault is what is wrong with a file of evidence.
type fault string

// Error implements error.
func (f fault) Error() string { return string(f) }

// families gives the families of items. All of a part's control numbers begin alike and grow, so that each stands once. Lines
// that pass says no to are not looked at. What is wrong with the items is a [fault], which ends it.
func families(items io.Reader, pass func(line []byte) bool) iter.Seq2[family, error] {
	return func(yield func(family, error) bool) {
		lines := bufio.NewScanner(items)
		lines.Buffer(nil, maxWhole)
		lines.Split(pack.WholeLines)
		var f family
		last := ""
		for n := 1; lines.Scan(); n++ {
			if pass != nil && !pass(lines.Bytes()) {
				continue
			}
			row, err := item(lines.Bytes(), &f, last)
			if err != nil {
				yield(family{}, fault(fmt.Sprintf("line %d %v", n, err)))
				return
			}
			last = row.ControlNumber
			if row.Parent == "" && len(f.rows) > 0 {
				f.next = row.Offset
				if !yield(f, nil) {
					return
				}
				f = family{}
			}
			f.rows = append(f.rows, row)
		}
		if err := lines.Err(); err != nil {
			yield(family{}, err)
		} else if len(f.rows) > 0 {
			yield(f, nil)
		}
	}
}

// item reads a line of the items, which follows the line with the control number last, and the family so far.
func item(line []byte, f *family, last string) (pack.ItemRow, error) {
	rows, err := pack.DecodeItems(line)
	if err != nil || len(rows) != 1 {
		return pack.ItemRow{}, fault("is not a whole line of the format")
	}
	row := rows[0]
	begin, follows := stem(row.ControlNumber), last == "" || stem(last) == stem(row.ControlNumber)
	switch {
	case begin == "" || !follows || !later(row.ControlNumber, last):
		return row, fault("has a control number that does not follow the one before it")
	case !custodianName.MatchString(row.Custodian):
		return row, fault("has no name of a custodian")
	case row.Offset <= 0 || row.CompressedBytes <= 0 || row.NativeBytes < 0:
		return row, fault("names no place in the package")
	case (row.Parent == "") != (row.GroupIdentifier == row.ControlNumber), row.Parent != "" && !f.admits(&row):
		return row, fault("has no family where it stands")
	case (row.Parent == "") == (row.Kind == capture.Attachment):
		return row, fault("is of a kind that cannot stand there")
	}
	return row, nil
}

// admits reports whether what is attached to something belongs to the family.
func (f *family) admits(row *pack.ItemRow) bool {
	return len(f.rows) > 0 && row.GroupIdentifier == f.top().ControlNumber && row.Custodian == f.top().Custodian
}

// later reports whether a control number of a part comes after another one of it.
func later(control, last string) bool {
	return len(control) > len(last) || len(control) == len(last) && control > last
}

// scanned is what a part's items came to.
type scanned struct {
	part
	fault    string
	stem     string // of its control numbers
	families []match
}

// A match is a family that the filter asks for.
type match struct {
	control, custodian string
	mih                string // 32 hexadecimal digits; "": none
	documents          int
	reads              int64
}

// scan looks through a part's items. They are trusted if they have the hash that the seal names, which is known at their end.
func (e *exporter) scan(ctx context.Context, p part, ids map[string]bool) (scanned, error) {
	got := scanned{part: p}
	r, err := e.store.Open(ctx, p.name.Items())
	if gone(err) {
		got.fault = "is missing"
		return got, nil
	}
	if err != nil {
		return got, unread(p.name.Items(), err)
	}
	defer r.Close()
	sum := sha256.New()
	read := io.TeeReader(r, sum)
	var wrong error
	for f, err := range families(read, mentions(ids)) {
		if err != nil {
			wrong = err
			break
		}
		if got.stem = stem(f.top().ControlNumber); e.wants(ids, f.top()) {
			got.families = append(got.families, match{
				f.top().ControlNumber, f.top().Custodian, messageHash(f.top().MIH), len(f.rows), f.reads(),
			})
		}
	}
	if _, is := wrong.(fault); wrong != nil && !is {
		return got, unread(p.name.Items(), wrong)
	}
	if _, err := io.Copy(io.Discard, read); err != nil {
		return got, unread(p.name.Items(), err)
	}
	switch {
	case hex.EncodeToString(sum.Sum(nil)) != p.itemsSHA256:
		got.fault = "its SHA-256 is not the one that the seal names"
	case wrong != nil:
		got.fault = wrong.Error()
	}
	return got, nil
}

// mentions tells lines that cannot be of the custodians by their bytes alone: reading all as JSON would take far longer.
func mentions(ids map[string]bool) func([]byte) bool {
	if ids == nil {
		return nil
	}
	var needles [][]byte
	for id := range ids {
		needles = append(needles, []byte(id))
	}
	return func(line []byte) bool {
		if bytes.IndexByte(line, '\\') >= 0 { // JSON may hide it
			return true
		}
		for _, n := range needles {
			if bytes.Contains(line, n) {
				return true
			}
		}
		return false
	}
}

var hashForm = regexp.MustCompile(`^[0-9a-f]{32}$`)

// messageHash is an EDRM message identification hash; "": it is none.
func messageHash(s string) string {
	if s = strings.ToLower(s); hashForm.MatchString(s) {
		return s
	}
	return ""
}
