package report

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/herald-campaigns/herald/campaign"
)

// What a pass keeps of the rows it has seen, so that its memory does not grow
// with them.
const (
	maxUnknowns   = 20
	maxDuplicates = 5
	maxExamples   = 3
	maxMismatches = 20
	maxGroups     = 100 // of failures; further details share one group per reason
	maxMinutes    = 1 << 17
	maxDetail     = 300
)

// pass reads every row once and keeps what a report needs of them.
type pass struct {
	now     time.Time // what the report speaks of
	imports []campaign.Import
	ends    []int64 // last Seq of each import

	totals     campaign.Totals
	retryable  int64
	withdrawn  int64
	groups     map[groupKey]*FailureGroup
	moreGroups bool
	unknowns   []Line
	uncertain  map[Uncertainty]Lines
	duplicates []Duplicate
	senders    map[campaign.SenderID]*Sender
	variants   map[string]*Outcome
	answers    answers
	tally      *tally
	segments   *segments
	clock      *clock
	chats      *chats
	safety     Safety
	attempts   [maxAttempts + 1]int64

	accepted       int64
	firstClaimed   time.Time
	firstAccepted  time.Time
	lastAccepted   time.Time
	perMinute      map[int64]int64 // Unix minute → accepted; grows with time, not with rows
	call           histogram
	toSent, toRead histogram
	toDelivered    histogram

	last     Line // the row before
	mismatch Mismatch
}

type groupKey struct {
	reason campaign.FailReason
	class  campaign.FailClass
	detail string
}

func newPass(c campaign.Campaign, now time.Time, location *time.Location) (*pass, error) {
	segments, err := newSegments(c, location)
	if err != nil {
		return nil, err
	}
	p := &pass{
		now:     now,
		imports: c.Imports,
		totals: campaign.Totals{
			ByStatus: map[campaign.Status]int64{},
			Skipped:  map[campaign.SkipReason]int64{},
			Failed:   map[campaign.FailReason]int64{},
		},
		groups:    map[groupKey]*FailureGroup{},
		uncertain: map[Uncertainty]Lines{},
		senders:   map[campaign.SenderID]*Sender{},
		perMinute: map[int64]int64{},
		variants:  map[string]*Outcome{},
		tally:     newTally(c.Spec),
		segments:  segments,
		clock:     newClock(),
		chats:     newChats(),
	}
	var end int64
	for _, imp := range c.Imports {
		end += imp.Rows
		p.ends = append(p.ends, end)
	}
	return p, nil
}

// read goes through the rows.
func (p *pass) read(ctx context.Context, rows Rows, id campaign.ID) error {
	n := 0
	for r, err := range rows.Rows(ctx, id) {
		if err != nil {
			return err
		}
		if n++; n%1024 == 0 && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if r.Seq < p.last.Seq {
			return fmt.Errorf("row %d after row %d: the rows are out of order", r.Seq, p.last.Seq)
		}
		p.add(&r)
	}
	p.missing(p.rows()+1, 0)
	return nil
}

// rows is how many rows the imports say there are.
func (p *pass) rows() int64 {
	if len(p.ends) == 0 {
		return 0
	}
	return p.ends[len(p.ends)-1]
}

func (p *pass) add(r *campaign.Recipient) {
	p.checkPlace(r)
	p.totals.ByStatus[r.Status]++
	p.addAnswers(r)
	switch r.Status { //nolint:exhaustive // the others need no more than their count
	case campaign.StatusSkipped:
		p.totals.Skipped[r.SkipReason]++
		if r.SkipReason == campaign.SkipDuplicate && len(p.duplicates) < maxDuplicates {
			p.duplicates = append(p.duplicates, Duplicate{Line: lineOf(r), OtherLine: lineIn(r.Detail)})
		}
		return
	case campaign.StatusFailed:
		p.totals.Failed[r.FailReason]++
		p.addFailure(r)
	case campaign.StatusUnknown:
		p.addUnknown(r)
	case campaign.StatusCanceled:
		if r.Status.TakenBack(r.QueueID) {
			p.withdrawn++
		}
	}
	if !r.QueuedAt.IsZero() {
		p.chats.add(r.Chat) // also of what was taken back: that may have come too late
	}
	p.addTimes(r)
	p.addSender(r)
	p.addAttempts(r)
	p.tally.add(r)
	p.segments.add(r, func(cell *splitCell) { p.tally.split(cell, r) })
	if r.Variant != "" {
		o := p.variants[r.Variant]
		if o == nil {
			o = &Outcome{}
			p.variants[r.Variant] = o
		}
		o.add(r)
	}
}

