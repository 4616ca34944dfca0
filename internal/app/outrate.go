package app

import (
	"context"
	"fmt"

	"github.com/herald-campaigns/herald/campaign"
)

const (
	// optOutSample is how many messages of a run must be sent before the share of
	// opt-outs says something.
	optOutSample = 50
	// mostOptOuts is the share of recipients who opt out above which a campaign
	// pauses (dossier §12): people who are annoyed report the number next.
	mostOptOuts = 0.05
)

// optOutRate pauses a campaign that too many people opt out of. Only what
// happened since the run began counts: a person who goes on has decided.
func (r *run) optOutRate(ctx context.Context, totals campaign.Totals) error {
	sent, out := totals.AtLeastSent()-r.before.AtLeastSent(), totals.OptedOut-r.before.OptedOut
	if sent < optOutSample || float64(out) <= mostOptOuts*float64(sent) {
		return nil
	}
	return r.engine.Pause(ctx, r.prepared.Campaign.ID, campaign.PauseOptOutRate,
		fmt.Sprintf("%d of %d people who got it since it was last started opted out", out, sent))
}
