package pack

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"chainmail/handlers/capture"
)

// A DeletionRow is a line of deletions.jsonl: an email that was captured before, and that a second look found deleted since.
// Times are UTC.
type DeletionRow struct {
	Custodian string        `json:"custodian"`
	Item      string        `json:"item"` // item key
	GraphID   string        `json:"graphId"`
	Folder    string        `json:"folder"` // where it lay when it was captured
	Received  time.Time     `json:"received,omitzero"`
	Batch     string        `json:"batch"` // the batch that captured it
	From      capture.State `json:"from"`
	To        capture.State `json:"to"` // deleted, recoverable or purged; gone: it is in no folder any more that is collected
	SeenAfter time.Time     `json:"seenAfter"`
	SeenBy    time.Time     `json:"seenBy"` // it was deleted between the two
}

// EncodeDeletions writes deletions.jsonl: a JSON object a line, each line with an end.
func EncodeDeletions(rows []DeletionRow) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	for i, row := range rows {
		if err := e.Encode(row); err != nil {
			return nil, fmt.Errorf("encode deletion %d: %w", i+1, err)
		}
	}
	return b.Bytes(), nil
}

// DecodeDeletions reads deletions.jsonl, as strictly as [DecodeItems].
func DecodeDeletions(data []byte) ([]DeletionRow, error) {
	return decodeLines[DeletionRow](data, "deletion")
}
