package app

import (
	"context"
	"sync"

	"github.com/herald-campaigns/herald/campaign"
)

// contents renders the message of a row again, for finding it in the
// provider's lists. Template and row are frozen, so the same message comes
// out; its hash stands in the row's intent.
type contents struct {
	app *App

	mu       sync.Mutex
	feedings map[campaign.ID]campaign.Feeding // compiled once each
}

func newContents(a *App, running campaign.Feeding) *contents {
	return &contents{app: a, feedings: map[campaign.ID]campaign.Feeding{running.Campaign.ID: running}}
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
