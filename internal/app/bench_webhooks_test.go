//go:build unix

package app_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/metrics"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/internal/app"
)

const (
	envHooks = "HERALD_BENCH_HOOKS_CHILD" // set in the child: its order, as JSON

	benchWebhookKey = "pk-webhooks-of-the-benchmark"
)

// hooksOrder is what a process of its own delivers.
type hooksOrder struct {
	URL       string
	Messages  string // path of a file: queue ids, a line each
	PerSecond int
}

// hooksResult is what came of it.
type hooksResult struct {
	Durable, Refused int // answered 200, and 503
	Seconds          float64
	P50, P99, Most   float64 // ms
}

// TestBenchHooks is the child process that delivers webhooks, not a test. It
// tells what happens to messages until its standard input ends.
func TestBenchHooks(t *testing.T) { //nolint:paralleltest // the whole process is the provider
	setting := os.Getenv(envHooks)
	if setting == "" {
		t.Skip("runs only as the benchmark's provider")
	}
	var order hooksOrder
	if err := json.Unmarshal([]byte(setting), &order); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(order.Messages)
	if err != nil {
		t.Fatal(err)
	}
	var over atomic.Bool
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		over.Store(true)
	}()
	result := order.deliver(t, strings.Fields(string(content)), &over)
	encoded, err := json.Marshal(result)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(os.Stdout, "\nresult %s\n", encoded)
}

// deliver keeps the pace as long as the receiver does, with 64 calls under way
// at most.
func (o hooksOrder) deliver(t *testing.T, ids []string, over *atomic.Bool) hooksResult {
	t.Helper()
	const workers = 64
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: workers, DisableCompression: true}}
	defer client.CloseIdleConnections()
	var (
		next, durable, refused atomic.Int64
		working                sync.WaitGroup
		took                   = make([][]time.Duration, workers)
		begun                  = time.Now()
	)
	for worker := range workers {
		working.Go(func() {
			for !over.Load() {
				n := int(next.Add(1)) - 1
				due := begun.Add(time.Duration(n) * time.Second / time.Duration(o.PerSecond))
				time.Sleep(time.Until(due)) //nolint:forbidigo // the pace is the point
				body := evidence(ids[n%len(ids)], n/len(ids))
				asked := time.Now()
				status, err := post(t.Context(), client, o.URL, body)
				if err != nil {
					t.Errorf("delivery %d: %v", n, err)
					return
				}
				took[worker] = append(took[worker], time.Since(asked))
				switch status {
				case http.StatusOK:
					durable.Add(1)
				case http.StatusServiceUnavailable:
					refused.Add(1)
				default:
					t.Errorf("delivery %d was answered %d", n, status)
					return
				}
			}
		})
	}
	working.Wait()
	all := slices.Sorted(slices.Values(slices.Concat(took...)))
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	return hooksResult{
		Durable: int(durable.Load()), Refused: int(refused.Load()), Seconds: time.Since(begun).Seconds(),
		P50: ms(all[len(all)/2]), P99: ms(all[len(all)*99/100]), Most: ms(all[len(all)-1]),
	}
}

// evidence is an event about a message: sent at first, then delivered and read.
func evidence(queueID string, round int) []byte {
	status := []string{"sent", "delivered", "read"}[min(round, 2)]
	at := time.Now().UTC().Format(time.RFC3339)
	return fmt.Appendf(nil, `{"id":"evt-%[1]s-%[2]d","event_type":"message.%[3]s","org_id":"2997dd64-89bf-48d3-9a22-b314fca017e5",`+
		`"data":{"queue_id":%[1]q,"status":%[3]q,"timeline":{"%[3]s_at":%[4]q}}}`, queueID, round, status, at)
}

func post(ctx context.Context, client *http.Client, url string, body []byte) (int, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	mac := hmac.New(sha256.New, []byte(benchWebhookKey))
	_, _ = mac.Write(body)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("X-Periskope-Signature", hex.EncodeToString(mac.Sum(nil)))
	answer, err := client.Do(request)
	if err != nil {
		return 0, err
	}
	_, err = io.Copy(io.Discard, answer.Body)
	return answer.StatusCode, errorsOf(err, answer.Body.Close())
}

