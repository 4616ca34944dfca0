package dispatcher

import (
	"fmt"
	"strings"
	"sync"

	"github.com/herald-campaigns/herald/campaign"
)

// MostAlike is how many permanent rejections in a row, all with the same
// answer, a campaign may get. One more, and the message is at fault, not the
// people (reliability page §3.4).
const MostAlike = 20

// Rejections watches for rejections that are all alike: per campaign, over all
// its senders and all calls under way, so the dispatchers of an installation
// share one. Its methods may be called from any goroutine.
type Rejections struct {
	mu   sync.Mutex
	rows map[campaign.ID]*alike
}

// alike is the streak of one campaign.
type alike struct {
	status int
	words  string // with numbers taken out
	count  int
	over   string // why the campaign is to send nothing more; "": it may
}

// NewRejections makes a watcher that has seen nothing.
func NewRejections() *Rejections {
	return &Rejections{rows: make(map[campaign.ID]*alike)}
}

// observe counts what a call came to. When that ends the campaign it returns
// why, once, in words for people. Only an acceptance or another rejection ends
// a streak: throttling, outages and lost answers say nothing about a message.
func (r *Rejections) observe(id campaign.ID, outcome campaign.Outcome) (why string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	streak := r.rows[id]
	if streak == nil {
		streak = &alike{}
		r.rows[id] = streak
	}
	switch outcome.Kind {
	case campaign.OutcomeAccepted:
		streak.count = 0
		return ""
	case campaign.OutcomeRejected:
	default:
		return ""
	}
	words := withoutNumbers(outcome.Detail)
	if streak.status != outcome.HTTPStatus || streak.words != words {
		streak.status, streak.words, streak.count = outcome.HTTPStatus, words, 0
	}
	streak.count++
	if streak.count <= MostAlike || streak.over != "" {
		return ""
	}
	streak.over = fmt.Sprintf("%d messages in a row were rejected alike: %q; that is a bad template, not bad people. "+
		"Those rows are marked failed, the others were not tried", streak.count, outcome.Detail)
	return streak.over
}

// stopped says why nothing more of the campaign may be sent, in the words that
// observe gave; "" if it may.
func (r *Rejections) stopped(id campaign.ID) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if streak := r.rows[id]; streak != nil {
		return streak.over
	}
	return ""
}

// withoutNumbers puts one sign in place of each run of digits and of the stars
// that mask them: two answers that differ in the number only are alike.
func withoutNumbers(s string) string {
	var b strings.Builder
	run := false
	for _, r := range s {
		if r == '*' || r >= '0' && r <= '9' {
			if !run {
				b.WriteByte('#')
			}
			run = true
			continue
		}
		run = false
		b.WriteRune(r)
	}
	return b.String()
}
