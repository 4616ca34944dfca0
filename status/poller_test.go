package status_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/internal/gateway"
	"github.com/herald-campaigns/herald/periskope"
	"github.com/herald-campaigns/herald/ratelimit"
	"github.com/herald-campaigns/herald/sandbox"
	"github.com/herald-campaigns/herald/status"
	"github.com/herald-campaigns/herald/storage"
	"github.com/herald-campaigns/herald/storage/storagetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestSchedule(t *testing.T) {
	t.Parallel()
	s := status.Schedule{Waits: []time.Duration{time.Second, time.Minute, time.Hour}, Window: 3 * time.Hour, Speed: 1}
	accepted := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	now, polls := accepted.Add(s.First()), 1
	var asked []time.Duration
	for !now.IsZero() {
		asked = append(asked, now.Sub(accepted))
		now = s.Next(accepted, now, polls)
		polls++
	}
	want := []time.Duration{time.Second, 61 * time.Second, time.Hour + 61*time.Second, 2*time.Hour + 61*time.Second}
	if diff := cmp.Diff(want, asked); diff != "" {
		t.Errorf("asked at (-want +got):\n%s", diff)
	}
	s.Speed = 100
	if got := s.First(); got != 10*time.Millisecond {
		t.Errorf("at a hundred times the speed the first request is due after %s", got)
	}
	if got := (status.Schedule{}).First(); got != 3*time.Second {
		t.Errorf("by default the first request is due after %s", got)
	}
	waits := status.DefaultSchedule().Waits
	for i := 1; i < len(waits); i++ {
		if waits[i] <= waits[i-1] {
			t.Errorf("wait %d does not back off", i)
		}
	}
}

// scene is a poller between a real ledger and a real provider, with messages
// that the provider accepted.
type scene struct {
	t      *testing.T
	store  *storage.Store
	seeded storagetest.Seeded
	sim    *sandbox.Server
	gate   *gateway.Gateway
	poller *status.Poller
}

func newScene(t *testing.T, rows int, config sandbox.Config) *scene {
	t.Helper()
	sc := &scene{t: t}
	config.AnyPhone, config.Seed = true, 5
	var err error
	sc.sim, err = sandbox.New(config)
	check(t, err)
	server := httptest.NewServer(sc.sim.Handler())
	t.Cleanup(func() {
		check(t, sc.sim.Close())
		server.Close()
	})
	sc.store, err = storage.Open(t.Context(), storage.Config{Path: filepath.Join(t.TempDir(), "herald.db"), FirstPoll: time.Millisecond})
	check(t, err)
	t.Cleanup(func() { check(t, sc.store.Close()) })
	sc.seeded = storagetest.Seed(t, sc.store, rows)
	client, err := periskope.New(periskope.Config{BaseURL: server.URL + "/v1", Token: "a-token"})
	check(t, err)
	t.Cleanup(client.CloseIdleConnections)
	sc.gate = gateway.New(client, nil, gateway.Config{})

	seqs := make([]int64, rows)
	for i := range seqs {
		seqs[i] = int64(i) + 1
	}
	staged, err := sc.store.Stage(t.Context(), sc.seeded.ID, seqs, time.Now())
	check(t, err)
	for _, row := range staged {
		claim, err := sc.store.Claim(t.Context(), sc.seeded.Intent(row))
		check(t, err)
		outcome := sc.gate.Send(t.Context(), sc.seeded.Sender, sc.seeded.Task(row), nil)
		if outcome.Kind != campaign.OutcomeAccepted {
			t.Fatalf("send: %s, %s", outcome.Kind, outcome.Detail)
		}
		settlement := sc.seeded.Accepted(row, claim)
		settlement.Outcome = outcome
		settlement.EndedAt = time.Now()
		_, err = sc.store.Settle(t.Context(), settlement)
		check(t, err)
	}
	quick := status.Schedule{Waits: []time.Duration{time.Millisecond}, Window: time.Hour}
	sc.poller = status.New(sc.store, sc.gate, ratelimit.New(ratelimit.Config{}), slog.New(slog.DiscardHandler), status.Config{Schedule: quick, Idle: 5 * time.Millisecond})
	return sc
}

