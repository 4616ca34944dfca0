package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/sandbox"
	"github.com/herald-campaigns/herald/status"
	"github.com/herald-campaigns/herald/storage"
)

func TestMain(m *testing.M) {
	if runChild() {
		return
	}
	goleak.VerifyTestMain(m)
}

const (
	testToken  = "planted-token-4711"
	testSender = "12015550123"
)

// theater is a provider, a data directory and the files of a campaign: a whole
// installation, in which only the people are missing.
type theater struct {
	t      *testing.T
	dir    string
	cfg    Config
	log    *logBook
	sim    *sandbox.Server
	api    *api
	tuning tuning
}

// newTheater starts a provider behind real HTTP. configure may be nil.
func newTheater(t *testing.T, configure func(*sandbox.Config)) *theater {
	t.Helper()
	config := sandbox.Config{Seed: 7, Instant: true, AnyPhone: true, Tokens: []string{testToken}, Outcomes: &sandbox.Outcomes{Read: 1}}
	if configure != nil {
		configure(&config)
	}
	sim, err := sandbox.New(config)
	check(t, err)
	t.Cleanup(func() { check(t, sim.Close()) })
	th := &theater{t: t, dir: t.TempDir(), log: &logBook{}, sim: sim, api: newAPI(t, sim.Handler())}
	th.cfg, err = LoadConfig(ConfigSource{File: th.write("herald.yaml", "log: {level: debug}\n"), Flags: map[string]any{
		"mode": "live", "data_dir": filepath.Join(th.dir, "data"), "periskope.base_url": th.api.url(), "periskope.token": testToken,
		"poll.per_second": 2000.0,
	}})
	check(t, err)
	return th
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (th *theater) write(name, content string) string {
	th.t.Helper()
	path := filepath.Join(th.dir, name)
	check(th.t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

// number is a person's number, from a block that belongs to nobody.
func number(i int) string { return fmt.Sprintf("91999999%04d", i) }

func rows(from, to int) string {
	var b strings.Builder
	b.WriteString("phone,name\n")
	for i := from; i <= to; i++ {
		fmt.Fprintf(&b, "+%s,Person %d\n", number(i), i)
	}
	return b.String()
}

// text writes a campaign of n rows; more is appended to the file.
func (th *theater) text(n int, more string) string {
	th.t.Helper()
	th.write("recipients.csv", rows(1, n))
	if !strings.Contains(more, "pace:") {
		more += "pace: { rate: unlimited, in_flight: 8 }\n"
	}
	return th.write("campaign.yaml", "name: A test\nrecipients: { csv: recipients.csv, phone: phone }\n"+
		"message: { text: \"Hi {{ name }}, the secret word is marzipan\" }\nsenders: [\""+testSender+"\"]\n"+more)
}

func (th *theater) open() *App {
	th.t.Helper()
	a, err := Open(th.t.Context(), th.cfg, slog.New(slog.NewJSONHandler(th.log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	check(th.t, err)
	a.tuning = th.tuning
	a.tuning.reconciler = quick()
	return a
}

// quick is reconciliation for a provider that shows at once what it took.
func quick() status.ReconcilerConfig {
	return status.ReconcilerConfig{
		CallTimeout: 200 * time.Millisecond, SettleFloor: 500 * time.Millisecond, PassGap: 200 * time.Millisecond,
		Retry: 100 * time.Millisecond, Idle: 50 * time.Millisecond, SampleEvery: 100 * time.Millisecond, SampleFirst: 5 * time.Millisecond,
	}
}

// run runs the file in an application of its own, and checks the books.
func (th *theater) run(ctx context.Context, file string, prepare PrepareOptions, run RunOptions) (RunResult, error) {
	th.t.Helper()
	a := th.open()
	result, err := runIn(ctx, a, file, prepare, run)
	th.audit(a)
	check(th.t, a.Close())
	return result, err
}

func runIn(ctx context.Context, a *App, file string, prepare PrepareOptions, run RunOptions) (RunResult, error) {
	prepared, err := a.Prepare(ctx, file, prepare)
	if err != nil {
		return RunResult{}, err
	}
	if run.Wait == "" {
		run.Wait = WaitAccepted
	}
	return a.Run(ctx, prepared, run)
}

// mustRun is run to the end, without an error.
func (th *theater) mustRun(file string, prepare PrepareOptions) RunResult {
	th.t.Helper()
	ctx, cancel := context.WithTimeout(th.t.Context(), time.Minute)
	defer cancel()
	result, err := th.run(ctx, file, prepare, RunOptions{})
	if err != nil || result.Interrupted || result.Totals.Unsubmitted() > 0 {
		th.t.Fatalf("run: %v, %v, interrupted %t", err, result.Totals.ByStatus, result.Interrupted)
	}
	return result
}

// audit is the oracle that closes every test: the books balance and are true,
// nobody got two messages, and every row that says it was accepted was, under
// the id it names.
func (th *theater) audit(a *App) {
	th.t.Helper()
	auditAgainst(th.t, a.store, th.sim)
}

func auditAgainst(t *testing.T, store *storage.Store, sim *sandbox.Server) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	check(t, store.IntegrityCheck(ctx))
	taken := map[string]sandbox.Acceptance{}
	for _, acceptance := range sim.Acceptances() {
		key := acceptance.ChatID + " " + acceptance.Body
		if _, twice := taken[key]; twice {
			t.Errorf("chat %s got its message twice", campaign.ChatID(acceptance.ChatID))
		}
		taken[key] = acceptance
	}
	byQueueID := map[string]sandbox.Acceptance{}
	for _, acceptance := range taken {
		byQueueID[acceptance.QueueID] = acceptance
	}
	campaigns, err := store.Campaigns(ctx)
	check(t, err)
	claimed := map[string]bool{}
	for _, c := range campaigns {
		totals, err := store.Totals(ctx, c.ID)
		check(t, err)
		counted, err := store.Recount(ctx, c.ID)
		check(t, err)
		if diff := cmp.Diff(counted.ByStatus, totals.ByStatus); diff != "" {
			t.Errorf("totals (-counted +kept):\n%s", diff)
		}
		if c.State != campaign.StateDraft && !totals.Balanced(c.Rows()) {
			t.Errorf("%d rows were read, %d are accounted for", c.Rows(), totals.Sum())
		}
		for r, err := range store.Recipients(ctx, c.ID, storage.Filter{}) {
			check(t, err)
			if r.QueueID == "" {
				if r.Status.Evident() && r.FailReason != campaign.FailRejected && r.FailReason != campaign.FailTooLarge {
					t.Errorf("row %d is %s without a queue id", r.Seq, r.Status)
				}
				if r.Status == campaign.StatusUnknown {
					claimed[string(r.Chat)] = true
				}
				continue
			}
			acceptance, ok := byQueueID[r.QueueID]
			if !ok || acceptance.ChatID != string(r.Chat) {
				t.Errorf("row %d is %s under a queue id that the provider gave to somebody else, or to nobody", r.Seq, r.Status)
			}
			claimed[string(r.Chat)] = true
		}
	}
	for _, acceptance := range taken {
		if !claimed[acceptance.ChatID] {
			t.Errorf("the provider took a message to %s that no row knows of", campaign.ChatID(acceptance.ChatID))
		}
	}
}

// wantTotals compares statuses, leaving out those that are zero. How far an
// accepted message has come since does not matter, unless want names it.
func wantTotals(t *testing.T, got campaign.Totals, want map[campaign.Status]int64) {
	t.Helper()
	counts := map[campaign.Status]int64{}
	for status, n := range got.ByStatus {
		if _, named := want[status]; !named && status.Evident() && status != campaign.StatusFailed {
			status = campaign.StatusQueued
		}
		if n != 0 {
			counts[status] += n
		}
	}
	if diff := cmp.Diff(want, counts); diff != "" {
		t.Errorf("totals (-want +got):\n%s", diff)
	}
}

// api is the provider behind HTTP: it can go away and come back at the same
// address, and keeps what it was sent.
type api struct {
	t       *testing.T
	handler http.Handler
	address string
	sends   chan struct{} // a token for each send, as far as there is room

	mu     sync.Mutex
	server *http.Server
	done   chan struct{}
	bodies []sent
	codes  map[int]int // answers to sends; 0 is none
}

// sent is the body of a send.
type sent struct {
	ChatID  string
	Message string
	ReplyTo string `json:"reply_to"`
	Options map[string]any
	Media   map[string]string
	Poll    struct {
		PollName    string
		PollOptions []string
		Options     map[string]any
	}
	at time.Time
}

func (s *sent) UnmarshalJSON(text []byte) error {
	type plain sent
	var in struct {
		plain
		ChatID string `json:"chat_id"`
	}
	if err := json.Unmarshal(text, &in); err != nil {
		return err
	}
	*s = sent(in.plain)
	s.ChatID = in.ChatID
	return nil
}

func newAPI(t *testing.T, handler http.Handler) *api {
	t.Helper()
	a := &api{t: t, handler: handler, address: "127.0.0.1:0", sends: make(chan struct{}, 1), codes: map[int]int{}}
	a.up()
	t.Cleanup(a.down)
	return a
}

func (a *api) url() string { return "http://" + a.address + "/v1" }

func (a *api) up() {
	a.t.Helper()
	listener, err := new(net.ListenConfig).Listen(a.t.Context(), "tcp", a.address)
	check(a.t, err)
	server, done := &http.Server{Handler: a, ReadHeaderTimeout: time.Minute, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, 0)}, make(chan struct{})
	go func() {
		defer close(done)
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			a.t.Error(err)
		}
	}()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.address, a.server, a.done = listener.Addr().String(), server, done
}

// down answers the requests under way and goes away.
func (a *api) down() {
	a.mu.Lock()
	server, done := a.server, a.done
	a.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(a.t.Context()), 5*time.Second)
	defer cancel()
	if server.Shutdown(ctx) != nil {
		_ = server.Close()
	}
	<-done
}

func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !strings.HasSuffix(r.URL.Path, "/message/send") {
		a.handler.ServeHTTP(w, r)
		return
	}
	content, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client died in the middle of it
	}
	r.Body = io.NopCloser(bytes.NewReader(content))
	var body sent
	if err := json.Unmarshal(content, &body); err != nil {
		a.t.Errorf("a send that is no JSON: %v", err)
	}
	body.at = time.Now()
	a.mu.Lock()
	a.bodies = append(a.bodies, body)
	a.mu.Unlock()
	select {
	case a.sends <- struct{}{}:
	default:
	}
	answer := &answerWatcher{ResponseWriter: w}
	defer func() {
		a.mu.Lock()
		a.codes[answer.status]++
		a.mu.Unlock()
	}()
	a.handler.ServeHTTP(answer, r)
}

func (a *api) sentBodies() []sent {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.bodies)
}

// answered is how many sends got an answer with one of the codes.
func (a *api) answered(codes ...int) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	n := 0
	for _, code := range codes {
		n += a.codes[code]
	}
	return n
}

type answerWatcher struct {
	http.ResponseWriter
	status int
}

func (w *answerWatcher) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

func (w *answerWatcher) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// logBook keeps a log.
type logBook struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logBook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logBook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// whenAccepted calls act once, when at least n messages were accepted.
func whenAccepted(n int64, act func()) func(Progress) {
	var once sync.Once
	return func(p Progress) {
		if p.Accepted() >= n {
			once.Do(act)
		}
	}
}
