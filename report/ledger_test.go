package report_test

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/report"
)

// ledger holds a campaign in memory. The package under test only reads, so a
// slice is as good a ledger as any.
type ledger struct {
	campaign campaign.Campaign
	rows     []campaign.Recipient
	senders  []campaign.Sender
	timeline []campaign.Event
	replies  []campaign.Reply
	ballots  []campaign.LocatedBallots
	reviews  []campaign.Review
	earlier  []campaign.Campaign

	// awaited is how many rows the provider is still to be asked about.
	awaited int64
	// kept are the counters; nil counts the rows.
	kept *campaign.Totals
	// err ends the rows.
	err error
	// read counts the passes over the rows.
	read int
}

func (l *ledger) deps() report.Deps {
	return report.Deps{Campaigns: l, Counts: l, Rows: l, Senders: l, Timeline: l, Replies: l, Ballots: l, Reviews: l, Earlier: l, Awaited: l}
}

func (l *ledger) Replies(context.Context, campaign.ID) iter.Seq2[campaign.Reply, error] {
	return sequence(l.replies)
}

func (l *ledger) BallotsOf(context.Context, campaign.ID) iter.Seq2[campaign.LocatedBallots, error] {
	return sequence(l.ballots)
}

func (l *ledger) AwaitingEvidence(context.Context, campaign.ID) (int64, error) {
	return l.awaited, nil
}

func (l *ledger) Reviews(context.Context) ([]campaign.Review, error) { return l.reviews, nil }

func (l *ledger) Earlier(context.Context, campaign.Campaign, int) ([]campaign.Campaign, error) {
	return l.earlier, nil
}

func sequence[T any](list []T) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for _, v := range list {
			if !yield(v, nil) {
				return
			}
		}
	}
}

func (l *ledger) Campaign(_ context.Context, id campaign.ID) (campaign.Campaign, error) {
	if id != l.campaign.ID {
		return campaign.Campaign{}, campaign.ErrNotFound
	}
	return l.campaign, nil
}

func (l *ledger) Totals(ctx context.Context, id campaign.ID) (campaign.Totals, error) {
	if id != l.campaign.ID {
		return campaign.Totals{ByStatus: map[campaign.Status]int64{
			campaign.StatusRead: 40, campaign.StatusDelivered: 30, campaign.StatusFailed: 5, campaign.StatusSkipped: 9,
		}, Replied: 3, OptedOut: 1}, nil
	}
	if l.kept != nil {
		return *l.kept, nil
	}
	return l.Recount(ctx, id)
}

func (l *ledger) Recount(context.Context, campaign.ID) (campaign.Totals, error) {
	t := campaign.Totals{
		ByStatus: map[campaign.Status]int64{},
		Skipped:  map[campaign.SkipReason]int64{},
		Failed:   map[campaign.FailReason]int64{},
	}
	for _, r := range l.rows {
		t.ByStatus[r.Status]++
		if r.Replies > 0 {
			t.Replied++
		}
		if !r.OptedOut.IsZero() {
			t.OptedOut++
		}
		if len(r.Vote) > 0 {
			t.Voted++
		}
		if r.Status == campaign.StatusSkipped {
			t.Skipped[r.SkipReason]++
		}
		if r.Status == campaign.StatusFailed {
			t.Failed[r.FailReason]++
		}
	}
	return t, nil
}

func (l *ledger) Rows(context.Context, campaign.ID) iter.Seq2[campaign.Recipient, error] {
	return func(yield func(campaign.Recipient, error) bool) {
		l.read++
		for _, r := range l.rows {
			if !yield(r, nil) {
				return
			}
		}
		if l.err != nil {
			yield(campaign.Recipient{}, l.err)
		}
	}
}

func (l *ledger) Senders(context.Context, campaign.ID) ([]campaign.Sender, error) {
	return l.senders, nil
}

func (l *ledger) Timeline(context.Context, campaign.ID) ([]campaign.Event, error) {
	return l.timeline, nil
}

const (
	testID    = campaign.ID("cmp_01KAM4N3T5V7X9ZBDFHKMPRTWY")
	senderOne = campaign.SenderID("snd_01KAM4N3T5V7X9ZBDFHKMPRTW1")
	senderTwo = campaign.SenderID("snd_01KAM4N3T5V7X9ZBDFHKMPRTW2")
)

// start is when the campaigns of these tests begin to send.
var start = time.Date(2026, 11, 28, 4, 30, 0, 0, time.UTC)

