package preflight

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"chainmail/handlers/capture"
	"chainmail/handlers/graph"
	"chainmail/handlers/settings"

	"golang.org/x/sync/errgroup"
)

// A period is the time that a source collects, as far as it can be told now.
type period struct {
	from, to time.Time      // zero to: without end
	sampled  capture.Window // of the past, from which the rate is taken
	length   time.Duration  // that the forecast is for
}

// usual is the time that is sampled, and forecast, where the source's own lies ahead or has no bounds.
const usual = 30 * 24 * time.Hour

func periodOf(s settings.Source, now time.Time) period {
	now = now.Truncate(time.Second)
	p := period{from: s.StartDate, to: s.EndDate, sampled: capture.Window{Start: s.StartDate, End: now}, length: usual}
	if !s.EndDate.IsZero() && s.EndDate.Before(now) {
		p.sampled.End = s.EndDate
	}
	if from, to := s.StartDate, s.EndDate; !from.IsZero() && (!to.IsZero() || from.Before(now)) {
		if to.IsZero() {
			to = now
		}
		p.length = to.Sub(from)
	} else if from.IsZero() && to.After(now) {
		p.length = to.Sub(now)
	}
	if s.StartDate.IsZero() || !s.StartDate.Before(p.sampled.End) {
		p.sampled = capture.Window{Start: p.sampled.End.Add(-usual), End: p.sampled.End}
	}
	return p
}

// monitors reports whether an individual is monitored at any time of the period.
func (p period) monitors(in capture.Individual) bool {
	return (p.to.IsZero() || in.From.Before(p.to)) && (in.To.IsZero() || in.To.After(p.from))
}

// sampledDays is how many days of a mailbox are listed: one of each weekday.
const sampledDays = 7

// days are the windows that are listed of each mailbox: all of a period of a week or less, or else seven days spread over it,
// each another weekday.
func (p period) days() []capture.Window {
	const d = 24 * time.Hour
	n := int(p.sampled.Duration() / d)
	if n <= sampledDays {
		return []capture.Window{p.sampled}
	}
	var all []capture.Window
	for i := range sampledDays {
		middle := (2*i + 1) * n / (2 * sampledDays) // of the i-th part; the listed day is the nearest of the i-th weekday
		place := middle - ((middle-i)%sampledDays+sampledDays)%sampledDays
		if next := place + sampledDays; place < 0 || next < n && next-middle < middle-place {
			place = next
		}
		start := p.sampled.Start.Add(time.Duration(place) * d)
		all = append(all, capture.Window{Start: start, End: start.Add(d)})
	}
	return all
}

// What the forecast assumes.
const (
	requestsPerHour = 60_000 // Graph's limit for an application and a mailbox: 10,000 in 10 minutes
	listingRequests = 14     // two listings of seven requests each, for every batch
	sideBySide      = 8      // mailboxes that one run reads at once
	storedPerByte   = 2.0    // native, text and attachments, packed, to a byte of the mailbox
	usdPerGB        = 0.02   // a month, hot tier with local redundancy; other tiers and regions differ by up to ten times
)

// A volume is what was listed of a mailbox.
type volume struct{ items, bytes float64 }

