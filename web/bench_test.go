package web_test

import (
	"net/http"
	"os"
	"runtime"
	"runtime/metrics"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/herald-campaigns/herald/web"
)

// senders is how many callers there are at one time; the machine is theirs too.
const senders = 64

// BenchmarkWebhooks delivers signed events over HTTP to a ledger on disk: how
// many a second are durable, and how long one takes. The senders run on the same
// machine.
func BenchmarkWebhooks(b *testing.B) {
	server := start(b, config(ledger(b, b.TempDir())))
	url := server.url(web.WebhookPath)
	var next atomic.Int64
	took := make([][]time.Duration, senders)
	peak := watchHeap(b)
	b.ResetTimer()
	var sending sync.WaitGroup
	for n := range senders {
		sending.Go(func() {
			for {
				i := next.Add(1)
				if i > int64(b.N) {
					return
				}
				body := ack(int(i))
				begun := time.Now()
				status, answer, err := post(server.client, url, body, sign(testKey, body))
				if err != nil || status != http.StatusOK {
					b.Errorf("delivery %d: %d %s %v", i, status, answer, err)
					return
				}
				took[n] = append(took[n], time.Since(begun))
			}
		})
	}
	sending.Wait()
	b.StopTimer()
	all := slices.Sorted(slices.Values(slices.Concat(took...)))
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "durable/s")
	b.ReportMetric(float64(all[len(all)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(all[len(all)*99/100].Microseconds())/1000, "p99-ms")
	b.ReportMetric(float64(peak())/(1<<20), "heap-MB")
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
	return sync.OnceValue(func() uint64 {
		close(stop)
		return <-seen
	})
}

// TestBurst throws more at a small queue than it can take, until everything was
// answered 200 once: what is too much is refused, memory stays where it was, and
// nothing that was answered 200 is missing. HERALD_BENCH_BURST is how many; 4,000
// show the same in a few seconds.
func TestBurst(t *testing.T) { //nolint:paralleltest // it watches the heap
	deliveries := 4_000
	if asked, err := strconv.Atoi(os.Getenv("HERALD_BENCH_BURST")); err == nil {
		deliveries = asked
	}
	store := ledger(t, t.TempDir())
	cfg := config(store)
	cfg.Limits.Queue, cfg.Limits.Batch = 32, 16
	server := start(t, cfg)
	url := server.url(web.WebhookPath)
	runtime.GC()
	peak := watchHeap(t)
	var next, refused atomic.Int64
	var sending sync.WaitGroup
	for range 256 {
		sending.Go(func() {
			for {
				i := next.Add(1)
				if i > int64(deliveries) {
					return
				}
				body := ack(int(i))
				signature := sign(testKey, body)
				for {
					status, answer, err := post(server.client, url, body, signature)
					if err != nil {
						t.Errorf("delivery %d: %v", i, err)
						return
					}
					if status == http.StatusOK {
						break
					}
					if status != http.StatusServiceUnavailable {
						t.Errorf("delivery %d: %d %s", i, status, answer)
						return
					}
					refused.Add(1)
				}
			}
		})
	}
	sending.Wait()
	most := peak()
	got := server.Stats()
	if got.Busy != refused.Load() || got.Accepted+got.Duplicate != int64(deliveries) {
		t.Errorf("accepted %d, duplicate %d, busy %d; want %d answered 200 and %d refused", got.Accepted, got.Duplicate, got.Busy, deliveries, refused.Load())
	}
	if refused.Load() == 0 {
		t.Error("nothing was refused: the burst was none")
	}
	kept := keysIn(t, store)
	missing := 0
	for i := range deliveries {
		if !kept[keyOf(t, ack(i+1))] {
			missing++
		}
	}
	if missing > 0 {
		t.Errorf("%d of %d deliveries that were answered 200 are missing", missing, deliveries)
	}
	if most > 128<<20 {
		t.Errorf("the heap grew to %d MB", most>>20)
	}
	t.Logf("%d kept, %d refused, heap %d MB at most", len(kept), refused.Load(), most>>20)
}
