package capture

import (
	"reflect"
	"testing"
)

func TestAMailboxAndItsArchiveAreNamedOnce(t *testing.T) {
	t.Parallel()
	custodians := []Custodian{
		{ID: "m1", Reason: ReasonDuplicate, Archive: true}, {ID: "m1", Archive: true}, {ID: "m2", Reason: ReasonDuplicate, Archive: true},
		{Reason: ReasonNotFound},
	}
	NameMailboxesOnce(custodians)
	want := []Custodian{{Reason: ReasonDuplicate}, {ID: "m1", Archive: true}, {ID: "m2", Archive: true}, {Reason: ReasonNotFound}}
	if !reflect.DeepEqual(custodians, want) {
		t.Errorf("custodians %+v, want %+v", custodians, want)
	}
}
