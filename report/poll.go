package report

// Poll is what was asked, and how it was answered: whoever chose several options
// counts once for each, and once as a voter. Votes of groups are counted apart.
// Where several variants are polls, these are different polls, and nothing is
// added up but people: Options, Splits and Groups are empty, and each poll is in
// ByVariant.
type Poll struct {
	Multiple  bool         `json:"multiple"` // several options could be chosen, in any of the polls
	Options   []PollOption `json:"options"`  // in the order of the poll
	Turnout   Rate         `json:"turnout"`  // people whose vote stands, of those to whom a poll was delivered
	Several   int64        `json:"several"`  // voters with more than one option
	Changed   int64        `json:"changed"`  // voters whose vote was another one before, as far as was seen
	Withdrawn int64        `json:"withdrawn"`
	Splits    []PollSplit  `json:"splits"` // by the segment columns
	Groups    *GroupPoll   `json:"groups,omitempty"`
	// MoreOptions says that there were votes for more than 50 options of one
	// poll; those beyond are under "(others)".
	MoreOptions bool          `json:"more_options"`
	ByVariant   []VariantPoll `json:"by_variant,omitempty"` // nil unless several variants are polls

	partly bool // the message was delivered to people without a poll, too
}

// VariantPoll is the poll of one variant, of several that are one. Its fields
// mean what those of a Poll do.
type VariantPoll struct {
	Variant     string       `json:"variant"`
	Multiple    bool         `json:"multiple"`
	Options     []PollOption `json:"options"`
	Turnout     Rate         `json:"turnout"` // of those to whom this poll was delivered
	Several     int64        `json:"several"`
	Splits      []PollSplit  `json:"splits"`
	Groups      *GroupPoll   `json:"groups,omitempty"`
	MoreOptions bool         `json:"more_options"`
}

// polls is every poll there is: the one, which has no name, or each variant's.
func (poll *Poll) polls() []VariantPoll {
	if poll.many() {
		return poll.ByVariant
	}
	return []VariantPoll{{
		Multiple: poll.Multiple, Options: poll.Options, Turnout: poll.Turnout, Several: poll.Several,
		Splits: poll.Splits, Groups: poll.Groups, MoreOptions: poll.MoreOptions,
	}}
}

// many says whether there are several polls, so that each needs its name.
func (poll *Poll) many() bool { return len(poll.ByVariant) > 0 }

// noun is what to call it all.
func (poll *Poll) noun() string {
	if poll.many() {
		return "Polls"
	}
	return "Poll"
}

// inGroups is how many groups voted, and how many of their members, in all polls.
func (poll *Poll) inGroups() (groups, voters int64) {
	for _, one := range poll.polls() {
		if g := one.Groups; g != nil {
			groups += g.Groups
			voters += g.Voters
		}
	}
	return groups, voters
}

// turnout is the share of voters in words, with whom it is of.
func (poll *Poll) turnout() string { return ofThose(poll.Turnout, poll.whom()) }

// whom says of whom turnout is a share: who got another variant, without a
// poll, is not among them.
func (poll *Poll) whom() string {
	if poll.partly {
		return "who got a poll"
	}
	return stepDelivered
}

// turnout is the share of voters of one of several polls in words.
func (poll VariantPoll) turnout() string { return ofThose(poll.Turnout, "who got it") }

// name is what a variant's poll is called: rows that were imported before there
// were variants have none.
func (poll VariantPoll) name() string {
	if poll.Variant == "" {
		return "(no variant)"
	}
	return poll.Variant
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