func errorsOf(list ...error) error {
	for _, err := range list {
		if err != nil {
			return err
		}
	}
	return nil
}

// startHooks begins to deliver; the result ends that and says what came of it.
func startHooks(tb testing.TB, order hooksOrder) (end func() hooksResult) {
	tb.Helper()
	encoded, err := json.Marshal(order)
	if err != nil {
		tb.Fatal(err)
	}
	child := exec.CommandContext(context.WithoutCancel(tb.Context()), os.Args[0], "-test.run=^TestBenchHooks$", "-test.count=1", "-test.v")
	child.Env = append(os.Environ(), envHooks+"="+string(encoded))
	child.Stderr = os.Stderr
	var out bytes.Buffer
	child.Stdout = &out
	stdin, err := child.StdinPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := child.Start(); err != nil {
		tb.Fatal(err)
	}
	return func() (result hooksResult) {
		tb.Helper()
		_ = stdin.Close()
		err := child.Wait()
		for line := range strings.Lines(out.String()) {
			if text, is := strings.CutPrefix(line, "result "); is {
				err = errorsOf(err, json.Unmarshal([]byte(text), &result))
			}
		}
		if err != nil || result.Durable == 0 {
			tb.Fatalf("the webhooks: %v\n%s", err, out.String())
		}
		return result
	}
}

// BenchmarkWebhooksWhileSending sends campaigns from a service, in turn alone
// and while webhooks about an earlier campaign arrive over HTTP, 2,500 a second
// (HERALD_BENCH_HOOKS). At an unlimited rate both cores are busy with sending
// alone; at a rate there is room. The provider and the API are processes of their
// own on the same machine.
func BenchmarkWebhooksWhileSending(b *testing.B) {
	for _, pace := range []struct {
		name, rate string
		rows       int
	}{
		{"unlimited", "unlimited", benchRows(b)},
		{"1000-per-second", "1000/s", 1000 * setting(b, "HERALD_BENCH_SECONDS", 2)},
		{"200-per-second", "200/s", 200 * setting(b, "HERALD_BENCH_SECONDS", 2)},
	} {
		b.Run(pace.name, func(b *testing.B) {
			server := startAPI(b, 0, 0)
			w := newWorkspace(b, pace.rows, "{ rate: unlimited, in_flight: 64 }", server.url)
			w.cfg.Listen, w.cfg.Periskope.WebhookKey = "127.0.0.1:0", benchWebhookKey
			service := startService(b, w)
			earlier := service.send(b, w.campaignAt(b, "earlier", "unlimited"))
			server.take(b)
			order := hooksOrder{
				URL: service.url + "/webhooks/periskope", Messages: w.messages(b, service.remote, earlier),
				PerSecond: setting(b, "HERALD_BENCH_HOOKS", 2500),
			}
			runtime.GC()
			peak := watchHeap(b)
			var alone, with, spentAlone, spentWith float64
			var hooks hooksResult
			for n := range b.N {
				used := cpu(b)
				service.send(b, w.campaignAt(b, fmt.Sprintf("alone%d", n), pace.rate))
				spentAlone += (cpu(b) - used).Seconds()
				alone += perSecond(server.take(b))

				used = cpu(b)
				end := startHooks(b, order)
				service.send(b, w.campaignAt(b, fmt.Sprintf("with%d", n), pace.rate))
				spentWith += (cpu(b) - used).Seconds()
				got := end()
				with += perSecond(server.take(b))
				hooks.Durable += got.Durable
				hooks.Refused += got.Refused
				hooks.Seconds += got.Seconds
				hooks.P50 += got.P50 / float64(b.N)
				hooks.P99 = max(hooks.P99, got.P99)
			}
			most := peak()
			service.stop(b)
			n := float64(b.N)
			b.ReportMetric(alone/n, "alone-msgs/s")
			b.ReportMetric(with/n, "with-msgs/s")
			b.ReportMetric(with/alone, "ratio")
			b.ReportMetric(float64(hooks.Durable)/hooks.Seconds, "durable/s")
			b.ReportMetric(float64(hooks.Refused), "refused")
			b.ReportMetric(hooks.P50, "p50-ms")
			b.ReportMetric(hooks.P99, "p99-ms")
			b.ReportMetric((spentWith-spentAlone)*1e6/float64(hooks.Durable), "cpu-µs/webhook")
			b.ReportMetric(float64(most)/(1<<20), "heap-MB")
		})
	}
}

