// Package zones finds a time zone by the name that a calendar gives it: Windows' names, those of the IANA database, UTC.
//
// The database is embedded and no other is read, unlike by time.LoadLocation: what is said of a zone depends on the program
// alone, not on the machine that it runs on. zoneinfo.zip is the one that Go 1.26.8 carries (lib/time/zoneinfo.zip, version
// 2025c); whoever renews it changes what is written of zones whose rules have changed since. windows.tsv is Unicode's
// mapping of Windows' names, each for the territory 001, out of cldr-core 48.2.0 (supplemental/windowsZones.json); a test
// holds it to that.
package zones

import (
	"archive/zip"
	"bytes"
	_ "embed" // the database and the mapping
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

//go:embed zoneinfo.zip
var database []byte

//go:embed windows.tsv
var windows string

// A Zone is one that is known.
type Zone struct {
	Name     string // as Windows or IANA write it; "UTC"
	IANA     string // the name in the IANA database
	Location *time.Location
}

// IsUTC reports whether the zone's clocks always show UTC under that name.
func (z Zone) IsUTC() bool { return z.Location == time.UTC }

// UTC is the zone of that name.
func UTC() Zone { return Zone{Name: "UTC", IANA: "Etc/UTC", Location: time.UTC} }

// maxName bounds what is looked up; the longest name has 32 bytes.
const maxName = 64

// Find looks a name up, in whatever case. tzone://Microsoft/Utc is Exchange's name for UTC; tzone://Microsoft/Custom, which
// stands for rules that it does not tell, is unknown like any other name that is none.
func Find(name string) (Zone, bool) {
	key := strings.ToLower(strings.TrimSpace(name))
	switch key {
	case "utc", "etc/utc", "z", "tzone://microsoft/utc", "coordinated universal time":
		return UTC(), true
	}
	if len(key) > maxName {
		return Zone{}, false
	}
	t := tables()
	if z, ok := t.windows[key]; ok {
		loc, err := t.load(z.IANA)
		z.Location = loc
		return z, err == nil
	}
	iana, ok := t.names[key]
	if !ok {
		return Zone{}, false
	}
	loc, err := t.load(iana)
	return Zone{Name: iana, IANA: iana, Location: loc}, err == nil
}

// WindowsNames are the names that the mapping has, sorted.
func WindowsNames() []string {
	var names []string
	for line := range strings.Lines(windows) {
		name, _, _ := strings.Cut(line, "\t")
		names = append(names, name)
	}
	return names
}

// A table is the database and the mapping, by names in lower case.
type table struct {
	windows map[string]Zone
	names   map[string]string
	files   map[string]*zip.File
	loaded  sync.Map // IANA name to *time.Location
}

var tables = sync.OnceValue(func() *table {
	t := &table{windows: map[string]Zone{}, names: map[string]string{}, files: map[string]*zip.File{}}
	for line := range strings.Lines(windows) {
		name, iana, _ := strings.Cut(strings.TrimSpace(line), "\t")
		t.windows[strings.ToLower(name)] = Zone{Name: name, IANA: iana}
	}
	archive, err := zip.NewReader(bytes.NewReader(database), int64(len(database)))
	if err != nil {
		return t // no zone is known then, which the tests would tell
	}
	for _, f := range archive.File {
		if !strings.HasSuffix(f.Name, "/") && f.Name != "Factory" { // which says that nobody has set a zone
			t.names[strings.ToLower(f.Name)], t.files[f.Name] = f.Name, f
		}
	}
	return t
})

func (t *table) load(name string) (*time.Location, error) {
	if loc, ok := t.loaded.Load(name); ok {
		return loc.(*time.Location), nil
	}
	f, ok := t.files[name]
	if !ok {
		return nil, fmt.Errorf("no zone %s", name)
	}
	r, err := f.Open()
	if err != nil {
		return nil, fmt.Errorf("open zone %s: %w", name, err)
	}
	defer func() { _ = r.Close() }()
	data, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("read zone %s: %w", name, err)
	}
	loc, err := time.LoadLocationFromTZData(name, data)
	if err != nil {
		return nil, fmt.Errorf("read zone %s: %w", name, err)
	}
	t.loaded.Store(name, loc)
	return loc, nil
}

// Instant is the time at which clocks of a place show what is given, which is read as if it were UTC. Of what they show
// twice it is the first time; what they skip counts as if they had not been put forward yet (RFC 5545, 3.3.5).
func Instant(clock time.Time, loc *time.Location) time.Time {
	y, m, d := clock.Date()
	clock = time.Date(y, m, d, clock.Hour(), clock.Minute(), clock.Second(), 0, time.UTC)
	before := Offset(clock.Add(-24*time.Hour), loc)
	for _, around := range []time.Duration{-24, -12, 0, 12, 24} { // the earliest offset first
		offset := Offset(clock.Add(around*time.Hour), loc)
		if at := clock.Add(-offset); Offset(at, loc) == offset {
			return at
		}
	}
	return clock.Add(-before)
}

// Offset is by how much clocks of a place are ahead of UTC at an instant.
func Offset(at time.Time, loc *time.Location) time.Duration {
	_, seconds := at.In(loc).Zone()
	return time.Duration(seconds) * time.Second
}

// Clock is what clocks of a place show at an instant, as if it were UTC.
func Clock(at time.Time, loc *time.Location) time.Time {
	return at.UTC().Add(Offset(at, loc))
}