// jobs is the queue ids of the messages.
func (sc *scene) jobs() (ids []string) {
	for _, acceptance := range sc.sim.Acceptances() {
		ids = append(ids, acceptance.QueueID)
	}
	return ids
}

// until polls until the totals are as wanted.
func (sc *scene) until(want map[campaign.Status]int64) {
	sc.t.Helper()
	ctx, cancel := context.WithTimeout(sc.t.Context(), 30*time.Second)
	defer cancel()
	var running sync.WaitGroup
	running.Go(func() { sc.poller.Run(ctx) })
	defer running.Wait()
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		totals, err := sc.store.Totals(sc.t.Context(), sc.seeded.ID)
		check(sc.t, err)
		diff := cmp.Diff(want, totals.ByStatus)
		if diff == "" {
			check(sc.t, sc.store.IntegrityCheck(sc.t.Context()))
			return
		}
		select {
		case <-ctx.Done():
			sc.t.Fatalf("never reached (-want +got):\n%s", diff)
		case <-tick.C:
		}
	}
}

func TestStatusesConvergeToTheProviders(t *testing.T) {
	t.Parallel()
	for name, wire := range map[string]sandbox.Wire{
		"by unique id": {}, "by queue id": {UniqueID: sandbox.UniqueIDAbsent}, "long ids": {UniqueID: sandbox.UniqueIDLong, ProcessingWord: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sc := newScene(t, 60, sandbox.Config{Speed: 2000, Wire: wire, Outcomes: &sandbox.Outcomes{Read: 0.5, Blocked: 0.2}})
			check(t, sc.sim.Advance(30*24*time.Hour)) // everything that will happen has
			want := map[campaign.Status]int64{}
			words := map[string]campaign.Status{
				"sent": campaign.StatusSent, "delivered": campaign.StatusDelivered, "read": campaign.StatusRead, "failed": campaign.StatusFailed,
			}
			for _, acceptance := range sc.sim.Acceptances() {
				trace := sc.sim.Trace(acceptance.QueueID)
				want[words[trace[len(trace)-1].Status]]++
			}
			if want[campaign.StatusFailed] == 0 || want[campaign.StatusRead] == 0 {
				t.Fatalf("the provider's outcomes say little: %v", want)
			}
			sc.until(want)
		})
	}
}

// TestMessageThatWasPurged is asked for some more times, and for as long as the
// provider has it in its queue all the same: it counts as sent if it went out, and
// as canceled whatever else the provider says of it.
func TestMessageThatWasPurged(t *testing.T) {
	t.Parallel()
	sc := newScene(t, 3, sandbox.Config{Speed: 0.01, Outcomes: &sandbox.Outcomes{Read: 1}})
	now := time.Now()
	poller := status.New(sc.store, sc.gate, ratelimit.New(ratelimit.Config{}), slog.New(slog.DiscardHandler), status.Config{Clock: func() time.Time { return now }})
	n, err := sc.store.Withdraw(t.Context(), sc.seeded.ID, sc.jobs())
	if check(t, err); n != 3 {
		t.Fatalf("withdrew %d rows", n)
	}
	wantAsked := func(rounds int, left int64) {
		t.Helper()
		for range rounds {
			now = now.Add(time.Hour)
			asked, err := poller.Round(t.Context())
			if check(t, err); asked != 3 {
				t.Fatalf("asked for %d messages of 3", asked)
			}
		}
		awaited, err := sc.store.AwaitingEvidence(t.Context(), sc.seeded.ID)
		check(t, err)
		totals, err := sc.store.Totals(t.Context(), sc.seeded.ID)
		check(t, err)
		if awaited != left || totals.ByStatus[campaign.StatusCanceled] != 3 {
			t.Errorf("%d are asked for, want %d; %v", awaited, left, totals.ByStatus)
		}
	}
	wantAsked(20, 3) // they are all queued still, as if nothing had been purged
	purged, err := sc.gate.Purge(t.Context(), sc.seeded.Sender, sc.jobs())
	if check(t, err); len(purged) != 3 {
		t.Fatalf("purged %v", purged)
	}
	wantAsked(campaign.RecallLooks-1, 3)
	wantAsked(1, 0)

	sc = newScene(t, 3, sandbox.Config{Outcomes: &sandbox.Outcomes{Read: 1}})
	_, err = sc.store.Withdraw(t.Context(), sc.seeded.ID, sc.jobs()[1:2])
	check(t, err)
	check(t, sc.sim.Advance(30*24*time.Hour)) // it went out
	sc.until(map[campaign.Status]int64{campaign.StatusRead: 3})
}

