package report

import (
	"fmt"
	"strings"

	"github.com/herald-campaigns/herald/campaign"
)

// verdict is the report in one line.
func verdict(r *Report, t campaign.Totals) string {
	accepted, failed, unknown := t.Accepted(), r.Failures.Total, r.Unknown.Total
	switch {
	case r.Rows == 0 && r.Balance.InLedger == 0:
		return "no rows, so nothing was sent"
	case r.Recipients == 0:
		return fmt.Sprintf("nobody to send to: all rows (%s) were skipped", comma(r.Skipped.Total))
	case accepted+failed+unknown == 0 && t.ByStatus[campaign.StatusCanceled] == r.Recipients:
		return fmt.Sprintf("canceled before anything was sent to %s", count(r.Recipients, "recipient"))
	case accepted+failed+unknown+t.ByStatus[campaign.StatusSubmitting] == 0:
		return fmt.Sprintf("nothing sent yet: %s of %s waiting", comma(t.Waiting()), count(r.Recipients, "recipient"))
	}
	delivered := t.AtLeastDelivered()
	parts := []string{fmt.Sprintf("%s of %s delivered (%s)", comma(delivered), comma(r.Recipients), percent(delivered, r.Recipients))}
	if delivered > 0 {
		parts = append(parts, wholePercent(t.ByStatus[campaign.StatusRead], delivered)+" of those read")
	}
	parts = appendCount(parts, t.Replied, "replied")
	parts = appendCount(parts, t.OptedOut, "opted out")
	if failed > 0 {
		parts = append(parts, comma(failed)+" failed"+retryClause(r.Failures))
	}
	parts = appendCount(parts, unknown, "unknown"+assumedClause(r.Unknown))
	parts = appendCount(parts, accepted-delivered-t.Failed[campaign.FailProvider], "accepted but not known as delivered")
	parts = appendCount(parts, t.ByStatus[campaign.StatusSubmitting], "being sent")
	parts = appendCount(parts, t.Waiting(), "waiting")
	parts = appendCount(parts, t.ByStatus[campaign.StatusCanceled], "canceled")
	return strings.Join(parts, ", ")
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
