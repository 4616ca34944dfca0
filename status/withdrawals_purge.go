package status

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/herald-campaigns/herald/campaign"
)

// purge takes jobs of one sender out, in several requests. What is left then is
// the next round's: somebody may have opted out meanwhile. A request that is
// refused is not repeated as it was: its jobs come in smaller and smaller ones, so
// that one the provider stumbles over does not keep the others in its queue. A
// sender whose every request is refused, or that itself is, is left alone for
// longer and longer.
func (w *Withdrawals) purge(ctx context.Context, jobs []*withdrawal) error {
	var failures []error
	for range purgeRequests {
		batch := batchOf(jobs)
		if len(batch) == 0 || w.halted() != nil || !w.affordable() {
			break
		}
		purged, err := w.purger.Purge(ctx, batch[0].Sender, queueIDs(batch))
		code := campaign.CodeOf(err)
		fault := senderFault(err)
		refused := !fault && (code == campaign.CodeInvalid || code == campaign.CodeNotFound)
		jobs = jobs[len(batch):]
		w.tried(batch, purged, err == nil, refused)
		if overreached(err) {
			w.halt(ctx, err)
			break
		}
		if err != nil {
			failures = append(failures, fmt.Errorf("purge %d jobs: %w", len(batch), err))
		}
		switch {
		case err == nil:
			w.welcome(batch[0].Sender)
			continue
		case fault:
			w.rest(batch[0].Sender, true)
		case !refused: // it is no job's fault
			w.putOff(slices.Concat(batch, jobs), err)
		case !w.rest(batch[0].Sender, false):
			continue
		}
		break
	}
	return errors.Join(failures...)
}

// affordable says whether one more request may be made now, and counts it.
func (w *Withdrawals) affordable() bool {
	now := w.clock()
	if w.free.Add(-purgeBurst * purgeEvery).After(now) {
		return false
	}
	w.free = latest(w.free, now).Add(purgeEvery)
	return true
}

// overreached says whether the provider may have purged other jobs than those that
// were named.
func overreached(err error) bool {
	var over interface{ Overreached() bool }
	return errors.As(err, &over) && over.Overreached()
}

// halt ends the purging in this process: one more request might empty the queue of
// the whole organization once more.
func (w *Withdrawals) halt(ctx context.Context, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stopped = fmt.Errorf("nothing is purged any more: %w", err)
	maps.DeleteFunc(w.jobs, func(_ string, job *withdrawal) bool { return !job.purged })
	w.log.ErrorContext(ctx, "the provider did not say that it purged the named jobs and no other, so it may have emptied its queue: "+
		"nothing more is taken out of it; look at the queue in the Periskope console, and restart herald to have it try again", "err", err)
}

// welcome forgets the refusals of a sender.
func (w *Withdrawals) welcome(sender campaign.Sender) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.rests, sender.ID)
}

// rest counts one more refusal, and says whether the sender is left alone now:
// after some in a row, or at once when it is refused itself.
func (w *Withdrawals) rest(sender campaign.Sender, wholly bool) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	r := w.rests[sender.ID]
	if r == nil {
		r = &rested{}
		w.rests[sender.ID] = r
	}
	r.refusals++
	if r.wholly = wholly; !wholly && r.refusals < refusals {
		return false
	}
	r.until = w.clock().Add(min(restFirst<<min(r.pauses, 10), restLast))
	r.pauses++
	return true
}

// batchOf is the jobs for the next request, from the front of the list.
func batchOf(jobs []*withdrawal) []*withdrawal {
	n := 0
	for n < len(jobs) && jobs[n].refused == jobs[0].refused && n < max(1, purgeBatch>>min(jobs[0].refused, 10)) {
		n++
	}
	return jobs[:n]
}

// tried notes what came of a request: the jobs that are out, and when the others
// are tried again. One that was out before is tried once, if the provider answers:
// what it says to that is no proof, so that its row is asked for, and comes again
// if it still is in the queue then.
func (w *Withdrawals) tried(batch []*withdrawal, purged []string, answered, refused bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.clock()
	for _, job := range batch {
		job.purged = slices.Contains(purged, job.QueueID) || answered && job.Status == campaign.StatusCanceled
		if job.purged {
			job.next = now.Add(purgeFirst)
			continue
		}
		if job.tries == 0 {
			job.first = now
		}
		job.next = now.Add(min(purgeFirst<<min(job.tries, 12), purgeLast(now.Sub(job.first))))
		job.tries++
		if refused {
			job.refused++
		}
	}
}

// putOff leaves the jobs of a sender alone for as long as the provider asked.
func (w *Withdrawals) putOff(jobs []*withdrawal, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	until := w.clock().Add(min(retryAfter(err), purgeLast(0)))
	for _, job := range jobs {
		if !job.purged && job.next.Before(until) {
			job.next = until
		}
	}
}

// queueIDs are those of the jobs, in order.
func queueIDs(jobs []*withdrawal) []string {
	ids := make([]string, len(jobs))
	for i, job := range jobs {
		ids[i] = job.QueueID
	}
	slices.Sort(ids)
	return ids
}
