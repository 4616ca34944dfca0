package report

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/herald-campaigns/herald/campaign"
)

const (
	maxOptions   = 50 // of one poll; the provider allows twelve; templates may make more
	otherOptions = "(others)"
)

// tally counts votes, in a box for each variant: the polls of different variants
// are different polls. There are as many boxes as variants, never as recipients.
type tally struct {
	poll    bool           // one of the messages of the campaign file is a poll
	boxes   []*box         // those of the campaign file first, in its order
	inFile  int            // how many these are
	places  map[string]int // of the boxes, by variant
	groupOf int64          // the row of the group counted last
	inGroup map[int64]*box // rows sent to groups; there are few
}

// box has the votes on one variant.
type box struct {
	number   int // its place among the boxes
	variant  string
	isPoll   bool // by the campaign file
	multiple bool
	options  []string
	places   map[string]int
	more     bool

	rows, delivered    int64 // rows: groups, too
	changed, withdrawn int64
	several            int64
	people             ballots
	groups             int64
	members            ballots // of groups
}

// ballots are how many voted, and for what.
type ballots struct {
	voters int64
	votes  []int64 // by option
}

func newTally(spec campaign.Spec) *tally {
	t := &tally{places: map[string]int{}, inGroup: map[int64]*box{}}
	for _, v := range spec.Messages() {
		b, poll := t.box(v.Name), v.Message.Poll
		if poll == nil {
			continue
		}
		t.poll = true
		b.isPoll, b.multiple = true, poll.Multiple
		for _, option := range poll.Options {
			// What a template comes out as, only the votes tell.
			if !campaign.Templated(option) {
				b.place(option)
			}
		}
	}
	t.inFile = len(t.boxes)
	return t
}

// box is where the votes on a variant are counted.
func (t *tally) box(variant string) *box {
	if i, ok := t.places[variant]; ok {
		return t.boxes[i]
	}
	variant = strings.Clone(variant)
	b := &box{number: len(t.boxes), variant: variant, places: map[string]int{}}
	t.places[variant] = b.number
	t.boxes = append(t.boxes, b)
	return b
}

// place is where an option is counted.
func (b *box) place(option string) int {
	if i, ok := b.places[option]; ok {
		return i
	}
	if len(b.options) >= maxOptions && option != otherOptions {
		b.more = true
		return b.place(otherOptions)
	}
	option = strings.Clone(option)
	b.places[option] = len(b.options)
	b.options = append(b.options, option)
	return len(b.options) - 1
}

// asks says whether the variant is a poll, as in Variants: the campaign file says
// so, or somebody voted on it. It may be gone from the file since.
func (b *box) asks() bool { return b.isPoll || b.people.voters+b.members.voters > 0 }

// add counts one recipient, if it is a person.
func (t *tally) add(r *campaign.Recipient) {
	if !t.poll && r.Variant == "" {
		return
	}
	b := t.box(r.Variant)
	b.rows++
	if r.Chat.IsGroup() {
		if t.poll {
			t.inGroup[r.Seq] = b
		}
		return
	}
	if r.Status == campaign.StatusDelivered || r.Status == campaign.StatusRead {
		b.delivered++
	}
	if !t.poll {
		return // the poll is gone from the file: only its variant may speak of votes
	}
	if len(r.Vote) == 0 {
		if r.VoteMoves > 0 {
			b.withdrawn++
		}
		return
	}
	if len(r.Vote) > 1 {
		b.several++
	}
	if r.VoteMoves > 0 {
		b.changed++
	}
	b.count(&b.people, r.Vote)
}

// split counts the vote in a segment's cell as well.
func (t *tally) split(cell *splitCell, r *campaign.Recipient) {
	if !t.poll || r.Chat.IsGroup() || len(r.Vote) == 0 {
		return
	}
	b := t.box(r.Variant)
	cell.polls = resized(cell.polls, b.number+1)
	b.count(&cell.polls[b.number], r.Vote)
}

// count adds one voter.
func (b *box) count(to *ballots, chosen []string) {
	to.voters++
	for _, option := range chosen {
		i := b.place(option)
		to.votes = resized(to.votes, i+1)
		to.votes[i]++
	}
}

// resized is list with at least n places.
func resized[T any](list []T, n int) []T {
	if len(list) < n {
		list = append(list, make([]T, n-len(list))...)
	}
	return list
}

