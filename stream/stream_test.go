package stream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/internal/natsd"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// testBundle is a server, a connection and what they said.
type testBundle struct {
	server    *natsd.Server
	conn      *Conn
	log       *testLog
	recreated *atomic.Int64 // calls of OnRecreated
}

// setup starts an embedded server and connects. The config may be nil.
func setup(tb testing.TB, configure func(*Config)) *testBundle {
	tb.Helper()
	cfg := Config{FetchWait: 200 * time.Millisecond, PublishTimeout: time.Minute}
	if configure != nil {
		configure(&cfg)
	}
	b := &testBundle{log: &testLog{}, recreated: &atomic.Int64{}}
	var err error
	b.server, err = natsd.Start(tb.Context(), natsd.Config{
		StoreDir: filepath.Join(tb.TempDir(), "nats"),
		File:     cfg.Storage == StorageFile,
	})
	if err != nil {
		tb.Fatalf("start server: %v", err)
	}
	tb.Cleanup(b.server.Close)
	cfg.InProcess = b.server
	cfg.Logger = slog.New(slog.NewTextHandler(b.log, nil))
	onRecreated := cfg.OnRecreated
	cfg.OnRecreated = func() {
		b.recreated.Add(1)
		if onRecreated != nil {
			onRecreated()
		}
	}
	b.conn = connect(tb, cfg)
	return b
}

func connect(tb testing.TB, cfg Config) *Conn {
	tb.Helper()
	conn, err := Connect(tb.Context(), cfg)
	if err != nil {
		tb.Fatalf("connect: %v", err)
	}
	tb.Cleanup(func() {
		// The test's own context is over by now.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(tb.Context()), 20*time.Second)
		defer cancel()
		if err := conn.Close(ctx); err != nil {
			tb.Errorf("close: %v", err)
		}
	})
	return conn
}

type testLog struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *testLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *testLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

const body = "Hi Asha, your order 4711 <ships> today & arrives soon 🎉"

func task(id campaign.ID, sender campaign.SenderID, seq int64) campaign.Task {
	m := campaign.Message{Text: body}
	return campaign.Task{
		Campaign: id, Seq: seq, Gen: 1, Sender: sender,
		Chat:    campaign.PersonChat(fmt.Sprintf("9199999900%02d", seq%100)),
		Message: m, BodyHash: m.Hash(),
	}
}

func tasks(id campaign.ID, sender campaign.SenderID, n int) []campaign.Task {
	all := make([]campaign.Task, n)
	for i := range all {
		all[i] = task(id, sender, int64(i+1))
	}
	return all
}

func (b *testBundle) sender(tb testing.TB, id campaign.SenderID, tuning Tuning) *Consumer {
	tb.Helper()
	c, err := b.conn.Sender(tb.Context(), id, tuning)
	if err != nil {
		tb.Fatalf("consumer of %s: %v", id, err)
	}
	return c
}

func (b *testBundle) publish(tb testing.TB, all ...campaign.Task) {
	tb.Helper()
	failed, err := b.conn.Publish(tb.Context(), all)
	if err != nil || len(failed) > 0 {
		tb.Fatalf("publish: %v, %d failed: %+v", err, len(failed), failed)
	}
}

// fetch brings exactly n deliveries, however many calls it takes.
func fetch(tb testing.TB, c *Consumer, n int) []Delivery {
	tb.Helper()
	var got []Delivery
	ctx, cancel := context.WithTimeoutCause(tb.Context(), 20*time.Second, fmt.Errorf("waited for %d deliveries", n))
	defer cancel()
	for len(got) < n {
		more, err := c.Fetch(ctx, n-len(got))
		if err != nil {
			tb.Fatalf("fetch after %d of %d: %v", len(got), n, err)
		}
		got = append(got, more...)
	}
	return got
}

func fetchNone(tb testing.TB, c *Consumer) {
	tb.Helper()
	got, err := c.Fetch(tb.Context(), 10)
	if err != nil || len(got) != 0 {
		tb.Fatalf("fetch brought %d deliveries, %v; want none", len(got), err)
	}
}

func (b *testBundle) messages(tb testing.TB) uint64 {
	tb.Helper()
	str, err := b.conn.js.Stream(tb.Context(), "HERALD")
	if err != nil {
		tb.Fatal(err)
	}
	return str.CachedInfo().State.Msgs
}

