package report

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/herald-campaigns/herald/campaign"
)

//go:embed report.html
var htmlSource string

//go:embed report.css
var htmlStyle string

// WriteHTML writes the report as one file that needs nothing else: it can be
// sent by e-mail, printed on A4, and read on a telephone, by light and dark and
// by ear. It runs no script and loads nothing, and its content policy says so.
func WriteHTML(w io.Writer, r *Report) error {
	t, err := template.New("report").Funcs(r.functions()).Parse(htmlSource)
	if err != nil {
		return fmt.Errorf("read the template of the report: %w", err)
	}
	var b bytes.Buffer // a report that fails half-way is none
	if err := t.ExecuteTemplate(&b, "page", newHTML(r)); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	if _, err := b.WriteTo(w); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}

func (r *Report) functions() template.FuncMap {
	return template.FuncMap{
		"comma": func(n any) string {
			if p, ok := n.(*int64); ok {
				return comma(*p)
			}
			return comma(n.(int64)) //nolint:forcetypeassert // the template is ours; a test runs every part of it
		},
		"when":      r.when,
		"rfc":       func(t time.Time) string { return t.Format(time.RFC3339) },
		"receipt":   receipt,
		"more":      func(n, than int64) bool { return n > than },
		"span":      func(n int64) string { return span(ms(n)) },
		"count":     func(n *int64, noun string) string { return count(*n, noun) },
		"delivered": ofDelivered,
		"turnout":   (*Poll).turnout,
		"place":     func(l Line) string { return l.place(r) },
		"gap":       Gap.words,
		"event":     eventWords,
		"join":      func(s []string) string { return strings.Join(s, "; ") },
	}
}

// htmlPage is what the template shows: the report, and its tables and charts in
// the words of people.
type htmlPage struct {
	R                 *Report
	Policy            string
	Style             template.CSS
	Mode, Verdict     string
	Rest              string // of the verdict
	Tiles             []tile
	Funnel            []htmlStep
	FunnelChart       barChart
	Growth            *lineChart
	Timing            []fact
	Delays            *htmlTable
	FailureChart      *barChart
	FailureTable      *htmlTable
	Failures          []finding
	MoreFailures      int
	Unknown           []finding
	Engaged           bool
	PollNoun          string
	PollRemarks       []string
	Polls             []htmlPoll
	Dots              *dotChart
	VariantTable      *htmlTable
	RateTables        []*htmlTable
	Comparisons       *htmlTable
	VariantShares     string
	VariantNote       string
	Shares            string
	Segments          []*htmlTable
	Balance           []balanceRow
	Equations         []string
	Skipped           *htmlTable
	Once              string
	Retries, Attempts string
	Waits             *htmlTable
	Senders, Earlier  *htmlTable
	Facts, Downloads  []fact
}

type (
	tile       struct{ Label, Value, Note string }
	fact       struct{ Label, Value string }
	finding    struct{ Title, Detail, Advice, Examples string }
	balanceRow struct {
		Label   string
		Count   int64
		Meaning string
	}
	htmlStep struct {
		Step             string
		Count            int64
		OfEarlier, OfAll string
		Definition       string
	}
	// htmlPoll is one poll. Among several it has a title.
	htmlPoll struct {
		Title, Turnout string
		Remarks        []string
		Chart          barChart
		Tables         []*htmlTable
	}
	// htmlTable has words in its first column and numbers in the others.
	htmlTable struct {
		Caption string
		Columns []string
		Rows    [][]string
	}
)

// parts is the table in as many as it takes for a sheet of paper: each has the
// first keep columns, and up to n others.
func (t *htmlTable) parts(keep, n int) []*htmlTable {
	others := len(t.Columns) - keep
	if others <= n {
		return []*htmlTable{t}
	}
	var parts []*htmlTable
	for from := keep; from < len(t.Columns); from += n {
		to := min(from+n, len(t.Columns))
		part := &htmlTable{Caption: fmt.Sprintf("%s (%d to %d of %d)", t.Caption, from-keep+1, to-keep, others)}
		cut := func(row []string) []string { return append(slices.Clone(row[:keep]), row[from:to]...) }
		part.Columns = cut(t.Columns)
		for _, row := range t.Rows {
			part.Rows = append(part.Rows, cut(row))
		}
		parts = append(parts, part)
	}
	return parts
}

