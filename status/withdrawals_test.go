package status_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/internal/gateway"
	"github.com/herald-campaigns/herald/status"
)

// TestDrainAsksForWhatIsLeftAFewTimes, and no longer.
func TestDrainAsksForWhatIsLeftAFewTimes(t *testing.T) {
	t.Parallel()
	m := openMail(t, 3)
	m.send(1, 2, 3)
	_, err := m.ledger.Transition(t.Context(), m.seeded.ID, campaign.StateCanceled, "", "")
	check(t, err)
	m.gone = []string{m.queue(2)}
	w := m.withdraw(m)
	w.SetClock(func() time.Time { // nobody waits in this test
		m.now = m.now.Add(time.Minute)
		return m.now
	})
	check(t, w.Drain(t.Context(), 3))
	if want := [][]string{{m.queue(1), m.queue(2), m.queue(3)}, {m.queue(2)}, {m.queue(2)}}; !cmp.Equal(want, m.purged) {
		t.Errorf("purged %v", m.purged)
	}
	m.wantStatus(1, campaign.StatusCanceled)
	m.wantStatus(2, campaign.StatusQueued)
}

// TestARefusedRequestComesInSmallerOnes, so that one job the provider stumbles
// over does not keep the others in its queue; who just opted out goes first.
func TestARefusedRequestComesInSmallerOnes(t *testing.T) {
	t.Parallel()
	m := openMail(t, 12)
	seqs := []int64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}
	m.send(seqs...)
	_, err := m.ledger.Transition(t.Context(), m.seeded.ID, campaign.StateCanceled, "", "")
	check(t, err)
	bad := m.queue(7)
	var asked [][]string
	w := m.withdraw(purger(func(ids []string) ([]string, error) {
		asked = append(asked, ids)
		if slices.Contains(ids, bad) {
			return nil, &campaign.Error{Code: campaign.CodeNotFound, What: "no such job"}
		}
		return ids, nil
	}))
	w.SetClock(func() time.Time {
		m.now = m.now.Add(time.Minute)
		return m.now
	})
	at, err := m.ledger.Locate(t.Context(), []campaign.MessageRef{{QueueID: m.queue(12)}})
	check(t, err)
	w.Take(at)
	for range 9 {
		_ = w.Round(t.Context()) // one is refused each time
	}
	for _, seq := range seqs {
		if seq != 7 {
			m.wantStatus(seq, campaign.StatusCanceled)
		}
	}
	m.wantStatus(7, campaign.StatusQueued)
	if last := asked[len(asked)-1]; len(asked) > 40 || !cmp.Equal(last, []string{bad}) {
		t.Errorf("%d requests, the last for %v", len(asked), last)
	}

	// A provider that is away is asked once a round, not once for each job.
	m = openMail(t, 3)
	m.send(1, 2, 3)
	_, err = m.ledger.Transition(t.Context(), m.seeded.ID, campaign.StateCanceled, "", "")
	check(t, err)
	tries := 0
	w = m.withdraw(purger(func([]string) ([]string, error) {
		tries++
		return nil, &gateway.ThrottledError{Wait: 40 * time.Second, Err: &campaign.Error{Code: campaign.CodeThrottled, What: "slow down"}}
	}))
	for range 45 {
		_ = w.Round(t.Context())
		m.now = m.now.Add(time.Second)
	}
	if tries != 2 {
		t.Errorf("asked %d times in 45 s, although 40 s were asked for", tries)
	}
}

// TestDrainComesToTheEndOfALongList: a look shows only so many.
func TestDrainComesToTheEndOfALongList(t *testing.T) {
	t.Parallel()
	l := &fullQueue{}
	for i := range 12_000 {
		l.queued = append(l.queued, jobOf(i))
	}
	all := purger(func(ids []string) ([]string, error) { return ids, nil })
	w, now := status.NewWithdrawals(l, all, slog.New(slog.DiscardHandler)), mailTime
	w.SetClock(func() time.Time { // nobody waits in this test
		now = now.Add(time.Second)
		return now
	})
	check(t, w.Drain(t.Context(), 3))
	if len(l.queued) != 0 {
		t.Errorf("%d are left in the queue", len(l.queued))
	}
}