// waitForMessages waits for the server to have done what a message without an
// answer asked for: each look is a round trip, and so a wait.
func (b *testBundle) waitForMessages(tb testing.TB, want uint64) {
	tb.Helper()
	deadline := time.Now().Add(time.Minute)
	got := b.messages(tb)
	for got != want && time.Now().Before(deadline) {
		got = b.messages(tb)
	}
	if got != want {
		tb.Fatalf("the stream holds %d messages, want %d", got, want)
	}
}

func TestTasksArriveAsTheyWere(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	id, sender := campaign.NewID(), campaign.NewSenderID()
	media := task(id, sender, 2)
	media.Message.Media = &campaign.Media{Type: campaign.MediaDocument, URL: "https://shop.example/i.pdf?a=1&b=2", Filename: "i.pdf", MIME: "application/pdf"}
	poll := task(id, sender, 3)
	poll.Message = campaign.Message{Poll: &campaign.Poll{Question: "Come?", Options: []string{"Yes", "No"}, PollID: "p1"}}
	want := []campaign.Task{task(id, sender, 1), media, poll}

	c := b.sender(t, sender, Tuning{})
	b.publish(t, want...)
	deliveries := fetch(t, c, 3)
	got := make([]campaign.Task, 0, 3)
	for _, d := range deliveries {
		got = append(got, d.Task)
		if d.NumDelivered != 1 {
			t.Errorf("task %d was delivered %d times, want once", d.Task.Seq, d.NumDelivered)
		}
		if err := d.Ack(); err != nil {
			t.Error(err)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("tasks changed on the way (-want +got):\n%s", diff)
	}
	b.waitForMessages(t, 0)
}

func TestSendersAreApart(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *Config) { c.Shards = 3 })
	consumers := map[campaign.SenderID]*Consumer{}
	for range 9 {
		sender := campaign.NewSenderID()
		consumers[sender] = b.sender(t, sender, Tuning{})
		b.publish(t, tasks(campaign.NewID(), sender, 5)...)
	}
	used := map[shard]bool{}
	for sender, c := range consumers {
		used[c.shard] = true
		for _, d := range fetch(t, c, 5) {
			if d.Task.Sender != sender {
				t.Errorf("sender %s got a task of %s", sender, d.Task.Sender)
			}
			if err := d.Ack(); err != nil {
				t.Error(err)
			}
		}
		fetchNone(t, c)
	}
	if len(used) < 2 {
		t.Errorf("9 senders share %d of 3 streams", len(used))
	}
	if err := b.conn.Healthy(t.Context()); err != nil {
		t.Errorf("healthy: %v", err)
	}
}

func TestUnsettledTaskComesAgain(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *Config) { c.AckWait = 300 * time.Millisecond })
	sender := campaign.NewSenderID()
	c := b.sender(t, sender, Tuning{})
	b.publish(t, task(campaign.NewID(), sender, 1))
	fetch(t, c, 1)
	again := fetch(t, c, 1)[0]
	if again.NumDelivered < 2 {
		t.Errorf("delivery number %d, want 2 or more", again.NumDelivered)
	}
	if err := again.Ack(); err != nil {
		t.Fatal(err)
	}
	b.waitForMessages(t, 0)
	if err := again.Ack(); err == nil {
		t.Error("a task was settled twice without an error")
	}
}

