package report_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/xuri/excelize/v2"
	"pgregory.net/rapid"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/report"
)

// exports are the forms that are written to a file of their own.
func exports(t *testing.T, l *ledger, r *report.Report) map[string]func(io.Writer) error {
	t.Helper()
	opts := report.CSVOptions{NoBOM: true}
	return map[string]func(io.Writer) error{
		"report.html": func(w io.Writer) error { return report.WriteHTML(w, r) },
		"report.xlsx": func(w io.Writer) error { return report.WriteXLSX(t.Context(), w, r, l.deps()) },
		"failed.csv":  func(w io.Writer) error { return report.WriteFailedCSV(t.Context(), w, l.deps(), testID, opts) },
		"replies.csv": func(w io.Writer) error { return report.WriteRepliesCSV(t.Context(), w, l.deps(), testID, opts) },
		"poll.csv":    func(w io.Writer) error { return report.WritePollCSV(w, r, opts) },
	}
}

func export(t *testing.T, l *ledger, r *report.Report, name string) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := exports(t, l, r)[name](&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestGoldenForms(t *testing.T) {
	t.Parallel()
	for name, scenario := range scenarios {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := scenario()
			r := build(t, l)
			golden(t, name+".html", export(t, l, r, "report.html"))
			golden(t, name+".xlsx.txt", cells(t, export(t, l, r, "report.xlsx")))
			golden(t, name+".failed.csv", export(t, l, r, "failed.csv"))
			golden(t, name+".replies.csv", export(t, l, r, "replies.csv"))
			golden(t, name+".poll.csv", export(t, l, r, "poll.csv"))
		})
	}
}

func open(t *testing.T, book []byte) *excelize.File {
	t.Helper()
	f, err := excelize.OpenReader(bytes.NewReader(book))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

// cells is a workbook as text, sheet by sheet.
func cells(t *testing.T, book []byte) []byte {
	t.Helper()
	f := open(t, book)
	var b bytes.Buffer
	for _, sheet := range f.GetSheetList() {
		fmt.Fprintf(&b, "== %s\n", sheet)
		rows, err := f.GetRows(sheet)
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range rows {
			fmt.Fprintln(&b, strings.TrimRight(strings.Join(row, " | "), " |"))
		}
	}
	return b.Bytes()
}

// A list that was made of a workbook has the columns that only a workbook has.
// No column of the sheet is there twice, and the CSV, which lacks those, keeps its
// names.
func TestWorkbookHasNoColumnTwice(t *testing.T) {
	t.Parallel()
	l := newLedger(1)
	for header, want := range map[string]string{"herald_row": "herald2_row", "Herald_Accepted_At": "herald2_row", "herald_status": "herald2_row", "row": "herald_row"} {
		l.campaign.Imports[0].Header, l.campaign.Imports[0].Slugs = []string{"Mobile", header}, nil
		l.rows = nil
		l.add(campaign.StatusSent, record("+919999990001", "7"))
		rows, err := open(t, export(t, l, build(t, l), "report.xlsx")).GetRows("Recipients")
		if err != nil {
			t.Fatal(err)
		}
		if names := rows[0]; names[1] != header || names[2] != want {
			t.Errorf("beside %s ours begin with %s, want %s", header, names[2], want)
		}
		csv := parse(t, asCSV(t, l, report.CSVOptions{NoBOM: true}))
		status := "herald_status"
		if header == status {
			status = "herald2_status"
		}
		if csv[0][2] != status {
			t.Errorf("beside %s ours begin with %s in the CSV, want %s", header, csv[0][2], status)
		}
	}
}

// headline are the numbers people quote.
type headline struct {
	Recipients, Accepted, Sent, Delivered, Read, Replied int64
	OptedOut, Failed, InLedger, RowsInFile               int64
}

// Whoever reads whichever form reads the same numbers.
func TestFormsSayTheSame(t *testing.T) {
	t.Parallel()
	for name, scenario := range scenarios {
		if name == "empty" {
			continue // a funnel of nobody is not drawn
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := scenario()
			r := build(t, l)
			forms := map[string]headline{
				"text": fromText(t, text(t, r, report.TextOptions{Width: 120})),
				"html": fromHTML(t, string(export(t, l, r, "report.html"))),
				"xlsx": fromXLSX(t, export(t, l, r, "report.xlsx")),
			}
			want := fromJSON(t, asJSON(t, r))
			for form, got := range forms {
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("%s differs from the JSON (-json +%s):\n%s", form, form, diff)
				}
			}
			// The rows themselves say so, too.
			var fromRows headline
			records := parse(t, asCSV(t, l, report.CSVOptions{NoBOM: true}))
			own := len(records[0]) - ownColumns
			for _, rec := range records[1:] {
				fromRows.InLedger++
				if rec[own] == "failed" {
					fromRows.Failed++
				}
				if rec[own+15] != "" {
					fromRows.Replied++
				}
				if rec[own+18] != "" {
					fromRows.OptedOut++
				}
				if rec[own] == "read" {
					fromRows.Read++
				}
			}
			if fromRows.InLedger != want.InLedger || fromRows.Failed != want.Failed || fromRows.Read != want.Read ||
				fromRows.Replied != want.Replied || fromRows.OptedOut != want.OptedOut {
				t.Errorf("the CSV says %+v, the report %+v", fromRows, want)
			}
			if failed := len(parse(t, export(t, l, r, "failed.csv"))) - 1; int64(failed) != want.Failed {
				t.Errorf("failed.csv has %d rows, %d failed", failed, want.Failed)
			}
		})
	}
}

