package console

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// The pages lie below this path.
const (
	pagePrefix = "/api/console"
	mediaForm  = "application/x-www-form-urlencoded"
	mediaHTML  = "text/html; charset=utf-8"
)

//go:embed page
var pageFiles embed.FS

// templates are the pages by their names, each with the layout that holds it and the parts that several have.
var templates = parsePages()

func parsePages() map[string]*template.Template {
	common := template.Must(template.New("").Funcs(template.FuncMap{
		"time": showTime, "period": showPeriod, "ago": showAgo, "span": showSpan, "number": showNumber, "tone": tone, "words": words,
		"short": short, "path": pagePath, "size": showSize, "last": lastOf, "cause": cause,
	}).ParseFS(pageFiles, "page/layout.html", "page/parts.html"))
	all := map[string]*template.Template{}
	for _, name := range []string{
		"sources", "source", "custodians", "batch", "custodian", "exceptions", "gaps", "preflight", "config", "form", "problem",
	} {
		all[name] = template.Must(template.Must(common.Clone()).ParseFS(pageFiles, "page/"+name+".html"))
	}
	return all
}

// isPage reports whether a path is one of the pages'.
func isPage(path string) bool { return path == pagePrefix || strings.HasPrefix(path, pagePrefix+"/") }

// A pageRoute is a page: what is shown, or what a form does.
type pageRoute struct {
	method, path string
	query        string
	show         func(*Console, *request) (content, error)
}

func pageRoutes() []pageRoute {
	all := []pageRoute{
		{"GET", "", "", (*Console).showSources},
		{"GET", "sources/{source}", "before done", (*Console).showSource},
		{"GET", "sources/{source}/custodians", "after find", (*Console).showCustodians},
		{"GET", "batches/{source}/{batch}", "after done", (*Console).showBatch},
		{"GET", "custodians/{source}/{id}", "after done", (*Console).showCustodian},
		{"GET", "exceptions", "source after done", (*Console).showExceptions},
		{"GET", "gaps", "source after", (*Console).showGaps},
		{"GET", "preflight/{source}", "run", (*Console).showPreflight},
		{"GET", "config", "done", (*Console).showConfig},
		{"POST", "config", "", (*Console).postConfig},
	}
	for _, f := range forms() {
		all = append(all,
			pageRoute{"GET", f.path, f.query, func(c *Console, q *request) (content, error) { return c.showForm(q, f) }},
			pageRoute{"POST", f.path, "", func(c *Console, q *request) (content, error) { return c.postForm(q, f) }})
	}
	return all
}

// A content is what a page has, or where the browser is sent instead.
type content struct {
	template string
	title    string
	crumbs   []crumb
	data     any
	status   int    // 0: 200
	see      string // path below the pages', with its query
}

// A crumb is a page above another.
type crumb struct{ Name, Path string }

// A view is what the templates are given.
type view struct {
	Title    string
	Crumbs   []crumb
	Who      string
	Operator bool
	SignIn   bool // callers sign in
	Token    string
	Done     string // the record of what was just done
	Now      time.Time
	Data     any
}

// servePage answers a browser.
func (c *Console) servePage(w http.ResponseWriter, r *http.Request) {
	hardenPage(w.Header())
	if file, ok := asset(r.URL.Path); ok && (c.Open || c.SignIn != nil) {
		w.Header().Set("Content-Type", file.media)
		_, _ = w.Write(file.data)
		return
	}
	v := view{Now: c.Now().UTC(), SignIn: c.SignIn != nil}
	shown, err := c.page(w, r, &v)
	if err == nil && shown.see != "" {
		w.Header().Set("Location", pagePath(shown.see))
		w.WriteHeader(http.StatusSeeOther)
		return
	}
	if err == nil {
		err = c.render(w, v, shown)
	}
	if err == nil {
		return
	}
	p := c.problem(r.Context(), err)
	for name, value := range map[string]string{"Allow": p.allow, "WWW-Authenticate": p.challenge()} {
		if value != "" {
			w.Header().Set(name, value)
		}
	}
	broken := content{template: "problem", title: p.Title, data: problemData{p, p.signIn}, status: p.Status}
	if err := c.render(w, v, broken); err != nil {
		c.Log.WarnContext(r.Context(), "answer not written", "error", "connection closed")
	}
}

// problemData is a problem as a page, with a way to the sign-in where one is missing.
type problemData struct {
	*problem
	SignIn bool
}

// hardenPage lets a page load the one stylesheet and the icon of its own site, send forms there, and nothing else.
func hardenPage(h http.Header) {
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "+
		"base-uri 'none'; frame-ancestors 'none'")
	h.Set("Referrer-Policy", "same-origin") // forms tell their own site where they come from, and no other
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
}

