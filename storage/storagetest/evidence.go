package storagetest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/storage"
)

// testEvidenceOrder folds every permutation of a set of evidence, repeated,
// into a row of its own: all rows must end the same.
func testEvidenceOrder(t *testing.T, s *storage.Store) {
	ctx := t.Context()
	at := time.Date(2026, 11, 28, 10, 0, 0, 0, time.UTC)
	set := func(seeded Seeded, seq int64) []campaign.Observation {
		late := evidence(seeded, seq, campaign.StatusSent, at.Add(time.Hour))
		late.MessageID = "wamid-1"
		return []campaign.Observation{
			evidence(seeded, seq, campaign.StatusSent, at),
			late,
			evidence(seeded, seq, campaign.StatusRead, at.Add(time.Minute)),
			evidence(seeded, seq, campaign.StatusFailed, at.Add(2*time.Minute)),
			evidence(seeded, seq, campaign.StatusProcessing, time.Time{}),
		}
	}
	orders := permutations(5)
	seeded := Seed(t, s, len(orders))
	for i, order := range orders {
		seq := int64(i) + 1
		send(t, s, seeded, seq)
		list := set(seeded, seq)
		for _, j := range append(order, order[:2]...) {
			must(t, s.Observe(ctx, []campaign.Observation{list[j]}))
		}
	}
	want := row(t, s, seeded, 1)
	if want.Status != campaign.StatusRead || want.MessageID != "wamid-1" || !want.SentAt.Equal(at) ||
		!want.ReadAt.Equal(at.Add(time.Minute)) || want.FailReason != "" {
		t.Errorf("row after all evidence: %+v", want)
	}
	for i := range orders {
		got := row(t, s, seeded, int64(i)+1)
		got.Seq, got.Line, got.Chat, got.Record = want.Seq, want.Line, want.Chat, want.Record
		got.QueueID, got.UniqueID, got.QueuedAt, got.StagedAt, got.ClaimedAt = want.QueueID, want.UniqueID, want.QueuedAt, want.StagedAt, want.ClaimedAt
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("order %v ends otherwise (-first +this):\n%s", orders[i], diff)
		}
	}
}

func permutations(n int) [][]int {
	if n == 0 {
		return [][]int{nil}
	}
	var all [][]int
	for _, p := range permutations(n - 1) {
		for at := range n {
			all = append(all, slices.Insert(slices.Clone(p), at, n-1))
		}
	}
	return all
}

func testForgedEvidence(t *testing.T, s *storage.Store) {
	ctx := t.Context()
	seeded := Seed(t, s, 2)
	sent := send(t, s, seeded, 2)
	forged := evidence(seeded, 1, campaign.StatusRead, time.Now())
	nobody := evidence(seeded, 99, campaign.StatusRead, time.Now())
	nowhere := evidence(Seeded{ID: campaign.NewID()}, 1, campaign.StatusRead, time.Now())
	must(t, s.Observe(ctx, []campaign.Observation{forged, nobody, nowhere, evidence(seeded, 2, campaign.StatusSent, time.Now())}))
	wantStatus(t, s, seeded, 1, campaign.StatusPending)
	wantStatus(t, s, seeded, sent.Seq, campaign.StatusSent)
	must(t, s.Observe(ctx, nil))
}