func figure(t *testing.T, s string) int64 {
	t.Helper()
	n, err := strconv.ParseInt(strings.ReplaceAll(s, ",", ""), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// found is the number a pattern captures; 0 when it is not there, for the
// terminal leaves out what is zero.
func found(t *testing.T, text, pattern string) int64 {
	t.Helper()
	m := regexp.MustCompile(pattern).FindStringSubmatch(text)
	if m == nil {
		return 0
	}
	return figure(t, m[1])
}

func fromText(t *testing.T, s string) headline {
	t.Helper()
	step := func(name string) int64 { return found(t, s, `(?m)^  `+name+` +([\d,]+)  [█░]`) }
	return headline{
		Recipients: found(t, s, `(?m)^  all +([\d,]+) recipient`),
		Accepted:   step("accepted"), Sent: step("sent"), Delivered: step("delivered"), Read: step("read"), Replied: step("replied"),
		OptedOut:   found(t, s, `(?m)^  opted out +([\d,]+)  [\d.<]+ %`),
		Failed:     found(t, s, `(?m)^Failed: ([\d,]+)`),
		InLedger:   found(t, s, `(?m)^  in the ledger +([\d,]+)`),
		RowsInFile: found(t, s, `(?m)^  rows in the file +([\d,]+)`),
	}
}

func fromHTML(t *testing.T, s string) headline {
	t.Helper()
	step := func(name string) int64 { return found(t, s, `<tr data-step="`+name+`">.*?<data value="(\d+)"`) }
	value := func(id string) int64 { return found(t, s, `<data id="`+id+`" value="(\d+)"`) }
	return headline{
		Recipients: found(t, s, `<th scope="row">recipients</th><td class="num"><data value="(\d+)"`),
		Accepted:   step("accepted"), Sent: step("sent"), Delivered: step("delivered"), Read: step("read"), Replied: step("replied"),
		OptedOut: value("opted-out"), Failed: value("failed"), InLedger: value("in-ledger"), RowsInFile: value("rows-in-file"),
	}
}

func fromXLSX(t *testing.T, book []byte) headline {
	t.Helper()
	rows, err := open(t, book).GetRows("Summary")
	if err != nil {
		t.Fatal(err)
	}
	// The statuses come before the funnel, which has some of the same names.
	funnel := slices.IndexFunc(rows, func(r []string) bool { return len(r) > 0 && r[0] == "Funnel" })
	value := func(name string, rows [][]string) int64 {
		for _, r := range rows {
			if len(r) > 2 && r[0] == name {
				return figure(t, r[2])
			}
		}
		t.Fatalf("no %s", name)
		return 0
	}
	after, before := rows[funnel:], rows[:funnel]
	return headline{
		Recipients: value("recipients", after), Accepted: value("accepted", after), Sent: value("sent", after),
		Delivered: value("delivered", after), Read: value("read", after), Replied: value("replied", after),
		OptedOut: value("opted out", after), Failed: value("failed", before),
		InLedger: value("in the ledger", before), RowsInFile: value("rows in the file", before),
	}
}

func fromJSON(t *testing.T, doc []byte) headline {
	t.Helper()
	var r report.Report
	if err := json.Unmarshal(doc, &r); err != nil {
		t.Fatal(err)
	}
	h := headline{
		Recipients: r.Recipients, OptedOut: r.Engagement.OptedOut.Count, Failed: r.Failures.Total,
		InLedger: r.Balance.InLedger, RowsInFile: r.Balance.RowsInFile,
	}
	for step, to := range map[string]*int64{"accepted": &h.Accepted, "sent": &h.Sent, "delivered": &h.Delivered, "read": &h.Read, "replied": &h.Replied} {
		for _, s := range r.Funnel {
			if s.Step == step {
				*to = s.Count
			}
		}
	}
	return h
}

// A workbook holds text and numbers, nothing that is run.
func TestXLSXRunsNothing(t *testing.T) {
	t.Parallel()
	formulas := []string{"=1+1", "+1-201-555-0100", "-2+3", "@SUM(A1)", "\t=1", "＝1+1", "=HYPERLINK(\"http://example.com\")", "=cmd|'/C calc'!A0"}
	l := newLedger(int64(len(formulas)))
	l.campaign.Imports[0].Header[0] = "=Name"
	for _, formula := range formulas {
		l.add(campaign.StatusRead, record(formula, "+919999990001", formula), func(r *campaign.Recipient) {
			r.Replies, r.RepliedAt, r.Reply = 1, r.ReadAt, formula
		})
	}
	r := build(t, l)
	f := open(t, export(t, l, r, "report.xlsx"))
	for i, formula := range append([]string{"=Name"}, formulas...) {
		name := fmt.Sprintf("A%d", i+1)
		if got, err := f.GetCellFormula("Recipients", name); err != nil || got != "" {
			t.Errorf("%s is the formula %q, %v", name, got, err)
		}
		if got, err := f.GetCellValue("Recipients", name); err != nil || got != formula {
			t.Errorf("%s is %q, want %q, %v", name, got, formula, err)
		}
		style, err := f.GetCellStyle("Recipients", name)
		if err != nil {
			t.Fatal(err)
		}
		if s, err := f.GetStyle(style); err != nil || s.NumFmt != 49 {
			t.Errorf("%s becomes a formula once it is edited: %+v, %v", name, s, err)
		}
	}
	phone, err := f.GetCellType("Recipients", "B2")
	if err != nil || phone != excelize.CellTypeInlineString {
		t.Errorf("the number is of type %v, %v", phone, err)
	}
}

func TestXLSXTimesAreDates(t *testing.T) {
	t.Parallel()
	l := newLedger(1)
	l.add(campaign.StatusRead)
	f := open(t, export(t, l, build(t, l), "report.xlsx"))
	rows, err := f.GetRows("Recipients")
	if err != nil {
		t.Fatal(err)
	}
	at := slices.Index(rows[0], "herald_read_at")
	// 15 seconds and 10 minutes after 04:30 UTC, on an Indian clock.
	if got := rows[1][at]; got != "2026-11-28 10:10:15" {
		t.Errorf("read at %q", got)
	}
	name, err := excelize.CoordinatesToCellName(at+1, 2)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := f.GetCellValue("Recipients", name, excelize.Options{RawCellValue: true})
	if serial, parseErr := strconv.ParseFloat(raw, 64); err != nil || parseErr != nil || serial < 46000 {
		t.Errorf("%s is %q, no date: %v %v", name, raw, err, parseErr)
	}
}

func TestXLSXRefusesWhatDoesNotFit(t *testing.T) {
	t.Parallel()
	l := answered()
	r := build(t, l)
	r.Balance.InLedger = report.MaxXLSXRows + 1
	err := report.WriteXLSX(t.Context(), io.Discard, r, l.deps())
	if code := campaign.CodeOf(err); code != campaign.CodeInvalid || !strings.Contains(err.Error(), "1,048,576") {
		t.Errorf("%v", err)
	}
}

// What failed can be mended and fed back: the import reads its own columns and
// passes over ours.
func TestFailedCSVComesBack(t *testing.T) {
	t.Parallel()
	l := mixed()
	records := parse(t, export(t, l, build(t, l), "failed.csv"))
	want := []string{"Name", "Mobile", "Note", "_line", "_code", "_reason", "_retryable"}
	if diff := cmp.Diff(want, records[0]); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"Person 34", "+919999990034", "", "35", "exhausted", "HTTP 503 three times", "yes"}, records[3]); diff != "" {
		t.Error(diff)
	}
}