// forecast estimates what there is to collect. With N mailboxes that can be collected (the individuals, times the part of those
// looked at), n of them listed for d days, D days in the period, and x the items that were listed of each:
//
//	items    = N · mean(x) · D/d
//	GB       = the same of the sizes by Exchange's own account (PR_MESSAGE_SIZE), without those it does not tell
//	error    = 2 · s(x)/√n · √(1 − n/N) / mean(x), two standard errors; the days that were not listed are not in it
//	requests = items + 14 · batches, of one mailbox: a request for each item, and the two listings of each batch
//	hours    = requests of all mailboxes / 8 / 60,000 for one run after another, eight mailboxes side by side at Graph's
//	           limit of 10,000 requests in 10 minutes (at 4 requests at once that takes answers within a quarter of a
//	           second); of one lane, the same of its individuals: lanes' runs work side by side as far as instances scale
//	stored   = 2 · GB, at 0.02 USD for a GB and month
//
// Counts are of items listed, not Graph's $count, which is known to be wrong for a mailbox as a whole.
func (r *run) forecast(ctx context.Context) {
	volumes, failed := r.measure(ctx)
	if len(volumes) == 0 {
		text := "no mailbox could be listed for a forecast"
		if failed != nil {
			text += ": " + say(failed)
		}
		r.found(CheckForecast, Unknown, remedyOf(failed, "see to permissions and individuals first, then "+later), "%s", text)
		return
	}
	e := r.estimate(volumes)
	f := Finding{Check: CheckForecast, State: OK, Text: e.text(r.Source.IndividualsPerJob), Figures: e.figures()}
	if e.itemsListed == 0 {
		f.State = Unknown
		f.Remedy = "compare startDate and endDate with the time of the mail that is expected; a forecast needs days with mail"
		f.Text = fmt.Sprintf("no email lies in the %s days that were listed of each of %s mailboxes",
			short(e.daysListed), short(e.sampled))
	}
	r.add(f)
}

// measure lists the sampled days of mailboxes that answer, spread evenly, as far as the time goes. failed is why one could not
// be listed.
func (r *run) measure(ctx context.Context) (all []volume, failed error) {
	readable := slices.DeleteFunc(slices.Clone(r.looks), func(l look) bool { return !l.readable() })
	places := spread(len(readable), r.Sample, defaultSample)
	var mu sync.Mutex
	done := 0
	var g errgroup.Group
	g.SetLimit(looksAtOnce)
	for _, place := range places {
		mu.Lock()
		lost := len(all) == 0 && done >= givesUpAfter
		mu.Unlock()
		if lost || r.late() || ctx.Err() != nil {
			break
		}
		g.Go(func() error {
			v, err := r.list(ctx, readable[place].id)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				all = append(all, v)
			} else {
				failed = err
			}
			done++
			r.progress("forecast", done, len(places))
			return nil
		})
	}
	_ = g.Wait() // no listing stops the others
	return all, failed
}

func (r *run) list(ctx context.Context, id string) (v volume, err error) {
	for _, w := range r.period.days() {
		listing, err := r.client.List(ctx, id, graph.Query{Window: w, Quick: true, Drafts: r.Source.Drafts})
		if err != nil {
			return v, err
		}
		v.items += float64(len(listing.Items) + len(listing.Unlisted))
		for _, item := range listing.Items {
			v.bytes += float64(item.Size)
		}
	}
	return v, nil
}

// An estimate is a forecast's figures.
type estimate struct {
	mailboxes, sampled, days float64
	items, gigabytes         float64
	itemError                float64 // as a part of items; below 0: not to be told
	hoursLane, hoursAll      float64
	storedGB, storedUSD      float64
	daysListed, itemsListed  float64
}

func (r *run) estimate(volumes []volume) estimate {
	verdicts, readable := 0, 0
	for _, l := range r.looks {
		if l.err == nil {
			verdicts++
		}
		if l.readable() {
			readable++
		}
	}
	var listed time.Duration
	for _, w := range r.period.days() {
		listed += w.Duration()
	}
	var items, bytes float64
	for _, v := range volumes {
		items += v.items
		bytes += v.bytes
	}
	n := float64(len(volumes))
	e := estimate{
		mailboxes: math.Round(float64(len(r.people)) * float64(readable) / float64(verdicts)), sampled: n,
		days: r.period.length.Hours() / 24, daysListed: listed.Hours() / 24, itemsListed: items,
	}
	scale := e.mailboxes / n * e.days / e.daysListed
	e.items, e.gigabytes = items*scale, bytes*scale/1e9
	e.itemError = sampleError(volumes, e.mailboxes)

	each := e.items/e.mailboxes + listingRequests*r.batches()
	lane := math.Min(float64(r.Source.IndividualsPerJob), e.mailboxes)
	e.hoursLane = lane * each / sideBySide / requestsPerHour
	e.hoursAll = e.mailboxes * each / sideBySide / requestsPerHour
	e.storedGB = e.gigabytes * storedPerByte
	e.storedUSD = e.storedGB * usdPerGB
	return e
}

