//go:build unix

package app_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/herald-campaigns/herald/internal/app"
)

// The figures of docs/benchmarks.md. Every one is a ratio, a rate or a metric
// that is reported; none fails on a slow machine.
//
//	go test -run '^$' -bench . -benchtime 1x ./internal/app
//	HERALD_BENCH_ROWS=1000000 go test -run '^$' -bench 'Import|Check' -benchtime 1x -timeout 30m ./internal/app
//	HERALD_BENCH_SECONDS=60 go test -run '^$' -bench Rate -benchtime 1x -timeout 30m ./internal/app

const (
	benchSender = "12015550123"
	benchText   = `Hi {{ name | default: "there" }}, your order {{ order_id }} over {{ amount }} for {{ city }} has left our workshop today. ` +
		`It should be with you within the next three working days. You need not be at home: our courier leaves it with a neighbor if nobody opens. ` +
		`Questions? Just reply to this message and one of us will answer.`
)

// setting is a number from the environment.
func setting(tb testing.TB, name string, standard int) int {
	tb.Helper()
	text := os.Getenv(name)
	if text == "" {
		return standard
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		tb.Fatalf("%s: %v", name, err)
	}
	return n
}

func benchRows(tb testing.TB) int { tb.Helper(); return setting(tb, "HERALD_BENCH_ROWS", 10_000) }

// workspace is a folder with a recipients file, a campaign file for it and a
// configuration.
type workspace struct {
	dir      string
	campaign string
	cfg      app.Config
}

// newWorkspace writes rows recipients in random order of their numbers, which
// is the worst order for the ledger's index.
func newWorkspace(tb testing.TB, rows int, pace, url string) *workspace {
	tb.Helper()
	w := &workspace{dir: tb.TempDir()}
	w.campaign = w.write(tb, "campaign.yaml", fmt.Sprintf(
		"name: Benchmark\nrecipients: { csv: people.csv, phone: phone }\nmessage:\n  text: '%s'\nsenders: ['%s']\npace: %s\n", benchText, benchSender, pace))
	settings := w.write(tb, "herald.yaml", "log: { level: error }\n")
	w.recipients(tb, rows)
	cfg, err := app.LoadConfig(app.ConfigSource{File: settings, Flags: map[string]any{
		"mode": "live", "periskope.token": "token", "periskope.base_url": url, "data_dir": filepath.Join(w.dir, "data"),
	}})
	if err != nil {
		tb.Fatal(err)
	}
	w.cfg = cfg
	return w
}

func (w *workspace) write(tb testing.TB, name, content string) string {
	tb.Helper()
	path := filepath.Join(w.dir, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		tb.Fatal(err)
	}
	return path
}

func (w *workspace) recipients(tb testing.TB, rows int) {
	tb.Helper()
	if rows > 1_000_000 {
		tb.Fatal("there are invented numbers for a million rows")
	}
	f, err := os.Create(filepath.Join(w.dir, "people.csv"))
	if err != nil {
		tb.Fatal(err)
	}
	out := bufio.NewWriter(f)
	fmt.Fprintln(out, "phone,name,order_id,city,amount,note")
	for _, i := range rand.New(rand.NewPCG(1, 2)).Perm(rows) {
		fmt.Fprintf(out, "+919999%06d,Ann Example,ORD-%06d,Pune,%d.50,\"ships today, early\"\n", i, i, i%1000)
	}
	if err := out.Flush(); err != nil {
		tb.Fatal(err)
	}
	if err := f.Close(); err != nil {
		tb.Fatal(err)
	}
}

func (w *workspace) open(tb testing.TB) *app.App {
	tb.Helper()
	a, err := app.Open(context.WithoutCancel(tb.Context()), w.cfg, slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})))
	if err != nil {
		tb.Fatal(err)
	}
	return a
}