func TestRepliesWithoutAList(t *testing.T) {
	t.Parallel()
	l := answered()
	deps := l.deps()
	deps.Replies = nil
	var b bytes.Buffer
	if err := report.WriteRepliesCSV(t.Context(), &b, deps, testID, report.CSVOptions{NoBOM: true}); err != nil {
		t.Fatal(err)
	}
	if got, want := len(parse(t, b.Bytes()))-1, int(build(t, l).Engagement.Replied.Count); got != want {
		t.Errorf("%d first replies of %d", got, want)
	}
}

// A page that goes around by e-mail holds no whole number and no message.
func TestHTMLGivesNothingAway(t *testing.T) {
	t.Parallel()
	for name, scenario := range scenarios {
		l := scenario()
		page := string(export(t, l, build(t, l), "report.html"))
		if strings.Contains(page, "SECRET") {
			t.Errorf("%s: the message is in it", name)
		}
		for _, r := range l.rows {
			if number := r.Chat.Number(); number != "" && strings.Contains(page, number) {
				t.Errorf("%s: %s is in it", name, r.Chat)
			}
		}
		if strings.Contains(page, "http:") || strings.Contains(page, "https:") || strings.Contains(page, "<script") {
			t.Errorf("%s: it reaches out", name)
		}
	}
}