func newHTML(r *Report) *htmlPage {
	sum := sha256.Sum256([]byte(htmlStyle))
	p := &htmlPage{
		R:       r,
		Policy:  "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; form-action 'none'",
		Style:   template.CSS(htmlStyle), //nolint:gosec // ours, embedded
		Mode:    strings.ToUpper(string(r.Header.Mode)),
		Verdict: unbroken(sentence(r.headline)),
		Rest:    unbroken(sentence(r.rest)),
		Shares:  sharesWords,
	}
	p.funnel()
	p.timing()
	p.failures()
	p.unknown()
	e := r.Engagement
	p.Engaged = e.Replied.Count+e.OptedOut.Count > 0 || e.ToReview != nil && *e.ToReview > 0
	p.poll()
	p.variants()
	for _, s := range r.Segments {
		if len(s.Rows) < 2 && s.By != byColumn {
			continue
		}
		title, note := s.title(r)
		if note != "" {
			title += ": " + note
		}
		first := s.Column
		if s.By != byColumn {
			first = s.By
		}
		p.Segments = append(p.Segments, outcomeTable(title, first, s.labeled()))
	}
	p.balance()
	p.safety()
	p.senders()
	if len(r.Earlier) > 0 {
		p.Earlier = outcomeTable("This campaign and the last ones on the same list or with the same name", "campaign", r.besides())
	}
	p.about()
	return p
}

// unbroken keeps a number and its percent sign on one line.
func unbroken(s string) string { return strings.ReplaceAll(s, " %", "\u00a0%") }

func (p *htmlPage) funnel() {
	r := p.R
	if r.Recipients == 0 {
		return
	}
	counts := map[string]int64{"recipients": r.Recipients}
	rows := []chartRow{{label: "recipients", value: comma(r.Recipients), class: "c1", share: 1}}
	for _, s := range r.Funnel {
		p.Funnel = append(p.Funnel, htmlStep{
			Step: s.Step, Count: s.Count, Definition: s.Definition,
			OfEarlier: s.ofEarlier(counts), OfAll: percent(s.Count, r.Recipients),
		})
		counts[s.Step] = s.Count
		rows = append(rows, chartRow{
			label: s.Step, value: comma(s.Count) + " · " + percent(s.Count, r.Recipients), class: "c2",
			share: float64(s.Count) / float64(r.Recipients),
		})
	}
	p.FunnelChart = bars("funnel-chart", "Funnel", rows)
	delivered := counts[stepDelivered]
	if poll := r.Poll; poll != nil {
		p.Tiles = append(p.Tiles, tile{"Voted", comma(poll.Turnout.Count), poll.turnout()})
	}
	p.Tiles = append(p.Tiles, []tile{
		{"Delivered", comma(delivered), percent(delivered, r.Recipients) + " of " + count(r.Recipients, "recipient")},
		{"Read", comma(counts[stepRead]), percent(counts[stepRead], delivered) + " of those delivered"},
		{"Replied", comma(r.Engagement.Replied.Count), percent(r.Engagement.Replied.Count, delivered) + " of those delivered"},
		{"Failed", comma(r.Failures.Total), percent(r.Failures.Total, r.Recipients) + " of recipients"},
	}...)
}

func (p *htmlPage) timing() {
	r := p.R
	p.Growth = r.growth()
	t := r.Timing
	if t == nil {
		return
	}
	p.Timing = []fact{{"Sending", span(ms(t.SendingMS)) + ", until " + r.when(t.LastAcceptedAt)}}
	if t.AcceptedPerSecond > 0 {
		p.Timing = append(p.Timing, fact{"Average", perSecond(t.AcceptedPerSecond)})
	}
	p.Timing = append(p.Timing, fact{"Peak", comma(t.PeakPerMinute) + " in the minute from " + r.when(t.PeakAt)})
	for _, w := range r.Waits {
		p.Timing = append(p.Timing, fact{w.label(), w.words()})
	}
	table := &htmlTable{Caption: "From acceptance, but for the send call: how long it took for half, 95 % and 99 % of the messages", Columns: []string{"step", "half", "95 %", "99 %", "slowest", "messages"}}
	for _, row := range []struct {
		label string
		s     *Spread
	}{
		{"send call", t.Call}, {"to sent", t.ToSent}, {"to delivered", t.ToDelivered}, {"to read", t.ToRead}, {"to the first reply", r.Engagement.ToReply},
	} {
		if s := row.s; s != nil {
			long := receipt
			if s == t.Call {
				long = func(n int64) string { return span(ms(n)) }
			}
			table.Rows = append(table.Rows, []string{row.label, long(s.P50MS), long(s.P95MS), long(s.P99MS), long(s.MaxMS), comma(s.Messages)})
		}
	}
	if len(table.Rows) > 0 {
		p.Delays = table
	}
}

