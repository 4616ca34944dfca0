package app

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/user"
	"slices"
	"strconv"
	"time"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/report"
	"github.com/herald-campaigns/herald/storage"
)

// Unknowns are the rows of a campaign of which nobody knows whether they were
// sent, as `herald unknowns` lists them (docs/cli-json.md).
type Unknowns struct {
	SchemaVersion int                    `json:"schema_version"`
	CampaignID    campaign.ID            `json:"campaign_id"`
	Name          string                 `json:"name"`
	Mode          campaign.Mode          `json:"mode"`
	State         campaign.State         `json:"state"`
	Policy        campaign.UnknownPolicy `json:"unknown_policy"`
	Total         int64                  `json:"total"`
	UnknownCounts
	Rows []UnknownView `json:"rows"`

	// Sending are calls under way. When nobody holds the data directory, the
	// process that made them is gone, and they are unknown as of the next run.
	Sending int64 `json:"submitting"`
	InUse   bool  `json:"in_use"` // a process holds the data directory

	campaign campaign.Campaign
}

// UnknownKind is what the rows of one state have in common.
type UnknownKind struct {
	Rows    int64
	Word    string
	Meaning string
	Advice  string
}

// Kinds are the kinds of rows there are, what asks for a decision first.
func (u *Unknowns) Kinds() []UnknownKind {
	var kinds []UnknownKind
	for _, kind := range []struct {
		state report.Uncertainty
		rows  int64
	}{{report.Unresolved, u.Unresolved}, {report.Searching, u.Searching}, {report.AssumedSent, u.AssumedSent}} {
		if kind.rows > 0 {
			w := report.UncertaintyWord(kind.state)
			kinds = append(kinds, UnknownKind{Rows: kind.rows, Word: w.Label, Meaning: w.Meaning, Advice: w.Advice})
		}
	}
	return kinds
}

// FirstUnresolved is the first row that waits for a person's decision; 0 when
// there is none.
func (u *Unknowns) FirstUnresolved() int64 {
	for _, v := range u.Rows {
		if v.State == report.Unresolved {
			return v.Row
		}
	}
	return 0
}

// Stranded counts calls whose process is gone: they are unknown as of the next
// run, and not in the list yet.
func (u *Unknowns) Stranded() int64 {
	if u.InUse {
		return 0
	}
	return u.Sending
}

// Reveal puts whole numbers in place of the masked ones, for whoever looks into
// the chats.
func (u *Unknowns) Reveal() {
	for i, v := range u.Rows {
		u.Rows[i].Chat = string(v.chat)
	}
}

// UnknownView is one such row.
type UnknownView struct {
	Row          int64              `json:"row"`
	Line         int64              `json:"line"`
	Chat         string             `json:"chat"`  // masked, unless revealed
	Since        time.Time          `json:"since"` // when the call was begun
	UnresolvedAt time.Time          `json:"unresolved_at"`
	State        report.Uncertainty `json:"state"`
	Detail       string             `json:"detail"` // for people
	Advice       string             `json:"advice"` // for people

	handover campaign.Staged
	chat     campaign.ChatID
}

// Word is the state as people say it.
func (v UnknownView) Word() string { return report.UncertaintyWord(v.State).Label }

// Searching says whether evidence is still looked for.
func (v UnknownView) Searching() bool { return v.State == report.Searching }

// File is the campaign file, as a person in the working directory would write it.
func (u *Unknowns) File() string { return fileOf(u.campaign.Spec.Path) }

// Live says whether real people are concerned.
func (u *Unknowns) Live() bool { return u.Mode == campaign.ModeLive }

// Canceled says whether nothing of the campaign is sent any more.
func (u *Unknowns) Canceled() bool { return u.State == campaign.StateCanceled }

// Unknowns lists the unknown rows of a campaign, in file order.
func (a *App) Unknowns(ctx context.Context, idOrName string) (*Unknowns, error) {
	c, err := a.find(ctx, idOrName)
	if err != nil {
		return nil, err
	}
	u := &Unknowns{
		SchemaVersion: 1, CampaignID: c.ID, Name: c.Name, Mode: c.Mode, State: c.State,
		Policy: c.Spec.UnknownPolicy.OrHold(), Rows: []UnknownView{}, campaign: c,
	}
	totals, err := a.store.Totals(ctx, c.ID)
	if err != nil {
		return nil, err
	}
	u.Sending = totals.ByStatus[campaign.StatusSubmitting]
	// Whoever decides holds the directory itself: nobody else is sending.
	if a.lock == nil {
		if u.InUse, err = a.inUse(); err != nil {
			return nil, err
		}
	}
	now := time.Now()
	filter := storage.Filter{Statuses: []campaign.Status{campaign.StatusUnknown}}
	for r, err := range a.store.Recipients(ctx, c.ID, filter) {
		if err != nil {
			return nil, err
		}
		u.add(&r, now)
	}
	return u, nil
}

