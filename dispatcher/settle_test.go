package dispatcher

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/herald-campaigns/herald/campaign"
)

func TestSettleDecidesEveryOutcome(t *testing.T) {
	t.Parallel()
	type decision struct {
		To     campaign.Status
		Refund bool
		Reason campaign.FailReason
		Class  campaign.FailClass
		Waits  bool
	}
	want := map[campaign.OutcomeKind]decision{
		campaign.OutcomeAccepted:    {To: campaign.StatusQueued},
		campaign.OutcomeRejected:    {To: campaign.StatusFailed, Reason: campaign.FailRejected, Class: campaign.FailPermanent},
		campaign.OutcomeThrottled:   {To: campaign.StatusPending, Refund: true},
		campaign.OutcomeRefused:     {To: campaign.StatusPending, Refund: true},
		campaign.OutcomeUnavailable: {To: campaign.StatusPending, Waits: true},
		campaign.OutcomeUnknown:     {To: campaign.StatusUnknown},
		"a kind of tomorrow":        {To: campaign.StatusUnknown},
	}
	for _, kind := range campaign.OutcomeKinds() {
		if _, ok := want[kind]; !ok {
			t.Errorf("outcome %s is not in this table", kind)
		}
	}
	now := time.Unix(1_800_000_000, 0)
	for kind, expected := range want {
		s := settle(campaign.Outcome{Kind: kind}, 1, now, time.Second)
		got := decision{To: s.To, Refund: s.Refund, Reason: s.FailReason, Class: s.FailClass, Waits: !s.NotBefore.IsZero()}
		if diff := cmp.Diff(expected, got); diff != "" {
			t.Errorf("settle(%s) (-want +got):\n%s", kind, diff)
		}
	}
	if got := settle(campaign.Outcome{Kind: campaign.OutcomeRejected, HTTPStatus: 413}, 1, now, time.Second); got.FailReason != campaign.FailTooLarge {
		t.Errorf("a 413 is the message's size, got reason %s", got.FailReason)
	}
}

func TestBackoffGrowsWithFullJitterAndABound(t *testing.T) {
	t.Parallel()
	first := 10 * time.Second
	for attempt, most := range map[int]time.Duration{1: first, 2: 3 * first, 3: 9 * first, 12: mostBackoff, 1000: mostBackoff} {
		var longest time.Duration
		for range 2000 {
			wait := backoff(attempt, first)
			if wait < 0 || wait >= most {
				t.Fatalf("backoff(%d) = %s, want within [0, %s)", attempt, wait, most)
			}
			longest = max(longest, wait)
		}
		if longest < most/2 {
			t.Errorf("backoff(%d) never exceeded %s of %s: no full jitter", attempt, longest, most)
		}
	}
}
