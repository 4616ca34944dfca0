package app_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/internal/oracle"
	"github.com/herald-campaigns/herald/sandbox"
	"github.com/herald-campaigns/herald/storage"
)

// The soak: the real binary for a long time at a steady pace, against an API
// that loses one answer in a hundred and now and then fails or says 429.
//
//	HERALD_BENCH_SOAK_MINUTES=30 go test -run '^$' -bench Soak -benchtime 1x -v -timeout 60m ./internal/app

const (
	soakPace    = 40               // messages a second and sender, as far as the 429s allow
	soakSettles = 5 * time.Minute  // at most, for what is unknown when the time is over
	soakLooks   = 10 * time.Second // between two samples
	soakShort   = 3 * time.Second  // without HERALD_BENCH_SOAK_MINUTES
)

// soakFaults are what the API does wrong: each is retried, or settled by
// evidence, while the rest goes on.
func soakFaults() []string {
	return []string{
		`{"kind":"reset","when":"after","rate":0.01}`,
		`{"kind":"status","status":500,"when":"before","rate":0.005}`,
		`{"kind":"status","status":429,"retry_after":"1","rate":0.005}`,
	}
}

// BenchmarkSoak looks for what grows with time: memory, files, the ledger's
// log. What it had done by the first third is the measure for the end.
func BenchmarkSoak(b *testing.B) {
	length := time.Duration(setting(b, "HERALD_BENCH_SOAK_MINUTES", 0)) * time.Minute
	if length == 0 {
		length = soakShort
	}
	settles := min(length, soakSettles)
	senders := []string{benchSender, "12015550124", "12015550125"}
	binary := build(b)
	for range b.N {
		s := &soak{provider: startSimulator(b, binary), every: min(soakLooks, length/30)}
		rows := int((length + settles).Seconds()) * soakPace * len(senders) // cannot be over too soon
		w := newWorkspace(b, rows, "{ rate: unlimited }", s.provider.url)
		w.write(b, "soak.yaml", fmt.Sprintf("name: Soak\nrecipients: { csv: people.csv, phone: phone }\nmessage:\n  text: '%s'\nsenders: ['%s']\npace: { rate: %d/s, in_flight: 4 }\n",
			benchText, strings.Join(senders, "', '"), soakPace))
		s.ledger = filepath.Join(w.dir, "data", "herald.db")
		s.program = w.start(b, binary, s.provider.url, "run", "soak.yaml", "--yes", "--quiet", "--wait", "accepted")

		s.begin(b)
		s.run(b, length)
		s.settle(b, settles)
		used := s.end(b)
		found := s.judge(b)

		early, late := s.spans()
		rss := func(x sample) int { return x.rss }
		b.ReportMetric(float64(s.peak)/1024, "peak-MiB")
		b.ReportMetric(median(late, rss)/1024, "end-MiB")
		b.ReportMetric(100*(median(late, rss)/median(early, rss)-1), "rss-growth-%")
		b.ReportMetric(100*(lowest(late, rss)/lowest(early, rss)-1), "floor-growth-%")
		b.ReportMetric(median(late, sample.files)-median(early, sample.files), "fds-change")
		b.ReportMetric(median(late, sample.running)-median(early, sample.running), "threads-change")
		b.ReportMetric(float64(slices.MaxFunc(s.samples, func(x, y sample) int { return int(x.wal - y.wal) }).wal)/(1<<20), "WAL-peak-MiB")
		b.ReportMetric(float64(found.Accepted)/s.sending.Seconds(), "msgs/s")
		b.ReportMetric(100*used.Seconds()/s.sending.Seconds(), "cpu-%")
		b.ReportMetric(float64(found.Unknown), "unknown")
		b.ReportMetric(float64(found.Lost), "lost")
		b.ReportMetric(float64(found.Duplicated), "duplicated")
	}
}

// soak is one run and what was seen of it.
type soak struct {
	*program

	provider *simulator
	ledger   string        // its path
	every    time.Duration // between two samples
	samples  []sample
	sending  time.Duration // from the first message to the interrupt
}

// sample is how things were at one moment.
type sample struct {
	at           time.Duration
	rss, peak    int // KiB
	fds, threads int
	wal          int64 // bytes
	unknown      int64 // rows
}

func (x sample) files() int   { return x.fds }
func (x sample) running() int { return x.threads }

func (x sample) String() string {
	return fmt.Sprintf("%6.0f s: %6.1f MiB resident, %6.1f at most, %2d files, %2d threads, WAL %5.1f MiB, %d unknown",
		x.at.Seconds(), float64(x.rss)/1024, float64(x.peak)/1024, x.fds, x.threads, float64(x.wal)/(1<<20), x.unknown)
}

// begin waits for the first message: the import is not a part of the soak.
func (s *soak) begin(b *testing.B) {
	b.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for s.provider.accepted(b) == 0 {
		select {
		case err := <-s.ended:
			b.Fatalf("herald ended before its time: %v", err)
		case <-tick.C:
		}
	}
}

// run samples until the time is over.
func (s *soak) run(b *testing.B, length time.Duration) {
	b.Helper()
	began := time.Now()
	over := time.NewTimer(length)
	defer over.Stop()
	tick := time.NewTicker(s.every)
	defer tick.Stop()
	for {
		select {
		case err := <-s.ended:
			b.Fatalf("herald ended before its time: %v", err)
		case <-over.C:
			s.sending = time.Since(began)
			return
		case <-tick.C:
			s.look()
			x := s.sample(b, time.Since(began))
			s.samples = append(s.samples, x)
			b.Log(x)
		}
	}
}

