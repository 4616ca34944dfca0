package report_test

import (
	"context"
	"fmt"
	"io"
	"iter"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/report"
)

// generated is a ledger whose rows exist only while they are read, so that the
// memory measured is the report's.
type generated struct {
	*ledger
	n int64
	// peak is the most heap seen in use during a pass.
	peak uint64
}

func large(n int64) *generated { return &generated{ledger: newLedger(n), n: n} }

func (g *generated) deps() report.Deps {
	return report.Deps{Campaigns: g, Counts: g, Rows: g, Senders: g, Timeline: g}
}

func (g *generated) Rows(context.Context, campaign.ID) iter.Seq2[campaign.Recipient, error] {
	statuses := campaign.Statuses()
	cells := []string{"Priya", "+919999990001", "=1+1"}
	different := len(g.campaign.Spec.Segments) > 0
	return func(yield func(campaign.Recipient, error) bool) {
		var r campaign.Recipient
		for seq := range g.n {
			at := start.Add(time.Duration(seq) * time.Millisecond)
			r = campaign.Recipient{
				Campaign: testID, Seq: seq + 1, Import: 1, Line: seq + 2, Chat: campaign.PersonChat(strconv.FormatInt(919990000000+seq, 10)), Record: cells,
				Status: statuses[seq%int64(len(statuses))], Sender: senderOne,
				ClaimedAt: at, QueuedAt: at, SentAt: at.Add(time.Second), DeliveredAt: at.Add(time.Duration(seq%5000) * time.Millisecond),
			}
			if different {
				r.Record = []string{fmt.Sprintf("Person %d", seq), fmt.Sprintf("+9199999%06d", seq), ""}
			}
			switch r.Status { //nolint:exhaustive // the others need no reason
			case campaign.StatusSkipped:
				r.SkipReason = campaign.SkipDuplicate
			case campaign.StatusFailed:
				r.FailReason, r.FailClass = campaign.FailProvider, campaign.FailTransient
				r.Detail = fmt.Sprintf("number %d is not on WhatsApp", 919999990000+seq%10000)
			}
			if seq%(1<<16) == 0 {
				g.peak = max(g.peak, heap())
			}
			if !yield(r, nil) {
				return
			}
		}
	}
}

// heap is what is in use after a collection.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func BenchmarkBuild(b *testing.B) {
	for _, n := range []int64{10_000, 1_000_000} {
		b.Run(fmt.Sprintf("rows=%d", n), func(b *testing.B) {
			g := large(n)
			before := heap()
			for b.Loop() {
				if _, err := report.Build(b.Context(), g.deps(), testID, report.Options{Now: start}); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(max(g.peak, before)-before)/1024, "peak-KiB")
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(int64(b.N)*n), "ns/row")
		})
	}
}

func BenchmarkWriteCSV(b *testing.B) {
	for _, n := range []int64{10_000, 1_000_000} {
		b.Run(fmt.Sprintf("rows=%d", n), func(b *testing.B) {
			g := large(n)
			before := heap()
			for b.Loop() {
				if err := report.WriteCSV(b.Context(), io.Discard, g.deps(), testID, report.CSVOptions{}); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(max(g.peak, before)-before)/1024, "peak-KiB")
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(int64(b.N)*n), "ns/row")
		})
	}
}

func BenchmarkWriteXLSX(b *testing.B) {
	for _, n := range []int64{10_000, 200_000} {
		b.Run(fmt.Sprintf("rows=%d", n), func(b *testing.B) {
			g := large(n)
			r, err := report.Build(b.Context(), g.deps(), testID, report.Options{Now: start})
			if err != nil {
				b.Fatal(err)
			}
			g.peak = 0
			before := heap()
			for b.Loop() {
				if err := report.WriteXLSX(b.Context(), io.Discard, r, g.deps()); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(max(g.peak, before)-before)/1024, "peak-KiB")
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(int64(b.N)*n), "ns/row")
		})
	}
}

func BenchmarkWriteHTML(b *testing.B) {
	r, err := report.Build(b.Context(), answered().deps(), testID, report.Options{Now: start})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if err := report.WriteHTML(io.Discard, r); err != nil {
			b.Fatal(err)
		}
	}
}

// A report takes a few hundred KiB and eight bytes for each recipient, with a
// column of nothing but different values, too.
//
//nolint:paralleltest // it measures the heap
func TestBuildStaysSmall(t *testing.T) {
	g := large(300_000)
	g.campaign.Spec.Segments = []string{"name", "mobile"}
	before := heap()
	if r, err := report.Build(t.Context(), g.deps(), testID, report.Options{Now: start}); err != nil || r.Safety.DuplicateSends != 0 {
		t.Fatalf("%v, %+v", err, r.Safety)
	}
	if used := int64(g.peak) - int64(before); used > 8<<20 {
		t.Errorf("%d KiB while it was built", used>>10)
	}
}
