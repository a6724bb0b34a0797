package settings

import (
	"cmp"
	"slices"
	"strings"
)

// A Fault is one thing that is wrong with the settings, in words for who wrote them. It never quotes a value: what was
// put in the wrong place may be a secret, or an address, and faults go into the log.
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