func (p *htmlPage) failures() {
	f := p.R.Failures
	if f.Total == 0 {
		return
	}
	var rows []chartRow
	table := &htmlTable{Caption: "Failures by reason", Columns: []string{"reason", "count", "share"}}
	for _, reason := range f.reasons() {
		n := f.ByReason[reason]
		label, part := FailWord(reason).Label, percent(n, f.Total)
		rows = append(rows, chartRow{label: label, value: comma(n) + " · " + part, class: "bad", share: float64(n) / float64(f.Total)})
		table.Rows = append(table.Rows, []string{label, comma(n), part})
	}
	chart := bars("failure-chart", "Failures by reason", rows)
	p.FailureChart, p.FailureTable = &chart, table
	for i, g := range f.Groups {
		if i == shownGroups {
			p.MoreFailures = len(f.Groups) - i
			break
		}
		class := "not worth retrying"
		if g.Retryable {
			class = "can be retried"
		}
		p.Failures = append(p.Failures, finding{
			Title:  fmt.Sprintf("%s: %s (%s), %s", comma(g.Count), FailWord(g.Reason).Label, percent(g.Count, f.Total), class),
			Detail: g.Detail, Advice: sentence(g.Advice), Examples: p.R.places(g.Examples),
		})
	}
}

func (p *htmlPage) unknown() {
	for _, kind := range uncertainties() {
		lines := p.R.Unknown.kinds[kind]
		if lines.Total == 0 {
			continue
		}
		w := UncertaintyWord(kind)
		p.Unknown = append(p.Unknown, finding{
			Title:    fmt.Sprintf("%s %s: %s", comma(lines.Total), w.Label, w.Meaning),
			Advice:   sentence(strings.ReplaceAll(w.Advice, "`", "")),
			Examples: p.R.places(lines.Rows[:min(len(lines.Rows), 5)]),
		})
	}
}

func (p *htmlPage) balance() {
	r := p.R
	p.Balance = r.balanceRows()
	p.Equations = r.equations()
	if words := r.Canceled.withdrawnWords(); words != "" {
		p.Equations = append(p.Equations, words)
	}
	if r.Skipped.Total == 0 {
		return
	}
	p.Skipped = &htmlTable{Caption: "Skipped rows by reason", Columns: []string{"reason", "rows"}}
	for _, reason := range allKeys(campaign.SkipReasons(), r.Skipped.ByReason) {
		if n := r.Skipped.ByReason[reason]; n > 0 {
			w := SkipWord(reason)
			p.Skipped.Rows = append(p.Skipped.Rows, []string{w.Label + ": " + w.Meaning, comma(n)})
		}
	}
}

// balanceRows is what became of every row, in the words of people. Where the
// reasons stand is for each form to say.
func (r *Report) balanceRows() []balanceRow {
	rows := []balanceRow{{waiting, r.Balance.Waiting, StatusWord(campaign.StatusPending).Meaning}}
	for _, s := range allKeys(campaign.Statuses(), r.Balance.ByStatus) {
		if !s.Waiting() {
			w := StatusWord(s)
			meaning, _, _ := strings.Cut(w.Meaning, "; reasons")
			rows = append(rows, balanceRow{w.Label, r.Balance.ByStatus[s], meaning})
		}
	}
	return rows
}

