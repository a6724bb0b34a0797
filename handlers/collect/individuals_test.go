package collect

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"chainmail/handlers/capture"
	"chainmail/handlers/graph/graphtest"
	"chainmail/handlers/ledger"
	"chainmail/handlers/pack"
)

func TestIndividualsAreFoundByTheirAddresses(t *testing.T) {
	t.Parallel()
	people := []capture.Individual{
		{Identifier: "Anna@contoso.example", Secondary: []string{"sales@contoso.example", "anna.berg@fabrikam.example"}},
		{Identifier: "bo@contoso.example", Secondary: []string{"sales@contoso.example"}},
		{Identifier: "EX01", Secondary: []string{"/o=Contoso/cn=Carl"}},
	}
	for _, tt := range []struct {
		addresses string
		ignores   bool
		want      string
	}{
		{"Anna@contoso.example", false, "Anna@contoso.example"},
		{"Anna@CONTOSO.Example", false, "Anna@contoso.example"},
		{"anna@contoso.example", false, ""},
		{"ANNA@contoso.example", true, "Anna@contoso.example"},
		{"anna.berg@fabrikam.example", false, "Anna@contoso.example"},
		{"sales@contoso.example dora@contoso.example", false, "Anna@contoso.example bo@contoso.example"},
		{"bo@contoso.example BO@contoso.example bo@Contoso.example", true, "bo@contoso.example"},
		{"/O=CONTOSO/CN=CARL", false, "EX01"},
		{"owner@contoso.example", true, ""}, // the custodian stands there already
		{"", true, ""},
	} {
		l := roll{ignoresCase: tt.ignores, named: map[string][]string{}}
		for _, p := range append(people, capture.Individual{Identifier: "owner@contoso.example"}) {
			l.add(p)
		}
		if got := strings.Join(l.found("owner@contoso.example", strings.Fields(tt.addresses)), " "); got != tt.want {
			t.Errorf("%q, without case %v: found %q, want %q", tt.addresses, tt.ignores, got, tt.want)
		}
	}
}

// TestTheLoadFileNamesTheIndividualsThatAreFound runs three settings: nobody, those of the source, those of all sources.
func TestTheLoadFileNamesTheIndividualsThatAreFound(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		settings map[string]any
		want     []int // the users named beside the custodian; 3: somebody known, who is not in the batch
	}{
		"nobody":                                 {map[string]any{}, nil},
		"the source":                             {map[string]any{"discoverMonitoredIndividuals": true}, []int{1}},
		"all sources":                            {map[string]any{"discoverMonitoredIndividuals": true, "includeIndividualsNotLinked": true}, []int{1, 3}},
		"without discovery all sources are none": {map[string]any{"includeIndividualsNotLinked": true}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tenant := newTenant(4)
			u := tenant.Users
			m := put(u[0], "Inbox", 1, 1)[0]
			to := ""
			for _, other := range u[1:] {
				to += "<" + other.Mail + ">,"
			}
			m.Raw = []byte(strings.Replace(string(m.Raw), "To: ", "To: "+to, 1))
			w := newWorld(t, tenant, nil)
			w.configure(tt.settings)
			w.batch(w.custodians()[:2]...)
			person := ledger.Person{Identifier: u[3].Mail, ObjectID: u[3].ID}
			row, err := w.ledger.Source(t.Context(), testSource)
			must(t, err)
			must(t, w.ledger.PutPeople(t.Context(), testSource, row, []ledger.Row[ledger.Person]{{Value: person}}, nil))
			w.settle(w.collector(nil), pause)
			want := []string{identifierOf(w, u[0])}
			for _, n := range tt.want {
				want = append(want, identifierOf(w, u[n]))
			}
			slices.Sort(want[1:])
			package1 := pack.Name{Source: testSource, Batch: w.row().ID, Part: 1}.Zip()
			rows := loadFile(t, unzipped(t, w.read().files[package1])[pack.LoadFileName])
			if len(rows) != 2 {
				t.Fatalf("%d records, want an email and its attachment", len(rows))
			}
			for _, row := range rows {
				if got := row["Trace Monitored Individuals"]; got != strings.Join(want, ";") {
					t.Errorf("%s names %q, want %q", row["Control Number"], got, want)
				}
			}
		})
	}
}

func identifierOf(w *world, u *graphtest.User) string {
	for _, c := range w.custodians() {
		if c.ID == u.ID {
			return c.Identifier
		}
	}
	return u.Mail
}

// loadFile gives the records of a load file by the names of their columns.
func loadFile(t *testing.T, data string) []map[string]string {
	t.Helper()
	r, err := pack.NewLoadFileReader(strings.NewReader(data))
	must(t, err)
	var rows []map[string]string
	for {
		values, err := r.Next()
		if errors.Is(err, io.EOF) {
			return rows
		}
		must(t, err)
		row := map[string]string{}
		for i, name := range pack.Columns() {
			row[name] = values[i]
		}
		rows = append(rows, row)
	}
}
