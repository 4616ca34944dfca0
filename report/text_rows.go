package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/herald-campaigns/herald/campaign"
)

// shownGroups is how many groups of failures fit a screen.
const shownGroups = 10

func (p *page) failures(r *Report) {
	f := r.Failures
	if f.Total == 0 {
		return
	}
	title := "Failed: " + comma(f.Total)
	if f.Retryable != nil {
		title += retryClause(f)
	}
	p.heading(title)
	if r.Quick {
		for _, reason := range f.reasons() {
			w := FailWord(reason)
			p.counted(w.Label, f.ByReason[reason], w.Meaning)
		}
		return
	}
	for i, g := range f.Groups {
		if i == shownGroups {
			p.para(indent, fmt.Sprintf("and %d more groups (all of them: --format json)", len(f.Groups)-i))
			break
		}
		p.failureGroup(r, g)
	}
	if f.RetryCommand != "" {
		p.para(indent, "To send those again that can be retried:")
		p.line(indent, indent, f.RetryCommand) // whole, so that it can be copied
	}
}

// reasons are those that occurred, the most frequent first, as the groups are.
func (f Failures) reasons() []campaign.FailReason {
	reasons := slices.DeleteFunc(allKeys(campaign.FailReasons(), f.ByReason), func(r campaign.FailReason) bool { return f.ByReason[r] == 0 })
	slices.SortStableFunc(reasons, func(a, b campaign.FailReason) int { return cmp.Compare(f.ByReason[b], f.ByReason[a]) })
	return reasons
}

func (p *page) failureGroup(r *Report, g FailureGroup) {
	class := "not worth retrying"
	if g.Retryable {
		class = "can be retried"
	}
	p.para(indent+p.right(comma(g.Count), countWidth)+indent,
		fmt.Sprintf("%s (%s), %s", FailWord(g.Reason).Label, percent(g.Count, r.Failures.Total), class))
	hang := strings.Repeat(" ", len(indent)+countWidth+len(indent))
	if g.Detail != "" {
		p.para(hang, g.Detail)
	}
	examples := make([]string, 0, len(g.Examples))
	for _, l := range g.Examples {
		examples = append(examples, l.place(r))
	}
	p.styledPara(dim, hang, "e.g. "+strings.Join(examples, "; "))
	p.para(hang, "What to do: "+g.Advice)
}

func (p *page) unknown(r *Report) {
	u := r.Unknown
	if u.Total == 0 {
		return
	}
	p.heading("Unknown: " + comma(u.Total))
	if u.kinds == nil { // a quick report
		w := StatusWord(campaign.StatusUnknown)
		p.para(indent, sentence(w.Meaning)+" "+sentence(w.Advice))
	}
	for _, kind := range uncertainties() {
		p.uncertain(r, kind, u.kinds[kind])
	}
	if u.Searching != nil && *u.Searching == u.Total {
		p.para(indent, "To see them:")
	} else {
		p.para(indent, "To see and to settle them:")
	}
	p.line(indent, indent, "herald unknowns ", string(r.Header.ID)) // whole, so that it can be copied
}

// uncertain writes the unknown rows of one kind.
func (p *page) uncertain(r *Report, kind Uncertainty, lines Lines) {
	if lines.Total == 0 {
		return
	}
	w := UncertaintyWord(kind)
	p.para(indent+p.right(comma(lines.Total), countWidth)+indent, w.Label+": "+w.Meaning)
	hang := strings.Repeat(" ", len(indent)+countWidth+len(indent))
	p.para(hang, "What to do: "+w.Advice)
	for _, l := range lines.Rows {
		text := "row " + comma(l.Seq) + ", " + l.place(r) // --row takes the number of the row
		if !l.Since.IsZero() {
			text += ", since " + r.when(l.Since)
		}
		if l.Detail != "" {
			text += ": " + l.Detail
		}
		p.para(indent+indent, text)
	}
	p.more(lines.Total-int64(len(lines.Rows)), w.Label)
}

func (p *page) duplicates(r *Report) {
	d := r.Duplicates
	if d.Total == 0 || len(d.Rows) == 0 {
		return
	}
	p.heading("Duplicates: " + comma(d.Total))
	for _, row := range d.Rows {
		text := row.place(r)
		switch {
		case row.OtherLine > 0:
			text += ", first seen on line " + comma(row.OtherLine)
		case row.Detail != "":
			text += ": " + row.Detail
		}
		p.para(indent+indent, text)
	}
	p.more(d.Total-int64(len(d.Rows)), "duplicate")
}

// place says where a row is and whose it is.
func (l Line) place(r *Report) string {
	s := "line " + comma(l.Line)
	if len(r.Header.Sources) > 1 {
		s += fmt.Sprintf(" of import %d", l.Import)
	}
	if l.Chat != "" {
		s += " " + l.Chat
	}
	return s
}