// TestRefusedPurgesAreNoFlood: whatever is wrong, the provider is left in peace,
// and a person who opts out meanwhile need not wait for that.
func TestRefusedPurgesAreNoFlood(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		err  error
		most int // in ten minutes, of 2000 jobs
	}{
		"the sender":   {&gateway.SenderError{Err: &campaign.Error{Code: campaign.CodeNotFound, What: "no such phone"}}, 10},
		"every job":    {&campaign.Error{Code: campaign.CodeInvalid, What: "not like this"}, 40},
		"unavailable":  {&campaign.Error{Code: campaign.CodeUnavailable, What: "away"}, 610},
		"not in queue": {nil, 400},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := &fullQueue{}
			for i := range 2000 {
				l.queued = append(l.queued, jobOf(i))
			}
			requests, alone := 0, false
			w := status.NewWithdrawals(l, purger(func(ids []string) ([]string, error) {
				requests++
				alone = alone || slices.Equal(ids, []string{"job-09999"})
				return nil, test.err
			}), slog.New(slog.DiscardHandler))
			began := mailTime
			now := began
			w.SetClock(func() time.Time { now = now.Add(time.Millisecond); return now }) // a fast API
			for now.Sub(began) < 10*time.Minute {
				_ = w.Round(t.Context())
				now = now.Add(100 * time.Millisecond)
			}
			if requests > test.most {
				t.Errorf("%d requests in ten minutes", requests)
			}
			w.Take([]campaign.Located{jobOf(9999)})
			before := requests
			if _ = w.Round(t.Context()); name == "every job" && (requests != before+1 || !alone) {
				t.Errorf("%d requests for who opted out", requests-before)
			}
		})
	}
}

// TestAPhoneThatIsBackIsAskedAtOnce: its queue goes out now.
func TestAPhoneThatIsBackIsAskedAtOnce(t *testing.T) {
	t.Parallel()
	requests := 0
	w := status.NewWithdrawals(&fullQueue{queued: []campaign.Located{jobOf(1)}}, purger(func([]string) ([]string, error) {
		requests++
		return nil, &gateway.SenderError{Err: &campaign.Error{Code: campaign.CodeUnavailable, What: "its phone is away"}}
	}), slog.New(slog.DiscardHandler))
	w.SetClock(func() time.Time { return mailTime })
	round := func(want int) {
		t.Helper()
		if _ = w.Round(t.Context()); requests != want {
			t.Errorf("%d requests, want %d", requests, want)
		}
	}
	round(1)
	round(1) // it is left alone
	w.Again(jobOf(1).Sender.ID)
	round(2)
}

// TestWhatIsNotEchoedIsTriedMoreAndMoreRarely, since it may come back into the
// queue for days, when its phone does.
func TestWhatIsNotEchoedIsTriedMoreAndMoreRarely(t *testing.T) {
	t.Parallel()
	m := openMail(t, 1)
	m.send(1)
	_, err := m.ledger.Transition(t.Context(), m.seeded.ID, campaign.StateCanceled, "", "")
	check(t, err)
	m.gone = []string{m.queue(1)}
	w := m.withdraw(m)
	for _, part := range []struct {
		lasts, step time.Duration
		least, most int
	}{{time.Hour, 10 * time.Second, 60, 70}, {23 * time.Hour, time.Minute, 120, 145}, {36 * time.Hour, 10 * time.Minute, 30, 38}} {
		m.purged = nil
		for end := m.now.Add(part.lasts); m.now.Before(end); m.now = m.now.Add(part.step) {
			check(t, w.Round(t.Context()))
		}
		if n := len(m.purged); n < part.least || n > part.most {
			t.Errorf("tried %d times in %s", n, part.lasts)
		}
	}
	m.gone = nil // its phone is back
	m.now = m.now.Add(time.Hour)
	check(t, w.Round(t.Context()))
	m.wantStatus(1, campaign.StatusCanceled)
}

