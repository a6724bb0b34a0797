package graphtest

import (
	"context"
	"net/http"
	"net/url"
	"strings"
)

// A call is one request, alone or as part of a batch.
type call struct {
	ctx    context.Context
	method string
	path   string // escaped, below the version
	query  string // raw
	header http.Header
	base   string // "http://127.0.0.1:1234/v1.0"
	app    string // client id; empty for an anonymous client
	batch  bool
	number int

	route   route
	user    *userIndex // nil: no such user
	fault   Fault
	options map[string]string
	prefer  preferences
}

// run takes a call through everything that each has to pass: limits, hook, latency, faults, and the answer itself.
func (s *Server) run(c *call, r *http.Request) *reply {
	var unknown error
	c.route, unknown = parseRoute(c.path)
	request := s.describe(c)
	if unknown != nil {
		return refuse(400, "BadRequest", "Resource not found for the segment.").breaks(unknown.Error())
	}
	if method, _ := served(c.route.template); method != c.method {
		return refuse(405, "Request_BadRequest", "The method is not allowed here.").breaks("method is not allowed")
	}
	release, refusal := s.enter(c, request)
	s.count(request)
	s.callHook(request)
	fault, faulty := s.faults.wide(request, s.options.Now())
	if !faulty {
		fault, faulty = s.faults.next(request)
		fault = s.faults.widen(request, fault, s.options.Now())
	}
	c.fault = fault
	s.mu.Lock()
	latency := s.latency
	s.mu.Unlock()
	wait(c.ctx, latency+fault.Delay)

	var answer *reply
	switch {
	case refusal != nil:
		answer = refusal
	case faulty && fault.Status != 0:
		answer = fault.spoil(fault.answer())
	case c.route.template == pathBatch:
		answer = s.runBatch(c, r)
	default:
		answer = s.answer(c)
		if faulty {
			answer = fault.spoil(answer)
		}
	}
	answer.release = release
	return answer
}

// describe numbers a call and says what it is about.
func (s *Server) describe(c *call) Request {
	s.world.RLock()
	defer s.world.RUnlock()
	request := Request{
		Method: c.method, Path: c.method + " " + c.route.template, User: c.route.user, Folder: c.route.folder,
		Item: c.route.message + c.route.event, Attachment: c.route.attachment, Group: c.route.group, Query: c.query, App: c.app, Batch: c.batch,
	}
	c.prefer = parsePrefer(c.header)
	if c.user = s.index.user(c.route.user); c.user != nil {
		request.User = c.user.ID
		if f, ok := c.user.messages[c.route.message]; ok {
			request.Item = f.message.ImmutableID
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.number++
	c.number, request.N = s.number, s.number
	return request
}

// enter counts a call to a mailbox against the limits of its app.
func (s *Server) enter(c *call, r Request) (func(), *reply) {
	if !c.route.ofMailbox() {
		return func() {}, nil
	}
	return s.limits.enter(c.app+" "+r.User, s.options.Now())
}

// ofMailbox tells calls to a mailbox from those to the directory.
func (r route) ofMailbox() bool { return strings.HasPrefix(r.template, pathUser+"/") }

// ofCalendar tells calls about calendars and events from those about mail.
func (r route) ofCalendar() bool {
	return strings.HasPrefix(r.template, pathUser+"/calendar") || strings.HasPrefix(r.template, pathUser+"/events")
}

func (s *Server) count(r Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests[r.Path]++
	if r.Path == "GET "+pathValue || r.Path == "GET "+pathFolderValue {
		s.fetches[r.User+" "+r.Item]++
	}
}

func (s *Server) callHook(r Request) {
	s.mu.Lock()
	hook := s.hook
	s.mu.Unlock()
	if hook != nil {
		hook(r)
	}
}

// answer gives the true answer. It looks at the world anew: the hook may have changed it.
func (s *Server) answer(c *call) *reply {
	s.world.RLock()
	defer s.world.RUnlock()
	c.user = s.index.user(c.route.user)
	switch c.route.template {
	case pathUsers:
		return s.listUsers(c)
	case pathUser:
		return s.getUser(c)
	case pathGroups:
		return s.listGroups(c)
	case pathGroup:
		return s.getGroup(c)
	case pathMembers, pathMemberUsers:
		return s.listMembers(c)
	case pathApplication:
		return s.getApplication(c)
	}
	if bad := s.mailbox(c); bad != nil {
		return bad
	}
	if c.route.ofCalendar() {
		return s.answerCalendar(c)
	}
	switch c.route.template {
	case pathSettings, pathPurpose:
		return s.getSettings(c)
	case pathFolders, pathChildren:
		return s.listFolders(c)
	case pathFoldersDelta:
		return s.deltaFolders(c)
	case pathFolder:
		return s.getFolder(c)
	case pathMessages, pathFolderList:
		return s.listMessages(c)
	case pathMessage, pathFolderMessage:
		return s.getMessage(c)
	case pathAttachments:
		return s.listAttachments(c)
	case pathAttachment:
		return s.getAttachment(c)
	}
	return s.getValue(c)
}

// mailbox refuses a call to a mailbox that does not answer.
func (s *Server) mailbox(c *call) *reply {
	switch {
	case c.route.ofCalendar() && !s.permitted("Calendars.Read"), !c.route.ofCalendar() && !s.permitted("Mail.Read"):
		return refuse(403, "ErrorAccessDenied", "Access is denied. Check credentials and try again.")
	case c.user == nil && strings.Contains(c.route.user, "@"):
		return refuse(404, "ErrorInvalidUser", "The requested user is invalid.")
	case c.user == nil:
		return refuse(404, "ResourceNotFound", "Resource could not be discovered.")
	}
	p, known := problem(c.user.Problem)
	if s.moving(c.user.User) {
		p, _ = problem(ProblemMoving)
	}
	if c.user.Mailbox == nil || c.user.Problem != "" && !known {
		p, _ = problem(ProblemInactive)
	}
	if p.status != 0 {
		return refuse(p.status, p.code, p.message)
	}
	return nil
}

// moving reports whether the user's mailbox is still being moved, and counts the request.
func (s *Server) moving(u *User) bool {
	if u.Moving == 0 || u.Mailbox == nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.moves[u.ID]++
	return s.moves[u.ID] <= u.Moving
}

// link makes the continuation of a list: the same path and options at another position, and under a fault at another host.
func (s *Server) link(c *call, position, value string) string {
	query := url.Values{}
	for name, v := range c.options {
		if name != "$skip" && name != "$skiptoken" {
			query.Set(name, v)
		}
	}
	query.Set(position, value)
	text := c.path + "?" + query.Encode()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.links[text] = s.links[text] || c.prefer.immutable
	if c.fault.Page == PageForeign {
		return "https://graph.elsewhere.example/v1.0" + text
	}
	return c.base + text
}

// checkContinuation notes a continuation that lacks the ids header which the list began with: "this header only
// applies to the request it is included with".
func (s *Server) checkContinuation(c *call) {
	query, err := url.ParseQuery(c.query)
	if err != nil {
		return
	}
	s.mu.Lock()
	immutable := s.links[c.path+"?"+query.Encode()]
	s.mu.Unlock()
	if immutable && !c.prefer.immutable {
		s.violate(c, "continuation without the Prefer header for immutable ids")
	}
}