// TestRenewedConsumer delivers what counts as delivered and was settled by
// nobody, long before AckWait gives it back, and what it was holding back.
func TestRenewedConsumer(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	sender := campaign.NewSenderID()
	c := b.sender(t, sender, Tuning{})
	b.publish(t, tasks(campaign.NewID(), sender, minAckPending+1)...)
	held := fetch(t, c, minAckPending)
	fetchNone(t, c)
	if err := c.Renew(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{minAckPending, 1} {
		for _, d := range fetch(t, c, n) {
			if err := d.Ack(); err != nil {
				t.Error(err)
			}
		}
	}
	b.waitForMessages(t, 0)
	if err := held[0].Ack(); err != nil { // of the consumer that is gone: it changes nothing
		t.Error(err)
	}
	fetchNone(t, c)
}

func TestNak(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	sender := campaign.NewSenderID()
	c := b.sender(t, sender, Tuning{})
	b.publish(t, task(campaign.NewID(), sender, 1))

	d := fetch(t, c, 1)[0]
	if err := d.Nak(0); err != nil {
		t.Fatal(err)
	}
	d = fetch(t, c, 1)[0]
	start := time.Now()
	const delay = 700 * time.Millisecond
	if err := d.Nak(delay); err != nil {
		t.Fatal(err)
	}
	d = fetch(t, c, 1)[0]
	if took := time.Since(start); took < delay-50*time.Millisecond {
		t.Errorf("a task given back for %v came again after %v", delay, took)
	}
	if d.NumDelivered != 3 {
		t.Errorf("delivery number %d, want 3", d.NumDelivered)
	}
}

// TestInProgress: kept alive for longer than AckWait, a task does not come again.
func TestInProgress(t *testing.T) {
	t.Parallel()
	const ackWait = 5 * time.Second // no machine stands still for so long
	b := setup(t, func(c *Config) { c.AckWait = ackWait })
	sender := campaign.NewSenderID()
	c := b.sender(t, sender, Tuning{})
	b.publish(t, task(campaign.NewID(), sender, 1))
	d := fetch(t, c, 1)[0]
	for end := time.Now().Add(ackWait + 3*time.Second); time.Now().Before(end); {
		if err := d.InProgress(); err != nil {
			t.Fatal(err)
		}
		fetchNone(t, c)
	}
	if err := d.Ack(); err != nil {
		t.Fatal(err)
	}
	b.waitForMessages(t, 0)
}

func TestTermRemovesTheTask(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *Config) { c.AckWait = 200 * time.Millisecond })
	sender := campaign.NewSenderID()
	c := b.sender(t, sender, Tuning{})
	b.publish(t, task(campaign.NewID(), sender, 1))
	if err := fetch(t, c, 1)[0].Term("poison"); err != nil {
		t.Fatal(err)
	}
	b.waitForMessages(t, 0)
	fetchNone(t, c)
}

// A slow sender takes tasks one by one. The end of such a batch must not look
// like an empty stream: rows staged for long would be taken for lost.
func TestFetchFindsTheNextTaskBehindAnEndedBatch(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *Config) { c.FetchWait = 30 * time.Second })
	sender := campaign.NewSenderID()
	c := b.sender(t, sender, Tuning{PerSecond: 1})
	b.publish(t, tasks(campaign.NewID(), sender, 5)...)
	for i := range 5 {
		got, err := c.Fetch(t.Context(), 1)
		if err != nil || len(got) != 1 {
			t.Fatalf("fetch %d brought %d tasks, want 1 (%v)", i+1, len(got), err)
		}
		if err := got[0].Ack(); err != nil {
			t.Error(err)
		}
	}
}

func TestFetchReturnsWhatIsThere(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *Config) { c.FetchWait = time.Minute })
	sender := campaign.NewSenderID()
	c := b.sender(t, sender, Tuning{})
	b.publish(t, tasks(campaign.NewID(), sender, 3)...)
	// Fewer than asked for, long before FetchWait: the test's own timeout
	// would end it otherwise.
	for _, d := range fetch(t, c, 3) {
		if err := d.Ack(); err != nil {
			t.Error(err)
		}
	}
	// A fetch whose caller goes away loses nothing: the next call has its
	// tasks.
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("intake stopped")
	done := make(chan error, 1)
	go func() {
		_, err := c.Fetch(ctx, 10)
		done <- err
	}()
	cancel(stop)
	if err := <-done; !errors.Is(err, stop) {
		t.Errorf("fetch ended with %v, want the context's cause", err)
	}
	b.publish(t, task(campaign.NewID(), sender, 4))
	if d := fetch(t, c, 1)[0]; d.NumDelivered != 1 {
		t.Errorf("the task was delivered %d times: the first was lost", d.NumDelivered)
	}
}

func TestClosedConsumerGivesBack(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	sender := campaign.NewSenderID()
	c := b.sender(t, sender, Tuning{})
	b.publish(t, tasks(campaign.NewID(), sender, 10)...)
	got := fetchSome(t, c, 1, 10) // nine more are on their way to this consumer
	c.Close()
	c.Close()
	if _, err := c.Fetch(t.Context(), 1); !errors.Is(err, ErrClosed) {
		t.Errorf("fetch after Close: %v, want ErrClosed", err)
	}
	if err := got.Ack(); err != nil { // can still be settled
		t.Fatal(err)
	}
	// AckWait is 75 s here, so they can only come by being given back.
	for _, d := range fetch(t, b.sender(t, sender, Tuning{}), 9) {
		if err := d.Ack(); err != nil {
			t.Error(err)
		}
	}
	b.waitForMessages(t, 0)
}

