package app

import (
	"context"
	"sync"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/status"
)

// attention is how the unknown rows of campaigns that do not run are looked
// after: rows of two campaigns may contend for one message. Those that run are
// lanes.
func (a *App) attention(ctx context.Context) (map[campaign.ID]status.Attention, error) {
	attention := map[campaign.ID]status.Attention{}
	all, err := a.store.AllTotals(ctx)
	if err != nil {
		return nil, err
	}
	for id, totals := range all {
		if totals.ByStatus[campaign.StatusUnknown] == 0 {
			continue
		}
		c, err := a.store.Campaign(ctx, id)
		if err != nil {
			return nil, err
		}
		attention[id] = status.Attention{Policy: c.Spec.UnknownPolicy, FoundOnly: true}
	}
	return attention, nil
}

// settlements writes outcomes, and shows what was accepted to the reconciler,
// which measures with it how soon the provider's lists tell.
type settlements struct {
	ledger
	settler *status.Reconciler
	sender  campaign.Sender
}

func (s settlements) Settle(ctx context.Context, st campaign.Settlement) (campaign.Status, error) {
	to, err := s.ledger.Settle(ctx, st)
	if err == nil && to == campaign.StatusQueued {
		s.settler.Accepted(campaign.Tracked{
			Campaign: st.Task.Campaign, Seq: st.Task.Seq, Sender: s.sender, Chat: st.Task.Chat,
			QueueID: st.Outcome.QueueID, UniqueID: st.Outcome.UniqueID, Status: to, QueuedAt: st.EndedAt,
		})
	}
	return to, err
}

// contents renders the message of a row again, for finding it in the
// provider's lists. Template and row are frozen, so the same message comes
// out; its hash stands in the row's intent.
type contents struct {
	app *App

	mu       sync.Mutex
	feedings map[campaign.ID]campaign.Feeding // compiled once each
}

func newContents(a *App) *contents {
	return &contents{app: a, feedings: map[campaign.ID]campaign.Feeding{}}
}

// put adds a campaign whose template is compiled already.
func (c *contents) put(feeding campaign.Feeding) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.feedings[feeding.Campaign.ID] = feeding
}

// Message is what the row's recipient was sent, or not.
func (c *contents) Message(ctx context.Context, row campaign.UnknownRow) (campaign.Message, error) {
	feeding, err := c.feeding(ctx, row.Campaign)
	if err != nil {
		return campaign.Message{}, err
	}
	recipient, err := c.app.store.Recipient(ctx, row.Campaign, row.Seq)
	if err != nil {
		return campaign.Message{}, err
	}
	return feeding.Renderer.Render(ctx, feeding.Campaign.RowOf(&recipient))
}

// feeding is a campaign with its template. Others than the one that runs can
// have unknown rows, too.
func (c *contents) feeding(ctx context.Context, id campaign.ID) (campaign.Feeding, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if feeding, ok := c.feedings[id]; ok {
		return feeding, nil
	}
	other, err := c.app.store.Campaign(ctx, id)
	if err != nil {
		return campaign.Feeding{}, err
	}
	renderer, err := c.app.renderer(ctx, other)
	if err != nil {
		return campaign.Feeding{}, err
	}
	c.feedings[id] = campaign.Feeding{Campaign: other, Renderer: renderer}
	return c.feedings[id], nil
}
