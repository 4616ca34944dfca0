package dispatcher_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/dispatcher"
	"github.com/herald-campaigns/herald/internal/gateway"
	"github.com/herald-campaigns/herald/internal/natsd"
	"github.com/herald-campaigns/herald/periskope"
	"github.com/herald-campaigns/herald/ratelimit"
	"github.com/herald-campaigns/herald/sandbox"
	"github.com/herald-campaigns/herald/storage"
	"github.com/herald-campaigns/herald/storage/storagetest"
	"github.com/herald-campaigns/herald/stream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is a dispatcher with everything real around it: ledger, stream, limiter,
// gateway, and a provider behind HTTP.
type rig struct {
	t        *testing.T
	store    *storage.Store
	seeded   storagetest.Seeded
	conn     *stream.Conn
	consumer *stream.Consumer
	sim      *sandbox.Server
	requests atomic.Int64  // sends that reached the provider
	asked    chan struct{} // a token when one has, as far as there is room
	settled  chan campaign.Verdict
	deps     dispatcher.Deps
	cfg      dispatcher.Config
	held     func() bool
}

type settings struct {
	rows    int
	sandbox sandbox.Config
	ackWait time.Duration
	timeout time.Duration
	clock   func() time.Time
	url     string
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newRig(t *testing.T, s settings) *rig {
	t.Helper()
	r := &rig{t: t, asked: make(chan struct{}, 1), settled: make(chan campaign.Verdict, 10_000), held: func() bool { return true }}
	s.sandbox.AnyPhone, s.sandbox.Instant, s.sandbox.Seed = true, true, 11
	var err error
	r.sim, err = sandbox.New(s.sandbox)
	check(t, err)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.requests.Add(1)
		select {
		case r.asked <- struct{}{}:
		default:
		}
		r.sim.Handler().ServeHTTP(w, req)
	}))
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	server.Start()
	t.Cleanup(func() {
		check(t, r.sim.Close()) // ends what hangs
		server.Close()
	})
	if s.url == "" {
		s.url = server.URL + "/v1"
	}

	dir := t.TempDir()
	r.store, err = storage.Open(t.Context(), storage.Config{Path: filepath.Join(dir, "herald.db"), Clock: s.clock})
	check(t, err)
	t.Cleanup(func() { check(t, r.store.Close()) })
	r.seeded = storagetest.Seed(t, r.store, max(s.rows, 1))

	broker, err := natsd.Start(t.Context(), natsd.Config{StoreDir: filepath.Join(dir, "nats")})
	check(t, err)
	t.Cleanup(broker.Close)
	r.conn, err = stream.Connect(t.Context(), stream.Config{InProcess: broker, FetchWait: 100 * time.Millisecond, PublishTimeout: time.Minute, AckWait: s.ackWait})
	check(t, err)
	t.Cleanup(func() { check(t, r.conn.Close(context.WithoutCancel(t.Context()))) })
	r.consumer, err = r.conn.Sender(t.Context(), r.seeded.Sender.ID, stream.Tuning{InFlight: 64})
	check(t, err)
	t.Cleanup(r.consumer.Close)

	client, err := periskope.New(periskope.Config{BaseURL: s.url, Token: "a-token", Timeout: s.timeout})
	check(t, err)
	t.Cleanup(client.CloseIdleConnections)
	limiter := ratelimit.New(ratelimit.Config{})
	r.deps = dispatcher.Deps{
		Tasks: fromStream{r}, Claims: r.store, Settlements: r.store, Gateway: gateway.New(client, nil, gateway.Config{}),
		Pace: limiter, Brake: limiter, Pauser: r, Log: slog.New(slog.DiscardHandler),
	}
	r.cfg = dispatcher.Config{Sender: r.seeded.Sender, Pace: campaign.Pace{Rate: campaign.Rate{Unlimited: true}, InFlight: 1}}
	return r
}

// fromStream lets the dispatcher fetch, and tells the test of every verdict.
type fromStream struct{ r *rig }