// batches is in how many batches the period is collected.
func (r *run) batches() float64 {
	length := r.Source.Frequency
	if r.Source.Merge && !r.Source.StartDate.IsZero() {
		length *= time.Duration(max(r.Source.MaxMerge, 1))
	}
	return math.Ceil(float64(r.period.length) / float64(max(length, time.Minute)))
}

// sampleError is two standard errors of the mean, as a part of it, with the correction for a finite number of mailboxes.
func sampleError(volumes []volume, mailboxes float64) float64 {
	n := float64(len(volumes))
	var mean, squares float64
	for _, v := range volumes {
		mean += v.items / n
	}
	for _, v := range volumes {
		squares += (v.items - mean) * (v.items - mean)
	}
	if n < 2 || mean == 0 {
		return -1
	}
	return 2 * math.Sqrt(squares/(n-1)/n*math.Max(0, 1-n/mailboxes)) / mean
}

func (e estimate) figures() map[string]float64 {
	f := map[string]float64{
		"mailboxes": e.mailboxes, "mailboxesListed": e.sampled, "days": round(e.days), "daysListed": round(e.daysListed),
		"itemsListed": e.itemsListed, "items": math.Round(e.items), "gigabytes": round(e.gigabytes),
		"hoursPerLane": round(e.hoursLane), "hoursOneRunAfterAnother": round(e.hoursAll),
		"gigabytesStored": round(e.storedGB), "usdPerMonth": round(e.storedUSD),
	}
	if e.itemError >= 0 {
		f["itemErrorInPercent"] = round(100 * e.itemError)
	}
	return f
}

func (e estimate) text(lane int) string {
	within := "how far that is off cannot be told from one mailbox"
	if e.itemError >= 0 {
		within = fmt.Sprintf("±%s %% by the choice of mailboxes (two standard errors); the days not listed are not in that",
			short(100*e.itemError))
	}
	return fmt.Sprintf("about %s items and %s GB of email in %s days of %s mailboxes, from %s days each of %s mailboxes: %s. ",
		short(e.items), short(e.gigabytes), short(e.days), short(e.mailboxes), short(e.daysListed), short(e.sampled), within) +
		fmt.Sprintf("At Graph's limit %s h for a lane of %d, %s h for all by one run after another; about %s GB stored, "+
			"%s USD a month. ",
			short(e.hoursLane), lane, short(e.hoursAll), short(e.storedGB), short(e.storedUSD)) +
		"Assumed: 10,000 requests in 10 minutes for each mailbox, 8 mailboxes side by side, one request for each item, 14 for each " +
		"batch; 2 bytes stored for one in the mailbox, 0.02 USD for a GB and month; calendars are not counted."
}

// round keeps three figures.
func round(f float64) float64 {
	v, _ := strconv.ParseFloat(strconv.FormatFloat(f, 'g', 3, 64), 64)
	return v
}

// short writes three figures of a number, with commas between thousands.
func short(f float64) string {
	f = round(f)
	if math.Abs(f) >= 100 {
		return number(int(math.Round(f)))
	}
	return strconv.FormatFloat(f, 'f', -1, 64)
}

// number writes a count with commas between thousands.
func number(n int) string {
	text := strconv.Itoa(n)
	var parts []string
	for len(text) > 3 {
		parts = append([]string{text[len(text)-3:]}, parts...)
		text = text[:len(text)-3]
	}
	return strings.Join(append([]string{text}, parts...), ",")
}