// TestWhatWasPurgedAndWentOutIsFound, however the provider answers in between and
// however long the message had been in its queue.
func TestWhatWasPurgedAndWentOutIsFound(t *testing.T) {
	t.Parallel()
	said := func(s campaign.Status) (campaign.Evidence, error) { return campaign.Evidence{Status: s}, nil }
	trouble := func(err error) (campaign.Evidence, error) { return campaign.Evidence{}, err }
	for name, test := range map[string]struct {
		until  time.Duration // and then it has been sent
		queued time.Duration // in the queue before
		ask    func() (campaign.Evidence, error)
	}{
		"nothing yet":   {30 * time.Second, 0, func() (campaign.Evidence, error) { return said("") }},
		"nothing, late": {30 * time.Second, 80 * time.Hour, func() (campaign.Evidence, error) { return said("") }},
		"outage":        {10 * time.Minute, 0, func() (campaign.Evidence, error) { return trouble(&campaign.Error{Code: campaign.CodeUnavailable}) }},
		"throttled":     {10 * time.Minute, 0, func() (campaign.Evidence, error) { return trouble(&campaign.Error{Code: campaign.CodeThrottled}) }},
		"sender's fault": {10 * time.Minute, 0, func() (campaign.Evidence, error) {
			return trouble(&gateway.SenderError{Err: &campaign.Error{Code: campaign.CodeNotFound}})
		}},
		"in the queue":    {48 * time.Hour, 0, func() (campaign.Evidence, error) { return said(campaign.StatusQueued) }},
		"being sent":      {48 * time.Hour, 0, func() (campaign.Evidence, error) { return said(campaign.StatusProcessing) }},
		"in it for long":  {time.Minute, 80 * time.Hour, func() (campaign.Evidence, error) { return said(campaign.StatusProcessing) }},
		"outage, so long": {time.Minute, 80 * time.Hour, func() (campaign.Evidence, error) { return trouble(&campaign.Error{Code: campaign.CodeUnavailable}) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := openMail(t, 1)
			m.send(1)
			m.now = mailTime.Add(test.queued)
			n, err := m.ledger.Withdraw(t.Context(), m.seeded.ID, []string{m.queue(1)})
			if check(t, err); n != 1 {
				t.Fatalf("withdrew %d", n)
			}
			purged := m.now
			ask := asked(func() (campaign.Evidence, error) {
				if m.now.Sub(purged) < test.until {
					return test.ask()
				}
				return campaign.Evidence{Status: campaign.StatusSent, SentAt: m.now}, nil
			})
			poller := status.New(m.ledger, ask, free{}, slog.New(slog.DiscardHandler), status.Config{InFlight: 1, Clock: func() time.Time { return m.now }})
			for m.now.Sub(purged) < 2*test.until+2*time.Hour {
				_, _ = poller.Round(t.Context())
				m.now = m.now.Add(max(5*time.Second, m.now.Sub(purged)/20))
			}
			m.wantStatus(1, campaign.StatusSent)
		})
	}
}

// asked is a provider whose answers a test makes up.
type asked func() (campaign.Evidence, error)

func (f asked) Status(context.Context, campaign.Sender, campaign.Tracked) (campaign.Evidence, error) {
	return f()
}

func TestMessageThatIsNotKnownYet(t *testing.T) {
	t.Parallel()
	sc := newScene(t, 5, sandbox.Config{Instant: true, Outcomes: &sandbox.Outcomes{Read: 1}, Faults: []sandbox.Fault{{Kind: sandbox.FaultStatusLate, Delay: 300 * time.Millisecond}}})
	sc.until(map[campaign.Status]int64{campaign.StatusRead: 5})
}

