package report

import (
	"context"
	"fmt"
	"slices"

	"github.com/herald-campaigns/herald/campaign"
)

// checkPlace compares the row's place with the one before: rows are numbered
// without gaps, and no two records of a file start on the same line.
func (p *pass) checkPlace(r *campaign.Recipient) {
	m := &p.mismatch
	here := Line{Seq: r.Seq, Import: r.Import, Line: r.Line}
	sameLine := r.Line > 0 && r.Line == p.last.Line && r.Import == p.last.Import
	if p.last.Seq+1 < r.Seq {
		p.missing(min(r.Seq, p.rows()+1), r.Line)
	}
	switch {
	case r.Seq == p.last.Seq || sameLine:
		m.DoubledRows++
		m.Doubled = appendUpTo(m.Doubled, maxMismatches, here)
	case r.Seq > p.rows():
		m.SurplusRows++
		m.Surplus = appendUpTo(m.Surplus, maxMismatches, here)
	}
	p.last = here
}

// missing records the rows between the last one seen and next, split where one
// import ends and another begins. beforeLine is the line of next, 0 when there
// is none.
func (p *pass) missing(next, beforeLine int64) {
	m := &p.mismatch
	for from := p.last.Seq + 1; from < next; {
		i, _ := slices.BinarySearch(p.ends, from)
		if i == len(p.ends) {
			return
		}
		to := min(next-1, p.ends[i])
		gap := Gap{FromSeq: from, ToSeq: to, Import: p.imports[i].Number, File: p.imports[i].File}
		if p.last.Import == gap.Import {
			gap.AfterLine = p.last.Line
		}
		if to == next-1 && next <= p.ends[i] {
			gap.BeforeLine = beforeLine
		}
		m.MissingRows += to - from + 1
		m.Missing = appendUpTo(m.Missing, maxMismatches, gap)
		from = to + 1
	}
}

// compare notes where the counters and the rows disagree. A campaign that is
// being sent moves while it is read, so only counters that stood still
// throughout can be held against the rows.
func (r *Report) compare(ctx context.Context, deps Deps, id campaign.ID, kept, counted campaign.Totals) error {
	diffs := differences(kept, counted)
	if len(diffs) == 0 {
		return nil
	}
	after, err := deps.Counts.Totals(ctx, id)
	if err != nil {
		return fmt.Errorf("read the totals of %s: %w", id, err)
	}
	if len(differences(kept, after)) > 0 {
		return nil
	}
	if r.Balance.Mismatch == nil {
		r.Balance.Mismatch = &Mismatch{}
	}
	r.Balance.Mismatch.Counters = diffs
	return nil
}

func differences(kept, counted campaign.Totals) []CounterDiff {
	diffs := diffCounts("status", kept.ByStatus, counted.ByStatus)
	diffs = append(diffs, diffCounts("skipped", kept.Skipped, counted.Skipped)...)
	diffs = append(diffs, diffCounts("failed", kept.Failed, counted.Failed)...)
	return append(diffs, diffCounts("answer", answerCounts(kept), answerCounts(counted))...)
}

func answerCounts(t campaign.Totals) map[string]int64 {
	return map[string]int64{"replied": t.Replied, "opted_out": t.OptedOut, "voted": t.Voted}
}

func diffCounts[K ~string](counter string, kept, counted map[K]int64) []CounterDiff {
	var diffs []CounterDiff
	for _, name := range allKeys(nil, kept, counted) {
		if kept[name] != counted[name] {
			diffs = append(diffs, CounterDiff{Counter: counter, Name: string(name), Kept: kept[name], Rows: counted[name]})
		}
	}
	return diffs
}

// closeBooks decides whether the books balance, and says in words what is
// wrong when they do not.
func (r *Report) closeBooks(c campaign.Campaign) {
	b := &r.Balance
	m := b.Mismatch
	if m == nil {
		m = &Mismatch{}
	}
	if b.InLedger != b.RowsInFile {
		m.explain("the ledger has %s for %s read from file", count(b.InLedger, "line"), count(b.RowsInFile, "row"))
	}
	if m.MissingRows > 0 {
		m.explain("%s missing", count(m.MissingRows, "row"))
	}
	if m.DoubledRows > 0 {
		m.explain("%s more than once", count(m.DoubledRows, "row"))
	}
	if m.SurplusRows > 0 {
		m.explain("%s beyond the end of the file", count(m.SurplusRows, "row"))
	}
	for _, d := range m.Counters {
		m.explain("the %s counter %q says %s, the rows say %s", d.Counter, d.Name, comma(d.Kept), comma(d.Rows))
	}
	r.Balanced = len(m.Explanations) == 0
	if r.Balanced {
		b.Mismatch = nil
		return
	}
	b.Mismatch = m
	for _, imp := range c.Imports {
		if !imp.Complete {
			m.explain("import %d (%s) was not finished", imp.Number, imp.File)
		}
	}
	if r.Quick && b.InLedger != b.RowsInFile {
		m.explain("the full report looks for the rows")
	}
}

func (m *Mismatch) explain(format string, args ...any) {
	m.Explanations = append(m.Explanations, fmt.Sprintf(format, args...))
}