func (f fromStream) Fetch(ctx context.Context, limit int) ([]dispatcher.Delivery, error) {
	fetched, err := f.r.consumer.Fetch(ctx, limit)
	deliveries := make([]dispatcher.Delivery, len(fetched))
	for i, d := range fetched {
		deliveries[i] = delivery{d, f.r}
	}
	return deliveries, err
}

type delivery struct {
	stream.Delivery
	r *rig
}

func (d delivery) Task() campaign.Task { return d.Delivery.Task }
func (d delivery) Deliveries() int     { return d.NumDelivered }

func (d delivery) Settle(v campaign.Verdict, after time.Duration) error {
	defer func() { d.r.settled <- v }()
	if v == campaign.VerdictLater {
		return d.Nak(after)
	}
	return d.Ack()
}

// Pause is what the engine's does to the ledger.
func (r *rig) Pause(ctx context.Context, id campaign.ID, reason campaign.PauseReason, detail string) error {
	_, err := r.store.Transition(ctx, id, campaign.StatePaused, reason, detail)
	return err
}

// stage hands all rows over to the stream.
func (r *rig) stage(rows int) []campaign.Staged {
	r.t.Helper()
	seqs := make([]int64, rows)
	for i := range seqs {
		seqs[i] = int64(i) + 1
	}
	staged, err := r.store.Stage(r.t.Context(), r.seeded.ID, seqs, time.Now())
	check(r.t, err)
	r.publish(staged...)
	return staged
}

func (r *rig) publish(staged ...campaign.Staged) {
	r.t.Helper()
	tasks := make([]campaign.Task, len(staged))
	for i, row := range staged {
		tasks[i] = r.seeded.Task(row)
	}
	failed, err := r.conn.Publish(r.t.Context(), tasks)
	if err != nil || len(failed) > 0 {
		r.t.Fatalf("%d tasks not published: %v", len(failed), err)
	}
}

// start runs the dispatcher until the returned function is called, which waits
// for its drain.
func (r *rig) start() (stop func()) {
	r.t.Helper()
	ctx, cancel := context.WithCancel(r.t.Context())
	done := make(chan error, 1)
	go func() {
		done <- dispatcher.New(r.deps, r.cfg).Run(ctx, r.seeded.Lease, func() bool { return r.held() })
	}()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				r.t.Errorf("Run = %v", err)
			}
		})
	}
	r.t.Cleanup(stop)
	return stop
}

// verdicts waits for n verdicts of the kind and passes over others.
func (r *rig) verdicts(n int, want campaign.Verdict) {
	r.t.Helper()
	for got := 0; got < n; {
		if r.verdict() == want {
			got++
		}
	}
}

// verdict waits for the next verdict.
func (r *rig) verdict() campaign.Verdict {
	r.t.Helper()
	select {
	case v := <-r.settled:
		return v
	case <-time.After(30 * time.Second):
		r.t.Fatal("no verdict came")
		return ""
	}
}

func (r *rig) row(seq int64) campaign.Recipient {
	r.t.Helper()
	row, err := r.store.Recipient(context.WithoutCancel(r.t.Context()), r.seeded.ID, seq)
	check(r.t, err)
	return row
}

// audit: the books are true, and nobody got two messages.
func (r *rig) audit() {
	r.t.Helper()
	check(r.t, r.store.IntegrityCheck(r.t.Context()))
	if n := r.duplicates(); n > 0 {
		r.t.Errorf("%d recipients got more than one message", n)
	}
}

func (r *rig) duplicates() int {
	seen, twice := map[string]bool{}, 0
	for _, acceptance := range r.sim.Acceptances() {
		if seen[acceptance.ChatID] {
			twice++
		}
		seen[acceptance.ChatID] = true
	}
	return twice
}

