package verify

import (
	"archive/zip"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"chainmail/handlers/capture"
	"chainmail/handlers/pack"
)

// A record is a document as its record in the load file must have it.
type record struct {
	*pack.ItemRow
	facts
	last string // control number of the family's last document
	stem string
}

// loadColumns are the columns of the load file that follow from the items and the entries, in the words of the format.
var loadColumns = []struct {
	name  string
	value func(*record) string
}{
	{"Control Number", func(r *record) string { return r.ControlNumber }},
	{"Group Identifier", func(r *record) string { return r.GroupIdentifier }},
	{"Parent Document ID", func(r *record) string {
		if r.Parent == "" {
			return ""
		}
		return r.GroupIdentifier
	}},
	{"Native File", func(r *record) string { return strings.ReplaceAll(r.Native, "/", `\`) }},
	{"Extracted Text", func(r *record) string { return strings.ReplaceAll(r.Text, "/", `\`) }},
	{"File Size", func(r *record) string { return strconv.FormatInt(r.NativeBytes, 10) }},
	{"Message ID", func(r *record) string { return r.InternetMessageID }},
	{"Message Class", func(r *record) string {
		return map[capture.Kind]string{capture.Email: "Email", capture.Event: "Edoc", capture.Attachment: "Attach"}[r.Kind]
	}},
	{"Sent Date/Time", func(r *record) string { return loadDate(r.Sent) }},
	{"Received Date/Time", func(r *record) string {
		if r.Kind == capture.Attachment {
			return ""
		}
		return loadDate(r.Received)
	}},
	{"Extracted Text Size in KB", func(r *record) string {
		return strconv.FormatFloat(float64(r.textBytes)/1024, 'f', 2, 64)
	}},
	{"Trace Document Hash", func(r *record) string { return r.DocumentHash }},
	{"Trace Data Batch", func(r *record) string { return r.stem }},
	{"Trace Is Extracted", func(r *record) string {
		if r.Kind == capture.Attachment {
			return "Yes"
		}
		return "No"
	}},
	{"Trace Record Origin Identifier", func(r *record) string { return r.GraphID }},
	{"Native SHA-256", func(r *record) string { return r.NativeSHA256 }},
	{"MD5 Hash", func(r *record) string { return r.md5 }},
	{"EDRM MIH", func(r *record) string { return r.MIH }},
	{"Folder Path", func(r *record) string { return r.Folder }},
	{"Item State", func(r *record) string { return string(r.State) }},
	{"BegAttach", func(r *record) string { return r.GroupIdentifier }},
	{"EndAttach", func(r *record) string { return r.last }},
	{"Time Zone", func(*record) string { return "UTC" }},
	{"Text Status", func(r *record) string { return r.TextStatus }},
}

func loadDate(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04:05")
}

// loadFile holds the load file's records against the rows of the items, in their order.
func (c *packageCheck) loadFile() {
	i := slices.IndexFunc(c.zip.File, func(f *zip.File) bool { return f.Name == pack.LoadFileName })
	if i < 0 {
		return // said already
	}
	body, err := c.zip.File[i].Open()
	if err != nil {
		c.found.add(c.file, "%s: %s", pack.LoadFileName, entryFault(err))
		return
	}
	defer body.Close()
	r, err := pack.NewLoadFileReader(body)
	if err != nil {
		c.found.add(c.file, "%v", err)
		return
	}
	columns := pack.Columns()
	last := lasts(c.rows)
	n := 0
	for ; ; n++ {
		values, err := r.Next()
		switch {
		case errors.Is(err, io.EOF):
			if c.rowsRead && n != len(c.rows) {
				c.found.add(c.file, "%s: %s, and the items have %d", pack.LoadFileName, count(n, "record"), len(c.rows))
			}
			return
		case errors.Is(err, zip.ErrChecksum):
			c.found.add(c.file, "%s: %s", pack.LoadFileName, entryFault(err))
		case err != nil:
			c.found.add(c.file, "%s: %v", pack.LoadFileName, err)
		case c.rowsRead && n < len(c.rows):
			c.record(columns, values, n, record{&c.rows[n], c.facts[n], last[n], c.name.Stem()})
		}
	}
}

// record compares one record, and names the columns that differ.
func (c *packageCheck) record(columns, values []string, n int, want record) {
	var differ []string
	for _, column := range loadColumns {
		got := values[slices.Index(columns, column.name)]
		if column.name == "MD5 Hash" && want.md5 == "" {
			continue // the native could not be read, and that was said
		}
		if got != pack.LoadFileValue(column.value(&want)) {
			differ = append(differ, column.name)
		}
	}
	if saysSynthesised(values[slices.Index(columns, "Other Metadata")]) != want.Synthesised {
		differ = append(differ, "Other Metadata")
	}
	if len(differ) > 0 {
		c.found.add(c.file, "%s: record %d (%s) is not what the items say: %s",
			pack.LoadFileName, n+1, word(want.ControlNumber), strings.Join(differ, ", "))
	}
}

// saysSynthesised reads the column Other Metadata.
func saysSynthesised(value string) bool {
	var all []pack.KeyValue
	if json.Unmarshal([]byte(value), &all) != nil {
		return false
	}
	return slices.Contains(all, pack.KeyValue{Key: "Synthesised", Value: "true"})
}

// lasts gives for each row the control number of its family's last document.
func lasts(rows []pack.ItemRow) []string {
	last := make([]string, len(rows))
	for i := len(rows) - 1; i >= 0; i-- {
		last[i] = rows[i].ControlNumber
		if i+1 < len(rows) && rows[i+1].Parent != "" {
			last[i] = last[i+1]
		}
	}
	return last
}
