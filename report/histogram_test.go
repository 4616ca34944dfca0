package report

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// The buckets give what sorting every value would give, within 2 %.
func TestHistogramAgreesWithSorting(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.OneOf(
			rapid.Int64Range(-5, 100), rapid.Int64Range(0, 1e6), rapid.Int64Range(0, histogramMax),
		), 1, 200).Draw(t, "ms")
		var h histogram
		for i, v := range values {
			h.add(time.Duration(v) * time.Millisecond)
			values[i] = max(v, 0)
		}
		slices.Sort(values)
		for _, q := range []float64{0.5, 0.95, 1} {
			rank := 0
			for float64(rank+1) < q*float64(len(values)) {
				rank++
			}
			want, got := values[rank], h.quantile(q)
			if diff := float64(got - want); diff > 0.02*float64(want) || -diff > 0.02*float64(want) {
				t.Fatalf("q %v: %d, want %d", q, got, want)
			}
		}
		if got := h.spread(); got.MaxMS != values[len(values)-1] || got.Messages != int64(len(values)) {
			t.Fatalf("%+v", got)
		}
	})
}

func TestMaskNumbers(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"HTTP 503 three times":                   "HTTP 503 three times",
		"code 131026":                            "code 131026",
		"number 919999990001 is off":             "number <number> is off",
		"number +91 99999 90001 is off (131026)": "number <number> is off (131026)",
		"+1 (201) 555-0100":                      "<number>",
		"a+1":                                    "a+1",
		"two: 919999990001, 919999990002":        "two: <number>, <number>",

		"नंबर 919999990001 नहीं": "नंबर <number> नहीं",

		"1 2 3":       "1 2 3",
		"429 429 429": "<number>", // rather one too many

		"until 2026-11-22T17:58:16Z it waits":         "until 2026-11-22T17:58:16Z it waits",
		"2026-11-22 17:58:16: 919999990001":           "2026-11-22 17:58:16: <number>",
		"2026-11-22 919999990001":                     "<number>",
		"2015-01-01-23, +2015-01-01, 2015-55-01":      "<number>, <number>, <number>",
		"91 2015-01-01":                               "<number>",
		"waited 12 s and 15 s and 20 s and 10 s more": "waited 12 s and 15 s and 20 s and 10 s more",
	} {
		if got := maskNumbers(in); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
}
