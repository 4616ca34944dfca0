package status

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/herald-campaigns/herald/campaign"
)

// Purger takes jobs out of the provider's queue, by their queue ids and nothing
// else, and says which are out; some may be also along with an error.
type Purger interface {
	Purge(ctx context.Context, sender campaign.Sender, queueIDs []string) ([]string, error)
}

// Withdrawer knows which queued rows must not be sent, and notes that they will
// not be.
type Withdrawer interface {
	// ToWithdraw is rows that are in the provider's queue and must not be sent:
	// their chat opted out, at a time or later, or their campaign was canceled. One
	// that is canceled itself was taken out before, and is in the queue all the same.
	ToWithdraw(ctx context.Context, since time.Time, limit int) ([]campaign.Located, error)
	// Withdraw notes jobs as taken out, or, of canceled rows, that they were to be
	// taken out once more.
	Withdraw(ctx context.Context, id campaign.ID, queueIDs []string) (int64, error)
}

const (
	purgeFor   = 72 * time.Hour  // after the opt-out: a message is not followed for longer
	purgeFirst = time.Second     // until a job that was not purged is tried again, doubling from there
	lookEvery  = 5 * time.Second // between looks into the ledger
	lookShare  = 20              // at most one part in so many of the time is spent on looks
	lookRows   = 5000            // of one look

	purgeBatch    = 100                    // jobs of one request
	purgeRequests = 10                     // of one sender and round
	purgeBurst    = 30                     // requests that may come one after the other
	purgeEvery    = 500 * time.Millisecond // between requests after that

	refusals  = 10               // in a row, of one sender, after which it is left alone for some time
	restFirst = 10 * time.Second // the first such pause, doubling from there
	restLast  = 10 * time.Minute // the longest of them
)

// purgeLast is the longest wait until a job is tried again that has been tried for
// so long. While its phone is away a job may be in the queue for days, and what is
// not in the queue any more the ledger will hear of some other way.
func purgeLast(tried time.Duration) time.Duration {
	switch {
	case tried < time.Hour:
		return time.Minute
	case tried < 24*time.Hour:
		return 10 * time.Minute
	default:
		return time.Hour
	}
}

// Withdrawals takes the jobs of people who opted out, and those of canceled
// campaigns, back out of the provider's queue. What is to be taken out stands in
// the ledger: a row is tried as long as it is queued and followed there, and its
// person is opted out or its campaign canceled, so neither an outage nor a restart
// loses one, nor does a job that got into the queue when that was known already.
// It is safe for concurrent use.
type Withdrawals struct {
	ledger Withdrawer
	purger Purger
	log    *slog.Logger
	clock  func() time.Time
	wake   chan struct{}

	rounds sync.Mutex // one round at a time; guards what follows
	look   time.Time  // when the ledger is looked at next
	free   time.Time  // when the requests so far are paid for, at one every purgeEvery

	mu      sync.Mutex
	asked   bool                   // to look before its time
	more    bool                   // than the last look showed, there may be
	jobs    map[string]*withdrawal // by queue id
	rests   map[campaign.SenderID]*rested
	stopped error // why nothing is purged any more
}

// rested is a sender whose requests are refused one after the other.
type rested struct {
	refusals int // in a row
	pauses   int
	until    time.Time
	wholly   bool // or else only those of its jobs that were refused before
}

type withdrawal struct {
	campaign.Located

	next    time.Time
	first   time.Time // when it was tried first
	tries   int
	refused int  // how often a request that named it was refused
	urgent  bool // somebody has just opted out
	purged  bool // and that is still to be noted
}

// turn is when the job's is, among others that were refused as often.
func (j *withdrawal) turn() int {
	if j.urgent {
		return 0
	}
	return 1
}

// NewWithdrawals makes withdrawals.
func NewWithdrawals(ledger Withdrawer, purger Purger, log *slog.Logger) *Withdrawals {
	return &Withdrawals{
		ledger: ledger, purger: purger, log: log.With("component", "withdrawals"), clock: time.Now,
		wake: make(chan struct{}, 1), jobs: map[string]*withdrawal{}, rests: map[campaign.SenderID]*rested{},
	}
}

