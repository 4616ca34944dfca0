package gateway

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/periskope"
)

const (
	pageSize = 200 // messages asked for at a time
	maxPages = 50  // of one chat; a longer list is none that can be read whole
)

// Jobs shows every job of the phone that may be one of ours, whoever it goes
// to: all but those of broadcasts and of people. It says how many jobs the list
// has, those included. After an error, what was shown
// does not count. Errors carry a campaign.Code, as Status gives it;
// CodeNotFound says that there is no list that can be read.
func (g *Gateway) Jobs(ctx context.Context, sender campaign.Sender, show func(campaign.Candidate)) (listed int, err error) {
	const what = "list the provider's jobs"
	odd := false
	_, err = g.client.EachJob(ctx, string(sender.Phone), periskope.QueueFilter{}, func(job periskope.Job) {
		listed++
		switch {
		case job.QueueID == "" && job.UniqueID == "":
			odd = true
		case job.BroadcastID == "" && byAPI(job.PerformedBy):
			show(jobCandidate(job))
		}
	})
	switch {
	case err != nil:
		return 0, g.explainList(what, sender, err)
	case odd:
		return 0, g.oddList(what)
	}
	return listed, nil
}

// JobCount is how many jobs the phone's queue has, done and failed ones
// included, by the provider's counters. Errors are those of Jobs.
func (g *Gateway) JobCount(ctx context.Context, sender campaign.Sender) (int64, error) {
	health, _, err := g.client.QueueHealth(ctx, string(sender.Phone))
	if err != nil {
		return 0, g.explainList("count the provider's jobs", sender, err)
	}
	return health.Backlog() + health.Completed.V + health.Failed.V, nil
}

// Visible says whether the job is in the provider's list by now.
func (g *Gateway) Visible(ctx context.Context, sender campaign.Sender, queueID string) (bool, error) {
	jobs, _, err := g.client.Queues(ctx, string(sender.Phone), periskope.QueueFilter{QueueID: queueID})
	if err != nil {
		return false, g.explainList("look for a job", sender, err)
	}
	return len(jobs) > 0, nil
}

// Messages is our own messages of the chat that were sent at since or later,
// but for those that a person wrote, and whether the provider has any message
// of the chat at all, whoever wrote it and when. Errors are those of Jobs.
func (g *Gateway) Messages(ctx context.Context, sender campaign.Sender, chat campaign.ChatID, since time.Time) (list []campaign.Candidate, known bool, err error) {
	const what = "list a chat's messages"
	seen := map[string]bool{}
	offset := 0
	for range maxPages {
		page, _, err := g.client.ChatMessages(ctx, string(sender.Phone), string(chat), periskope.Page{Offset: offset, Limit: pageSize})
		switch {
		case unknownChat(err):
			return list, known, nil
		case err != nil:
			return nil, false, g.explainList(what, sender, err)
		}
		fresh := 0
		for _, m := range page {
			if m.UniqueID == "" && m.ChatID == "" {
				return nil, false, g.oddList(what)
			}
			known = true
			if seen[m.UniqueID] { // pages overlap when messages arrive meanwhile
				continue
			}
			seen[m.UniqueID] = m.UniqueID != ""
			fresh++
			if ours(m) && (m.Timestamp.IsZero() || !m.Timestamp.Before(since)) {
				list = append(list, messageCandidate(m, chat))
			}
		}
		// A short page need not be the last, since the provider may have a limit
		// of its own.
		if fresh == 0 || passed(page, since) {
			return list, known, nil
		}
		offset += len(page)
	}
	return nil, false, &campaign.Error{Code: campaign.CodeNotFound, What: fmt.Sprintf("%s: it has more than %d", what, pageSize*maxPages)}
}

// passed says whether a page shows its messages from new to old and has got
// beyond since.
func passed(page []periskope.Message, since time.Time) bool {
	for i, m := range page {
		if m.Timestamp.IsZero() || i > 0 && m.Timestamp.After(page[i-1].Timestamp) {
			return false
		}
	}
	return len(page) > 0 && page[len(page)-1].Timestamp.Before(since)
}