// fetchSome opens a fetch for open tasks, and takes the first.
func fetchSome(t *testing.T, c *Consumer, take, open int) Delivery {
	t.Helper()
	c.mu.Lock()
	batch, err := c.pull.Fetch(open, jetstream.FetchMaxWait(c.conn.cfg.FetchWait))
	if err != nil {
		t.Fatal(err)
	}
	c.open = batch
	c.mu.Unlock()
	return fetch(t, c, take)[0]
}

func TestUndecodableIsDroppedOnce(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *Config) { c.AckWait = 200 * time.Millisecond })
	id, sender := campaign.NewID(), campaign.NewSenderID()
	c := b.sender(t, sender, Tuning{})
	subject := b.conn.shards[0].task(sender, id)
	other := `{"campaign":"` + string(id) + `","seq":1,"gen":1,"sender":"snd_other"}`
	for _, data := range []string{"", "{", `{"seq":"+15550100"}`, "{}", other} {
		if _, err := b.conn.js.Publish(t.Context(), subject, []byte(data)); err != nil {
			t.Fatal(err)
		}
	}
	b.publish(t, task(id, sender, 7))
	got := fetch(t, c, 1)
	if got[0].Task.Seq != 7 {
		t.Errorf("got task %d, want 7", got[0].Task.Seq)
	}
	if n := b.conn.Undecodable(); n != 5 {
		t.Errorf("%d undecodable messages counted, want 5", n)
	}
	b.waitForMessages(t, 1)
	if log := b.log.String(); !strings.Contains(log, "holds no task") || strings.Contains(log, "5550100") {
		t.Errorf("log must tell of the message and not quote it:\n%s", log)
	}
}

func TestTooLargeIsForGood(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	id, sender := campaign.NewID(), campaign.NewSenderID()
	all := tasks(id, sender, 4)
	all[1].Message.Text = strings.Repeat("x", 200<<10) // over the stream's limit
	all[2].Message.Text = strings.Repeat("x", 2<<20)   // over the server's
	failed, err := b.conn.Publish(t.Context(), all)
	if err != nil {
		t.Fatal(err)
	}
	if len(failed) != 2 {
		t.Fatalf("%d tasks failed, want 2", len(failed))
	}
	for _, f := range failed {
		if f.Task.Seq != 2 && f.Task.Seq != 3 {
			t.Errorf("task %d failed", f.Task.Seq)
		}
		if !errors.Is(f.Err, ErrTooLarge) || errors.Is(f.Err, ErrFull) {
			t.Errorf("task %d failed with %v, want ErrTooLarge", f.Task.Seq, f.Err)
		}
	}
	if n := b.messages(t); n != 2 {
		t.Errorf("the stream holds %d tasks, want the other 2", n)
	}
}

func TestFullIsBackPressure(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *Config) { c.MaxMsgs = 10 })
	id, sender := campaign.NewID(), campaign.NewSenderID()
	c := b.sender(t, sender, Tuning{})
	failed, err := b.conn.Publish(t.Context(), tasks(id, sender, 15))
	if err != nil {
		t.Fatal(err)
	}
	if len(failed) != 5 {
		t.Fatalf("%d tasks failed on a stream for 10 of 15, want 5", len(failed))
	}
	rest := make([]campaign.Task, 0, 5)
	for _, f := range failed {
		if !errors.Is(f.Err, ErrFull) || errors.Is(f.Err, ErrTooLarge) {
			t.Errorf("task %d failed with %v, want ErrFull", f.Task.Seq, f.Err)
		}
		rest = append(rest, f.Task)
	}
	if err := b.conn.Healthy(t.Context()); err != nil {
		t.Errorf("a full stream is unhealthy: %v", err)
	}
	for _, d := range fetch(t, c, 10) {
		if err := d.Ack(); err != nil {
			t.Error(err)
		}
	}
	b.waitForMessages(t, 0)
	b.publish(t, rest...)
}

func TestRepeatedHandOverIsStoredOnce(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	a := task(campaign.NewID(), campaign.NewSenderID(), 1)
	b.publish(t, a, a)
	next := a
	next.Gen++
	b.publish(t, next)
	if n := b.messages(t); n != 2 {
		t.Errorf("the stream holds %d messages for two generations, one of them twice; want 2", n)
	}
}