// Take hands over rows whose jobs may still be purged, so that it begins at once.
// It never waits.
func (w *Withdrawals) Take(queued []campaign.Located) {
	w.mu.Lock()
	w.add(queued, true)
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default: // it is awake
	}
}

// Look has the ledger looked at at once. It never waits.
func (w *Withdrawals) Look() {
	w.mu.Lock()
	w.asked = true
	w.mu.Unlock()
	w.Take(nil)
}

// Again has the jobs of a sender tried at once that wait for their turn: its phone
// is back, and what is in its queue goes out now. It never waits.
func (w *Withdrawals) Again(sender campaign.SenderID) {
	w.mu.Lock()
	delete(w.rests, sender)
	for _, job := range w.jobs {
		if job.Sender.ID == sender && !job.purged {
			job.next = time.Time{}
		}
	}
	w.mu.Unlock()
	w.Take(nil)
}

func (w *Withdrawals) add(queued []campaign.Located, urgent bool) {
	for _, row := range queued {
		if row.QueueID != "" && w.jobs[row.QueueID] == nil && w.stopped == nil {
			w.jobs[row.QueueID] = &withdrawal{Located: row, urgent: urgent}
		}
	}
}

// Run purges until ctx ends, or it must not go on.
func (w *Withdrawals) Run(ctx context.Context) {
	trouble := complaint{log: w.log, work: "purging queued messages that must not be sent"}
	for ctx.Err() == nil {
		err := w.Round(ctx)
		if w.over() {
			return
		}
		trouble.hear(ctx, err)
		w.pause(ctx)
	}
}

// over says whether there is nothing to do any more, for good.
func (w *Withdrawals) over() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, job := range w.jobs {
		if job.purged {
			return false
		}
	}
	return w.stopped != nil
}

// Drain purges what can be purged now: it ends when every job that the ledger
// knows of is out, was asked for this often, or is of a sender that is left alone.
func (w *Withdrawals) Drain(ctx context.Context, tries int) error {
	for {
		err := w.Round(ctx)
		w.mu.Lock()
		w.asked = w.more // beyond what the last look showed
		now := w.clock()
		again := w.more && err == nil
		for _, job := range w.jobs {
			again = again || w.stopped == nil && job.tries < tries && !w.restUntil(job).After(now)
		}
		w.mu.Unlock()
		if !again || ctx.Err() != nil {
			return err
		}
		w.pause(ctx)
	}
}

// pause waits until something is taken or due.
func (w *Withdrawals) pause(ctx context.Context) {
	rest(ctx, w.due().Sub(w.clock()), w.wake)
}

// due is when there is something to do next.
func (w *Withdrawals) due() time.Time {
	w.rounds.Lock()
	defer w.rounds.Unlock()
	w.mu.Lock()
	defer w.mu.Unlock()
	due := w.look
	switch {
	case w.stopped != nil: // only something to be noted is left
		due = w.clock().Add(lookEvery)
	case w.asked:
		due = w.clock()
	}
	for _, job := range w.jobs {
		next := job.next
		if !job.purged {
			next = latest(next, w.restUntil(job), w.free.Add(-purgeBurst*purgeEvery))
		}
		if next.Before(due) {
			due = next
		}
	}
	return due
}

// restUntil is until when a job is left alone for its sender's sake.
func (w *Withdrawals) restUntil(job *withdrawal) time.Time {
	r := w.rests[job.Sender.ID]
	if r == nil || !r.wholly && job.refused == 0 {
		return time.Time{}
	}
	return r.until
}

func latest(list ...time.Time) time.Time { return slices.MaxFunc(list, time.Time.Compare) }

// Round does once what is due: it looks into the ledger, purges, and notes what
// is out. What the provider does not echo is not in its queue, or not yet: such a
// row stays what it is, and is tried again while the ledger knows nothing better.
// An error says that something is left for the next round because of it.
func (w *Withdrawals) Round(ctx context.Context) error {
	w.rounds.Lock()
	defer w.rounds.Unlock()
	var failures []error
	if w.halted() == nil {
		failures = append(failures, w.learn(ctx))
	}
	for _, jobs := range w.ready() {
		failures = append(failures, w.purge(ctx, jobs))
	}
	failures = append(failures, w.note(ctx), w.halted())
	return errors.Join(failures...)
}

