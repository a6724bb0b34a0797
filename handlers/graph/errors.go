package graph

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	abstractions "github.com/microsoft/kiota-abstractions-go"
	kjson "github.com/microsoft/kiota-serialization-json-go"
	"github.com/microsoftgraph/msgraph-sdk-go/models/odataerrors"
)

// A Meaning is what an error asks of the caller.
type Meaning string

// The meanings of an error.
const (
	Throttled    Meaning = "throttled"    // come again, not before [Until] where it is known
	Transient    Meaning = "transient"    // come again; the request has been repeated for a while
	Moving       Meaning = "moving"       // the mailbox is being moved, or over its quota, for hours or days; come again then
	NotFound     Meaning = "not found"    // no such user, item or folder
	NoMailbox    Meaning = "no mailbox"   // the user has no mailbox that Graph can read
	Denied       Meaning = "denied"       // this mailbox is closed to the app
	Unauthorized Meaning = "unauthorized" // the app cannot sign in, or lacks a consent: nothing will work
	BadItem      Meaning = "bad item"     // the item is there and cannot be had, however often one asks
	Broken       Meaning = "broken"       // the server answered nonsense
	Bad          Meaning = "bad request"  // our request is wrong
)

// An Error is a failed call. Its text holds the operation, the status, the code and the meaning; never an address, a body
// or a message.
type Error struct {
	Op        string    // "list messages"
	Status    int       // of HTTP; 0 where no answer came
	Code      string    // Graph's or Microsoft Entra's code, or one of ours; may be empty
	Meaning   Meaning   //
	Until     time.Time // when to come again; zero where it is not known
	RequestID string    // Graph's request-id, for a support case

	err    error         // the SDK's
	tries  int           // how often the request may be tried in all; 0: as its meaning has it
	shrink bool          // a smaller page may succeed
	wait   time.Duration // what Retry-After said; 0: nothing
	wide   bool          // the throttling is not the mailbox's alone
}

// Error gives "list messages: 429 ApplicationThrottled (throttled)", and what an operator can do where that is known.
func (e *Error) Error() string {
	var b strings.Builder
	if e.Op != "" {
		b.WriteString(e.Op + ": ")
	}
	if e.Status != 0 {
		fmt.Fprintf(&b, "%d ", e.Status)
	}
	if e.Code != "" {
		b.WriteString(e.Code + " ")
	}
	fmt.Fprintf(&b, "(%s)", e.Meaning)
	if r := remedy(e.Code); r != "" {
		b.WriteString(": " + r)
	}
	return b.String()
}

// Unwrap gives the cause: the SDK's error, the credential's or the connection's. Its text may hold addresses.
func (e *Error) Unwrap() error { return e.err }

// MeaningOf gives the meaning of the [*Error] in err's chain, "" where there is none.
func MeaningOf(err error) Meaning {
	var e *Error
	if errors.As(err, &e) {
		return e.Meaning
	}
	return ""
}

// CodeOf gives the code of the [*Error] in err's chain, its meaning where there is no code, "" where there is no [*Error].
func CodeOf(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return cmp.Or(e.Code, string(e.Meaning))
	}
	return ""
}

// Until gives the time at which the [*Error] in err's chain asks to come again, zero where it names none.
func Until(err error) time.Time {
	var e *Error
	if errors.As(err, &e) {
		return e.Until
	}
	return time.Time{}
}

// A verdict is what a code or a status means. tries bounds the attempts of a request; 0 leaves it to the meaning.
type verdict struct {
	meaning Meaning
	tries   int
	shrink  bool
}

