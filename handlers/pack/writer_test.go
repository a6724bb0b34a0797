package pack

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func open(t *testing.T, data []byte) *zip.Reader {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	return z
}

// content reads an entry; archive/zip compares its length and CRC.
func content(t *testing.T, f *zip.File) string {
	t.Helper()
	r, err := f.Open()
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatalf("read %s: %v", f.Name, err)
	}
	return string(data)
}

func TestAPackageHoldsEveryFileInTheOrderOfItsFamilies(t *testing.T) {
	t.Parallel()
	p := newPacker(t)
	families := [][]Document{p.family("one"), {p.email("two")}}
	b := p.pack(families...)
	var want []string
	for _, f := range families {
		for _, e := range entries(f) {
			want = append(want, e.Name)
		}
	}
	var got []string
	for _, f := range open(t, b.data).File {
		got = append(got, f.Name)
		text := content(t, f)
		if strings.HasPrefix(f.Name, TextFolder) && !strings.HasPrefix(text, "\uFEFFbody of ") ||
			strings.HasSuffix(f.Name, "figures.xlsx") && text != "content of figures.xlsx" {
			t.Errorf("%s = %q", f.Name, text)
		}
	}
	if want = append(want, LoadFileName); !slices.Equal(got, want) {
		t.Errorf("entries %q, want %q", got, want)
	}
	if b.pkg.Entries != len(got) || b.pkg.Bytes != int64(len(b.data)) || b.pkg.SHA256 != Sum(b.data) ||
		b.pkg.Name != partOne().Stem()+".zip" {
		t.Errorf("package %+v of %d bytes and %d entries, SHA-256 %s", b.pkg, len(b.data), len(got), Sum(b.data))
	}
}

// A reader that works from the front of the file, as many unpackers do, sees no directory: the local headers must tell
// all by themselves.
func TestLocalHeadersAreComplete(t *testing.T) {
	t.Parallel()
	p := newPacker(t)
	b := p.pack(p.family("one"), []Document{p.email("two")})
	at, files := 0, open(t, b.data).File
	for _, f := range files {
		h := b.data[at:]
		u16, u32 := binary.LittleEndian.Uint16, binary.LittleEndian.Uint32
		if u32(h) != 0x04034B50 || u16(h[4:]) != 20 || u16(h[8:]) != zip.Deflate {
			t.Fatalf("%s: no local header of version 2.0 with Deflate at %d", f.Name, at)
		}
		ascii := strings.IndexFunc(f.Name, func(r rune) bool { return r >= utf8.RuneSelf }) < 0
		if flags := u16(h[6:]); flags&8 != 0 || (flags&0x800 != 0) == ascii || flags != f.Flags {
			t.Errorf("%s: flags %#x, in the directory %#x", f.Name, flags, f.Flags)
		}
		if u32(h[14:]) != f.CRC32 || uint64(u32(h[18:])) != f.CompressedSize64 || uint64(u32(h[22:])) != f.UncompressedSize64 {
			t.Errorf("%s: CRC and sizes are not the directory's", f.Name)
		}
		name, extra := int(u16(h[26:])), int(u16(h[28:]))
		if string(h[30:30+name]) != f.Name {
			t.Errorf("name %q, in the directory %q", h[30:30+name], f.Name)
		}
		at += 30 + name + extra + int(f.CompressedSize64)
	}
	if u := binary.LittleEndian.Uint32(b.data[at:]); u != 0x02014B50 {
		t.Errorf("%#x after the last entry, want the directory", u)
	}
}

func TestItemsSayWhereTheNativesLie(t *testing.T) {
	t.Parallel()
	p := newPacker(t)
	families := [][]Document{p.family("one"), {p.email("two")}, p.family("three")}
	b := p.pack(families...)
	documents := slices.Concat(families...)
	if len(b.rows) != len(documents) {
		t.Fatalf("%d rows for %d documents", len(b.rows), len(documents))
	}
	for i, row := range b.rows {
		raw := b.data[row.Offset : row.Offset+row.CompressedBytes]
		data, err := io.ReadAll(flate.NewReader(bytes.NewReader(raw)))
		if err != nil {
			t.Fatalf("%s: %v", row.Native, err)
		}
		native := documents[i].Native
		if row.Native != native.Name || int64(len(data)) != row.NativeBytes || Sum(data) != row.NativeSHA256 ||
			native.SHA256 != row.NativeSHA256 || native.Size != row.NativeBytes {
			t.Errorf("row %s of %d bytes, SHA-256 %s; read %d bytes, SHA-256 %s", row.Native, row.NativeBytes, row.NativeSHA256, len(data), Sum(data))
		}
	}
}

