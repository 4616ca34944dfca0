package status

import (
	"cmp"
	"slices"
	"time"

	"github.com/herald-campaigns/herald/campaign"
)

// Sought is an unknown row, with what its message said.
type Sought struct {
	Row campaign.UnknownRow
	// Text is the body, caption or question, Kind what carries it. They count
	// only when Readable: a message that cannot be had any more can neither be
	// recognized nor be missed.
	Text     string
	Kind     campaign.Kind
	Readable bool
	// Upload is how much longer its call may have lasted than one without a
	// file.
	Upload time.Duration
}

// Seek is the row with its message. A message that is not the one the intent
// was written for leaves the row unreadable.
func Seek(row campaign.UnknownRow, message campaign.Message) Sought {
	if message.Hash() != row.BodyHash {
		return Sought{Row: row}
	}
	return Sought{Row: row, Text: plain(said(message)), Kind: message.Kind(), Readable: true}
}

// Window is when a message may have been queued, around its intent.
type Window struct{ Before, After time.Duration }

// Finding is what a look at the lists says of one row.
type Finding string

// The findings. Absent says that nothing in the lists can be the row's
// message; whether the lists can be trusted is another matter.
const (
	Found     Finding = "found"
	Ambiguous Finding = "ambiguous"
	Absent    Finding = "absent"
)

// Verdict is what became of one sought row.
type Verdict struct {
	Finding   Finding
	Candidate campaign.Candidate // found: the row's message
	Doubt     Doubt              // ambiguous: why
}

// Doubt says why a row is neither found nor proved absent, in words for
// people.
type Doubt string

// The doubts that one look can leave.
const (
	DoubtOtherText  Doubt = "a message with another text went to the same chat at that time"
	DoubtOtherTime  Doubt = "the same text went to the same chat, but at another time"
	DoubtOtherChat  Doubt = "the same text went to a chat that may be the same person's"
	DoubtContended  Doubt = "another row has the only message it could be"
	DoubtUnreadable Doubt = "its message cannot be rendered again as it was"
	DoubtNameless   Doubt = "the message it may be has no id"
)

// Match gives each row the message of the provider's lists that is its own:
// same chat, same text, queued in the window around the intent. rows and
// candidates are of one sender; bound is every id of the provider that a row
// has already. No message goes to two rows, none that is bound to any; as many
// rows as can be get one, the nearest in time where there is a choice. The
// verdicts are in the order of the rows, and do not depend on that of
// anything.
func Match(rows []Sought, candidates []campaign.Candidate, bound []string, window Window) []Verdict {
	m := matching{rows: rows, window: window, owner: map[int]int{}}
	taken := map[string]bool{}
	for _, id := range bound {
		taken[id], taken[uniqueOf(id)] = true, true
	}
	for _, s := range sightings(candidates) {
		if !slices.ContainsFunc(idsOf(s.Candidate), func(id string) bool { return taken[id] }) {
			m.seen = append(m.seen, s)
		}
	}
	m.assign()
	verdicts := make([]Verdict, len(rows))
	for i := range rows {
		verdicts[i] = m.verdict(i)
	}
	return verdicts
}

// matching is one assignment of messages to rows.
type matching struct {
	rows   []Sought
	seen   []sighting
	window Window

	choices [][]int     // of each row, the messages it could have, the nearest first
	owner   map[int]int // message → row
}

// assign finds the largest assignment by augmenting paths. The row with the
// nearest message chooses first.
func (m *matching) assign() {
	m.choices = make([][]int, len(m.rows))
	byAddress := map[string][]int{}
	for j, s := range m.seen {
		byAddress[s.address] = append(byAddress[s.address], j)
	}
	order := make([]int, len(m.rows))
	for i, row := range m.rows {
		order[i] = i
		for _, j := range byAddress[address(row.Row.Chat)] {
			if m.fits(i, j) {
				m.choices[i] = append(m.choices[i], j)
			}
		}
		slices.SortStableFunc(m.choices[i], func(a, b int) int { return cmp.Compare(m.distance(i, a), m.distance(i, b)) })
	}
	slices.SortFunc(order, m.compareRows)
	for _, i := range order {
		m.augment(i, map[int]bool{})
	}
}

