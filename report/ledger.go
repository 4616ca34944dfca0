package report

import (
	"context"
	"iter"

	"github.com/herald-campaigns/herald/campaign"
)

// Campaigns gives the campaign itself.
type Campaigns interface {
	// Campaign returns an error with campaign.CodeNotFound for an unknown id.
	Campaign(ctx context.Context, id campaign.ID) (campaign.Campaign, error)
}

// Counts gives the ledger's numbers without reading every row here.
type Counts interface {
	// Totals are the counters kept beside the rows; cheap.
	Totals(ctx context.Context, id campaign.ID) (campaign.Totals, error)
	// Recount counts the rows themselves. Only a quick report that was asked to
	// verify calls it.
	Recount(ctx context.Context, id campaign.ID) (campaign.Totals, error)
}

// Rows gives every ledger line of a campaign in ascending Seq. It stops at the
// first error, which it yields with a zero Recipient. Best is one read
// transaction, so that the numbers belong to one instant.
type Rows interface {
	Rows(ctx context.Context, id campaign.ID) iter.Seq2[campaign.Recipient, error]
}

// Senders gives the phones of a campaign, so that a report can name them.
type Senders interface {
	Senders(ctx context.Context, id campaign.ID) ([]campaign.Sender, error)
}

// Timeline gives what happened to a campaign, oldest first.
type Timeline interface {
	Timeline(ctx context.Context, id campaign.ID) ([]campaign.Event, error)
}

// Replies gives what people wrote back, in the order of the rows, then of time.
// It stops at the first error, which it yields with a zero Reply.
type Replies interface {
	Replies(ctx context.Context, id campaign.ID) iter.Seq2[campaign.Reply, error]
}

// Ballots gives the votes on the poll messages of a campaign as they stand, one
// value for each message, in the order of the rows.
type Ballots interface {
	BallotsOf(ctx context.Context, id campaign.ID) iter.Seq2[campaign.LocatedBallots, error]
}

// Reviews gives the messages that may be meant as opt-outs and wait for a
// person, of all campaigns.
type Reviews interface {
	Reviews(ctx context.Context) ([]campaign.Review, error)
}

// Earlier gives the campaigns to compare one with: begun before it, the latest
// first, at most n.
type Earlier interface {
	Earlier(ctx context.Context, c campaign.Campaign, n int) ([]campaign.Campaign, error)
}

// Awaited gives how many rows of a campaign the provider is still to be asked
// about: those with a message that is on its way, and those whose message was
// taken back and may have been on its way.
type Awaited interface {
	AwaitingEvidence(ctx context.Context, id campaign.ID) (int64, error)
}

// Deps is what a report reads from. Usually one value serves as all of them.
type Deps struct {
	Campaigns Campaigns
	Counts    Counts
	Rows      Rows     // may be nil for a quick report
	Senders   Senders  // nil: senders are named by their id
	Timeline  Timeline // nil: no timeline
	Replies   Replies  // nil: only the first reply of each row is known
	Ballots   Ballots  // nil: votes in groups are not known
	Reviews   Reviews  // nil: how many wait is not known
	Earlier   Earlier  // nil: no comparison
	Awaited   Awaited  // nil: what is on its way goes by the statuses alone
}
