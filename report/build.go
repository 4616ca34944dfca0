package report

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/herald-campaigns/herald/campaign"
)

// Options say how a report is built.
type Options struct {
	// Now is the instant the report speaks of; zero is time.Now.
	Now time.Time
	// Location is the zone times are shown in as text; nil is UTC.
	Location *time.Location
	// Quick leaves out the pass over the rows: the numbers come from the
	// ledger's counters, within milliseconds however big the campaign is.
	Quick bool
	// Verify makes a quick report count the rows in the ledger and compare. A
	// full report always does.
	Verify bool
	// Interrupted says that nobody sends the campaign although it is running:
	// then the holds in its timeline do not tell of now.
	Interrupted bool
	// SettleFor is for how long after the last acceptance receipts are waited
	// for; zero is 72 hours.
	SettleFor time.Duration
	// Fingerprint is kept in the report, so that whoever refreshes it can tell
	// whether anything happened since.
	Fingerprint string
	// RejectsFile is where the rows that could not be imported were written;
	// "" when there is no such file.
	RejectsFile string
}

func (o Options) withDefaults() Options {
	if o.Now.IsZero() {
		o.Now = time.Now()
	}
	if o.Location == nil {
		o.Location = time.UTC
	}
	if o.SettleFor == 0 {
		o.SettleFor = 72 * time.Hour
	}
	return o
}

func (d Deps) validate(quick bool) error {
	switch {
	case d.Campaigns == nil:
		return errors.New("report: Deps.Campaigns is missing")
	case d.Counts == nil:
		return errors.New("report: Deps.Counts is missing")
	case d.Rows == nil && !quick:
		return errors.New("report: Deps.Rows is missing")
	}
	return nil
}

// Build reads the ledger and says what became of the campaign. It fails only
// when the ledger cannot be read: books that do not balance are a finding
// (Report.Balanced), not an error.
func Build(ctx context.Context, deps Deps, id campaign.ID, opts Options) (*Report, error) {
	opts = opts.withDefaults()
	if err := deps.validate(opts.Quick); err != nil {
		return nil, err
	}
	c, err := deps.Campaigns.Campaign(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("read campaign %s: %w", id, err)
	}
	for looks := 1; ; looks++ {
		r, err := build(ctx, deps, c, opts)
		if err != nil || r.Balanced || looks == maxLooks {
			return r, err
		}
		// An import may have added rows between reading the campaign and
		// reading its rows: that is no fault of the books.
		rows := c.Rows()
		if c, err = deps.Campaigns.Campaign(ctx, id); err != nil {
			return nil, fmt.Errorf("read campaign %s: %w", id, err)
		}
		if c.Rows() == rows {
			return r, nil
		}
	}
}

// maxLooks bounds how often Build reads books that grow while it reads.
const maxLooks = 3

func build(ctx context.Context, deps Deps, c campaign.Campaign, opts Options) (*Report, error) {
	r := &Report{
		SchemaVersion: SchemaVersion,
		Header:        header(c),
		GeneratedAt:   instant(opts.Now),
		TimeZone:      zoneName(opts.Location, opts.Now),
		Quick:         opts.Quick,
		Rows:          c.Rows(),
		Fingerprint:   opts.Fingerprint,
		RejectsFile:   opts.RejectsFile,
		Senders:       []Sender{},
		Timeline:      []campaign.Event{},
		location:      opts.Location,
		message:       messageWords(c.Spec.Messages()),
		asks:          slices.ContainsFunc(c.Spec.Messages(), func(v campaign.Variant) bool { return v.Message.Poll != nil }),
	}
	var totals campaign.Totals
	var err error
	if err := r.readTimeline(ctx, deps, c.ID); err != nil {
		return nil, err
	}
	if err := r.readAwaited(ctx, deps, c); err != nil {
		return nil, err
	}
	if opts.Quick {
		totals, err = r.readCounters(ctx, deps, c.ID, opts.Verify)
	} else {
		totals, err = r.readRows(ctx, deps, c)
	}
	if err != nil {
		return nil, err
	}
	r.fill(totals)
	if err := r.readAround(ctx, deps, c); err != nil {
		return nil, err
	}
	r.Waits = waits(r.Timeline, r.until())
	r.settle(opts)
	r.closeBooks(c)
	r.Because = because(c, totals, r.sending(opts), r.awaited)
	r.Provisional = len(r.Because) > 0
	r.headline, r.rest = verdict(r, totals)
	r.Verdict = r.headline
	if r.rest != "" {
		r.Verdict += ", " + r.rest
	}
	r.noNulls()
	return r, nil
}

