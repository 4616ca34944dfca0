package gateway

import (
	"context"

	"github.com/herald-campaigns/herald/campaign"
)

// Backlog is how many messages the provider has yet to send from the phone,
// whoever they are from. Errors are those of Jobs.
func (g *Gateway) Backlog(ctx context.Context, sender campaign.Sender) (int64, error) {
	health, _, err := g.client.QueueHealth(ctx, string(sender.Phone))
	if err != nil {
		return 0, g.explainList("count the provider's jobs", sender, err)
	}
	return health.Backlog(), nil
}