func TestEveryTaskIsSentOnce(t *testing.T) {
	t.Parallel()
	for _, inFlight := range []int{1, 8, 64} {
		t.Run(fmt.Sprintf("%d in flight", inFlight), func(t *testing.T) {
			t.Parallel()
			const rows = 150
			r := newRig(t, settings{rows: rows, sandbox: sandbox.Config{Latency: sandbox.Range{Max: 3 * time.Millisecond}}})
			r.cfg.Pace.InFlight = inFlight
			r.stage(rows)
			stop := r.start()
			r.verdicts(rows, campaign.VerdictDone)
			stop()
			for seq := int64(1); seq <= rows; seq++ {
				if row := r.row(seq); row.Status != campaign.StatusQueued || row.Attempt != 1 || row.QueueID == "" {
					t.Errorf("row %d is %s after %d attempts", seq, row.Status, row.Attempt)
				}
			}
			if n := len(r.sim.Acceptances()); n != rows || r.requests.Load() != rows {
				t.Errorf("%d accepted in %d requests, want %d", n, r.requests.Load(), rows)
			}
			r.audit()
		})
	}
}

// TestEachFaultIsHeldAgainstTheRightOne makes each fault of the send API once.
func TestEachFaultIsHeldAgainstTheRightOne(t *testing.T) {
	t.Parallel()
	type expectation struct {
		kind     campaign.OutcomeKind
		to       campaign.Status
		reason   campaign.FailReason
		pause    campaign.PauseReason
		attempts int // counted against the recipient
		accepted int
	}
	unknown := func(accepted int) expectation {
		return expectation{kind: campaign.OutcomeUnknown, to: campaign.StatusUnknown, attempts: 1, accepted: accepted}
	}
	throttled := expectation{kind: campaign.OutcomeThrottled, to: campaign.StatusPending}
	refused := expectation{kind: campaign.OutcomeRefused, to: campaign.StatusPending, pause: campaign.PauseRefused}
	rejected := expectation{kind: campaign.OutcomeRejected, to: campaign.StatusFailed, reason: campaign.FailRejected, attempts: 1}
	tooLarge := rejected
	tooLarge.reason = campaign.FailTooLarge
	status := func(code int, when sandbox.FaultMoment) sandbox.Fault {
		return sandbox.Fault{Kind: sandbox.FaultStatus, Status: code, When: when}
	}
	const before, after = sandbox.FaultBefore, sandbox.FaultAfter
	for name, test := range map[string]struct {
		fault sandbox.Fault
		want  expectation
	}{
		"429 with Retry-After":   {sandbox.Fault{Kind: sandbox.FaultStatus, Status: 429, RetryAfter: "1"}, throttled},
		"429 alone":              {status(429, before), throttled},
		"401":                    {status(401, before), refused},
		"403":                    {status(403, before), refused},
		"400":                    {status(400, before), rejected},
		"404":                    {status(404, before), rejected},
		"422":                    {status(422, before), rejected},
		"413":                    {status(413, before), tooLarge},
		"404 of a proxy":         {sandbox.Fault{Kind: sandbox.FaultStatus, Status: 404, HTML: true}, unknown(0)},
		"408":                    {status(408, before), unknown(0)},
		"500 before":             {status(500, before), unknown(0)},
		"500 after":              {status(500, after), unknown(1)},
		"502 of a proxy":         {sandbox.Fault{Kind: sandbox.FaultStatus, Status: 502, HTML: true, When: after}, unknown(1)},
		"503 before":             {status(503, before), unknown(0)},
		"503 after":              {status(503, after), unknown(1)},
		"reset before":           {sandbox.Fault{Kind: sandbox.FaultReset, When: before}, unknown(0)},
		"reset after":            {sandbox.Fault{Kind: sandbox.FaultReset, When: after}, unknown(1)},
		"cut in the answer":      {sandbox.Fault{Kind: sandbox.FaultCutBody, Size: 20}, unknown(1)},
		"malformed":              {sandbox.Fault{Kind: sandbox.FaultMalformed}, unknown(1)},
		"empty":                  {sandbox.Fault{Kind: sandbox.FaultEmpty}, unknown(1)},
		"no queue id":            {sandbox.Fault{Kind: sandbox.FaultNoQueueID}, unknown(1)},
		"endless":                {sandbox.Fault{Kind: sandbox.FaultHugeBody, Size: 1 << 20}, unknown(1)},
		"hangs before":           {sandbox.Fault{Kind: sandbox.FaultHang, When: before, Delay: time.Minute}, unknown(0)},
		"hangs after":            {sandbox.Fault{Kind: sandbox.FaultHang, When: after, Delay: time.Minute}, unknown(1)},
		"a byte now and a while": {sandbox.Fault{Kind: sandbox.FaultSlowBody, Delay: time.Minute}, unknown(1)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test.fault.Next = 1
			set := settings{sandbox: sandbox.Config{Faults: []sandbox.Fault{test.fault}}}
			if test.fault.Delay > 0 {
				set.timeout = 5 * time.Second // it ends by nothing else
			}
			r := newRig(t, set)
			r.stage(1)
			stop := r.start()
			r.verdicts(1, campaign.VerdictDone)
			stop()
			row := r.row(1)
			attempts, err := r.store.Attempts(t.Context(), r.seeded.ID, 1)
			check(t, err)
			c, err := r.store.Campaign(t.Context(), r.seeded.ID)
			check(t, err)
			if len(attempts) != 1 {
				t.Fatalf("%d attempts recorded", len(attempts))
			}
			got := expectation{attempts[0].Outcome, row.Status, row.FailReason, c.Reason, row.Attempt, len(r.sim.Acceptances())}
			if got != test.want {
				t.Errorf("got %+v, want %+v (%s)", got, test.want, attempts[0].Detail)
			}
			if r.requests.Load() != 1 {
				t.Errorf("%d requests", r.requests.Load())
			}
			r.audit()
		})
	}
}