// readCounters takes the numbers from the counters or, to verify, from the
// rows as the ledger counts them.
func (r *Report) readCounters(ctx context.Context, deps Deps, id campaign.ID, verify bool) (campaign.Totals, error) {
	kept, err := deps.Counts.Totals(ctx, id)
	if err != nil {
		return kept, fmt.Errorf("read the totals of %s: %w", id, err)
	}
	if !verify {
		return kept, nil
	}
	counted, err := deps.Counts.Recount(ctx, id)
	if err != nil {
		return kept, fmt.Errorf("recount %s: %w", id, err)
	}
	return counted, r.compare(ctx, deps, id, kept, counted)
}

// readRows takes the numbers from one pass over the rows.
func (r *Report) readRows(ctx context.Context, deps Deps, c campaign.Campaign) (campaign.Totals, error) {
	kept, err := deps.Counts.Totals(ctx, c.ID)
	if err != nil {
		return kept, fmt.Errorf("read the totals of %s: %w", c.ID, err)
	}
	p, err := newPass(c, r.GeneratedAt, r.location)
	if err != nil {
		return kept, fmt.Errorf("load the numbering plans: %w", err)
	}
	if err := p.read(ctx, deps.Rows, c.ID); err != nil {
		return kept, fmt.Errorf("read the rows of %s: %w", c.ID, err)
	}
	phones := map[campaign.SenderID]campaign.Phone{}
	if deps.Senders != nil {
		senders, err := deps.Senders.Senders(ctx, c.ID)
		if err != nil {
			return kept, fmt.Errorf("read the senders of %s: %w", c.ID, err)
		}
		for _, s := range senders {
			phones[s.ID] = s.Phone
		}
	}
	r.Balance.Mismatch = &p.mismatch
	r.Failures.Retryable = &p.retryable
	r.Failures.Groups = p.failureGroups()
	r.Failures.MoreGroups = p.moreGroups
	r.Canceled.Withdrawn = &p.withdrawn
	r.Unknown = p.unknown()
	r.Duplicates.Rows = p.duplicates
	r.Timing = p.timing()
	r.Senders = p.senderCounts(phones)
	r.Segments = p.segments.list()
	r.Series = p.clock.series()
	r.Variants = variantsOf(c.Spec, p.variants, p.tally, p.totals.Skipped)
	p.answers.fill(&r.Engagement)
	r.Safety = p.safe(r.Timeline)
	if err := p.chats.confirm(ctx, deps.Rows, c.ID, r.Safety); err != nil {
		return kept, fmt.Errorf("read the rows of %s: %w", c.ID, err)
	}
	if err := p.tally.readGroups(ctx, deps.Ballots, c.ID); err != nil {
		return kept, err
	}
	r.Poll = p.tally.result(p.segments.columns)
	return p.totals, r.compare(ctx, deps, c.ID, kept, p.totals)
}

func (r *Report) readTimeline(ctx context.Context, deps Deps, id campaign.ID) error {
	if deps.Timeline == nil {
		return nil
	}
	events, err := deps.Timeline.Timeline(ctx, id)
	if err != nil {
		return fmt.Errorf("read the timeline of %s: %w", id, err)
	}
	for _, e := range events {
		e.At = instant(e.At)
		e.Detail = tidy(e.Detail)
		r.Timeline = append(r.Timeline, e)
	}
	return nil
}

// readAwaited reads what a campaign that is over still waits for: messages that
// were taken back, as it was canceled or after opt-outs. It comes before the rows,
// so that what is learned in between makes a report provisional that need not be,
// never the other way round.
func (r *Report) readAwaited(ctx context.Context, deps Deps, c campaign.Campaign) error {
	if deps.Awaited == nil || !c.State.Over() {
		return nil
	}
	n, err := deps.Awaited.AwaitingEvidence(ctx, c.ID)
	if err != nil {
		return fmt.Errorf("read what %s waits for: %w", c.ID, err)
	}
	r.awaited = n
	return nil
}

// readAround reads what stands beside the campaign's own rows.
func (r *Report) readAround(ctx context.Context, deps Deps, c campaign.Campaign) error {
	if deps.Reviews != nil && !r.Quick {
		reviews, err := deps.Reviews.Reviews(ctx)
		if err != nil {
			return fmt.Errorf("read what is to be reviewed: %w", err)
		}
		var open int64
		for _, review := range reviews {
			if review.Decided == campaign.WishNone {
				open++
			}
		}
		r.Engagement.ToReview = &open
	}
	if deps.Earlier == nil || r.Quick {
		return nil
	}
	earlier, err := deps.Earlier.Earlier(ctx, c, maxEarlier)
	if err != nil {
		return fmt.Errorf("read the earlier campaigns: %w", err)
	}
	for _, e := range earlier[:min(len(earlier), maxEarlier)] {
		totals, err := deps.Counts.Totals(ctx, e.ID)
		if err != nil {
			return fmt.Errorf("read the totals of %s: %w", e.ID, err)
		}
		r.Earlier = append(r.Earlier, EarlierOne{
			ID: e.ID, Name: e.Name, StartedAt: instant(e.StartedAt), SameList: SameList(c, e), Outcome: outcomeOf(totals),
		})
	}
	return nil
}

