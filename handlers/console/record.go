package console

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// An action is the record of what an operator does.
type action struct {
	At         time.Time `json:"at"`
	Who        string    `json:"who"`    // the person's object id; local: whoever works on this machine
	Action     string    `json:"action"` // disable, collect and so on
	Source     string    `json:"source,omitempty"`
	Batch      string    `json:"batch,omitempty"`
	Custodians []string  `json:"custodians,omitempty"` // their names in evidence, object ids
	Item       string    `json:"item,omitempty"`
	Start      time.Time `json:"start,omitzero"`
	End        time.Time `json:"end,omitzero"`
	File       string    `json:"file,omitempty"`
	Was        string    `json:"was,omitempty"`     // SHA-256 of the file until then
	SHA256     string    `json:"sha256,omitempty"`  // of the new one
	Content    string    `json:"content,omitempty"` // state blob with the new one
	Reason     string    `json:"reason"`
}

const (
	records   = "actions/"
	maxLogged = 50 // custodians named in a log line
)

// record keeps an action before it takes effect, with the content that it writes if it writes any, and gives the record's
// name.
func (c *Console) record(q *request, a action, content []byte) (string, error) {
	ctx := q.ctx
	a.At, a.Who = c.Now().UTC(), q.who.name
	stem := records + a.At.Format("20060102T150405.000Z") + "-" + strings.ToLower(rand.Text()[:13])
	if content != nil {
		a.Content = stem + ".content"
		if err := c.State.PutOnce(ctx, a.Content, content, "application/octet-stream"); err != nil {
			return "", fmt.Errorf("record an action: %w", err)
		}
	}
	data, err := json.MarshalIndent(a, "", "  ")
	if err != nil {
		return "", fmt.Errorf("record an action: %w", err)
	}
	name := stem + ".json"
	if err := c.State.PutOnce(ctx, name, data, mediaJSON); err != nil {
		return "", fmt.Errorf("record an action: %w", err)
	}
	attrs := []any{"action", a.Action, "who", a.Who, "record", name}
	for _, known := range [][2]string{{"source", a.Source}, {"batch", a.Batch}, {"item", a.Item}, {"file", a.File}, {"sha256", a.SHA256}} {
		if known[1] != "" {
			attrs = append(attrs, known[0], known[1])
		}
	}
	switch n := len(a.Custodians); {
	case n == 1:
		attrs = append(attrs, "custodian", a.Custodians[0])
	case n > 1:
		attrs = append(attrs, "custodians", n, "first", a.Custodians[:min(n, maxLogged)])
	}
	c.Log.InfoContext(ctx, "operator acted", attrs...)
	return name, nil
}