// addAnswers counts what any row can have, as the ledger's counters do.
func (p *pass) addAnswers(r *campaign.Recipient) {
	if r.Replies > 0 {
		p.totals.Replied++
	}
	if !r.OptedOut.IsZero() {
		p.totals.OptedOut++
	}
	if len(r.Vote) > 0 {
		p.totals.Voted++
	}
	p.answers.add(r)
}

func (p *pass) addAttempts(r *campaign.Recipient) {
	if r.Attempt > 0 {
		p.attempts[min(r.Attempt, maxAttempts)]++
	}
	if r.Attempt > 1 {
		p.safety.Retried++
		p.safety.Retries += int64(r.Attempt - 1)
	}
}

func (p *pass) addFailure(r *campaign.Recipient) {
	retryable := r.FailClass == campaign.FailTransient
	if retryable {
		p.retryable++
	}
	key := groupKey{r.FailReason, r.FailClass, r.Detail}
	if longDigits(key.detail) || len(key.detail) > maxDetail {
		key.detail = tidy(key.detail)
	}
	g := p.groups[key]
	if g == nil && len(p.groups) >= maxGroups {
		p.moreGroups = true
		key.detail = otherDetails
		g = p.groups[key]
	}
	if g == nil {
		g = &FailureGroup{
			Reason: r.FailReason, Class: r.FailClass, Retryable: retryable, Detail: key.detail,
			Meaning: FailWord(r.FailReason).Meaning, Advice: adviceFor(r.FailReason, key.detail),
		}
		p.groups[key] = g
	}
	if g.Count++; g.Count == mostAlike+1 && g.Reason == campaign.FailRejected && g.Detail != otherDetails &&
		adviceByDetail(g.Reason, g.Detail) == "" { // words about people are about people, however many
		g.Advice = alikeAdvice
	}
	if len(g.Examples) < maxExamples {
		line := lineOf(r)
		line.Detail = "" // the group has it
		g.Examples = append(g.Examples, line)
	}
}

// mostAlike is how many rejections with the same words are people; more are
// the message. A run pauses at as many in a row.
const mostAlike = 20

const alikeAdvice = "so many alike are the message, not the people: look at it with herald preview, " +
	"and send the mended one to these rows as a campaign of another name"

// otherDetails is the detail of the group that takes what came after
// maxGroups.
const otherDetails = "(other details)"

func (p *pass) addTimes(r *campaign.Recipient) {
	if !accepted(r) {
		return
	}
	p.accepted++
	p.clock.add(r)
	// Found in the provider's lists, the call is the best that is known.
	if call := r.QueuedAt.Sub(r.ClaimedAt); !r.ClaimedAt.IsZero() && call > 0 && call < longestCall {
		p.call.add(call)
	}
	if p.accepted == 1 || r.QueuedAt.Before(p.firstAccepted) {
		p.firstAccepted = r.QueuedAt
	}
	if r.QueuedAt.After(p.lastAccepted) {
		p.lastAccepted = r.QueuedAt
	}
	if claimed := r.ClaimedAt; !claimed.IsZero() && (p.firstClaimed.IsZero() || claimed.Before(p.firstClaimed)) {
		p.firstClaimed = claimed
	}
	minute := r.QueuedAt.Unix() / 60
	if _, known := p.perMinute[minute]; known || len(p.perMinute) < maxMinutes {
		p.perMinute[minute]++
	}
	if !r.SentAt.IsZero() {
		p.toSent.add(r.SentAt.Sub(r.QueuedAt))
	}
	if !r.DeliveredAt.IsZero() {
		p.toDelivered.add(r.DeliveredAt.Sub(r.QueuedAt))
	}
	if !r.ReadAt.IsZero() {
		p.toRead.add(r.ReadAt.Sub(r.QueuedAt))
	}
}

// longestCall is beyond any time-out: what is longer was proved afterwards.
const longestCall = 10 * time.Minute

func (p *pass) addSender(r *campaign.Recipient) {
	s := p.senders[r.Sender]
	if s == nil {
		s = &Sender{ID: r.Sender}
		p.senders[r.Sender] = s
	}
	s.Rows++
	if r.Status == campaign.StatusRead {
		s.Read++
	}
	if r.Replies > 0 {
		s.Replied++
	}
	if !r.OptedOut.IsZero() {
		s.OptedOut++
	}
	switch r.Status { //nolint:exhaustive // the others have no column
	case campaign.StatusPending, campaign.StatusStaged:
		s.Waiting++
	case campaign.StatusUnknown:
		s.Unknown++
	case campaign.StatusQueued, campaign.StatusProcessing, campaign.StatusSent:
		s.Accepted++
	case campaign.StatusDelivered, campaign.StatusRead:
		s.Accepted++
		s.Delivered++
	case campaign.StatusFailed:
		s.Failed++
		if r.FailReason == campaign.FailProvider {
			s.Accepted++
		}
	}
}

