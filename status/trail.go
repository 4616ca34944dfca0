package status

import (
	"cmp"
	"time"

	"github.com/herald-campaigns/herald/campaign"
)

// trail is what this process has learned about one unknown row.
type trail struct {
	row    campaign.UnknownRow
	sought *Sought // once the message was had

	seen time.Time     // when the row was first seen, on the monotonic clock
	age  time.Duration // since the end of its call, then, by the calendar; none when nobody knows the end

	next    time.Time // when to look; zero is at once
	never   bool      // looked for, and too old to be looked for again
	slow    int       // looks on the slow schedule
	counted time.Time // the end of the last pass that counted

	absent   int // passes after the settle window, in a row, that proved it absent
	doubtful int // those that proved nothing

	decided bool // it has its verdict; late evidence still wins
	adopted bool // it was found; in the next round the ledger says whether it took it
	gone    bool // found in this round

	returned bool // it is to be sent again: all that is left to do is to find it
}

func newTrail(row campaign.UnknownRow, now time.Time) *trail {
	t := &trail{row: row, seen: now}
	if !row.EndedAt.IsZero() { // or else the process died with it, at the latest just now
		t.age = max(0, now.Sub(row.EndedAt))
	}
	t.decided = row.Resolution != campaign.ResolutionNone || row.Unresolved(now)
	return t
}

func (t *trail) key() rowKey { return rowKey{t.row.Campaign, t.row.Seq, t.row.Gen} }

func (t *trail) due(now time.Time) bool { return !t.never && !now.Before(t.next) }

// settled is when the settle window is over. The calendar says how old the row
// was when it was first seen; from there on the time is measured, so that a
// clock that is set does not shorten it.
func (t *trail) settled(window time.Duration) time.Time { return t.seen.Add(max(0, window-t.age)) }

// wait puts the next look off until the pass gap or, if that comes first, the
// end of the settle window.
func (t *trail) wait(now time.Time, gap time.Duration, settled time.Time) {
	t.next = now.Add(gap)
	if settled.After(now) && settled.Before(t.next) {
		t.next = settled
	}
}

// relax puts the row on the slow schedule: nothing more is expected soon.
func (t *trail) relax(now time.Time, slow []time.Duration) {
	t.decided, t.gone = true, false
	t.next = now.Add(slow[min(t.slow, len(slow)-1)])
	t.slow++
}

// compareTrails puts the longest due first.
func compareTrails(a, b *trail) int {
	x, y := a.key(), b.key()
	return cmp.Or(a.next.Compare(b.next), cmp.Compare(x.campaign, y.campaign), cmp.Compare(x.seq, y.seq), cmp.Compare(x.gen, y.gen))
}
