package status

import (
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
	// QueuedOfSuppressed is rows that are in the provider's queue and whose chat
	// must not be written to, as the ledger learned at a time or later.
	QueuedOfSuppressed(ctx context.Context, since time.Time, limit int) ([]campaign.Located, error)
	Withdraw(ctx context.Context, id campaign.ID, seqs []int64, detail string) (int64, error)
}

const (
	purgeFor   = 24 * time.Hour  // after the opt-out; a job does not wait for longer
	purgeFirst = time.Second     // until a job that was not purged is tried again, doubling from there
	purgeLast  = time.Minute     // the longest of these waits
	lookEvery  = 5 * time.Second // between looks into the ledger
	lookShare  = 20              // at most one part in so many of the time is spent on looks
	lookRows   = 5000            // of one look
)

// Withdrawals takes the jobs of people who opted out back out of the provider's
// queue. What is to be taken out stands in the ledger: a row is tried as long as
// it is queued there, its person is opted out and that is not longer ago than a
// day, so neither an outage nor a restart loses one, nor does a job that got into
// the queue when the opt-out was known already. It is safe for concurrent use.
type Withdrawals struct {
	ledger Withdrawer
	purger Purger
	log    *slog.Logger
	clock  func() time.Time
	wake   chan struct{}

	rounds sync.Mutex // one round at a time; guards what follows
	look   time.Time  // when the ledger is looked at next

	mu   sync.Mutex
	jobs map[string]*withdrawal // by queue id
}

type withdrawal struct {
	campaign.Located

	next   time.Time
	tries  int
	purged bool // and still to be noted
}

// NewWithdrawals makes withdrawals.
func NewWithdrawals(ledger Withdrawer, purger Purger, log *slog.Logger) *Withdrawals {
	return &Withdrawals{
		ledger: ledger, purger: purger, log: log.With("component", "withdrawals"), clock: time.Now,
		wake: make(chan struct{}, 1), jobs: map[string]*withdrawal{},
	}
}

// Take hands over rows whose jobs may still be purged, so that it begins at once.
// It never waits.
func (w *Withdrawals) Take(queued []campaign.Located) {
	w.mu.Lock()
	w.add(queued)
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default: // it is awake
	}
}

func (w *Withdrawals) add(queued []campaign.Located) {
	for _, row := range queued {
		if row.QueueID != "" && w.jobs[row.QueueID] == nil {
			w.jobs[row.QueueID] = &withdrawal{Located: row}
		}
	}
}

// Run purges until ctx ends.
func (w *Withdrawals) Run(ctx context.Context) {
	failing := false
	for ctx.Err() == nil {
		err := w.Round(ctx)
		switch {
		case ctx.Err() != nil:
		case err != nil && !failing:
			w.log.WarnContext(ctx, "queued messages to people who opted out were not all purged, will try again", "err", err)
		case err != nil:
			w.log.DebugContext(ctx, "queued messages to people who opted out were not all purged yet", "err", err)
		}
		failing = err != nil
		w.pause(ctx)
	}
}

// pause waits until something is taken or due.
func (w *Withdrawals) pause(ctx context.Context) {
	timer := time.NewTimer(max(w.due().Sub(w.clock()), 0))
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-w.wake:
	case <-timer.C:
	}
}

// due is when there is something to do next.
func (w *Withdrawals) due() time.Time {
	w.rounds.Lock()
	defer w.rounds.Unlock()
	w.mu.Lock()
	defer w.mu.Unlock()
	due := w.look
	for _, job := range w.jobs {
		if job.next.Before(due) {
			due = job.next
		}
	}
	return due
}

// Round does once what is due: it looks into the ledger, purges, and notes what
// is out. What the provider does not echo is not in its queue, or not yet: such a
// row stays what it is, and is tried again while the ledger knows nothing better.
// An error says that something is left for the next round because of it.
func (w *Withdrawals) Round(ctx context.Context) error {
	w.rounds.Lock()
	defer w.rounds.Unlock()
	failures := []error{w.learn(ctx)}
	for _, jobs := range w.ready() {
		failures = append(failures, w.purge(ctx, jobs))
	}
	failures = append(failures, w.note(ctx))
	return errors.Join(failures...)
}

// learn asks the ledger, if it is time, which rows are to be withdrawn, and lets
// go of those that were tried and are not among them any more.
func (w *Withdrawals) learn(ctx context.Context) error {
	began := w.clock()
	if began.Before(w.look) {
		return nil
	}
	w.look = began.Add(lookEvery)
	rows, err := w.ledger.QueuedOfSuppressed(ctx, began.Add(-purgeFor), lookRows)
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
	maps.DeleteFunc(w.jobs, func(id string, job *withdrawal) bool { return !job.purged && job.tries > 0 && !queued[id] })
	w.add(rows)
	return nil
}

// ready is the jobs whose time has come, of each sender.
func (w *Withdrawals) ready() map[campaign.SenderID][]*withdrawal {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.clock()
	ready := map[campaign.SenderID][]*withdrawal{}
	for _, job := range w.jobs {
		if !job.purged && !now.Before(job.next) {
			ready[job.Sender.ID] = append(ready[job.Sender.ID], job)
		}
	}
	return ready
}

// purge takes jobs of one sender out.
func (w *Withdrawals) purge(ctx context.Context, jobs []*withdrawal) error {
	ids := make([]string, len(jobs))
	for i, job := range jobs {
		ids[i] = job.QueueID
	}
	slices.Sort(ids)
	purged, err := w.purger.Purge(ctx, jobs[0].Sender, ids)
	out := map[string]bool{}
	for _, id := range purged {
		out[id] = true
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.clock()
	for _, job := range jobs {
		job.purged = out[job.QueueID]
		job.next = now.Add(purgeFirst)
		if !job.purged {
			job.next = now.Add(min(purgeFirst<<min(job.tries, 10), purgeLast))
			job.tries++
		}
	}
	if err != nil {
		return fmt.Errorf("purge %d jobs: %w", len(ids), err)
	}
	return nil
}

// note writes down what is out, also when the process is stopping. What cannot be
// written stays for the next round: nobody else knows of it.
func (w *Withdrawals) note(ctx context.Context) error {
	keep, cancel := context.WithTimeout(context.WithoutCancel(ctx), keepFor)
	defer cancel()
	var failures []error
	for id, jobs := range w.out() {
		seqs := make([]int64, len(jobs))
		for i, job := range jobs {
			seqs[i] = job.Seq
		}
		n, err := w.ledger.Withdraw(keep, id, seqs, "taken out of the provider's queue: opted out")
		w.mu.Lock()
		for _, job := range jobs {
			if err == nil {
				delete(w.jobs, job.QueueID)
			} else {
				job.next = w.clock().Add(purgeFirst)
			}
		}
		w.mu.Unlock()
		if err != nil {
			failures = append(failures, fmt.Errorf("note %d purged jobs: %w", len(seqs), err))
			continue
		}
		w.log.InfoContext(ctx, "queued messages to people who opted out were purged", "campaign_id", id, "rows", n)
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
