package capture

import "cmp"

// NameMailboxesOnce makes sure that a mailbox stands once among a batch's custodians, by whoever can be collected: evidence names
// custodians by their mailbox, and nobody may read it twice. The others are excluded, and named without it. Two
// individuals have one mailbox when a list names it twice, or when one took the other's place within the period; whose
// other is not in the batch is no duplicate in it.
func NameMailboxesOnce(custodians []Custodian) {
	owner := map[string]int{}
	for i, c := range custodians {
		if j, taken := owner[c.ID]; !taken || custodians[j].Reason != "" && c.Reason == "" {
			owner[c.ID] = i
		}
	}
	for i := range custodians {
		c := &custodians[i]
		switch {
		case c.ID == "":
		case owner[c.ID] != i:
			c.ID, c.Archive, c.Reason = "", false, cmp.Or(c.Reason, ReasonDuplicate)
		case c.Reason == ReasonDuplicate:
			c.Reason = ""
		}
	}
}