func TestRefusedPortIsTriedLater(t *testing.T) {
	t.Parallel()
	away := httptest.NewServer(http.NotFoundHandler())
	url := away.URL
	away.Close()
	r := newRig(t, settings{url: url + "/v1"})
	r.stage(1)
	stop := r.start()
	r.verdicts(1, campaign.VerdictDone)
	stop()
	if row := r.row(1); row.Status != campaign.StatusPending || row.Attempt != 1 || row.NotBefore.IsZero() {
		t.Errorf("row is %s after %d attempts, not before %s", row.Status, row.Attempt, row.NotBefore)
	}
	r.audit()
}

func TestRepeatedQueueIDProvesNothing(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	r := newRig(t, settings{rows: 2})
	r.deps.Log = slog.New(slog.NewTextHandler(&lockedWriter{w: &text}, nil))
	staged := r.stage(1)
	stop := r.start()
	r.verdicts(1, campaign.VerdictDone)
	check(t, r.sim.AddFault(sandbox.Fault{Kind: sandbox.FaultRepeatQueueID, Next: 1}))
	more, err := r.store.Stage(t.Context(), r.seeded.ID, []int64{2}, time.Now())
	check(t, err)
	r.publish(more...)
	r.verdicts(1, campaign.VerdictDone)
	stop()
	if first, second := r.row(staged[0].Seq), r.row(2); first.Status != campaign.StatusQueued || second.Status != campaign.StatusUnknown || second.QueueID != "" {
		t.Errorf("first %s, second %s under %q", first.Status, second.Status, second.QueueID)
	}
	if !strings.Contains(text.String(), "level=ERROR") || !strings.Contains(text.String(), r.row(1).QueueID) {
		t.Errorf("no alarm:\n%s", text.String())
	}
	r.audit()
}

// alwaysGranted is a ledger without a guard.
type alwaysGranted struct{ dispatcher.Claims }

func (alwaysGranted) Claim(context.Context, campaign.Intent) (campaign.Claim, error) {
	return campaign.Claim{Attempt: 1, ClaimedAt: time.Now()}, nil
}