func testPolls(t *testing.T, s *storage.Store) {
	ctx := t.Context()
	seeded := Seed(t, s, 4)
	for seq := range int64(3) {
		send(t, s, seeded, seq+1)
	}
	soon := time.Now().Add(-time.Second)
	if due, err := s.DuePolls(ctx, soon, 10); err != nil || len(due) != 0 {
		t.Errorf("due at once: %v %v", due, err)
	}
	later := time.Now().Add(time.Hour)
	due, err := s.DuePolls(ctx, later, 10, seeded.ID)
	must(t, err)
	if len(due) != 3 {
		t.Fatalf("%d rows are due, want 3", len(due))
	}
	first := due[0]
	r := row(t, s, seeded, first.Seq)
	want := campaign.Tracked{
		Campaign: seeded.ID, Seq: r.Seq, Sender: seeded.Sender, Chat: r.Chat, QueueID: r.QueueID, UniqueID: r.UniqueID,
		Status: campaign.StatusQueued, QueuedAt: r.QueuedAt,
	}
	if diff := cmp.Diff(want, first); diff != "" {
		t.Errorf("due row (-want +got):\n%s", diff)
	}
	polled := func(seq int64, status campaign.Status, next time.Time) campaign.Observation {
		o := evidence(seeded, seq, status, time.Now())
		o.Source, o.NextPoll = campaign.EvidencePoll, next
		return o
	}
	must(t, s.Observe(ctx, []campaign.Observation{
		polled(1, campaign.StatusProcessing, later.Add(-time.Minute)),
		polled(2, campaign.StatusFailed, later),
		polled(3, "", later.Add(time.Hour)),
	}))
	due, err = s.DuePolls(ctx, later, 10)
	must(t, err)
	if len(due) != 1 || due[0].Seq != 1 || due[0].Polls != 1 || due[0].Status != campaign.StatusProcessing {
		t.Errorf("due after the polls: %+v, want row 1 alone", due)
	}
	if n, err := s.AwaitingEvidence(ctx, seeded.ID); err != nil || n != 2 {
		t.Errorf("%d rows await evidence, want 2 (%v)", n, err)
	}
	// A webhook leaves the schedule alone, until nothing more can come.
	must(t, s.Observe(ctx, []campaign.Observation{evidence(seeded, 1, campaign.StatusDelivered, time.Now())}))
	if due, err = s.DuePolls(ctx, later, 10); err != nil || len(due) != 1 {
		t.Errorf("a delivered row is not asked for any more: %v %v", due, err)
	}
	must(t, s.Observe(ctx, []campaign.Observation{evidence(seeded, 1, campaign.StatusRead, time.Now())}))
	if due, err = s.DuePolls(ctx, later, 10); err != nil || len(due) != 0 {
		t.Errorf("a read row is asked for: %v %v", due, err)
	}
	if r := wantStatus(t, s, seeded, 2, campaign.StatusFailed); r.FailReason != campaign.FailProvider || r.Detail == "" {
		t.Errorf("given up by the provider: %q, %q", r.FailReason, r.Detail)
	}
	must(t, s.Observe(ctx, []campaign.Observation{evidence(seeded, 2, campaign.StatusSent, time.Now())}))
	if r := wantStatus(t, s, seeded, 2, campaign.StatusSent); r.FailReason != "" || r.FailClass != "" {
		t.Errorf("late proof of sending left %q, %q", r.FailReason, r.FailClass)
	}
}

func testAdoptUnknown(t *testing.T, s *storage.Store) {
	ctx := t.Context()
	seeded := Seed(t, s, 3)
	send(t, s, seeded, 1)
	taken := row(t, s, seeded, 1).QueueID
	for _, r := range stage(t, s, seeded, 2, 3) {
		settle(t, s, settlement(seeded, r, claim(t, s, seeded, r), campaign.OutcomeUnknown, campaign.StatusUnknown))
	}
	found := evidence(seeded, 2, campaign.StatusQueued, time.Time{})
	found.Source, found.QueueID, found.UniqueID, found.NextPoll = campaign.EvidenceJobs, "found", "unique", time.Now()
	foreign := evidence(seeded, 3, campaign.StatusQueued, time.Time{})
	foreign.Source, foreign.QueueID = campaign.EvidenceJobs, taken
	must(t, s.Observe(ctx, []campaign.Observation{found, foreign}))
	if r := wantStatus(t, s, seeded, 2, campaign.StatusQueued); r.QueueID != "found" || r.UniqueID != "unique" || r.QueuedAt.IsZero() {
		t.Errorf("adopted row: %+v", r)
	}
	wantStatus(t, s, seeded, 3, campaign.StatusUnknown)
	if got := list(t, s, seeded.ID, storage.Filter{Statuses: []campaign.Status{campaign.StatusUnknown}}); !slices.Equal(got, []int64{3}) {
		t.Errorf("unknown rows %v, want 3", got)
	}
}