func TestInvalidIDsAreRefused(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	for _, bad := range []string{"", "a.b", "*", ">", "a b", "é"} {
		ok := task(campaign.NewID(), campaign.NewSenderID(), 1)
		badSender, badCampaign := ok, ok
		badSender.Sender = campaign.SenderID(bad)
		badCampaign.Campaign = campaign.ID(bad)
		failed, err := b.conn.Publish(t.Context(), []campaign.Task{badSender, badCampaign})
		if err != nil || len(failed) != 2 {
			t.Errorf("%q: %d failed, %v, want both to fail", bad, len(failed), err)
		}
		if _, err := b.conn.Sender(t.Context(), campaign.SenderID(bad), Tuning{}); campaign.CodeOf(err) != campaign.CodeInvalid {
			t.Errorf("consumer of %q: %v, want invalid", bad, err)
		}
		if err := b.conn.Purge(t.Context(), campaign.ID(bad)); campaign.CodeOf(err) != campaign.CodeInvalid {
			t.Errorf("purge of %q: %v, want invalid", bad, err)
		}
	}
	if n := b.messages(t); n != 0 {
		t.Errorf("%d messages stored", n)
	}
}

func TestPurgeWithATaskInFlight(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *Config) { c.AckWait = 300 * time.Millisecond })
	gone, stays := campaign.NewID(), campaign.NewID()
	sender := campaign.NewSenderID()
	c := b.sender(t, sender, Tuning{})
	b.publish(t, tasks(gone, sender, 20)...)
	inFlight := fetch(t, c, 2)
	b.publish(t, tasks(stays, sender, 3)...)

	if err := b.conn.Purge(t.Context(), gone); err != nil {
		t.Fatal(err)
	}
	for _, d := range inFlight {
		if err := d.Ack(); err != nil {
			t.Errorf("ack of a purged task: %v", err)
		}
	}
	for _, d := range fetch(t, c, 3) {
		if d.Task.Campaign != stays {
			t.Errorf("a purged task was delivered: %d", d.Task.Seq)
		}
		if err := d.Ack(); err != nil {
			t.Error(err)
		}
	}
	b.waitForMessages(t, 0)
	fetchNone(t, c)
	if err := b.conn.Purge(t.Context(), campaign.NewID()); err != nil {
		t.Errorf("purge of an unknown campaign: %v", err)
	}
}

// fetchUntil fetches until an error comes.
func fetchUntil(t *testing.T, c *Consumer, want error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for {
		_, err := c.Fetch(ctx, 10)
		if errors.Is(err, want) {
			return
		}
		if err != nil && !errors.Is(err, ErrUnavailable) {
			t.Fatalf("fetch: %v, want %v", err, want)
		}
	}
}

func TestStreamHeals(t *testing.T) {
	t.Parallel()
	for name, harm := range map[string]func(*testing.T, *testBundle){
		"deleted": func(t *testing.T, b *testBundle) {
			t.Helper()
			if err := b.conn.js.DeleteStream(t.Context(), "HERALD"); err != nil {
				t.Fatal(err)
			}
		},
		"deleted and made anew by another process": func(t *testing.T, b *testBundle) {
			t.Helper()
			if err := b.conn.js.DeleteStream(t.Context(), "HERALD"); err != nil {
				t.Fatal(err)
			}
			if _, err := b.conn.js.CreateStream(t.Context(), b.conn.streamConfig(b.conn.shards[0])); err != nil {
				t.Fatal(err)
			}
		},
		"server restarted, memory gone": func(t *testing.T, b *testBundle) {
			t.Helper()
			if err := b.server.Restart(t.Context()); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, nil)
			id := campaign.NewID()
			senders := []campaign.SenderID{campaign.NewSenderID(), campaign.NewSenderID()}
			consumers := []*Consumer{b.sender(t, senders[0], Tuning{}), b.sender(t, senders[1], Tuning{})}
			b.publish(t, tasks(id, senders[0], 3)...)

			harm(t, b)
			for i, c := range consumers {
				fetchUntil(t, c, ErrRecreated)
				again := task(id, senders[i], int64(9+i))
				again.Gen = 2
				b.publish(t, again)
				d := fetch(t, c, 1)[0]
				if d.Task.Gen != 2 {
					t.Errorf("got generation %d, want 2", d.Task.Gen)
				}
				if err := d.Ack(); err != nil {
					t.Error(err)
				}
			}
			if n := b.recreated.Load(); n != 1 {
				t.Errorf("OnRecreated was called %d times, want once", n)
			}
		})
	}
}

func TestPublishHealsToo(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	sender := campaign.NewSenderID()
	if err := b.conn.js.DeleteStream(t.Context(), "HERALD"); err != nil {
		t.Fatal(err)
	}
	all := tasks(campaign.NewID(), sender, 3)
	failed, err := b.conn.Publish(t.Context(), all)
	if err != nil || len(failed) != 3 {
		t.Fatalf("publish without a stream: %d failed, %v, want 3", len(failed), err)
	}
	for _, f := range failed {
		if !errors.Is(f.Err, ErrUnavailable) {
			t.Errorf("failed with %v, want ErrUnavailable", f.Err)
		}
	}
	if n := b.recreated.Load(); n != 1 {
		t.Errorf("OnRecreated was called %d times, want once", n)
	}
	b.publish(t, all...)
}