const maxEarlier = 3

// SameList says whether two campaigns read the same recipients file.
func SameList(a, b campaign.Campaign) bool {
	return slices.ContainsFunc(a.Imports, func(x campaign.Import) bool {
		return x.SHA256 != "" && slices.ContainsFunc(b.Imports, func(y campaign.Import) bool { return x.SHA256 == y.SHA256 })
	})
}

// until is the end of what the report speaks of.
func (r *Report) until() time.Time {
	if end := r.Header.FinishedAt; !end.IsZero() {
		return end
	}
	return r.GeneratedAt
}

// settle says how long receipts are waited for, while they are.
func (r *Report) settle(opts Options) {
	open := r.Header.State == campaign.StateRunning || r.Header.State == campaign.StatePaused || r.Header.State == campaign.StateTracking
	if open && r.Timing != nil {
		r.SettlingUntil = r.Timing.LastAcceptedAt.Add(opts.SettleFor)
	}
}

// allKeys is known, then whatever else the maps hold, sorted.
func allKeys[K ~string](known []K, counts ...map[K]int64) []K {
	keys := slices.Clone(known)
	for _, m := range counts {
		for k := range m {
			if !slices.Contains(keys, k) {
				keys = append(keys, k)
			}
		}
	}
	slices.Sort(keys[len(known):])
	return keys
}

// complete is counts with every known key, zero or not.
func complete[K ~string](known []K, counts map[K]int64) map[K]int64 {
	all := make(map[K]int64, len(known))
	for _, k := range allKeys(known, counts) {
		all[k] = counts[k]
	}
	return all
}

func header(c campaign.Campaign) Header {
	h := Header{
		ID: c.ID, Name: c.Name, Mode: c.Mode, State: c.State,
		PauseReason: c.Reason, PauseDetail: tidy(c.Detail),
		Senders:    []string{},
		Message:    MessageInfo{Hash: c.MessageHash},
		Sources:    []SourceInfo{},
		CreatedAt:  instant(c.CreatedAt),
		StartAt:    instant(c.StartAt),
		StartedAt:  instant(c.StartedAt),
		FinishedAt: instant(c.FinishedAt),
	}
	for _, s := range c.Spec.Senders {
		h.Senders = append(h.Senders, campaign.Phone(s).String())
	}
	message := c.Spec.Messages()[0].Message
	h.Message.Kind = message.Kind()
	if m := message.Media; m != nil {
		h.Message.Media = m.Type
	}
	for _, imp := range c.Imports {
		h.Sources = append(h.Sources, SourceInfo{
			Import: imp.Number, File: imp.File, SHA256: imp.SHA256, Rows: imp.Rows, Complete: imp.Complete, At: instant(imp.At),
		})
	}
	return h
}

// fill puts the totals where the report shows them.
func (r *Report) fill(t campaign.Totals) {
	r.Balance.ByStatus = complete(campaign.Statuses(), t.ByStatus)
	r.Balance.Waiting = t.Waiting()
	r.Balance.InLedger = t.Sum()
	r.Balance.RowsInFile = r.Rows
	r.Skipped.Total = t.ByStatus[campaign.StatusSkipped]
	r.Skipped.ByReason = complete(campaign.SkipReasons(), t.Skipped)
	r.Canceled.Total = t.ByStatus[campaign.StatusCanceled]
	r.Failures.Total = t.ByStatus[campaign.StatusFailed]
	r.Failures.ByReason = complete(campaign.FailReasons(), t.Failed)
	r.Unknown.Total = t.ByStatus[campaign.StatusUnknown]
	r.Duplicates.Total = t.Skipped[campaign.SkipDuplicate]
	r.Recipients = r.Balance.InLedger - r.Skipped.Total
	r.Funnel = funnel(r.Recipients, t)
	r.Engagement.Replied = rate(t.Replied, t.AtLeastDelivered())
	r.Engagement.OptedOut = rate(t.OptedOut, t.AtLeastDelivered())
	if n := r.Failures.Retryable; n != nil && *n > 0 {
		r.Failures.RetryCommand = "herald retry " + string(r.Header.ID)
	}
}

