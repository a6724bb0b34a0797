package settings

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func TestASecretShowsItselfToNobody(t *testing.T) {
	t.Parallel()
	const canary = "canary-8Q~value"
	secret := NewSecret(canary)
	hidden := struct{ s Secret }{secret} // fmt calls no method of it
	source := Source{Credential: Credential{Secret: secret}}
	var shown strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%T"} {
		for _, v := range []any{secret, &secret, hidden, source, []Secret{secret}, map[string]Secret{"k": secret}, Connection{String: secret}} {
			fmt.Fprintf(&shown, verb+"\n", v)
		}
	}
	for _, encode := range []func(any) ([]byte, error){json.Marshal, xml.Marshal} {
		text, err := encode(struct{ S Secret }{secret})
		if err != nil && !strings.Contains(err.Error(), "xml: unsupported type") {
			t.Fatal(err)
		}
		shown.Write(text)
	}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("m", "secret", secret, "source", source)
	slog.New(slog.NewTextHandler(&log, nil)).Info("m", "secret", secret, "source", source)
	shown.Write(log.Bytes())
	for _, trace := range []string{canary, fmt.Sprintf("%x", canary)} {
		if strings.Contains(shown.String(), trace) {
			t.Errorf("the secret shows in:\n%s", shown.String())
		}
	}
	if !strings.Contains(log.String(), redacted) {
		t.Errorf("the log does not say that there is a secret: %s", &log)
	}
	if got := secret.Reveal(); got != canary {
		t.Errorf("Reveal() = %q, want the text", got)
	}
}

func TestTheZeroSecretIsEmpty(t *testing.T) {
	t.Parallel()
	for _, s := range []Secret{{}, NewSecret("")} {
		if !s.IsZero() || s.Reveal() != "" || s.String() != "" {
			t.Errorf("IsZero() = %v, Reveal() = %q, String() = %q, want an empty secret", s.IsZero(), s.Reveal(), s.String())
		}
	}
	if NewSecret("x").IsZero() {
		t.Error("a secret is zero")
	}
}
