package report

import (
	"cmp"
	"slices"
	"time"

	"github.com/herald-campaigns/herald/campaign"
)

// Wait is the time for which sending stood still for one reason, as far as the
// timeline tells. Several senders can be held at once: their times are added.
type Wait struct {
	Kind    string               `json:"kind"` // pause: the campaign; hold: a sender or all, which go on by themselves
	Reason  campaign.PauseReason `json:"reason"`
	Times   int64                `json:"times"`
	TotalMS int64                `json:"total_ms"`
	Open    bool                 `json:"open"`  // the last one is not over
	Spans   []Span               `json:"spans"` // the first 20
}

// Span is one time of waiting.
type Span struct {
	From   time.Time `json:"from"`
	To     time.Time `json:"to,omitzero"` // absent: not over
	Detail string    `json:"detail,omitempty"`
}

const maxSpans = 20

const (
	waitPause = "pause"
	waitHold  = "hold"
)

// waits adds up the pauses and holds of a timeline, the longest first. now ends
// what is not over.
func waits(timeline []campaign.Event, now time.Time) []Wait {
	b := waitBook{now: now, waits: map[waitKey]*Wait{}}
	var paused *campaign.Event
	var held []campaign.Event
	for i := range timeline {
		e := timeline[i]
		if e.Kind == campaign.EventState || e.To != "" {
			if paused != nil {
				b.add(waitPause, *paused, e.At)
				paused = nil
			}
			if e.To == campaign.StatePaused {
				paused = &timeline[i]
			}
		}
		still := campaign.OpenHolds(append(slices.Clone(held), e))
		for _, over := range missingFrom(still, held) {
			b.add(waitHold, over, e.At)
		}
		held = still
	}
	if paused != nil {
		b.add(waitPause, *paused, time.Time{})
	}
	for _, e := range held {
		b.add(waitHold, e, time.Time{})
	}
	return b.list()
}

// missingFrom is what of was is not in still, which is the same in the same
// order but for what ended or began.
func missingFrom(still, was []campaign.Event) []campaign.Event {
	var missing []campaign.Event
	for _, e := range was {
		if len(still) > 0 && still[0] == e {
			still = still[1:]
			continue
		}
		missing = append(missing, e)
	}
	return missing
}

type waitKey struct {
	kind   string
	reason campaign.PauseReason
}

type waitBook struct {
	now   time.Time
	waits map[waitKey]*Wait
}

// add books one span; a zero to is not over.
func (b *waitBook) add(kind string, e campaign.Event, to time.Time) {
	key := waitKey{kind, e.Reason}
	w := b.waits[key]
	if w == nil {
		w = &Wait{Kind: kind, Reason: e.Reason, Spans: []Span{}}
		b.waits[key] = w
	}
	end := to
	if to.IsZero() {
		w.Open = true
		end = b.now
	}
	w.Times++
	w.TotalMS += max(end.Sub(e.At).Milliseconds(), 0)
	w.Spans = appendUpTo(w.Spans, maxSpans, Span{From: instant(e.At), To: instant(to), Detail: tidy(e.Detail)})
}

func (b *waitBook) list() []Wait {
	list := make([]Wait, 0, len(b.waits))
	for _, w := range b.waits {
		list = append(list, *w)
	}
	slices.SortFunc(list, func(x, y Wait) int {
		return cmp.Or(cmp.Compare(y.TotalMS, x.TotalMS), cmp.Compare(x.Kind, y.Kind), cmp.Compare(x.Reason, y.Reason))
	})
	return list
}
