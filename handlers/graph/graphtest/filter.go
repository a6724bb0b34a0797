package graphtest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// A clause is one comparison of a $filter on messages.
type clause struct {
	property string // receivedDateTime, createdDateTime or isDraft
	op       string // ge, gt, le, lt; eq for isDraft
	at       time.Time
	yes      bool
}

// parseFilter reads the $filter of a list of messages: receivedDateTime or createdDateTime with ge, gt, le or lt and an unquoted
// time, isDraft eq true or false, joined by "and". Everything else is an error.
func parseFilter(text string) ([]clause, error) {
	words := strings.Fields(text)
	var clauses []clause
	for {
		if len(words) < 3 {
			return nil, fmt.Errorf("a clause has a property, an operator and a value")
		}
		c, err := parseClause(words[0], words[1], words[2])
		if err != nil {
			return nil, err
		}
		clauses = append(clauses, c)
		if words = words[3:]; len(words) == 0 {
			return clauses, nil
		}
		if words[0] != "and" {
			return nil, fmt.Errorf("clauses are joined by and")
		}
		words = words[1:]
	}
}

func parseClause(property, op, value string) (clause, error) {
	c := clause{property: property, op: op}
	switch property {
	case "receivedDateTime", "createdDateTime":
		if !slices.Contains([]string{"ge", "gt", "le", "lt"}, op) {
			return c, fmt.Errorf("%s is compared with ge, gt, le or lt", property)
		}
		at, err := time.Parse(time.RFC3339Nano, value)
		if err != nil {
			return c, fmt.Errorf("%s is compared with a time without quotes", property)
		}
		c.at = at.UTC()
	case "isDraft":
		if op != "eq" || value != "true" && value != "false" {
			return c, fmt.Errorf("isDraft is compared with eq true or eq false")
		}
		c.yes = value == "true"
	default:
		return c, fmt.Errorf("the property cannot be filtered on")
	}
	return c, nil
}

// matches compares with the stored time, which may be finer than the whole seconds that Graph shows.
func (c clause) matches(m *Message) bool {
	at := m.Received
	if c.property == "createdDateTime" {
		at = m.Created
	}
	switch c.op {
	case "eq":
		return m.Draft == c.yes
	case "ge":
		return !at.Before(c.at)
	case "gt":
		return at.After(c.at)
	case "le":
		return !at.After(c.at)
	}
	return at.Before(c.at)
}

// An order is one property of an $orderby.
type order struct {
	property string
	down     bool
}

func parseOrder(text string) ([]order, error) {
	var orders []order
	for part := range strings.SplitSeq(text, ",") {
		words := strings.Fields(part)
		if len(words) == 0 || len(words) > 2 || len(words) == 2 && words[1] != "asc" && words[1] != "desc" {
			return nil, fmt.Errorf("an order is a property and asc or desc")
		}
		o := order{property: words[0], down: len(words) == 2 && words[1] == "desc"}
		if _, ok := orderings(o.property); !ok {
			return nil, fmt.Errorf("the property cannot be sorted by")
		}
		orders = append(orders, o)
	}
	return orders, nil
}

func orderings(property string) (func(a, b *Message) int, bool) {
	switch property {
	case "receivedDateTime":
		return func(a, b *Message) int { return a.Received.Compare(b.Received) }, true
	case "sentDateTime":
		return func(a, b *Message) int { return a.Sent.Compare(b.Sent) }, true
	case "createdDateTime":
		return func(a, b *Message) int { return a.Created.Compare(b.Created) }, true
	case "lastModifiedDateTime":
		return func(a, b *Message) int { return a.Modified.Compare(b.Modified) }, true
	case "subject":
		return func(a, b *Message) int { return cmp.Compare(a.Subject, b.Subject) }, true
	case "isDraft":
		return func(a, b *Message) int {
			switch {
			case a.Draft == b.Draft:
				return 0
			case b.Draft:
				return -1
			}
			return 1
		}, true
	}
	return nil, false
}

// efficient says whether Graph takes a $filter and an $orderby together: the properties of $orderby must all stand in
// $filter, in the same order, before any others (page "List messages", "Using filter and orderby in the same query").
func efficient(filter []clause, orders []order) bool {
	if len(filter) == 0 {
		return true
	}
	var filtered []string
	for _, c := range filter {
		if !slices.Contains(filtered, c.property) {
			filtered = append(filtered, c.property)
		}
	}
	if len(orders) > len(filtered) {
		return false
	}
	for i, o := range orders {
		if filtered[i] != o.property {
			return false
		}
	}
	return true
}

// sortMessages sorts by the orders, newest first without any, and by id where those leave it open.
func sortMessages(rows []found, orders []order) {
	if len(orders) == 0 {
		orders = []order{{property: "receivedDateTime", down: true}}
	}
	slices.SortStableFunc(rows, func(a, b found) int {
		for _, o := range orders {
			compare, _ := orderings(o.property)
			c := compare(a.message, b.message)
			if o.down {
				c = -c
			}
			if c != 0 {
				return c
			}
		}
		return cmp.Compare(a.message.ImmutableID, b.message.ImmutableID)
	})
}
