package report

import (
	"fmt"
	"slices"
	"strings"
)

// engagement shows what people wrote back, when anybody did.
func (p *page) engagement(r *Report) {
	e := r.Engagement
	review := e.ToReview != nil && *e.ToReview > 0
	if e.Replied.Count == 0 && e.OptedOut.Count == 0 && !review {
		return
	}
	p.heading("Answers")
	replied := ofDelivered(e.Replied)
	if e.Messages != nil && *e.Messages > e.Replied.Count {
		replied += ", " + comma(*e.Messages) + " messages in all"
	}
	p.counted("replied", e.Replied.Count, replied)
	p.counted("opted out", e.OptedOut.Count, ofDelivered(e.OptedOut))
	if review {
		p.counted("to review", *e.ToReview, "may be meant as opt-outs, of all campaigns: look at them with `herald optouts review`")
	}
	if p.brief {
		return
	}
	if s := e.ToReply; s != nil {
		p.field("First reply", fmt.Sprintf("%s; half of all who replied did within %s, 95 %% within %s", r.when(e.FirstAt), receipt(s.P50MS), receipt(s.P95MS)))
	}
	for _, f := range e.FirstReplies {
		p.para(indent+indent, fmt.Sprintf("%s, %s: %s", r.when(f.At), f.place(r), quoted(f.Text)))
	}
}

// ofDelivered is a share of those delivered, where it is one: receipts can be
// missing.
func ofDelivered(rate Rate) string { return ofThose(rate, stepDelivered) }

// ofThose is a share of some of those delivered.
func ofThose(rate Rate, whom string) string {
	switch {
	case rate.Of == 0:
		return "none is known as delivered yet"
	case rate.Count > rate.Of:
		return "more than the " + comma(rate.Of) + " known as delivered"
	}
	return percent(rate.Count, rate.Of) + " of those " + whom
}

// quoted sets words of others apart from ours.
func quoted(s string) string {
	if s == "" {
		return "(no text)"
	}
	return "“" + s + "”"
}

// shownOptions is how many columns of votes fit beside a value.
const shownOptions = 4

func (p *page) poll(r *Report) {
	poll := r.Poll
	if poll == nil {
		return
	}
	p.heading(fmt.Sprintf("%s: %s (%s)", poll.noun(), count(poll.Turnout.Count, "voter"), poll.turnout()))
	if !poll.many() {
		p.tally(poll.polls()[0], poll.remarks())
		return
	}
	p.remarks(poll.remarks())
	for _, one := range poll.ByVariant {
		p.line()
		p.styledPara(bold, indent, fmt.Sprintf("%s: %s (%s)", one.name(), count(one.Turnout.Count, "voter"), one.turnout()))
		p.tally(one, one.remarks())
	}
}

// tally shows one poll.
func (p *page) tally(poll VariantPoll, remarks []string) {
	p.options(poll.Options, poll.Turnout.Count)
	p.remarks(remarks)
	if g := poll.Groups; g != nil {
		p.line()
		p.para(indent, fmt.Sprintf("In %s, %s:", count(g.Groups, "group"), count(g.Voters, "voter")))
		p.options(g.Options, g.Voters)
	}
	if p.brief {
		return
	}
	for _, s := range poll.Splits {
		p.split(poll.Options, s)
	}
}

func (p *page) remarks(remarks []string) {
	for _, line := range remarks {
		p.styledPara(dim, indent, sentence(line))
	}
}

// remarks is what has to be said about the tally: of several polls, what is about
// all of them.
func (poll *Poll) remarks() []string {
	var remarks []string
	if poll.Changed > 0 {
		remarks = append(remarks, comma(poll.Changed)+" changed their vote: the latest counts")
	}
	if poll.Withdrawn > 0 {
		remarks = append(remarks, comma(poll.Withdrawn)+" withdrew their vote")
	}
	if poll.many() {
		return append([]string{"the variants are different polls: their votes are not added up"}, remarks...)
	}
	first, last := poll.polls()[0].aside()
	return slices.Concat(first, remarks, last)
}