// TestWhatIsQueuedAfterItsPurgeIsPurgedAgain, once for each answer that says so.
func TestWhatIsQueuedAfterItsPurgeIsPurgedAgain(t *testing.T) {
	t.Parallel()
	m := openMail(t, 1)
	m.send(1)
	_, err := m.ledger.Transition(t.Context(), m.seeded.ID, campaign.StateCanceled, "", "")
	check(t, err)
	w := m.withdraw(m)
	purges := func(want int) {
		t.Helper()
		m.purged = nil
		for range 20 {
			check(t, w.Round(t.Context()))
			m.now = m.now.Add(time.Minute)
		}
		if len(m.purged) != want {
			t.Errorf("purged %v", m.purged)
		}
		m.wantStatus(1, campaign.StatusCanceled)
	}
	purges(1)
	for _, gone := range [][]string{nil, {m.queue(1)}} {
		m.gone = gone
		check(t, m.ledger.Observe(t.Context(), []campaign.Observation{{
			Evidence: campaign.Evidence{Campaign: m.seeded.ID, Seq: 1, Source: campaign.EvidencePoll, Status: campaign.StatusProcessing},
			NextPoll: m.now.Add(time.Minute), AskedAs: campaign.StatusCanceled,
		}}))
		purges(1)
	}
}

// TestOddEchoEndsThePurging: the provider may have emptied the whole queue, and
// would do so again.
func TestOddEchoEndsThePurging(t *testing.T) {
	t.Parallel()
	m := openMail(t, 3)
	m.send(1, 2, 3)
	_, err := m.ledger.Transition(t.Context(), m.seeded.ID, campaign.StateCanceled, "", "")
	check(t, err)
	tries := 0
	odd := &gateway.OverreachError{Err: &campaign.Error{Code: campaign.CodeUnavailable, What: "all of them"}}
	w := m.withdraw(purger(func([]string) ([]string, error) {
		tries++
		return nil, odd
	}))
	if err := w.Drain(t.Context(), 3); !errors.Is(err, odd) {
		t.Errorf("drained: %v", err)
	}
	at, err := m.ledger.Locate(t.Context(), []campaign.MessageRef{{QueueID: m.queue(1)}})
	check(t, err)
	for range 60 {
		w.Take(at)
		_ = w.Round(t.Context())
		m.now = m.now.Add(time.Minute)
	}
	w.Run(t.Context()) // ends by itself
	if tries != 1 || strings.Count(m.log.String(), "Periskope console") != 1 || !strings.Contains(m.log.String(), "level=ERROR") {
		t.Errorf("%d requests:\n%s", tries, m.log)
	}
	for seq := range int64(3) {
		m.wantStatus(seq+1, campaign.StatusQueued)
	}
}

func jobOf(i int) campaign.Located {
	return campaign.Located{Campaign: "cmp_1", Seq: int64(i), QueueID: fmt.Sprintf("job-%05d", i), Status: campaign.StatusQueued}
}

// fullQueue is a ledger with many rows to withdraw.
type fullQueue struct{ queued []campaign.Located }

func (l *fullQueue) ToWithdraw(_ context.Context, _ time.Time, limit int) ([]campaign.Located, error) {
	return slices.Clone(l.queued[:min(limit, len(l.queued))]), nil
}

func (l *fullQueue) Withdraw(_ context.Context, _ campaign.ID, queueIDs []string) (int64, error) {
	gone := map[string]bool{}
	for _, id := range queueIDs {
		gone[id] = true
	}
	l.queued = slices.DeleteFunc(l.queued, func(r campaign.Located) bool { return gone[r.QueueID] })
	return int64(len(queueIDs)), nil
}
