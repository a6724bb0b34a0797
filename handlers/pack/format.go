package pack

import "embed"

//go:embed format/1
var formatFS embed.FS

// formatNames are the files of the format, in the folder that they have here and, with an underscore, in evidence.
var formatNames = [...]string{"FORMAT.md", "seal.schema.json", "manifest.schema.json", "items.schema.json"}

// FormatFiles are the files that every container of evidence carries, by blob name: the specification of the format for a
// reader without this program, and the schemas of its JSON files.
func FormatFiles() map[string][]byte {
	files := map[string][]byte{}
	for _, name := range formatNames {
		data, err := formatFS.ReadFile("format/1/" + name)
		if err != nil {
			panic("pack: internal error: the format is part of the program: " + err.Error())
		}
		files["_format/1/"+name] = data
	}
	return files
}
