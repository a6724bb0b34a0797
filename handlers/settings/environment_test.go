package settings

import (
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"
)

// from looks settings up by their exact names.
func from(values map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		v, ok := values[name]
		return v, ok
	}
}

const emulator = "UseDevelopmentStorage=true"

// with gives settings that are good, changed by pairs of name and value; an empty value removes.
func with(pairs ...string) map[string]string {
	values := map[string]string{"AzureWebJobsStorage": emulator, "CHAINMAIL_STATE": emulator, "CHAINMAIL_EVIDENCE": emulator}
	for i := 0; i < len(pairs); i += 2 {
		values[pairs[i]] = pairs[i+1]
		if pairs[i+1] == "" {
			delete(values, pairs[i])
		}
	}
	return values
}

func TestEnvironmentHasDefaults(t *testing.T) {
	t.Parallel()
	env, err := FromEnvironment(from(with()))
	if err != nil {
		t.Fatal(err)
	}
	if env.RunBudget != 8*time.Minute || env.LogLevel != slog.LevelInfo {
		t.Errorf("RunBudget = %v, LogLevel = %v, want 8m, info", env.RunBudget, env.LogLevel)
	}
	if env.State.String.Reveal() != emulator || env.Evidence.String.Reveal() != emulator {
		t.Error("the connection strings are not those of the settings")
	}
	if v, ok := env.Lookup("CHAINMAIL_STATE"); v != emulator || !ok {
		t.Error("Lookup does not find the app settings")
	}
}

func TestEnvironmentReadsWhatIsSet(t *testing.T) {
	t.Parallel()
	const id = "6f1c1b52-3a0e-4a57-9d4c-5b7f0c2e8a11"
	env, err := FromEnvironment(from(with(
		"CHAINMAIL_STATE", "",
		"CHAINMAIL_STATE__blobServiceUri", "https://state.blob.core.windows.net",
		"CHAINMAIL_STATE__tableServiceUri", " https://state.table.core.windows.net/ ",
		"CHAINMAIL_STATE__queueServiceUri", "https://state.queue.core.windows.net",
		"CHAINMAIL_STATE__clientId", id,
		"CHAINMAIL_EVIDENCE", "",
		"CHAINMAIL_EVIDENCE__blobServiceUri", "https://evidence.blob.core.usgovcloudapi.net",
		"RUN_BUDGET", "90s", "LOG_LEVEL", "Warn")))
	if err != nil {
		t.Fatal(err)
	}
	state := Connection{
		BlobServiceURI: "https://state.blob.core.windows.net", TableServiceURI: "https://state.table.core.windows.net/",
		QueueServiceURI: "https://state.queue.core.windows.net", ClientID: id,
	}
	if env.State != state {
		t.Errorf("State = %+v, want %+v", env.State, state)
	}
	if want := (Connection{BlobServiceURI: "https://evidence.blob.core.usgovcloudapi.net"}); env.Evidence != want {
		t.Errorf("Evidence = %+v, want %+v", env.Evidence, want)
	}
	if env.RunBudget != 90*time.Second || env.LogLevel != slog.LevelWarn {
		t.Errorf("RunBudget = %v, LogLevel = %v, want 1m30s, WARN", env.RunBudget, env.LogLevel)
	}
}