func testLists(t *testing.T, s *storage.Store) {
	ctx := t.Context()
	seeded := Seed(t, s, 1203)
	var skips []campaign.Skip
	for seq := int64(3); seq <= 1203; seq += 3 {
		reason := campaign.SkipOptedOut
		if seq%2 == 0 {
			reason = campaign.SkipExpired
		}
		skips = append(skips, campaign.Skip{Seq: seq, Reason: reason})
	}
	_, err := s.Skip(ctx, seeded.ID, skips)
	must(t, err)
	staged := stage(t, s, seeded, 1, 2)
	for _, r := range staged {
		st := settlement(seeded, r, claim(t, s, seeded, r), campaign.OutcomeRejected, campaign.StatusFailed)
		st.FailReason, st.FailClass = campaign.FailRejected, campaign.FailPermanent
		settle(t, s, st)
	}
	skipped, failed, pending := campaign.StatusSkipped, campaign.StatusFailed, campaign.StatusPending
	for _, test := range []struct {
		name        string
		filter      storage.Filter
		count       int
		first, last int64
	}{
		{"all", storage.Filter{}, 1203, 1, 1203},
		{"limit", storage.Filter{Limit: 700}, 700, 1, 700},
		{"cursor", storage.Filter{AfterSeq: 700, Limit: 2}, 2, 701, 702},
		{"beyond the end", storage.Filter{AfterSeq: 1203}, 0, 0, 0},
		{"one exception", storage.Filter{Statuses: []campaign.Status{failed}}, 2, 1, 2},
		{"exceptions together", storage.Filter{Statuses: []campaign.Status{skipped, failed}, AfterSeq: 1}, 402, 2, 1203},
		{"exceptions, limited", storage.Filter{Statuses: []campaign.Status{skipped, failed}, Limit: 4}, 4, 1, 6},
		{"common status", storage.Filter{Statuses: []campaign.Status{pending}}, 800, 4, 1202},
		{"mixed", storage.Filter{Statuses: []campaign.Status{pending, failed}}, 802, 1, 1202},
		{"skip reason", storage.Filter{SkipReasons: []campaign.SkipReason{campaign.SkipExpired}}, 200, 6, 1200},
		{"fail reason", storage.Filter{Statuses: []campaign.Status{failed}, FailReasons: []campaign.FailReason{campaign.FailPoison}}, 0, 0, 0},
		{"chat", storage.Filter{Chat: Chat(500)}, 1, 500, 500},
		{"chat of a skipped row", storage.Filter{Chat: Chat(501)}, 1, 501, 501},
		{"chat and another status", storage.Filter{Chat: Chat(500), Statuses: []campaign.Status{failed}}, 0, 0, 0},
	} {
		got := list(t, s, seeded.ID, test.filter)
		if len(got) != test.count || len(got) > 0 && (got[0] != test.first || got[len(got)-1] != test.last) || !slices.IsSorted(got) {
			t.Errorf("%s: %d rows %v, want %d from %d to %d", test.name, len(got), ends(got), test.count, test.first, test.last)
		}
	}
	n := 0
	for _, err := range s.Recipients(ctx, seeded.ID, storage.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		if n++; n == 3 {
			break // an abandoned walk must not hold anything
		}
	}
	_, err = s.Recipient(ctx, seeded.ID, 2000)
	wantCode(t, err, campaign.CodeNotFound)
	_, err = s.RecipientByChat(ctx, seeded.ID, "447700900999@c.us")
	wantCode(t, err, campaign.CodeNotFound)
	for _, err := range s.Recipients(ctx, campaign.NewID(), storage.Filter{}) {
		wantCode(t, err, campaign.CodeNotFound)
	}
}

func ends(list []int64) string {
	if len(list) == 0 {
		return "none"
	}
	return fmt.Sprintf("%d…%d", list[0], list[len(list)-1])
}

func testTiming(t *testing.T, s *storage.Store) {
	ctx := t.Context()
	seeded := Seed(t, s, 4)
	none, err := s.Timing(ctx, seeded.ID)
	must(t, err)
	if !none.First.IsZero() || len(none.Minutes) != 0 {
		t.Errorf("timing before anything was sent: %+v", none)
	}
	start := time.Date(2026, 11, 28, 10, 0, 30, 0, time.UTC)
	for i, after := range []time.Duration{90 * time.Second, 0, time.Second} {
		r := stage(t, s, seeded, int64(i)+1)[0]
		st := seeded.Accepted(r, claim(t, s, seeded, r))
		st.EndedAt = start.Add(after)
		settle(t, s, st)
	}
	got, err := s.Timing(ctx, seeded.ID)
	must(t, err)
	want := storage.Timing{
		First: start, Last: start.Add(90 * time.Second),
		Minutes: []storage.Minute{{At: start.Truncate(time.Minute), Accepted: 2}, {At: start.Add(90 * time.Second).Truncate(time.Minute), Accepted: 1}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("timing (-want +got):\n%s", diff)
	}
}
