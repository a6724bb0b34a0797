package graph

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	abstractions "github.com/microsoft/kiota-abstractions-go"
)

// listMessages walks the list of messages of one mailbox, by itself.
func (b *bench) listMessages(t *testing.T) ([]string, error) {
	t.Helper()
	l := &lister{client: b.client, userID: "u1", query: Query{Window: day()}, rows: map[string]row{}}
	err := l.sweep(t.Context(), l.list("in", nil))
	var ids []string
	for id := range l.rows {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids, err
}

// message is one row of a page.
func message(id string) string {
	return fmt.Sprintf(`{"id":%q,"parentFolderId":"in","receivedDateTime":"2026-03-02T01:00:00Z"}`, id)
}

// pages serves what f gives for the page number in the link, the first being 0.
func pages(f func(r *http.Request, page int) (next string, rows []string)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		page, _ := strconv.Atoi(r.URL.Query().Get("page"))
		next, rows := f(r, page)
		link := ""
		if next != "" {
			if strings.HasPrefix(next, "?") {
				next = "http://" + r.Host + r.URL.Path + next
			}
			link = fmt.Sprintf(`,"@odata.nextLink":%q`, next)
		}
		say(200, `{"value":[`+strings.Join(rows, ",")+`]`+link+`}`)(w, r)
	}
}

func TestPagesAreFollowedToTheirEnd(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		page func(r *http.Request, page int) (string, []string)
		want []string
		code string // of a Broken error
	}{
		{name: "one empty page", page: func(*http.Request, int) (string, []string) { return "", nil }},
		{
			name: "an empty page with a continuation is not the end",
			page: func(_ *http.Request, page int) (string, []string) {
				return []string{"?page=1", "?page=2", ""}[page], [][]string{{message("a")}, nil, {message("b")}}[page]
			},
			want: []string{"a", "b"},
		},
		{
			name: "rows that come twice",
			page: func(_ *http.Request, page int) (string, []string) {
				return []string{"?page=1", ""}[page], [][]string{{message("a"), message("b")}, {message("b"), message("c")}}[page]
			},
			want: []string{"a", "b", "c"},
		},
		{
			name: "a continuation that repeats itself",
			page: func(*http.Request, int) (string, []string) { return "?page=1", []string{message("a")} },
			want: []string{"a"}, code: "RepeatedContinuation",
		},
		{
			name: "ever new continuations to the same page",
			page: func(_ *http.Request, page int) (string, []string) {
				return fmt.Sprint("?page=", page+1), []string{message("a")}
			},
			want: []string{"a"}, code: "EndlessList",
		},
		{
			name: "ever new continuations to nothing",
			page: func(_ *http.Request, page int) (string, []string) { return fmt.Sprint("?page=", page+1), nil },
			code: "EndlessList",
		},
		{
			name: "ids differ by case alone",
			page: func(*http.Request, int) (string, []string) { return "", []string{message("aB"), message("Ab")} },
			want: []string{"Ab", "aB"},
		},
		{
			name: "a row without id",
			page: func(*http.Request, int) (string, []string) { return "", []string{`{"isDraft":false}`} },
			code: "UnreadableAnswer",
		},
		{
			name: "a row that is null",
			page: func(*http.Request, int) (string, []string) { return "", []string{`null`} },
			code: "UnreadableAnswer",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := newBench(t, pages(tt.page)).listMessages(t)
			var e *Error
			if errors.As(err, &e); (tt.code == "") != (err == nil) || e != nil && (e.Code != tt.code || e.Meaning != Broken) {
				t.Errorf("error %v, want code %q", err, tt.code)
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("ids %q, want %q", got, tt.want)
			}
		})
	}
}

func TestEveryPageCarriesTheIDsHeader(t *testing.T) {
	t.Parallel()
	b := newBench(t, pages(func(r *http.Request, page int) (string, []string) {
		if got := r.Header.Get("Prefer"); got != `IdType="ImmutableId"` {
			t.Errorf("page %d: Prefer = %q", page, got)
		}
		return []string{"?page=1", "?page=2", ""}[page], []string{message(fmt.Sprint(page))}
	}))
	if ids, err := b.listMessages(t); err != nil || len(ids) != 3 {
		t.Errorf("ids %q, %v", ids, err)
	}
}