// TestRedeliveryDuringACall: the stream delivers a task again while its call
// is still under way. The claim is what keeps it from being sent twice; the
// same test without it must see duplicates, or it would prove nothing.
func TestRedeliveryDuringACall(t *testing.T) {
	t.Parallel()
	for _, guarded := range []bool{true, false} {
		t.Run(fmt.Sprintf("guarded %t", guarded), func(t *testing.T) {
			t.Parallel()
			r := newRig(t, settings{ackWait: time.Second, sandbox: sandbox.Config{Latency: sandbox.Range{Min: 2500 * time.Millisecond}}})
			r.cfg.Pace.InFlight = 8
			if !guarded {
				r.deps.Claims = alwaysGranted{r.store}
			}
			r.stage(1)
			stop := r.start()
			r.verdicts(2, campaign.VerdictDone) // the call's, and one redelivery's
			stop()
			requests := r.requests.Load()
			if guarded && (requests != 1 || r.row(1).Status != campaign.StatusQueued) {
				t.Errorf("%d requests, row is %s", requests, r.row(1).Status)
			}
			if guarded {
				r.audit()
			} else if r.duplicates() == 0 {
				t.Error("no duplicate without the claim: this test does not bite")
			}
		})
	}
}

func TestTasksThatMustNotBeSent(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(r *rig, staged campaign.Staged) error{
		"handed over again": func(r *rig, s campaign.Staged) error {
			if err := r.store.UnstageRows(r.t.Context(), r.seeded.ID, []int64{s.Seq}); err != nil {
				return err
			}
			_, err := r.store.Stage(r.t.Context(), r.seeded.ID, []int64{s.Seq}, time.Now())
			return err
		},
		"paused": func(r *rig, _ campaign.Staged) error {
			return r.Pause(r.t.Context(), r.seeded.ID, campaign.PauseOperator, "")
		},
		"lease taken by another": func(r *rig, _ campaign.Staged) error {
			_, _, err := r.store.AcquireLease(r.t.Context(), r.seeded.Sender.ID, "seed", time.Hour)
			return err
		},
		"lease released": func(r *rig, _ campaign.Staged) error { return r.store.ReleaseLease(r.t.Context(), r.seeded.Lease) },
		"skipped": func(r *rig, s campaign.Staged) error {
			_, err := r.store.Skip(r.t.Context(), r.seeded.ID, []campaign.Skip{{Seq: s.Seq, Reason: campaign.SkipOptedOut}})
			return err
		},
		"canceled": func(r *rig, _ campaign.Staged) error {
			if _, err := r.store.Transition(r.t.Context(), r.seeded.ID, campaign.StateCanceled, "", ""); err != nil {
				return err
			}
			_, err := r.store.Cancel(r.t.Context(), r.seeded.ID)
			return err
		},
		"own clock says the lease is over": func(r *rig, _ campaign.Staged) error {
			r.held = func() bool { return false }
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, settings{})
			check(t, spoil(r, r.stage(1)[0]))
			stop := r.start()
			verdict := campaign.VerdictDone
			if strings.HasPrefix(name, "lease") {
				verdict = campaign.VerdictLater // for the next holder
			}
			r.verdicts(1, verdict)
			stop()
			if row := r.row(1); r.requests.Load() != 0 || row.Attempt != 0 || row.Status == campaign.StatusSubmitting {
				t.Errorf("%d requests, row is %s after %d attempts", r.requests.Load(), row.Status, row.Attempt)
			}
			r.audit()
		})
	}
}

// flaky is a ledger that fails before it works.
type flaky struct {
	*storage.Store
	claims, settles atomic.Int64 // failures to come
}

var errDisk = errors.New("disk I/O error")

func (f *flaky) Claim(ctx context.Context, in campaign.Intent) (campaign.Claim, error) {
	if f.claims.Add(-1) >= 0 {
		return campaign.Claim{}, errDisk
	}
	return f.Store.Claim(ctx, in)
}

func (f *flaky) Settle(ctx context.Context, s campaign.Settlement) (campaign.Status, error) {
	if f.settles.Add(-1) >= 0 {
		return "", errDisk
	}
	return f.Store.Settle(ctx, s)
}