// Wilson's interval against published figures (Newcombe 1998, table I), and
// what has to hold of any.
func TestIntervals(t *testing.T) {
	t.Parallel()
	rates := func(read, delivered int64, variant string) func(*ledger) {
		return func(l *ledger) {
			for i := range delivered {
				status := campaign.StatusDelivered
				if i < read {
					status = campaign.StatusRead
				}
				l.add(status, func(r *campaign.Recipient) { r.Variant = variant })
			}
		}
	}
	compare := func(t *testing.T, a, b [2]int64) *report.Variants {
		t.Helper()
		l := newLedger(a[1] + b[1])
		l.campaign.Spec.Variants = []campaign.Variant{{Name: "A", Weight: 1}, {Name: "B", Weight: 1}}
		rates(a[0], a[1], "A")(l)
		rates(b[0], b[1], "B")(l)
		return build(t, l).Variants
	}
	near := func(got, want float64) bool { return math.Abs(got-want) < 0.00005 }
	for _, c := range []struct {
		n, of     int64
		low, high float64
	}{{81, 263, 0.2553, 0.3662}, {15, 148, 0.0624, 0.1605}, {0, 20, 0, 0.1611}, {1, 29, 0.0061, 0.1718}, {29, 29, 0.8830, 1}} {
		got := compare(t, [2]int64{c.n, c.of}, [2]int64{0, 1}).Rows[0].Rates[report.MeasureRead]
		if !near(*got.Low, c.low) || !near(*got.High, c.high) {
			t.Errorf("%d of %d: %.4f to %.4f, want %.4f to %.4f", c.n, c.of, *got.Low, *got.High, c.low, c.high)
		}
	}
	// 56/70 − 48/80 (Newcombe 1998, table II): 0.0524 to 0.3339.
	v := compare(t, [2]int64{48, 80}, [2]int64{56, 70})
	i := slices.IndexFunc(v.Compared, func(c report.Comparison) bool { return c.Measure == report.MeasureRead })
	if c := v.Compared[i]; !near(c.Difference, 0.2) || !near(c.Low, 0.0524) || !near(c.High, 0.3339) || !c.Distinct {
		t.Errorf("%+v", c)
	}
	if !slices.Contains(v.Summary, `"B" is read more often than "A": 80.0 % against 60.0 %.`) {
		t.Errorf("%q", v.Summary)
	}
	v = compare(t, [2]int64{50, 100}, [2]int64{52, 100})
	if !slices.Contains(v.Summary, `"A" and "B" cannot be told apart by their reads.`) {
		t.Errorf("%q", v.Summary)
	}
	rapid.Check(t, func(rt *rapid.T) {
		aOf, bOf := rapid.Int64Range(1, 60).Draw(rt, "a of"), rapid.Int64Range(1, 60).Draw(rt, "b of")
		a, b := rapid.Int64Range(0, aOf).Draw(rt, "a"), rapid.Int64Range(0, bOf).Draw(rt, "b")
		v := compare(t, [2]int64{a, aOf}, [2]int64{b, bOf})
		for _, row := range v.Rows {
			for m, rate := range row.Rates {
				if rate.Low != nil && (*rate.Low < 0 || *rate.High > 1 || *rate.Low > *rate.Share || *rate.Share > *rate.High) {
					rt.Fatalf("%s: %v %v %v", m, *rate.Low, *rate.Share, *rate.High)
				}
			}
		}
		for _, c := range v.Compared {
			if c.Low > c.Difference || c.Difference > c.High || c.Distinct != (c.Low > 0 || c.High < 0) {
				rt.Fatalf("%+v", c)
			}
		}
	})
}