func TestFamiliesAdjoin(t *testing.T) {
	t.Parallel()
	p := newPacker(t)
	b := p.pack([]Document{p.email("zero")}, p.family("one"), []Document{p.email("two")})
	number := func(n int) string { return partOne().ControlNumber("O365", day(), 1, n) }
	want := [][3]string{ // number, group, parent
		{number(1), number(1), ""},
		{number(2), number(2), ""}, {number(3), number(2), number(2)}, {number(4), number(2), number(2)}, {number(5), number(2), number(4)},
		{number(6), number(6), ""},
	}
	var got [][3]string
	for _, r := range b.rows {
		got = append(got, [3]string{r.ControlNumber, r.GroupIdentifier, r.Parent})
	}
	if !slices.Equal(got, want) {
		t.Errorf("numbers %q, want %q", got, want)
	}
	_, records := loadfile(t, b)
	for i, r := range records {
		group, parent := want[i][1], want[i][1]
		if want[i][2] == "" {
			parent = ""
		}
		end := group
		if i >= 1 && i <= 4 {
			end = number(5)
		}
		if r["Control Number"] != want[i][0] || r["Group Identifier"] != group || r["Parent Document ID"] != parent ||
			r["BegAttach"] != group || r["EndAttach"] != end {
			t.Errorf("record %d: %q, %q, %q, %q, %q", i, r["Control Number"], r["Group Identifier"], r["Parent Document ID"], r["BegAttach"], r["EndAttach"])
		}
	}
}

func TestEqualInputGivesEqualBytes(t *testing.T) {
	t.Parallel()
	p, q := newPacker(t), newPacker(t)
	if a, b := p.pack(p.family("one"), p.family("two")), q.pack(q.family("one"), q.family("two")); !bytes.Equal(a.data, b.data) {
		t.Error("two packages of equal input differ")
	}
}

func TestAPackageWithoutDocumentsHasAnEmptyLoadFile(t *testing.T) {
	t.Parallel()
	b := newPacker(t).pack()
	header, records := loadfile(t, b)
	if len(records) != 0 || !slices.Equal(header, Columns()) || b.pkg.Entries != 1 || len(b.rows) != 0 {
		t.Errorf("header %q, %d records, %+v", header, len(records), b.pkg)
	}
}

func TestAFullPackageTakesNothingAndStaysWhole(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name  string
		make  func(w *Writer, large *Entry)
		small error // of a small family afterwards
	}{
		{"bytes", func(_ *Writer, large *Entry) { large.Compressed = maxZipBytes }, nil},
		{"entries", func(w *Writer, _ *Entry) { w.entries = maxZipEntries - 2 }, ErrFull},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			p := newPacker(t)
			var out bytes.Buffer
			w := NewWriter(&out, partOne(), "O365", day(), 1)
			if err := w.Add(p.family("one")); err != nil {
				t.Fatal(err)
			}
			before, documents := w.Bytes(), w.Documents()
			family := p.family("two")
			row.make(w, family[0].Native)
			if err := w.Add(family); !errors.Is(err, ErrFull) {
				t.Fatalf("Add = %v, want ErrFull", err)
			}
			if w.Bytes() != before || w.Documents() != documents {
				t.Errorf("%d bytes, %d documents after a refusal; before %d, %d", w.Bytes(), w.Documents(), before, documents)
			}
			if err := w.Add([]Document{p.email("three")}); !errors.Is(err, row.small) {
				t.Errorf("Add of a small family = %v, want %v", err, row.small)
			}
			if _, _, err := w.Close(); err != nil {
				t.Fatal(err)
			}
			if files := open(t, out.Bytes()).File; strings.Contains(files[len(files)-2].Name, letter("two").Key()) {
				t.Error("something of the refused family was written")
			}
		})
	}
}

