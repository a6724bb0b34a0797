package find

import (
	"bytes"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"chainmail/handlers/pack"
	"chainmail/infra/evidence/evidencetest"
)

func TestASubjectIsFoundByItsHash(t *testing.T) {
	t.Parallel()
	const subject = "Re: Größe"
	tr := evidencetest.Made("made",
		[]evidencetest.Own{
			{Who: "anna", ID: "a", Subject: subject}, {Who: "bo", ID: "b", Subject: subject, Files: []string{"x.txt"}},
		},
		[]evidencetest.Own{
			{Who: "anna", ID: "c", Subject: "re: größe"}, {Who: "anna", ID: "d", Subject: subject}, {Who: "anna", ID: "e"},
		},
	)
	hash := pack.Sum([]byte(subject))
	anna := evidencetest.Custodian("anna").ID
	tests := []struct {
		name  string
		query Query
		want  int
		opens []string // packages out of which something is read
	}{
		{"alone", Query{SubjectSHA256: hash}, 3, []string{"-1.zip", "-2.zip"}},
		{"with a custodian", Query{SubjectSHA256: hash, Custodian: anna}, 2, []string{"-1.zip", "-2.zip"}},
		{"of one part's custodian", Query{SubjectSHA256: hash, Custodian: evidencetest.Custodian("bo").ID}, 1, []string{"-1.zip"}},
		{"another", Query{SubjectSHA256: pack.Sum([]byte(subject + "\n"))}, 0, []string{"-1.zip", "-2.zip"}},
	}
	for _, test := range tests {
		w := &watched{Store: open(t, tr)}
		got, r := run(t, w, test.query)
		opens := map[string]bool{}
		for _, read := range w.ranges {
			file, _, _ := strings.Cut(read, " ")
			opens[file[strings.LastIndex(file, "-"):]] = true
		}
		if len(got) != test.want || len(r.Faults) > 0 || !slices.Equal(slices.Sorted(maps.Keys(opens)), test.opens) {
			t.Errorf("%s: %d matches, want %d; faults %v; read out of %v", test.name, len(got), test.want, r.Faults, opens)
		}
	}
}

func TestAnAlteredLoadFileIsAFault(t *testing.T) {
	t.Parallel()
	tr := evidencetest.Made("made", []evidencetest.Own{{Who: "anna", ID: "a", Subject: "words"}})
	for file, data := range tr {
		if strings.HasSuffix(file, ".zip") {
			tr[file] = data[:len(data)-9]
		}
	}
	got, r := run(t, open(t, tr), Query{SubjectSHA256: pack.Sum([]byte("words"))})
	if len(got) > 0 || len(r.Faults) != 1 || !strings.Contains(r.Faults[0], ".zip: cannot be read") {
		t.Errorf("%d matches, faults %v", len(got), r.Faults)
	}
}

func TestRangesReadAFileBlockByBlock(t *testing.T) {
	t.Parallel()
	data := bytes.Repeat([]byte("0123456789abcdefg"), 3*block/17)
	w := &watched{Store: open(t, evidencetest.Tree{"file": data})}
	r := &ranges{ctx: t.Context(), store: w, name: "file", size: int64(len(data))}
	if err := iotest.TestReader(io.NewSectionReader(r, 0, r.size), data); err != nil {
		t.Fatal(err)
	}
	w.ranges = nil
	if _, err := io.Copy(io.Discard, io.NewSectionReader(r, 2*block+5, r.size)); err != nil || len(w.ranges) > 1 {
		t.Errorf("%v, the last block was read by %v", err, w.ranges)
	}
}