// page admits, finds and reads a request, and gives what is shown.
func (c *Console) page(w http.ResponseWriter, r *http.Request, v *view) (content, error) {
	who, err := c.admit(r)
	if err != nil {
		return content{}, err
	}
	v.Who, v.Operator = who.name, who.may(roleOperator)
	if err := permit(who, r.Method); err != nil {
		return content{}, err
	}
	route, args, err := findPage(r)
	if err != nil {
		return content{}, err
	}
	if err := c.Ready(r.Context()); err != nil {
		return content{}, err
	}
	q := &request{ctx: r.Context(), who: who, args: args, header: r.Header}
	if q.query, err = url.ParseQuery(r.URL.RawQuery); err != nil {
		return content{}, failed(http.StatusBadRequest, "The query cannot be read", "Go back, and follow a link of the page.")
	}
	if err := knownQuery(q.query, strings.Fields(route.query)); err != nil {
		return content{}, err
	}
	v.Token = c.formToken(w, r)
	if r.Method == http.MethodPost {
		if q.form, err = readForm(w, r); err != nil {
			return content{}, err
		}
		if !hmac.Equal([]byte(q.form.Get("token")), []byte(v.Token)) {
			return content{}, failed(http.StatusForbidden, "The form is too old, or is not one of these pages",
				"Nothing was changed. Open the page again, and send the form from there; the browser must take cookies.")
		}
	}
	v.Done = doneRecord(q.query.Get("done"))
	return route.show(c, q)
}

// findPage gives the page of a request.
func findPage(r *http.Request) (pageRoute, map[string]string, error) {
	path := strings.TrimPrefix(strings.TrimPrefix(r.URL.Path, pagePrefix), "/")
	known := false
	for _, candidate := range pageRoutes() {
		args, ok := match(candidate.path, path)
		if candidate.path == "" {
			args, ok = map[string]string{}, path == ""
		}
		if ok && candidate.method == r.Method {
			return candidate, args, nil
		}
		known = known || ok
	}
	if known {
		p := failed(http.StatusMethodNotAllowed, "The method is not allowed here", "Pages take GET, and forms POST.")
		p.allow = "GET, POST"
		return pageRoute{}, nil, p
	}
	return pageRoute{}, nil, failed(http.StatusNotFound, "There is no such page", "Begin at the list of sources.")
}

func readForm(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	if media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); media != mediaForm {
		return nil, failed(http.StatusUnsupportedMediaType, "The body has another media type", "Send the form from its page.")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return nil, failed(http.StatusRequestEntityTooLarge, "The form is too large", fmt.Sprintf("It may have %d MiB.", maxBody>>20))
	}
	if err != nil {
		return nil, failed(http.StatusBadRequest, "The form cannot be read", "The connection broke: send it again.")
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, failed(http.StatusBadRequest, "The form cannot be read", "Send it from its page.")
	}
	return form, nil
}

// formToken is what a form must bring along: the value of a cookie that no other site can read or set. It is the same on every
// instance of the app, which keeps nothing of it.
func (c *Console) formToken(w http.ResponseWriter, r *http.Request) string {
	name, secure := "chainmail-form", false
	if c.SignIn != nil {
		name, secure = "__Host-chainmail-form", true
	}
	if kept, err := r.Cookie(name); err == nil && len(kept.Value) == len(rand.Text()) {
		return kept.Value
	}
	token := rand.Text()
	http.SetCookie(w, &http.Cookie{
		Name: name, Value: token, Path: "/", Secure: secure, HttpOnly: true, SameSite: http.SameSiteStrictMode,
	})
	return token
}

// render writes a page whole, or not at all.
func (c *Console) render(w http.ResponseWriter, v view, shown content) error {
	var b bytes.Buffer
	v.Title, v.Crumbs, v.Data = shown.title, shown.crumbs, shown.data
	if err := templates[shown.template].ExecuteTemplate(&b, "layout.html", v); err != nil {
		return fmt.Errorf("write page %s: %w", shown.template, err)
	}
	w.Header().Set("Content-Type", mediaHTML)
	if shown.status != 0 {
		w.WriteHeader(shown.status)
	}
	if _, err := w.Write(b.Bytes()); err != nil {
		c.Log.Debug("answer not written", "error", "connection closed")
	}
	return nil
}

// A pageFile is what pages load.
type pageFile struct {
	media string
	data  []byte
}

// asset gives the stylesheet and the icon, which hold nothing of anybody's.
func asset(path string) (pageFile, bool) {
	media := map[string]string{"style.css": "text/css; charset=utf-8", "icon.svg": "image/svg+xml"}
	name := strings.TrimPrefix(path, pagePrefix+"/")
	if media[name] == "" {
		return pageFile{}, false
	}
	data, err := pageFiles.ReadFile("page/" + name)
	return pageFile{media[name], data}, err == nil
}

// pagePath is the path of a page by what follows the pages' own.
func pagePath(below string) string {
	if below == "" || below[0] == '?' {
		return pagePrefix + below
	}
	return pagePrefix + "/" + below
}

// ask calls one of the API's functions as a request to it would, and gives what it answers with.
func ask[T any](q *request, answer func(*request) (reply, error), args map[string]string, query url.Values) (v T, err error) {
	inner := *q
	inner.query = query
	if args != nil {
		inner.args = args
	}
	r, err := answer(&inner)
	if err != nil {
		return v, err
	}
	v, ok := r.value.(T)
	if !ok { // a value of another package is known by its JSON alone
		data, err := json.Marshal(r.value)
		if err != nil {
			return v, err
		}
		return v, json.Unmarshal(data, &v)
	}
	return v, nil
}
