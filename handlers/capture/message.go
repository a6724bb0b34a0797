package capture

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
)

// Chunk names the work of one queue message: the custodians of one lane in one batch.
type Chunk struct {
	Source string `json:"source"`
	Batch  string `json:"batch"`
	Lane   int    `json:"lane"`
}

const messageVersion = 1

type message struct {
	Chunk *struct {
		Version *int   `json:"v"`
		Source  string `json:"source"`
		Batch   string `json:"batch"`
		Lane    *int   `json:"lane"`
	} `json:"chunk"`
}

var (
	sourceName = regexp.MustCompile(`^[a-z0-9-]{1,24}$`)
	batchName  = regexp.MustCompile(`^\d{14}UTC-\d{14}UTC(-[1-9]\d{0,5})?$`)
)

// ValidSourceName reports whether s may name a source: [a-z0-9-]{1,24}.
func ValidSourceName(s string) bool { return sourceName.MatchString(s) }

// ValidBatchID reports whether s may be the id of a batch; see [BatchID].
func ValidBatchID(s string) bool { return batchName.MatchString(s) }

// Message gives the chunk's queue message, {"chunk":{"v":1,"source":…,"batch":…,"lane":…}}. Everything lies below one key
// because the Functions host copies top-level properties over its own metadata.
func (c Chunk) Message() string {
	return fmt.Sprintf(`{"chunk":{"v":%d,"source":%q,"batch":%q,"lane":%d}}`, messageVersion, c.Source, c.Batch, c.Lane)
}

// ParseMessage reads a chunk's queue message. The error says what is wrong with it and never quotes it: a foreign
// message may hold anything.
func ParseMessage(text []byte) (Chunk, error) {
	var m message
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&m); err != nil {
		return Chunk{}, fmt.Errorf("queue message is not a chunk: %T", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return Chunk{}, fmt.Errorf("queue message is not a chunk: more than one value")
	}
	switch {
	case m.Chunk == nil:
		return Chunk{}, fmt.Errorf("queue message has no chunk")
	case m.Chunk.Version == nil:
		return Chunk{}, fmt.Errorf("queue message has no version")
	case *m.Chunk.Version != messageVersion:
		return Chunk{}, fmt.Errorf("queue message has version %d, this app reads version %d", *m.Chunk.Version, messageVersion)
	case !sourceName.MatchString(m.Chunk.Source):
		return Chunk{}, fmt.Errorf("queue message names no valid source")
	case !batchName.MatchString(m.Chunk.Batch):
		return Chunk{}, fmt.Errorf("queue message names no valid batch")
	case m.Chunk.Lane == nil || *m.Chunk.Lane < 0 || *m.Chunk.Lane > 99999:
		return Chunk{}, fmt.Errorf("queue message names no valid lane")
	}
	return Chunk{Source: m.Chunk.Source, Batch: m.Chunk.Batch, Lane: *m.Chunk.Lane}, nil
}
