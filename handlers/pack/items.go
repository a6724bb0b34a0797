package pack

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"chainmail/handlers/capture"
)

// An ItemRow is a line of items.jsonl: one document of a package, in the package's order. Times are UTC; a field without
// a value is left out.
type ItemRow struct {
	ControlNumber     string        `json:"controlNumber"`
	GroupIdentifier   string        `json:"groupIdentifier"`  // control number of the family's top
	Parent            string        `json:"parent,omitempty"` // control number of what it is attached to
	Custodian         string        `json:"custodian"`        // name in paths: the object id
	Item              string        `json:"item"`             // item key
	GraphID           string        `json:"graphId"`
	ChangeKey         string        `json:"changeKey,omitempty"`
	Kind              capture.Kind  `json:"kind"`
	MessageClass      string        `json:"messageClass,omitempty"`
	InternetMessageID string        `json:"internetMessageId,omitempty"`
	Folder            string        `json:"folder"`
	State             capture.State `json:"state"`
	Received          time.Time     `json:"received,omitzero"`
	Sent              time.Time     `json:"sent,omitzero"`
	Native            string        `json:"native"` // entry of the package
	NativeSHA256      string        `json:"nativeSha256"`
	NativeBytes       int64         `json:"nativeBytes"`
	Offset            int64         `json:"offset"`                // of the native's compressed bytes in the package file
	CompressedBytes   int64         `json:"compressedBytes"`       // a raw Deflate stream
	Synthesised       bool          `json:"synthesised,omitempty"` // the native was made of JSON, since its MIME was not to be had
	Text              string        `json:"text,omitempty"`        // entry of the package
	TextStatus        string        `json:"textStatus"`
	DocumentHash      string        `json:"documentHash"`
	MIH               string        `json:"mih,omitempty"`
	For               string        `json:"for,omitempty"` // the batch that a recovered item was owed to
}

// item is the document's row; offset is where its native's compressed bytes begin.
func (r *record) item(offset int64) ItemRow {
	return ItemRow{
		ControlNumber: r.control, GroupIdentifier: r.top, Parent: r.parent,
		Custodian: r.Custodian.Name(), Item: r.Item.Key(), GraphID: r.Item.GraphID, ChangeKey: r.Item.ChangeKey,
		Kind: r.Kind, MessageClass: r.Fields.Class, InternetMessageID: r.messageID(),
		Folder: r.Item.Folder, State: r.Item.State, Received: plausible(r.Item.Received), Sent: plausible(r.sent()),
		Native: r.Native.Name, NativeSHA256: r.Native.SHA256, NativeBytes: r.Native.Size,
		Offset: offset, CompressedBytes: r.Native.Compressed,
		Synthesised: r.Synthesised,
		Text:        entryName(r.Text), TextStatus: r.TextStatus, DocumentHash: r.documentHash(), MIH: r.Fields.MIH, For: r.For,
	}
}

// SynthesisedMark is how a synthesised native begins.
const SynthesisedMark = "X-Chainmail-Synthesised: true\r\n"

// CountSynthesised counts the natives that were made of JSON.
func CountSynthesised(rows []ItemRow) (n int) {
	for _, row := range rows {
		if row.Synthesised {
			n++
		}
	}
	return n
}

// itemBytes is how long a line usually is at most. Growing line by line, the buffer would take three times its length.
const itemBytes = 1 << 10

// EncodeItems writes items.jsonl: a JSON object a line, each line with an end.
func EncodeItems(rows []ItemRow) ([]byte, error) {
	b := bytes.NewBuffer(make([]byte, 0, len(rows)*itemBytes))
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	for i, row := range rows {
		if err := e.Encode(row); err != nil {
			return nil, fmt.Errorf("encode item %d: %w", i+1, err)
		}
	}
	return b.Bytes(), nil
}

// DecodeItems reads items.jsonl. It is strict: a line that is empty, cut, or has an unknown field is an error, which names
// the line and quotes nothing of it.
func DecodeItems(data []byte) ([]ItemRow, error) { return decodeLines[ItemRow](data, "item") }

func decodeLines[T any](data []byte, what string) ([]T, error) {
	var rows []T
	for line := range bytes.Lines(data) {
		var row T
		if err := decodeStrictly(line, &row); err != nil {
			return nil, fmt.Errorf("decode %s %d: %w", what, len(rows)+1, err)
		}
		rows = append(rows, row)
	}
	if len(data) > 0 && data[len(data)-1] != '\n' {
		return nil, fmt.Errorf("decode %ss: the last line is cut", what)
	}
	return rows, nil
}

// decodeStrictly reads exactly one JSON value without unknown fields. Its errors quote nothing but the names of fields.
func decodeStrictly(data []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		var field *json.UnmarshalTypeError
		if errors.As(err, &field) {
			return fmt.Errorf("field %s is not a %s", field.Field, field.Type)
		}
		return errors.New("it is not the JSON that the format has")
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("it is more than one JSON value")
	}
	return nil
}
