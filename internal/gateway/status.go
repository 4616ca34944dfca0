package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/periskope"
)

// Status asks the provider where an accepted message stands: by its unique id,
// or through the job list when it has none. A message the provider does not
// know yet, within Config.Visibility of its send, gives evidence with an empty
// status.
//
// Errors carry a campaign.Code: CodeThrottled (a *ThrottledError, which says
// how long to wait), CodeUnauthorized, CodeUnavailable, CodeNotFound when the
// provider no longer knows the message, CodeInvalid when it cannot be asked
// for; a *SenderError when that is our phone's fault.
func (g *Gateway) Status(ctx context.Context, sender campaign.Sender, t campaign.Tracked) (campaign.Evidence, error) {
	evidence := campaign.Evidence{Campaign: t.Campaign, Seq: t.Seq, Source: campaign.EvidencePoll}
	if t.UniqueID == "" {
		evidence.Source = campaign.EvidenceJobs
	}
	job, found, err := g.job(ctx, sender, t)
	switch {
	case err != nil:
		return evidence, g.explain("ask for a message's status", sender, err)
	case found:
		return fill(evidence, job), nil
	case time.Since(t.QueuedAt) < g.config.Visibility:
		return evidence, nil
	default:
		return evidence, &campaign.Error{
			Code: campaign.CodeNotFound,
			What: "the provider does not know the message any more",
			Hint: "its status can only come by webhook now",
		}
	}
}

// job finds the provider's job for the message; found is false when the
// provider does not know it.
func (g *Gateway) job(ctx context.Context, sender campaign.Sender, t campaign.Tracked) (job periskope.Job, found bool, err error) {
	phone := string(sender.Phone)
	switch {
	case t.UniqueID != "":
		job, _, err = g.client.MessageStatus(ctx, phone, t.UniqueID)
		found = err == nil
	case t.QueueID != "":
		var jobs []periskope.Job
		jobs, _, err = g.client.Queues(ctx, phone, periskope.QueueFilter{QueueID: t.QueueID})
		if found = len(jobs) > 0; found {
			job = jobs[0]
		}
	default:
		err = &periskope.ArgumentError{Op: "list jobs", Name: "queue_id", What: "is empty"}
	}
	if notFound(err, time.Since(t.QueuedAt) < g.config.Visibility) {
		err = nil
	}
	return job, found, err
}

// notFound is the provider's own "not found". Right after the send any other
// will do, too; later, the 404 page of a proxy says nothing of the message.
func notFound(err error, recent bool) bool {
	var api *periskope.APIError
	return errors.As(err, &api) && api.Status == http.StatusNotFound && (recent || api.Envelope() && !senderFault(api))
}

func fill(e campaign.Evidence, job periskope.Job) campaign.Evidence {
	e.Status = statusOf(job.Status)
	e.MessageID = job.MessageID
	e.Detail = detail(periskope.MaskNumbers(job.Description))
	e.SentAt = job.Timeline.At("sent")
	e.DeliveredAt = job.Timeline.At("delivered")
	e.ReadAt = job.Timeline.At("read", "played")
	e.FailedAt = job.Timeline.At("failed")
	if e.Status == campaign.StatusFailed {
		e.FailClass = campaign.ClassifyFailure(job.Description)
	}
	return e
}

// statusOf is the provider's status in the domain's words.
func statusOf(s periskope.Status) campaign.Status {
	switch s {
	case periskope.StatusQueued:
		return campaign.StatusQueued
	case periskope.StatusSending:
		return campaign.StatusProcessing
	case periskope.StatusSent:
		return campaign.StatusSent
	case periskope.StatusDelivered:
		return campaign.StatusDelivered
	case periskope.StatusRead:
		return campaign.StatusRead
	case periskope.StatusFailed:
		return campaign.StatusFailed
	case periskope.StatusUnknown:
	}
	return ""
}

// ThrottledError says that the provider wants to be asked later. Its code is
// campaign.CodeThrottled.
type ThrottledError struct {
	Wait time.Duration // 0 when the provider did not say
	Err  *campaign.Error
}

func (e *ThrottledError) Error() string { return e.Err.Error() }

func (e *ThrottledError) Unwrap() error { return e.Err }

// RetryAfter is how long to wait; 0 when the provider did not say.
func (e *ThrottledError) RetryAfter() time.Duration { return e.Wait }

// SenderError says that the provider complains about our phone, so that another
// request for it is refused as well, whatever it is about. Its code is the
// campaign.Error's.
type SenderError struct{ Err *campaign.Error }

func (e *SenderError) Error() string { return e.Err.Error() }

func (e *SenderError) Unwrap() error { return e.Err }

// SenderFault tells the error from that of a request which the provider does not
// like.
func (e *SenderError) SenderFault() bool { return true }

// explain makes an error of the wire one that a person can act on. what is
// what was being done.
func (g *Gateway) explain(what string, sender campaign.Sender, err error) error {
	var (
		api      *periskope.APIError
		argument *periskope.ArgumentError
	)
	e := &campaign.Error{Code: campaign.CodeUnavailable, What: what, Err: err}
	switch {
	case errors.As(err, &argument):
		e.Code = campaign.CodeInvalid
		if argument.Name == fieldPhone {
			return &SenderError{e}
		}
		return e
	case !errors.As(err, &api):
		e.What = fmt.Sprintf("%s at %s", what, g.client.Host())
		e.Hint = "check the network and periskope.base_url; nothing is lost, run the same file again when it is back"
		return e
	}
	switch {
	case api.Status == http.StatusUnauthorized || api.Status == http.StatusForbidden:
		e.Code = campaign.CodeUnauthorized
		e.Hint = "the API refused the token: set HERALD_PERISKOPE_TOKEN, or the file that periskope.token_file names, to an API key from the Periskope console"
	case api.Status == http.StatusTooManyRequests:
		e.Code = campaign.CodeThrottled
		return &ThrottledError{Wait: retryAfter(api.Meta), Err: e}
	case api.Envelope() && senderFault(api):
		e.Code = campaign.CodeNotFound
		e.What = fmt.Sprintf("%s: Periskope does not accept %s", what, masked(sender))
		e.Hint = "name a number or phone id of your Periskope organization under senders"
		return &SenderError{e}
	case api.Status == http.StatusNotFound && api.Envelope():
		e.Code = campaign.CodeNotFound
	case api.Status/100 == 4 && api.Envelope():
		e.Code = campaign.CodeInvalid
	default:
		e.What = fmt.Sprintf("%s at %s", what, g.client.Host())
		e.Hint = "if it lasts, check periskope.base_url: the answer may be a proxy's"
	}
	return e
}