// unknownCounts counts the unknown rows of a campaign by their state.
func (a *App) unknownCounts(ctx context.Context, id campaign.ID) (UnknownCounts, error) {
	var counts UnknownCounts
	rows, err := a.store.UnknownRows(ctx, id)
	now := time.Now()
	for _, row := range rows {
		counts.count(report.UncertaintyOf(row.ClaimedAt, row.Resolution, now))
	}
	return counts, err
}

func (c *UnknownCounts) count(state report.Uncertainty) {
	switch state {
	case report.Searching:
		c.Searching++
	case report.Unresolved:
		c.Unresolved++
	case report.AssumedSent:
		c.AssumedSent++
	}
}

func (u *Unknowns) add(r *campaign.Recipient, now time.Time) {
	state := report.UncertaintyOf(r.ClaimedAt, r.Resolution, now)
	u.Total++
	u.count(state)
	u.Rows = append(u.Rows, UnknownView{
		Row: r.Seq, Line: r.Line, Chat: r.Chat.String(), Since: r.ClaimedAt.UTC(),
		UnresolvedAt: r.ClaimedAt.Add(campaign.UnresolvedAfter).UTC(),
		State:        state, Detail: r.Detail, Advice: report.UncertaintyWord(state).Advice,
		handover: campaign.Staged{Seq: r.Seq, Gen: r.Gen}, chat: r.Chat,
	})
}

// Resolving is what a person decides about unknown rows.
type Resolving string

// The decisions.
const (
	ResolveAssumeSent Resolving = "assume_sent" // it was sent: never send it again
	ResolveResend     Resolving = "resend"      // it was not: send it again
)

// UnknownChoice says which rows are decided about: all, or those that Rows,
// Lines and Phones name.
type UnknownChoice struct {
	All    bool // every row that nobody has decided about yet
	Rows   []int64
	Lines  []int64  // physical lines of the recipients file
	Phones []string // as the recipient would write them
}

// Choose keeps the rows the choice names. Naming one that is not unknown is an
// error: whoever does has the wrong row in mind.
func (u *Unknowns) Choose(choice UnknownChoice) ([]UnknownView, error) {
	if choice.All {
		return slices.DeleteFunc(slices.Clone(u.Rows), func(v UnknownView) bool { return v.State == report.AssumedSent }), nil
	}
	var chosen []UnknownView
	for _, row := range choice.Rows {
		found := slices.IndexFunc(u.Rows, func(v UnknownView) bool { return v.Row == row })
		if rows := u.campaign.Rows(); found < 0 && row > rows {
			return nil, &campaign.Error{
				Code: campaign.CodeNotFound, What: fmt.Sprintf("campaign %q has no row %d: its rows go from 1 to %d", u.Name, row, rows),
				Hint: fmt.Sprintf("`herald unknowns %s` lists the rows that are unknown; nothing was changed", u.CampaignID),
			}
		}
		if found < 0 {
			return nil, u.notUnknown(fmt.Sprintf("row %d", row))
		}
		chosen = append(chosen, u.Rows[found])
	}
	for _, line := range choice.Lines {
		v, err := u.atLine(line)
		if err != nil {
			return nil, err
		}
		chosen = append(chosen, v)
	}
	for _, phone := range choice.Phones {
		chat, err := u.chatOf(phone)
		if err != nil {
			return nil, err
		}
		found := slices.IndexFunc(u.Rows, func(v UnknownView) bool { return v.chat == chat })
		if found < 0 {
			return nil, u.notUnknown(chat.String())
		}
		chosen = append(chosen, u.Rows[found])
	}
	slices.SortFunc(chosen, func(a, b UnknownView) int { return cmp.Compare(a.Row, b.Row) })
	return slices.CompactFunc(chosen, func(a, b UnknownView) bool { return a.Row == b.Row }), nil
}

// atLine is the unknown row of a line, which every file of a campaign has of its
// own: one that means two rows names neither.
func (u *Unknowns) atLine(line int64) (UnknownView, error) {
	var at []UnknownView
	for _, v := range u.Rows {
		if v.Line == line {
			at = append(at, v)
		}
	}
	switch len(at) {
	case 0:
		return UnknownView{}, u.notUnknown(fmt.Sprintf("line %d", line))
	case 1:
		return at[0], nil
	default:
		return UnknownView{}, &campaign.Error{
			Code: campaign.CodeConflict, What: fmt.Sprintf("line %d means row %d and row %d: more than one recipients file was sent", line, at[0].Row, at[1].Row),
			Hint: "name them with --row; nothing was changed",
		}
	}
}