// newLedger is a completed campaign of n rows, none of them there yet.
func newLedger(n int64) *ledger {
	return &ledger{
		campaign: campaign.Campaign{
			ID: testID, Name: "Diwali offer 2026 दिवाली की शुभकामनाएँ", Mode: campaign.ModeSandbox, State: campaign.StateCompleted,
			Spec: campaign.Spec{
				Senders: []string{"919999999900", "919999999911"},
				Message: campaign.Template{
					Text:  "Hi {{ name }}, SECRET BODY",
					Media: &campaign.MediaTemplate{Type: campaign.MediaDocument, URL: "https://example.com/a.pdf"},
				},
			},
			MessageHash: "3f2a91c0d4e17a5b3f2a91c0d4e17a5b3f2a91c0d4e17a5b3f2a91c0d4e17a5b",
			Imports: []campaign.Import{{
				Number: 1, File: "recipients.csv", SHA256: "9c1a2b3c4d5e6f709c1a2b3c4d5e6f709c1a2b3c4d5e6f709c1a2b3c4d5e6f70",
				Header: []string{"Name", "Mobile", "Note"}, Slugs: []string{"name", "mobile", "note"},
				Rows: n, Complete: true, At: start.Add(-10 * time.Minute),
			}},
			CreatedAt: start.Add(-11 * time.Minute), StartAt: start, StartedAt: start, FinishedAt: start.Add(72 * time.Hour),
		},
		senders: []campaign.Sender{{ID: senderOne, Phone: "919999999900"}, {ID: senderTwo, Phone: "919999999911"}},
		timeline: []campaign.Event{
			{At: start.Add(-11 * time.Minute), Kind: "state", To: campaign.StateDraft},
			{At: start, Kind: "state", From: campaign.StateDraft, To: campaign.StateRunning},
			{At: start.Add(time.Minute), Kind: "state", From: campaign.StateRunning, To: campaign.StatePaused, Reason: campaign.PauseOperator, Detail: "lunch"},
			{At: start.Add(2 * time.Minute), Kind: "state", From: campaign.StatePaused, To: campaign.StateRunning},
		},
	}
}

// phone is an invented number.
func phone(n int64) string { return fmt.Sprintf("91999999%04d", n%10000) }

// add appends the next row with a status, its times as that status has them.
func (l *ledger) add(status campaign.Status, change ...func(*campaign.Recipient)) {
	seq := int64(len(l.rows)) + 1
	r := campaign.Recipient{
		Campaign: l.campaign.ID, Seq: seq, Import: 1, Line: seq + 1, Chat: campaign.PersonChat(phone(seq)), Status: status,
		Record: []string{fmt.Sprintf("Person %d", seq), "+" + phone(seq), ""},
		Sender: senderOne,
	}
	if seq%3 == 0 {
		r.Sender = senderTwo
	}
	if status == campaign.StatusSkipped {
		r.Sender = ""
	}
	at := start.Add(time.Duration(seq) * 15 * time.Second)
	if status != campaign.StatusSkipped && !status.Waiting() && status != campaign.StatusCanceled {
		r.ClaimedAt, r.Attempt = at, 1
	}
	switch status { //nolint:exhaustive // the others have no times
	case campaign.StatusRead:
		r.ReadAt = at.Add(10 * time.Minute)
		fallthrough
	case campaign.StatusDelivered:
		r.DeliveredAt = at.Add(time.Duration(seq) * time.Second)
		fallthrough
	case campaign.StatusSent:
		r.SentAt = at.Add(1500 * time.Millisecond)
		r.MessageID = fmt.Sprintf("true_3EB0%04d", seq)
		fallthrough
	case campaign.StatusQueued, campaign.StatusProcessing:
		r.QueuedAt = at.Add(200 * time.Millisecond)
		r.QueueID = fmt.Sprintf("queue-%d", seq)
	}
	for _, f := range change {
		f(&r)
	}
	l.rows = append(l.rows, r)
}

func skipped(reason campaign.SkipReason, detail string) func(*campaign.Recipient) {
	return func(r *campaign.Recipient) { r.SkipReason, r.Detail = reason, detail }
}

func failed(reason campaign.FailReason, class campaign.FailClass, detail string) func(*campaign.Recipient) {
	return func(r *campaign.Recipient) { r.FailReason, r.FailClass, r.Detail = reason, class, detail }
}

func record(cells ...string) func(*campaign.Recipient) {
	return func(r *campaign.Recipient) { r.Record = cells }
}