func TestLedgerInTrouble(t *testing.T) {
	t.Parallel()
	t.Run("claim", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, settings{})
		ledger := &flaky{Store: r.store}
		ledger.claims.Store(1)
		r.deps.Claims = ledger
		r.stage(1)
		stop := r.start()
		r.verdicts(1, campaign.VerdictLater)
		if n := r.requests.Load(); n != 0 {
			t.Errorf("%d requests without an intent", n)
		}
		r.verdicts(1, campaign.VerdictDone)
		stop()
		if row := r.row(1); row.Status != campaign.StatusQueued || r.requests.Load() != 1 {
			t.Errorf("row is %s after %d requests", row.Status, r.requests.Load())
		}
		r.audit()
	})
	t.Run("settle", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, settings{})
		ledger := &flaky{Store: r.store}
		ledger.settles.Store(3)
		r.deps.Settlements = ledger
		r.stage(1)
		stop := r.start()
		<-r.asked
		stop() // the drain waits for the outcome
		if row := r.row(1); row.Status != campaign.StatusQueued || row.QueueID == "" || r.requests.Load() != 1 {
			t.Errorf("row is %s after %d requests", row.Status, r.requests.Load())
		}
		r.audit()
	})
	t.Run("row moved on", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, settings{})
		r.deps.Settlements = movedOn{r.store}
		r.stage(1)
		stop := r.start()
		began := time.Now()
		r.verdicts(1, campaign.VerdictDone)
		stop()
		if took := time.Since(began); took > 15*time.Second {
			t.Errorf("a decided row was settled again and again for %s", took)
		}
	})
}

// movedOn is a ledger in which somebody else has decided.
type movedOn struct{ *storage.Store }

func (movedOn) Settle(context.Context, campaign.Settlement) (campaign.Status, error) {
	return "", &campaign.Error{Code: campaign.CodeConflict, What: "the row was handed over again"}
}

// TestCapHoldsAndComesBack: a reached cap refuses, blocks the sender, and
// counts against nobody.
func TestCapHoldsAndComesBack(t *testing.T) {
	t.Parallel()
	for name, pace := range map[string]campaign.Pace{"hourly": {Hourly: 3}, "daily": {Daily: 3}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var ahead atomic.Int64
			clock := func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
			r := newRig(t, settings{rows: 5, clock: clock})
			r.cfg.Clock = clock
			r.cfg.Pace.Hourly, r.cfg.Pace.Daily = pace.Hourly, pace.Daily
			limiter := ratelimit.New(ratelimit.Config{})
			r.deps.Pace, r.deps.Brake = limiter, limiter
			r.stage(5)
			stop := r.start()
			// The third outcome and the fourth claim may share a commit, so
			// their verdicts come in either order.
			got := map[campaign.Verdict]int{}
			for range 4 {
				got[r.verdict()]++
			}
			if got[campaign.VerdictDone] != 3 || got[campaign.VerdictLater] != 1 {
				t.Errorf("verdicts %v, want 3 done and 1 later", got)
			}
			if state := limiter.State(); state.BlockedUntil.Before(time.Now().Add(30 * time.Minute)) {
				t.Errorf("blocked until %s only", state.BlockedUntil)
			}
			stop()
			if n := len(r.sim.Acceptances()); n != 3 {
				t.Errorf("%d accepted under a cap of 3", n)
			}
			if row := r.row(4); row.Attempt != 0 || row.Status != campaign.StatusStaged {
				t.Errorf("row 4 is %s after %d attempts", row.Status, row.Attempt)
			}

			ahead.Store(int64(26 * time.Hour))
			lease, ok, err := r.store.AcquireLease(t.Context(), r.seeded.Sender.ID, "seed", time.Hour)
			if err != nil || !ok {
				t.Fatalf("lease: %t, %v", ok, err)
			}
			r.seeded.Lease = lease
			check(t, r.store.UnstageRows(t.Context(), r.seeded.ID, []int64{4, 5}))
			staged, err := r.store.Stage(t.Context(), r.seeded.ID, []int64{4, 5}, clock())
			check(t, err)
			r.publish(staged...)
			limiter = ratelimit.New(ratelimit.Config{})
			r.deps.Pace, r.deps.Brake = limiter, limiter
			stop = r.start()
			for r.requests.Load() < 5 { // tasks of before the cap end without a call
				r.verdicts(1, campaign.VerdictDone)
			}
			stop()
			if n := len(r.sim.Acceptances()); n != 5 {
				t.Errorf("%d accepted after the cap was free again", n)
			}
			r.audit()
		})
	}
}

