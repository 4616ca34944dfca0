package notices

import (
	"iter"
	"time"

	"github.com/herald-campaigns/herald/campaign"
)

// round is one choice of what is let off.
type round struct {
	queues []*queue
	hosts  map[string]int // how many are under way
	lanes  map[campaign.ID]lane
}

// queue is what is due to one URL.
type queue struct {
	host   string
	room   int // how many may be under way to the host
	flying int // how many were under way to the URL
	since  time.Time
	due    []campaign.Notice
}

// inTurn is what may be let off, one of each queue in turn.
func (r round) inTurn() iter.Seq[campaign.Notice] {
	return func(yield func(campaign.Notice) bool) {
		for some := true; some; {
			some = false
			for _, q := range r.queues {
				n, ok := r.first(q)
				if ok && !yield(n) {
					return
				}
				some = some || ok
			}
		}
	}
}

// first takes the first notice of the queue that may be let off.
func (r round) first(q *queue) (campaign.Notice, bool) {
	for len(q.due) > 0 && r.hosts[q.host] < q.room {
		n := q.due[0]
		q.due = q.due[1:]
		lane := r.lanes[n.Campaign]
		if !lane.admits(n) {
			lane.held = true
			r.lanes[n.Campaign] = lane
			continue
		}
		r.hosts[q.host]++
		r.lanes[n.Campaign] = lane.with(n)
		return n, true
	}
	return campaign.Notice{}, false
}

// lane is what of one campaign is under way.
type lane struct {
	flying int
	state  bool // a change of its state is among them
	held   bool // something before waits
}

func (l lane) with(n campaign.Notice) lane {
	l.flying++
	l.state = l.state || n.Kind == campaign.NoticeCampaign
	return l
}

// admits says whether a notice may be let off: a change of the campaign's state
// alone, everything else beside each other.
func (l lane) admits(n campaign.Notice) bool {
	if n.Kind == campaign.NoticeCampaign {
		return !l.held && l.flying == 0
	}
	return !l.held && !l.state
}