// judgeCode is the table of Graph's codes in lower case. A code beats the status it came with.
func judgeCode(code string) (verdict, bool) {
	switch code {
	case "applicationthrottled", "toomanyrequests", "errorexceededmessagelimit", "activitylimitreached", "errorserverbusy",
		"errortoomanyobjectsopened":
		return verdict{meaning: Throttled}, true

	case "errormailboxstoreunavailable", "mailboxstoreunavailable", "errortimeoutexpired",
		"errorinternalservertransienterror", "erroradunavailable", "errorconnectionfailed":
		return verdict{meaning: Transient}, true
	case "errormailboxmoveinprogress", "errorquotaexceeded": // last for hours: not worth a call's patience
		return verdict{meaning: Moving, tries: 2}, true
	case "errorinternalservererror":
		return verdict{meaning: Transient, tries: 3}, true
	case "internalservererror": // what a page with one corrupt item answers
		return verdict{meaning: Transient, tries: 3, shrink: true}, true
	case "syncstatenotfound", "syncstateinvalid", "resyncrequired", "errorsyncfoldernotfound": // a listing begun anew helps
		return verdict{meaning: Transient, tries: 1}, true

	case "mailboxnotenabledforrestapi", "mailboxnotsupportedforrestapi", "errorinvaliduser", "resourcenotfound",
		"request_resourcenotfound", "errornonexistentmailbox":
		return verdict{meaning: NoMailbox}, true
	case "authenticationerror": // "Error authenticating with resource": a user without a mailbox, as a rule
		return verdict{meaning: NoMailbox, tries: 2}, true

	case "invalidauthenticationtoken": // once more, with a fresh token
		return verdict{meaning: Unauthorized, tries: 2}, true
	case "authorization_requestdenied", "notallowed", "resourcelocked", "insufficient_claims":
		return verdict{meaning: Unauthorized}, true
	case "erroraccessdenied":
		return verdict{meaning: Denied}, true

	case "erroritemnotfound", "itemnotfound", "errorfoldernotfound":
		return verdict{meaning: NotFound}, true
	case "errormimecontentconversionfailed", "errormimecontentinvalid", "errorcontentconversionfailed", "errorcorruptdata":
		return verdict{meaning: BadItem, tries: 2, shrink: true}, true
	case "errorinvalidrecipients", "errorcannotopenfileattachment", "errormessagesizeexceeded", "errorpropertytoobig",
		"errorinvalidpropertyrequest", "errorinvalididmalformed", "errorinvalidmailboxitemid", "malwaredetected":
		return verdict{meaning: BadItem}, true

	case "inefficientfilter", "badrequest", "requestbroker--parseuri", "errorinvalidurlqueryfilter",
		"request_unsupportedquery", "maxquerylengthexceeded":
		return verdict{meaning: Bad}, true
	case "invalidrequest": // now and then answered to a sound GET
		return verdict{meaning: Bad, tries: 2}, true
	}
	return verdict{}, false
}

// judgeStatus is the table of statuses, for answers without a code that [judgeCode] knows.
func judgeStatus(status int, hasCode bool) verdict {
	switch status {
	case http.StatusTooManyRequests:
		return verdict{meaning: Throttled}
	case http.StatusRequestTimeout, http.StatusBadGateway, 509:
		return verdict{meaning: Transient}
	case http.StatusServiceUnavailable:
		return verdict{meaning: Transient, shrink: !hasCode} // without a body: the store took too long
	case http.StatusGatewayTimeout:
		return verdict{meaning: Transient, shrink: true}
	case http.StatusUnauthorized:
		return verdict{meaning: Unauthorized, tries: 2}
	case http.StatusForbidden:
		return verdict{meaning: Denied}
	case http.StatusNotFound:
		if hasCode {
			return verdict{meaning: NotFound}
		}
		return verdict{meaning: Transient, tries: 3} // QUIRK: Exchange answers so for items that are there
	case http.StatusGone, http.StatusFailedDependency, http.StatusInsufficientStorage:
		return verdict{meaning: Transient, tries: 2}
	case http.StatusNotImplemented:
		return verdict{meaning: Bad}
	}
	switch {
	case status >= 500:
		return verdict{meaning: Transient, tries: 3}
	case status >= 400:
		return verdict{meaning: Bad}
	}
	return verdict{meaning: Broken} // a redirect, or anything else that Graph does not do
}