// Two messages to the same chat are a fault, and named.
func TestSentTwice(t *testing.T) {
	t.Parallel()
	l := newLedger(6)
	for range 6 {
		l.add(campaign.StatusDelivered)
	}
	l.rows[3].Chat = l.rows[1].Chat
	l.rows[5].Chat = l.rows[1].Chat
	r := build(t, l)
	if r.Safety.DuplicateSends != 2 || len(r.Safety.DuplicateRows) != 2 || r.Safety.DuplicateRows[0].Seq != 4 {
		t.Errorf("%+v", r.Safety)
	}
	for form, out := range map[string]string{"text": text(t, r, report.TextOptions{Brief: true}), "html": string(export(t, l, r, "report.html"))} {
		if !strings.Contains(out, "fault in Herald") && !strings.Contains(out, "bug in Herald") {
			t.Errorf("%s does not say so", form)
		}
	}
	if healthy := build(t, mixed()); healthy.Safety.DuplicateSends != 0 {
		t.Errorf("%+v", healthy.Safety)
	}
	l = mixed()
	build(t, l)
	if l.read != 1 {
		t.Errorf("a healthy campaign's rows were read %d times", l.read)
	}
}

func TestWaits(t *testing.T) {
	t.Parallel()
	r := build(t, answered())
	want := []report.Wait{
		{
			Kind: "hold", Reason: campaign.PauseDisconnected, Times: 2, TotalMS: 12 * 60_000,
			Spans: []report.Span{
				{From: start.Add(5 * time.Minute), To: start.Add(7 * time.Minute), Detail: "91******9900: the phone is disconnected"},
				{From: start.Add(6 * time.Minute), To: start.Add(16 * time.Minute), Detail: "91******9911: the phone is disconnected"},
			},
		},
		{
			Kind: "pause", Reason: campaign.PauseOperator, Times: 1, TotalMS: 60_000,
			Spans: []report.Span{{From: start.Add(time.Minute), To: start.Add(2 * time.Minute), Detail: "lunch"}},
		},
	}
	if diff := cmp.Diff(want, r.Waits); diff != "" {
		t.Error(diff)
	}
	open := running()
	open.timeline = append(open.timeline, campaign.Event{At: start.Add(72 * time.Hour), Kind: campaign.EventHeld, Reason: campaign.PauseDiskFull})
	waits := build(t, open).Waits // an hour later
	if w := waits[0]; w.Reason != campaign.PauseDiskFull || !w.Open || w.TotalMS != time.Hour.Milliseconds() || !w.Spans[0].To.IsZero() {
		t.Errorf("%+v", w)
	}
}

