package dispatcher

import (
	"math/rand/v2"
	"time"

	"github.com/herald-campaigns/herald/campaign"
)

// settle is what an outcome does to the row: one case per kind of outcome, and
// no other place decides it.
func settle(outcome campaign.Outcome, attempt int, ended time.Time, firstRetry time.Duration) campaign.Settlement {
	s := campaign.Settlement{Outcome: outcome, Attempt: attempt, EndedAt: ended}
	switch outcome.Kind {
	case campaign.OutcomeAccepted:
		s.To = campaign.StatusQueued
	case campaign.OutcomeRejected:
		s.To = campaign.StatusFailed
		s.FailReason, s.FailClass = campaign.FailRejected, campaign.FailPermanent
		if outcome.HTTPStatus == 413 {
			s.FailReason = campaign.FailTooLarge
		}
	case campaign.OutcomeThrottled, campaign.OutcomeRefused:
		// The sender must slow down or stop; the recipient has not been tried.
		s.To = campaign.StatusPending
		s.Refund = true
	case campaign.OutcomeUnavailable:
		s.To = campaign.StatusPending
		s.NotBefore = ended.Add(backoff(attempt, firstRetry))
	case campaign.OutcomeUnknown:
		s.To = campaign.StatusUnknown
	default:
		// A kind this table does not know must not be repeated.
		s.To = campaign.StatusUnknown
	}
	return s
}

// mostBackoff bounds the wait between two attempts.
const mostBackoff = 2 * time.Minute

// backoff is a wait with full jitter: anywhere between nothing and first,
// three times first, nine times first … by attempt.
func backoff(attempt int, first time.Duration) time.Duration {
	most := first
	for range min(attempt-1, 10) {
		most *= 3
	}
	return rand.N(min(most, mostBackoff)) //nolint:gosec // jitter needs no secrecy
}
