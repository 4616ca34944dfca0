package campaign

import (
	"testing"

	"pgregory.net/rapid"
)

// evidence are the statuses that only the provider can tell.
func evidence() []Status {
	return []Status{StatusQueued, StatusProcessing, StatusFailed, StatusSent, StatusDelivered, StatusRead}
}

func TestMergingEvidenceKnowsNoOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		some := rapid.SliceOfN(rapid.SampledFrom(evidence()), 1, 8).Draw(t, "evidence")
		other := rapid.Permutation(some).Draw(t, "another order")
		before := rapid.SampledFrom(Statuses()).Draw(t, "before")
		a, b := before, before
		for i := range some {
			a, b = a.Merge(some[i]), b.Merge(other[i]).Merge(other[i])
		}
		if a != b {
			t.Fatalf("%s with %v is %s, with %v twice it is %s", before, some, a, other, b)
		}
	})
}

func TestMergeIsASemilattice(t *testing.T) {
	t.Parallel()
	for _, a := range evidence() {
		if a.Merge(a) != a {
			t.Errorf("%s merged with itself is %s", a, a.Merge(a))
		}
		for _, b := range evidence() {
			if a.Merge(b) != b.Merge(a) {
				t.Errorf("%s and %s: the order matters", a, b)
			}
			for _, c := range evidence() {
				if a.Merge(b).Merge(c) != a.Merge(b.Merge(c)) {
					t.Errorf("%s, %s, %s: the grouping matters", a, b, c)
				}
			}
		}
	}
}

func TestEveryStatusIsClassified(t *testing.T) {
	t.Parallel()
	if len(rank) != len(Statuses()) {
		t.Fatalf("%d statuses are ranked, there are %d", len(rank), len(Statuses()))
	}
	type class struct{ evident, waiting, settled bool }
	want := map[Status]class{
		StatusPending: {waiting: true}, StatusStaged: {waiting: true}, StatusSubmitting: {}, StatusUnknown: {},
		StatusQueued: {evident: true}, StatusProcessing: {evident: true}, StatusSent: {evident: true},
		StatusDelivered: {evident: true}, StatusRead: {evident: true, settled: true},
		StatusFailed: {evident: true, settled: true}, StatusSkipped: {settled: true}, StatusCanceled: {settled: true},
	}
	for _, s := range Statuses() {
		if got := (class{s.Evident(), s.Waiting(), s.Settled()}); got != want[s] {
			t.Errorf("%s is %+v, want %+v", s, got, want[s])
		}
		// What is no evidence gives way to it and never wins over it.
		for _, e := range evidence() {
			if !s.Evident() && (s.Merge(e) != e || e.Merge(s) != e) {
				t.Errorf("%s and evidence %s: %s, %s", s, e, s.Merge(e), e.Merge(s))
			}
		}
	}
	if StatusFailed.Merge(StatusSent) != StatusSent || StatusSent.Merge(StatusFailed) != StatusSent {
		t.Error("late proof of sending must win over a failure")
	}
}

func TestTotalsAddUp(t *testing.T) {
	t.Parallel()
	totals := Totals{ByStatus: map[Status]int64{}, Failed: map[FailReason]int64{FailProvider: 3, FailRejected: 97}}
	value := int64(1)
	for _, s := range Statuses() {
		totals.ByStatus[s] = value
		value *= 10
	}
	n := totals.ByStatus
	for name, pair := range map[string][2]int64{
		"sum":            {totals.Sum(), 111_111_111_111},
		"waiting":        {totals.Waiting(), n[StatusPending] + n[StatusStaged]},
		"unsubmitted":    {totals.Unsubmitted(), n[StatusPending] + n[StatusStaged] + n[StatusSubmitting]},
		"accepted":       {totals.Accepted(), n[StatusQueued] + n[StatusProcessing] + n[StatusSent] + n[StatusDelivered] + n[StatusRead] + 3},
		"sent":           {totals.AtLeastSent(), n[StatusSent] + n[StatusDelivered] + n[StatusRead]},
		"delivered":      {totals.AtLeastDelivered(), n[StatusDelivered] + n[StatusRead]},
		"balanced":       {asInt(totals.Balanced(111_111_111_111)), 1},
		"one row short":  {asInt(totals.Balanced(111_111_111_112)), 0},
		"one row beyond": {asInt(totals.Balanced(111_111_111_110)), 0},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s: %d, want %d", name, pair[0], pair[1])
		}
	}
}

func asInt(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
