package verify

import (
	"fmt"
	"io"
	"math/bits"
	"regexp"
	"strings"
	"time"

	"chainmail/handlers/capture"

	"golang.org/x/text/language"
	"golang.org/x/text/message"
)

// line answers for a source: is it everything, and is it unchanged?
func (s Source) line() string {
	is := []string{count(s.Cover.Custodians, "custodian")}
	if w := s.Cover.Period; w.Start.Before(w.End) {
		is = append(is, span(w))
		if s.Cover.Custodians > 0 {
			is = append(is, percent(s.Cover.Covered, s.Cover.Time)+" covered")
		}
		is = append(is, count(len(s.Cover.Gaps), "gap"), count(s.Cover.Open, "open exception"))
		if s.Cover.Ended > 0 {
			is = append(is, count(s.Cover.Ended, "closed exception"))
		}
	} else {
		is = append(is, "no manifest of the period")
	}
	has := []string{count(s.Batches, "batch"), s.packages(), count(s.Documents, "document")}
	if s.Collecting > 0 {
		has = append(has, count(s.Collecting, "batch")+" without manifest, as still being collected")
	}
	return s.Name + ": " + strings.Join(is, ", ") + "; " + strings.Join(has, ", ") + "; " + s.chain()
}

func (s Source) packages() string {
	if s.Altered > 0 {
		return count(s.Packages, "package") + ", " + number(s.Packages-s.Altered) + " unchanged"
	}
	return count(s.Packages, "package") + " unchanged"
}

func (s Source) chain() string {
	if s.Last == 0 {
		return "no chain"
	}
	state := "broken"
	if s.Whole {
		state = "whole"
	}
	line := fmt.Sprintf("chain %s (1..%d), head %s", state, s.Last, s.Head)
	if s.Witnessed {
		line += " as given"
	}
	if s.AnchoredTo > 0 {
		line += ", anchored in the log " + s.anchored()
	}
	return line
}

// anchored is how far the log bears witness to the chain.
func (s Source) anchored() string {
	to := fmt.Sprintf("to sequence %d", s.AnchoredTo)
	if int64(s.Anchors) < s.AnchoredTo {
		to += " by " + count(s.Anchors, "anchor")
	}
	return to
}

// resumption says from where a new ledger would go on, and what of this evidence it would collect a second time.
func (s Source) resumption() string {
	if s.State.IsZero() {
		return ""
	}
	is := "ingestion state by the manifests " + s.State.Format(time.RFC3339) + ", settings _config/" + word(s.ConfigSHA256) + ".json"
	if s.Planned.After(s.State) {
		is += "; there is a hole, and batches behind it until " + s.Planned.Format(time.RFC3339)
	}
	return is
}

// unwitnessed says of a chain's end that nothing outside bears witness to it; "": something does.
func (s Source) unwitnessed() string {
	switch {
	case s.Last == 0 || s.Witnessed:
		return ""
	case s.AnchoredTo > 0:
		return fmt.Sprintf("the anchors that were given end at sequence %d: that no manifest after it was replaced, or the last removed "+
			"with its batch, only a later event \"batch sealed\" shows", s.AnchoredTo)
	}
	return fmt.Sprintf("no -head was given for it: that its last manifest was not replaced, or removed with its batch, "+
		"only a witness from outside shows: the last log event \"batch sealed\" must have sequence %d and the head above", s.Last)
}

// texts says of how much there is a text; "": there are no documents.
func (s Source) texts() string {
	t := s.Cover.Texts
	if t.Sum() == 0 {
		return ""
	}
	parts := []string{fmt.Sprintf("%s have their text", percent(int64(t.Extracted+t.Empty), int64(t.Sum())))}
	for _, k := range []struct {
		n    int
		what string
	}{
		{t.Extracted, "extracted"}, {t.Empty, "without words"}, {t.NotSupported, "of kinds not read"},
		{t.Protected, "protected"}, {t.TooLarge, "cut"}, {t.Failed, "failed"},
	} {
		if k.n > 0 {
			parts = append(parts, number(k.n)+" "+k.what)
		}
	}
	return fmt.Sprintf("of %s %s; %s synthesised",
		count(t.Sum(), "document"), strings.Join(parts, ", "), count(s.Cover.Synthesised, "native"))
}

// coverage says what is missing of a source, and of how much there is no text.
func (s Source) coverage(w io.Writer) {
	r := s.Cover
	if texts := s.texts(); texts != "" {
		fmt.Fprintf(w, "%s: texts: %s\n", s.Name, texts)
	}
	for _, g := range r.Gaps {
		who := "every custodian"
		if g.Custodian != "" {
			who = "custodian " + word(g.Custodian)
		}
		fmt.Fprintf(w, "%s: gap: %s, %s: %s\n", s.Name, who, span(g.Period), g.Why)
	}
	for _, p := range r.Partly {
		fmt.Fprintf(w, "%s: in part: custodian %s, %s: without %s\n", s.Name, word(p.Custodian), span(p.Period), scope(p.Scope))
	}
	if len(r.Rules) > 0 {
		scopes := make([]string, len(r.Rules))
		for i, rule := range r.Rules {
			scopes[i] = scope(rule)
		}
		fmt.Fprintf(w, "%s: left out for everybody by rule or setting: %s\n", s.Name, strings.Join(scopes, "; "))
	}
}

// plainScope is how the scopes of coverage look: what was altered may be anything.
var plainScope = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z :,.()-]{0,80}$`)

func scope(s string) string {
	if plainScope.MatchString(s) {
		return s
	}
	return "(unreadable)"
}

// percent never rounds up: 100.00 % is all of it. The part is not more than the whole.
func percent(part, whole int64) string {
	n := hundredths(part, whole)
	return fmt.Sprintf("%d.%02d %%", n/100, n%100)
}

// hundredths are those of a per cent.
func hundredths(part, whole int64) int64 {
	high, low := bits.Mul64(uint64(part), 10000)
	n, _ := bits.Div64(high, low, uint64(whole))
	return int64(n)
}

// span is a period, its end exclusive; one of whole days without the hours.
func span(w capture.Window) string {
	form := time.RFC3339
	if day := 24 * time.Hour; w.Start.Truncate(day).Equal(w.Start) && w.End.Truncate(day).Equal(w.End) {
		form = time.DateOnly
	}
	return w.Start.UTC().Format(form) + ".." + w.End.UTC().Format(form)
}

func number(n int) string { return message.NewPrinter(language.English).Sprintf("%d", n) }