func TestUnfitEntriesAreRefused(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name string
		make func(p packer, family []Document)
		text string
	}{
		{"fit", func(packer, []Document) {}, ""},
		{"taken", func(p packer, f []Document) { f[1].Native = p.entry(p.email("zero").Native.Name, "") }, "taken"},
		{"taken within the family", func(p packer, f []Document) { f[1].Native = p.entry(f[0].Native.Name, "") }, "taken"},
		{"too long", func(_ packer, f []Document) {
			f[1].Native.Name = NativesFolder + strings.Repeat("x", 150-len(NativesFolder)+1)
		}, "too long"},
		{"as long as may be", func(_ packer, f []Document) {
			f[1].Native.Name = NativesFolder + strings.Repeat("x", 150-len(NativesFolder))
		}, ""},
		{"not UTF-8", func(_ packer, f []Document) { f[1].Native.Name = NativesFolder + "\xFF" }, "not UTF-8"},
		{"4 GiB", func(_ packer, f []Document) { f[1].Native.Size = math.MaxUint32 }, "4 GiB"},
		{"not compressed", func(_ packer, f []Document) { f[1].Native = &Entry{Name: NativesFolder + "x"} }, "not compressed"},
		{"other length", func(_ packer, f []Document) { f[1].Native.Compressed++ }, "does not hold"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			p := newPacker(t)
			w := NewWriter(io.Discard, partOne(), "O365", day(), 1)
			if err := w.Add([]Document{p.email("zero")}); err != nil {
				t.Fatal(err)
			}
			family := p.family("one")
			row.make(p, family)
			wantError(t, "Add", w.Add(family), row.text)
		})
	}
}

// A broken pipe takes n bytes and no more.
type broken struct{ n int }

var errBroken = errors.New("broken")

func (b *broken) Write(p []byte) (int, error) {
	n := min(len(p), b.n)
	b.n -= n
	if n < len(p) {
		return n, errBroken
	}
	return n, nil
}

func TestAFaultOfTheOutputIsNeverLost(t *testing.T) {
	t.Parallel()
	p := newPacker(t)
	families := [][]Document{p.family("one"), p.family("two")}
	whole := len(p.pack(families...).data)
	for n := 0; n < whole; n += 97 {
		w := NewWriter(&broken{n}, partOne(), "O365", day(), 1)
		var failed error
		for _, f := range families {
			failed = errors.Join(failed, w.Add(f))
		}
		_, _, err := w.Close()
		if !errors.Is(err, errBroken) {
			t.Errorf("Close after %d of %d bytes = %v, want the output's fault", n, whole, err)
		}
		if failed != nil && !errors.Is(failed, errBroken) {
			t.Errorf("Add after %d of %d bytes = %v, want the output's fault", n, whole, failed)
		}
	}
}

func TestAClosedPackageTakesNothing(t *testing.T) {
	t.Parallel()
	p := newPacker(t)
	w := NewWriter(io.Discard, partOne(), "O365", day(), 1)
	if _, _, err := w.Close(); err != nil {
		t.Fatal(err)
	}
	wantError(t, "Add", w.Add(p.family("one")), "package is closed")
	_, _, err := w.Close()
	wantError(t, "second Close", err, "package is closed")
}

func TestEntriesHaveTheItemsTime(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		received string
		want     string
		extra    int // bytes
	}{
		{"2026-03-02T10:11:13Z", "2026-03-02T10:11:13Z", 9},
		{"2026-03-02T12:11:13+02:00", "2026-03-02T10:11:13Z", 9},
		{"1980-01-01T00:00:00Z", "1980-01-01T00:00:00Z", 9},
		{"1979-12-31T23:59:59Z", "1980-01-01T00:00:00Z", 0},
		{"0001-01-01T00:00:00Z", "1980-01-01T00:00:00Z", 0},
		{"2038-01-19T03:14:07Z", "2038-01-19T03:14:07Z", 9},
		{"2038-01-19T03:14:08Z", "2038-01-19T03:14:08Z", 0}, // beyond 32 bits
		{"2107-12-31T23:59:59Z", "2107-12-31T23:59:58Z", 0}, // in two seconds
		{"2108-01-01T00:00:00Z", "1980-01-01T00:00:00Z", 0},
	} {
		var h zip.FileHeader
		stamp(&h, at(row.received))
		h.Name = "x"
		var b bytes.Buffer
		z := zip.NewWriter(&b)
		if _, err := z.CreateRaw(&h); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		f := open(t, b.Bytes()).File[0]
		if got := f.Modified.UTC().Format(time.RFC3339); got != row.want || len(f.Extra) != row.extra {
			t.Errorf("%s: modified %s with %d bytes of extra fields, want %s, %d", row.received, got, len(f.Extra), row.want, row.extra)
		}
	}
}
