package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/internal/oracle"
	"github.com/herald-campaigns/herald/sandbox"
	"github.com/herald-campaigns/herald/status"
)

func TestMain(m *testing.M) {
	if runChild() {
		return
	}
	waitTogether()
	goleak.VerifyTestMain(m)
}

// waitTogether lets more tests run at once than there are processors, unless the
// command line says how many: they wait for clocks most of the time.
func waitTogether() {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given {
		_ = flag.Set("test.parallel", strconv.Itoa(2*runtime.GOMAXPROCS(0)))
	}
}

// patience bounds every wait for what will come. It decides no test: one that
// waits this long has failed.
const patience = 3 * time.Minute

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
		"poll.per_second": 2000.0, "listen": "127.0.0.1:0",
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

// number is a person's number, from a block that belongs to nobody; i is below
// a million.
func number(i int) string { return fmt.Sprintf("919999%06d", (990_000+i)%1_000_000) }

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
	if a.tuning.reconciler.SettleFloor == 0 {
		a.tuning.reconciler = quick()
	}
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

// audit closes every test: the ledger and the provider's own log agree, and
// nobody got two messages (package oracle).
func (th *theater) audit(a *App) oracle.Finding {
	th.t.Helper()
	return judge(th.t, a, th.sim, false)
}

// judge is audit for any provider. interrupted: the last process on the ledger
// was killed.
func judge(t *testing.T, a *App, sim *sandbox.Server, interrupted bool) oracle.Finding {
	t.Helper()
	found, err := oracle.Judge(context.WithoutCancel(t.Context()), oracle.Case{
		Ledger: a.store, Acceptances: slices.Values(sim.Acceptances()), Interrupted: interrupted,
	})
	if err := errors.Join(err, found.Err()); err != nil {
		t.Error(err)
	}
	return found
}

// wantTotals compares statuses, leaving out those that are zero. How far an
// accepted message has come since does not matter, unless want names it, nor
// whether a pause that was just made has brought every waiting row back yet.
func wantTotals(t *testing.T, got campaign.Totals, want map[campaign.Status]int64) {
	t.Helper()
	counts := map[campaign.Status]int64{}
	for status, n := range got.ByStatus {
		if _, named := want[status]; !named && status.Evident() && status != campaign.StatusFailed {
			status = campaign.StatusQueued
		}
		if _, named := want[status]; !named && status.Waiting() {
			status = campaign.StatusPending
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
	forget  bool          // bodies are not kept: there are too many

	mu     sync.Mutex
	calls  int // sends so far
	alarms []alarm
	server *http.Server
	done   chan struct{}
	bodies []sent
	codes  map[int]int // answers to sends; 0 is none
	broken int         // sends whose body never came whole
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
	var listener net.Listener
	var err error
	for until := time.Now().Add(patience); ; <-time.After(10 * time.Millisecond) { // somebody else's for a moment
		listener, err = new(net.ListenConfig).Listen(a.t.Context(), "tcp", a.address)
		if err == nil || time.Now().After(until) {
			break
		}
	}
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
	if !a.forget && !a.keep(r) {
		return
	}
	a.mu.Lock()
	a.calls++
	a.ring()
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

// keep notes what is sent, and says whether the client lived to send it whole.
func (a *api) keep(r *http.Request) bool {
	content, err := io.ReadAll(r.Body)
	if err != nil {
		a.mu.Lock()
		a.broken++
		a.mu.Unlock()
		return false
	}
	r.Body = io.NopCloser(bytes.NewReader(content))
	var body sent
	if err := json.Unmarshal(content, &body); err != nil {
		a.t.Errorf("a send that is no JSON: %v", err)
	}
	body.at = time.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.bodies = append(a.bodies, body)
	return true
}

// alarm is closed when so many sends were seen.
type alarm struct {
	at    int
	reach chan struct{}
}

// after is closed when n more sends have been seen.
func (a *api) after(n int) <-chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	due := alarm{at: a.calls + n, reach: make(chan struct{})}
	a.alarms = append(a.alarms, due)
	a.ring()
	return due.reach
}

// brokenOff is how many sends ended in the middle of their body.
func (a *api) brokenOff() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.broken
}

// count is how many sends have been seen.
func (a *api) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.calls
}

// ring closes the alarms that are due; the caller holds mu.
func (a *api) ring() {
	a.alarms = slices.DeleteFunc(a.alarms, func(due alarm) bool {
		if a.calls < due.at {
			return false
		}
		close(due.reach)
		return true
	})
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