func (s *soak) sample(b *testing.B, at time.Duration) sample {
	b.Helper()
	x := sample{at: at, rss: s.status("VmRSS"), peak: s.peak, threads: s.status("Threads"), unknown: s.unknown(b)}
	open, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", s.Process.Pid))
	x.fds = len(open)
	if wal, err := os.Stat(s.ledger + "-wal"); err == nil {
		x.wal = wal.Size()
	}
	return x
}

// settle lets the run go on without faults until nothing is unknown, or the
// time for that is over too.
func (s *soak) settle(b *testing.B, most time.Duration) {
	b.Helper()
	s.provider.call(b, http.MethodDelete, "faults", io.Discard)
	began := time.Now()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for s.unknown(b) > 0 && time.Since(began) < most {
		select {
		case err := <-s.ended:
			b.Fatalf("herald ended before its time: %v", err)
		case <-tick.C:
		}
	}
	b.Logf("%.0f s more until nothing was unknown, or it was given up", time.Since(began).Seconds())
	s.sending += time.Since(began)
}

func (s *soak) unknown(b *testing.B) int64 {
	b.Helper()
	ledger := s.open(b)
	defer ledger.Close()
	all, err := ledger.Campaigns(context.WithoutCancel(b.Context()))
	if err != nil || len(all) != 1 {
		b.Fatalf("%d campaigns, %v", len(all), err)
	}
	totals, err := ledger.Totals(context.WithoutCancel(b.Context()), all[0].ID)
	if err != nil {
		b.Fatal(err)
	}
	return totals.ByStatus[campaign.StatusUnknown]
}

func (s *soak) open(b *testing.B) *storage.Store {
	b.Helper()
	ledger, err := storage.Open(context.WithoutCancel(b.Context()), storage.Config{Path: s.ledger, ReadOnly: true})
	if err != nil {
		b.Fatal(err)
	}
	return ledger
}

// end interrupts the run, waits for its end in order, and gives the processor
// time it used.
func (s *soak) end(b *testing.B) time.Duration {
	b.Helper()
	if err := s.Process.Signal(os.Interrupt); err != nil {
		b.Fatal(err)
	}
	if err := <-s.ended; s.ProcessState.ExitCode() != 130 {
		b.Fatalf("the interrupted run: %v", err)
	}
	return s.ProcessState.UserTime() + s.ProcessState.SystemTime()
}

// judge holds the ledger against what the API took.
func (s *soak) judge(b *testing.B) oracle.Finding {
	b.Helper()
	ledger := s.open(b)
	defer ledger.Close()
	found, err := oracle.Judge(context.WithoutCancel(b.Context()), oracle.Case{Ledger: ledger, Acceptances: slices.Values(s.provider.acceptances(b))})
	if err := errors.Join(err, found.Err()); err != nil {
		b.Fatal(err)
	}
	b.Log(found)
	return found
}

// spans are a tenth of the samples each: those after the first third, and the
// last. One sample alone says where the collector was just then.
func (s *soak) spans() (early, late []sample) {
	n := len(s.samples)
	if n < 3 {
		return s.samples, s.samples
	}
	tenth := max(1, n/10)
	return s.samples[n/3 : n/3+tenth], s.samples[n-tenth:]
}

func median(samples []sample, of func(sample) int) float64 {
	values := make([]int, len(samples))
	for i, x := range samples {
		values[i] = of(x)
	}
	slices.Sort(values)
	return float64(values[len(values)/2])
}

// lowest is what is left when the collector has just been: what leaks raises it.
func lowest(samples []sample, of func(sample) int) float64 {
	least := of(samples[0])
	for _, x := range samples {
		least = min(least, of(x))
	}
	return float64(least)
}

// simulator is `herald sandbox`.
type simulator struct{ url string }

func startSimulator(b *testing.B, binary string) *simulator {
	b.Helper()
	args := []string{"sandbox", "--listen", "127.0.0.1:0", "--speed", "1000", "--seed", "7", "--latency", "20ms", "--json"}
	for _, fault := range soakFaults() {
		args = append(args, "--fault", fault)
	}
	child := exec.CommandContext(context.WithoutCancel(b.Context()), binary, args...)
	out, err := child.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := child.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = child.Process.Kill()
		_ = child.Wait() // killed
	})
	var ready struct {
		BaseURL string `json:"base_url"`
	}
	if err := json.NewDecoder(bufio.NewReader(out)).Decode(&ready); err != nil {
		b.Fatalf("the simulator did not start: %v", err)
	}
	return &simulator{url: ready.BaseURL}
}

// call asks the control API.
func (s *simulator) call(b *testing.B, method, path string, to io.Writer) {
	b.Helper()
	request, err := http.NewRequestWithContext(context.WithoutCancel(b.Context()), method, strings.TrimSuffix(s.url, "/v1")+"/_sim/"+path, nil)
	if err != nil {
		b.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		b.Fatal(err)
	}
	defer answer.Body.Close()
	if _, err := io.Copy(to, answer.Body); err != nil || answer.StatusCode >= http.StatusBadRequest {
		b.Fatalf("%s %s: %s, %v", method, path, answer.Status, err)
	}
}

func (s *simulator) accepted(b *testing.B) uint64 {
	b.Helper()
	var text bytes.Buffer
	s.call(b, http.MethodGet, "state", &text)
	var state sandbox.State
	if err := json.Unmarshal(text.Bytes(), &state); err != nil {
		b.Fatal(err)
	}
	return state.Accepted
}

func (s *simulator) acceptances(b *testing.B) []sandbox.Acceptance {
	b.Helper()
	var text strings.Builder
	s.call(b, http.MethodGet, "acceptances", &text)
	var all []sandbox.Acceptance
	for line := range strings.Lines(text.String()) {
		var a sandbox.Acceptance
		if err := json.Unmarshal([]byte(line), &a); err != nil {
			b.Fatal(err)
		}
		all = append(all, a)
	}
	return all
}