func TestEnvironmentFaults(t *testing.T) {
	t.Parallel()
	const account = "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=canary;EndpointSuffix=core.windows.net"
	tests := []struct {
		name     string
		settings map[string]string
		want     map[string]string // setting, part of its problem; empty: no faults
	}{
		{"connection string", with("CHAINMAIL_STATE", account), nil},
		{"shared access signature", with("CHAINMAIL_EVIDENCE", "BlobEndpoint=https://a.blob.core.windows.net;SharedAccessSignature=sv"), nil},
		{"shortest budget", with("RUN_BUDGET", "1s"), nil},
		{"longest budget", with("RUN_BUDGET", "20m"), nil},
		{"blank settings are none", with("RUN_BUDGET", " ", "LOG_LEVEL", " "), nil},
		{"nothing", map[string]string{}, map[string]string{
			"CHAINMAIL_STATE":    "set CHAINMAIL_STATE__blobServiceUri and CHAINMAIL_STATE__tableServiceUri",
			"CHAINMAIL_EVIDENCE": "set CHAINMAIL_EVIDENCE__blobServiceUri for", "AzureWebJobsStorage": "set AzureWebJobsStorage__queueServiceUri for",
		}},
		{"names are exact", map[string]string{"AzureWebJobsStorage": emulator, "chainmail_state": emulator, "CHAINMAIL_EVIDENCE": emulator, "CHAINMAIL_STATE__BLOBSERVICEURI": "https://a"},
			map[string]string{"CHAINMAIL_STATE": "is not set"}},
		{"both", with("CHAINMAIL_STATE__blobServiceUri", "https://canary"), map[string]string{"CHAINMAIL_STATE": "keep either"}},
		{"a client id beside a string", with("CHAINMAIL_EVIDENCE__clientId", "canary"), map[string]string{"CHAINMAIL_EVIDENCE": "keep either"}},
		{"no table", with("CHAINMAIL_STATE", "", "CHAINMAIL_STATE__blobServiceUri", "https://a.blob.core.windows.net"),
			map[string]string{"CHAINMAIL_STATE__tableServiceUri": "https://ACCOUNT.table.core.windows.net"}},
		{"http", with("CHAINMAIL_EVIDENCE", "", "CHAINMAIL_EVIDENCE__blobServiceUri", "http://canary"),
			map[string]string{"CHAINMAIL_EVIDENCE__blobServiceUri": "is no address"}},
		{"a signature in the address", with("CHAINMAIL_EVIDENCE", "", "CHAINMAIL_EVIDENCE__blobServiceUri", "https://a.blob.core.windows.net/?sig=canary"),
			map[string]string{"CHAINMAIL_EVIDENCE__blobServiceUri": "without a key"}},
		{"a container in the address", with("CHAINMAIL_EVIDENCE", "", "CHAINMAIL_EVIDENCE__blobServiceUri", "https://a.blob.core.windows.net/canary"),
			map[string]string{"CHAINMAIL_EVIDENCE__blobServiceUri": "is no address"}},
		{"client id", with("CHAINMAIL_EVIDENCE", "", "CHAINMAIL_EVIDENCE__blobServiceUri", "https://a.blob.core.windows.net", "CHAINMAIL_EVIDENCE__clientId", "canary"),
			map[string]string{"CHAINMAIL_EVIDENCE__clientId": "is no GUID"}},
		{"no connection string", with("CHAINMAIL_STATE", "canary"), map[string]string{"CHAINMAIL_STATE": "is no connection string"}},
		{"key vault reference", with("CHAINMAIL_STATE", "@Microsoft.KeyVault(SecretUri=https://canary)"), map[string]string{"CHAINMAIL_STATE": "not resolved"}},
		{"sample", with("CHAINMAIL_STATE", "<canary>"), map[string]string{"CHAINMAIL_STATE": "placeholder"}},
		{"budget too short", with("RUN_BUDGET", "999ms"), map[string]string{"RUN_BUDGET": "from 1s to 20m"}},
		{"budget too long", with("RUN_BUDGET", "20m1s"), map[string]string{"RUN_BUDGET": "from 1s to 20m"}},
		{"budget without unit", with("RUN_BUDGET", "8"), map[string]string{"RUN_BUDGET": "such as 8m"}},
		{"negative budget", with("RUN_BUDGET", "-8m"), map[string]string{"RUN_BUDGET": "from 1s"}},
		{"level", with("LOG_LEVEL", "canary"), map[string]string{"LOG_LEVEL": "debug, info, warn or error"}},
		{"all at once", map[string]string{"AzureWebJobsStorage": emulator, "CHAINMAIL_STATE": "canary", "RUN_BUDGET": "canary", "LOG_LEVEL": "canary"}, map[string]string{
			"CHAINMAIL_STATE": "is no connection", "CHAINMAIL_EVIDENCE": "is not set", "RUN_BUDGET": "must be", "LOG_LEVEL": "must be",
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			env, err := FromEnvironment(from(tt.settings))
			if err == nil {
				if len(tt.want) > 0 {
					t.Fatalf("no faults, want %v", tt.want)
				}
				return
			}
			var faults Faults
			if !errors.As(err, &faults) || len(faults) != len(tt.want) {
				t.Fatalf("faults:\n%v\nwant %v", err, tt.want)
			}
			for _, f := range faults {
				if want, ok := tt.want[f.Path]; !ok || !strings.Contains(f.Problem, want) {
					t.Errorf("fault of %s: %q, want %q", f.Path, f.Problem, want)
				}
			}
			if strings.Contains(err.Error(), "canary") {
				t.Errorf("the error quotes a value: %v", err)
			}
			if env.Lookup != nil || env.RunBudget != 0 {
				t.Error("an environment came with the faults")
			}
		})
	}
}

func TestLogLevels(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo, "WARN": slog.LevelWarn, "error": slog.LevelError} {
		env, err := FromEnvironment(from(with("LOG_LEVEL", text)))
		if err != nil || env.LogLevel != want {
			t.Errorf("LOG_LEVEL %s: %v, %v, want %v", text, env.LogLevel, err, want)
		}
	}
}

func TestFaultsAreOneALine(t *testing.T) {
	t.Parallel()
	err := Faults{{Path: "a", Problem: "is bad"}, {Problem: "the file is bad"}}
	if got, want := strings.Split(err.Error(), "\n"), []string{"a: is bad", "the file is bad"}; !slices.Equal(got, want) {
		t.Errorf("Error() = %q, want %q", got, want)
	}
}