// mixed is a campaign in which everything happened.
func mixed() *ledger {
	l := newLedger(37)
	l.add(campaign.StatusRead, record("प्रिया शर्मा", "+919999990001", "=HYPERLINK(\"http://example.com\")"))
	l.add(campaign.StatusRead, record("王小明", "+919999990002", "-5"))
	l.add(campaign.StatusSkipped, skipped(campaign.SkipMalformed, "4 cells, the header has 3"), record("Ann", "Lee", "919999990003", "late, \"quoted\""),
		func(r *campaign.Recipient) { r.Chat = "" })
	l.add(campaign.StatusSkipped, skipped(campaign.SkipInvalidPhone, "too short"), record("Bo"), func(r *campaign.Recipient) { r.Chat = "" })
	l.add(campaign.StatusSkipped, skipped(campaign.SkipDuplicate, "same number as line 2"))
	l.add(campaign.StatusSkipped, skipped(campaign.SkipDuplicate, "same number as line 3"))
	l.add(campaign.StatusSkipped, skipped(campaign.SkipOptedOut, ""))
	for range 18 {
		l.add(campaign.StatusRead)
	}
	for range 5 {
		l.add(campaign.StatusDelivered)
	}
	l.add(campaign.StatusSent)
	l.add(campaign.StatusFailed, failed(campaign.FailRejected, campaign.FailPermanent, "number 919999990032 is not on WhatsApp (131026)"))
	l.add(campaign.StatusFailed, failed(campaign.FailRejected, campaign.FailPermanent, "number 919999990033 is not on WhatsApp (131026)"))
	l.add(campaign.StatusFailed, failed(campaign.FailExhausted, campaign.FailTransient, "HTTP 503 three times"))
	l.add(campaign.StatusFailed, failed(campaign.FailProvider, campaign.FailTransient, "पहुँचा नहीं: उपकरण बंद था और संदेश बहुत देर तक प्रतीक्षा करता रहा, इसलिए छोड़ दिया गया"))
	l.add(campaign.StatusUnknown, func(r *campaign.Recipient) { r.Detail = "connection cut after 200 ms" })
	l.add(campaign.StatusUnknown)
	return l
}

// running is a campaign half-way, with a second import of mended rows.
func running() *ledger {
	l := newLedger(8)
	l.campaign.State = campaign.StateRunning
	l.campaign.FinishedAt = time.Time{}
	l.campaign.Mode = campaign.ModeLive
	l.campaign.Imports = append(l.campaign.Imports, campaign.Import{
		Number: 2, File: "mended.csv", SHA256: "abcdef0123456789", Rows: 2, Complete: true, At: start.Add(time.Minute),
		Header: []string{"Mobile", "Name", "City"}, Slugs: []string{"mobile", "name", "city"},
	})
	l.add(campaign.StatusRead)
	l.add(campaign.StatusDelivered)
	l.add(campaign.StatusSent)
	l.add(campaign.StatusProcessing)
	l.add(campaign.StatusQueued)
	l.add(campaign.StatusSubmitting)
	l.add(campaign.StatusStaged)
	l.add(campaign.StatusSkipped, skipped(campaign.SkipInvalidPhone, "too short"))
	second := func(line int64) func(*campaign.Recipient) {
		return func(r *campaign.Recipient) {
			r.Import, r.Line = 2, line
			r.Record = []string{"+12125550142", "Mended", "नई दिल्ली"}
		}
	}
	l.add(campaign.StatusPending, second(2))
	l.add(campaign.StatusPending, second(3))
	return l
}

// unknowns has rows in each state of not knowing.
func unknowns() *ledger {
	l := newLedger(32)
	l.campaign.State = campaign.StateTracking
	l.campaign.FinishedAt = time.Time{}
	begun := func(after time.Duration, detail string) func(*campaign.Recipient) {
		return func(r *campaign.Recipient) { r.ClaimedAt, r.Detail = start.Add(after), detail }
	}
	assumed := func(r *campaign.Recipient) { r.Resolution = campaign.ResolutionAssumedSent }
	for range 5 {
		l.add(campaign.StatusRead)
	}
	l.add(campaign.StatusUnknown, begun(time.Hour, "the answer was no JSON"), assumed)
	l.add(campaign.StatusUnknown, begun(72*time.Hour, "herald stopped during the call"), assumed)
	for range 22 {
		l.add(campaign.StatusUnknown, begun(71*time.Hour, "connection cut after 200 ms"))
	}
	l.add(campaign.StatusUnknown, begun(2*time.Hour, "connection cut; 919999990042 was dialed"))
	l.add(campaign.StatusUnknown, begun(49*time.Hour-time.Millisecond, "herald stopped during the call"))
	// Exactly 24 hours are not over yet.
	l.add(campaign.StatusUnknown, begun(49*time.Hour, "herald stopped during the call"))
	l.timeline = append(l.timeline,
		campaign.Event{At: start.Add(3 * time.Hour), Kind: campaign.EventHeld, Detail: "the disk is nearly full"},
		campaign.Event{At: start.Add(4 * time.Hour), Kind: campaign.EventRestored, Detail: "the backup of this morning is in use"},
		campaign.Event{At: start.Add(50 * time.Hour), Kind: campaign.EventResolved, Detail: "2 rows assumed sent by alice"},
	)
	return l
}