func (w *workspace) prepare(tb testing.TB, a *app.App) *app.Prepared {
	tb.Helper()
	p, err := a.Prepare(tb.Context(), w.campaign, app.PrepareOptions{})
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

// run sends a prepared campaign until everything is accepted.
func run(tb testing.TB, a *app.App, p *app.Prepared) app.RunResult {
	tb.Helper()
	result, err := a.Run(tb.Context(), p, app.RunOptions{Wait: app.WaitAccepted})
	if err != nil {
		tb.Fatal(err)
	}
	return result
}

func shut(tb testing.TB, a *app.App) {
	tb.Helper()
	if err := a.Close(); err != nil {
		tb.Fatal(err)
	}
}

// cpu is the processor time this process has used.
func cpu(tb testing.TB) time.Duration {
	tb.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkImport reads a recipients file into the ledger: parse, phone check,
// duplicates, a rendering of every row, and the ledger's rows on disk.
func BenchmarkImport(b *testing.B) {
	rows := benchRows(b)
	for range b.N {
		b.StopTimer()
		w := newWorkspace(b, rows, "{ rate: unlimited }", "http://127.0.0.1:9")
		a := w.open(b)
		used := cpu(b)
		b.StartTimer()
		p := w.prepare(b, a)
		b.StopTimer()
		if p.Imported.Good != int64(rows) {
			b.Fatalf("%d of %d rows imported", p.Imported.Good, rows)
		}
		b.ReportMetric(float64((cpu(b)-used).Microseconds())/float64(rows), "cpu-µs/row")
		shut(b, a)
	}
	b.ReportMetric(float64(rows*b.N)/b.Elapsed().Seconds(), "rows/s")
}

// BenchmarkCheck reads and renders every row and writes nothing.
func BenchmarkCheck(b *testing.B) {
	rows := benchRows(b)
	w := newWorkspace(b, rows, "{ rate: unlimited }", "http://127.0.0.1:9")
	for b.Loop() {
		checked, err := app.Check(b.Context(), w.cfg, w.campaign, nil, false)
		if err != nil || checked.Recipients.Sendable != int64(rows) {
			b.Fatalf("check: %v", err)
		}
	}
	b.ReportMetric(float64(rows*b.N)/b.Elapsed().Seconds(), "rows/s")
}

// BenchmarkThroughput sends at an unlimited rate with 64 calls under way, and
// in the same run as many messages with a bare net/http client.
func BenchmarkThroughput(b *testing.B) {
	for _, latency := range []time.Duration{0, 20 * time.Millisecond} {
		b.Run("latency="+latency.String(), func(b *testing.B) {
			rows := benchRows(b)
			body, err := json.Marshal(map[string]string{"chat_id": "919999000000@c.us", "message": benchText})
			if err != nil {
				b.Fatal(err)
			}
			server := startAPI(b, latency, latency)
			var sent, raw, spent, rawSpent float64
			for range b.N {
				before := cpu(b)
				server.sendRaw(b, rows/2, 64, body)
				rawSpent += float64((cpu(b) - before).Microseconds()) / float64(rows/2)
				raw += perSecond(server.take(b)) / 2

				w := newWorkspace(b, rows, "{ rate: unlimited, in_flight: 64 }", server.url)
				a := w.open(b)
				p := w.prepare(b, a)
				before = cpu(b)
				run(b, a, p)
				spent += float64((cpu(b) - before).Microseconds()) / float64(rows)
				shut(b, a)
				arrived := server.take(b)
				if len(arrived) != rows {
					b.Fatalf("%d of %d messages arrived", len(arrived), rows)
				}
				sent += perSecond(arrived)

				server.sendRaw(b, rows/2, 64, body)
				raw += perSecond(server.take(b)) / 2
			}
			n := float64(b.N)
			b.ReportMetric(sent/n, "msgs/s")
			b.ReportMetric(raw/n, "raw-msgs/s")
			b.ReportMetric(sent/raw, "ratio")
			b.ReportMetric(spent/n, "cpu-µs/msg")
			b.ReportMetric(rawSpent/n, "raw-cpu-µs/msg")
		})
	}
}

// BenchmarkRate looks at the pace where it matters: at the API.
func BenchmarkRate(b *testing.B) {
	seconds := setting(b, "HERALD_BENCH_SECONDS", 2)
	for _, pace := range []struct {
		name, rate string
		perSecond  float64
		most       time.Duration // of the API's latency
	}{
		{"20-per-minute", "20/m", 20. / 60, 500 * time.Millisecond},
		{"60-per-minute", "60/m", 1, 500 * time.Millisecond},
		{"5-per-second", "5/s", 5, 500 * time.Millisecond},
		{"20-per-second", "20/s", 20, 500 * time.Millisecond},
		{"100-per-second", "100/s", 100, 500 * time.Millisecond},
		{"1000-per-second", "1000/s", 1000, 50 * time.Millisecond}, // 64 under way allow no more
	} {
		b.Run(pace.name, func(b *testing.B) {
			rows := max(int(float64(seconds)*pace.perSecond), 2) + 1
			server := startAPI(b, 0, pace.most)
			for range b.N {
				w := newWorkspace(b, rows, fmt.Sprintf("{ rate: %s, in_flight: 64 }", pace.rate), server.url)
				a := w.open(b)
				run(b, a, w.prepare(b, a))
				shut(b, a)
				times := server.take(b)
				if len(times) != rows {
					b.Fatalf("%d of %d messages arrived", len(times), rows)
				}
				b.ReportMetric(100*(perSecond(times)/pace.perSecond-1), "mean-error-%")
				b.ReportMetric(float64(densest(times, time.Second)), "densest-1s")
				b.ReportMetric(float64(densest(times, 100*time.Millisecond)), "densest-100ms")
			}
		})
	}
}

// BenchmarkStart measures from Run to the first message at the API, of a whole
// campaign that was just imported and of one that was interrupted half way,
// there from opening the data directory.
func BenchmarkStart(b *testing.B) {
	rows := benchRows(b)
	for range b.N {
		server := startAPI(b, 0, 0)
		w := newWorkspace(b, rows, "{ rate: unlimited, in_flight: 64 }", server.url)
		a := w.open(b)
		p := w.prepare(b, a)
		begun := time.Now()
		runUntil(b, a, p, int64(rows/2))
		b.ReportMetric(server.take(b)[0].Sub(begun).Seconds()*1000, "first-ms")
		shut(b, a)

		begun = time.Now()
		a = w.open(b)
		p = w.prepare(b, a)
		b.ReportMetric(time.Since(begun).Seconds()*1000, "reopen-ms")
		runUntil(b, a, p, 1)
		b.ReportMetric(server.take(b)[0].Sub(begun).Seconds()*1000, "restart-first-ms")
		shut(b, a)
	}
}

// runUntil interrupts the run after that many messages were accepted by it.
func runUntil(tb testing.TB, a *app.App, p *app.Prepared, accepted int64) {
	tb.Helper()
	ctx, stop := context.WithCancel(tb.Context())
	defer stop()
	first := int64(-1)
	_, err := a.Run(ctx, p, app.RunOptions{Wait: app.WaitAccepted, Progress: func(now app.Progress) {
		if first < 0 {
			first = now.Accepted()
		}
		if now.Accepted()-first >= accepted {
			stop()
		}
	}})
	if err != nil {
		tb.Fatal(err)
	}
}

// BenchmarkReport looks at a finished campaign: its totals, its report, its
// results file.
func BenchmarkReport(b *testing.B) {
	rows := benchRows(b)
	server := startAPI(b, 0, 0)
	w := newWorkspace(b, rows, "{ rate: unlimited, in_flight: 64 }", server.url)
	a := w.open(b)
	p := w.prepare(b, a)
	run(b, a, p)
	id := p.Campaign.ID
	for _, look := range []struct {
		name string
		do   func() error
	}{
		{"totals", func() error { _, err := a.Campaign(b.Context(), string(id)); return err }},
		{"quick", func() error { _, err := a.Report(b.Context(), id, true); return err }},
		{"whole", func() error { _, err := a.Report(b.Context(), id, false); return err }},
		{"csv", func() error { return a.ResultsCSV(b.Context(), io.Discard, id, true) }},
	} {
		b.Run(look.name, func(b *testing.B) {
			for b.Loop() {
				if err := look.do(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	shut(b, a)
}