func ours(m periskope.Message) bool {
	return m.FromMe && !m.PrivateNote && m.BroadcastID == "" && byAPI(m.PerformedBy)
}

// byAPI says whether what performed a send may have been us. Not every list
// tells.
func byAPI(performer string) bool { return performer == "" || strings.EqualFold(performer, "api") }

func jobCandidate(job periskope.Job) campaign.Candidate {
	e := fill(campaign.Evidence{}, job)
	return campaign.Candidate{
		Source: campaign.EvidenceJobs, QueueID: job.QueueID, UniqueID: job.UniqueID, MessageID: job.MessageID,
		Chat: chatOf(job.ChatID), Kind: kindOf(job.Type), Text: job.Body, At: job.Timeline.At("queued", "processing", "sent"),
		Status: e.Status, Detail: e.Detail, SentAt: e.SentAt, DeliveredAt: e.DeliveredAt, ReadAt: e.ReadAt, FailedAt: e.FailedAt,
	}
}

func messageCandidate(m periskope.Message, chat campaign.ChatID) campaign.Candidate {
	c := campaign.Candidate{
		Source: campaign.EvidenceMessages, QueueID: cmp.Or(m.QueueID, m.SentMessageID), UniqueID: m.UniqueID, MessageID: m.MessageID,
		Chat: chat, Kind: kindOf(m.Type), Text: m.Body, At: m.Timestamp, Status: statusOf(m.Status()),
	}
	switch {
	case m.PollInfo != nil:
		c.Kind, c.Text = campaign.KindPoll, cmp.Or(m.Body, m.PollInfo.Name)
	case m.Media != nil:
		c.Kind = campaign.KindMedia
	}
	if c.Status.Merge(campaign.StatusSent) == c.Status {
		c.SentAt = m.Timestamp
	}
	return c
}

// chatOf gives a bare number its suffix.
func chatOf(id string) campaign.ChatID {
	if id == "" || strings.Contains(id, "@") {
		return campaign.ChatID(id)
	}
	return campaign.PersonChat(strings.TrimPrefix(id, "+"))
}

// kindOf is the provider's message type in the domain's words; "" when it does
// not tell.
func kindOf(kind string) campaign.Kind {
	switch strings.ToLower(kind) {
	case "chat", "text":
		return campaign.KindText
	case "image", "video", "audio", "ptt", "document", "sticker", "media":
		return campaign.KindMedia
	case "poll_creation", "poll":
		return campaign.KindPoll
	}
	return ""
}

// unknownChat is the provider's own word that it does not know the chat. A 404
// about anything else may be about the route.
func unknownChat(err error) bool {
	var api *periskope.APIError
	return errors.As(err, &api) && api.Status == http.StatusNotFound && api.Envelope() && !senderFault(api) &&
		(api.Field("chat_id") || strings.Contains(strings.ToLower(api.Message), "chat"))
}

// explainList is explain, but that CodeNotFound always means that there is no
// such list, or one too long to be read.
func (g *Gateway) explainList(what string, sender campaign.Sender, err error) error {
	var (
		api      *periskope.APIError
		response *periskope.ResponseError
	)
	oversize := errors.As(err, &response) && response.Reason == periskope.ReasonOversize
	noRoute := []int{http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotImplemented}
	missing := errors.As(err, &api) && slices.Contains(noRoute, api.Status) && (!api.Envelope() || !senderFault(api))
	if oversize || missing {
		return &campaign.Error{Code: campaign.CodeNotFound, What: what + ": there is no list that can be read", Err: err}
	}
	explained := g.explain(what, sender, err)
	if campaign.CodeOf(explained) == campaign.CodeNotFound { // the phone is not known
		return &campaign.Error{Code: campaign.CodeUnavailable, Err: explained}
	}
	return explained
}

// oddList is a list with something in it that names no message: whatever
// answered, it was not the API.
func (g *Gateway) oddList(what string) error {
	return &campaign.Error{
		Code: campaign.CodeUnavailable, What: fmt.Sprintf("%s at %s: the answer is not a list", what, g.client.Host()),
		Hint: "if it lasts, check periskope.base_url: the answer may be a proxy's",
	}
}
