package export

import (
	"bytes"
	"compress/flate"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"chainmail/handlers/capture"
	"chainmail/handlers/pack"
	"chainmail/handlers/vault"
	"chainmail/handlers/vault/storagetest"
	"chainmail/infra/evidence/evidencetest"
	"chainmail/infra/evidence/store"
)

// numbers are the control numbers of an export by a DAT.
func numbers(t testing.TB, dir string) (all []string) {
	t.Helper()
	_, records := dats(t, files(t, dir), true)
	for _, r := range records {
		all = append(all, r["Control Number"])
	}
	return all
}

func number(n pack.Name, document int) string {
	return n.ControlNumber("O365", capture.Window{Start: evidencetest.Day(dayOf(n)).Start}, 1, document)
}

func dayOf(n pack.Name) int {
	w, _, _ := capture.ParseBatchID(n.Batch)
	return w.Start.Day()
}

func TestFamiliesThatAreAskedForAreExportedWhole(t *testing.T) {
	t.Parallel()
	one, three, four := evidencetest.One, evidencetest.Three, evidencetest.Four
	all := []string{
		number(one, 1), number(one, 2), number(one, 3), number(one, 4), number(one, 5), number(one, 6), number(one, 7),
		number(three, 1), number(three, 2), number(four, 1), number(four, 2), number(four, 3),
	}
	anna, bo := evidencetest.Custodian("anna"), evidencetest.Custodian("bo")
	noon := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	tests := []struct {
		name   string
		filter Filter
		want   []string
	}{
		{"everything", Filter{}, all},
		{"a custodian by object id", Filter{Custodians: []string{bo.ID}}, []string{all[6], all[9], all[10]}},
		{"a custodian by address", Filter{Custodians: []string{strings.ToUpper(anna.Identifier)}},
			slices.Concat(all[:6], all[11:])},
		{"two custodians", Filter{Custodians: []string{anna.ID, bo.Identifier}}, slices.Concat(all[:7], all[9:])},
		{"emails", Filter{Kind: capture.Email, Custodians: []string{bo.ID}}, all[9:11]},
		{"events", Filter{Kind: capture.Event}, all[6:7]},
		{"from", Filter{From: noon}, all[9:11]},
		{"to", Filter{To: noon}, slices.Concat(all[:9], all[11:])},
		{"from the second on", Filter{From: time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)}, all},
		{"to the second before", Filter{To: time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)}, nil},
	}
	s := open(t, evidencetest.Sample())
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			o := options(Concordance)
			o.Filter = test.filter
			o.Source = evidencetest.Mail
			dir, r := exportTo(t, s, o)
			if got := numbers(t, dir); !slices.Equal(got, test.want) || r.Totals.Documents != len(test.want) {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}

func TestAVolumeHoldsNoMoreThanItMayAndCutsNoFamily(t *testing.T) {
	t.Parallel()
	var list []evidencetest.Own
	for i := range 30 {
		m := evidencetest.Own{Who: "anna", ID: fmt.Sprint("mail", i), Bytes: 1000}
		for j := range i % 4 {
			m.Files = append(m.Files, fmt.Sprint(j, ".txt"))
		}
		list = append(list, m)
	}
	s := open(t, evidencetest.Made(evidencetest.Mail, list[:10], list[10:]))
	for name, limit := range map[string]func(*Options){
		"documents": func(o *Options) { o.volumeDocuments = 7 }, "bytes": func(o *Options) { o.volumeBytes = 5000 },
		"less than a family": func(o *Options) { o.volumeDocuments = 2 },
	} {
		o := options(Concordance)
		limit(&o)
		dir, r := exportTo(t, s, o)
		got := files(t, dir)
		volume := map[string]string{}
		for n := 1; n <= r.Totals.Volumes; n++ {
			_, records := readDAT(t, strings.TrimPrefix(got[fmt.Sprintf("VOL%03d.dat", n)], "\uFEFF"))
			families, size := map[string]bool{}, 0
			for _, r := range records {
				g := r["Group Identifier"]
				if v := volume[g]; v != "" && v != fmt.Sprint(n) {
					t.Errorf("%s: family %s is cut", name, g)
				}
				volume[g], families[g] = fmt.Sprint(n), true
			}
			for file, content := range got {
				if strings.HasPrefix(file, volumeName(n)+"/") {
					size += len(content)
				}
			}
			tooMany := o.volumeDocuments > 0 && len(records) > o.volumeDocuments && len(families) > 1
			if tooMany || o.volumeBytes > 0 && size > 5000 {
				t.Errorf("%s: volume %d has %d documents of %d families, %d bytes", name, n, len(records), len(families), size)
			}
		}
		if r.Totals.Volumes < 5 || len(volume) != 30 {
			t.Errorf("%s: %d volumes, %d families", name, r.Totals.Volumes, len(volume))
		}
	}
}