func TestAnObjectThatIsNoListIsNotAnEmptyList(t *testing.T) {
	t.Parallel()
	for _, body := range []string{`{}`, `{"value":null}`, `{"value":{}}`, `{"value":"x"}`, `[]`, `null`, `7`} {
		if _, err := newBench(t, say(200, body)).listMessages(t); MeaningOf(err) != Broken {
			t.Errorf("%s: error %v, want broken", body, err)
		}
	}
}

func TestAContinuationElsewhereIsNotFollowed(t *testing.T) {
	t.Parallel()
	other := newBench(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the token went elsewhere") }))
	for _, next := range []string{
		other.url + "/users/u1/messages?page=1",
		"https://graph.microsoft.com.example.com/v1.0/users/u1/messages",
		"/v1.0/users/u1/messages",
		"http://user:pw@HOST/v1.0/users/u1/messages",
		"http://HOST/v2.0/users/u1/messages",
		"http://HOST/v1.0/../secret",
		"http://HOST/v1.0x/users",
		"https://HOST/v1.0/users/u1/messages",
		"::",
	} {
		n := 0
		b := newBench(t, pages(func(r *http.Request, _ int) (string, []string) {
			n++
			return strings.ReplaceAll(next, "HOST", r.Host), []string{message("a")}
		}), func(o *Options) { o.Credential, o.Scope = &tokens{}, "s" })
		_, err := b.listMessages(t)
		if MeaningOf(err) != Broken || n != maxWalks {
			t.Errorf("%s: error %v after %d requests, want broken after %d", next, err, n, maxWalks)
		}
	}
}

func TestTheBorderRefusesWhatLeavesTheRoot(t *testing.T) {
	t.Parallel()
	b := newBench(t, inbox)
	a := &ask{op: "go away", model: nil, info: func(context.Context) (*abstractions.RequestInformation, error) {
		info := abstractions.NewRequestInformation()
		u, err := url.Parse("http://127.0.0.1:1/v1.0/users")
		info.SetUri(*u)
		return info, err
	}}
	if err := b.client.ask(t.Context(), "u1", false, a); MeaningOf(err) != Broken {
		t.Errorf("ask = %v, want broken", err)
	}
}

func TestAPageThatIsTooMuchIsAskedForInSmallerOnes(t *testing.T) {
	t.Parallel()
	failures := map[string]http.HandlerFunc{
		"504":                 say(504, ""),
		"503 without a body":  say(503, ""),
		"cut":                 say(200, `{"value":[`),
		"one corrupt message": refuse(500, "InternalServerError"),
	}
	for name, failure := range failures {
		for _, where := range []string{"first page", "later page"} {
			t.Run(name+", "+where, func(t *testing.T) {
				t.Parallel()
				var tops []string
				b := newBench(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					top := r.URL.Query().Get("$top")
					tops = append(tops, top)
					page := r.URL.Query().Get("page")
					if top != "10" && (where == "first page" || page == "1") {
						failure(w, r)
						return
					}
					pages(func(_ *http.Request, page int) (string, []string) {
						return []string{"?$top=" + top + "&page=1", ""}[page], []string{message(fmt.Sprint(page))}
					})(w, r)
				}))
				ids, err := b.listMessages(t)
				if err != nil || len(ids) != 2 {
					t.Errorf("ids %q, %v", ids, err)
				}
				if want := []string{"1000", "100", "10"}; !slices.Equal(slices.Compact(tops), want) {
					t.Errorf("asked for %q, want %q", tops, want)
				}
			})
		}
	}
	b := newBench(t, say(504, ""))
	if _, err := b.listMessages(t); MeaningOf(err) != Transient {
		t.Errorf("at the smallest: %v, want transient", err)
	}
}

func TestAListInAStandingThrottleComesBackThrottled(t *testing.T) {
	t.Parallel()
	a := inTurn(say(504, "", "Retry-After", "1000"))
	b := newBench(t, a)
	if _, err := b.listMessages(t); MeaningOf(err) != Throttled || Until(err).IsZero() || a.count() != 1 {
		t.Errorf("error %v until %v after %d requests, want throttled after 1", err, Until(err), a.count())
	}
}
