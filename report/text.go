package report

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/herald-campaigns/herald/campaign"
)

// TextOptions say how a report looks on a terminal.
type TextOptions struct {
	Width int  // cells in a line, 60…120; 0 is 80
	Color bool // ANSI colors; meaning never depends on them
	ASCII bool // no characters beyond ASCII; others are shown as "?"
	// Brief leaves out what a person at the end of a run does not ask first:
	// statuses without rows, definitions, duplicates one by one, times, senders
	// and the timeline. Books that do not balance are never shortened.
	Brief bool
}

func (o TextOptions) withDefaults() TextOptions {
	if o.Width == 0 {
		o.Width = 80
	}
	o.Width = min(max(o.Width, 60), 120)
	return o
}

// WriteText writes the report for a person at a terminal.
func WriteText(w io.Writer, r *Report, opts TextOptions) error {
	p := newPage(w, opts.withDefaults())
	p.title(r)
	if !opts.Brief {
		p.about(r)
	}
	p.poll(r) // what a poll was sent for
	p.balance(r)
	p.skipped(r)
	p.funnel(r)
	p.engagement(r)
	p.variants(r)
	p.failures(r)
	p.unknown(r)
	p.safety(r)
	if !opts.Brief {
		p.duplicates(r)
		p.timing(r)
		p.segments(r)
		p.senders(r)
		p.earlier(r)
		p.timeline(r)
		p.rejects(r)
	}
	if err := p.close(); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}

// rejects names the file of rejected rows. The path keeps a line of its own,
// whole even beyond the width, so that it can be copied.
func (p *page) rejects(r *Report) {
	if r.RejectsFile == "" {
		return
	}
	p.heading("Rejected rows")
	p.para(indent, "The rows that could not be imported, to be mended:")
	p.line(indent, p.safe(r.RejectsFile))
}

func (p *page) title(r *Report) {
	mode := strings.ToUpper(string(r.Header.Mode))
	style := yellow
	if r.Header.Mode == campaign.ModeLive {
		style = red
	}
	p.line(p.style(bold, p.left(r.Header.Name, p.width-len(mode)-2)), indent, p.style(bold+";"+style, mode))
	standing := "final"
	if r.Provisional {
		standing = "PROVISIONAL"
	}
	p.line(string(r.Header.ID), p.dot(), string(r.Header.State), p.dot(), standing)
	p.line()
	p.styledPara(bold, indent, sentence(r.Verdict))
	if r.Provisional {
		p.styledPara(yellow, indent, "Provisional as of "+r.when(r.GeneratedAt)+": "+strings.Join(r.Because, "; ")+".")
	}
	if !r.Balanced {
		p.styledPara(red, indent, "THE BOOKS DO NOT BALANCE, see below.")
	}
}

func (p *page) about(r *Report) {
	h := r.Header
	p.heading("Campaign")
	p.field("Message", r.message+", template "+short(h.Message.Hash))
	p.field("Senders", strings.Join(h.Senders, ", "))
	for i, s := range h.Sources {
		text := fmt.Sprintf("%s, %s, SHA-256 %s", s.File, count(s.Rows, "row"), short(s.SHA256))
		if !s.Complete {
			text += ", not finished"
		}
		if i == 0 {
			p.field("Recipients", text)
		} else {
			p.field(fmt.Sprintf("Import %d", s.Import), text)
		}
	}
	p.field("Created", r.when(h.CreatedAt))
	if h.StartedAt.IsZero() {
		p.field("Starts", r.when(h.StartAt))
	}
	p.field("Started", r.when(h.StartedAt))
	if !h.FinishedAt.IsZero() {
		p.field("Finished", r.when(h.FinishedAt)+took(h))
	}
	if h.PauseReason != "" {
		text := PauseWord(h.PauseReason)
		if h.PauseDetail != "" {
			text += ": " + h.PauseDetail
		}
		p.field("Paused", text)
	}
	p.field("Generated", r.when(r.GeneratedAt))
	p.field("Settling", until(r.when(r.SettlingUntil)))
}

func until(when string) string {
	if when == "" {
		return ""
	}
	return "statuses can change until " + when
}

func took(h Header) string {
	if h.StartedAt.IsZero() {
		return ""
	}
	return " (after " + span(h.FinishedAt.Sub(h.StartedAt)) + ")"
}

