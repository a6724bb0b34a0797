package console

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"

	"chainmail/handlers/capture"
	"chainmail/handlers/ledger"
)

// recordName is what records are called.
var recordName = regexp.MustCompile(`^` + records + `[0-9TZ.]+-[a-z0-9]+\.json$`)

// doneRecord is the record that a page tells of after an action; whatever else stands there is not shown.
func doneRecord(text string) string {
	if text == "nothing" || recordName.MatchString(text) {
		return text
	}
	return ""
}

func showTime(t time.Time) string {
	if t.IsZero() {
		return "–"
	}
	t = t.UTC()
	if t.Second() == 0 {
		return t.Format("2006-01-02 15:04")
	}
	return t.Format("2006-01-02 15:04:05")
}

// showPeriod writes a period without saying its day twice.
func showPeriod(from, to time.Time) string {
	from, to = from.UTC(), to.UTC()
	midnight := func(t time.Time) bool { return t.Truncate(24 * time.Hour).Equal(t) }
	switch {
	case from.IsZero() && to.IsZero():
		return "always"
	case from.IsZero():
		return "until " + showTime(to)
	case to.IsZero():
		return "from " + showTime(from) + " on"
	case midnight(from) && to.Sub(from) == 24*time.Hour:
		return from.Format(time.DateOnly)
	case from.Format(time.DateOnly) == to.Add(-time.Second).Format(time.DateOnly) && !midnight(to):
		return showTime(from) + " – " + strings.TrimPrefix(showTime(to), from.Format("2006-01-02 "))
	}
	return showTime(from) + " – " + showTime(to)
}

// showSpan writes a duration in the two largest units that it has.
func showSpan(d time.Duration) string {
	if d < 0 {
		d = -d
	}
	if d < time.Minute {
		return fmt.Sprintf("%d s", d/time.Second)
	}
	days, hours, minutes := d/(24*time.Hour), d%(24*time.Hour)/time.Hour, d%time.Hour/time.Minute
	switch {
	case days >= 10 || days > 0 && hours == 0:
		return fmt.Sprintf("%d d", days)
	case days > 0:
		return fmt.Sprintf("%d d %d h", days, hours)
	case hours > 0 && minutes == 0:
		return fmt.Sprintf("%d h", hours)
	case hours > 0:
		return fmt.Sprintf("%d h %d min", hours, minutes)
	}
	return fmt.Sprintf("%d min", minutes)
}

func showAgo(now, t time.Time) string {
	switch {
	case t.IsZero():
		return "never"
	case t.After(now):
		return "in " + showSpan(t.Sub(now))
	}
	return showSpan(now.Sub(t)) + " ago"
}

// showNumber writes a number with its thousands apart.
func showNumber(value any) string {
	text := fmt.Sprint(value)
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

func showSize(bytes int64) string {
	if bytes < 1<<10 {
		return strconv.FormatInt(bytes, 10) + " B"
	}
	value, unit := float64(bytes)/(1<<10), 0
	for ; value >= 1000 && unit < 3; unit++ {
		value /= 1 << 10
	}
	return strconv.FormatFloat(value, 'f', 1, 64) + " " + []string{"KiB", "MiB", "GiB", "TiB"}[unit]
}

// short is the beginning of a hash.
func short(text string) string { return text[:min(len(text), 12)] }

// words parts a name such as CompletedWithErrors into words.
func words(value any) string {
	var b strings.Builder
	runes := []rune(fmt.Sprint(value))
	for i, r := range runes {
		if i > 0 && unicode.IsUpper(r) && unicode.IsLower(runes[i-1]) {
			b.WriteByte(' ')
			r = unicode.ToLower(r)
		}
		b.WriteRune(r)
	}
	return b.String()
}

// tone is the class of a state, by which it has its colour and its mark.
func tone(value any) string {
	switch fmt.Sprint(value) {
	case "Completed", "Closed", "enabled", "done", "ok":
		return "good"
	case "Created", "Retrieving", "Collecting", "running":
		return "busy"
	case "CompletedWithDocumentLevelErrors", "PendingRetry", "warning", "behind":
		return "warn"
	case "CompletedWithErrors", "trouble", "fault":
		return "bad"
	}
	return "idle"
}

// lastOf is the place of the last stage.
func lastOf(stages []ledger.Stage) int { return len(stages) - 1 }

// cause is what a batch was made for.
func cause(reason string) string {
	if reason == capture.ReasonWindow {
		return "the schedule"
	}
	return words(reason)
}
