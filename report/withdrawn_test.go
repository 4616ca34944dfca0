package report_test

import (
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/report"
)

// What was accepted and then taken back is canceled, and nowhere counted as
// accepted: neither in the funnel nor in a table, a chart or a speed.
func TestWithdrawnIsNowhereAccepted(t *testing.T) {
	t.Parallel()
	for name, scenario := range map[string]func() *ledger{"canceled": canceled, "running": running, "taken back": takenBack} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := build(t, scenario())
			want := r.Funnel[0].Count
			got := map[string]int64{}
			for _, p := range r.Series.Points {
				got["series"] += p.Accepted
			}
			for _, s := range r.Senders {
				got["senders"] += s.Accepted
			}
			for _, s := range r.Segments {
				for _, row := range s.Rows {
					got["segments by "+s.By] += row.Accepted
					if s.By == "hour" {
						got["recipients by hour"] += row.Recipients
					}
				}
			}
			got["calls that were timed"] = r.Timing.Call.Messages
			perSecond := r.Timing.AcceptedPerSecond * float64(r.Timing.SendingMS) / 1000
			got["speed × time"] = int64(perSecond + 0.5)
			for what, n := range got {
				if n != want {
					t.Errorf("%s: %d accepted, the funnel has %d", what, n, want)
				}
			}
			if len(got) < 6 {
				t.Errorf("compared only %v", got)
			}
			if quick := build(t, scenario(), quick); quick.Funnel[0].Count != want {
				t.Errorf("the quick report has %d accepted, the full one %d", quick.Funnel[0].Count, want)
			}
		})
	}
}

// Every form says how many were taken back, the quick report, which cannot know,
// says nothing.
func TestWithdrawnIsSaidInEveryForm(t *testing.T) {
	t.Parallel()
	l := takenBack()
	r := build(t, l)
	if got := r.Canceled; got.Total != 6 || got.Withdrawn == nil || *got.Withdrawn != 4 {
		t.Fatalf("canceled: %+v", got)
	}
	var doc struct {
		Rows     int64 `json:"rows"`
		Canceled struct {
			Total     int64 `json:"total"`
			Withdrawn int64 `json:"withdrawn"`
		} `json:"canceled"`
		Balance struct {
			ByStatus map[campaign.Status]int64 `json:"by_status"`
		} `json:"balance"`
	}
	if err := json.Unmarshal(asJSON(t, r), &doc); err != nil {
		t.Fatal(err)
	}
	var sum int64
	for _, n := range doc.Balance.ByStatus {
		sum += n
	}
	if sum != doc.Rows || !r.Balanced || doc.Canceled.Total != doc.Balance.ByStatus[campaign.StatusCanceled] || doc.Canceled.Withdrawn != 4 {
		t.Errorf("JSON: %d of %d rows, %+v", sum, doc.Rows, doc)
	}
	const words = "Of the 6 canceled, 4 had been accepted and were taken back out of the provider's queue."
	forms := map[string]string{
		"text":     text(t, r, report.TextOptions{}),
		"brief":    text(t, r, report.TextOptions{Brief: true}),
		"HTML":     strings.ReplaceAll(string(export(t, l, r, "report.html")), "&#39;", "'"),
		"workbook": string(cells(t, export(t, l, r, "report.xlsx"))),
	}
	spaces := regexp.MustCompile(`\s+`)
	for form, out := range forms {
		out = spaces.ReplaceAllString(out, " ")
		if !strings.Contains(out, words) {
			t.Errorf("%s: no %q", form, words)
		}
		if !strings.Contains(out, "6 canceled (4 taken back out of the provider's queue)") {
			t.Errorf("%s: not in the first line", form)
		}
	}
	fromRows := 0
	records := parse(t, asCSV(t, l, report.CSVOptions{NoBOM: true}))
	own := len(records[0]) - ownColumns
	for _, rec := range records[1:] {
		if rec[own] == "canceled" && rec[own+6] != "" && strings.HasPrefix(rec[own+2], "taken out of the provider's queue") {
			fromRows++
		}
	}
	if fromRows != 4 {
		t.Errorf("CSV: %d rows were taken back", fromRows)
	}

	hurried := build(t, takenBack(), quick)
	if got := hurried.Canceled; got.Total != 6 || got.Withdrawn != nil || strings.Contains(hurried.Verdict, "taken back") {
		t.Errorf("quick: %+v, %s", got, hurried.Verdict)
	}
	if diff := cmp.Diff(r.Because, hurried.Because); diff != "" {
		t.Errorf("quick (-full +quick):\n%s", diff)
	}
}

