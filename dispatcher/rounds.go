package dispatcher

import (
	"sync"

	"github.com/herald-campaigns/herald/campaign"
)

// mostRounds is how often a row is handed over anew whose intent cannot be
// written. Each hand-over is a write to the same ledger that worked, so by then
// it is the row and not the ledger that is in trouble, and the run would go on
// for ever.
const mostRounds = 3

// rounds counts the hand-overs that came to nothing, by row. It is empty while
// all is well. Its methods may be called from any goroutine.
type rounds struct {
	mu   sync.Mutex
	rows map[rowKey]round
}

type rowKey struct {
	campaign campaign.ID
	seq      int64
}

// round is what is known of one row.
type round struct {
	gen   int64 // the last hand-over
	count int
}

// inVain counts the task's hand-over, once, and says how many there were.
func (r *rounds) inVain(task campaign.Task) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.rows == nil {
		r.rows = make(map[rowKey]round)
	}
	key := rowKey{task.Campaign, task.Seq}
	now := r.rows[key]
	if now.count == 0 || now.gen != task.Gen {
		now.gen, now.count = task.Gen, now.count+1
	}
	r.rows[key] = now
	return now.count
}

// over forgets a row about which the ledger could say something.
func (r *rounds) over(task campaign.Task) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.rows, rowKey{task.Campaign, task.Seq})
}
