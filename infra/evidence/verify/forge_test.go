package verify

import (
	"archive/zip"
	"bytes"
	"cmp"
	"compress/flate"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"path"
	"slices"
	"strings"
	"testing"

	"chainmail/handlers/pack"
)

// Here evidence is forged by someone who knows the format and makes every hash anew, so that what the checks besides the
// hashes find is seen by itself.

// object edits a JSON file.
func (tr tree) object(file string, edit func(map[string]any)) {
	d := json.NewDecoder(bytes.NewReader(tr[file]))
	d.UseNumber()
	var v map[string]any
	if err := d.Decode(&v); err != nil {
		panic(err)
	}
	edit(v)
	tr[file] = append(must(json.MarshalIndent(v, "", "  ")), '\n')
}

func list(v map[string]any, key string) []any           { return v[key].([]any) }
func field(v map[string]any, key string) map[string]any { return v[key].(map[string]any) }
func at(v map[string]any, key string, i int) map[string]any {
	return list(v, key)[i].(map[string]any)
}

// items edits the rows of a part.
func (tr tree) items(n pack.Name, edit func([]pack.ItemRow) []pack.ItemRow) {
	tr[n.Items()] = must(pack.EncodeItems(edit(must(pack.DecodeItems(tr[n.Items()])))))
}

// An entry is one of a package that is written anew.
type entry struct {
	name   string
	data   []byte
	header zip.FileHeader
	after  string // bytes that no header announces
}