// errCut is the end of a run that a test cut.
var errCut = errors.New("cut")

// cutAfter lets n changes through and none behind them, as when the process is gone.
func cutAfter(n int64) func() error {
	var done atomic.Int64
	return func() error {
		if done.Add(1) > n {
			return errCut
		}
		return nil
	}
}

func TestARunThatWasCutAnywhereEndsWithTheSameBytes(t *testing.T) {
	t.Parallel()
	const mih = "1de319c276884bd0c9e2f1621ada26cc"
	s := open(t, evidencetest.Made(evidencetest.Mail,
		[]evidencetest.Own{{Who: "anna", ID: "a", MIH: mih, Files: []string{"1.txt"}}, {Who: "bo", ID: "b"}},
		[]evidencetest.Own{{Who: "bo", ID: "c", MIH: mih}, {Who: "anna", ID: "d"}}))
	for _, as := range []string{Concordance, EML, Trace} {
		t.Run(as, func(t *testing.T) {
			t.Parallel()
			o := options(as)
			o.volumeDocuments, o.Dedupe = 3, as != Trace
			dir, r := exportTo(t, s, o)
			want := files(t, dir)
			if as != Trace && (r.Totals.Volumes != 2 || r.Totals.Duplicates != 1) {
				t.Fatalf("%+v", r.Totals)
			}
			for n := int64(0); ; n++ {
				dir := filepath.Join(t.TempDir(), "out")
				first := o
				first.cut = cutAfter(n)
				if _, err := Run(t.Context(), s, dir, first); err == nil {
					if n < 20 {
						t.Errorf("only %d changes", n)
					}
					break
				} else if !errors.Is(err, errCut) {
					t.Fatalf("cut after %d changes: %v", n, err)
				}
				if _, err := os.Lstat(filepath.Join(dir, "work_inprogress", "begun.json")); err == nil {
					first.Now = func() time.Time { return o.Now().Add(time.Hour) } // the time of the beginning stays
				}
				first.cut = cutAfter(n % 7) // and once more
				_, _ = Run(t.Context(), s, dir, first)
				first.cut = nil
				if _, err := Run(t.Context(), s, dir, first); err != nil {
					t.Fatalf("after a cut after %d changes: %v", n, err)
				}
				if same(t, files(t, dir), want); t.Failed() {
					t.Fatalf("cut after %d changes", n)
				}
			}
		})
	}
}