// equations say in two lines where every row went.
func (r *Report) equations() []string {
	s := r.Balance.ByStatus
	taken := s[campaign.StatusQueued] + s[campaign.StatusProcessing] + s[campaign.StatusSent] + s[campaign.StatusDelivered] + s[campaign.StatusRead]
	return []string{
		count(r.Balance.InLedger, "row") + " in the ledger = " + addends([]balanceRow{
			{Label: "skipped", Count: r.Skipped.Total}, {Label: "recipients", Count: r.Recipients},
		}),
		count(r.Recipients, "recipient") + " = " + addends([]balanceRow{
			{Label: "accepted and not failed since", Count: taken},
			{Label: "failed", Count: r.Failures.Total},
			{Label: "unknown", Count: r.Unknown.Total},
			{Label: StatusWord(campaign.StatusSubmitting).Label, Count: s[campaign.StatusSubmitting]},
			{Label: waiting, Count: r.Balance.Waiting},
			{Label: "canceled", Count: s[campaign.StatusCanceled]},
		}),
	}
}

// addends is a sum as people write it, without what is zero.
func addends(rows []balanceRow) string {
	var words []string
	for _, row := range rows {
		if row.Count > 0 {
			words = append(words, comma(row.Count)+" "+row.Label)
		}
	}
	if len(words) == 0 {
		return "0."
	}
	return strings.Join(words, " + ") + "."
}

func (p *htmlPage) safety() {
	s := p.R.Safety
	if s == nil {
		return
	}
	p.Once, p.Retries, p.Attempts = onceWords(s), retriesWords(s), attemptsWords(s)
	if len(p.R.Waits) == 0 {
		return
	}
	p.Waits = &htmlTable{Caption: "Times in which sending stood still", Columns: []string{"why", "from", "to"}}
	for _, w := range p.R.Waits {
		for _, span := range w.Spans {
			to := p.R.when(span.To)
			if to == "" {
				to = "not over"
			}
			why := w.label() + ", " + w.reason()
			if span.Detail != "" {
				why += ": " + span.Detail
			}
			p.Waits.Rows = append(p.Waits.Rows, []string{why, p.R.when(span.From), to})
		}
	}
}

func (p *htmlPage) senders() {
	if len(p.R.Senders) == 0 {
		return
	}
	p.Senders = &htmlTable{
		Caption: "What each phone sent",
		Columns: []string{"sender", "rows", "accepted", stepDelivered, stepRead, "replied", "opted out", "failed", "unknown"},
	}
	for _, s := range p.R.Senders {
		label := s.Phone
		if label == "" {
			label = string(s.ID)
		}
		if label == "" {
			label = "(none)"
		}
		cells := []string{label}
		for _, n := range []int64{s.Rows, s.Accepted, s.Delivered, s.Read, s.Replied, s.OptedOut, s.Failed, s.Unknown} {
			cells = append(cells, comma(n))
		}
		p.Senders.Rows = append(p.Senders.Rows, cells)
	}
}

// about is the campaign, and where else its numbers are.
func (p *htmlPage) about() {
	r, h := p.R, p.R.Header
	add := func(label, value string) {
		if value != "" {
			p.Facts = append(p.Facts, fact{label, value})
		}
	}
	add("Campaign", string(h.ID))
	add("State", string(h.State))
	add("Senders", strings.Join(h.Senders, ", "))
	add("Message", r.message+", template SHA-256 "+h.Message.Hash)
	for _, s := range h.Sources {
		text := fmt.Sprintf("%s, %s, SHA-256 %s", s.File, count(s.Rows, "row"), s.SHA256)
		if !s.Complete {
			text += ", not finished"
		}
		add("Recipients file", text)
	}
	add("Created", r.when(h.CreatedAt))
	add("Started", r.when(h.StartedAt))
	add("Finished", r.when(h.FinishedAt))
	add("Time zone", r.TimeZone)
	report := "herald report " + string(h.ID) + " --format "
	p.Downloads = []fact{
		{"For programs", report + "json"},
		{"Your rows back", report + "csv"},
		{"Workbook", report + "xlsx -o report.xlsx"},
	}
	if r.Failures.Total > 0 {
		p.Downloads = append(p.Downloads, fact{"Failed rows, to import", report + "failed-csv"})
	}
	if r.Engagement.Replied.Count > 0 {
		p.Downloads = append(p.Downloads, fact{"Replies", report + "replies-csv"})
	}
	if r.Poll != nil {
		p.Downloads = append(p.Downloads, fact{"Votes", report + "poll-csv"})
	}
}
