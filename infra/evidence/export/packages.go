package export

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"path"
)

// packagesFolder is what goes into the drop folder: Zip Drop would take the lists beside it for packages as well.
const packagesFolder = "packages"

// copiesAtOnce is how many packages are copied side by side.
const copiesAtOnce = 2

// copied is what became of a package.
type copied struct {
	*part
	sum   sum
	fault string
}

// copyPackages copies every package that holds a document that is asked for. One that lies there under its own name is whole:
// it had its hash before it was given the name.
func (e *exporter) copyPackages(ctx context.Context) (Totals, error) {
	e.plan.reads = 0
	jobs := make([]*part, len(e.plan.parts))
	for i := range e.plan.parts {
		jobs[i] = &e.plan.parts[i]
		e.plan.reads += jobs[i].pkg.Bytes
	}
	v, err := e.beginPackages()
	if err != nil {
		return Totals{}, err
	}
	err = inOrder(ctx, copiesAtOnce, each(jobs), e.copyPackage, func(c copied) error {
		if c.fault != "" {
			v.totals.Exceptions++
			return writeCSV(v.exceptions, exceptionOf(c.name, c.name.Zip(), c.fault).row())
		}
		v.totals = v.totals.plus(Totals{
			Families: c.families, Documents: c.matched, Alongside: c.documents - c.matched, Packages: 1, Bytes: c.pkg.Bytes,
		})
		return writeSum(v.sums, c.sum)
	})
	for _, f := range []*file{v.sums, v.exceptions} {
		_, failed := f.close()
		err = errors.Join(err, failed)
	}
	if err != nil {
		return Totals{}, err
	}
	_, err = e.out.whole(inWork(v.number, recordSuffix), func(w io.Writer) error { return json.NewEncoder(w).Encode(v.totals) })
	return v.totals, err
}

// beginPackages begins the lists, anew in every run.
func (e *exporter) beginPackages() (v *volume, err error) {
	v = &volume{number: 1}
	if v.sums, err = e.out.create(inWork(v.number, sumsSuffix)); err != nil {
		return nil, err
	}
	if v.exceptions, err = e.out.create(inWork(v.number, exceptionsSuffix)); err != nil {
		return nil, err
	}
	return v, e.out.mkdir(packagesFolder)
}

// copyPackage copies a package, under a name that Zip Drop passes over, and gives it its own once it has the seal's hash.
func (e *exporter) copyPackage(ctx context.Context, p *part) (copied, error) {
	name := path.Join(packagesFolder, p.pkg.Name)
	c := copied{part: p, sum: sum{name, p.pkg.SHA256, p.pkg.Bytes}}
	if info, err := e.out.root.Lstat(name); err == nil && info.Size() == p.pkg.Bytes {
		return c, nil
	}
	r, err := e.store.Open(ctx, p.name.Zip())
	if said, err := e.reading(p.name.Zip(), err); said != "" || err != nil {
		c.fault = said
		return c, err
	}
	defer r.Close()
	w, err := e.out.create(name + inProgress)
	if err != nil {
		return c, err
	}
	if _, err := io.Copy(w, io.TeeReader(&keeper{Reader: io.LimitReader(r, p.pkg.Bytes+1)}, meter{e})); err != nil {
		w.drop()
		if w.to.failed != nil {
			return c, w.to.failed
		}
		return c, unread(p.name.Zip(), err)
	}
	got, err := w.keep()
	switch {
	case err != nil:
		return c, err
	case got.sha256 != p.pkg.SHA256 || got.bytes != p.pkg.Bytes:
		c.fault = "the package is not the one that its seal names"
		return c, e.out.remove(name + inProgress)
	}
	return c, e.out.rename(name+inProgress, name)
}

// meter tells what is read of packages.
type meter struct{ *exporter }

// Write implements io.Writer.
func (m meter) Write(p []byte) (int, error) {
	if m.Read != nil {
		m.Read(m.plan.reads, len(p))
	}
	return len(p), nil
}