// field writes a label and its value; an empty value is not worth a line.
func (p *page) field(label, value string) {
	if value == "" {
		return
	}
	p.para(indent+p.left(label, 12), value)
}

// Columns of the tables of counts.
const (
	labelWidth = 18
	countWidth = 11
)

// counted writes one line of a table of counts.
func (p *page) counted(label string, n int64, meaning string) {
	p.para(indent+p.left(label, labelWidth)+p.right(comma(n), countWidth)+indent, meaning)
}

func (p *page) balance(r *Report) {
	b := r.Balance
	p.heading("Balance")
	brief := p.brief && r.Balanced
	if b.Waiting > 0 || !brief {
		p.counted(waiting, b.Waiting, StatusWord(campaign.StatusPending).Meaning)
	}
	for _, s := range allKeys(campaign.Statuses(), b.ByStatus) {
		if !s.Waiting() && (b.ByStatus[s] > 0 || !brief) {
			w := StatusWord(s)
			p.counted(w.Label, b.ByStatus[s], w.Meaning)
		}
	}
	p.line(indent, p.rule(labelWidth+countWidth))
	p.counted("in the ledger", b.InLedger, "")
	verdict := "it adds up"
	if !r.Balanced {
		verdict = "IT DOES NOT ADD UP"
	}
	p.counted("rows in the file", b.RowsInFile, verdict)
	if words := r.Canceled.withdrawnWords(); words != "" {
		p.para(indent, words)
	}
	if !r.Balanced {
		p.mismatch(r)
	}
}

func (p *page) mismatch(r *Report) {
	m := r.Balance.Mismatch
	p.line()
	blame := "This is a fault in Herald, not in your file: please report it with this page."
	if slices.ContainsFunc(r.Header.Sources, func(s SourceInfo) bool { return !s.Complete }) {
		blame = "An import was not finished: import the same file again to finish it."
	}
	p.styledPara(red, indent, blame)
	for _, e := range m.Explanations {
		p.para(indent+"- ", e)
	}
	for _, g := range m.Missing {
		p.para(indent+indent, "missing: "+g.words())
	}
	p.more(m.MissingRows-gapRows(m.Missing), "missing row")
	p.places("more than once", m.Doubled, m.DoubledRows)
	p.places("beyond the end", m.Surplus, m.SurplusRows)
}

func (p *page) places(what string, lines []Line, total int64) {
	for _, l := range lines {
		p.para(indent+indent, fmt.Sprintf("%s: row %s, line %s of import %d", what, comma(l.Seq), comma(l.Line), l.Import))
	}
	p.more(total-int64(len(lines)), "row "+what)
}

func (p *page) more(n int64, what string) {
	if n > 0 {
		p.para(indent+indent, fmt.Sprintf("and %s more (%s)", comma(n), what))
	}
}

func gapRows(gaps []Gap) int64 {
	var n int64
	for _, g := range gaps {
		n += g.ToSeq - g.FromSeq + 1
	}
	return n
}

func (g Gap) words() string {
	s := "row " + comma(g.FromSeq)
	if g.ToSeq > g.FromSeq {
		s = "rows " + comma(g.FromSeq) + " to " + comma(g.ToSeq)
	}
	s += " of " + g.File
	switch {
	case g.AfterLine > 0 && g.BeforeLine > 0:
		s += fmt.Sprintf(", between line %s and line %s", comma(g.AfterLine), comma(g.BeforeLine))
	case g.AfterLine > 0:
		s += ", after line " + comma(g.AfterLine)
	case g.BeforeLine > 0:
		s += ", before line " + comma(g.BeforeLine)
	}
	return s
}

func (p *page) skipped(r *Report) {
	if r.Skipped.Total == 0 {
		return
	}
	p.heading("Skipped, by reason")
	for _, reason := range allKeys(campaign.SkipReasons(), r.Skipped.ByReason) {
		n := r.Skipped.ByReason[reason]
		if n == 0 {
			continue
		}
		w := SkipWord(reason)
		text := w.Meaning
		if w.Advice != "" {
			text += ": " + w.Advice
		}
		p.counted(w.Label, n, text)
	}
}

