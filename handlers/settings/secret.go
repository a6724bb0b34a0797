package settings

import "log/slog"

// A Secret holds a text that shows itself to nobody but who asks for it by name. Its zero value is the empty secret.
type Secret struct {
	// A pointer: the fmt package calls no method of a field that is not exported, and would print a text itself.
	text *string
}

const redacted = "[redacted]"

// NewSecret hides s.
func NewSecret(s string) Secret {
	if s == "" {
		return Secret{}
	}
	return Secret{&s}
}

// Reveal gives the text that was hidden. It belongs into a request to whom the secret is meant for, and nowhere else.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// IsZero reports whether the secret is empty.
func (s Secret) IsZero() bool { return s.text == nil }

// String says that there is a secret, or "" where there is none.
func (s Secret) String() string {
	if s.IsZero() {
		return ""
	}
	return redacted
}

// GoString is what %#v prints.
func (s Secret) GoString() string { return `settings.Secret("` + s.String() + `")` }

// LogValue is what slog writes.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText is what JSON and XML write: a secret cannot be written down by accident.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