// failureGroups lists the groups, the most frequent first.
func (p *pass) failureGroups() []FailureGroup {
	order := campaign.FailReasons()
	groups := make([]FailureGroup, 0, len(p.groups))
	for _, g := range p.groups {
		g.Share = float64(g.Count) / float64(p.totals.ByStatus[campaign.StatusFailed])
		groups = append(groups, *g)
	}
	slices.SortFunc(groups, func(a, b FailureGroup) int {
		return cmp.Or(
			cmp.Compare(b.Count, a.Count),
			cmp.Compare(slices.Index(order, a.Reason), slices.Index(order, b.Reason)),
			cmp.Compare(a.Class, b.Class),
			cmp.Compare(a.Detail, b.Detail),
		)
	})
	return groups
}

// timing is nil when nothing was accepted.
func (p *pass) timing() *Timing {
	if p.accepted == 0 {
		return nil
	}
	t := &Timing{
		FirstAcceptedAt: instant(p.firstAccepted),
		LastAcceptedAt:  instant(p.lastAccepted),
		Call:            p.call.spread(),
		ToSent:          p.toSent.spread(),
		ToDelivered:     p.toDelivered.spread(),
		ToRead:          p.toRead.spread(),
	}
	begin := p.firstAccepted
	if !p.firstClaimed.IsZero() && p.firstClaimed.Before(begin) {
		begin = p.firstClaimed
	}
	sending := p.lastAccepted.Sub(begin)
	t.SendingMS = sending.Milliseconds()
	if sending > 0 {
		t.AcceptedPerSecond = float64(p.accepted) / sending.Seconds()
	}
	var peak int64
	for minute, n := range p.perMinute {
		if n > t.PeakPerMinute || n == t.PeakPerMinute && minute < peak {
			t.PeakPerMinute, peak = n, minute
		}
	}
	t.PeakAt = time.Unix(peak*60, 0).UTC()
	return t
}

// safe is what the pass found out about repetitions.
func (p *pass) safe(timeline []campaign.Event) *Safety {
	s := p.safety
	for n, recipients := range p.attempts {
		if recipients > 0 {
			s.Attempts = append(s.Attempts, Attempts{Attempts: n, Recipients: recipients})
		}
	}
	for _, e := range timeline {
		switch e.Kind { //nolint:exhaustive // the others send nothing again
		case campaign.EventRetried:
			s.Resent++
		case campaign.EventResent:
			s.Unproven++
		}
	}
	return &s
}

// senderCounts lists the senders by phone, then id.
func (p *pass) senderCounts(phones map[campaign.SenderID]campaign.Phone) []Sender {
	senders := make([]Sender, 0, len(p.senders))
	for id, s := range p.senders {
		s.Phone = phones[id].String()
		senders = append(senders, *s)
	}
	slices.SortFunc(senders, func(a, b Sender) int {
		return cmp.Or(cmp.Compare(a.Phone, b.Phone), cmp.Compare(a.ID, b.ID))
	})
	return senders
}

func lineOf(r *campaign.Recipient) Line {
	return Line{Seq: r.Seq, Import: r.Import, Line: r.Line, Chat: r.Chat.String(), Detail: tidy(r.Detail)}
}

// lineIn finds the line number a duplicate's detail speaks of, 0 if none.
func lineIn(detail string) int64 {
	_, rest, found := strings.Cut(detail, "line ")
	if !found {
		return 0
	}
	end := 0
	for end < len(rest) && isDigit(rest[end]) {
		end++
	}
	n, err := strconv.ParseInt(rest[:end], 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// tidy makes a detail fit to be shown: no number, no novel.
func tidy(detail string) string { return shorten(maskNumbers(detail), maxDetail) }

// Tidy makes a pause's or a row's detail fit to be shown on a terminal: no
// number, no novel, no control characters.
func Tidy(detail string) string { return printable(tidy(detail)) }

// instant is a time as reports hold it: UTC, milliseconds, as the ledger does.
func instant(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC().Truncate(time.Millisecond)
}

func appendUpTo[T any](list []T, n int, v T) []T {
	if len(list) >= n {
		return list
	}
	return append(list, v)
}
