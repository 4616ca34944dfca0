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
// Errors carry a campaign.Code, as Status gives it; CodeNotFound says that
// there is no such list, CodeInvalid that it is too long to be read whole: ask
// for a shorter time.
func (g *Gateway) EachMessage(
	ctx context.Context, sender campaign.Sender, from, to time.Time, before func(context.Context) error, show func(campaign.News),
) error {
	const what = "list messages"
	seen := map[string]bool{}
	offset := 0
	for range sweepPages {
		if before != nil {
			if err := before(ctx); err != nil {
				return err
			}
		}
		page, meta, err := g.client.Messages(ctx, string(sender.Phone), from, to, periskope.Page{Offset: offset, Limit: sweepPage})
		if err != nil {
			return g.explainList(what, sender, err)
		}
		w := witness{source: campaign.EvidenceSweep, kind: periskope.EventMessageCreated, at: firstTime(meta.Date, time.Now())}
		fresh := 0
		for _, m := range page {
			if m.UniqueID == "" && m.ChatID == "" {
				return g.oddList(what)
			}
			if seen[m.UniqueID] { // pages overlap when messages arrive meanwhile
				continue
			}
			seen[m.UniqueID] = m.UniqueID != ""
			fresh++
			if news := w.news(sender, m); news.Message != nil || news.Inbound != nil {
				show(news)
			}
		}
		// A short page need not be the last, since the provider may have a limit
		// of its own.
		if fresh == 0 || passed(page, from) {
			return nil
		}
		offset += len(page)
	}
	return &campaign.Error{Code: campaign.CodeInvalid, What: fmt.Sprintf("%s: there are more than %d", what, sweepPage*sweepPages)}
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