// campaignAt writes another campaign for the same people.
func (w *workspace) campaignAt(tb testing.TB, name, rate string) string {
	tb.Helper()
	return w.write(tb, name+".yaml", fmt.Sprintf(
		"name: %s\nrecipients: { csv: people.csv, phone: phone }\nmessage:\n  text: '%s'\nsenders: ['%s']\npace: { rate: %s, in_flight: 64 }\n",
		name, benchText, benchSender, rate))
}

// messages writes the queue ids of a campaign into a file, a line each.
func (w *workspace) messages(tb testing.TB, from *app.Remote, id campaign.ID) string {
	tb.Helper()
	var table bytes.Buffer
	if err := from.ResultsCSV(tb.Context(), &table, id, false); err != nil {
		tb.Fatal(err)
	}
	records, err := csv.NewReader(&table).ReadAll()
	if err != nil {
		tb.Fatal(err)
	}
	column := slices.IndexFunc(records[0], func(name string) bool { return strings.HasSuffix(name, "queue_id") })
	var ids strings.Builder
	for _, record := range records[1:] {
		ids.WriteString(record[column] + "\n")
	}
	w.write(tb, "messages.txt", ids.String())
	return filepath.Join(w.dir, "messages.txt")
}

// benchService is a service in this process, and a command beside it.
type benchService struct {
	app    *app.App
	remote *app.Remote
	url    string
	cancel context.CancelFunc
	ended  chan error
}

func startService(tb testing.TB, w *workspace) *benchService {
	tb.Helper()
	s := &benchService{app: w.open(tb), ended: make(chan error, 1)}
	var ctx context.Context
	ctx, s.cancel = context.WithCancel(context.WithoutCancel(tb.Context()))
	ready := make(chan app.ServiceInfo, 1)
	go func() {
		s.ended <- s.app.Serve(ctx, app.ServeOptions{Ready: func(info app.ServiceInfo) { ready <- info }})
	}()
	select {
	case info := <-ready:
		s.url = info.URL
	case err := <-s.ended:
		tb.Fatal(err)
	}
	var err error
	if s.remote, err = app.Through(tb.Context(), w.cfg, slog.New(slog.DiscardHandler)); err != nil || s.remote == nil {
		tb.Fatalf("the service is not found: %v", err)
	}
	return s
}

// send sends a campaign until everything is accepted.
func (s *benchService) send(tb testing.TB, file string) campaign.ID {
	tb.Helper()
	p, err := s.remote.Prepare(tb.Context(), file, app.PrepareOptions{})
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := s.remote.Run(tb.Context(), p, app.RunOptions{Wait: app.WaitAccepted}); err != nil {
		tb.Fatal(err)
	}
	return p.Campaign.ID
}

func (s *benchService) stop(tb testing.TB) {
	tb.Helper()
	err := s.remote.Close()
	s.cancel()
	if err := errorsOf(err, <-s.ended, s.app.Close()); err != nil {
		tb.Fatal(err)
	}
}

// watchHeap looks at the live heap every few milliseconds; the result ends that
// and gives the most it saw, in bytes.
func watchHeap(tb testing.TB) (peak func() uint64) {
	tb.Helper()
	stop, seen := make(chan struct{}), make(chan uint64)
	go func() {
		sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		var most uint64
		for {
			metrics.Read(sample)
			most = max(most, sample[0].Value.Uint64())
			select {
			case <-tick.C:
			case <-stop:
				seen <- most
				return
			}
		}
	}()
	return func() uint64 {
		close(stop)
		return <-seen
	}
}