func (u *Unknowns) chatOf(phone string) (campaign.ChatID, error) {
	parser, err := campaign.NewAddressParser(u.campaign.Spec.Recipients.Country, campaign.AddressPhone)
	if err != nil {
		return "", err
	}
	chat, problem := parser.Parse(phone)
	if problem != nil {
		asTyped(problem)
		return "", &campaign.Error{Code: campaign.CodeInvalid, What: campaign.MaskDigits(phone) + ": " + problem.What, Hint: problem.Fix}
	}
	return chat, nil
}

func (u *Unknowns) notUnknown(which string) error {
	return &campaign.Error{
		Code: campaign.CodeNotFound, What: fmt.Sprintf("%s of campaign %q is not unknown", which, u.Name),
		Hint: fmt.Sprintf("`herald unknowns %s` lists the rows that are; nothing was changed", u.CampaignID),
	}
}

// Resolved is what came of a decision (docs/cli-json.md).
type Resolved struct {
	SchemaVersion int         `json:"schema_version"`
	CampaignID    campaign.ID `json:"campaign_id"`
	Decision      Resolving   `json:"decision"`
	DryRun        bool        `json:"dry_run"`
	Rows          int64       `json:"rows"`    // it was carried out for, or would be
	Already       int64       `json:"already"` // were assumed sent before, and stay so
	Settled       int64       `json:"settled"` // were not unknown any more
	Sending       bool        `json:"sending"` // a service sends them
}

// Changes are those of the rows that a decision changes: what is assumed sent is
// not assumed so twice.
func (d Resolving) Changes(rows []UnknownView) []UnknownView {
	if d == ResolveResend {
		return rows
	}
	return slices.DeleteFunc(slices.Clone(rows), func(v UnknownView) bool { return v.State == report.AssumedSent })
}

// Resolve carries out a decision about rows that Choose gave. The timeline keeps
// what was decided, about which rows, and by whom. dryRun only says about how
// many it would be.
func (a *App) Resolve(ctx context.Context, u *Unknowns, rows []UnknownView, decision Resolving, dryRun bool) (*Resolved, error) {
	if decision == ResolveResend && u.State == campaign.StateCanceled {
		return nil, &campaign.Error{
			Code: campaign.CodeConflict, What: fmt.Sprintf("campaign %q was canceled: nothing of it is sent any more", u.Name),
			Hint: "put these people into a campaign of another name; nothing was changed",
		}
	}
	changes := decision.Changes(rows)
	already := int64(len(rows) - len(changes))
	handovers := make([]campaign.Staged, len(changes))
	for i, row := range changes {
		handovers[i] = row.handover
	}
	r := &Resolved{SchemaVersion: 1, CampaignID: u.CampaignID, Decision: decision, DryRun: dryRun, Rows: int64(len(changes)), Already: already}
	if dryRun || len(changes) == 0 {
		return r, nil
	}
	var done int64
	var err error
	if decision == ResolveResend {
		done, err = a.store.ResendUnknown(ctx, u.CampaignID, handovers, "to be sent again, decided by "+operator())
	} else {
		done, err = a.store.AssumeSent(ctx, u.CampaignID, handovers, "decided by "+operator())
	}
	r.Settled, r.Rows = r.Rows-done, done
	return r, err
}

// operator is the operating system's name of whoever runs this process.
func operator() string {
	if who, err := user.Current(); err == nil && who.Username != "" {
		return who.Username
	}
	return "user " + strconv.Itoa(os.Getuid())
}

// ResendRisk is how many of a campaign's calls a crash can leave unknown at
// once, when it sends such rows again; 0 when it does not.
func (p *Prepared) ResendRisk() int {
	if p.Campaign.Spec.UnknownPolicy != campaign.PolicyResend {
		return 0
	}
	return inFlight(p.paces)
}

// ResendWarning says in words what the policy resend risks, with so many calls
// under way at once.
func ResendWarning(inFlight int) string {
	return fmt.Sprintf("unknown_policy is resend: some people may get the message twice; "+
		"at most %d for each time herald or the machine stops in the middle, and one for each answer that does not say whether it was taken", inFlight)
}

// inFlight is how many calls these paces allow at once.
func inFlight(paces []campaign.Pace) int {
	n := 0
	for _, pace := range paces {
		n += pace.InFlight
	}
	return n
}
