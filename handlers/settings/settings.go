// Package settings turns the environment, sources.json and lists of individuals into validated values.
package settings

import (
	"bytes"
	_ "embed"
)

//go:embed sources.schema.json
var schemaText []byte

// Schema is the JSON Schema (draft 2020-12) of sources.json, as it is shipped. The defaults of a source are its defaults.
func Schema() []byte { return bytes.Clone(schemaText) }

// Marks of a text file, at its very beginning (Unicode Standard, 23.8).
const (
	markUTF8    = "\xef\xbb\xbf"
	markUTF16LE = "\xff\xfe"
	markUTF16BE = "\xfe\xff"
)

// wide reports whether a file is UTF-16, with its mark or without: no text in UTF-8 holds a zero byte at its beginning.
func wide(data []byte) bool {
	return bytes.HasPrefix(data, []byte(markUTF16LE)) || bytes.HasPrefix(data, []byte(markUTF16BE)) ||
		bytes.IndexByte(data[:min(len(data), 4)], 0) >= 0
}
