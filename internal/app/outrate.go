package app

import (
	"context"
	"fmt"

	"github.com/herald-campaigns/herald/campaign"
)

const (
	// optOutSample is how many messages must be sent before the share of opt-outs
	// says something.
	optOutSample = 50
	// mostOptOuts is the share of recipients who opt out above which a campaign
	// pauses (dossier §12): people who are annoyed report the number next.
	mostOptOuts = 0.05
)

// optOutRate pauses a campaign that too many people opt out of, by all that were
// sent. After a person has let it go on, it takes as many again for the share of
// what is sent since.
func (r *run) optOutRate(ctx context.Context, totals campaign.Totals) error {
	sent, out := totals.AtLeastSent(), totals.OptedOut
	sentNow, outNow := sent-r.before.AtLeastSent(), out-r.before.OptedOut
	tooMany := func(out, sent int64) bool { return float64(out) > mostOptOuts*float64(max(sent, optOutSample)) }
	if sent < optOutSample || !tooMany(out, sent) || !tooMany(outNow, sentNow) {
		return nil
	}
	return r.engine.Pause(ctx, r.prepared.Campaign.ID, campaign.PauseOptOutRate,
		fmt.Sprintf("%d of %d people who got it opted out, %d of them since it was last started", out, sent, outNow))
}