// TestOutagePausesTheCampaign: the breaker opens after a streak, lets single
// probes through, and gives up in time.
func TestOutagePausesTheCampaign(t *testing.T) {
	t.Parallel()
	r := newRig(t, settings{rows: 100, sandbox: sandbox.Config{Faults: []sandbox.Fault{{Kind: sandbox.FaultStatus, Status: 503}}}})
	r.cfg.Pace.InFlight, r.cfg.Streak, r.cfg.GiveUp = 4, 5, 500*time.Millisecond
	r.stage(100)
	stop := r.start()
	r.verdicts(100, campaign.VerdictDone) // the paused campaign's tasks lose their claims
	stop()
	c, err := r.store.Campaign(t.Context(), r.seeded.ID)
	check(t, err)
	if c.State != campaign.StatePaused || c.Reason != campaign.PauseUnavailable {
		t.Errorf("the campaign is %s for %q", c.State, c.Reason)
	}
	// 5 open the breaker, 3 more were under way, then one probe at a time.
	if n := r.requests.Load(); n < 6 || n > 11 {
		t.Errorf("%d requests during an outage", n)
	}
	totals, err := r.store.Totals(t.Context(), r.seeded.ID)
	check(t, err)
	if totals.ByStatus[campaign.StatusFailed] > 0 || totals.ByStatus[campaign.StatusUnknown] != r.requests.Load() {
		t.Errorf("after %d requests: %v", r.requests.Load(), totals.ByStatus)
	}
	r.audit()
}

// TestDrain: when the intake ends, every call under way is settled before Run
// returns, and no new one begins.
func TestDrain(t *testing.T) {
	t.Parallel()
	r := newRig(t, settings{rows: 40, sandbox: sandbox.Config{Latency: sandbox.Range{Min: 1500 * time.Millisecond, Max: 2 * time.Second}}})
	r.cfg.Pace.InFlight = 8
	r.stage(40)
	stop := r.start()
	<-r.asked
	stop()
	requests := r.requests.Load()
	totals, err := r.store.Totals(t.Context(), r.seeded.ID)
	check(t, err)
	if totals.ByStatus[campaign.StatusSubmitting] != 0 || totals.ByStatus[campaign.StatusUnknown] != 0 {
		t.Errorf("after the drain: %v", totals.ByStatus)
	}
	if totals.ByStatus[campaign.StatusQueued] != requests || requests > 8 {
		t.Errorf("%d requests, %v", requests, totals.ByStatus)
	}
	// What was fetched and not sent went back to the stream, so the next
	// holder has it at once and not after AckWait.
	stop = r.start()
	r.verdicts(40, campaign.VerdictDone)
	stop()
	if n := len(r.sim.Acceptances()); n != 40 {
		t.Errorf("%d of 40 accepted in the end", n)
	}
	r.audit()
}

// TestLogsNameNobody plants a number and a text and looks for them.
func TestLogsNameNobody(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	r := newRig(t, settings{rows: 3, sandbox: sandbox.Config{Faults: []sandbox.Fault{{Kind: sandbox.FaultMalformed, Next: 1}, {Kind: sandbox.FaultReset, Next: 1}}}})
	r.deps.Log = slog.New(slog.NewJSONHandler(&lockedWriter{w: &text}, &slog.HandlerOptions{Level: slog.LevelDebug}))
	r.stage(3)
	stop := r.start()
	r.verdicts(3, campaign.VerdictDone)
	stop()
	for _, secret := range []string{"Hi Asha", storagetest.Chat(1).Number(), storagetest.Chat(2).Number(), string(storagetest.Phone), "a-token"} {
		if strings.Contains(text.String(), secret) {
			t.Errorf("the log has %q", secret)
		}
	}
	if !strings.Contains(text.String(), "attempt made") {
		t.Error("nothing was logged")
	}
}

type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}
