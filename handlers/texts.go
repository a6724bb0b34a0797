package main

import (
	"fmt"
	"os"
	"path/filepath"

	"chainmail/handlers/mailfmt"
	"chainmail/handlers/mailfmt/doctext"
)

// readDocuments is the life of a process that was started to read the texts of attachments for another one.
func readDocuments(args []string) error {
	return doctext.Work(args, os.Stdin, os.Stdout, doctext.Converters{Decode: mailfmt.Decode, HTML: mailfmt.HTMLText, Calendar: mailfmt.CalendarText})
}

// newTexts gives the reader of the texts of attachments. What it compiles it keeps among the temporary files; where they are
// not ours alone it does without, which takes seconds of each worker's life.
func newTexts() (*doctext.Extractor, error) {
	cache := filepath.Join(os.TempDir(), fmt.Sprintf("chainmail-%d", os.Getuid()))
	if texts, err := doctext.New(doctext.Options{Cache: cache}); err == nil {
		return texts, nil
	}
	return doctext.New(doctext.Options{})
}
