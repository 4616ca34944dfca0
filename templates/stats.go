package templates

import (
	"errors"
	"slices"
	"unicode/utf8"

	"github.com/herald-campaigns/herald/campaign"
)

// Stats gathers what a check says about all rows. One goroutine adds to one
// Stats; several are merged at the end, in any order and with the same result.
type Stats struct {
	t        *Template
	rows     int64
	rendered int64
	blanks   []int64 // by variable

	longest, shortest, blankest *extreme
	faults                      map[string]*fault3
}

// extreme is a row that leads in something; less tells who leads.
type extreme struct {
	Extreme
	runes int
}

// fault3 counts the problems of one code and keeps the three earliest.
type fault3 struct {
	count int64
	first []Fault
}

const keptFaults = 3

// NewStats begins an account of rows rendered with this template.
func (t *Template) NewStats() *Stats {
	return &Stats{t: t, blanks: make([]int64, len(t.variables)), faults: map[string]*fault3{}}
}

// Add counts one row: what Render was given, and what it returned. An error
// that is not about the row (Render) is not counted.
func (s *Stats) Add(row campaign.Row, msg campaign.Message, err error) {
	if err != nil {
		var input *campaign.InputError
		if !errors.As(err, &input) {
			return
		}
		s.rows++
		for _, p := range input.Problems {
			s.fault(p.Code, 1, Fault{Seq: row.Seq, Problem: p})
		}
		s.countBlanks(row)
		return
	}
	s.rows++
	s.rendered++
	blanks := s.countBlanks(row)

	text := msg.Text
	if msg.Poll != nil {
		text = msg.Poll.Question
	}
	e := extreme{Extreme: Extreme{Seq: row.Seq, Line: row.Line, Blanks: blanks}, runes: utf8.RuneCountInString(text)}
	// What people see as characters is dear to count: only for a row that
	// leads, and code points are near enough to tell which does.
	for _, lead := range []struct {
		now  **extreme
		wins func(a, b *extreme) bool
	}{{&s.longest, longer}, {&s.shortest, shorter}, {&s.blankest, blanker}} {
		if lead.wins(&e, *lead.now) {
			e.Characters = graphemes(text)
			won := e
			*lead.now = &won
		}
	}
}

// countBlanks counts the row's blank cells and returns how many of them leave
// a gap.
func (s *Stats) countBlanks(row campaign.Row) int {
	gaps := 0
	for i, name := range s.t.variables {
		v := value{text: row.Fields[name]}
		if !v.isBlank() {
			continue
		}
		s.blanks[i]++
		if slices.Contains(s.t.needed, i) {
			gaps++
		}
	}
	return gaps
}

// The earlier row wins a tie, so that the order of adding does not matter.
func longer(a, b *extreme) bool {
	return b == nil || a.runes > b.runes || a.runes == b.runes && a.Seq < b.Seq
}

func shorter(a, b *extreme) bool {
	return b == nil || a.runes < b.runes || a.runes == b.runes && a.Seq < b.Seq
}

func blanker(a, b *extreme) bool {
	return a.Blanks > 0 && (b == nil || a.Blanks > b.Blanks || a.Blanks == b.Blanks && a.Seq < b.Seq)
}

func (s *Stats) fault(code string, n int64, first ...Fault) {
	f := s.faults[code]
	if f == nil {
		f = &fault3{}
		s.faults[code] = f
	}
	f.count += n
	for _, one := range first {
		if len(f.first) == keptFaults && one.Seq >= f.first[keptFaults-1].Seq {
			continue
		}
		at, _ := slices.BinarySearchFunc(f.first, one, func(a, b Fault) int { return int(a.Seq - b.Seq) })
		f.first = slices.Insert(f.first, at, one)
		f.first = f.first[:min(len(f.first), keptFaults)]
	}
}

// Merge adds what other has counted over other rows.
func (s *Stats) Merge(other *Stats) {
	s.rows += other.rows
	s.rendered += other.rendered
	for i, n := range other.blanks {
		s.blanks[i] += n
	}
	for code, f := range other.faults {
		s.fault(code, f.count, f.first...)
	}
	if other.longest != nil && longer(other.longest, s.longest) {
		s.longest = other.longest
	}
	if other.shortest != nil && shorter(other.shortest, s.shortest) {
		s.shortest = other.shortest
	}
	if other.blankest != nil && blanker(other.blankest, s.blankest) {
		s.blankest = other.blankest
	}
}

// Summary is what Stats has counted.
type Summary struct {
	Rows     int64 // seen
	Rendered int64 // of them without an error

	Blanks []Blank      // every column used, in the order of first use
	Faults []FaultCount // the most frequent first

	Longest  *Extreme // nil when nothing rendered
	Shortest *Extreme
	Blankest *Extreme // nil when no row leaves a gap
}

// Blank says how often a column that the template uses is blank.
type Blank struct {
	Variable Variable
	Rows     int64
}

// Extreme is a row worth a look.
type Extreme struct {
	Seq        int64
	Line       int64
	Characters int // of the text, or of a poll's question, as people count
	Blanks     int // blank cells that leave a gap
}

// FaultCount is one kind of error with its earliest rows.
type FaultCount struct {
	Code  string
	Count int64
	First []Fault // at most three, the earliest first
}

// Fault is the error of one row.
type Fault struct {
	Seq     int64
	Problem campaign.Problem
}

// Summary reads the account.
func (s *Stats) Summary() Summary {
	out := Summary{Rows: s.rows, Rendered: s.rendered}
	for i, v := range s.t.usage {
		out.Blanks = append(out.Blanks, Blank{Variable: v, Rows: s.blanks[i]})
	}
	for code, f := range s.faults {
		out.Faults = append(out.Faults, FaultCount{Code: code, Count: f.count, First: slices.Clone(f.first)})
	}
	slices.SortFunc(out.Faults, func(a, b FaultCount) int {
		switch {
		case a.Count != b.Count:
			return int(b.Count - a.Count)
		case a.Code < b.Code:
			return -1
		default:
			return 1
		}
	})
	for _, e := range []struct {
		from *extreme
		to   **Extreme
	}{{s.longest, &out.Longest}, {s.shortest, &out.Shortest}, {s.blankest, &out.Blankest}} {
		if e.from != nil {
			*e.to = &e.from.Extreme
		}
	}
	return out
}
