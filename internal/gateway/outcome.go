package gateway

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/periskope"
)

// reply is what came back from a send, as far as the outcome depends on it.
type reply string

// The replies.
const (
	replyJob         reply = "job"           // JSON with a job id
	replyEnvelope    reply = "envelope"      // the provider's error document, about the request
	replySenderFault reply = "sender_fault"  // the provider's error document, about our phone
	replyOther       reply = "other"         // anything else: empty, HTML, a proxy's words, broken JSON
	replyNotSent     reply = "none_not_sent" // none, and certainly nothing was sent
	replyNone        reply = "none"          // none, and the request may have been taken
	replyBadRequest  reply = "bad_request"   // none: the request cannot be right and was not made
	replyBadSender   reply = "bad_sender"    // none: the sender cannot be right and the request was not made
	replyNoFile      reply = "no_file"       // none: the message's file cannot be read and the request was not made
)

// classify is the one table from what came back to what it means (design §4.4,
// reliability §3.4). status is the HTTP status, 0 without an answer.
//
// The codes that may be a recipient's fault count as such only in the
// provider's own words: a proxy's 404 page is about the proxy.
func classify(status int, r reply) campaign.OutcomeKind {
	switch {
	case r == replyNotSent:
		return campaign.OutcomeUnavailable
	case r == replyBadRequest:
		return campaign.OutcomeRejected
	case r == replyBadSender, r == replyNoFile:
		return campaign.OutcomeRefused
	case status/100 == 2 && r == replyJob:
		return campaign.OutcomeAccepted
	}
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return campaign.OutcomeRefused
	case http.StatusTooManyRequests:
		return campaign.OutcomeThrottled
	case http.StatusBadRequest, http.StatusNotFound, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity:
		switch r {
		case replyEnvelope:
			return campaign.OutcomeRejected
		case replySenderFault:
			return campaign.OutcomeRefused
		case replyJob, replyOther, replyNotSent, replyNone, replyBadRequest, replyBadSender, replyNoFile:
		}
	}
	// 1xx, 2xx without a job, 3xx, 408, 5xx, every other status, and silence.
	return campaign.OutcomeUnknown
}

// accepted is the outcome of a send that was taken.
func accepted(r periskope.SendResponse) campaign.Outcome {
	o := campaign.Outcome{
		Kind:          classify(r.Meta.HTTPStatus, replyJob),
		QueueID:       r.QueueID,
		UniqueID:      r.UniqueID,
		QueuePosition: -1,
	}
	if r.QueuePosition.Set && r.QueuePosition.V >= 0 {
		o.QueuePosition = r.QueuePosition.V
	}
	return with(o, r.Meta)
}

// failed is the outcome of a send that returned an error.
func failed(err error) campaign.Outcome {
	var (
		api       *periskope.APIError
		response  *periskope.ResponseError
		transport *periskope.TransportError
		argument  *periskope.ArgumentError
	)
	o := campaign.Outcome{QueuePosition: -1, Detail: detail(err.Error())}
	switch {
	case errors.As(err, &api):
		r := replyOf(api)
		o.Kind = classify(api.Status, r)
		if o.Kind == campaign.OutcomeRefused {
			o.Pause = campaign.PauseRefused
			if r == replySenderFault {
				o.Pause = campaign.PauseDisconnected
			}
		}
		return with(o, api.Meta)
	case errors.As(err, &response):
		o.Kind = classify(response.Status, replyOther)
		return with(o, response.Meta)
	case errors.As(err, &transport):
		o.Kind = classify(0, replyNone)
		if transport.Stage == periskope.StageNotSent {
			o.Kind = classify(0, replyNotSent)
		}
		return with(o, transport.Meta)
	case errors.As(err, &argument) && argument.Name == fieldPhone:
		o.Kind, o.Pause = classify(0, replyBadSender), campaign.PauseDisconnected
	case errors.As(err, &argument):
		o.Kind = classify(0, replyBadRequest)
	default:
		o.Kind = classify(0, replyNone)
	}
	return o
}

const fieldPhone = "x-phone"

// replyOf tells the provider's error document from anything else, and what it
// is about.
func replyOf(err *periskope.APIError) reply {
	switch {
	case !err.Envelope():
		return replyOther
	case senderFault(err):
		return replySenderFault
	default:
		return replyEnvelope
	}
}

// senderFault says whether the provider complains about our phone: it names
// the x-phone header, or says in words that the phone is not connected. What a
// send through a disconnected phone gives is not documented; taking a doubtful
// wording for the phone's fault pauses a sender, taking it for the recipient's
// would fail a campaign row by row.
func senderFault(err *periskope.APIError) bool {
	if err.Field(fieldPhone) || err.Field("org_phone") {
		return true
	}
	words := strings.ToLower(strings.ReplaceAll(err.Code, "_", " ") + " " + err.Name + " " + err.Message)
	if strings.Contains(words, "{x-phone}") {
		return true
	}
	subject := containsAny(words, "phone", "session", "device", "whatsapp")
	return subject && containsAny(words, "disconnected", "not connected", "not ready", "logged out", "no active session")
}

func containsAny(s string, parts ...string) bool {
	for _, part := range parts {
		if strings.Contains(s, part) {
			return true
		}
	}
	return false
}

// with adds what the headers said.
func with(o campaign.Outcome, meta periskope.Meta) campaign.Outcome {
	o.HTTPStatus, o.TraceID = meta.HTTPStatus, meta.TraceID
	if limit := meta.RateLimit; limit != nil {
		o.Limit = &campaign.RateLimit{Limit: limit.Limit, Remaining: limit.Remaining, Reset: limit.Reset}
	}
	if o.Kind == campaign.OutcomeThrottled {
		o.RetryAfter = retryAfter(meta)
	}
	return o
}

// retryAfter is the longer of what Retry-After and X-RateLimit-Reset ask for,
// at most periskope.MaxWait; 0 when neither does.
func retryAfter(meta periskope.Meta) time.Duration {
	wait := meta.RetryAfter
	if limit := meta.RateLimit; limit != nil && !limit.Reset.IsZero() {
		wait = max(wait, time.Until(limit.Reset))
	}
	return min(wait, periskope.MaxWait)
}

// maxDetail is the most bytes of campaign.Outcome.Detail.
const maxDetail = 300

// detail shortens a text at a rune boundary.
func detail(s string) string {
	if len(s) <= maxDetail {
		return s
	}
	n := maxDetail - len("…")
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}

// masked is a number of ours as an error may show it.
func masked(sender campaign.Sender) string { return fmt.Sprintf("phone %s", sender.Phone) }
