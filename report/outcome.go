package report

import (
	"math"
	"slices"

	"github.com/herald-campaigns/herald/campaign"
)

// Outcome counts what became of some recipients. Each count includes the later
// ones, as the funnel does.
type Outcome struct {
	Recipients int64 `json:"recipients"` // rows that were not skipped
	Accepted   int64 `json:"accepted"`
	Delivered  int64 `json:"delivered"`
	Read       int64 `json:"read"`
	Replied    int64 `json:"replied"`
	OptedOut   int64 `json:"opted_out"`
	Failed     int64 `json:"failed"`
	Voted      int64 `json:"voted"`
}

// add counts one recipient.
func (o *Outcome) add(r *campaign.Recipient) {
	o.Recipients++
	switch r.Status { //nolint:exhaustive // the others have no column
	case campaign.StatusQueued, campaign.StatusProcessing, campaign.StatusSent:
		o.Accepted++
	case campaign.StatusDelivered:
		o.Accepted++
		o.Delivered++
	case campaign.StatusRead:
		o.Accepted++
		o.Delivered++
		o.Read++
	case campaign.StatusFailed:
		o.Failed++
		if r.FailReason == campaign.FailProvider {
			o.Accepted++
		}
	}
	if r.Replies > 0 {
		o.Replied++
	}
	if !r.OptedOut.IsZero() {
		o.OptedOut++
	}
	if len(r.Vote) > 0 {
		o.Voted++
	}
}

// counts are those of the columns of a table, in their order; that of the votes
// only where there can be some.
func (o Outcome) counts(votes bool) []int64 {
	counts := []int64{o.Recipients, o.Accepted, o.Delivered, o.Read, o.Replied, o.OptedOut, o.Failed}
	if votes {
		counts = append(counts, o.Voted)
	}
	return counts
}

// votes says whether a table of outcomes has something to say of votes.
func (r *Report) votes(rows []SegmentRow) bool {
	return r.Poll != nil || slices.ContainsFunc(rows, func(row SegmentRow) bool { return row.Voted > 0 })
}

// outcomeOf is the outcome of a whole campaign.
func outcomeOf(t campaign.Totals) Outcome {
	return Outcome{
		Recipients: t.Sum() - t.ByStatus[campaign.StatusSkipped],
		Accepted:   t.Accepted(),
		Delivered:  t.AtLeastDelivered(),
		Read:       t.ByStatus[campaign.StatusRead],
		Replied:    t.Replied,
		OptedOut:   t.OptedOut,
		Failed:     t.ByStatus[campaign.StatusFailed],
		Voted:      t.Voted,
	}
}

// outcome is that of the campaign itself, by the report's own counts.
func (r *Report) outcome() Outcome {
	o := Outcome{
		Recipients: r.Recipients, Failed: r.Failures.Total,
		Replied: r.Engagement.Replied.Count, OptedOut: r.Engagement.OptedOut.Count,
	}
	if r.Poll != nil {
		o.Voted = r.Poll.Turnout.Count
	}
	for _, s := range r.Funnel {
		switch s.Step {
		case stepAccepted:
			o.Accepted = s.Count
		case stepDelivered:
			o.Delivered = s.Count
		case stepRead:
			o.Read = s.Count
		}
	}
	return o
}

// The steps of the funnel that others refer to.
const (
	stepAccepted  = "accepted"
	stepDelivered = "delivered"
	stepRead      = "read"
)

// plus is the sum of two outcomes.
func (o Outcome) plus(other Outcome) Outcome {
	return Outcome{
		Recipients: o.Recipients + other.Recipients,
		Accepted:   o.Accepted + other.Accepted,
		Delivered:  o.Delivered + other.Delivered,
		Read:       o.Read + other.Read,
		Replied:    o.Replied + other.Replied,
		OptedOut:   o.OptedOut + other.OptedOut,
		Failed:     o.Failed + other.Failed,
		Voted:      o.Voted + other.Voted,
	}
}

// Rate is a share with the interval in which the true one lies with 95 %
// confidence (Wilson's score interval): what would come out if the campaign
// were sent to many more people like these.
type Rate struct {
	Count int64    `json:"count"`
	Of    int64    `json:"of"`
	Share *float64 `json:"share,omitempty"` // absent when there is nothing to divide by
	Low   *float64 `json:"low,omitempty"`   // absent as well when the count is no part of the other
	High  *float64 `json:"high,omitempty"`
}

func rate(n, of int64) Rate {
	r := Rate{Count: n, Of: of, Share: share(n, of)}
	if of > 0 && n <= of {
		low, high := wilson(n, of)
		r.Low, r.High = &low, &high
	}
	return r
}

// z95 is the normal quantile of a two-sided interval of 95 %.
const z95 = 1.959963984540054

// wilson is the score interval of n out of of, which is not 0. It stays sane
// where the textbook one does not: near none and all, and for few people.
func wilson(n, of int64) (low, high float64) {
	p, m := float64(n)/float64(of), float64(of)
	center := (p + z95*z95/(2*m)) / (1 + z95*z95/m)
	half := z95 / (1 + z95*z95/m) * math.Sqrt(p*(1-p)/m+z95*z95/(4*m*m))
	low, high = max(center-half, 0), min(center+half, 1)
	if n == 0 {
		low = 0
	}
	if n == of {
		high = 1
	}
	return low, high
}

// newcombe is the interval of the difference between two shares, made of their
// score intervals (Newcombe 1998, method 10). Both have an interval.
func newcombe(a, b Rate) (difference, low, high float64) {
	difference = *a.Share - *b.Share
	low = difference - math.Hypot(*a.Share-*a.Low, *b.High-*b.Share)
	high = difference + math.Hypot(*a.High-*a.Share, *b.Share-*b.Low)
	return difference, max(low, -1), min(high, 1)
}