func TestStatusRequestsInTrouble(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]sandbox.Fault{
		"throttled":    {Kind: sandbox.FaultStatus, Status: 429, RetryAfter: "0.1", RateLimitReset: "0", Next: 2},
		"unauthorized": {Kind: sandbox.FaultStatus, Status: 401, Next: 1},
		"unavailable":  {Kind: sandbox.FaultStatus, Status: 503, Next: 1},
		"reset":        {Kind: sandbox.FaultReset, Next: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sc := newScene(t, 5, sandbox.Config{Instant: true, Outcomes: &sandbox.Outcomes{Read: 1}})
			fault.Route = sandbox.RouteStatus
			check(t, sc.sim.AddFault(fault))
			sc.until(map[campaign.Status]int64{campaign.StatusRead: 5})
		})
	}
}

// stumbling is a provider that never answers for one message.
type stumbling struct {
	mu    sync.Mutex // requests come several at a time
	asked map[int64]int
}

func (s *stumbling) Status(_ context.Context, _ campaign.Sender, m campaign.Tracked) (campaign.Evidence, error) {
	s.mu.Lock()
	s.asked[m.Seq]++
	s.mu.Unlock()
	if m.Seq == 1 {
		return campaign.Evidence{}, &campaign.Error{Code: campaign.CodeUnavailable, Err: errors.New("500")}
	}
	return campaign.Evidence{Status: campaign.StatusRead, Source: campaign.EvidencePoll}, nil
}

// queue is a ledger of messages by when they are due.
type queue struct {
	due   map[int64]time.Time
	read  map[int64]bool
	polls map[int64]int
}

func (q *queue) DuePolls(_ context.Context, now time.Time, limit int, _ ...campaign.ID) ([]campaign.Tracked, error) {
	var list []campaign.Tracked
	for seq := int64(1); seq <= 20 && len(list) < limit; seq++ {
		if at := q.due[seq]; !q.read[seq] && !now.Before(at) {
			list = append(list, campaign.Tracked{Seq: seq, Status: campaign.StatusQueued, QueuedAt: now, Polls: q.polls[seq]})
		}
	}
	return list, nil
}

func (q *queue) Observe(_ context.Context, observations []campaign.Observation) error {
	for _, o := range observations {
		q.polls[o.Seq]++
		q.due[o.Seq] = o.NextPoll
		q.read[o.Seq] = o.Status == campaign.StatusRead
	}
	return nil
}

// TestOneMessageDoesNotHoldUpTheOthers: the provider stumbles over one, which
// is always the longest due.
func TestOneMessageDoesNotHoldUpTheOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		provider, ledger := &stumbling{asked: map[int64]int{}}, &queue{due: map[int64]time.Time{}, read: map[int64]bool{}, polls: map[int64]int{}}
		poller := status.New(ledger, provider, ratelimit.New(ratelimit.Config{PerSecond: 10}), slog.New(slog.DiscardHandler), status.Config{InFlight: 1})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		poller.Run(ctx)
		if len(ledger.read) < 20 || ledger.read[1] {
			t.Errorf("%d of 20 messages were heard of", len(ledger.read))
		}
		for seq := int64(2); seq <= 20; seq++ {
			if provider.asked[seq] != 1 {
				t.Errorf("message %d was asked for %d times", seq, provider.asked[seq])
			}
		}
		if n := provider.asked[1]; n < 2 || n > 8 {
			t.Errorf("the stumbling block was asked for %d times in a minute", n)
		}
	})
}

func TestBudgetIsKept(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		provider, ledger := &stumbling{asked: map[int64]int{}}, &queue{due: map[int64]time.Time{1: time.Now().Add(time.Hour)}, read: map[int64]bool{}, polls: map[int64]int{}}
		poller := status.New(ledger, provider, ratelimit.New(ratelimit.Config{PerSecond: 2, Burst: 1}), slog.New(slog.DiscardHandler), status.Config{})
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		var running sync.WaitGroup
		running.Go(func() { poller.Run(ctx) })
		running.Wait()
		if n := len(provider.asked); n < 8 || n > 11 {
			t.Errorf("%d requests in 5 s at 2 a second", n)
		}
	})
}
