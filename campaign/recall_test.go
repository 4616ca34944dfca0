package campaign_test

import (
	"testing"

	"github.com/herald-campaigns/herald/campaign"
)

// TestRecall: only answers that do not have the message in the queue bring the
// asking to its end, and one that has it there begins their count anew.
func TestRecall(t *testing.T) {
	t.Parallel()
	said := func(s campaign.Status) campaign.Observation {
		return campaign.Observation{Evidence: campaign.Evidence{Status: s}}
	}
	none := campaign.Observation{Unanswered: true}
	var r campaign.Recall
	for i, step := range []struct {
		campaign.Observation
		inQueue, over bool
	}{
		{said(""), false, false},
		{none, false, false},
		{said(campaign.StatusFailed), false, false},
		{said(""), false, false},
		{said(campaign.StatusQueued), true, false},
		{none, true, false},
		{said(campaign.StatusProcessing), true, false},
		{said(""), false, false},
		{none, false, false},
		{none, false, false},
		{said(""), false, false},
		{said(""), false, false},
		{said(""), false, true},
	} {
		r = r.After(step.Observation)
		if r.Requests() != i+1 || r.InQueue() != step.inQueue || r.Over() != step.over {
			t.Errorf("step %d: %d requests, in the queue %t, over %t", i+1, r.Requests(), r.InQueue(), r.Over())
		}
	}
}