// unbalanced has lost rows 4 and 5, has row 9's line twice, and a counter that
// is off.
func unbalanced() *ledger {
	l := newLedger(12)
	for range 12 {
		l.add(campaign.StatusDelivered)
	}
	l.rows[9].Line = l.rows[8].Line
	l.rows = append(l.rows[:3], l.rows[5:]...)
	kept, _ := l.Recount(context.Background(), testID)
	kept.ByStatus[campaign.StatusDelivered]--
	kept.ByStatus[campaign.StatusRead]++
	l.kept = &kept
	return l
}

func empty() *ledger {
	l := newLedger(0)
	l.campaign.State = campaign.StateDraft
	l.campaign.StartedAt, l.campaign.FinishedAt = time.Time{}, time.Time{}
	l.timeline = nil
	return l
}

func allFailed() *ledger {
	l := newLedger(3)
	for range 3 {
		l.add(campaign.StatusFailed, failed(campaign.FailRejected, campaign.FailPermanent, "template refused"))
	}
	return l
}

// canceled was stopped half-way.
func canceled() *ledger {
	l := newLedger(3)
	l.campaign.State = campaign.StateCanceled
	l.add(campaign.StatusDelivered)
	l.add(campaign.StatusQueued)
	l.add(campaign.StatusCanceled)
	return l
}

// withdrawn is the change that makes a row one that was accepted, and then taken
// back out of the provider's queue.
func withdrawn(r *campaign.Recipient) {
	r.ClaimedAt = start.Add(time.Duration(r.Seq) * 15 * time.Second)
	r.QueuedAt, r.Attempt = r.ClaimedAt.Add(200*time.Millisecond), 1
	r.QueueID = fmt.Sprintf("queue-%d", r.Seq)
	r.Detail = "taken out of the provider's queue: the campaign was canceled"
}

// takenBack was stopped while some of it was out, some in the provider's queue,
// and some had not been handed over; the queue was emptied a moment ago.
func takenBack() *ledger {
	l := newLedger(11)
	l.campaign.State = campaign.StateCanceled
	l.campaign.FinishedAt = start.Add(3 * time.Minute)
	l.add(campaign.StatusRead)
	l.add(campaign.StatusDelivered)
	l.add(campaign.StatusSent)
	l.add(campaign.StatusFailed, failed(campaign.FailRejected, campaign.FailPermanent, "template refused"))
	l.add(campaign.StatusSkipped, skipped(campaign.SkipOptedOut, ""))
	for range 4 {
		l.add(campaign.StatusCanceled, withdrawn)
	}
	l.add(campaign.StatusCanceled)
	l.add(campaign.StatusCanceled)
	l.awaited = 6
	return l
}