// repack writes a package anew, and corrects the places that the items name.
func (tr tree) repack(n pack.Name, edit func([]entry) []entry) {
	var entries []entry
	for _, f := range must(zip.NewReader(bytes.NewReader(tr[n.Zip()]), int64(len(tr[n.Zip()])))).File {
		entries = append(entries, entry{name: f.Name, data: must(io.ReadAll(must(f.Open()))), header: f.FileHeader})
	}
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for _, e := range edit(entries) {
		var packed bytes.Buffer
		deflate := must(flate.NewWriter(&packed, 5))
		_ = must(deflate.Write(e.data))
		if err := deflate.Close(); err != nil {
			panic(err)
		}
		h := e.header
		h.Name, h.CompressedSize64, h.UncompressedSize64 = e.name, uint64(packed.Len()), uint64(len(e.data))
		if h.CRC32 != 1 { // a wrong one that a test has set
			h.CRC32 = crc32.ChecksumIEEE(e.data)
		}
		if h.Method == zip.Store {
			packed = *bytes.NewBuffer(e.data)
			h.CompressedSize64 = h.UncompressedSize64
		}
		_ = must(must(w.CreateRaw(&h)).Write(append(packed.Bytes(), e.after...)))
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	tr[n.Zip()] = out.Bytes()
	tr.relocate(n)
}

func (tr tree) relocate(n pack.Name) {
	files := map[string]*zip.File{}
	for _, f := range must(zip.NewReader(bytes.NewReader(tr[n.Zip()]), int64(len(tr[n.Zip()])))).File {
		files[f.Name] = f
	}
	tr.object(n.Seal(), func(v map[string]any) { field(v, "package")["entries"] = len(files) })
	tr.items(n, func(rows []pack.ItemRow) []pack.ItemRow {
		for i := range rows {
			if f := files[rows[i].Native]; f != nil {
				rows[i].Offset, rows[i].CompressedBytes = must(f.DataOffset()), int64(f.CompressedSize64)
			}
		}
		return rows
	})
}

// loadFile edits the lines of a load file, the header among them.
func (tr tree) loadFile(n pack.Name, edit func([]string) []string) {
	tr.repack(n, func(entries []entry) []entry {
		last := &entries[len(entries)-1]
		last.data = []byte(strings.Join(edit(strings.SplitAfter(string(last.data), "\r\n")), ""))
		return entries
	})
}

// rehash makes all hashes anew: of files in their seals, of seals in their manifests, and along the chain.
func (tr tree) rehash() {
	for _, file := range tr.files() {
		if kindOf(file) == ".seal.json" {
			tr.rehashSeal(file)
		}
	}
	tr.relink()
}

// relink makes the hashes of seals anew, and the chains.
func (tr tree) relink() {
	chains := map[string][]string{} // manifests by source
	for _, file := range tr.files() {
		if kindOf(file) == pack.ManifestFile {
			source := path.Dir(path.Dir(file))
			chains[source] = append(chains[source], file)
		}
	}
	for _, chain := range chains {
		slices.SortStableFunc(chain, func(a, b string) int { return cmp.Compare(tr.sequence(a), tr.sequence(b)) })
		previous := ""
		for _, file := range chain {
			tr.rehashManifest(file, previous)
			previous = pack.Sum(tr[file])
			tr[file+".sha256"] = pack.ManifestSumLine(tr[file])
		}
	}
}

func (tr tree) rehashSeal(file string) {
	n := must(pack.ParseName(file))
	tr.object(file, func(v map[string]any) {
		if pkg, ok := v["package"].(map[string]any); ok {
			pkg["sha256"], pkg["bytes"] = pack.Sum(tr[n.Zip()]), len(tr[n.Zip()])
		}
		for key, of := range map[string]string{"itemsSha256": n.Items(), "exceptionsSha256": n.Exceptions()} {
			if v[key] != "" {
				v[key] = pack.Sum(tr[of])
			}
		}
	})
}

func (tr tree) rehashManifest(file, previous string) {
	tr.object(file, func(v map[string]any) {
		bytes := 0
		for i := range list(v, "seals") {
			s := at(v, "seals", i)
			seal := path.Dir(file) + "/" + s["name"].(string)
			s["sha256"] = pack.Sum(tr[seal])
			bytes += len(tr[strings.TrimSuffix(seal, ".seal.json")+".zip"])
		}
		field(v, "totals")["bytes"] = bytes
		v["previousManifestSha256"] = previous
	})
}

// sequence is a manifest's place in the chain; what is no number comes first.
func (tr tree) sequence(file string) (n int64) {
	tr.object(file, func(v map[string]any) {
		if number, ok := v["sequence"].(json.Number); ok {
			n, _ = number.Int64()
		}
	})
	return n
}

func TestTheForgersToolsLeaveSoundEvidenceSound(t *testing.T) {
	t.Parallel()
	tr := sample()
	for _, n := range []pack.Name{one, three, four, six} {
		tr.repack(n, func(entries []entry) []entry { return entries })
	}
	tr.rehash()
	if r := tr.verified(t, Options{}); !r.Sound() {
		t.Errorf("findings %v", r.Findings)
	}
}

func TestWhatContradictsItselfIsFound(t *testing.T) {
	t.Parallel()
	manifest := pack.ManifestName(mail, one.Batch)
	inManifest := func(edit func(map[string]any)) func(tree) { return func(tr tree) { tr.object(manifest, edit) } }
	inSeal := func(edit func(map[string]any)) func(tree) { return func(tr tree) { tr.object(one.Seal(), edit) } }
	inRow := func(i int, edit func(*pack.ItemRow)) func(tree) {
		return func(tr tree) {
			tr.items(one, func(rows []pack.ItemRow) []pack.ItemRow { edit(&rows[i]); return rows })
		}
	}
	inPackage := func(edit func([]entry) []entry) func(tree) { return func(tr tree) { tr.repack(one, edit) } }
	inLoadFile := func(edit func([]string) []string) func(tree) { return func(tr tree) { tr.loadFile(one, edit) } }
	tests := []struct {
		name  string
		forge func(tree)
		file  string
		want  string
	}{
		{"manifest: a field too many", inManifest(func(v map[string]any) { v["note"] = "x" }), manifest, "unknown field note"},
		{"manifest: a field missing", inManifest(func(v map[string]any) { delete(v, "closed") }), manifest, "lacks the field closed"},
		{"manifest: a field missing below", inManifest(func(v map[string]any) { delete(field(v, "totals"), "found") }),
			manifest, "totals: lacks the field found"},
		{"manifest: a field of another type", inManifest(func(v map[string]any) { v["sequence"] = "1" }),
			manifest, "sequence: is of type string"},
		{"manifest: a hash that is none", inManifest(func(v map[string]any) { v["configSha256"] = "x" }),
			manifest, "configSha256: has a value that the format does not have"},
		{"manifest: a later format", inManifest(func(v map[string]any) { v["format"] = "chainmail/manifest/2" }), manifest,
			"its format is chainmail/manifest/2, and this program reads chainmail/manifest/1: nothing that it says was checked"},
		{"manifest: another batch's", inManifest(func(v map[string]any) { v["batch"] = four.Batch }), manifest, "another batch"},
		{"manifest: another period", inManifest(func(v map[string]any) { v["end"] = "2026-03-04T00:00:00Z" }),
			manifest, "start and end"},
		{"manifest: a status that is not final", inManifest(func(v map[string]any) { v["status"] = "Retrieving" }),
			manifest, "status: has a value"},
		{"manifest: a number beyond all", inManifest(func(v map[string]any) { field(v, "totals")["found"] = json.Number("1e30") }),
			manifest, "field totals.found is not a int"},
		{"manifest: a status not passed", inManifest(func(v map[string]any) { v["status"] = "Completed" }), manifest, "last status"},
		{"manifest: nothing excepted by its status", inManifest(func(v map[string]any) {
			v["status"], at(v, "statuses", 1)["status"] = "Completed", "Completed"
		}), manifest, "its status is Completed, with 0 custodians neither collected nor excluded and 1 item excepted"},
		{"manifest: settings that are not there", inManifest(func(v map[string]any) { v["configSha256"] = strings.Repeat("0", 64) }),
			"_config/" + strings.Repeat("0", 64) + ".json", "is missing: it holds the settings of " + manifest},
		{"manifest: a seal twice", inManifest(func(v map[string]any) { v["seals"] = append(list(v, "seals"), at(v, "seals", 0)) }),
			manifest, "twice"},
		{"manifest: a seal of another batch", inManifest(func(v map[string]any) { at(v, "seals", 0)["name"] = path.Base(four.Seal()) }),
			manifest, "seal 1 is not one of this batch's"},
		{"manifest: a seal left out", inManifest(func(v map[string]any) { v["seals"] = list(v, "seals")[1:] }),
			one.Zip(), "manifest names no seal"},
		{"manifest: seals in disorder", inManifest(func(v map[string]any) { slices.Reverse(list(v, "seals")) }),
			manifest, "order of their names"},
		{"manifest: found", inManifest(func(v map[string]any) { field(v, "totals")["found"] = 5 }),
			manifest, "found is 5, and the sum over its seals 6"},
		{"manifest: documents", inManifest(func(v map[string]any) { field(v, "totals")["documents"] = 8 }),
			manifest, "documents is 8, and the sum"},
		{"manifest: custodians", inManifest(func(v map[string]any) { field(v, "totals")["custodians"] = 5 }),
			manifest, "custodians is 5, and the sum over its seals 4"},
		{"manifest: excluded", inManifest(func(v map[string]any) { field(v, "totals")["excluded"] = 0 }),
			manifest, "excluded is 0, and the sum over its seals 1"},

		{"seal: a later format", inSeal(func(v map[string]any) { v["format"] = "chainmail/seal/2" }),
			one.Seal(), "its format is chainmail/seal/2"},
		{"seal: a later format leaves its part unread", inSeal(func(v map[string]any) { v["format"] = "chainmail/seal/2" }),
			one.Zip(), "was not verified"},
		{"seal: a field too many", inSeal(func(v map[string]any) { at(v, "custodians", 0)["note"] = "" }),
			one.Seal(), "custodians/0: has the unknown field note"},
		{"seal: a field missing", inSeal(func(v map[string]any) { delete(v, "documents") }), one.Seal(), "lacks the field documents"},
		{"seal: a number beyond all", inSeal(func(v map[string]any) { v["documents"] = json.Number("1e30") }),
			one.Seal(), "field documents is not a int"},
		{"seal: a number beyond all leaves its part unread", inSeal(func(v map[string]any) { v["documents"] = json.Number("1e30") }),
			one.Items(), "was not verified"},
		{"seal: another part's", inSeal(func(v map[string]any) { v["part"] = 9 }), one.Seal(), "another part"},
		{"manifest: synthesised", inManifest(func(v map[string]any) { field(v, "totals")["synthesised"] = 0 }),
			manifest, "synthesised is 0, and the sum over its seals 1"},
		{"seal: synthesised", inSeal(func(v map[string]any) { v["synthesised"] = 1 }), one.Seal(), "count of synthesised natives"},
		{"items: a native said to be synthesised", inRow(5, func(r *pack.ItemRow) { r.Synthesised = true }),
			one.Zip(), "native of O365-20260302T000000-000-1-000006: the items say that it is synthesised"},
		{"items: an attachment synthesised", inRow(1, func(r *pack.ItemRow) { r.Synthesised = true }),
			one.Items(), "line 2 (O365-20260302T000000-000-1-000002): it is synthesised, and not an email"},
		{"items: a synthesised native said to be none", func(tr tree) {
			tr.items(three, func(rows []pack.ItemRow) []pack.ItemRow { rows[1].Synthesised = false; return rows })
		}, three.Zip(), "record 2 (O365-20260302T000000-001-1-000002) is not what the items say: Other Metadata"},
		{"manifest: texts", inManifest(func(v map[string]any) { field(field(v, "totals"), "texts")["protected"] = 8 }),
			manifest, "texts are not the sums"},
		{"seal: texts", inSeal(func(v map[string]any) { field(v, "texts")["extracted"] = 0 }), one.Seal(), "counts of texts"},
		{"seal: documents", inSeal(func(v map[string]any) { v["documents"] = 8 }),
			one.Items(), "it has 7 lines, and its seal says 8"},
		{"seal: entries", inSeal(func(v map[string]any) { field(v, "package")["entries"] = 9 }),
			one.Zip(), "entries, and its seal says 9"},
		{"seal: package of another name", inSeal(func(v map[string]any) { field(v, "package")["name"] = path.Base(three.Zip()) }),
			one.Seal(), "is not this part's"},
		{"seal: no package, and documents", inSeal(func(v map[string]any) { v["package"] = nil }), one.Seal(), "or none of them"},
		{"seal: captured", inSeal(func(v map[string]any) { at(v, "custodians", 0)["captured"] = 3 }),
			one.Seal(), "3 captured, 0 recovered"},
		{"seal: unchanged", inSeal(func(v map[string]any) { at(v, "custodians", 0)["unchanged"] = 1 }),
			manifest, "and 4 captured, excepted or unchanged"},
		{"seal: recovered", inSeal(func(v map[string]any) { at(v, "custodians", 0)["recovered"] = 1 }),
			one.Seal(), "2 captured, 1 recovered"},
		{"seal: bytes", inSeal(func(v map[string]any) { at(v, "custodians", 0)["bytes"] = 1 }),
			one.Seal(), "1 bytes, and the items hold 2, 0 and"},
		{"seal: excepted", func(tr tree) {
			tr.object(two.Seal(), func(v map[string]any) { at(v, "custodians", 0)["excepted"] = 2 })
		}, two.Seal(), "2 excepted, and the exceptions hold 1"},
		{"seal: found", inSeal(func(v map[string]any) { at(v, "custodians", 0)["found"] = 4 }),
			manifest, "4 found, and 3 captured, excepted or unchanged"},
		{"seal: a custodian twice", inSeal(func(v map[string]any) {
			v["custodians"] = append(list(v, "custodians"), at(v, "custodians", 1))
		}),
			one.Seal(), "each named once"},
		{"seal: a custodian left out", inSeal(func(v map[string]any) { v["custodians"] = list(v, "custodians")[1:] }), one.Seal(),
			"does not name custodian anna-0f5a-4b5e-9c55-0a5cbb1f5a01"},
		{"seal: not collected in a completed batch", inSeal(func(v map[string]any) { at(v, "custodians", 1)["status"] = "Failed" }),
			manifest, "with 1 custodian neither collected nor excluded"},

		{"exceptions: a row left out", func(tr tree) {
			tr[two.Exceptions()] = pack.EncodeExceptions(nil)
		}, two.Seal(), "1 excepted, and the exceptions hold 0"},
		{"exceptions: an item that is captured", func(tr tree) {
			rows := must(pack.DecodeExceptions(tr[two.Exceptions()]))
			rows[0].Item.GraphID = "first"
			tr[two.Exceptions()] = pack.EncodeExceptions(rows)
		}, manifest, "item " + itemKey("first") + " of custodian " + custodian("anna").ID + " stands twice"},
		{"exceptions: no CSV", func(tr tree) { tr[two.Exceptions()] = []byte("\"") }, two.Exceptions(), "header is not the format's"},

		{"items: an unknown field", func(tr tree) {
			tr[one.Items()] = bytes.Replace(tr[one.Items()], []byte(`"textStatus"`), []byte(`"textState"`), 1)
		}, one.Items(), "line 1: has the unknown field textState"},
		{"items: a field missing", inRow(2, func(r *pack.ItemRow) { r.State = "" }), one.Items(), "line 3: state: has a value"},
		{"items: a line cut", func(tr tree) {
			tr[one.Items()] = tr[one.Items()][:len(tr[one.Items()])-1]
		}, one.Items(), "line 7 is not a whole line"},
		{"items: control numbers with a hole", inRow(6, func(r *pack.ItemRow) {
			r.ControlNumber, r.GroupIdentifier = "O365-20260302T000000-000-1-000008", "O365-20260302T000000-000-1-000008"
		}), one.Items(), "line 7: its control number is not O365-20260302T000000-000-1-000007"},
		{"items: control numbers of another part", inRow(0, func(r *pack.ItemRow) {
			r.ControlNumber = "O365-20260302T000000-000-2-000001"
		}),
			one.Items(), "line 1: its control number is not that of a part's first document"},
		{"items: a family without its first", inRow(0, func(r *pack.ItemRow) { r.Parent = "O365-20260302T000000-000-1-000002" }),
			one.Items(), "begins without its first document"},
		{"items: another family's group", inRow(1, func(r *pack.ItemRow) { r.GroupIdentifier = "O365-20260302T000000-000-1-000006" }),
			one.Items(), "line 2 (O365-20260302T000000-000-1-000002): its group identifier"},
		{"items: a parent that comes later", inRow(3, func(r *pack.ItemRow) { r.Parent = "O365-20260302T000000-000-1-000005" }),
			one.Items(), "line 4 (O365-20260302T000000-000-1-000004): its parent"},
		{"items: an attachment of nothing", inRow(4, func(r *pack.ItemRow) { r.Parent = "" }), one.Items(), "an attachment without"},
		{"items: an attached email", inRow(4, func(r *pack.ItemRow) { r.Kind = "email" }),
			one.Items(), "another kind than attachment"},
		{"items: an attachment of another custodian", inRow(4, func(r *pack.ItemRow) { r.Custodian = custodian("bo").ID }),
			one.Items(), "does not belong to the item"},
		{"items: a key of another item", inRow(5, func(r *pack.ItemRow) { r.Item = itemKey("other") }),
			one.Items(), "its item key is not that"},
		{"items: another native's hash", inRow(5, func(r *pack.ItemRow) { r.NativeSHA256 = strings.Repeat("0", 64) }), one.Zip(),
			"native of O365-20260302T000000-000-1-000006: its SHA-256 or size"},
		{"items: another size", inRow(5, func(r *pack.ItemRow) { r.NativeBytes++ }), one.Zip(), "its SHA-256 or size"},
		{"items: another offset", inRow(5, func(r *pack.ItemRow) { r.Offset++ }), one.Items(), "offset and compressedBytes"},
		{"items: fewer compressed bytes", inRow(5, func(r *pack.ItemRow) { r.CompressedBytes-- }),
			one.Items(), "offset and compressedBytes"},
		{"items: a native twice", inRow(2, func(r *pack.ItemRow) { r.Native = strings.Replace(r.Native, "/02-", "/01-", 1) }),
			one.Items(), "line 3 names an entry that line 2 names as well"},
		{"items: a native that leads out", inRow(5, func(r *pack.ItemRow) { r.Native = "OriginalNatives/../../x.eml" }),
			one.Items(), "its native does not lie where"},
		{"items: a text of another item", inRow(5, func(r *pack.ItemRow) {
			r.Text = strings.Replace(r.Text, r.Item, itemKey("first"), 1)
		}),
			one.Items(), "its text does not lie where"},
		{"items: an event named as an email", inRow(6, func(r *pack.ItemRow) {
			r.Native = strings.Replace(r.Native, ".ics", ".eml", 1)
		}),
			one.Items(), "the name of its kind"},
		{"items: an item twice in a batch", func(tr tree) {
			tr.items(three, func(rows []pack.ItemRow) []pack.ItemRow {
				rows[1].GraphID, rows[1].Item = rows[0].GraphID, rows[0].Item
				return rows
			})
		}, manifest, "item " + itemKey("third") + " of custodian " + custodian("cleo").ID + " stands twice"},

		{"package: an entry too many", inPackage(func(e []entry) []entry {
			return slices.Insert(e, 2, entry{name: "OriginalNatives/extra.eml", header: e[0].header})
		}), one.Zip(), "entry 3 is named by no item"},
		{"package: an entry that leads out", inPackage(func(e []entry) []entry {
			return slices.Insert(e, 0, entry{name: "../../etc/x", header: e[0].header})
		}), one.Zip(), "entry 1 leads out"},
		{"package: an entry missing", inPackage(func(e []entry) []entry { return slices.Delete(e, 0, 1) }), one.Zip(),
			"it has no native of O365-20260302T000000-000-1-000001"},
		{"package: a text missing", inPackage(func(e []entry) []entry { return slices.Delete(e, 1, 2) }),
			one.Zip(), "it has no text of O365-20260302T000000-000-1-000001"},
		{"package: no load file", inPackage(func(e []entry) []entry { return e[:len(e)-1] }), one.Zip(), "it has no loadfile.dat"},
		{"package: entries in disorder", inPackage(func(e []entry) []entry { e[0], e[1] = e[1], e[0]; return e }),
			one.Zip(), "not in the order"},
		{"package: an entry twice", inPackage(func(e []entry) []entry { return slices.Insert(e, 1, e[0]) }),
			one.Zip(), "entry 2 bears the name of another"},
		{"package: a wrong CRC", inPackage(func(e []entry) []entry { e[0].header.CRC32 = 1; return e }), one.Zip(),
			"native of O365-20260302T000000-000-1-000001: its CRC is wrong"},
		{"package: a wrong CRC of a text", inPackage(func(e []entry) []entry { e[1].header.CRC32 = 1; return e }), one.Zip(),
			"text of O365-20260302T000000-000-1-000001: its CRC is wrong"},
		{"package: a wrong CRC of the load file", inPackage(func(e []entry) []entry { e[len(e)-1].header.CRC32 = 1; return e }),
			one.Zip(), "loadfile.dat: its CRC is wrong"},
		{"package: another native", inPackage(func(e []entry) []entry { e[0].data = []byte("Subject: other\r\n\r\n"); return e }),
			one.Zip(),
			"native of O365-20260302T000000-000-1-000001: its SHA-256 or size"},
		{"package: another text", inPackage(func(e []entry) []entry { e[1].data = bytes.Repeat(e[1].data, 9); return e }),
			one.Zip(), "Extracted Text Size in KB"},
		{"package: an entry that is stored", inPackage(func(e []entry) []entry { e[0].header.Method = zip.Store; return e }),
			one.Zip(), "entry 1 is not as the format has it"},
		{"package: an entry compressed otherwise", inPackage(func(e []entry) []entry { e[0].header.Method = 99; return e }), one.Zip(),
			"native of O365-20260302T000000-000-1-000001: its bytes cannot be read"},
		{"package: the load file compressed otherwise", inPackage(func(e []entry) []entry { e[len(e)-1].header.Method = 99; return e }),
			one.Zip(), "loadfile.dat: its bytes cannot be read"},
		{"package: bytes between entries", inPackage(func(e []entry) []entry { e[0].after = "hidden"; return e }),
			one.Zip(), "entry 2 does not begin where"},
		{"package: bytes before the directory", inPackage(func(e []entry) []entry { e[len(e)-1].after = "hidden"; return e }),
			one.Zip(), "bytes besides"},
		{"package: bytes behind the directory", func(tr tree) {
			data := bytes.Clone(tr[one.Zip()])
			data[len(data)-2] = 6 // says that a comment of six bytes follows
			tr[one.Zip()] = append(data, "hidden"...)
		}, one.Zip(), "bytes besides its entries"},
		{"package: a header that contradicts the directory", func(tr tree) {
			data := bytes.Clone(tr[one.Zip()])
			data[30] = 'o' // of OriginalNatives, in the first local header
			tr[one.Zip()] = data
		}, one.Zip(), "entry 1 does not begin where"},
		{"package: no ZIP", func(tr tree) { tr[one.Zip()] = []byte("PK") }, one.Zip(), "no ZIP file"},

		{"load file: a record missing", inLoadFile(func(l []string) []string { return slices.Delete(l, 3, 4) }),
			one.Zip(), "loadfile.dat: 6 records, and the items have 7"},
		{"load file: records swapped", inLoadFile(func(l []string) []string { l[1], l[2] = l[2], l[1]; return l }), one.Zip(),
			"record 1 (O365-20260302T000000-000-1-000001) is not what the items say: Control Number, Parent"},
		{"load file: another column", inLoadFile(func(l []string) []string {
			l[0] = strings.Replace(l[0], "Mailbox", "Postbox", 1)
			return l
		}),
			one.Zip(), "header is not the format's"},
		{"load file: another folder", inLoadFile(func(l []string) []string {
			l[6] = strings.Replace(l[6], "þInbox/", "þSent/", 1)
			return l
		}), one.Zip(),
			"record 6 (O365-20260302T000000-000-1-000006) is not what the items say: Folder Path"},
		{"load file: another MD5", inLoadFile(func(l []string) []string {
			values := strings.Split(l[6], "\x14")
			values[slices.Index(pack.Columns(), "MD5 Hash")] = "þ" + strings.Repeat("0", 32) + "þ"
			l[6] = strings.Join(values, "\x14")
			return l
		}), one.Zip(), "is not what the items say: MD5 Hash"},
		{"load file: cut", inLoadFile(func(l []string) []string { l[7] = strings.TrimSuffix(l[7], "\r\n"); return l }),
			one.Zip(), "loadfile.dat: read record 7: it is cut"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			tr := sample()
			test.forge(tr)
			tr.rehash()
			r := tr.verified(t, Options{})
			if got := strings.Join(r.about(test.file), "\n"); !strings.Contains(got, test.want) || r.Sound() {
				t.Errorf("findings %v, want %s: %s", r.Findings, test.file, test.want)
			}
			for _, f := range r.Findings {
				if strings.Contains(f.What, "SHA-256 is not") && !strings.Contains(f.What, "SHA-256 or size") {
					t.Errorf("the forger left a hash behind: %v", f)
				}
			}
		})
	}
}