func (m *matching) compareRows(a, b int) int {
	nearest := func(i int) time.Duration {
		if len(m.choices[i]) == 0 {
			return 0
		}
		return m.distance(i, m.choices[i][0])
	}
	x, y := m.rows[a].Row, m.rows[b].Row
	return cmp.Or(
		cmp.Compare(nearest(a), nearest(b)), x.ClaimedAt.Compare(y.ClaimedAt),
		cmp.Compare(x.Campaign, y.Campaign), cmp.Compare(x.Seq, y.Seq), cmp.Compare(x.Gen, y.Gen),
	)
}

// augment gives row i a message, if need be by giving its owner another.
func (m *matching) augment(i int, visited map[int]bool) bool {
	for _, j := range m.choices[i] {
		if _, owned := m.owner[j]; !owned {
			m.owner[j] = i
			return true
		}
	}
	for _, j := range m.choices[i] {
		if visited[j] {
			continue
		}
		visited[j] = true
		if m.augment(m.owner[j], visited) {
			m.owner[j] = i
			return true
		}
	}
	return false
}

// fits says whether message j can be row i's.
func (m *matching) fits(i, j int) bool {
	row, s := &m.rows[i], &m.seen[j]
	return row.Readable && len(idsOf(s.Candidate)) > 0 && m.inside(i, j) && s.says(row.Text, row.Kind)
}

// inside says whether message j was queued in the window of row i. A list that
// does not tell the time does not say that it was not.
func (m *matching) inside(i, j int) bool {
	at, claimed := m.seen[j].At, m.rows[i].Row.ClaimedAt
	return at.IsZero() || !at.Before(claimed.Add(-m.window.Before)) && !at.After(claimed.Add(m.window.After+m.rows[i].Upload))
}

// distance is how far the message is from the intent. One without a time comes
// after all that have one.
func (m *matching) distance(i, j int) time.Duration {
	if m.seen[j].At.IsZero() {
		return m.window.Before + m.window.After + m.rows[i].Upload + 1
	}
	return m.seen[j].At.Sub(m.rows[i].Row.ClaimedAt).Abs()
}

// verdict is what the assignment leaves for row i.
func (m *matching) verdict(i int) Verdict {
	for _, j := range m.choices[i] {
		if owner, owned := m.owner[j]; owned && owner == i {
			return Verdict{Finding: Found, Candidate: m.seen[j].Candidate}
		}
	}
	row := &m.rows[i]
	switch {
	case !row.Readable:
		return Verdict{Finding: Ambiguous, Doubt: DoubtUnreadable}
	case len(m.choices[i]) > 0:
		return Verdict{Finding: Ambiguous, Doubt: DoubtContended}
	}
	here := address(row.Row.Chat)
	for j, s := range m.seen {
		if _, owned := m.owner[j]; owned {
			continue
		}
		if doubt := m.doubt(i, j, s.address == here, alike(s.address, here)); doubt != "" {
			return Verdict{Finding: Ambiguous, Doubt: doubt}
		}
	}
	return Verdict{Finding: Absent}
}

// doubt is why nobody's message j keeps row i from being absent.
func (m *matching) doubt(i, j int, same, alike bool) Doubt {
	s, row := &m.seen[j], &m.rows[i]
	text := slices.Contains(s.texts, row.Text)
	switch {
	case same && m.inside(i, j) && text && len(idsOf(s.Candidate)) == 0:
		return DoubtNameless
	case same && m.inside(i, j):
		return DoubtOtherText
	case same && text:
		return DoubtOtherTime
	case alike && text && m.inside(i, j):
		return DoubtOtherChat
	}
	return ""
}

// concerning is the candidates that bear on any of the rows.
func concerning(rows []Sought, candidates []campaign.Candidate) []campaign.Candidate {
	c, list := newConcern(rows), []campaign.Candidate(nil)
	for _, candidate := range candidates {
		if c.about(candidate) {
			list = append(list, candidate)
		}
	}
	return list
}

// concern tells the candidates that bear on some rows from the others: a job
// list may hold tens of thousands that do not.
type concern struct {
	here   map[string]bool     // addresses
	saying map[string][]string // text → addresses
}

func newConcern(rows []Sought) concern {
	c := concern{here: map[string]bool{}, saying: map[string][]string{}}
	for _, row := range rows {
		at := address(row.Row.Chat)
		c.here[at] = true
		if row.Readable {
			c.saying[row.Text] = append(c.saying[row.Text], at)
		}
	}
	return c
}

func (c concern) about(candidate campaign.Candidate) bool {
	at := address(candidate.Chat)
	return c.here[at] || slices.ContainsFunc(c.saying[plain(candidate.Text)], func(chat string) bool { return alike(at, chat) })
}