func TestVolumesThatAreWholeAreKept(t *testing.T) {
	t.Parallel()
	s := &watched{Store: open(t, evidencetest.Sample())}
	o := options(Concordance)
	o.volumeDocuments = 6
	dir := filepath.Join(t.TempDir(), "out")
	ctx, cancel := context.WithCancel(t.Context())
	first := o
	first.cut = func() error { // when the second volume is begun
		if _, err := os.Lstat(filepath.Join(dir, "work_inprogress", "VOL001.json")); err == nil {
			cancel()
			return errCut
		}
		return nil
	}
	if _, err := Run(ctx, s, dir, first); err == nil {
		t.Fatal("it was not cut")
	}
	s.ranges = nil
	if _, err := Run(t.Context(), s, dir, o); err != nil {
		t.Fatal(err)
	}
	rows, err := pack.DecodeItems(evidencetest.Sample()[evidencetest.One.Items()])
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range s.ranges {
		if r.name == evidencetest.One.Zip() && r.off == rows[0].Offset {
			t.Error("a document of the volume that was whole is read again")
		}
	}
	if len(s.ranges) == 0 {
		t.Error("nothing was read")
	}
}

func TestAFolderThatHoldsSomethingElseIsRefusedByWhatDiffers(t *testing.T) {
	t.Parallel()
	s := open(t, evidencetest.Sample())
	for name, change := range map[string]func(*Options){
		"-as": func(o *Options) { o.As = Nuix }, "-kind": func(o *Options) { o.Kind = capture.Email },
		"-custodian": func(o *Options) { o.Custodians = []string{evidencetest.Custodian("anna").ID} },
		"-source":    func(o *Options) { o.Source = "second" }, "-from": func(o *Options) { o.From = evidencetest.Day(1).Start },
		"-to": func(o *Options) { o.To = evidencetest.Day(9).Start }, "-dedupe": func(o *Options) { o.Dedupe = true },
		"version": func(o *Options) { o.Tool.Version = "2" },
	} {
		for _, state := range []string{"finished", "cut"} {
			o := options(Concordance)
			dir := filepath.Join(t.TempDir(), "out")
			if state == "cut" {
				o.cut = cutAfter(20)
			}
			_, _ = Run(t.Context(), s, dir, o)
			before := files(t, dir)
			o.cut = nil
			change(&o)
			var no Refusal
			if _, err := Run(t.Context(), s, dir, o); !errors.As(err, &no) || !strings.Contains(no.Reason, name) {
				t.Errorf("%s, %s: %v", name, state, err)
			}
			same(t, files(t, dir), before)
		}
	}
	dir := t.TempDir()
	evidencetest.Write(t, dir, "letter.txt", []byte("x"))
	var no Refusal
	if _, err := Run(t.Context(), s, dir, options(EML)); !errors.As(err, &no) || !strings.Contains(no.Reason, "something else") {
		t.Errorf("a folder with a file: %v", err)
	}
	same(t, files(t, dir), map[string]string{"letter.txt": "x"})
}

func TestAFinishedExportIsLeftAsItIs(t *testing.T) {
	t.Parallel()
	s := open(t, evidencetest.Sample())
	dir, r := exportTo(t, s, options(EML))
	want := files(t, dir)
	o := options(EML)
	o.cut = func() error { return errCut }
	again, err := Run(t.Context(), s, dir, o)
	if err != nil || again.Totals != r.Totals {
		t.Errorf("%v, %+v", err, again.Totals)
	}
	same(t, files(t, dir), want)
}

// What is collected while an export goes on is not in it, whenever it was cut.
func TestAnExportIsOfTheEvidenceAsItWasWhenItBegan(t *testing.T) {
	t.Parallel()
	tr := evidencetest.Sample()
	early := clone(tr)
	for _, name := range tr.Files() {
		if strings.HasPrefix(name, evidencetest.Mail+"/"+evidencetest.Four.Batch+"/") {
			delete(early, name)
		}
	}
	want, _ := exportTo(t, open(t, early), options(Concordance))
	dir := filepath.Join(t.TempDir(), "out")
	o := options(Concordance)
	o.cut = cutAfter(20)
	if _, err := Run(t.Context(), open(t, early), dir, o); !errors.Is(err, errCut) {
		t.Fatal(err)
	}
	if _, err := Run(t.Context(), open(t, tr), dir, options(Concordance)); err != nil {
		t.Fatal(err)
	}
	same(t, files(t, dir), files(t, want))

	altered := clone(early)
	altered[evidencetest.Three.Items()][10] ^= 1
	dir = filepath.Join(t.TempDir(), "out")
	o.cut = cutAfter(20)
	if _, err := Run(t.Context(), open(t, early), dir, o); !errors.Is(err, errCut) {
		t.Fatal(err)
	}
	var no Refusal
	_, err := Run(t.Context(), open(t, altered), dir, options(Concordance))
	if !errors.As(err, &no) || !strings.Contains(no.Reason, "altered") {
		t.Errorf("evidence that was altered in between: %v", err)
	}
}

