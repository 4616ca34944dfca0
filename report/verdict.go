package report

import (
	"fmt"
	"strings"

	"github.com/herald-campaigns/herald/campaign"
)

// verdict is the report in one line: what people ask first, and the rest, which
// can be nothing.
func verdict(r *Report, t campaign.Totals) (headline, rest string) {
	accepted, failed, unknown := t.Accepted(), r.Failures.Total, r.Unknown.Total
	switch {
	case r.Rows == 0 && r.Balance.InLedger == 0:
		return "no rows, so nothing was sent", ""
	case r.Recipients == 0:
		return fmt.Sprintf("nobody to send to: all rows (%s) were skipped", comma(r.Skipped.Total)), ""
	case accepted+failed+unknown == 0 && t.ByStatus[campaign.StatusCanceled] == r.Recipients:
		return fmt.Sprintf("canceled before anything was sent to %s", count(r.Recipients, "recipient")), r.Canceled.takenBack()
	case accepted+failed+unknown+t.ByStatus[campaign.StatusSubmitting] == 0:
		return fmt.Sprintf("nothing sent yet: %s of %s waiting", comma(t.Waiting()), count(r.Recipients, "recipient")), ""
	}
	delivered := t.AtLeastDelivered()
	parts := r.votedClause(t)
	parts = append(parts, fmt.Sprintf("%s of %s delivered (%s)", comma(delivered), comma(r.Recipients), percent(delivered, r.Recipients)))
	if delivered > 0 {
		parts = append(parts, percent(t.ByStatus[campaign.StatusRead], delivered)+" of those read")
	}
	parts = appendCount(parts, t.Replied, "replied")
	parts = appendCount(parts, t.OptedOut, "opted out")
	if failed > 0 {
		parts = append(parts, comma(failed)+" failed"+retryClause(r.Failures))
	}
	parts = appendCount(parts, unknown, "unknown"+assumedClause(r.Unknown))
	parts = appendCount(parts, accepted-delivered-t.Failed[campaign.FailProvider], "accepted but not known as delivered")
	parts = appendCount(parts, t.ByStatus[campaign.StatusSubmitting], StatusWord(campaign.StatusSubmitting).Label)
	parts = appendCount(parts, t.Waiting(), "waiting")
	parts = appendCount(parts, r.Canceled.Total, "canceled"+r.Canceled.clause())
	return parts[0], strings.Join(parts[1:], ", ")
}

// votedClause is how many voted: of a poll, that is what was asked. It is empty
// for other messages.
func (r *Report) votedClause(t campaign.Totals) []string {
	switch {
	case r.Poll == nil && !r.asks:
		return nil
	case r.Poll == nil: // a quick report does not know who was asked in a group
		return []string{comma(t.Voted) + " voted"}
	}
	groups, members := r.Poll.inGroups()
	if groups > 0 && r.Poll.Turnout.Count == 0 {
		return []string{fmt.Sprintf("%s voted in %s", comma(members), count(groups, "group"))}
	}
	words := []string{fmt.Sprintf("%s voted (%s)", comma(r.Poll.Turnout.Count), r.Poll.turnout())}
	if groups > 0 {
		words = append(words, fmt.Sprintf("%s more in %s", comma(members), count(groups, "group")))
	}
	return words
}

// assumedClause says how many of the unknown rows were decided about.
func assumedClause(u Unknown) string {
	switch {
	case u.AssumedSent == nil || *u.AssumedSent == 0:
		return ""
	case *u.AssumedSent == u.Total:
		return " (assumed sent)"
	default:
		return fmt.Sprintf(" (%s assumed sent)", comma(*u.AssumedSent))
	}
}

func appendCount(parts []string, n int64, what string) []string {
	if n <= 0 {
		return parts
	}
	return append(parts, comma(n)+" "+what)
}

func retryClause(f Failures) string {
	switch {
	case f.Retryable == nil:
		return ""
	case *f.Retryable == 0:
		return " (none can be retried)"
	case *f.Retryable == f.Total:
		return " (all can be retried)"
	default:
		return fmt.Sprintf(" (%s can be retried)", comma(*f.Retryable))
	}
}