func (poll VariantPoll) remarks() []string { return slices.Concat(poll.aside()) }

// aside is what has to be said about one poll, before and after what is said of
// those who thought again.
func (poll VariantPoll) aside() (first, last []string) {
	if poll.Multiple {
		first = append(first, fmt.Sprintf("several answers were allowed, %s gave more than one; shares are of the voters and can add up to more than all", comma(poll.Several)))
	}
	if poll.MoreOptions {
		last = append(last, fmt.Sprintf("there were votes for more than %d options", maxOptions))
	}
	return first, last
}

func (p *page) options(options []PollOption, voters int64) {
	const shareWidth = 9
	name := min(p.width-len(indent)-countWidth-len(indent)-shareWidth-20, 30)
	bar := p.width - len(indent) - name - countWidth - len(indent) - shareWidth
	for _, o := range options {
		part := 0.0
		if o.OfVoters != nil {
			part = *o.OfVoters
		}
		p.line(indent, p.left(o.Option, name), p.right(comma(o.Votes), countWidth), indent, p.bar(part, bar), p.right(percent(o.Votes, voters), shareWidth))
	}
}

func (p *page) split(all []PollOption, s PollSplit) {
	const width = 11
	options := all[:min(len(all), shownOptions, (p.width-len(indent)-12)/width-1)]
	name := p.width - len(indent) - width*(len(options)+1)
	p.line()
	cells := []string{indent, p.left("by "+s.Column, name), p.right("voters", width)}
	for _, o := range options {
		cells = append(cells, " "+p.right(o.Option, width-1))
	}
	p.line(cells...)
	row := func(label string, row PollSplitRow) {
		cells := []string{indent, p.left(label, name), p.right(comma(row.Voters), width)}
		for i := range options {
			cells = append(cells, p.right(percent(row.Votes[i], row.Voters), width))
		}
		p.line(cells...)
	}
	for _, r := range s.Rows {
		row(valueWord(r.Value), r)
	}
	if s.Others != nil {
		row("(all others)", *s.Others)
	}
	if len(options) < len(all) {
		p.styledPara(dim, indent, "The other options are in the other forms.")
	}
}

func valueWord(value string) string {
	if value == "" {
		return "(blank)"
	}
	return value
}

// outcomeColumn is a column of a table of outcomes.
type outcomeColumn struct {
	title string
	cell  func(o Outcome) string
}

// sharesWords says what the shares in a table of outcomes are of: the same that
// the rates of the JSON form are of.
const sharesWords = "Shares: failed of the recipients, delivered of those accepted, the others of those delivered."

// outcomeColumns are the columns, the most telling first.
func outcomeColumns() []outcomeColumn {
	return []outcomeColumn{
		{"recipients", func(o Outcome) string { return comma(o.Recipients) }},
		{stepDelivered, func(o Outcome) string { return percent(o.Delivered, o.Accepted) }},
		{stepRead, func(o Outcome) string { return percent(o.Read, o.Delivered) }},
		{"replied", func(o Outcome) string { return percent(o.Replied, o.Delivered) }},
		{"failed", func(o Outcome) string { return percent(o.Failed, o.Recipients) }},
		{"opted out", func(o Outcome) string { return percent(o.OptedOut, o.Delivered) }},
	}
}

// outcomes writes a table of outcomes, as many columns of it as fit.
func (p *page) outcomes(title string, rows []SegmentRow) {
	const width = 11
	var columns []textColumn
	for _, c := range outcomeColumns() {
		columns = append(columns, textColumn{c.title, width, func(i int) string { return c.cell(rows[i].Outcome) }})
	}
	p.heading(title)
	p.table(columns, rows)
}