func TestOfOneMIHTheFirstFamilyIsExportedAndTheOthersAreListed(t *testing.T) {
	t.Parallel()
	const mih, other = "1de319c276884bd0c9e2f1621ada26cc", "0123456789abcdef0123456789abcdef"
	tr := evidencetest.Made(evidencetest.Mail,
		[]evidencetest.Own{
			{Who: "anna", ID: "a", MIH: mih, Files: []string{"1.txt"}}, {Who: "anna", ID: "none"}, {Who: "bo", ID: "none too"},
		},
		[]evidencetest.Own{
			{Who: "bo", ID: "b", MIH: mih, Files: []string{"1.txt"}}, {Who: "cleo", ID: "c", MIH: other},
			{Who: "cleo", ID: "d", MIH: mih}, {Who: "anna", ID: "e", MIH: other},
		})
	one, two := evidencetest.One, evidencetest.Two
	o := options(Everlaw)
	o.Dedupe = true
	dir, r := exportTo(t, open(t, tr), o)
	got := files(t, dir)
	checkHashes(t, got)
	_, records := dats(t, got, true)
	var ids []string
	for _, r := range records {
		ids = append(ids, r["Begin Bates"]+" "+r["All Custodians"])
	}
	want := []string{
		number(one, 1) + " anna@contoso.example;bo@contoso.example;cleo@contoso.example",
		number(one, 2) + " anna@contoso.example;bo@contoso.example;cleo@contoso.example",
		number(one, 3) + " anna@contoso.example", number(one, 4) + " bo@contoso.example",
		number(two, 3) + " cleo@contoso.example;anna@contoso.example",
	}
	if !slices.Equal(ids, want) {
		t.Errorf("got %q\nwant %q", ids, want)
	}
	var listed []string
	for _, row := range table(t, got["duplicates.csv"]) {
		listed = append(listed, row["controlNumber"]+" "+row["duplicateOf"]+" "+row["identifier"]+" "+row["documents"])
	}
	want = []string{
		number(two, 1) + " " + number(one, 1) + " bo@contoso.example 2",
		number(two, 4) + " " + number(one, 1) + " cleo@contoso.example 1",
		number(two, 5) + " " + number(two, 3) + " anna@contoso.example 1",
	}
	if !slices.Equal(listed, want) || r.Totals.Duplicates != 4 {
		t.Errorf("got %q, %d documents\nwant %q", listed, r.Totals.Duplicates, want)
	}
	o = options(Trace)
	o.Dedupe = true
	var no Refusal
	if _, err := Run(t.Context(), open(t, tr), filepath.Join(t.TempDir(), "out"), o); !errors.As(err, &no) {
		t.Errorf("trace: %v", err)
	}
}