// A purged message may have been on its way: until the provider was asked about
// all of them, the numbers of a campaign that is over can change. Of a completed
// one they are purged when people opt out afterwards.
func TestOverIsProvisionalWhileItIsAskedFor(t *testing.T) {
	t.Parallel()
	for _, state := range []campaign.State{campaign.StateCanceled, campaign.StateCompleted} {
		t.Run(string(state), func(t *testing.T) {
			t.Parallel()
			provisionalWhileAskedFor(t, state)
		})
	}
}

func provisionalWhileAskedFor(t *testing.T, state campaign.State) {
	t.Helper()
	for _, awaited := range []int64{12, 1, 0} {
		l := newLedger(12)
		l.campaign.State = state
		for range 12 {
			l.add(campaign.StatusCanceled, withdrawn)
		}
		l.awaited = awaited
		for _, opts := range []func(*report.Options){quick, func(*report.Options) {}} {
			r := build(t, l, opts)
			if r.Provisional != (awaited > 0) || report.Summarize(r, "").Provisional != r.Provisional {
				t.Errorf("%d awaited: provisional %t, because %q", awaited, r.Provisional, r.Because)
			}
			standing, because := "final", []string{}
			if awaited > 0 {
				standing = "PROVISIONAL"
				because = []string{"the provider is still to be asked about " + strconv.FormatInt(awaited, 10) + " messages"}
				if awaited == 1 {
					because = []string{"the provider is still to be asked about 1 message"}
				}
			}
			if !slices.Equal(r.Because, because) {
				t.Errorf("%d awaited: %q", awaited, r.Because)
			}
			if out := text(t, r, report.TextOptions{}); !strings.Contains(out, " · "+string(state)+" · "+standing+"\n") {
				t.Errorf("%d awaited:\n%s", awaited, out)
			}
			if n := r.Funnel[0].Count; n != 0 || r.Timing != nil || r.Series != nil {
				t.Errorf("%d accepted, timing %+v, series %+v", n, r.Timing, r.Series)
			}
		}
	}
}

func TestWithdrawnVerdict(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, verdict, words string
		rows                 func(l *ledger)
	}{
		{
			"all of them", "canceled before anything was sent to 2 recipients, 2 taken back out of the provider's queue",
			"All 2 canceled had been accepted and were taken back out of the provider's queue.",
			func(l *ledger) { l.add(campaign.StatusCanceled, withdrawn); l.add(campaign.StatusCanceled, withdrawn) },
		},
		{
			"one of two", "canceled before anything was sent to 2 recipients, 1 taken back out of the provider's queue",
			"Of the 2 canceled, 1 had been accepted and was taken back out of the provider's queue.",
			func(l *ledger) { l.add(campaign.StatusCanceled); l.add(campaign.StatusCanceled, withdrawn) },
		},
		{
			"the only one", "1 of 2 delivered (50.0 %), 0 % of those read, 1 canceled (taken back out of the provider's queue)",
			"The one canceled had been accepted and was taken back out of the provider's queue.",
			func(l *ledger) { l.add(campaign.StatusDelivered); l.add(campaign.StatusCanceled, withdrawn) },
		},
		{
			"none", "1 of 2 delivered (50.0 %), 0 % of those read, 1 canceled", "",
			func(l *ledger) { l.add(campaign.StatusDelivered); l.add(campaign.StatusCanceled) },
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := newLedger(2)
			l.campaign.State = campaign.StateCanceled
			tt.rows(l)
			r := build(t, l)
			if r.Verdict != tt.verdict {
				t.Errorf("got  %s\nwant %s", r.Verdict, tt.verdict)
			}
			out := regexp.MustCompile(`\s+`).ReplaceAllString(text(t, r, report.TextOptions{}), " ")
			if tt.words != "" && !strings.Contains(out, tt.words) || tt.words == "" && strings.Contains(out, "had been accepted") {
				t.Errorf("want %q in\n%s", tt.words, out)
			}
		})
	}
}

// Somebody who answers a message that was taken back, as one sent before, took
// no time from an acceptance that does not count.
func TestReplyToWithdrawnHasNoDelay(t *testing.T) {
	t.Parallel()
	l := newLedger(1)
	l.campaign.State = campaign.StateCanceled
	l.add(campaign.StatusCanceled, withdrawn, func(r *campaign.Recipient) {
		r.Replies, r.RepliedAt, r.Reply = 1, r.QueuedAt.AddDate(0, 0, 1), "Which message?"
	})
	if e := build(t, l).Engagement; e.ToReply != nil || e.Replied.Count != 1 {
		t.Errorf("%+v", e)
	}
}