// halted is why nothing is purged any more; nil while it is.
func (w *Withdrawals) halted() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.stopped
}

// learn asks the ledger, if it is time, which rows are to be withdrawn, and lets
// go of those that were tried and are not among them any more.
func (w *Withdrawals) learn(ctx context.Context) error {
	began := w.clock()
	w.mu.Lock()
	asked := w.asked
	w.asked = false
	w.mu.Unlock()
	if began.Before(w.look) && !asked {
		return nil
	}
	w.look = began.Add(lookEvery)
	rows, err := w.ledger.ToWithdraw(ctx, began.Add(-purgeFor), lookRows)
	if err != nil {
		return fmt.Errorf("list jobs to purge: %w", err)
	}
	now := w.clock()
	w.look = now.Add(max(lookEvery, lookShare*now.Sub(began)))
	queued := make(map[string]bool, len(rows))
	for _, row := range rows {
		queued[row.QueueID] = true
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(rows) < lookRows { // all there are
		maps.DeleteFunc(w.jobs, func(id string, job *withdrawal) bool { return !job.purged && job.tries > 0 && !queued[id] })
	}
	known := len(w.jobs)
	w.add(rows, false)
	w.more = len(rows) == lookRows && len(w.jobs) > known
	return nil
}

// ready is the jobs whose time has come, of each sender: first what was never
// refused, of that what somebody who opted out is waiting for, and then what has
// been in the queue for longest, since it leaves it first.
func (w *Withdrawals) ready() map[campaign.SenderID][]*withdrawal {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.clock()
	ready := map[campaign.SenderID][]*withdrawal{}
	if w.stopped != nil {
		return ready
	}
	for _, job := range w.jobs {
		if !job.purged && !now.Before(latest(job.next, w.restUntil(job))) {
			ready[job.Sender.ID] = append(ready[job.Sender.ID], job)
		}
	}
	for _, jobs := range ready {
		slices.SortFunc(jobs, func(a, b *withdrawal) int {
			return cmp.Or(cmp.Compare(a.refused, b.refused), cmp.Compare(a.turn(), b.turn()),
				a.QueuedAt.Compare(b.QueuedAt), cmp.Compare(a.QueueID, b.QueueID))
		})
	}
	return ready
}

// note writes down what is out, also when the process is stopping. What cannot be
// written stays for the next round: nobody else knows of it.
func (w *Withdrawals) note(ctx context.Context) error {
	keep, cancel := context.WithTimeout(context.WithoutCancel(ctx), keepFor)
	defer cancel()
	var failures []error
	for id, jobs := range w.out() {
		n, err := w.ledger.Withdraw(keep, id, queueIDs(jobs))
		w.mu.Lock()
		for _, job := range jobs {
			if err == nil {
				delete(w.jobs, job.QueueID)
			} else {
				job.next = w.clock().Add(purgeFirst)
				job.tries++
			}
		}
		w.mu.Unlock()
		if err != nil {
			failures = append(failures, fmt.Errorf("note %d purged jobs: %w", len(jobs), err))
			continue
		}
		if again := int64(len(jobs)) - n; again > 0 {
			w.log.DebugContext(ctx, "messages that had been purged, or had moved on, were to be purged", "campaign_id", id, "rows", again)
		}
		if n > 0 {
			w.log.InfoContext(ctx, "queued messages that must not be sent were purged", "campaign_id", id, "rows", n)
		}
	}
	return errors.Join(failures...)
}

// out is the jobs that are out and still to be noted, by campaign.
func (w *Withdrawals) out() map[campaign.ID][]*withdrawal {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := map[campaign.ID][]*withdrawal{}
	for _, job := range w.jobs {
		if job.purged {
			out[job.Campaign] = append(out[job.Campaign], job)
		}
	}
	return out
}