func TestWhatIsAlteredOrMissingIsAnExceptionByItsName(t *testing.T) {
	t.Parallel()
	one, four := evidencetest.One, evidencetest.Four
	sample := evidencetest.Sample()
	rows, err := pack.DecodeItems(sample[one.Items()])
	if err != nil {
		t.Fatal(err)
	}
	manifest := evidencetest.Mail + "/" + four.Batch + "/manifest.json"
	entry := func(tr evidencetest.Tree, name string) int { // where an entry's name stands in its local header
		return bytes.Index(tr[one.Zip()], []byte(name))
	}
	tests := []struct {
		name       string
		alter      func(evidencetest.Tree)
		file, what string
		exceptions int
		documents  int
	}{
		{"a byte of a native", func(tr evidencetest.Tree) { tr[one.Zip()][rows[0].Offset+rows[0].CompressedBytes/2] ^= 4 },
			one.Zip(), "not the one that the items name", 1, 11},
		{"a byte of a text", func(tr evidencetest.Tree) { tr[one.Zip()][entry(tr, rows[5].Text)+len(rows[5].Text)+12] ^= 4 },
			one.Zip(), "the text in the package is damaged", 1, 12},
		{"the CRC of a text", func(tr evidencetest.Tree) { tr[one.Zip()][entry(tr, rows[5].Text)-16] ^= 4 },
			one.Zip(), "the text in the package is damaged", 1, 12},
		{"a record of the load file", func(tr evidencetest.Tree) {
			forge(t, tr, one, func(s string) string { return strings.Replace(s, rows[1].NativeSHA256, rows[2].NativeSHA256, -1) })
		}, one.Zip(), "its record in the load file", 1, 11},
		{"a byte of the load file", func(tr evidencetest.Tree) { tr[one.Zip()][entry(tr, "loadfile.dat")+200] ^= 4 },
			one.Zip(), "load file is damaged", 7, 5},
		{"a byte near the load file's end", func(tr evidencetest.Tree) {
			tr[one.Zip()][bytes.Index(tr[one.Zip()], []byte("PK\x01\x02"))-12] ^= 4
		}, one.Zip(), "load file is damaged", 7, 5},
		{"no package", func(tr evidencetest.Tree) { delete(tr, one.Zip()) }, one.Zip(), "the package is missing", 7, 5},
		{"a package that is cut", func(tr evidencetest.Tree) { tr[four.Zip()] = tr[four.Zip()][:60] },
			four.Zip(), "damaged", 3, 9},
		{"a byte of the items", func(tr evidencetest.Tree) { tr[one.Items()][20] ^= 1 },
			one.Items(), "its SHA-256 is not the one", 1, 5},
		{"no items", func(tr evidencetest.Tree) { delete(tr, one.Items()) }, one.Items(), "is missing", 1, 5},
		{"a byte of the seal", func(tr evidencetest.Tree) { tr[one.Seal()][20] ^= 1 },
			one.Seal(), "its SHA-256 is not the one", 1, 5},
		{"no seal", func(tr evidencetest.Tree) { delete(tr, one.Seal()) }, one.Seal(), "is missing", 1, 5},
		{"a manifest that is none", func(tr evidencetest.Tree) { tr[manifest] = []byte("{}") }, manifest, "manifest", 1, 9},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			tr := clone(sample)
			test.alter(tr)
			dir, r := exportTo(t, open(t, tr), options(Concordance))
			got := files(t, dir)
			checkHashes(t, got)
			rows := table(t, got[exceptionsFile])
			if len(rows) != test.exceptions || r.Totals.Exceptions != test.exceptions || r.Totals.Documents != test.documents {
				t.Fatalf("%+v, want %d exceptions and %d documents: %v", r.Totals, test.exceptions, test.documents, rows)
			}
			if rows[0]["file"] != test.file || !strings.Contains(rows[0]["what"], test.what) {
				t.Errorf("%v, want %s: %s", rows[0], test.file, test.what)
			}
			if strings.Contains(got[exceptionsFile], evidencetest.Canary) {
				t.Error("a mail is quoted")
			}
			if natives, _ := readRelativity(t, got); len(natives) != test.documents {
				t.Errorf("%d natives", len(natives))
			}
		})
	}
}