// However many values and minutes there are, the report stays small and every
// recipient is counted.
func TestSegmentsAndSeriesStayBounded(t *testing.T) {
	t.Parallel()
	const rows = 12_000
	l := newLedger(rows)
	l.campaign.Spec.Segments = []string{"note"}
	for i := range int64(rows) {
		l.add(campaign.StatusDelivered, func(r *campaign.Recipient) {
			r.Record[2] = fmt.Sprintf("value %c%d", 'a'+rune(i%26), i)
			if i%3 == 0 {
				r.Record[2] = "frequent"
			}
			r.Chat = campaign.PersonChat(strconv.FormatInt(919990000000+i, 10))
			r.QueuedAt = start.Add(time.Duration(i) * 17 * time.Minute)
			r.DeliveredAt = r.QueuedAt.Add(time.Second)
		})
	}
	r := build(t, l)
	i := slices.IndexFunc(r.Segments, func(s report.Segment) bool { return s.Column == "note" })
	s := r.Segments[i]
	if len(s.Rows) != 20 || s.Rows[0].Value != "frequent" || s.Rows[0].Recipients != rows/3 || s.Values != 8001 || s.MoreValues {
		t.Errorf("%d rows, the first %+v, of %d values", len(s.Rows), s.Rows[0], s.Values)
	}
	var all int64
	for _, row := range append(s.Rows, *s.Others) {
		all += row.Recipients
	}
	var accepted, delivered int64
	for _, p := range r.Series.Points {
		accepted += p.Accepted
		delivered += p.Delivered
	}
	if all != rows || accepted != rows || delivered != rows || len(r.Series.Points) > 1500 || r.Series.BucketMS <= 60_000 {
		t.Errorf("%d recipients, %d accepted, %d delivered in %d points of %d ms", all, accepted, delivered, len(r.Series.Points), r.Series.BucketMS)
	}
}

// The two variants of this campaign ask the same: one poll is what both are without
// their names.
func TestPollTally(t *testing.T) {
	t.Parallel()
	l := answered()
	l.campaign.Spec.Message, l.campaign.Spec.Variants = l.campaign.Spec.Variants[0].Message, nil
	for i := range l.rows {
		l.rows[i].Variant = ""
	}
	p := build(t, l).Poll
	want := map[string]int64{"Yes": 100, "No": 96, "Perhaps <script>": 96}
	for _, o := range p.Options {
		if want[o.Option] != o.Votes {
			t.Errorf("%s: %d", o.Option, o.Votes)
		}
	}
	if p.Turnout.Count != 196 || p.Turnout.Of != 372 || p.Several != 96 || p.Withdrawn != 50 || p.Changed != 96 {
		t.Errorf("%+v", p)
	}
	if p.Groups == nil || p.Groups.Groups != 2 || p.Groups.Voters != 4 {
		t.Errorf("groups %+v", p.Groups)
	}
	for _, split := range p.Splits {
		var voters int64
		for _, row := range split.Rows {
			voters += row.Voters
		}
		if voters != p.Turnout.Count {
			t.Errorf("by %s there are %d voters", split.Column, voters)
		}
	}
}
