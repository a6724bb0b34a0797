package graph

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/microsoftgraph/msgraph-sdk-go/models/odataerrors"
)

func TestClassifyByTheMostSpecificCodeThenTheStatus(t *testing.T) {
	t.Parallel()
	coded := func(code string) string { return `{"error":{"code":"` + code + `","message":"x"}}` }
	tests := []struct {
		name   string
		status int
		body   string
		want   Meaning
		code   string
	}{
		{"mailbox concurrency", 429, coded("ApplicationThrottled"), Throttled, "ApplicationThrottled"},
		{"429 with an inner code of no meaning", 429,
			`{"error":{"code":"TooManyRequests","innerError":{"code":"429"}}}`, Throttled, "TooManyRequests"},
		{"429 without a body", 429, "", Throttled, ""},
		{"server busy in a 500", 500, coded("ErrorServerBusy"), Throttled, "ErrorServerBusy"},
		{"mailbox moving", 503, coded("ErrorMailboxMoveInProgress"), Moving, "ErrorMailboxMoveInProgress"},
		{"store unavailable in a 500", 500, coded("ErrorMailboxStoreUnavailable"), Transient, "ErrorMailboxStoreUnavailable"},
		{"503 of a gateway", 503, "<html>", Transient, ""},
		{"504", 504, coded("UnknownError"), Transient, ""},
		{"509", 509, "", Transient, ""},
		{"408", 408, "", Transient, ""},
		{"500 with a page", 500, "<html>down</html>", Transient, ""},
		{"not provisioned", 404, coded("MailboxNotEnabledForRESTAPI"), NoMailbox, "MailboxNotEnabledForRESTAPI"},
		{"other case", 404, coded("mailboxnotenabledforrestapi"), NoMailbox, "mailboxnotenabledforrestapi"},
		{"no user", 404, coded("Request_ResourceNotFound"), NoMailbox, "Request_ResourceNotFound"},
		{"unlicensed in some data centres", 401, coded("AuthenticationError"), NoMailbox, "AuthenticationError"},
		{"token expired", 401, coded("InvalidAuthenticationToken"), Unauthorized, "InvalidAuthenticationToken"},
		{"permission missing", 401, coded("UnknownError"), Unauthorized, ""},
		{"consent missing", 403, coded("Authorization_RequestDenied"), Unauthorized, "Authorization_RequestDenied"},
		{"out of scope", 403, coded("ErrorAccessDenied"), Denied, "ErrorAccessDenied"},
		{"403 without a code", 403, "", Denied, ""},
		{"item gone", 404, coded("ErrorItemNotFound"), NotFound, "ErrorItemNotFound"},
		{"404 of an unknown code", 404, coded("ErrorOfTomorrow"), NotFound, "ErrorOfTomorrow"},
		{"404 without a body is not the item's word", 404, "", Transient, ""},
		{"404 of a gateway", 404, "<html>", Transient, ""},
		{"no MIME", 500, coded("ErrorMimeContentConversionFailed"), BadItem, "ErrorMimeContentConversionFailed"},
		{"corrupt", 500, coded("ErrorCorruptData"), BadItem, "ErrorCorruptData"},
		{"id of another mailbox", 404, coded("ErrorInvalidMailboxItemId"), BadItem, "ErrorInvalidMailboxItemId"},
		{"inner code beats outer", 500, `{"error":{"code":"InternalServerError","innererror":{"code":"ErrorCorruptData"}}}`,
			BadItem, "ErrorCorruptData"},
		{"nested twice", 400,
			`{"error":{"code":"BadRequest","innerError":{"code":"x","innerError":{"code":"ErrorInvalidUser"}}}}`,
			NoMailbox, "ErrorInvalidUser"},
		{"inefficient", 400, coded("InefficientFilter"), Bad, "InefficientFilter"},
		{"405", 405, "", Bad, ""},
		{"501", 501, "", Bad, ""},
		{"delta expired", 410, coded("resyncRequired"), Transient, "resyncRequired"},
		{"redirect", 302, "", Broken, ""},
		{"a code that is no word stays out of logs", 400, coded("bob@contoso.com said no"), Bad, ""},
	}
	for _, tt := range tests {
		e := classify(tt.status, http.Header{}, []byte(tt.body), time.Now())
		if e.Meaning != tt.want || e.Code != tt.code || e.Status != tt.status {
			t.Errorf("%s: classify = %v, want meaning %q code %q", tt.name, e, tt.want, tt.code)
		}
	}
}

func TestErrorTextHoldsNothingOfTheAnswer(t *testing.T) {
	t.Parallel()
	body := `{"error":{"code":"ErrorAccessDenied","message":"alice@contoso.com","innerError":{"request-id":"r-1"}}}`
	e := classify(403, http.Header{}, []byte(body), time.Now())
	e.Op = "list messages"
	if got, want := e.Error(), "list messages: 403 ErrorAccessDenied (denied)"; got != want {
		t.Errorf("Error() = %q, want %q", got, want)
	}
	if e.RequestID != "r-1" {
		t.Errorf("RequestID = %q", e.RequestID)
	}
	var odata *odataerrors.ODataError
	if !errors.As(e, &odata) || odata.ResponseStatusCode != 403 {
		t.Errorf("Unwrap gives %T, want the SDK's ODataError of status 403", errors.Unwrap(e))
	}
	if got, want := (&Error{Meaning: Transient, Code: "ConnectionFailed"}).Error(), "ConnectionFailed (transient)"; got != want {
		t.Errorf("Error() = %q, want %q", got, want)
	}
}

func TestMeaningAndUntilOfForeignErrorsAreEmpty(t *testing.T) {
	t.Parallel()
	for _, err := range []error{nil, errors.New("x")} {
		if MeaningOf(err) != "" || CodeOf(err) != "" || !Until(err).IsZero() {
			t.Errorf("MeaningOf(%v) = %q, Until = %v", err, MeaningOf(err), Until(err))
		}
	}
}

func TestRetryAfterReadsSecondsDecimalsAndDates(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"7":                             7 * time.Second,
		" 7 ":                           7 * time.Second,
		"0.9":                           time.Second,
		"2.128":                         3 * time.Second,
		"Wed, 04 Mar 2026 12:00:30 GMT": 30 * time.Second,
		"Wed, 04 Mar 2026 11:00:00 GMT": 0,
		"99999999999999999999":          24 * time.Hour,
		"0":                             0,
		"-3":                            0,
		"NaN":                           0,
		"Inf":                           0,
		"soon":                          0,
		"":                              0,
	} {
		if got, ok := retryAfter(value, now); ok != (want > 0) || ok && got != want {
			t.Errorf("retryAfter(%q) = %v, %v, want %v", value, got, ok, want)
		}
	}
}

func FuzzRetryAfter(f *testing.F) {
	for _, s := range []string{"1", "0.5", "1e400", "Wed, 04 Mar 2026 12:00:30 GMT", "x"} {
		f.Add(s)
	}
	now := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, value string) {
		if wait, ok := retryAfter(value, now); ok && (wait <= 0 || wait > 24*time.Hour) {
			t.Errorf("retryAfter(%q) = %v", value, wait)
		}
	})
}

func FuzzClassify(f *testing.F) {
	f.Add(500, []byte(`{"error":{"code":"a","innerError":{"code":"b"}}}`))
	f.Add(404, []byte(`<html>`))
	f.Add(400, []byte(`{"error":[]}`))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		e := classify(status, http.Header{}, body, time.Now())
		if e.Meaning == "" || strings.ContainsAny(e.Error(), "@/\n") {
			t.Errorf("classify(%d, %q) = %q", status, body, e)
		}
	})
}