// textColumn is a column of numbers: its cell in each row.
type textColumn struct {
	title string
	width int
	cell  func(i int) string
}

// table writes the columns that fit beside the names of the rows.
func (p *page) table(columns []textColumn, rows []SegmentRow) {
	const least = 12 // of a name
	name := p.width - len(indent)
	for i, c := range columns {
		if name-c.width < least {
			columns = columns[:i]
			break
		}
		name -= c.width
	}
	cells := []string{indent, p.left("", name)}
	for _, c := range columns {
		cells = append(cells, p.right(c.title, c.width))
	}
	p.line(cells...)
	for i, row := range rows {
		cells := []string{indent, p.left(row.Value, name)}
		for _, c := range columns {
			cells = append(cells, p.right(c.cell(i), c.width))
		}
		p.line(cells...)
	}
}

func (p *page) variants(r *Report) {
	v := r.Variants
	if v == nil {
		return
	}
	rows := make([]SegmentRow, 0, len(v.Rows)+1)
	for _, row := range v.Rows {
		rows = append(rows, SegmentRow{Value: row.Name, Outcome: row.Outcome})
	}
	if v.votes() {
		p.heading("Variants")
		p.table(v.columns(), rows)
	} else {
		p.outcomes("Variants", rows)
	}
	if len(rows) > 0 {
		p.styledPara(dim, indent, sharesWords+v.groupsAside())
	}
	if v.Holdout != nil {
		p.para(indent, fmt.Sprintf("Held out: %s, chosen by lot to get nothing.", comma(*v.Holdout)))
	}
	for _, s := range v.Summary {
		p.para(indent+"- ", s)
	}
	if len(v.Compared) > 0 && !p.brief {
		p.styledPara(dim, indent, "Told apart with 95 % confidence. "+sentence(v.Note))
	}
}

// columns are those of a table of variants of which one is a poll: narrow ones, so
// that the votes fit beside the others.
func (v *Variants) columns() []textColumn {
	const gap, least = 1, 8
	var columns []textColumn
	add := func(title string, cell func(i int) string) {
		columns = append(columns, textColumn{title, max(len(title)+gap, least), cell})
	}
	for _, c := range outcomeColumns() {
		add(c.title, func(i int) string { return c.cell(v.Rows[i].Outcome) })
		if c.title == "replied" {
			add("voted", func(i int) string {
				return percent(v.Rows[i].Rates[MeasureVoted].Count, v.Rows[i].Rates[MeasureVoted].Of)
			})
		}
	}
	return columns
}

// segments shows every split with more than one value, and each that was asked
// for.
func (p *page) segments(r *Report) {
	shown := false
	for _, s := range r.Segments {
		if len(s.Rows) < 2 && s.By != byColumn {
			continue
		}
		title, _ := s.title(r)
		p.outcomes(title, s.labeled())
		shown = true
	}
	if shown {
		p.line()
		p.styledPara(dim, indent, sharesWords)
	}
}

// title is what a split is by, and what is to be said about it.
func (s Segment) title(r *Report) (title, note string) {
	switch s.By {
	case byCountry:
		return "By country of the number", "where a number was issued; people carry it abroad"
	case byHour:
		return "By hour of acceptance", "hours of " + r.TimeZone
	default:
		return "By " + s.Column, ""
	}
}

// labeled is the rows with words for what has none, others included.
func (s Segment) labeled() []SegmentRow {
	rows := make([]SegmentRow, 0, len(s.Rows)+1)
	for _, row := range s.Rows {
		switch {
		case row.Value == "" && s.By == byCountry:
			row.Value = "(groups and others)"
		case s.By == byHour:
			row.Value += ":00"
		default:
			row.Value = valueWord(row.Value)
		}
		rows = append(rows, row)
	}
	if s.Others != nil {
		rows = append(rows, SegmentRow{Value: "(all others)", Outcome: s.Others.Outcome})
	}
	return rows
}