// forge gives a package another load file, with the CRC that it needs.
func forge(t *testing.T, tr evidencetest.Tree, n pack.Name, change func(string) string) {
	t.Helper()
	text := change(string(evidencetest.Entry(t, tr[n.Zip()], "loadfile.dat")))
	var packed bytes.Buffer
	w, _ := flate.NewWriter(&packed, flate.DefaultCompression)
	_, _ = io.WriteString(w, text)
	_ = w.Close()
	data := tr[n.Zip()]
	at := bytes.Index(data, []byte("loadfile.dat")) - 30
	end := at + 30 + len("loadfile.dat") + int(binary.LittleEndian.Uint16(data[at+28:]))
	head := bytes.Clone(data[at:end])
	binary.LittleEndian.PutUint32(head[14:], crc32.ChecksumIEEE([]byte(text)))
	binary.LittleEndian.PutUint32(head[18:], uint32(packed.Len()))
	binary.LittleEndian.PutUint32(head[22:], uint32(len(text)))
	tr[n.Zip()] = slices.Concat(data[:at], head, packed.Bytes())
}

func TestPackagesForZipDropAreTheEvidencesOwn(t *testing.T) {
	t.Parallel()
	tr := clone(evidencetest.Sample())
	o := options(Trace)
	o.Custodians = []string{evidencetest.Custodian("bo").ID}
	dir, r := exportTo(t, open(t, tr), o)
	got := files(t, dir)
	checkHashes(t, got)
	for _, n := range []pack.Name{evidencetest.One, evidencetest.Four} {
		if got["packages/"+n.Stem()+".zip"] != string(tr[n.Zip()]) {
			t.Errorf("%s is not the evidence's", n.Stem())
		}
	}
	if r.Totals.Packages != 2 || r.Totals.Documents != 3 || r.Totals.Alongside != 7 || len(got) != 5 {
		t.Errorf("%+v, %d files", r.Totals, len(got))
	}
	tr[evidencetest.One.Zip()][100] ^= 1
	dir, r = exportTo(t, open(t, tr), o)
	got = files(t, dir)
	checkHashes(t, got)
	rows := table(t, got[exceptionsFile])
	if r.Totals.Exceptions != 1 || len(rows) != 1 || rows[0]["file"] != evidencetest.One.Zip() || len(got) != 4 {
		t.Errorf("an altered package: %v, %+v, %d files", rows, r.Totals, len(got))
	}
}

func TestAHostileMailForgesNothing(t *testing.T) {
	t.Parallel()
	const formula = `=HYPERLINK("https://evil.example","x")`
	long := strings.Repeat("long", 100) + ".docx"
	tr := evidencetest.Made(evidencetest.Mail, []evidencetest.Own{
		{Who: "anna", ID: "1", Subject: "a" + "þ\x14þ" + "b\r\nþO365-1þ\x14þforgedþ\r\n",
			Files: []string{`..\..\evil.exe`, "con.txt", long, "x.txt\u202Egpj"}},
		{Who: "anna", ID: "2", Subject: formula, MessageID: formula}, {Who: "anna", ID: "3", MessageID: "@SUM(1),\"\r\n,forged"},
		{Who: "anna", ID: "4", MessageID: "\t=1"},
	})
	for as, read := range readers {
		dir, r := exportTo(t, open(t, tr), options(as))
		got := files(t, dir)
		checkHashes(t, got)
		natives, _ := read(t, got)
		want, _ := wanted(t, tr, evidencetest.Mail, forms[as].inline)
		same(t, natives, want)
		if r.Totals.Documents != 8 || r.Totals.Exceptions > 0 {
			t.Errorf("%s: %+v", as, r.Totals)
		}
		for name := range got {
			for part := range strings.SplitSeq(name, "/") {
				if part != pack.SafeName(part) || len(name) > 180 {
					t.Errorf("%s: %q is no safe name", as, name)
				}
			}
			if list := strings.HasSuffix(name, ".csv"); list {
				for _, row := range table(t, got[name]) {
					for column, v := range row {
						if v != "" && strings.ContainsAny(v[:1], "=+-@\t\r\n") {
							t.Errorf("%s: %s, %s is a formula: %q", as, name, column, v)
						}
					}
				}
			}
		}
		if as == EML && len(table(t, got["index.csv"])) != 8 {
			t.Errorf("index.csv has %d records", len(table(t, got["index.csv"])))
		}
	}
}

