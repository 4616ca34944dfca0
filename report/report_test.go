package report_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rivo/uniseg"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/report"
)

var update = flag.Bool("update", false, "write the golden files")

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (go test -update writes it)", err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

func build(tb testing.TB, l *ledger, change ...func(*report.Options)) *report.Report {
	tb.Helper()
	opts := report.Options{
		Now:      start.Add(73 * time.Hour),
		Location: time.FixedZone("IST", 5*3600+1800),
	}
	for _, f := range change {
		f(&opts)
	}
	r, err := report.Build(tb.Context(), l.deps(), testID, opts)
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

func quick(o *report.Options) { o.Quick = true }

func text(t *testing.T, r *report.Report, opts report.TextOptions) string {
	t.Helper()
	var b bytes.Buffer
	if err := report.WriteText(&b, r, opts); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func asJSON(t *testing.T, r *report.Report) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := report.WriteJSON(&b, r); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func asCSV(t *testing.T, l *ledger, opts report.CSVOptions) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := report.WriteCSV(t.Context(), &b, l.deps(), testID, opts); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestGolden(t *testing.T) {
	t.Parallel()
	for name, scenario := range scenarios {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := scenario()
			r := build(t, l, func(o *report.Options) {
				if name == "mixed" {
					o.RejectsFile = "herald-data/rejects/diwali-offer-2026.csv"
				}
			})
			golden(t, name+".txt", []byte(text(t, r, report.TextOptions{})))
			golden(t, name+".json", asJSON(t, r))
			golden(t, name+".csv", asCSV(t, l, report.CSVOptions{}))
			summary, err := json.MarshalIndent(report.Summarize(r, "report.html"), "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			golden(t, name+".summary.json", append(summary, '\n'))
		})
	}
	t.Run("variants", func(t *testing.T) {
		t.Parallel()
		r := build(t, mixed())
		golden(t, "mixed_ascii.txt", []byte(text(t, r, report.TextOptions{ASCII: true})))
		golden(t, "mixed_color.txt", []byte(text(t, r, report.TextOptions{Color: true, Width: 100})))
		golden(t, "mixed_quick.txt", []byte(text(t, build(t, mixed(), quick), report.TextOptions{})))
		golden(t, "mixed_brief.txt", []byte(text(t, r, report.TextOptions{Brief: true})))
	})
}

// A brief report may leave out explanations, never a number that is not zero,
// and nothing at all of books that do not balance.
func TestBriefKeepsTheNumbers(t *testing.T) {
	t.Parallel()
	for name, scenario := range scenarios {
		r := build(t, scenario())
		brief := text(t, r, report.TextOptions{Brief: true})
		whole := text(t, r, report.TextOptions{})
		if strings.Count(brief, "\n") >= strings.Count(whole, "\n") {
			t.Errorf("%s: not shorter", name)
		}
		for status, n := range r.Balance.ByStatus {
			label := report.StatusWord(status).Label
			if n > 0 && !status.Waiting() && !regexp.MustCompile(`(?m)^  `+label+` +`+strconv.FormatInt(n, 10)+` `).MatchString(brief) {
				t.Errorf("%s: %d %s are not in\n%s", name, n, status, brief)
			}
		}
		if !r.Balanced && !strings.Contains(brief, "IT DOES NOT ADD UP") {
			t.Errorf("%s: does not say that the books do not balance", name)
		}
	}
}

// One report is one set of numbers, whichever form it takes.
func TestEveryFormSaysTheSame(t *testing.T) {
	t.Parallel()
	for name, scenario := range scenarios {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := scenario()
			r := build(t, l)

			var doc struct {
				Rows    int64 `json:"rows"`
				Balance struct {
					ByStatus map[campaign.Status]int64 `json:"by_status"`
					Waiting  int64                     `json:"waiting"`
				} `json:"balance"`
				Funnel []struct {
					Step  string `json:"step"`
					Count int64  `json:"count"`
				} `json:"funnel"`
			}
			if err := json.Unmarshal(asJSON(t, r), &doc); err != nil {
				t.Fatal(err)
			}
			// Pending and staged are one for people.
			want := map[string]int64{"waiting": doc.Balance.Waiting}
			for s, n := range doc.Balance.ByStatus {
				if !s.Waiting() {
					want[string(s)] = n
				}
			}

			fromCSV := map[string]int64{}
			for status := range want {
				fromCSV[status] = 0
			}
			records, err := csv.NewReader(bytes.NewReader(asCSV(t, l, report.CSVOptions{NoBOM: true}))).ReadAll()
			if err != nil {
				t.Fatal(err)
			}
			for _, rec := range records[1:] {
				fromCSV[rec[len(rec)-ownColumns]]++
			}
			if diff := cmp.Diff(want, fromCSV); diff != "" {
				t.Errorf("CSV (-JSON +CSV):\n%s", diff)
			}

			screen := text(t, r, report.TextOptions{})
			section := screen[strings.Index(screen, "\nBalance\n"):]
			fromText := map[string]int64{}
			for status := range want {
				label := report.StatusWord(campaign.Status(status)).Label
				fromText[status] = numberAfter(t, section, label)
			}
			if diff := cmp.Diff(want, fromText); diff != "" {
				t.Errorf("text (-JSON +text):\n%s", diff)
			}
			if got := numberAfter(t, section, "rows in the file"); got != doc.Rows {
				t.Errorf("rows: JSON %d, text %d", doc.Rows, got)
			}
			if _, funnel, ok := strings.Cut(screen, "\nFunnel"); ok {
				for _, s := range doc.Funnel {
					if got := numberAfter(t, funnel, s.Step); got != s.Count {
						t.Errorf("funnel %s: JSON %d, text %d", s.Step, s.Count, got)
					}
				}
			}

			summary := report.Summarize(r, "")
			if diff := cmp.Diff(doc.Balance.ByStatus, summary.Balance); diff != "" {
				t.Errorf("summary (-JSON +summary):\n%s", diff)
			}
		})
	}
}

