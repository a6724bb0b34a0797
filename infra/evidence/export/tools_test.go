package export

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"chainmail/infra/evidence/evidencetest"
)

// The readers here are written from what the tools publish, and use nothing of what writes.

// readDAT reads a DAT by Concordance's default characters: records end in CR LF, values stand between þ with 0x14 between
// them, and a line break in a value is ®.
func readDAT(t testing.TB, data string) (header []string, records []map[string]string) {
	t.Helper()
	if !utf8.ValidString(data) {
		t.Fatal("the DAT is not UTF-8")
	}
	lines := strings.Split(data, "\r\n")
	if lines[len(lines)-1] != "" {
		t.Fatal("the last record does not end in CR LF")
	}
	for n, line := range lines[:len(lines)-1] {
		values := strings.Split(line, "\x14")
		for i, v := range values {
			inner := strings.TrimSuffix(strings.TrimPrefix(v, "þ"), "þ")
			if len(v) < 4 || "þ"+inner+"þ" != v || strings.ContainsAny(inner, "þ\r\n") {
				t.Fatalf("line %d, value %d is not between quotes: %q", n+1, i+1, v)
			}
			values[i] = inner
		}
		if n == 0 {
			header = values
			continue
		}
		if len(values) != len(header) {
			t.Fatalf("line %d has %d values, the header %d", n+1, len(values), len(header))
		}
		record := map[string]string{}
		for i, name := range header {
			record[name] = values[i]
		}
		if len(record) != len(header) {
			t.Fatal("two columns have one name")
		}
		records = append(records, record)
	}
	return header, records
}

// dats are the records of all volumes, in their order.
func dats(t testing.TB, got map[string]string, bom bool) (header []string, records []map[string]string) {
	t.Helper()
	for n := 1; ; n++ {
		data, there := got[fmt.Sprintf("VOL%03d.dat", n)]
		if !there {
			return header, records
		}
		data, marked := strings.CutPrefix(data, "\uFEFF")
		if marked != bom {
			t.Errorf("volume %d: byte order mark: %t, want %t", n, marked, bom)
		}
		var some []map[string]string
		header, some = readDAT(t, data)
		records = append(records, some...)
	}
}

// A reader accepts an export as its tool does, and gives the natives by their identifiers, and the texts.
type reader func(t testing.TB, got map[string]string) (natives, texts map[string]string)