func TestSourcesWithTheSameControlNumbersAreNotMixed(t *testing.T) {
	t.Parallel()
	s := open(t, evidencetest.Sample())
	o := options(Nuix)
	o.Source = ""
	dir := filepath.Join(t.TempDir(), "out")
	var no Refusal
	if _, err := Run(t.Context(), s, dir, o); !errors.As(err, &no) || !strings.Contains(no.Reason, "-source") {
		t.Errorf("%v", err)
	}
	if _, err := os.Lstat(dir); err == nil {
		t.Error("a folder is left of an export that was refused")
	}
	o.As = Trace
	if _, r := exportTo(t, s, o); r.Totals.Packages != 4 || r.Totals.Documents != 14 {
		t.Errorf("trace: %+v", r.Totals)
	}
	o.Custodians = []string{"nobody@contoso.example"}
	_, err := Run(t.Context(), s, filepath.Join(t.TempDir(), "out"), o)
	if !errors.As(err, &no) || strings.Contains(no.Reason, "nobody") {
		t.Errorf("a custodian whom no seal names: %v", err)
	}
}

func TestPartsThatNoManifestNamesAreCountedAndLeftOut(t *testing.T) {
	t.Parallel()
	tr := clone(evidencetest.Sample())
	stray := evidencetest.Name(evidencetest.Mail, evidencetest.Day(3), 1, 0, 1)
	tr[stray.Items()], tr[stray.Seal()], tr[stray.Zip()] = tr[evidencetest.One.Items()], tr[evidencetest.One.Seal()], nil
	_, r := exportTo(t, open(t, tr), options(EML))
	if r.Unnamed != 1 || r.Totals.Documents != 12 {
		t.Errorf("%d unnamed, %+v", r.Unnamed, r.Totals)
	}
	delete(tr, evidencetest.Mail+"/"+evidencetest.One.Batch+"/manifest.json") // it is still being collected
	_, r = exportTo(t, open(t, tr), options(EML))
	if r.Unnamed != 4 || r.Totals.Documents != 3 {
		t.Errorf("a batch without a manifest: %d unnamed, %+v", r.Unnamed, r.Totals)
	}
}

// watched notes what is read of packages.
type watched struct {
	store.Store
	mu     sync.Mutex
	opened []string
	ranges []span
	bytes  int64
}

type span struct {
	name   string
	off, n int64
}

func (w *watched) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	w.mu.Lock()
	w.opened = append(w.opened, name)
	w.mu.Unlock()
	return w.Store.Open(ctx, name)
}

func (w *watched) Range(ctx context.Context, name string, off, n int64) (io.ReadCloser, error) {
	r, err := w.Store.Range(ctx, name, off, n)
	w.mu.Lock()
	w.ranges = append(w.ranges, span{name, off, n})
	w.mu.Unlock()
	if err != nil {
		return nil, err
	}
	return struct {
		io.Reader
		io.Closer
	}{io.TeeReader(r, w), r}, nil
}

// Write counts what was read.
func (w *watched) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.bytes += int64(len(p))
	return len(p), nil
}

