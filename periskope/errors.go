package periskope

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
)

// ArgumentError is a call refused before anything was sent: the caller's
// argument cannot be right.
type ArgumentError struct {
	Op   string // the call, like "send"
	Name string // the argument, by its name on the wire: chat_id, x-phone, queue_ids …
	What string // what is wrong with it; never its value
}

func (e *ArgumentError) Error() string {
	return fmt.Sprintf("periskope %s: %s: %s", e.Op, e.Name, e.What)
}

// Stage says how far a request got that has no answer.
type Stage string

// The stages. StageNotSent is certain; whatever is not is StageMaybeSent.
const (
	StageNotSent   Stage = "not_sent"   // no byte of the message left: name lookup, dial, TLS, no connection in time, or SendRequest.Begin
	StageMaybeSent Stage = "maybe_sent" // a connection was had; the provider may have acted on the request
)

// TransportError is a call without a whole answer.
type TransportError struct {
	Op    string
	Stage Stage
	Meta  Meta // what the headers of a cut answer said; zero without one

	text string // the cause, scrubbed
	err  error
}

func (e *TransportError) Error() string {
	what := "no answer, the request may have been taken"
	switch {
	case e.Stage == StageNotSent:
		what = "not sent"
	case e.Meta.HTTPStatus != 0:
		what = fmt.Sprintf("HTTP %d with an answer cut short", e.Meta.HTTPStatus)
	}
	return fmt.Sprintf("periskope %s: %s: %s", e.Op, what, e.text)
}

// Unwrap gives the cause to errors.Is, for context.Canceled and the like. Its
// own text is not scrubbed: print the TransportError.
func (e *TransportError) Unwrap() error { return e.err }

// GoString keeps %#v from printing the unscrubbed cause.
func (e *TransportError) GoString() string { return e.Error() }

// APIError is an answer other than 2xx, whoever gave it. Its texts are
// scrubbed: no token, no full number, no part of the request's text.
type APIError struct {
	Op      string
	Status  int               // the HTTP status; decide on it, not on Code
	Code    string            // "VALIDATION_ERROR"; empty when the answer is not the provider's envelope
	Name    string            // "Validation Error"
	Message string            // the provider's words
	Fields  map[string]string // wrong field → the provider's words
	Meta    Meta

	raw []byte
}

// Envelope says whether the answer is the provider's own error document. One
// that is not, like the HTML page or bare JSON message of a proxy, says nothing
// of the request's content.
func (e *APIError) Envelope() bool { return e.Code != "" }

// Field says whether the provider complains about the field.
func (e *APIError) Field(name string) bool {
	for field := range e.Fields {
		if strings.EqualFold(field, name) {
			return true
		}
	}
	return false
}

// Raw is the answer as it came, its first 4 KiB. It is not scrubbed and must
// not be logged.
func (e *APIError) Raw() []byte { return e.raw }

func (e *APIError) Error() string {
	s := fmt.Sprintf("periskope %s: HTTP %d", e.Op, e.Status)
	switch {
	case e.Code != "" && e.Message != "":
		return s + " " + e.Code + ": " + e.Message
	case e.Code != "":
		return s + " " + e.Code
	case e.Message != "":
		return s + ": " + e.Message
	case len(e.raw) == 0:
		return s + " without a body"
	default:
		return s + " with a body that is not the API's"
	}
}

// GoString keeps %#v from printing the raw body.
func (e *APIError) GoString() string { return e.Error() }

// LogValue is what structured logs carry.
func (e *APIError) LogValue() slog.Value {
	return slog.GroupValue(
		slog.Int("status", e.Status),
		slog.String("code", e.Code),
		slog.String("message", e.Message),
		slog.String("trace_id", e.Meta.TraceID),
	)
}

// Reason says what is wrong with a 2xx answer.
type Reason string

// The reasons.
const (
	ReasonEmpty     Reason = "empty"
	ReasonHTML      Reason = "html"         // a web page, so not from the API
	ReasonMalformed Reason = "malformed"    // not the JSON that was expected
	ReasonOversize  Reason = "oversize"     // longer than any right answer
	ReasonNoQueueID Reason = "no_queue_id"  // JSON, but it names no job
	ReasonEcho      Reason = "foreign_echo" // a purge that names other jobs than it was asked for
)

// ResponseError is a 2xx answer that cannot be used. The provider may well
// have done what it was asked.
type ResponseError struct {
	Op     string
	Status int
	Reason Reason
	Meta   Meta
}

func (e *ResponseError) Error() string {
	return fmt.Sprintf("periskope %s: HTTP %d with an unusable answer (%s)", e.Op, e.Status, e.Reason)
}

// metaOf is the Meta an error of this package carries.
func metaOf(err error) Meta {
	var (
		api       *APIError
		response  *ResponseError
		transport *TransportError
	)
	switch {
	case errors.As(err, &api):
		return api.Meta
	case errors.As(err, &response):
		return response.Meta
	case errors.As(err, &transport):
		return transport.Meta
	default:
		return Meta{}
	}
}
