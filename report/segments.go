package report

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/herald-campaigns/herald/campaign"
)

// Segment splits the recipients by something: the country of their number, a
// column of the file, the hour of acceptance.
type Segment struct {
	By     string       `json:"by"`               // country, column or hour
	Column string       `json:"column,omitempty"` // as the campaign file names it
	Rows   []SegmentRow `json:"rows"`             // the 20 values with the most recipients; hours by the clock
	// Others are the recipients with all other values.
	Others *SegmentRow `json:"others,omitempty"`
	Values int         `json:"values"` // different ones seen
	// MoreValues says that there were more than 10,000: those that came later
	// are counted among the others.
	MoreValues bool `json:"more_values"`
}

// SegmentRow is what became of the recipients with one value. An empty value
// is a blank cell, or a group's country.
type SegmentRow struct {
	Value string `json:"value"`
	Outcome
}

// What of a column is kept apart.
const (
	shownValues    = 20
	maxValues      = 10_000
	maxValueLength = 60
	maxColumns     = 10
)

// splitter counts recipients by value. A value is counted from its first
// recipient on or not at all, so what is shown is exact.
type splitter struct {
	by, column string
	cells      map[string]*splitCell
	rest       splitCell
	more       bool
}

type splitCell struct {
	Outcome
	polls []ballots // by the number of the poll's box
}

func newSplitter(by, column string) *splitter {
	return &splitter{by: by, column: column, cells: map[string]*splitCell{}}
}

func (s *splitter) add(value string, r *campaign.Recipient) *splitCell {
	cell := s.cells[value]
	switch {
	case cell != nil:
	case len(s.cells) < maxValues:
		cell = &splitCell{}
		s.cells[strings.Clone(value)] = cell
	default:
		s.more = true
		cell = &s.rest
	}
	cell.add(r)
	return cell
}

// order is the values to be shown: the most frequent, hours by the clock.
func (s *splitter) order() (shown, others []string) {
	values := make([]string, 0, len(s.cells))
	for v := range s.cells {
		values = append(values, v)
	}
	slices.SortFunc(values, func(a, b string) int {
		return cmp.Or(cmp.Compare(s.cells[b].Recipients, s.cells[a].Recipients), cmp.Compare(a, b))
	})
	if s.by == byHour {
		slices.Sort(values)
		return values, nil
	}
	n := min(len(values), shownValues)
	return values[:n], values[n:]
}

// The kinds of segments.
const (
	byCountry = "country"
	byColumn  = "column"
	byHour    = "hour"
)

func (s *splitter) segment() Segment {
	segment := Segment{By: s.by, Column: s.column, Rows: []SegmentRow{}, Values: len(s.cells), MoreValues: s.more}
	shown, others := s.order()
	for _, v := range shown {
		segment.Rows = append(segment.Rows, SegmentRow{Value: v, Outcome: s.cells[v].Outcome})
	}
	if len(others) > 0 || s.more {
		rest := s.rest.Outcome
		for _, v := range others {
			rest = rest.plus(s.cells[v].Outcome)
		}
		segment.Others = &SegmentRow{Outcome: rest}
	}
	return segment
}

// segments splits the recipients of one campaign in every way it is asked for.
type segments struct {
	countries *campaign.Countries
	location  *time.Location
	country   *splitter
	hour      *splitter
	columns   []*splitter
	places    map[int][]int // import number → cell of each column; -1: it has none
}

func newSegments(c campaign.Campaign, location *time.Location) (*segments, error) {
	countries, err := campaign.NewCountries()
	if err != nil {
		return nil, err
	}
	s := &segments{
		countries: countries, location: location,
		country: newSplitter(byCountry, ""), hour: newSplitter(byHour, ""), places: map[int][]int{},
	}
	names := c.Spec.Segments[:min(len(c.Spec.Segments), maxColumns)]
	for _, name := range names {
		s.columns = append(s.columns, newSplitter(byColumn, name))
	}
	for _, imp := range c.Imports {
		for _, name := range names {
			s.places[imp.Number] = append(s.places[imp.Number], columnOf(imp, name))
		}
	}
	return s, nil
}

// columnOf finds a column by the name messages use, or by its header.
func columnOf(imp campaign.Import, name string) int {
	if i := slices.Index(imp.Slugs, name); i >= 0 {
		return i
	}
	return slices.IndexFunc(imp.Header, func(h string) bool { return strings.EqualFold(strings.TrimSpace(h), strings.TrimSpace(name)) })
}

// add counts one recipient, and calls each with the cell of every column.
func (s *segments) add(r *campaign.Recipient, each func(*splitCell)) {
	s.country.add(s.countries.Of(r.Chat), r)
	if accepted(r) {
		s.hour.add(r.QueuedAt.In(s.location).Format("15"), r)
	}
	places := s.places[r.Import]
	for i, split := range s.columns {
		value := ""
		if i < len(places) && places[i] >= 0 && places[i] < len(r.Record) {
			value = segmentValue(r.Record[places[i]])
		}
		each(split.add(value, r))
	}
}

// segmentValue is a cell as a report may show it.
func segmentValue(cell string) string {
	return strings.TrimSpace(shorten(maskNumbers(printable(strings.TrimSpace(cell))), maxValueLength))
}

// list is every split with something to say.
func (s *segments) list() []Segment {
	list := []Segment{s.country.segment()}
	for _, split := range s.columns {
		list = append(list, split.segment())
	}
	list = append(list, s.hour.segment())
	return slices.DeleteFunc(list, func(seg Segment) bool { return len(seg.Rows) == 0 })
}
