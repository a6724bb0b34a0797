package settings

import (
	"cmp"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A Fault is one thing that is wrong with the settings, in words for who wrote them. It never quotes a value: what was
// put in the wrong place may be a secret.
type Fault struct {
	Path    string `json:"path"`    // "sources[0].frequencyInMinutes", the name of an app setting, or "" for the whole file
	Problem string `json:"problem"` // what is wrong and what to do
}

// Faults are all that is wrong, in the order of the file. As an error they give one line each.
type Faults []Fault

// Error lists every fault on a line of its own.
func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i, fault := range f {
		lines[i] = fault.Problem
		if fault.Path != "" {
			lines[i] = fault.Path + ": " + fault.Problem
		}
	}
	return strings.Join(lines, "\n")
}

// A report gathers the faults of a document by their places in it.
type report struct {
	root   *node
	faults []placed
}

type placed struct {
	Fault
	offset int
}

// add notes a fault at a location: the keys and indexes that lead to it. Of what is missing the last keys are not in
// the document; it stands where its parent does.
func (r *report) add(location []string, problem string) {
	r.addAt(location, r.root.offset(location), problem)
}

func (r *report) addAt(location []string, offset int, problem string) {
	if len(location) == 0 {
		problem = "the file " + problem
	}
	r.faults = append(r.faults, placed{Fault{r.root.path(location), problem}, offset})
}

// sorted gives every fault once, in the order of the file; nil without any.
func (r *report) sorted() Faults {
	slices.SortFunc(r.faults, func(a, b placed) int {
		return cmp.Or(cmp.Compare(a.offset, b.offset), strings.Compare(a.Path, b.Path), strings.Compare(a.Problem, b.Problem))
	})
	var faults Faults
	for _, f := range slices.Compact(r.faults) {
		faults = append(faults, f.Fault)
	}
	return faults
}

// longestKey is how much of a strange key a path shows, in bytes.
const longestKey = 64

var plainKey = regexp.MustCompile(`^[A-Za-z_$][A-Za-z0-9_$]*$`)

// member is a key as a step of a path: ".name" or, for a key that is not so plain, `["a b"]`.
func member(key string) string {
	if len(key) <= longestKey && plainKey.MatchString(key) {
		return "." + key
	}
	if len(key) > longestKey {
		cut := longestKey
		for !utf8.RuneStart(key[cut]) {
			cut--
		}
		key = key[:cut] + "…"
	}
	return "[" + strconv.Quote(key) + "]"
}