func TestHealthyHeals(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	if err := b.conn.Healthy(t.Context()); err != nil {
		t.Errorf("healthy: %v", err)
	}
	if n := b.messages(t); n != 0 {
		t.Errorf("%d canaries stayed in the stream", n)
	}
	if err := b.conn.js.DeleteStream(t.Context(), "HERALD"); err != nil {
		t.Fatal(err)
	}
	if err := b.conn.Healthy(t.Context()); err != nil {
		t.Errorf("healthy after the stream was deleted: %v", err)
	}
	if n := b.recreated.Load(); n != 1 {
		t.Errorf("OnRecreated was called %d times, want once", n)
	}
}

func TestConsumerDeletedLosesNothing(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	sender := campaign.NewSenderID()
	c := b.sender(t, sender, Tuning{})
	b.publish(t, tasks(campaign.NewID(), sender, 3)...)
	fetchSome(t, c, 1, 1)
	if err := b.conn.js.DeleteConsumer(t.Context(), "HERALD", string(sender)); err != nil {
		t.Fatal(err)
	}
	if got := fetch(t, c, 3); len(got) != 3 { // the one in hand again, too
		t.Errorf("%d tasks after the consumer was deleted, want 3", len(got))
	}
	if n := b.recreated.Load(); n != 0 {
		t.Errorf("OnRecreated was called %d times for a stream that was there", n)
	}
}

func TestPublishWithoutAServer(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *Config) { c.PublishTimeout = 300 * time.Millisecond })
	b.server.Close()
	start := time.Now()
	failed, err := b.conn.Publish(t.Context(), tasks(campaign.NewID(), campaign.NewSenderID(), 5))
	if err != nil || len(failed) != 5 {
		t.Fatalf("publish without a server: %d failed, %v, want all 5", len(failed), err)
	}
	for _, f := range failed {
		if !errors.Is(f.Err, ErrUnavailable) {
			t.Errorf("failed with %v, want ErrUnavailable", f.Err)
		}
	}
	t.Logf("gave up after %v", time.Since(start))
	if err := b.conn.Healthy(t.Context()); campaign.CodeOf(err) != campaign.CodeUnavailable {
		t.Errorf("healthy without a server: %v, want unavailable", err)
	}
}

// TestPublishThatHangsEnds: with the product's own deadline, on a server that is
// gone. The test's own deadline would show a hang.
func TestPublishThatHangsEnds(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *Config) { c.PublishTimeout = 0 })
	b.server.Stop()
	start := time.Now()
	failed, err := b.conn.Publish(t.Context(), tasks(campaign.NewID(), campaign.NewSenderID(), 5))
	if err != nil || len(failed) != 5 {
		t.Errorf("publish gave up after %v with %d failed, %v; want all 5", time.Since(start), len(failed), err)
	}
}

func TestPublishEndsWithItsContext(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("feeder stopped")
	cancel(stop)
	failed, err := b.conn.Publish(ctx, tasks(campaign.NewID(), campaign.NewSenderID(), 5))
	if !errors.Is(err, stop) || len(failed) != 5 || !errors.Is(failed[4].Err, stop) {
		t.Errorf("publish on a canceled context: %d failed, %v", len(failed), err)
	}
}

func TestManySendersShutDown(t *testing.T) {
	t.Parallel()
	n := 1000
	if testing.Short() {
		n = 100
	}
	b := setup(t, func(c *Config) { c.FetchWait = time.Minute }) // would not end by itself
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var loops sync.WaitGroup
	var first sync.WaitGroup
	first.Add(n)
	for range n {
		sender := campaign.NewSenderID()
		c := b.sender(t, sender, Tuning{PerSecond: 1})
		b.publish(t, task(campaign.NewID(), sender, 1))
		loops.Go(func() {
			once := sync.OnceFunc(first.Done)
			defer once()
			for {
				got, err := c.Fetch(ctx, 1)
				if err != nil {
					return
				}
				for _, d := range got {
					if err := d.Ack(); err != nil {
						t.Error(err)
					}
					once()
				}
			}
		})
	}
	first.Wait() // every sender sent, and waits for more
	start := time.Now()
	cancel()
	loops.Wait()
	if err := b.conn.Close(context.WithoutCancel(ctx)); err != nil {
		t.Errorf("close: %v", err)
	}
	b.server.Close()
	t.Logf("%d senders shut down in %v", n, time.Since(start))
	// TestMain looks for goroutines left behind.
}

