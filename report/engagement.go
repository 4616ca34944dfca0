package report

import (
	"cmp"
	"slices"
	"time"

	"github.com/herald-campaigns/herald/campaign"
)

// Engagement is what people did with the message.
type Engagement struct {
	Replied      Rate         `json:"replied"`            // recipients who wrote back, of those delivered
	Messages     *int64       `json:"messages,omitempty"` // all they wrote; absent in a quick report
	FirstAt      time.Time    `json:"first_reply_at,omitzero"`
	LastAt       time.Time    `json:"last_first_reply_at,omitzero"` // the last recipient to begin
	ToReply      *Spread      `json:"to_reply,omitempty"`           // from acceptance to the first reply
	FirstReplies []FirstReply `json:"first_replies"`                // up to 5
	OptedOut     Rate         `json:"opted_out"`                    // of those delivered
	// ToReview counts messages, to all campaigns, that may be meant as opt-outs
	// and wait for a person; absent when that is not known.
	ToReview *int64 `json:"to_review,omitempty"`
}

// FirstReply is one of the first answers.
type FirstReply struct {
	Line
	At   time.Time `json:"at"`
	Text string    `json:"text"` // cut at 200 characters, numbers replaced by <number>
}

const (
	maxFirstReplies = 5
	maxReplyText    = 200
)

// answers is what a pass keeps of replies.
type answers struct {
	messages    int64
	first, last time.Time
	toReply     histogram
	earliest    []FirstReply
}

func (a *answers) add(r *campaign.Recipient) {
	if r.Replies == 0 {
		return
	}
	a.messages += int64(r.Replies)
	at := r.RepliedAt
	if at.IsZero() {
		return
	}
	if a.first.IsZero() || at.Before(a.first) {
		a.first = at
	}
	if at.After(a.last) {
		a.last = at
	}
	if accepted(r) {
		a.toReply.add(at.Sub(r.QueuedAt))
	}
	if len(a.earliest) == maxFirstReplies && !at.Before(a.earliest[maxFirstReplies-1].At) {
		return
	}
	line := lineOf(r)
	line.Detail = ""
	a.earliest = append(a.earliest, FirstReply{Line: line, At: at, Text: shorten(maskNumbers(printable(r.Reply)), maxReplyText)})
	slices.SortStableFunc(a.earliest, func(x, y FirstReply) int { return cmp.Or(x.At.Compare(y.At), cmp.Compare(x.Seq, y.Seq)) })
	a.earliest = a.earliest[:min(len(a.earliest), maxFirstReplies)]
}

// fill puts what was answered beside the counts.
func (a *answers) fill(e *Engagement) {
	e.Messages = &a.messages
	e.FirstAt, e.LastAt = instant(a.first), instant(a.last)
	e.ToReply = a.toReply.spread()
	for i := range a.earliest {
		a.earliest[i].At = instant(a.earliest[i].At)
	}
	e.FirstReplies = a.earliest
}
