package report

import (
	"fmt"

	"github.com/herald-campaigns/herald/campaign"
)

// accepted says whether the row has an acceptance that counts. One that was taken
// back counts nowhere: the ledger's counters have such a row as canceled alone,
// and every figure of a report goes by the same rule.
func accepted(r *campaign.Recipient) bool {
	return !r.QueuedAt.IsZero() && !r.Status.TakenBack(r.QueueID)
}

// withdrawnWords says how many of the canceled rows had been accepted; "" when
// none had, or that is not known.
func (c Canceled) withdrawnWords() string {
	const were = "had been accepted and %s " + backWords + "."
	switch {
	case c.Withdrawn == nil || *c.Withdrawn == 0:
		return ""
	case c.Total == 1:
		return fmt.Sprintf("The one canceled "+were, "was")
	case *c.Withdrawn == c.Total:
		return fmt.Sprintf("All %s canceled "+were, comma(c.Total), "were")
	case *c.Withdrawn == 1:
		return fmt.Sprintf("Of the %s canceled, 1 "+were, comma(c.Total), "was")
	default:
		return fmt.Sprintf("Of the %s canceled, %s "+were, comma(c.Total), comma(*c.Withdrawn), "were")
	}
}

const backWords = "taken back out of the provider's queue"

// clause is the same in a few words, for the verdict.
func (c Canceled) clause() string {
	switch {
	case c.Withdrawn == nil || *c.Withdrawn == 0:
		return ""
	case *c.Withdrawn == c.Total:
		return " (" + backWords + ")"
	default:
		return " (" + comma(*c.Withdrawn) + " " + backWords + ")"
	}
}

// takenBack is the same of a campaign of which nothing went out.
func (c Canceled) takenBack() string {
	if c.Withdrawn == nil || *c.Withdrawn == 0 {
		return ""
	}
	return comma(*c.Withdrawn) + " " + backWords
}
