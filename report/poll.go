package report

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/herald-campaigns/herald/campaign"
)

// Poll is the tally: whoever chose several options counts once for each, and
// once as a voter. Votes of groups are counted apart.
type Poll struct {
	Multiple  bool         `json:"multiple"` // several options could be chosen
	Options   []PollOption `json:"options"`  // in the order of the poll
	Turnout   Rate         `json:"turnout"`  // people whose vote stands, of those delivered
	Several   int64        `json:"several"`  // voters with more than one option
	Changed   int64        `json:"changed"`  // voters whose vote was another one before, as far as was seen
	Withdrawn int64        `json:"withdrawn"`
	Splits    []PollSplit  `json:"splits"` // by the segment columns
	Groups    *GroupPoll   `json:"groups,omitempty"`
	// MoreOptions says that there were votes for more than 50 options; those
	// beyond are under "(others)".
	MoreOptions bool `json:"more_options"`
}

// PollOption is how many chose an option.
type PollOption struct {
	Option   string   `json:"option"`
	Votes    int64    `json:"votes"`
	OfVoters *float64 `json:"of_voters"` // null without voters
}

// PollSplit is the tally by the values of a column.
type PollSplit struct {
	Column     string         `json:"column"`
	Rows       []PollSplitRow `json:"rows"` // the 20 values with the most recipients
	Others     *PollSplitRow  `json:"others,omitempty"`
	MoreValues bool           `json:"more_values"` // as in a segment
}

// PollSplitRow is the tally of one value.
type PollSplitRow struct {
	Value  string  `json:"value"`
	Voters int64   `json:"voters"`
	Votes  []int64 `json:"votes"` // in the order of the options
}

// GroupPoll is the tally over the members of groups the poll was sent to.
type GroupPoll struct {
	Groups  int64        `json:"groups"` // with at least one vote
	Voters  int64        `json:"voters"`
	Options []PollOption `json:"options"`
}

const (
	maxOptions   = 50 // the provider allows twelve; templates may make more
	otherOptions = "(others)"
)

// tally counts votes.
type tally struct {
	poll    bool
	many    bool
	options []string
	places  map[string]int
	more    bool

	votes                      []int64
	voters, delivered, several int64
	changed, withdrawn         int64
	groups, groupVoters        int64
	groupVotes                 []int64
	groupOf                    int64          // the row of the group counted last
	inGroup                    map[int64]bool // rows sent to groups; there are few
}

func newTally(spec campaign.Spec) *tally {
	t := &tally{places: map[string]int{}, inGroup: map[int64]bool{}}
	polls := []*campaign.PollTemplate{spec.Message.Poll}
	for _, v := range spec.Variants {
		polls = append(polls, v.Message.Poll)
	}
	for _, p := range polls {
		if p == nil {
			continue
		}
		t.poll = true
		t.many = t.many || p.Multiple
		for _, option := range p.Options {
			// What a template comes out as, only the votes tell.
			if !strings.Contains(option, "{{") && !strings.Contains(option, "{%") {
				t.place(option)
			}
		}
	}
	return t
}

// place is where an option is counted.
func (t *tally) place(option string) int {
	if i, ok := t.places[option]; ok {
		return i
	}
	if len(t.options) >= maxOptions && option != otherOptions {
		t.more = true
		return t.place(otherOptions)
	}
	option = strings.Clone(option)
	t.places[option] = len(t.options)
	t.options = append(t.options, option)
	return len(t.options) - 1
}

// add counts one recipient, if it is a person.
func (t *tally) add(r *campaign.Recipient) {
	switch {
	case !t.poll:
		return
	case r.Chat.IsGroup():
		t.inGroup[r.Seq] = true
		return
	}
	if r.Status == campaign.StatusDelivered || r.Status == campaign.StatusRead {
		t.delivered++
	}
	if len(r.Vote) == 0 {
		if r.VoteMoves > 0 {
			t.withdrawn++
		}
		return
	}
	t.voters++
	if len(r.Vote) > 1 {
		t.several++
	}
	if r.VoteMoves > 0 {
		t.changed++
	}
	t.votes = t.count(t.votes, r.Vote)
}

// split counts the vote in a segment's cell as well.
func (t *tally) split(cell *splitCell, r *campaign.Recipient) {
	if !t.poll || r.Chat.IsGroup() || len(r.Vote) == 0 {
		return
	}
	cell.voters++
	cell.votes = t.count(cell.votes, r.Vote)
}

func (t *tally) count(votes []int64, chosen []string) []int64 {
	for _, option := range chosen {
		i := t.place(option)
		votes = resized(votes, i+1)
		votes[i]++
	}
	return votes
}

// resized is votes with at least n places.
func resized(votes []int64, n int) []int64 {
	if len(votes) < n {
		votes = append(votes, make([]int64, n-len(votes))...)
	}
	return votes
}

// readGroups counts the members of groups. What a person's own chat voted is
// in the rows.
func (t *tally) readGroups(ctx context.Context, ballots Ballots, id campaign.ID) error {
	if !t.poll || ballots == nil {
		return nil
	}
	for b, err := range ballots.BallotsOf(ctx, id) {
		if err != nil {
			return fmt.Errorf("read the votes of %s: %w", id, err)
		}
		if !t.inGroup[b.Seq] {
			continue
		}
		for _, vote := range b.Votes {
			if len(vote.Options) == 0 {
				continue // withdrawn
			}
			if b.Seq != t.groupOf {
				t.groups++
				t.groupOf = b.Seq
			}
			t.groupVoters++
			t.groupVotes = t.count(t.groupVotes, vote.Options)
		}
	}
	return nil
}

// result is nil for a campaign without a poll.
func (t *tally) result(columns []*splitter) *Poll {
	if !t.poll {
		return nil
	}
	p := &Poll{
		Multiple: t.many, Options: t.list(t.votes, t.voters), Turnout: rate(t.voters, t.delivered),
		Several: t.several, Changed: t.changed, Withdrawn: t.withdrawn, Splits: []PollSplit{}, MoreOptions: t.more,
	}
	if t.groups > 0 {
		p.Groups = &GroupPoll{Groups: t.groups, Voters: t.groupVoters, Options: t.list(t.groupVotes, t.groupVoters)}
	}
	for _, column := range columns {
		p.Splits = append(p.Splits, t.splitBy(column))
	}
	return p
}

func (t *tally) list(votes []int64, voters int64) []PollOption {
	votes = resized(votes, len(t.options))
	list := make([]PollOption, len(t.options))
	for i, option := range t.options {
		list[i] = PollOption{Option: tidy(printable(option)), Votes: votes[i], OfVoters: share(votes[i], voters)}
	}
	return list
}

func (t *tally) splitBy(column *splitter) PollSplit {
	split := PollSplit{Column: column.column, Rows: []PollSplitRow{}, MoreValues: column.more}
	shown, others := column.order()
	for _, v := range shown {
		cell := column.cells[v]
		split.Rows = append(split.Rows, PollSplitRow{Value: v, Voters: cell.voters, Votes: resized(slices.Clone(cell.votes), len(t.options))})
	}
	if len(others) == 0 && !column.more {
		return split
	}
	rest := PollSplitRow{Voters: column.rest.voters, Votes: resized(slices.Clone(column.rest.votes), len(t.options))}
	for _, v := range others {
		cell := column.cells[v]
		rest.Voters += cell.voters
		for i, n := range cell.votes {
			rest.Votes[i] += n
		}
	}
	split.Others = &rest
	return split
}