// A text has no hash of its own: the package's alone shows that it is another one of the same length.
func TestAnotherTextOfTheSameLengthIsFound(t *testing.T) {
	t.Parallel()
	tr := sample()
	sealed := tr[one.Seal()]
	tr.repack(one, func(entries []entry) []entry {
		entries[1].data = bytes.ToUpper(entries[1].data)
		return entries
	})
	tr.rehash()
	if r := tr.verified(t, Options{}); !r.Sound() {
		t.Fatalf("with its hash made anew: %v", r.Findings)
	}
	tr.object(one.Seal(), func(v map[string]any) {
		var before map[string]any
		if err := json.Unmarshal(sealed, &before); err != nil {
			t.Fatal(err)
		}
		field(v, "package")["sha256"] = field(before, "package")["sha256"]
	})
	tr.relink()
	r := tr.verified(t, Options{})
	if len(r.Findings) != 1 || r.Findings[0] != (Finding{one.Zip(), "its SHA-256 is not the one that its seal names"}) {
		t.Errorf("findings %v", r.Findings)
	}
}

func TestAPackageOfAnotherSizeThanItsSealSaysIsFound(t *testing.T) {
	t.Parallel()
	tr := sample()
	size := len(tr[one.Zip()])
	tr.object(one.Seal(), func(v map[string]any) { field(v, "package")["bytes"] = size + 1 })
	tr.relink()
	want := fmt.Sprintf("it has %s, and its seal says %d", count(size, "byte"), size+1)
	if r := tr.verified(t, Options{}); !slices.Contains(r.about(one.Zip()), want) {
		t.Errorf("findings %v, want %q", r.Findings, want)
	}
}

func TestAManifestOrSealThatIsNoJSONIsFound(t *testing.T) {
	t.Parallel()
	last := pack.ManifestName(mail, four.Batch)
	for _, file := range []string{last, four.Seal()} {
		tr := sample()
		tr[file] = []byte("{")
		tr[last+".sha256"] = pack.ManifestSumLine(tr[last])
		r := tr.verified(t, Options{})
		if !slices.Contains(r.about(file), "is not the JSON that the format has") || r.Sources[0].Whole != (file != last) {
			t.Errorf("%s: findings %v", file, r.Findings)
		}
	}
}
