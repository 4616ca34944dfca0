package gateway

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/periskope"
)

const (
	sweepPage  = 500 // messages asked for at a time
	sweepPages = 200 // of one look; a longer list is none that can be read whole
)

// EachMessage shows what the messages of all chats of the phone tell that were
// written from one time to another, each once: somebody's message to us, how
// our own fare, and the votes on our own polls. A zero to leaves the end open.
// before is asked before each page, for a budget; its error ends the look. nil
// asks nobody. What was shown before an error is true, but not all.
//
// newest is the time of the latest message listed that proves the phone to have
// been in touch with WhatsApp: one that somebody wrote, or one of its own that
// went out, whoever sent it. clock is the provider's at its last answer; zero
// when it was not told.
//
// Errors carry a campaign.Code, as Status gives it; CodeNotFound says that
// there is no such list. A *TooLongError says that it is too long to be read
// whole: ask for a shorter time.
func (g *Gateway) EachMessage(
	ctx context.Context, sender campaign.Sender, from, to time.Time, before func(context.Context) error, show func(campaign.News),
) (newest, clock time.Time, err error) {
	const what = "list messages"
	w := witness{source: campaign.EvidenceSweep, kind: periskope.EventMessageCreated}
	list := leaves{since: from, limit: sweepPage, most: sweepPages}
	list.ask = func(page periskope.Page) ([]periskope.Message, error) {
		if before != nil {
			if err := before(ctx); err != nil {
				return nil, err
			}
		}
		messages, meta, err := g.client.Messages(ctx, string(sender.Phone), from, to, page)
		if err := g.judge(what, sender, page, messages, err); err != nil {
			return nil, err
		}
		clock = firstTime(meta.Date, clock)
		w.at = firstTime(meta.Date, time.Now())
		return messages, nil
	}
	all, err := list.turn(func(m periskope.Message) {
		if inTouch(m, clock) && m.Timestamp.After(newest) {
			newest = m.Timestamp
		}
		if news := w.news(sender, m); news.Message != nil || news.Inbound != nil {
			show(news)
		}
	})
	if err == nil && !all {
		err = &TooLongError{Err: &campaign.Error{Code: campaign.CodeInvalid, What: fmt.Sprintf("%s: there are more than %d requests show", what, sweepPages)}}
	}
	return newest, clock, err
}

// TooLongError says that a list is too long to be read whole, as against one
// that the provider refuses. Its code is campaign.CodeInvalid.
type TooLongError struct{ Err *campaign.Error }

func (e *TooLongError) Error() string { return e.Err.Error() }

func (e *TooLongError) Unwrap() error { return e.Err }

// TooLong says so to who does not know this package.
func (e *TooLongError) TooLong() bool { return true }

// inTouch says whether the phone must have been in touch with WhatsApp when the
// message was written. One of its own may have been written while it was not,
// a private note never leaves the provider, and what is of the future by the
// provider's own clock proves nothing.
func inTouch(m periskope.Message, clock time.Time) bool {
	const rounding = time.Minute
	return !m.PrivateNote && (!m.FromMe || statusOf(m.Status()).Out()) && (clock.IsZero() || !m.Timestamp.After(clock.Add(rounding)))
}

// news is what one listed message tells.
func (w witness) news(sender campaign.Sender, m periskope.Message) campaign.News {
	news := campaign.News{Name: "list", At: w.at, Sender: cmp.Or(numberOf(m.OrgPhone), sender.Phone)}
	w.tell(&news, m)
	return news
}

// PollNews asks for one poll message: how it fares, and its votes as they are
// now. News without content: the provider does not show it, now or any more.
// Errors carry a campaign.Code, as Status gives it.
func (g *Gateway) PollNews(ctx context.Context, sender campaign.Sender, poll campaign.PollWatch) (campaign.News, error) {
	const what = "ask for the votes on a poll"
	for _, id := range []string{poll.UniqueID, poll.QueueID} {
		if id == "" {
			continue
		}
		m, meta, err := g.client.Message(ctx, string(sender.Phone), id)
		if err != nil {
			return campaign.News{}, g.explain(what, sender, err)
		}
		if m != nil {
			w := witness{source: campaign.EvidenceSweep, kind: periskope.EventMessageCreated, at: firstTime(meta.Date, time.Now())}
			return w.news(sender, *m), nil
		}
	}
	return campaign.News{}, nil
}