func TestCloseIsFinal(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	sender := campaign.NewSenderID()
	c := b.sender(t, sender, Tuning{})
	fetching := make(chan error, 1)
	go func() {
		for {
			if _, err := c.Fetch(context.WithoutCancel(t.Context()), 1); err != nil {
				fetching <- err
				return
			}
		}
	}()
	for range 2 {
		if err := b.conn.Close(t.Context()); err != nil {
			t.Errorf("close: %v", err)
		}
	}
	if err := <-fetching; !errors.Is(err, ErrClosed) {
		t.Errorf("a fetch ended with %v, want ErrClosed", err)
	}
	failed, err := b.conn.Publish(t.Context(), tasks(campaign.NewID(), sender, 2))
	if !errors.Is(err, ErrClosed) || len(failed) != 2 {
		t.Errorf("publish after Close: %d failed, %v, want ErrClosed", len(failed), err)
	}
	if _, err := b.conn.Sender(t.Context(), sender, Tuning{}); err == nil {
		t.Error("a consumer was made after Close")
	}
}

func TestAcksAreDrained(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *Config) { c.Storage = StorageFile })
	sender := campaign.NewSenderID()
	c := b.sender(t, sender, Tuning{InFlight: 100})
	b.publish(t, tasks(campaign.NewID(), sender, 200)...)
	for _, d := range fetch(t, c, 200) {
		if err := d.Ack(); err != nil {
			t.Error(err)
		}
	}
	if err := b.conn.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	second := connect(t, Config{InProcess: b.server, Storage: StorageFile, FetchWait: 200 * time.Millisecond})
	(&testBundle{conn: second}).waitForMessages(t, 0)
}

func TestStorageCanBeChanged(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *Config) { c.Storage = StorageFile })
	if err := b.conn.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	second := connect(t, Config{InProcess: b.server, FetchWait: 200 * time.Millisecond})
	str, err := second.js.Stream(t.Context(), "HERALD")
	if err != nil {
		t.Fatal(err)
	}
	if got := str.CachedInfo().Config.Storage; got != jetstream.MemoryStorage {
		t.Errorf("storage is %v after it was configured to memory", got)
	}
}

func TestStreamHasTheSettledValues(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	str, err := b.conn.js.Stream(t.Context(), "HERALD")
	if err != nil {
		t.Fatal(err)
	}
	got := str.CachedInfo().Config
	type values struct {
		Subjects     []string
		Retention    jetstream.RetentionPolicy
		Discard      jetstream.DiscardPolicy
		MaxMsgs      int64
		MaxBytes     int64
		MaxAge       time.Duration
		MaxMsgSize   int32
		Duplicates   time.Duration
		MaxConsumers int
		Replicas     int
		Storage      jetstream.StorageType
	}
	want := values{
		[]string{"herald.send.>", "herald.canary"},
		jetstream.WorkQueuePolicy, jetstream.DiscardNew,
		200_000, 256 << 20, time.Hour, 128 << 10, 5 * time.Second, 10_000, 1, jetstream.MemoryStorage,
	}
	if diff := cmp.Diff(want, values{
		got.Subjects, got.Retention, got.Discard, got.MaxMsgs, got.MaxBytes, got.MaxAge, got.MaxMsgSize,
		got.Duplicates, got.MaxConsumers, got.Replicas, got.Storage,
	}); diff != "" {
		t.Errorf("stream (-want +got):\n%s", diff)
	}

	sender := campaign.NewSenderID()
	consumer := b.sender(t, sender, Tuning{PerSecond: 2, InFlight: 16, HTTPTimeout: 20 * time.Second})
	info := consumer.pull.CachedInfo().Config
	if info.Durable != string(sender) || info.FilterSubject != "herald.send."+string(sender)+".>" ||
		info.AckWait != 55500*time.Millisecond || info.MaxAckPending != 32 || info.MaxDeliver != -1 ||
		info.InactiveThreshold != time.Hour || info.AckPolicy != jetstream.AckExplicitPolicy {
		t.Errorf("consumer: %+v", info)
	}
	// Another tuning changes it in place.
	b.sender(t, sender, Tuning{InFlight: 64})
	c, err := b.conn.js.Consumer(t.Context(), "HERALD", string(sender))
	if err != nil {
		t.Fatal(err)
	}
	if got := c.CachedInfo().Config.MaxAckPending; got != 128 {
		t.Errorf("MaxAckPending is %d after retuning, want 128", got)
	}
}

