package zones_test

import (
	"bytes"
	_ "embed" // the lock file and the manifest
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"chainmail/handlers/mailfmt/zones"
	"chainmail/handlers/npmtest"
)

//go:embed testdata/cldr/package.json
var packageJSON []byte

//go:embed testdata/cldr/package-lock.json
var packageLock []byte

//go:embed windows.tsv
var mapping string

func TestEveryWindowsNameIsAZoneOfTheDatabase(t *testing.T) {
	t.Parallel()
	names := zones.WindowsNames()
	if len(names) < 139 {
		t.Fatalf("%d names", len(names))
	}
	for _, name := range names {
		z, ok := zones.Find(name)
		if !ok || z.Location == nil || z.Name != name {
			t.Errorf("%s: %+v", name, z)
			continue
		}
		if upper, ok := zones.Find(" " + strings.ToUpper(name)); !ok || upper.Name != name {
			t.Errorf("%s in capitals: %+v", name, upper)
		}
		if iana, ok := zones.Find(z.IANA); !ok || iana.Location != z.Location {
			t.Errorf("%s: %s is another zone", name, z.IANA)
		}
	}
}

func TestTheMappingIsUnicodes(t *testing.T) {
	t.Parallel()
	program := npmtest.Program{
		Name: "cldr-core", Version: "48.2.0", Size: "10 MB", File: "node_modules/cldr-core/supplemental/windowsZones.json",
		PackageJSON: packageJSON, Lock: packageLock,
	}
	_, file, err := program.Install(t.Context(), t.Output())
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var cldr struct {
		Supplemental struct {
			WindowsZones struct {
				MapTimezones []struct {
					MapZone struct {
						Other     string `json:"_other"`
						Type      string `json:"_type"`
						Territory string `json:"_territory"`
					}
				}
			}
		}
	}
	if err := json.NewDecoder(bytes.NewReader(data)).Decode(&cldr); err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, m := range cldr.Supplemental.WindowsZones.MapTimezones {
		if m.MapZone.Territory == "001" {
			want = append(want, fmt.Sprintf("%s\t%s\n", m.MapZone.Other, m.MapZone.Type))
		}
	}
	slices.Sort(want)
	if mapping != strings.Join(want, "") {
		t.Error("windows.tsv is not the mapping of cldr-core 48.2.0")
	}
}

func TestNamesThatAreNoZoneAreUnknown(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"", " ", "tzone://Microsoft/Custom", "Customized Time Zone", "Local", "Europe", "Europe/", "../Europe/Berlin", "Europe/Berlin\x00",
		strings.Repeat("x", 1<<20), "zone.tab",
	} {
		if z, ok := zones.Find(name); ok {
			t.Errorf("%.40q is %+v", name, z)
		}
	}
}

func TestUTCHasItsNames(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"UTC", "utc", "Etc/UTC", "tzone://Microsoft/Utc", "Z"} {
		if z, ok := zones.Find(name); !ok || !z.IsUTC() || z.Name != "UTC" {
			t.Errorf("%s: %+v", name, z)
		}
	}
	if z, ok := zones.Find("GMT Standard Time"); !ok || z.IsUTC() || z.IANA != "Europe/London" {
		t.Errorf("%+v", z)
	}
}

func TestClocksThatAreChangedTellTheFirstTimeAndTheSkippedHour(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ zone, clock, want string }{
		{"W. Europe Standard Time", "2026-03-02T09:00:00Z", "2026-03-02T08:00:00Z"},
		{"W. Europe Standard Time", "2026-03-29T01:59:59Z", "2026-03-29T00:59:59Z"},
		{"W. Europe Standard Time", "2026-03-29T02:30:00Z", "2026-03-29T01:30:00Z"}, // skipped
		{"W. Europe Standard Time", "2026-03-29T03:00:00Z", "2026-03-29T01:00:00Z"},
		{"W. Europe Standard Time", "2026-10-25T02:30:00Z", "2026-10-25T00:30:00Z"}, // twice
		{"W. Europe Standard Time", "2026-10-25T03:00:00Z", "2026-10-25T02:00:00Z"},
		{"Eastern Standard Time", "2026-03-08T02:30:00Z", "2026-03-08T07:30:00Z"},
		{"Eastern Standard Time", "2026-11-01T01:30:00Z", "2026-11-01T05:30:00Z"},
		{"Lord Howe Standard Time", "2026-04-05T01:45:00Z", "2026-04-04T14:45:00Z"},
		{"Samoa Standard Time", "2011-12-30T12:00:00Z", "2011-12-30T22:00:00Z"}, // a day that there was not
		{"India Standard Time", "2026-03-02T09:00:00Z", "2026-03-02T03:30:00Z"},
	} {
		z, _ := zones.Find(c.zone)
		clock, _ := time.Parse(time.RFC3339, c.clock)
		if got := zones.Instant(clock, z.Location).Format(time.RFC3339); got != c.want {
			t.Errorf("%s %s: %s, want %s", c.zone, c.clock, got, c.want)
		}
	}
}