func (p *page) funnel(r *Report) {
	if r.Recipients == 0 {
		return
	}
	const stepWidth, ofWidth, shareWidth = 11, 22, 9
	bar := p.width - len(indent) - stepWidth - countWidth - len(indent) - ofWidth - shareWidth
	p.heading("Funnel" + p.right("of an earlier step", p.width-len("Funnel")-shareWidth) + p.right("of all", shareWidth))
	counts := map[string]int64{"recipients": r.Recipients}
	for _, s := range r.Funnel {
		p.line(indent, p.left(s.Step, stepWidth), p.right(comma(s.Count), countWidth), indent,
			p.bar(float64(s.Count)/float64(r.Recipients), bar),
			p.right(s.ofEarlier(counts), ofWidth), p.right(percent(s.Count, r.Recipients), shareWidth))
		counts[s.Step] = s.Count
	}
	if p.brief {
		return
	}
	p.styledPara(dim, indent+p.left("all", stepWidth), count(r.Recipients, "recipient")+": every row that was not skipped")
	for _, s := range r.Funnel {
		p.styledPara(dim, indent+p.left(s.Step, stepWidth), s.Definition)
	}
}

// ofEarlier is the share with the name of the step it is of, which is not always
// the one before.
func (s Step) ofEarlier(counts map[string]int64) string {
	if counts[s.Previous] == 0 {
		return percent(s.Count, 0)
	}
	return percent(s.Count, counts[s.Previous]) + " of " + s.Previous
}

func (p *page) timing(r *Report) {
	t := r.Timing
	if t == nil {
		return
	}
	p.heading("Time")
	p.field("Sending", fmt.Sprintf("%s, from the first call to %s", span(ms(t.SendingMS)), r.when(t.LastAcceptedAt)))
	if t.AcceptedPerSecond > 0 {
		p.field("Average", perSecond(t.AcceptedPerSecond))
	}
	if t.SendingMS >= (2 * time.Minute).Milliseconds() { // before that, a clock minute says little
		p.field("Peak", fmt.Sprintf("%s in the minute from %s", comma(t.PeakPerMinute), r.when(t.PeakAt)))
	}
	p.waits(r)
	if s := t.Call; s != nil {
		p.field("Send call", fmt.Sprintf("half within %s, 95 %% within %s, 99 %% within %s", span(ms(s.P50MS)), span(ms(s.P95MS)), span(ms(s.P99MS))))
	}
	if t.ToSent == nil && t.ToDelivered == nil && t.ToRead == nil {
		return
	}
	p.line()
	p.spread("After acceptance", "half in", "95 % in", "slowest", "messages")
	for _, row := range []struct {
		label string
		*Spread
	}{{"sent", t.ToSent}, {"delivered", t.ToDelivered}, {"read", t.ToRead}} {
		if s := row.Spread; s != nil {
			p.spread(row.label, receipt(s.P50MS), receipt(s.P95MS), receipt(s.MaxMS), comma(s.Messages))
		}
	}
}

func (p *page) spread(label, half, most, slowest, messages string) {
	width := min((p.width-len(indent)-labelWidth)/4, 14)
	p.line(indent, p.left(label, labelWidth), p.right(half, width), p.right(most, width), p.right(slowest, width), p.right(messages, width))
}

func (p *page) senders(r *Report) {
	if len(r.Senders) < 2 {
		return // one sender's line would repeat the funnel
	}
	const width = 11
	name := min(p.width-len(indent)-5*width, 30)
	p.heading("By sender")
	p.line(indent, p.left("", name), p.right("rows", width), p.right("accepted", width), p.right("delivered", width),
		p.right("failed", width), p.right("unknown", width))
	for _, s := range r.Senders {
		label := s.Phone
		if label == "" {
			label = string(s.ID)
		}
		if label == "" {
			label = "(none)"
		}
		p.line(indent, p.left(label, name), p.right(comma(s.Rows), width), p.right(comma(s.Accepted), width),
			p.right(comma(s.Delivered), width), p.right(comma(s.Failed), width), p.right(comma(s.Unknown), width))
	}
}

func (p *page) timeline(r *Report) {
	if len(r.Timeline) == 0 {
		return
	}
	p.heading("Timeline")
	for _, e := range r.Timeline {
		p.para(indent+r.when(e.At)+indent, eventWords(e))
	}
}

func eventWords(e campaign.Event) string {
	s := string(e.Kind)
	if e.To != "" {
		s = string(e.To)
	}
	if e.Reason != "" {
		s += ": " + PauseWord(e.Reason)
	}
	if e.Detail != "" {
		s += ", " + e.Detail
	}
	return s
}
