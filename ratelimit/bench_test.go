package ratelimit

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"
)

// BenchmarkPace runs on the real clock and reports how true the pace is: the
// error of the mean, and the densest second and 100 ms as a share of their
// promise. It decides nothing, because a loaded machine may do anything.
func BenchmarkPace(b *testing.B) {
	for _, perSecond := range []float64{20, 100, 1000, 5000} {
		b.Run(fmt.Sprintf("%.0fps", perSecond), func(b *testing.B) {
			l := New(Config{PerSecond: perSecond})
			var (
				mu     sync.Mutex
				grants []time.Duration
				wg     sync.WaitGroup
			)
			for b.Loop() {
				grants = grants[:0]
				ctx, cancel := context.WithTimeout(b.Context(), 3*time.Second)
				start := time.Now()
				for range 16 {
					wg.Go(func() {
						for l.Wait(ctx) == nil {
							mu.Lock()
							grants = append(grants, time.Since(start))
							mu.Unlock()
						}
					})
				}
				wg.Wait()
				cancel()
			}
			slices.Sort(grants)
			b.ReportMetric(100*(mean(grants)/perSecond-1), "mean-error-%")
			b.ReportMetric(float64(densest(grants, time.Second))/perSecond, "densest-1s/rate")
			b.ReportMetric(float64(densest(grants, 100*time.Millisecond))/(perSecond/5+1), "densest-100ms/limit")
		})
	}
}

// BenchmarkWait is the price of a grant that need not wait.
func BenchmarkWait(b *testing.B) {
	for name, perSecond := range map[string]float64{"unlimited": 0, "limited": 1e9} {
		b.Run(name, func(b *testing.B) {
			l := New(Config{PerSecond: perSecond})
			b.ReportAllocs()
			for b.Loop() {
				if err := l.Wait(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