func funnel(recipients int64, t campaign.Totals) []Step {
	steps := []Step{
		{Step: stepAccepted, Count: t.Accepted(), Definition: "the provider took the message, and it was not taken back"},
		{Step: "sent", Count: t.AtLeastSent(), Definition: "it reached WhatsApp's servers"},
		{Step: stepDelivered, Count: t.AtLeastDelivered(), Definition: "it reached the recipient's device"},
		{Step: stepRead, Count: t.ByStatus[campaign.StatusRead], Definition: "it was seen; who turned read receipts off is never counted, so this is the least it can be"},
		{Step: "replied", Count: t.Replied, Previous: stepDelivered, Definition: "they wrote back; a share of those delivered, for people answer with read receipts turned off, too"},
	}
	counts := map[string]int64{"recipients": recipients}
	previous := "recipients"
	for i := range steps {
		s := &steps[i]
		if s.Previous == "" {
			s.Previous = previous
		}
		s.OfPrevious = share(s.Count, counts[s.Previous])
		s.OfRecipients = share(s.Count, recipients)
		counts[s.Step] = s.Count
		previous = s.Step
	}
	return steps
}

func share(n, of int64) *float64 {
	if of == 0 {
		return nil
	}
	return new(float64(n) / float64(of))
}

// sending says how a running campaign does.
func (r *Report) sending(opts Options) string {
	if opts.Interrupted {
		return "it was interrupted, nobody is sending"
	}
	holds := campaign.OpenHolds(r.Timeline)
	if len(holds) == 0 {
		return "it is being sent"
	}
	words := make([]string, len(holds))
	for i, held := range holds {
		words[i] = PauseWord(held.Reason)
		if subject, _, found := strings.Cut(held.Detail, ": "); found && held.Reason == campaign.PauseDisconnected {
			words[i] += " (" + subject + ")"
		}
		words[i] += " since " + r.when(held.At)
	}
	return "it is held: " + strings.Join(words, ", ")
}

// because lists why the numbers can still change; none means they are final.
func because(c campaign.Campaign, t campaign.Totals, sending string, awaited int64) []string {
	var why []string
	switch c.State {
	case campaign.StateDraft:
		why = append(why, "it is a draft that was not started")
	case campaign.StateScheduled:
		why = append(why, "it waits for its start")
	case campaign.StateRunning:
		why = append(why, sending)
	case campaign.StatePaused:
		why = append(why, "it is paused: "+PauseWord(c.Reason))
	case campaign.StateTracking:
		why = append(why, "everything is submitted, receipts still arrive")
	case campaign.StateCompleted: // every row is final, or the tracking window is over
		return askedAbout(why, awaited)
	case campaign.StateCanceled:
		open := t.ByStatus[campaign.StatusSubmitting] + t.ByStatus[campaign.StatusUnknown] +
			t.ByStatus[campaign.StatusQueued] + t.ByStatus[campaign.StatusProcessing]
		if open > 0 {
			why = append(why, fmt.Sprintf("%s already handed over can still arrive", count(open, "message")))
		}
		return askedAbout(why, awaited)
	}
	if n := t.Waiting(); n > 0 {
		why = append(why, fmt.Sprintf("%s to be sent", comma(n)))
	}
	if n := t.ByStatus[campaign.StatusUnknown]; n > 0 {
		why = append(why, fmt.Sprintf("%s unknown", comma(n)))
	}
	return why
}

func askedAbout(why []string, awaited int64) []string {
	if awaited > 0 {
		why = append(why, "the provider is still to be asked about "+count(awaited, "message"))
	}
	return why
}

// noNulls gives every list of the JSON form an empty array instead of null.
func (r *Report) noNulls() {
	r.Because = orEmpty(r.Because)
	r.Failures.Groups = orEmpty(r.Failures.Groups)
	r.Unknown.Rows = orEmpty(r.Unknown.Rows)
	r.Unknown.UnresolvedRows = orEmpty(r.Unknown.UnresolvedRows)
	r.Duplicates.Rows = orEmpty(r.Duplicates.Rows)
	r.Engagement.FirstReplies = orEmpty(r.Engagement.FirstReplies)
	r.Segments = orEmpty(r.Segments)
	r.Waits = orEmpty(r.Waits)
	r.Earlier = orEmpty(r.Earlier)
	if s := r.Safety; s != nil {
		s.DuplicateRows = orEmpty(s.DuplicateRows)
		s.Attempts = orEmpty(s.Attempts)
	}
	if m := r.Balance.Mismatch; m != nil {
		m.Missing = orEmpty(m.Missing)
		m.Doubled = orEmpty(m.Doubled)
		m.Surplus = orEmpty(m.Surplus)
		m.Counters = orEmpty(m.Counters)
	}
}

func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