// answered is a poll in two variants, with a holdout, that people answered in
// every way there is.
func answered() *ledger {
	l := newLedger(405)
	l.campaign.Name = "Open day"
	l.campaign.Spec.Message = campaign.Template{}
	poll := &campaign.PollTemplate{Question: "SECRET BODY?", Options: []string{"Yes", "No", "Perhaps <script>"}, Multiple: true}
	l.campaign.Spec.Variants = []campaign.Variant{
		{Name: "A", Weight: 1, Message: campaign.Template{Poll: poll}}, {Name: "B", Weight: 1, Message: campaign.Template{Poll: poll}},
	}
	l.campaign.Spec.Holdout = 0.05
	l.campaign.Spec.Segments = []string{"city", "note"}
	imp := &l.campaign.Imports[0]
	imp.Header, imp.Slugs = []string{"Name", "Mobile", "City"}, []string{"name", "mobile", "city"}
	cities := []string{"Pune", "नई दिल्ली", "São Paulo", ""}
	fronts := []string{"91999999", "1201555", "55119876", "447700"}
	for i := range int64(400) {
		status := campaign.StatusDelivered
		a := i%2 == 0
		switch {
		case i%20 == 19:
			l.add(campaign.StatusSkipped, skipped(campaign.SkipHoldout, ""), record("Held", "+919999990000", "Pune"))
			continue
		case i%50 == 3:
			status = campaign.StatusFailed
		case a && i%3 > 0, !a && i%5 == 0:
			status = campaign.StatusRead
		}
		l.add(status, func(r *campaign.Recipient) {
			r.Variant = "B"
			if a {
				r.Variant = "A"
			}
			number := fmt.Sprintf("%s%04d", fronts[i%4], i)
			r.Chat = campaign.PersonChat(number)
			r.Record = []string{fmt.Sprintf("Person %d", i), "+" + number, cities[i/4%4]}
			if status == campaign.StatusFailed {
				r.FailReason, r.FailClass, r.Detail, r.Attempt = campaign.FailExhausted, campaign.FailTransient, "HTTP 503 three times", 3
				return
			}
			if i%7 == 0 {
				r.Replies, r.RepliedAt, r.Reply = 1+int(i%3), r.QueuedAt.Add(time.Duration(i)*time.Minute), fmt.Sprintf("Yes, call me on +91 99999 9%04d", i)
			}
			if i%90 == 0 {
				r.OptedOut = r.QueuedAt.Add(time.Hour)
			}
			switch i % 4 {
			case 0:
				r.Vote, r.VotedAt = []string{"Yes"}, r.QueuedAt.Add(time.Hour)
			case 1:
				r.Vote, r.VotedAt, r.VoteMoves = []string{"No", "Perhaps <script>"}, r.QueuedAt.Add(2*time.Hour), int(i%2)
			case 2:
				r.VoteMoves = int(i / 200)
			}
		})
	}
	for range 5 {
		l.add(campaign.StatusDelivered, func(r *campaign.Recipient) {
			r.Chat, r.Variant = campaign.ChatID(fmt.Sprintf("12036301234567%04d@g.us", r.Seq)), "A"
			r.Record = []string{"Group", string(r.Chat), "Pune"}
			if r.Seq%2 == 0 {
				l.ballots = append(l.ballots, campaign.LocatedBallots{Campaign: testID, Seq: r.Seq, Ballots: campaign.Ballots{Votes: []campaign.Ballot{
					{Voter: "919999990001@c.us", Options: []string{"Yes"}},
					{Voter: "919999990002@c.us", Options: []string{"No"}},
					{Voter: "919999990003@c.us"},
				}}})
			}
		})
	}
	for _, r := range l.rows {
		for n := range r.Replies {
			l.replies = append(l.replies, campaign.Reply{
				Inbound:  campaign.Inbound{Chat: r.Chat, Author: r.Chat, Kind: "chat", Text: fmt.Sprintf("=reply(%d)", n), At: r.RepliedAt.Add(time.Duration(n) * time.Minute)},
				Campaign: testID, Seq: r.Seq, Tie: campaign.TieQuote,
			})
		}
	}
	l.reviews = []campaign.Review{{}, {Decided: campaign.WishOut}}
	l.earlier = []campaign.Campaign{{ID: "cmp_01KAM4N3T5V7X9ZBDFHKMPRT00", Name: "Open day, spring", StartedAt: start.AddDate(0, -6, 0), Imports: l.campaign.Imports}}
	hold := func(after time.Duration, kind campaign.EventKind, detail string) campaign.Event {
		return campaign.Event{At: start.Add(after), Kind: kind, Reason: campaign.PauseDisconnected, Detail: detail}
	}
	l.timeline = append(l.timeline,
		hold(5*time.Minute, campaign.EventHeld, "91******9900: the phone is disconnected"),
		hold(6*time.Minute, campaign.EventHeld, "91******9911: the phone is disconnected"),
		hold(7*time.Minute, campaign.EventReleased, "91******9900: connected"),
		hold(16*time.Minute, campaign.EventReleased, "91******9911: connected"),
		campaign.Event{At: start.Add(30 * time.Minute), Kind: campaign.EventRetried, Detail: "2 rows"},
	)
	return l
}

var scenarios = map[string]func() *ledger{
	"answered": answered, "partly_poll": partlyPoll, "two_polls": twoPolls,
	"mixed": mixed, "running": running, "unknowns": unknowns, "unbalanced": unbalanced, "empty": empty, "all_failed": allFailed, "canceled": canceled, "taken_back": takenBack,
}