// numberAfter finds the count on the first line that starts with the label.
func numberAfter(t *testing.T, section, label string) int64 {
	t.Helper()
	m := regexp.MustCompile(`(?m)^ +` + regexp.QuoteMeta(label) + ` +([\d,]+)\b`).FindStringSubmatch(section)
	if m == nil {
		t.Errorf("no line for %q", label)
		return -1
	}
	n, err := strconv.ParseInt(strings.ReplaceAll(m[1], ",", ""), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// The quick report must not differ from the full one in what it has.
func TestQuickHasTheSameNumbersWithoutThePass(t *testing.T) {
	t.Parallel()
	l := mixed()
	r := build(t, l, quick)
	if l.read != 0 {
		t.Errorf("the rows were read %d times", l.read)
	}
	full := build(t, l)
	if diff := cmp.Diff(full.Balance, r.Balance); diff != "" {
		t.Errorf("balance (-full +quick):\n%s", diff)
	}
	if diff := cmp.Diff(full.Funnel, r.Funnel); diff != "" {
		t.Errorf("funnel (-full +quick):\n%s", diff)
	}
	if l.read != 1 {
		t.Errorf("a full report read the rows %d times, want once", l.read)
	}

	deps := l.deps()
	deps.Rows = nil
	if _, err := report.Build(t.Context(), deps, testID, report.Options{Quick: true}); err != nil {
		t.Errorf("quick without rows: %v", err)
	}
	if _, err := report.Build(t.Context(), deps, testID, report.Options{}); err == nil {
		t.Error("a full report without rows was built")
	}
}

func TestMismatchNamesTheRows(t *testing.T) {
	t.Parallel()
	r := build(t, unbalanced())
	if r.Balanced {
		t.Fatal("it balances")
	}
	want := &report.Mismatch{
		Missing:     []report.Gap{{FromSeq: 4, ToSeq: 5, Import: 1, File: "recipients.csv", AfterLine: 4, BeforeLine: 7}},
		MissingRows: 2,
		Doubled:     []report.Line{{Seq: 10, Import: 1, Line: 10}},
		DoubledRows: 1,
		Surplus:     []report.Line{},
		Counters: []report.CounterDiff{
			{Counter: "status", Name: "delivered", Kept: 9, Rows: 10},
			{Counter: "status", Name: "read", Kept: 1, Rows: 0},
		},
		Explanations: []string{
			"the ledger has 10 lines for 12 rows read from file",
			"2 rows missing", "1 row more than once",
			`the status counter "delivered" says 9, the rows say 10`,
			`the status counter "read" says 1, the rows say 0`,
		},
	}
	if diff := cmp.Diff(want, r.Balance.Mismatch); diff != "" {
		t.Error(diff)
	}

	t.Run("quick without verify knows the sum only", func(t *testing.T) {
		t.Parallel()
		r := build(t, unbalanced(), quick)
		if r.Balanced || len(r.Balance.Mismatch.Counters) != 0 {
			t.Errorf("balanced %v, %+v", r.Balanced, r.Balance.Mismatch)
		}
	})
	t.Run("quick with verify knows the counters", func(t *testing.T) {
		t.Parallel()
		r := build(t, unbalanced(), quick, func(o *report.Options) { o.Verify = true })
		if r.Balanced || len(r.Balance.Mismatch.Counters) != 2 {
			t.Errorf("balanced %v, %+v", r.Balanced, r.Balance.Mismatch)
		}
	})
	t.Run("gaps at the ends and across imports", func(t *testing.T) {
		t.Parallel()
		l := running() // 8 and 2 rows
		l.rows = append(append([]campaign.Recipient{}, l.rows[1:7]...), l.rows[9])
		m := build(t, l).Balance.Mismatch
		want := []report.Gap{
			{FromSeq: 1, ToSeq: 1, Import: 1, File: "recipients.csv", BeforeLine: 3},
			{FromSeq: 8, ToSeq: 8, Import: 1, File: "recipients.csv", AfterLine: 8},
			{FromSeq: 9, ToSeq: 9, Import: 2, File: "mended.csv", BeforeLine: 3},
		}
		if diff := cmp.Diff(want, m.Missing); diff != "" {
			t.Error(diff)
		}
		l.rows = l.rows[:2]
		m = build(t, l).Balance.Mismatch
		want = []report.Gap{
			{FromSeq: 1, ToSeq: 1, Import: 1, File: "recipients.csv", BeforeLine: 3},
			{FromSeq: 4, ToSeq: 8, Import: 1, File: "recipients.csv", AfterLine: 4},
			{FromSeq: 9, ToSeq: 10, Import: 2, File: "mended.csv"},
		}
		if diff := cmp.Diff(want, m.Missing); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("rows nobody imported", func(t *testing.T) {
		t.Parallel()
		l := allFailed()
		l.add(campaign.StatusSent)
		m := build(t, l).Balance.Mismatch
		if diff := cmp.Diff([]report.Line{{Seq: 4, Import: 1, Line: 5}}, m.Surplus); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("the sum is right but a row stands for another", func(t *testing.T) {
		t.Parallel()
		l := allFailed()
		l.rows[2] = l.rows[1]
		r := build(t, l)
		if r.Balanced || r.Balance.Mismatch.DoubledRows != 1 || r.Balance.Mismatch.MissingRows != 1 {
			t.Errorf("balanced %v, %+v", r.Balanced, r.Balance.Mismatch)
		}
	})
}

// moving is a ledger whose counters change while it is read.
type moving struct {
	*ledger
	calls int64
}

func (m *moving) Totals(ctx context.Context, id campaign.ID) (campaign.Totals, error) {
	t, err := m.Recount(ctx, id)
	m.calls++
	t.ByStatus[campaign.StatusDelivered] -= m.calls
	t.ByStatus[campaign.StatusRead] += m.calls
	return t, err
}

func TestCountersThatMoveAreNoMismatch(t *testing.T) {
	t.Parallel()
	l := &moving{ledger: mixed()}
	deps := l.deps()
	deps.Counts = l
	r, err := report.Build(t.Context(), deps, testID, report.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if !r.Balanced {
		t.Errorf("mismatch: %+v", r.Balance.Mismatch)
	}
}

// growing is a ledger that an import adds to between two looks.
type growing struct{ *ledger }

func (g *growing) Campaign(ctx context.Context, id campaign.ID) (campaign.Campaign, error) {
	c, err := g.ledger.Campaign(ctx, id)
	c.Imports = slices.Clone(c.Imports)
	if len(g.rows) < 4 {
		g.add(campaign.StatusPending)
		g.campaign.Imports[0].Rows = int64(len(g.rows))
	}
	return c, err
}

func TestRowsThatAreBeingImportedAreNoMismatch(t *testing.T) {
	t.Parallel()
	l := &growing{newLedger(2)}
	l.add(campaign.StatusPending)
	l.add(campaign.StatusPending)
	deps := l.deps()
	deps.Campaigns = l
	r, err := report.Build(t.Context(), deps, testID, report.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if !r.Balanced || r.Rows != 4 {
		t.Errorf("%d rows, mismatch %+v", r.Rows, r.Balance.Mismatch)
	}
}

func TestUnfinishedImportIsSaidSo(t *testing.T) {
	t.Parallel()
	l := newLedger(5)
	l.add(campaign.StatusPending)
	l.campaign.Imports[0].Complete = false
	r := build(t, l)
	if r.Balanced {
		t.Error("it balances")
	}
	if out := text(t, r, report.TextOptions{}); !strings.Contains(out, "not finished") || strings.Contains(out, "fault in Herald") {
		t.Errorf("%s", out)
	}
}

func TestBuildErrors(t *testing.T) {
	t.Parallel()
	l := mixed()
	if _, err := report.Build(t.Context(), l.deps(), "cmp_other", report.Options{}); campaign.CodeOf(err) != campaign.CodeNotFound {
		t.Errorf("unknown campaign: %v", err)
	}
	broken := errors.New("disk on fire")
	l.err = broken
	if _, err := report.Build(t.Context(), l.deps(), testID, report.Options{}); !errors.Is(err, broken) {
		t.Errorf("broken ledger: %v", err)
	}
	if err := report.WriteCSV(t.Context(), &bytes.Buffer{}, l.deps(), testID, report.CSVOptions{}); !errors.Is(err, broken) {
		t.Errorf("CSV of a broken ledger: %v", err)
	}
	l.err = nil
	l.rows[3], l.rows[4] = l.rows[4], l.rows[3]
	if _, err := report.Build(t.Context(), l.deps(), testID, report.Options{}); err == nil || !strings.Contains(err.Error(), "out of order") {
		t.Errorf("rows out of order: %v", err)
	}
	stop := errors.New("stopped")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(stop)
	if _, err := report.Build(ctx, large(2000).deps(), testID, report.Options{}); !errors.Is(err, stop) {
		t.Errorf("canceled: %v", err)
	}
}

// Nothing but the round-trip CSV may hold a whole number, and nothing at all
// the message.
func TestReportsLeakNothing(t *testing.T) {
	t.Parallel()
	number := regexp.MustCompile(`(?:^|[^0-9a-f])9199999\d{5}`)
	for name, scenario := range scenarios {
		for _, opts := range []func(*report.Options){quick, func(*report.Options) {}} {
			r := build(t, scenario(), opts)
			for form, out := range map[string]string{"text": text(t, r, report.TextOptions{}), "JSON": string(asJSON(t, r))} {
				if m := number.FindString(out); m != "" {
					t.Errorf("%s, %s: a whole number: %q", name, form, m)
				}
				if strings.Contains(out, "SECRET") {
					t.Errorf("%s, %s: the message body", name, form)
				}
			}
		}
	}
}

// Widths are counted in cells: names and details come in every script.
func TestTextFitsItsWidth(t *testing.T) {
	t.Parallel()
	for name, scenario := range scenarios {
		l := scenario()
		l.campaign.Name = strings.Repeat("春节特惠", 30)
		l.campaign.Imports[0].File = strings.Repeat("ग्राहक_सूची_", 20) + ".csv"
		r := build(t, l, func(o *report.Options) { o.RejectsFile = "/" + strings.Repeat("long-folder/", 20) + "rejects.csv" })
		for _, width := range []int{0, 1, 60, 72, 100, 500} {
			limit := min(max(width, 60), 120)
			if width == 0 {
				limit = 80
			}
			for _, ascii := range []bool{false, true} {
				out := text(t, r, report.TextOptions{Width: width, ASCII: ascii})
				for line := range strings.Lines(out) {
					line = strings.TrimSuffix(line, "\n")
					if path := "  " + r.RejectsFile; line == path {
						continue // kept whole, so that it can be copied
					}
					if w := uniseg.StringWidth(line); w > limit {
						t.Errorf("%s, width %d: %d cells: %q", name, width, w, line)
					}
					if strings.TrimRight(line, " ") != line {
						t.Errorf("%s: trailing blanks: %q", name, line)
					}
					if ascii && strings.IndexFunc(line, func(r rune) bool { return r > 0x7e }) >= 0 {
						t.Errorf("%s: not ASCII: %q", name, line)
					}
				}
				if !strings.Contains(out, "\n  "+r.RejectsFile+"\n") {
					t.Errorf("%s: the path was cut or broken", name)
				}
			}
		}
	}
}

// A name or a provider's message must not be able to drive the terminal.
func TestTextIsSafeForTerminals(t *testing.T) {
	t.Parallel()
	l := allFailed()
	const nasty = "a\x1b[2J\u202eb\u2066c\u009b31m\r\nd\x00\x07"
	l.campaign.Name, l.campaign.Detail, l.campaign.Imports[0].File = nasty, nasty, nasty
	l.campaign.Reason = campaign.PauseOperator
	l.timeline[0].Detail = nasty
	l.rows[0].Detail = nasty
	out := text(t, build(t, l), report.TextOptions{})
	for _, bad := range []string{"\x1b", "\u202e", "\u2066", "\u009b", "\r", "\x00", "\x07"} {
		if strings.Contains(out, bad) {
			t.Errorf("%q went through", bad)
		}
	}
	if colored := text(t, build(t, mixed()), report.TextOptions{Color: true}); !strings.Contains(colored, "\x1b[") {
		t.Error("no color")
	}
}

func TestManyDifferentFailuresStayBounded(t *testing.T) {
	t.Parallel()
	l := newLedger(1000)
	for i := range 1000 {
		l.add(campaign.StatusFailed, failed(campaign.FailProvider, campaign.FailTransient, fmt.Sprintf("error %d", i)))
	}
	r := build(t, l)
	if n := len(r.Failures.Groups); n != 101 || !r.Failures.MoreGroups {
		t.Errorf("%d groups, more %v", n, r.Failures.MoreGroups)
	}
	var sum int64
	for _, g := range r.Failures.Groups {
		sum += g.Count
	}
	if sum != 1000 || r.Failures.Groups[0].Count != 900 {
		t.Errorf("sum %d, first %+v", sum, r.Failures.Groups[0])
	}
}

func TestTiming(t *testing.T) {
	t.Parallel()
	l := newLedger(120)
	for i := range 120 {
		l.add(campaign.StatusDelivered, func(r *campaign.Recipient) {
			// 100 in the first minute, then one every ten seconds.
			at := start.Add(time.Duration(i) * 500 * time.Millisecond)
			if i >= 100 {
				at = start.Add(time.Minute + time.Duration(i-100)*10*time.Second)
			}
			r.ClaimedAt, r.QueuedAt = at, at
			r.SentAt = at.Add(time.Second)
			r.DeliveredAt = at.Add(time.Duration(i+1) * time.Second)
		})
	}
	tm := build(t, l).Timing
	if tm.PeakPerMinute != 100 || !tm.PeakAt.Equal(start) {
		t.Errorf("peak %d at %s", tm.PeakPerMinute, tm.PeakAt)
	}
	if want := int64(250_000); tm.SendingMS != want {
		t.Errorf("sending %d ms, want %d", tm.SendingMS, want)
	}
	if want := 120.0 / 250; tm.AcceptedPerSecond != want {
		t.Errorf("rate %v, want %v", tm.AcceptedPerSecond, want)
	}
	if diff := cmp.Diff(&report.Spread{Messages: 120, P50MS: 1000, P95MS: 1000, P99MS: 1000, MaxMS: 1000}, tm.ToSent); diff != "" {
		t.Error(diff)
	}
	within(t, "p50", tm.ToDelivered.P50MS, 60_000)
	within(t, "p95", tm.ToDelivered.P95MS, 114_000)
	if tm.ToRead != nil {
		t.Errorf("to read: %+v", tm.ToRead)
	}
}

func within(t *testing.T, what string, got, want int64) {
	t.Helper()
	if diff := got - want; diff*50 > want || diff*50 < -want {
		t.Errorf("%s: %d, want %d within 2 %%", what, got, want)
	}
}

func TestEveryCodeHasWords(t *testing.T) {
	t.Parallel()
	for _, s := range campaign.Statuses() {
		if w := report.StatusWord(s); w.Label == "" || w.Meaning == "" {
			t.Errorf("status %q: %+v", s, w)
		}
	}
	for _, s := range campaign.SkipReasons() {
		if w := report.SkipWord(s); w.Meaning == "" {
			t.Errorf("skip reason %q: %+v", s, w)
		}
	}
	for _, s := range []campaign.FailReason{
		campaign.FailRejected, campaign.FailTooLarge, campaign.FailProvider, campaign.FailExhausted, campaign.FailPoison,
	} {
		if w := report.FailWord(s); w.Meaning == "" || w.Advice == "" {
			t.Errorf("fail reason %q: %+v", s, w)
		}
	}
}

func TestVerdict(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		make func(l *ledger)
		want string
	}{
		{"nothing at all", func(*ledger) {}, "no rows, so nothing was sent"},
		{"all skipped", func(l *ledger) { l.add(campaign.StatusSkipped, skipped(campaign.SkipOptedOut, "")) }, "nobody to send to: all rows (1) were skipped"},
		{"not begun", func(l *ledger) { l.add(campaign.StatusPending); l.add(campaign.StatusStaged) }, "nothing sent yet: 2 of 2 recipients waiting"},
		{"canceled early", func(l *ledger) { l.add(campaign.StatusCanceled) }, "canceled before anything was sent to 1 recipient"},
		{"only unknown", func(l *ledger) { l.add(campaign.StatusUnknown) }, "0 of 1 delivered (0 %), 1 unknown"},
		{"accepted", func(l *ledger) { l.add(campaign.StatusQueued) }, "0 of 1 delivered (0 %), 1 accepted but not known as delivered"},
		{"nearly all is not all", func(l *ledger) {
			for range 2999 {
				l.add(campaign.StatusRead)
			}
			l.add(campaign.StatusFailed, failed(campaign.FailExhausted, campaign.FailTransient, ""))
		}, "2,999 of 3,000 delivered (99.9 %), 100 % of those read, 1 failed (all can be retried)"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := newLedger(0)
			tt.make(l)
			l.campaign.Imports[0].Rows = int64(len(l.rows))
			if got := build(t, l).Verdict; got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}
