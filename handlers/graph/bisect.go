package graph

import (
	"cmp"
	"context"
	"errors"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	abstractions "github.com/microsoft/kiota-abstractions-go"

	"chainmail/handlers/capture"
)

// An Unlisted is what lies in a folder and cannot be listed, because Graph fails at its row even where that is the only one of
// a page: items without an id. They may be drafts.
type Unlisted struct {
	Folder   string // path, as an item's
	FolderID string // or the well-known name of a folder of Recoverable Items, which is good wherever an id is
	State    capture.State
	Window   capture.Window // the second of the time received, the narrowest that can be asked for
	Count    int            // how many they are, going by the offsets that failed
	Code     string         // what Graph says to the first: "ErrorContentConversionFailed", or "TruncatedAnswer"
}

// A loss is an Unlisted whose folder is not yet looked up.
type loss struct {
	list   *list
	second capture.Window
	count  int
	code   string
}

// maxExtra bounds the requests that a listing spends on finding what spoils its pages: 15 to 50 for one item, by how far it
// lies from the next.
const maxExtra = 500

// spoilt reports whether err is what Graph answers to a page that holds an item which it cannot give.
//
// QUIRK: it is an InternalServerError for the whole page, a 200 whose JSON breaks off, or, where the item is alone on its
// page, the item's own error.
func spoilt(err error) bool {
	var e *Error
	return shrinks(err) && errors.As(err, &e) &&
		(e.Meaning == BadItem || e.Code == "TruncatedAnswer" || strings.EqualFold(e.Code, "InternalServerError"))
}

// shrinks reports whether a smaller page than the one that err stands for may succeed.
func shrinks(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.shrink && e.Meaning != Throttled
}

// count counts a request that would not be sent if nothing were spoilt.
func (l *lister) count(s *list) {
	if s.narrows {
		l.extra++
	}
}

// afford gives nil, or when the listing has spent what it may, err as one that is worth coming again for.
func (l *lister) afford(err error) error {
	var e *Error
	if l.extra < maxExtra || !errors.As(err, &e) {
		return nil
	}
	return &Error{Op: e.Op, Status: e.Status, Code: e.Code, Meaning: Transient, RequestID: e.RequestID, err: e.err}
}

// sweep goes through a list to its end. Where a page is spoilt even when it is small, the second that spoils it is found and
// passed, and the list goes on behind it; but for the list of the whole mailbox, which ends there.
func (l *lister) sweep(ctx context.Context, s *list) error {
	for {
		w := s.opened
		if s.opened = nil; w == nil {
			w = l.messages(s)
		}
		err := l.client.walk(ctx, l.userID, w)
		if !spoilt(err) || s.folderID == "" {
			return err
		}
		if err := l.narrow(ctx, s, err); err != nil || s.rest.Duration() <= 0 {
			return err
		}
	}
}

// narrow finds the second that spoils a list, by asking for ever shorter windows; lists what lies before it, and what can be had
// of it; and leaves as rest what lies behind. Windows grow from the beginning, near which the spoilt page was, until one fails,
// and are then halved: a filter on time is documented, while offsets shift with everything that is removed.
func (l *lister) narrow(ctx context.Context, s *list, why error) error {
	s.narrows = true
	defer func() { s.narrows = false }()
	end, step := s.rest.End, time.Second
	var bad time.Time // the end of a window that failed; zero: none has
	for s.rest.Start.Before(end) {
		if err := l.afford(why); err != nil {
			return err
		}
		if !bad.IsZero() {
			step = max(bad.Sub(s.rest.Start).Truncate(2*time.Second)/2, time.Second)
		}
		to := s.rest.Start.Add(min(step, end.Sub(s.rest.Start)))
		s.rest.End = to
		err := l.client.walkAt(ctx, l.userID, l.messages(s), 1000, true, nil)
		switch {
		case err == nil && bad.IsZero():
			s.rest.Start, step = to, 2*step
		case err == nil:
			s.rest.Start = to
			if to.Equal(bad) { // what failed was in passing
				bad, step = time.Time{}, time.Second
			}
		case !shrinks(err):
			return err
		case s.rest.Duration() <= time.Second:
			err := l.slice(ctx, s)
			s.rest = capture.Window{Start: to, End: end}
			return err
		default:
			bad, why = to, err
		}
	}
	s.rest.End = end
	return nil
}

// slice lists one second of a list row by row where it must, and notes as lost what fails by itself. That a later slice
// succeeds, if only an empty one, tells an item that cannot be had from a server that answers nothing.
//
// The offsets are those of Graph's own continuations, which may count more than the rows that were given; the step over a row
// that cannot be had is the only one that is made up, for no continuation leads there.
func (l *lister) slice(ctx context.Context, s *list) error {
	lost := loss{list: s, second: s.rest}
	skip, size, bad := int32(0), int32(10), int32(0) // bad: the offset up to which larger pages fail
	for skip >= 0 {
		next, err := l.sliceAt(ctx, s, size, skip)
		broke := l.afford(err)
		switch {
		case err == nil && next >= bad:
			skip, size = next, min(10*size, 1000)
		case err == nil:
			skip = next
		case !shrinks(err) || size == 1 && !spoilt(err):
			return err
		case broke != nil:
			return broke
		case size > 1:
			bad, size = skip+size, size/10
		default:
			if lost.count++; lost.count == 1 {
				lost.code = CodeOf(err)
			}
			skip, size = skip+1, 10
		}
	}
	if lost.count > 0 {
		l.lost = append(l.lost, lost)
	}
	return nil
}

// sliceAt lists one page from an offset on, and gives the offset of the next, -1 where there is none.
func (l *lister) sliceAt(ctx context.Context, s *list, size, skip int32) (next int32, err error) {
	w := l.messages(s)
	a := w.ask(func(ctx context.Context) (*abstractions.RequestInformation, error) {
		return l.firstMessages(ctx, s, size, skip)
	})
	if err := l.client.ask(ctx, l.userID, true, a); err != nil {
		return 0, err
	}
	_, link, err := w.take(a.answer)
	if err != nil {
		return 0, asError(w.op, err)
	}
	if value(link) == "" {
		return -1, nil
	}
	u, err := url.Parse(*link)
	if err != nil || !below(l.client.root, u) {
		return 0, &Error{Op: w.op, Meaning: Broken, Code: codeForeign}
	}
	offset, err := strconv.ParseInt(u.Query().Get("$skip"), 10, 32)
	if err != nil || int32(offset) <= skip {
		return 0, &Error{Op: w.op, Meaning: Broken, Code: codeRepeated}
	}
	return int32(offset), nil
}

// unlisted gives the losses their places, by time and folder.
func (l *lister) unlisted() []Unlisted {
	var all []Unlisted
	for _, lost := range l.lost {
		u := Unlisted{FolderID: lost.list.folderID, Window: lost.second, Count: lost.count, Code: lost.code}
		if d := lost.list.dumpster; d != nil {
			u.Folder, u.State = d.path, d.state
		} else if p, ok := l.tree.find(u.FolderID); ok {
			u.Folder, u.State = p.path, p.state()
		}
		all = append(all, u)
	}
	slices.SortFunc(all, func(a, b Unlisted) int {
		return cmp.Or(a.Window.Start.Compare(b.Window.Start), strings.Compare(a.FolderID, b.FolderID))
	})
	return all
}