func (p *page) waits(r *Report) {
	for _, w := range r.Waits {
		p.field(w.label(), w.words())
	}
}

func (w Wait) label() string {
	if w.Kind == waitHold {
		return "Held"
	}
	return "Paused"
}

func (w Wait) words() string {
	s := fmt.Sprintf("%s, %s: %s", span(ms(w.TotalMS)), count(w.Times, "time"), w.reason())
	if w.Open {
		s += " (not over)"
	}
	return s
}

func (w Wait) reason() string {
	if w.Reason == "" {
		return "no reason noted"
	}
	return PauseWord(w.Reason)
}

func (p *page) safety(r *Report) {
	s := r.Safety
	if s == nil || len(s.Attempts) == 0 && s.DuplicateSends == 0 {
		return
	}
	if p.brief && s.DuplicateSends == 0 {
		return
	}
	p.heading("Safety")
	verdict := onceWords(s)
	if s.DuplicateSends > 0 {
		verdict = "THE SAME CHAT WAS SENT TO AGAIN: this is a fault in Herald, please report it with this page"
	}
	p.counted("sent twice", s.DuplicateSends, verdict)
	for _, l := range s.DuplicateRows {
		p.para(indent+indent, "row "+comma(l.Seq)+", "+l.place(r))
	}
	p.counted("further calls", s.Retries, retriesWords(s))
	p.para(indent, "Calls needed: "+attemptsWords(s)+".")
}

// onceWords says that nobody got the message twice, as far as that can be said: a
// person may have had it sent again.
func onceWords(s *Safety) string {
	var but []string
	if s.Resent > 0 {
		but = append(but, "failed rows that were sent again at a person's word")
	}
	if s.Unproven > 0 {
		but = append(but, "unknown rows that were sent again without proof, and may have it twice")
	}
	if len(but) == 0 {
		return "nobody was sent the message twice"
	}
	return "nobody was sent the message twice, but for " + strings.Join(but, ", and for ")
}

// retriesWords says what the further calls were for. Rows that were retried can
// wait for their call, or have had it before calls were counted on.
func retriesWords(s *Safety) string {
	words := "one call of the API was enough for everybody"
	switch {
	case s.Retried > 0:
		words = "for " + count(s.Retried, "recipient") + "; each after a refusal, a proof that it was not taken, or a person's word"
	case s.Resent+s.Unproven > 0:
		words = "none is counted so far"
	}
	if s.Resent > 0 {
		words += "; failed rows were put back to be sent again " + times(s.Resent) + ", see the timeline"
	}
	if s.Unproven > 0 {
		words += "; unknown rows were put back without proof " + times(s.Unproven) + ", see the timeline"
	}
	return words
}

// times is "once", "5 times".
func times(n int64) string {
	if n == 1 {
		return "once"
	}
	return comma(n) + " times"
}

func attemptsWords(s *Safety) string {
	words := make([]string, 0, len(s.Attempts))
	for _, a := range s.Attempts {
		n := comma(int64(a.Attempts))
		if a.Attempts == maxAttempts {
			n += " or more"
		}
		words = append(words, fmt.Sprintf("%s for %s", n, count(a.Recipients, "recipient")))
	}
	return strings.Join(words, ", ")
}

func (p *page) earlier(r *Report) {
	if len(r.Earlier) == 0 {
		return
	}
	p.outcomes("Beside earlier campaigns", r.besides())
	p.styledPara(dim, indent, sharesWords)
}

// besides is this campaign and the earlier ones.
func (r *Report) besides() []SegmentRow {
	rows := []SegmentRow{{Value: "this one", Outcome: r.outcome()}}
	for _, e := range r.Earlier {
		name := e.Name
		if !e.StartedAt.IsZero() {
			name = r.day(e.StartedAt) + " " + name
		}
		rows = append(rows, SegmentRow{Value: name, Outcome: e.Outcome})
	}
	return rows
}
