package report

import (
	"math/bits"
	"time"
)

// histogram counts durations in buckets that grow with the value, 32 to each
// doubling, so a percentile is within 1/64 of the truth. Its size is fixed:
// it takes a million rows as easily as ten.
type histogram struct {
	n        int64
	min, max int64 // milliseconds
	buckets  [histogramBuckets]int64
}

const (
	histogramMax     = 1<<41 - 1 // milliseconds, 69 years
	histogramBuckets = 35*32 + 64
)

// add counts one duration. The two ends may come from two clocks: a negative
// difference counts as none.
func (h *histogram) add(d time.Duration) {
	ms := min(max(d.Milliseconds(), 0), histogramMax)
	if h.n == 0 || ms < h.min {
		h.min = ms
	}
	h.max = max(h.max, ms)
	h.n++
	exp := exponent(ms)
	h.buckets[exp*32+int(ms>>exp)]++
}

// exponent is by how many bits a value is shifted to leave its six leading
// ones.
func exponent(ms int64) int {
	//nolint:gosec // add clamps ms to 0…histogramMax
	return max(0, bits.Len64(uint64(ms))-6)
}

// quantile is the value of which a share of q (0…1) is not above, in
// milliseconds.
func (h *histogram) quantile(q float64) int64 {
	rank := max(int64(q*float64(h.n)+0.999999), 1)
	for i, count := range h.buckets {
		rank -= count
		if rank > 0 {
			continue
		}
		exp := max(0, i/32-1)
		lower := int64(i-exp*32) << exp
		return min(max(lower+(int64(1)<<exp)/2, h.min), h.max)
	}
	return h.max
}

// spread is the histogram in the form reports show; nil when it is empty.
func (h *histogram) spread() *Spread {
	if h.n == 0 {
		return nil
	}
	return &Spread{Messages: h.n, P50MS: h.quantile(0.50), P95MS: h.quantile(0.95), P99MS: h.quantile(0.99), MaxMS: h.max}
}
