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

// Deps is what a report reads from. Usually one value serves as all of them.
type Deps struct {
	Campaigns Campaigns
	Counts    Counts
	Rows      Rows     // may be nil for a quick report
	Senders   Senders  // nil: senders are named by their id
	Timeline  Timeline // nil: no timeline
}
