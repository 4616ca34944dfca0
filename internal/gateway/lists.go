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
	pages := leaves{since: since, limit: pageSize, most: maxPages}
	pages.ask = func(page periskope.Page) ([]periskope.Message, error) {
		messages, _, err := g.client.ChatMessages(ctx, string(sender.Phone), string(chat), page)
		if unknownChat(err) {
			return nil, nil
		}
		return messages, g.judge(what, sender, page, messages, err)
	}
	all, err := pages.turn(func(m periskope.Message) {
		known = true
		if ours(m) && (m.Timestamp.IsZero() || !m.Timestamp.Before(since)) {
			list = append(list, messageCandidate(m, chat))
		}
	})
	switch {
	case err != nil:
		return nil, false, err
	case !all:
		return nil, false, &campaign.Error{Code: campaign.CodeNotFound, What: fmt.Sprintf("%s: there are more than %d requests show", what, maxPages)}
	}
	return list, known, nil
}

// leaves is a list of messages that comes in pages.
type leaves struct {
	since time.Time // nobody asks for what is older
	limit int       // messages asked for at a time
	most  int       // requests
	// ask asks for a page. When that is longer than can be read, which oversize
	// says of its error, a shorter one is asked for.
	ask func(periskope.Page) ([]periskope.Message, error)
}

// standstill is how often the same page comes in a row from a list that knows no
// offset. One that grows by just a page between two requests gives it twice.
const standstill = 3

// turn shows every message of the list once. all is false when there are more
// than so many requests show, or than the one page that the provider has.
func (l leaves) turn(show func(periskope.Message)) (all bool, err error) {
	seen := map[string]bool{}
	offset, same := 0, 0
	var last []periskope.Message
	for range l.most {
		page, err := l.ask(periskope.Page{Offset: offset, Limit: l.limit})
		switch {
		case oversize(err) && l.limit > 1:
			l.limit = max(1, l.limit/4)
			continue
		case err != nil:
			return false, err
		}
		for _, m := range page {
			if seen[m.UniqueID] { // pages overlap when messages arrive meanwhile
				continue
			}
			seen[m.UniqueID] = m.UniqueID != ""
			show(m)
		}
		// A short page need not be the last, since the provider may have a limit of
		// its own; nor one of which all is known, since the list may have grown by a
		// page meanwhile.
		if len(page) == 0 || passed(page, l.since) {
			return true, nil
		}
		if same++; !slices.EqualFunc(page, last, func(a, b periskope.Message) bool { return a.UniqueID != "" && a.UniqueID == b.UniqueID }) {
			same = 1
		}
		if same == standstill {
			return len(page) < l.limit, nil
		}
		offset, last = offset+len(page), page
	}
	return false, nil
}

// judge is what is wrong with a page; an oversize one is asked for again, shorter.
func (g *Gateway) judge(what string, sender campaign.Sender, page periskope.Page, messages []periskope.Message, err error) error {
	switch {
	case oversize(err) && page.Limit > 1:
		return err
	case err != nil:
		return g.explainList(what, sender, err)
	case odd(messages):
		return g.oddList(what)
	}
	return nil
}

// odd says whether there is something among the messages that names none.
func odd(page []periskope.Message) bool {
	return slices.ContainsFunc(page, func(m periskope.Message) bool { return m.UniqueID == "" && m.ChatID == "" })
}

// oversize says whether the answer was longer than can be read.
func oversize(err error) bool {
	var response *periskope.ResponseError
	return errors.As(err, &response) && response.Reason == periskope.ReasonOversize
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
	if c.Status.Out() {
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
	var api *periskope.APIError
	noRoute := []int{http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotImplemented}
	missing := errors.As(err, &api) && slices.Contains(noRoute, api.Status) && (!api.Envelope() || !senderFault(api))
	if oversize(err) || missing {
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
