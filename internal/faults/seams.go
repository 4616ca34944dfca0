package faults

import (
	"context"
	"time"

	"github.com/herald-campaigns/herald/campaign"
)

// Intents is the ledger's side of a claim, as the dispatcher sees it.
type Intents interface {
	Claim(ctx context.Context, intent campaign.Intent) (campaign.Claim, error)
	GiveBack(ctx context.Context, task campaign.Task, epoch int64) error
}

// Claims has K1 before the intent commits and K2 after it was granted.
type Claims struct {
	Intents
	Crash *Crash
}

// Claim is a claim between two crash points.
func (c Claims) Claim(ctx context.Context, intent campaign.Intent) (campaign.Claim, error) {
	c.Crash.Pass(BeforeIntent)
	claim, err := c.Intents.Claim(ctx, intent)
	if err == nil && claim.Refused == campaign.RefusedNot {
		c.Crash.Pass(AfterIntent)
	}
	return claim, err
}

// Outcomes is the ledger's side of an outcome, as the dispatcher sees it.
type Outcomes interface {
	Settle(ctx context.Context, s campaign.Settlement) (campaign.Status, error)
	BlockSender(ctx context.Context, lease campaign.Lease, until time.Time) error
}

// Settlements has K6 before an outcome commits, when the answer has been read,
// and K7 after it, when the stream has not been told yet.
type Settlements struct {
	Outcomes
	Crash *Crash
}

// Settle is a settlement between two crash points.
func (s Settlements) Settle(ctx context.Context, settlement campaign.Settlement) (campaign.Status, error) {
	s.Crash.Pass(BeforeOutcome)
	status, err := s.Outcomes.Settle(ctx, settlement)
	if err == nil {
		s.Crash.Pass(AfterOutcome)
	}
	return status, err
}

// Adding has K0 before a batch of an import is written.
func Adding(crash *Crash, add func([]campaign.Recipient) error) func([]campaign.Recipient) error {
	return func(batch []campaign.Recipient) error {
		crash.Pass(DuringImport)
		return add(batch)
	}
}
