package export

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"path"
	"regexp"
	"strconv"
)

// Totals are what an export, or a volume of it, came to.
type Totals struct {
	Volumes    int   `json:"volumes"`
	Families   int   `json:"families"`
	Documents  int   `json:"documents"` // with a record in the load file or list
	Natives    int   `json:"natives"`   // files
	Texts      int   `json:"texts"`     // files
	Bytes      int64 `json:"bytes"`     // of natives and texts, or of packages
	Exceptions int   `json:"exceptions"`
	Duplicates int   `json:"duplicates"` // documents that are left out as such, and listed
	Packages   int   `json:"packages,omitempty"`
	Alongside  int   `json:"alongside,omitempty"` // documents of whole packages that were not asked for
}

func (t Totals) plus(u Totals) Totals {
	return Totals{
		t.Volumes + u.Volumes, t.Families + u.Families, t.Documents + u.Documents, t.Natives + u.Natives,
		t.Texts + u.Texts, t.Bytes + u.Bytes, t.Exceptions + u.Exceptions, t.Duplicates + u.Duplicates, t.Packages + u.Packages, t.Alongside + u.Alongside,
	}
}

// fetchAtOnce is how many documents are fetched side by side.
const fetchAtOnce = 8

// volumes writes documents into volumes. A volume that has a record in the work folder is whole; of any other that a run
// before began nothing is kept.
type volumes struct {
	*exporter
	now     *volume // nil: none is begun
	totals  Totals
	topFile string // of the last family's first document; "": it was not written
}

// A volume is one that is being written.
type volume struct {
	number                 int
	list, sums, exceptions *file
	totals                 Totals
}

func (e *exporter) writeVolumes(ctx context.Context) (Totals, error) {
	whole, err := e.wholeVolumes()
	if err != nil {
		return Totals{}, err
	}
	w := &volumes{exporter: e}
	for _, t := range whole {
		w.totals = w.totals.plus(t)
	}
	err = inOrder(ctx, fetchAtOnce, e.documents(ctx, whole), e.fetch, w.take)
	if err == nil {
		err = w.close()
	}
	if err != nil {
		w.leave()
	}
	return w.totals, err
}

var volumeForm = regexp.MustCompile(`^VOL(\d{3,6})(?:\.dat)?(?:` + inProgress + `)?$`)

// wholeVolumes are the volumes that were finished before. What else bears a volume's name is removed.
func (e *exporter) wholeVolumes() (map[int]Totals, error) {
	names, err := e.out.names()
	if err != nil {
		return nil, err
	}
	whole := map[int]Totals{}
	for _, name := range names {
		m := volumeForm.FindStringSubmatch(name)
		if m == nil {
			continue
		}
		n, _ := strconv.Atoi(m[1]) // the pattern admits only what fits
		if data, err := e.out.root.ReadFile(inWork(n, recordSuffix)); err == nil {
			var t Totals
			if json.Unmarshal(data, &t) == nil {
				whole[n] = t
				continue
			}
		}
		if err := e.out.remove(name); err != nil {
			return nil, err
		}
	}
	return whole, nil
}

// The files of a volume in the work folder.
const (
	recordSuffix     = ".json"
	sumsSuffix       = ".sha256"
	rowsSuffix       = ".csv"
	exceptionsSuffix = ".exceptions.csv"
)

func inWork(number int, suffix string) string {
	return path.Join(workFolder, volumeName(number)+suffix)
}

// begin begins a volume, and ends the one before it.
func (w *volumes) begin(number int) (err error) {
	if err := w.close(); err != nil {
		return err
	}
	v := &volume{number: number}
	w.now = v
	list := inWork(number, rowsSuffix)
	if w.form.dat {
		list = volumeName(number) + ".dat" + inProgress
	}
	if v.list, err = w.out.create(list); err != nil {
		return err
	}
	if v.sums, err = w.out.create(inWork(number, sumsSuffix)); err != nil {
		return err
	}
	if v.exceptions, err = w.out.create(inWork(number, exceptionsSuffix)); err != nil {
		return err
	}
	if err := w.out.mkdir(volumeName(number) + inProgress); err != nil || !w.form.dat {
		return err
	}
	if w.form.bom {
		if _, err := io.WriteString(v.list, byteOrderMark); err != nil {
			return err
		}
	}
	return writeDAT(v.list, w.form.columns())
}

// take adds a document to its volume.
func (w *volumes) take(f fetched) error {
	if w.now == nil || w.now.number != f.volume {
		if err := w.begin(f.volume); err != nil {
			return err
		}
	}
	v := w.now
	isTop := f.row == f.top
	if isTop {
		w.topFile = f.native.name
	}
	inside := w.form.within(f.document)
	if inside && w.topFile == "" {
		f.faults = []string{"the email that it is in is not exported"}
	}
	for _, what := range f.faults {
		x := exceptionOf(f.part.name, f.part.name.Zip(), what)
		x.Control, x.Custodian = f.row.ControlNumber, f.row.Custodian
		v.totals.Exceptions++
		if err := writeCSV(v.exceptions, x.row()); err != nil {
			return err
		}
	}
	if len(f.faults) > 0 && f.native.name == "" {
		return nil
	}
	if isTop {
		v.totals.Families++
	}
	v.totals.Documents++
	for _, s := range []sum{f.native, f.text} {
		if s.name != "" {
			v.totals.Bytes += s.bytes
			if err := writeSum(v.sums, s); err != nil {
				return err
			}
		}
	}
	return w.enter(f, inside)
}

// enter writes a document's record.
func (w *volumes) enter(f fetched, inside bool) error {
	v, all := w.now, w.plan.everyone(f.top)
	if f.text.name != "" {
		v.totals.Texts++
	}
	in := ""
	if inside {
		in = w.topFile
	} else {
		v.totals.Natives++
	}
	if w.form.dat {
		return writeDAT(v.list, w.form.record(f.document, f.native.name, f.text.name, all))
	}
	return writeCSV(v.list, w.form.index(f.document, f.native.name, in, all))
}

// writeSum writes a line as sha256sum -c reads it.
func writeSum(w io.Writer, s sum) error {
	_, err := fmt.Fprintf(w, "%s  %s\n", s.sha256, s.name)
	return err
}

// close ends the volume that is being written. Its record comes last: with it the volume is whole.
func (w *volumes) close() error {
	v := w.now
	if v == nil {
		return nil
	}
	name := volumeName(v.number)
	list, err := v.list.keep()
	if err != nil {
		return err
	}
	if w.form.dat {
		list.name = name + ".dat"
		if err := writeSum(v.sums, list); err != nil {
			return err
		}
	}
	for _, f := range []*file{v.sums, v.exceptions} {
		if _, err := f.keep(); err != nil {
			return err
		}
	}
	if err := w.out.rename(name+inProgress, name); err != nil {
		return err
	}
	if w.form.dat {
		if err := w.out.rename(name+".dat"+inProgress, name+".dat"); err != nil {
			return err
		}
	}
	w.now, v.totals.Volumes = nil, 1
	w.totals = w.totals.plus(v.totals)
	_, err = w.out.whole(inWork(v.number, recordSuffix), func(to io.Writer) error { return json.NewEncoder(to).Encode(v.totals) })
	return err
}

// leave closes the files of a volume that is not finished.
func (w *volumes) leave() {
	if w.now == nil {
		return
	}
	for _, f := range []*file{w.now.list, w.now.sums, w.now.exceptions} {
		if f != nil {
			f.drop()
		}
	}
}