// classify makes the error of an answer. The most specific code known decides, then the status; bodies that are empty or
// of a gateway leave the status. A 429, and what comes with a Retry-After among 5xx, is throttling.
func classify(status int, header http.Header, body []byte, now time.Time) *Error {
	codes, requestID := readCodes(body)
	e := &Error{Status: status, RequestID: header.Get("request-id"), err: sdkError(status, header, body)}
	if !requestWord.MatchString(e.RequestID) {
		e.RequestID = requestID
	}
	v, known := verdict{}, false
	for i := len(codes) - 1; i >= 0 && !known; i-- {
		if v, known = judgeCode(strings.ToLower(codes[i])); known {
			e.Code = codes[i]
		}
	}
	if !known {
		v = judgeStatus(status, len(codes) > 0)
		if len(codes) > 0 {
			e.Code = codes[0]
		}
	}
	e.Meaning, e.tries, e.shrink = v.meaning, v.tries, v.shrink
	if wait, ok := retryAfter(header.Get("Retry-After"), now); ok && (status == http.StatusTooManyRequests || status >= 500) {
		e.Meaning, e.tries, e.wait, e.Until = Throttled, 0, wait, now.Add(wait)
	}
	scope, _, _ := strings.Cut(strings.ToLower(header.Get("x-ms-throttle-scope")), "/")
	e.wide = e.Meaning == Throttled && (strings.Contains(scope, "application") || strings.Contains(scope, "tenant"))
	return e
}

var (
	codeWord    = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_.-]{0,79}$`)
	requestWord = regexp.MustCompile(`^[0-9A-Za-z-]{1,64}$`)
)

// readCodes gives the codes of an error body from the outermost to the innermost, and its request id. Anything that is no
// word is left out: a code goes into logs.
func readCodes(body []byte) (codes []string, requestID string) {
	type level struct {
		Code      string          `json:"code"`
		RequestID string          `json:"request-id"`
		Inner     json.RawMessage `json:"innerError"` // or innererror: encoding/json does not mind
	}
	var outer struct {
		Error json.RawMessage `json:"error"`
	}
	if json.Unmarshal(body, &outer) != nil {
		return nil, ""
	}
	for raw, depth := outer.Error, 0; raw != nil && depth < 10; depth++ {
		var l level
		if json.Unmarshal(raw, &l) != nil {
			break
		}
		if codeWord.MatchString(l.Code) && !strings.EqualFold(l.Code, "UnknownError") {
			codes = append(codes, l.Code)
		}
		if requestWord.MatchString(l.RequestID) {
			requestID = l.RequestID
		}
		raw = l.Inner
	}
	return codes, requestID
}

// sdkError gives the answer as the SDK would: an ODataError, or an ApiError where the body is none.
func sdkError(status int, header http.Header, body []byte) error {
	headers := abstractions.NewResponseHeaders()
	for key, values := range header {
		for _, v := range values {
			headers.Add(key, v)
		}
	}
	if node, err := kjson.NewJsonParseNode(body); err == nil {
		if v, err := node.GetObjectValue(odataerrors.CreateODataErrorFromDiscriminatorValue); err == nil {
			if odata, ok := v.(*odataerrors.ODataError); ok && odata.GetErrorEscaped() != nil {
				odata.SetStatusCode(status)
				odata.SetResponseHeaders(headers)
				return odata
			}
		}
	}
	return &abstractions.ApiError{ResponseStatusCode: status, ResponseHeaders: headers}
}

// retryAfter reads a Retry-After header: seconds, which Graph also gives as decimals, rounded up, or a date. It reports
// false for what is absent, unreadable, or no time to wait. The longest wait is a day.
func retryAfter(value string, now time.Time) (time.Duration, bool) {
	const longest = 24 * time.Hour
	value = strings.TrimSpace(value)
	var wait time.Duration
	if seconds, err := strconv.ParseFloat(value, 64); err == nil {
		if math.IsNaN(seconds) || math.IsInf(seconds, 0) || seconds <= 0 {
			return 0, false
		}
		wait = time.Duration(math.Ceil(min(seconds, longest.Seconds()))) * time.Second
	} else if at, err := http.ParseTime(value); err == nil {
		wait = at.Sub(now)
	}
	return min(wait, longest), wait > 0
}