// readGroups counts the members of groups. What a person's own chat voted is
// in the rows.
func (t *tally) readGroups(ctx context.Context, list Ballots, id campaign.ID) error {
	if !t.poll || list == nil {
		return nil
	}
	for located, err := range list.BallotsOf(ctx, id) {
		if err != nil {
			return fmt.Errorf("read the votes of %s: %w", id, err)
		}
		b := t.inGroup[located.Seq]
		if b == nil {
			continue
		}
		for _, vote := range located.Votes {
			if len(vote.Options) == 0 {
				continue // withdrawn
			}
			if located.Seq != t.groupOf {
				b.groups++
				t.groupOf = located.Seq
			}
			b.count(&b.members, vote.Options)
		}
	}
	return nil
}

// delivered is to how many people a variant was delivered: members of groups
// are counted apart, so that a group is none who could have voted.
func (t *tally) delivered(variant string) int64 {
	if i, ok := t.places[variant]; ok {
		return t.boxes[i].delivered
	}
	return 0
}

// polls are the boxes of the polls: in the order of the campaign file, then those
// that are gone from it. A message that no row has is none beside others.
func (t *tally) polls() []*box {
	boxes := slices.Clone(t.boxes)
	slices.SortFunc(boxes[t.inFile:], func(a, b *box) int { return strings.Compare(a.variant, b.variant) })
	polls := slices.DeleteFunc(boxes, func(b *box) bool { return !b.asks() })
	if len(polls) > 1 {
		polls = slices.DeleteFunc(polls, func(b *box) bool { return b.variant == "" && b.rows == 0 })
	}
	return polls
}

// result is nil for a campaign without a poll.
func (t *tally) result(columns []*splitter) *Poll {
	if !t.poll {
		return nil
	}
	p := &Poll{Options: []PollOption{}, Splits: []PollSplit{}}
	var voters, delivered int64
	for _, b := range t.boxes {
		p.Changed += b.changed
		p.Withdrawn += b.withdrawn
		if !b.asks() {
			p.partly = p.partly || b.delivered > 0
			continue
		}
		voters += b.people.voters
		delivered += b.delivered
	}
	p.Turnout = rate(voters, delivered)
	polls := t.polls()
	for _, b := range polls {
		one := b.result(columns)
		p.Multiple = p.Multiple || one.Multiple
		p.MoreOptions = p.MoreOptions || one.MoreOptions
		p.Several += one.Several
		if len(polls) > 1 {
			p.ByVariant = append(p.ByVariant, one)
			continue
		}
		p.Options, p.Splits, p.Groups = one.Options, one.Splits, one.Groups
	}
	return p
}

func (b *box) result(columns []*splitter) VariantPoll {
	p := VariantPoll{
		Variant: b.variant, Multiple: b.multiple, Options: b.list(b.people), Turnout: rate(b.people.voters, b.delivered),
		Several: b.several, Splits: []PollSplit{}, MoreOptions: b.more,
	}
	if b.groups > 0 {
		p.Groups = &GroupPoll{Groups: b.groups, Voters: b.members.voters, Options: b.list(b.members)}
	}
	for _, column := range columns {
		p.Splits = append(p.Splits, b.splitBy(column))
	}
	return p
}

func (b *box) list(of ballots) []PollOption {
	votes := resized(of.votes, len(b.options))
	list := make([]PollOption, len(b.options))
	for i, option := range b.options {
		list[i] = PollOption{Option: tidy(printable(option)), Votes: votes[i], OfVoters: share(votes[i], of.voters)}
	}
	return list
}

func (b *box) splitBy(column *splitter) PollSplit {
	split := PollSplit{Column: column.column, Rows: []PollSplitRow{}, MoreValues: column.more}
	shown, others := column.order()
	for _, v := range shown {
		row := PollSplitRow{Value: v, Votes: make([]int64, len(b.options))}
		row.plus(b.in(column.cells[v]))
		split.Rows = append(split.Rows, row)
	}
	if len(others) == 0 && !column.more {
		return split
	}
	rest := PollSplitRow{Votes: make([]int64, len(b.options))}
	rest.plus(b.in(&column.rest))
	for _, v := range others {
		rest.plus(b.in(column.cells[v]))
	}
	split.Others = &rest
	return split
}

// in is what of a cell is in this box.
func (b *box) in(cell *splitCell) ballots {
	if b.number < len(cell.polls) {
		return cell.polls[b.number]
	}
	return ballots{}
}

func (row *PollSplitRow) plus(of ballots) {
	row.Voters += of.voters
	for i, n := range of.votes {
		row.Votes[i] += n
	}
}