func TestOfAContainerOnlyWhatIsNeededIsRead(t *testing.T) {
	t.Parallel()
	var mails []evidencetest.Own
	for i := range 20 {
		mails = append(mails, evidencetest.Own{
			Who: []string{"anna", "bo"}[i/10], ID: fmt.Sprint("mail", i), Bytes: 20_000, Files: []string{"a.txt"},
		})
	}
	tr := evidencetest.Made(evidencetest.Mail, mails)
	v, err := vault.Open(vault.Account{ConnectionString: storagetest.New(t).Proxy(t).ConnectionString()})
	if err != nil {
		t.Fatal(err)
	}
	c := v.Container("evidence")
	if err := c.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	for name, data := range tr {
		if err := c.PutOnce(t.Context(), name, data, ""); err != nil {
			t.Fatal(err)
		}
	}
	rows, err := pack.DecodeItems(tr[evidencetest.One.Items()])
	if err != nil {
		t.Fatal(err)
	}
	natives, wanted := int64(0), 0
	for _, row := range rows {
		if row.Custodian == evidencetest.Custodian("bo").ID {
			natives, wanted = natives+row.CompressedBytes, wanted+1
		}
	}
	for _, as := range []string{Concordance, EML} {
		s := &watched{Store: store.OpenContainer(c)}
		o := options(as)
		o.Custodians = []string{evidencetest.Custodian("bo").ID}
		dir, r := exportTo(t, s, o)
		fromFolder, _ := exportTo(t, open(t, tr), o)
		same(t, files(t, dir), files(t, fromFolder))
		for _, name := range s.opened {
			if strings.HasSuffix(name, ".zip") {
				t.Errorf("%s: %s is read whole", as, name)
			}
		}
		most := natives + int64(wanted)*600 // texts, and headers of entries
		if as == Concordance {
			most += int64(len(tr[evidencetest.One.Zip()])) - rows[len(rows)-1].Offset // the load file
		}
		if s.bytes > most || r.Totals.Documents != wanted || most > int64(len(tr[evidencetest.One.Zip()]))*3/4 {
			t.Errorf("%s: %d bytes of packages read, want %d at most; %+v", as, s.bytes, most, r.Totals)
		}
		if requests := len(s.ranges); requests > wanted+3 {
			t.Errorf("%s: %d requests for %d documents", as, requests, wanted)
		}
	}
}

// What cannot be read for now is no exception: the export stops, and goes on when it can.
func TestWhatCannotBeReadForNowStopsTheExport(t *testing.T) {
	t.Parallel()
	tr := evidencetest.Sample()
	want, _ := exportTo(t, open(t, tr), options(Concordance))
	down := errors.New("the storage is down")
	for n := int64(0); ; n++ {
		dir := filepath.Join(t.TempDir(), "out")
		s := &failing{Store: open(t, tr), after: n, within: n > 5, err: down}
		_, err := Run(t.Context(), s, dir, options(Concordance))
		if s.done.Load() <= n { // there are no more reads
			if n < 20 || err != nil {
				t.Errorf("%d reads, %v", n, err)
			}
			break
		}
		if !errors.Is(err, down) {
			t.Fatalf("after %d reads: %v", n, err)
		}
		if _, err := Run(t.Context(), open(t, tr), dir, options(Concordance)); err != nil {
			t.Fatalf("after %d reads, again: %v", n, err)
		}
		same(t, files(t, dir), files(t, want))
	}
}

// failing fails one read: at once, or within a file.
type failing struct {
	store.Store
	done   atomic.Int64
	after  int64
	within bool
	err    error
}

func (f *failing) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	r, err := f.Store.Open(ctx, name)
	return f.read(r, 5, err)
}

func (f *failing) Range(ctx context.Context, name string, off, n int64) (io.ReadCloser, error) {
	r, err := f.Store.Range(ctx, name, off, n)
	return f.read(r, n/2, err)
}

func (f *failing) read(r io.ReadCloser, n int64, err error) (io.ReadCloser, error) {
	switch {
	case err != nil || f.done.Add(1) != f.after+1:
		return r, err
	case !f.within:
		_ = r.Close()
		return nil, f.err
	}
	return struct {
		io.Reader
		io.Closer
	}{io.MultiReader(io.LimitReader(r, n), iotest.ErrReader(f.err)), r}, nil
}
