package report

import (
	"fmt"
	"strings"
)

func (p *htmlPage) poll() {
	poll := p.R.Poll
	if poll == nil {
		return
	}
	p.PollNoun = poll.noun()
	for _, remark := range poll.remarks() {
		p.PollRemarks = append(p.PollRemarks, sentence(remark))
	}
	for i, one := range poll.polls() {
		if !poll.many() {
			p.Polls = append(p.Polls, htmlPoll{Chart: one.chart("poll-chart", ""), Tables: one.tables("")})
			continue
		}
		of := one.name() + ": " // what is named alike cannot be told apart by ear
		shown := htmlPoll{
			Title:   of + count(one.Turnout.Count, "voter"),
			Turnout: one.turnout(),
			Chart:   one.chart(fmt.Sprintf("poll-chart-%d", i+1), of),
			Tables:  one.tables(of),
		}
		for _, remark := range one.remarks() {
			shown.Remarks = append(shown.Remarks, sentence(remark))
		}
		p.Polls = append(p.Polls, shown)
	}
}

// chart and tables are the votes on a poll; of stands before each title.
func (poll VariantPoll) chart(id, of string) barChart {
	var rows []chartRow
	for _, o := range poll.Options {
		row := chartRow{label: o.Option, value: comma(o.Votes) + " · " + percent(o.Votes, poll.Turnout.Count), class: "c2"}
		if o.OfVoters != nil {
			row.share = *o.OfVoters
		}
		rows = append(rows, row)
	}
	return bars(id, of+"Votes by option, as a share of the voters", rows)
}

func (poll VariantPoll) tables(of string) []*htmlTable {
	tables := []*htmlTable{optionTable(of+"Votes by option", poll.Options, poll.Turnout.Count)}
	for _, s := range poll.Splits {
		table := &htmlTable{Caption: of + "Votes by " + s.Column + ", as a share of the voters", Columns: []string{s.Column, "voters"}}
		for _, o := range poll.Options {
			table.Columns = append(table.Columns, o.Option)
		}
		row := func(label string, v PollSplitRow) {
			cells := []string{label, comma(v.Voters)}
			for _, n := range v.Votes {
				cells = append(cells, comma(n)+" · "+percent(n, v.Voters))
			}
			table.Rows = append(table.Rows, cells)
		}
		for _, v := range s.Rows {
			row(valueWord(v.Value), v)
		}
		if s.Others != nil {
			row("(all others)", *s.Others)
		}
		tables = append(tables, table.parts(2, 4)...)
	}
	if g := poll.Groups; g != nil {
		caption := fmt.Sprintf("%sIn %s, %s, which are not among those above", of, count(g.Groups, "group"), count(g.Voters, "voter"))
		tables = append(tables, optionTable(caption, g.Options, g.Voters))
	}
	return tables
}

func optionTable(caption string, options []PollOption, voters int64) *htmlTable {
	t := &htmlTable{Caption: caption, Columns: []string{"option", "votes", "of the voters"}}
	for _, o := range options {
		t.Rows = append(t.Rows, []string{o.Option, comma(o.Votes), percent(o.Votes, voters)})
	}
	return t
}

func (p *htmlPage) variants() {
	v := p.R.Variants
	if v == nil {
		return
	}
	p.Dots = v.dots()
	rows := make([]SegmentRow, 0, len(v.Rows))
	rates := &htmlTable{Caption: "Shares, with the interval in which the true one lies with 95 % confidence", Columns: []string{"measure"}}
	for _, row := range v.Rows {
		rows = append(rows, SegmentRow{Value: row.Name, Outcome: row.Outcome})
		rates.Columns = append(rates.Columns, row.Name)
	}
	p.VariantTable = &htmlTable{Caption: "What became of each variant", Columns: append([]string{"variant"}, outcomeNames(v.votes())...)}
	for _, row := range rows {
		cells := []string{row.Value}
		for _, n := range row.counts(v.votes()) {
			cells = append(cells, comma(n))
		}
		p.VariantTable.Rows = append(p.VariantTable.Rows, cells)
	}
	if v.Holdout != nil {
		held := []string{"held out", comma(*v.Holdout)}
		for len(held) < len(p.VariantTable.Columns) {
			held = append(held, "-")
		}
		p.VariantTable.Rows = append(p.VariantTable.Rows, held)
	}
	for _, m := range v.measures() {
		cells := []string{measureTitle(m)}
		for _, row := range v.Rows {
			words := "-"
			if of, ok := row.Rates[m]; ok {
				words = of.words()
			}
			cells = append(cells, words)
		}
		rates.Rows = append(rates.Rows, cells)
	}
	p.RateTables = rates.parts(1, 3)
	p.VariantShares = strings.Replace(sharesWords, "failed", "accepted and failed", 1) + v.groupsAside()
	p.VariantNote = sentence(v.Note)
	p.Comparisons = &htmlTable{Caption: "Differences, in percentage points", Columns: []string{"comparison", "difference", "95 % from", "to", "told apart"}}
	for _, c := range v.Compared {
		told := "no"
		if c.Distinct {
			told = "yes"
		}
		p.Comparisons.Rows = append(p.Comparisons.Rows, []string{
			fmt.Sprintf("%s: %s beside %s", measureTitle(c.Measure), c.Variant, c.To), points(c.Difference), points(c.Low), points(c.High), told,
		})
	}
}

// outcomeTable has the shares a person compares, and the counts they are of.
func outcomeTable(caption, first string, rows []SegmentRow) *htmlTable {
	t := &htmlTable{Caption: caption, Columns: []string{valueWord(first)}}
	for _, c := range outcomeColumns() {
		t.Columns = append(t.Columns, c.title)
	}
	for _, row := range rows {
		cells := []string{row.Value}
		for _, c := range outcomeColumns() {
			cells = append(cells, c.cell(row.Outcome))
		}
		t.Rows = append(t.Rows, cells)
	}
	return t
}