// linked reads the files that two columns of a DAT point to.
func linked(
	t testing.TB, got map[string]string, records []map[string]string, id, native, text string,
) (natives, texts map[string]string) {
	t.Helper()
	natives, texts = map[string]string{}, map[string]string{}
	for _, r := range records {
		if _, twice := natives[r[id]]; twice || r[id] == "" {
			t.Errorf("identifier %q stands twice, or is none", r[id])
		}
		for column, to := range map[string]map[string]string{native: natives, text: texts} {
			if r[column] == "" {
				continue
			}
			if strings.ContainsAny(r[column], `/:*?"<>|`) || len(r[column]) > 180 {
				t.Errorf("%s %q is no path of Windows", column, r[column])
			}
			content, there := got[strings.ReplaceAll(r[column], `\`, "/")]
			if !there {
				t.Errorf("%s %q is not there", column, r[column])
			}
			to[r[id]] = content
		}
	}
	return natives, texts
}

// Relativity: a document-level load file; the encoding is told by the byte order mark, as it is of texts; columns are mapped
// by name, and the identifier is required. Import/Export wants the load file beside what is zipped.
func readRelativity(t testing.TB, got map[string]string) (natives, texts map[string]string) {
	_, records := dats(t, got, true)
	natives, texts = linked(t, got, records, "Control Number", "Native File", "Extracted Text")
	for id, text := range texts {
		if !strings.HasPrefix(text, "\uFEFF") {
			t.Errorf("the text of %s tells no encoding", id)
		}
	}
	for _, r := range records {
		if !regexp.MustCompile(`^VOL\d{3}\\NATIVES\\`).MatchString(r["Native File"]) ||
			r["Extracted Text"] != "" && !regexp.MustCompile(`^VOL\d{3}\\TEXT\\`).MatchString(r["Extracted Text"]) {
			t.Errorf("paths %q and %q", r["Native File"], r["Extracted Text"])
		}
	}
	return natives, texts
}

// Nuix Workstation, "Ingest a load file": DAT at the root, headers in capitals, unique DOCID, ITEMPATH and TEXTPATH begin with
// the folder's name and neither with "\" nor ".\", UTF-8 without byte order mark.
func readNuix(t testing.TB, got map[string]string) (natives, texts map[string]string) {
	header, records := dats(t, got, false)
	for _, h := range header {
		if h != strings.ToUpper(h) || strings.ContainsAny(h, " /-") {
			t.Errorf("header %q", h)
		}
	}
	for _, h := range []string{"DOCID", "PARENT_DOCID", "ITEMPATH", "TEXTPATH", "BEGATTACH", "ENDATTACH"} {
		if !slices.Contains(header, h) {
			t.Errorf("no column %s", h)
		}
	}
	ids := map[string]bool{"": true}
	for _, r := range records {
		ids[r["DOCID"]] = true
		for _, p := range []string{r["ITEMPATH"], r["TEXTPATH"]} {
			if p != "" && !strings.HasPrefix(p, "VOL") {
				t.Errorf("path %q does not begin with a folder at the root", p)
			}
		}
		if !ids[r["PARENT_DOCID"]] {
			t.Errorf("the parent of %s does not come before it", r["DOCID"])
		}
	}
	return linked(t, got, records, "DOCID", "ITEMPATH", "TEXTPATH")
}

// Everlaw, "Standard format for processed data": a beginning and an end identifier of one convention, prefixes of letters,
// digits, hyphens, underscores and spaces, which should not end in a digit or a space; no alphabetic suffixes; a line for
// each document; families by range or parent.
func readEverlaw(t testing.TB, got map[string]string) (natives, texts map[string]string) {
	_, records := dats(t, got, true)
	form := regexp.MustCompile(`^([A-Za-z0-9_ -]*[A-Za-z_-])(\d+)$`)
	number := func(id string) (string, int) {
		m := form.FindStringSubmatch(id)
		if m == nil {
			t.Fatalf("identifier %q", id)
		}
		n, _ := strconv.Atoi(m[2])
		return m[1], n
	}
	for _, r := range records {
		if r["Begin Bates"] != r["End Bates"] {
			t.Errorf("%s ends as %s", r["Begin Bates"], r["End Bates"])
		}
		prefix, n := number(r["Begin Bates"])
		first, from := number(r["Begin Family"])
		last, to := number(r["End Family"])
		if first != prefix || last != prefix || n < from || n > to {
			t.Errorf("%s lies outside of its family", r["Begin Bates"])
		}
		name := path.Base(strings.ReplaceAll(r["Native Path"], `\`, "/"))
		if strings.TrimSuffix(name, path.Ext(name)) != r["Begin Bates"] {
			t.Errorf("the native of %s is called %s", r["Begin Bates"], name)
		}
	}
	return linked(t, got, records, "Begin Bates", "Native Path", "Text Path")
}

// Purview, "Import external data into a review set": all files lie in folders called alias@domain, in a root folder without
// loose files.
func readPurview(t testing.TB, got map[string]string) (natives, texts map[string]string) {
	natives = map[string]string{}
	for name, content := range got {
		volume, below, inVolume := strings.Cut(name, "/")
		if !inVolume {
			continue // beside the root folders
		}
		folder := regexp.MustCompile(`^[^@/]+@[^@/]+\.[^@/]+/[^/]+$`)
		if !regexp.MustCompile(`^VOL\d{3}$`).MatchString(volume) || !folder.MatchString(below) {
			t.Errorf("%s is a loose file", name)
		}
		natives[strings.TrimSuffix(path.Base(name), path.Ext(name))] = content
	}
	for _, row := range table(t, got["crossreference.csv"]) {
		own, inside := row["file"], row["insideFile"]
		if own != "" && hashOf(got[own]) != row["nativeSha256"] || own == "" && got[inside] == "" {
			t.Errorf("crossreference.csv: %s", row["controlNumber"])
		}
	}
	return natives, nil
}

// Trace's EML Drop: plain files.
func readEML(t testing.TB, got map[string]string) (natives, texts map[string]string) {
	natives = map[string]string{}
	for _, row := range table(t, got["index.csv"]) {
		if row["file"] == "" {
			if _, there := got[row["insideFile"]]; !there || row["kind"] != "attachment" {
				t.Errorf("index.csv: %s is nowhere", row["controlNumber"])
			}
			continue
		}
		if e := path.Ext(row["file"]); row["kind"] == "email" && e != ".eml" || row["kind"] == "event" && e != ".ics" {
			t.Errorf("%s %s", row["kind"], row["file"])
		}
		natives[row["controlNumber"]] = got[row["file"]]
	}
	return natives, nil
}

var readers = map[string]reader{
	Concordance: readRelativity, Nuix: readNuix, Everlaw: readEverlaw, Purview: readPurview, EML: readEML,
}

// wanted are the natives and texts that a form holds, read out of the packages as a stranger does.
func wanted(t testing.TB, tr evidencetest.Tree, source string, inline bool) (natives, texts map[string]string) {
	t.Helper()
	natives, texts = map[string]string{}, map[string]string{}
	rows, parts := rowsOf(t, tr, source)
	kinds := map[string]string{}
	for i, row := range rows {
		id := text(row, "controlNumber")
		kinds[id] = text(row, "kind")
		if !inline || text(row, "parent") == "" || kinds[text(row, "groupIdentifier")] == "event" {
			natives[id] = string(evidencetest.Entry(t, tr[parts[i].Zip()], text(row, "native")))
			if hashOf(natives[id]) != text(row, "nativeSha256") {
				t.Fatalf("%s: the items name another hash", id)
			}
		}
		if entry := text(row, "text"); entry != "" && !inline {
			texts[id] = string(evidencetest.Entry(t, tr[parts[i].Zip()], entry))
		}
	}
	return natives, texts
}

func TestEveryToolsReaderFindsEveryDocumentAsTheEvidenceHasIt(t *testing.T) {
	t.Parallel()
	sample := evidencetest.Sample()
	events := evidencetest.Made("cal", []evidencetest.Own{
		{Who: "anna", ID: "meeting", Event: true, Files: []string{"plan.docx", "a.b"}},
		{Who: "bo", ID: "mail", Files: []string{"x.pdf"}},
	})
	for as, read := range readers {
		for source, tr := range map[string]evidencetest.Tree{evidencetest.Mail: sample, "second": sample, "cal": events} {
			t.Run(as+" of "+source, func(t *testing.T) {
				t.Parallel()
				o := options(as)
				o.Source, o.volumeDocuments = source, 6
				dir, r := exportTo(t, open(t, tr), o)
				got := files(t, dir)
				checkHashes(t, got)
				natives, texts := read(t, got)
				wantNatives, wantTexts := wanted(t, tr, source, as == Purview || as == EML)
				same(t, natives, wantNatives)
				same(t, texts, wantTexts)
				rows, _ := rowsOf(t, tr, source)
				if r.Totals.Documents != len(rows) || r.Totals.Natives != len(wantNatives) || r.Totals.Texts != len(wantTexts) ||
					r.Totals.Exceptions != 0 || len(table(t, got[exceptionsFile])) != 0 {
					t.Errorf("%+v", r.Totals)
				}
			})
		}
	}
}

// The numbers that a batch's manifest sums up are those of its export.
func TestCountsAreTheManifests(t *testing.T) {
	t.Parallel()
	tr := evidencetest.Sample()
	_, r := exportTo(t, open(t, tr), options(Concordance))
	documents := 0
	for _, n := range []string{evidencetest.One.Batch, evidencetest.Four.Batch} {
		documents += manifestDocuments(t, tr, n)
	}
	if r.Totals.Documents != documents || documents == 0 {
		t.Errorf("%d documents, the manifests have %d", r.Totals.Documents, documents)
	}
	head := r.Heads
	want := hashOf(string(tr[evidencetest.Mail+"/"+evidencetest.Four.Batch+"/manifest.json"]))
	if len(head) != 1 || head[0].Source != evidencetest.Mail || head[0].Sequence != 3 || head[0].SHA256 != want {
		t.Errorf("evidence %+v, want manifest 3, %s", head, want)
	}
}

func TestColumnsComeFromTheLoadFileAndTellTheSource(t *testing.T) {
	t.Parallel()
	tr := evidencetest.Sample()
	dir, _ := exportTo(t, open(t, tr), options(Concordance))
	_, records := dats(t, files(t, dir), true)
	of := map[string]map[string]string{}
	for _, name := range tr.Files() {
		if strings.HasPrefix(name, evidencetest.Mail) && strings.HasSuffix(name, ".zip") {
			data := strings.TrimPrefix(string(evidencetest.Entry(t, tr[name], "loadfile.dat")), "\uFEFF")
			_, some := readDAT(t, data)
			for _, r := range some {
				r["Source Package"], r["Source Package SHA-256"] = path.Base(name), hashOf(string(tr[name]))
				r["Source Entry"] = strings.ReplaceAll(r["Native File"], `\`, "/")
				of[r["Control Number"]] = r
			}
		}
	}
	for _, r := range records {
		for name, want := range of[r["Control Number"]] {
			if name != "Native File" && name != "Extracted Text" && r[name] != want {
				t.Errorf("%s: %s is %q, the load file has %q", r["Control Number"], name, r[name], want)
			}
		}
	}
	if len(records) != len(of) || len(of) != 12 {
		t.Errorf("%d records, the load files have %d", len(records), len(of))
	}
}