func TestTuning(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		tuning  Tuning
		batch   int
		ackWait time.Duration
		pending int
	}{
		"defaults":   {Tuning{}, 256, 75 * time.Second, 16},
		"one a min":  {Tuning{PerSecond: 1.0 / 60}, 1, 135 * time.Second, 16},
		"100/s":      {Tuning{PerSecond: 100, InFlight: 20}, 25, 75*time.Second + 250*time.Millisecond, 40},
		"fast":       {Tuning{PerSecond: 5000, InFlight: 64, HTTPTimeout: time.Second}, 256, 30 * time.Second, 128},
		"many calls": {Tuning{InFlight: 1000}, 256, 75 * time.Second, 512},
		"very slow":  {Tuning{PerSecond: 1e-12}, 1, 24*time.Hour + 75*time.Second, 16},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tuning := tc.tuning.withDefaults()
			if got := tuning.batch(); got != tc.batch {
				t.Errorf("batch %d, want %d", got, tc.batch)
			}
			if got := tuning.ackWait().Round(time.Millisecond); got != tc.ackWait {
				t.Errorf("AckWait %v, want %v", got, tc.ackWait)
			}
			if got := tuning.ackPending(); got != tc.pending {
				t.Errorf("MaxAckPending %d, want %d", got, tc.pending)
			}
		})
	}
}

func TestConnectRefusesWrongConfig(t *testing.T) {
	t.Parallel()
	for want, cfg := range map[string]Config{
		"InProcess or URL": {},
		"exclude":          {InProcess: &natsd.Server{}, URL: "nats://127.0.0.1:1"},
		"Name":             {URL: "nats://127.0.0.1:1", Name: "a.b"},
		"Storage":          {URL: "nats://127.0.0.1:1", Storage: "tape"},
		"Replicas":         {URL: "nats://127.0.0.1:1", Replicas: 9},
		"Shards":           {URL: "nats://127.0.0.1:1", Shards: -1},
		"MaxMsgs":          {URL: "nats://127.0.0.1:1", MaxMsgs: -1},
		"AckWait":          {URL: "nats://127.0.0.1:1", AckWait: -1},
	} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			if _, err := Connect(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("Connect: %v, want an error that says %q", err, want)
			}
		})
	}
}

func TestConnectWaitsOnlyAsLongAsAsked(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	const secret = "s3cr3t-t0ken"
	_, err := Connect(ctx, Config{URL: "nats://" + secret + "@127.0.0.1:1"})
	if campaign.CodeOf(err) != campaign.CodeUnavailable || len(campaign.HintsOf(err)) == 0 {
		t.Errorf("Connect to nothing: %v, want unavailable with a hint", err)
	}
	_, bad := Connect(ctx, Config{URL: "nats://" + secret + "@[::1:99999999"})
	for _, err := range []error{err, bad} {
		if err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("error %v is missing or tells the token", err)
		}
	}
}

func TestErrorsAreTold(t *testing.T) {
	t.Parallel()
	api := func(code jetstream.ErrorCode) error { return &jetstream.APIError{ErrorCode: code, Code: 503} }
	for name, tc := range map[string]struct{ err, want error }{
		"limit reached":  {api(10077), ErrFull},
		"no memory left": {api(10023), ErrFull},
		"no disk left":   {api(10047), ErrFull},
		"stalled":        {jetstream.ErrTooManyStalledMsgs, ErrFull},
		"over stream":    {api(10054), ErrTooLarge},
		"over server":    {nats.ErrMaxPayload, ErrTooLarge},
		"closed":         {nats.ErrConnectionClosed, ErrClosed},
		"no answer":      {jetstream.ErrAsyncPublishTimeout, ErrUnavailable},
		"no stream":      {jetstream.ErrNoStreamResponse, ErrUnavailable},
		"anything else":  {errors.New("boom"), ErrUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := publishError(tc.err)
			for _, kind := range []error{ErrFull, ErrTooLarge, ErrClosed, ErrUnavailable} {
				if errors.Is(got, kind) != (kind == tc.want) { //nolint:errorlint // which of the four, exactly
					t.Errorf("%v: errors.Is(%v) = %v", got, kind, !errors.Is(got, tc.want))
				}
			}
		})
	}
}
