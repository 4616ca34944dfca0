package storagetest

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/storage"
)

func testSenders(t *testing.T, s *storage.Store) {
	first, err := s.EnsureSender(t.Context(), Phone)
	must(t, err)
	again, err := s.EnsureSender(t.Context(), Phone)
	must(t, err)
	if first != again || first.ID == "" || first.Phone != Phone {
		t.Errorf("the sender of one phone is %#v, then %#v", first, again)
	}
	other, err := s.EnsureSender(t.Context(), "phone-7")
	must(t, err)
	all, err := s.Senders(t.Context())
	must(t, err)
	if !slices.Equal(all, []campaign.Sender{first, other}) {
		t.Errorf("senders: %v", all)
	}
	if _, err := s.EnsureSender(t.Context(), ""); err == nil {
		t.Error("a sender without a phone")
	}
}

func testLeases(t *testing.T, s *storage.Store) {
	ctx := t.Context()
	sender, err := s.EnsureSender(ctx, Phone)
	must(t, err)
	first, ok, err := s.AcquireLease(ctx, sender.ID, "a", time.Hour)
	must(t, err)
	if !ok || first.Epoch != 1 || first.Holder != "a" || first.Sender != sender.ID {
		t.Fatalf("first lease: %v %+v", ok, first)
	}
	held, ok, err := s.AcquireLease(ctx, sender.ID, "b", time.Hour)
	must(t, err)
	if ok || held.Holder != "a" {
		t.Errorf("a lease that is held was given away: %v %+v", ok, held)
	}
	longer, ok, err := s.RenewLease(ctx, first, 2*time.Hour)
	must(t, err)
	if !ok || longer.Epoch != 1 || !longer.ExpiresAt.After(first.ExpiresAt) {
		t.Errorf("renewed: %v %+v", ok, longer)
	}
	until := time.Now().Add(time.Minute).Truncate(time.Millisecond).UTC()
	must(t, s.BlockSender(ctx, first, until))
	must(t, s.BlockSender(ctx, first, until.Add(-time.Second)))
	must(t, s.ReleaseLease(ctx, first))
	if _, ok, err = s.RenewLease(ctx, first, time.Hour); err != nil || ok {
		t.Errorf("renewed a lease that was released: %v %v", ok, err)
	}
	second, ok, err := s.AcquireLease(ctx, sender.ID, "b", time.Hour)
	must(t, err)
	if !ok || second.Epoch != 2 || !second.BlockedUntil.Equal(until) {
		t.Errorf("the next holder's lease: %v %+v, want epoch 2, blocked until %v", ok, second, until)
	}
	if _, ok, err = s.RenewLease(ctx, first, time.Hour); err != nil || ok {
		t.Errorf("renewed a lease that another has: %v %v", ok, err)
	}
	again, ok, err := s.AcquireLease(ctx, sender.ID, "b", time.Hour)
	must(t, err)
	if !ok || again.Epoch != 3 {
		t.Errorf("acquired again by its holder: %v %+v, want epoch 3", ok, again)
	}
	// A lease of no length is over at once.
	if _, _, err = s.AcquireLease(ctx, sender.ID, "b", 0); err != nil {
		t.Fatal(err)
	}
	if _, ok, err = s.AcquireLease(ctx, sender.ID, "c", time.Hour); err != nil || !ok {
		t.Errorf("an expired lease was not given away: %v %v", ok, err)
	}
	_, _, err = s.AcquireLease(ctx, "snd_nobody", "a", time.Hour)
	wantCode(t, err, campaign.CodeNotFound)
}

func testPendingAndStaging(t *testing.T, s *storage.Store) {
	ctx := t.Context()
	seeded := Seed(t, s, 10)
	other, err := s.EnsureSender(ctx, "phone-other")
	must(t, err)
	now := time.Now()
	pending, err := s.Pending(ctx, seeded.ID, seeded.Sender.ID, now, 4)
	must(t, err)
	var seqs []int64
	for _, r := range pending {
		seqs = append(seqs, r.Seq)
		if r.Chat != Chat(r.Seq) || len(r.Record) != 4 || r.Sender != seeded.Sender.ID {
			t.Errorf("pending row %d came without what a template needs: %+v", r.Seq, r)
		}
	}
	if !slices.Equal(seqs, []int64{1, 2, 3, 4}) {
		t.Errorf("pending rows %v, want 1 to 4", seqs)
	}
	if none, err := s.Pending(ctx, seeded.ID, other.ID, now, 4); err != nil || len(none) != 0 {
		t.Errorf("another sender gets %v, %v", none, err)
	}
	staged := stage(t, s, seeded, seqs...)
	if diff := cmp.Diff([]campaign.Staged{{Seq: 1, Gen: 1}, {Seq: 2, Gen: 1}, {Seq: 3, Gen: 1}, {Seq: 4, Gen: 1}}, staged); diff != "" {
		t.Errorf("staged (-want +got):\n%s", diff)
	}
	again, err := s.Stage(ctx, seeded.ID, []int64{4, 5, 99}, now)
	must(t, err)
	if diff := cmp.Diff([]campaign.Staged{{Seq: 5, Gen: 1}}, again); diff != "" {
		t.Errorf("only the row that still was pending (-want +got):\n%s", diff)
	}
	if n, err := s.StagedCount(ctx, seeded.Sender.ID); err != nil || n != 5 {
		t.Errorf("%d rows are staged, want 5 (%v)", n, err)
	}
	_, err = s.Transition(ctx, seeded.ID, campaign.StatePaused, campaign.PauseOperator, "")
	must(t, err)
	if none, err := s.Stage(ctx, seeded.ID, []int64{6}, now); err != nil || len(none) != 0 {
		t.Errorf("staged %v while paused (%v)", none, err)
	}
}

func testDeferredRows(t *testing.T, s *storage.Store) {
	ctx := t.Context()
	seeded := Seed(t, s, 3)
	if _, ok, err := s.NextDue(ctx, seeded.ID); err != nil || ok {
		t.Errorf("a row is deferred before any was sent: %v %v", ok, err)
	}
	due := time.Now().Add(time.Hour).Truncate(time.Millisecond).UTC()
	for i, seq := range []int64{1, 2} {
		staged := stage(t, s, seeded, seq)[0]
		st := settlement(seeded, staged, claim(t, s, seeded, staged), campaign.OutcomeUnavailable, campaign.StatusPending)
		st.NotBefore = due.Add(time.Duration(i) * time.Minute)
		settle(t, s, st)
	}
	if at, ok, err := s.NextDue(ctx, seeded.ID); err != nil || !ok || !at.Equal(due) {
		t.Errorf("next due at %v, %v, %v; want %v", at, ok, err, due)
	}
	for _, test := range []struct {
		now  time.Time
		want []int64
	}{{time.Now(), []int64{3}}, {due, []int64{1, 3}}, {due.Add(time.Hour), []int64{1, 2, 3}}} {
		pending, err := s.Pending(ctx, seeded.ID, seeded.Sender.ID, test.now, 10)
		must(t, err)
		var got []int64
		for _, r := range pending {
			got = append(got, r.Seq)
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("at %v rows %v are handed out, want %v", test.now, got, test.want)
		}
	}
	if none, err := s.Stage(ctx, seeded.ID, []int64{1}, time.Now()); err != nil || len(none) != 0 {
		t.Errorf("staged %v before it was due (%v)", none, err)
	}
}

func testUnstage(t *testing.T, s *storage.Store) {
	ctx := t.Context()
	seeded := Seed(t, s, 2500)
	old := time.Now().Add(-time.Hour)
	var seqs []int64
	for seq := range int64(2400) {
		seqs = append(seqs, seq+1)
	}
	first, err := s.Stage(ctx, seeded.ID, seqs, old)
	must(t, err)
	stage(t, s, seeded, 2401, 2402)
	must(t, s.UnstageRows(ctx, seeded.ID, []int64{2402, 2500}))
	wantStatus(t, s, seeded, 2402, campaign.StatusPending)
	if n, err := s.Unstage(ctx, seeded.ID, old.Add(time.Minute)); err != nil || n != 2400 {
		t.Errorf("took back %d old rows, want 2400 (%v)", n, err)
	}
	wantStatus(t, s, seeded, 2401, campaign.StatusStaged)
	wantRefused(t, s, seeded.Intent(first[0]), campaign.RefusedStale)
	again := stage(t, s, seeded, 1)[0]
	if again.Gen != 2 {
		t.Errorf("handed over again under generation %d, want 2", again.Gen)
	}
	wantRefused(t, s, seeded.Intent(first[0]), campaign.RefusedStale)
	claim(t, s, seeded, again)
	if n, err := s.Unstage(ctx, "", time.Time{}); err != nil || n != 1 {
		t.Errorf("took back %d rows, want 1 (%v)", n, err)
	}
}

func testSkip(t *testing.T, s *storage.Store) {
	ctx := t.Context()
	seeded := Seed(t, s, 4)
	staged := stage(t, s, seeded, 2)[0]
	send(t, s, seeded, 3)
	n, err := s.Skip(ctx, seeded.ID, []campaign.Skip{
		{Seq: 1, Reason: campaign.SkipTemplateError, Detail: "no name"},
		{Seq: 2, Reason: campaign.SkipOptedOut},
		{Seq: 3, Reason: campaign.SkipOptedOut},
	})
	must(t, err)
	if n != 2 {
		t.Errorf("skipped %d rows, want 2", n)
	}
	if r := wantStatus(t, s, seeded, 1, campaign.StatusSkipped); r.SkipReason != campaign.SkipTemplateError || r.Detail != "no name" {
		t.Errorf("row 1: %q, %q", r.SkipReason, r.Detail)
	}
	wantStatus(t, s, seeded, 3, campaign.StatusQueued)
	wantRefused(t, s, seeded.Intent(staged), campaign.RefusedOptOut)
	want := map[campaign.SkipReason]int64{campaign.SkipTemplateError: 1, campaign.SkipOptedOut: 1}
	if diff := cmp.Diff(want, totals(t, s, seeded.ID).Skipped); diff != "" {
		t.Errorf("skipped (-want +got):\n%s", diff)
	}
}

func testCancel(t *testing.T, s *storage.Store) {
	ctx := t.Context()
	seeded := Seed(t, s, 2100)
	send(t, s, seeded, 1)
	underWay := stage(t, s, seeded, 2)[0]
	call := claim(t, s, seeded, underWay)
	staged := stage(t, s, seeded, 3)[0]
	_, err := s.Transition(ctx, seeded.ID, campaign.StateCanceled, "", "")
	must(t, err)
	wantRefused(t, s, seeded.Intent(staged), campaign.RefusedCampaign)
	if n, err := s.Cancel(ctx, seeded.ID); err != nil || n != 2098 {
		t.Errorf("canceled %d rows, want 2098 (%v)", n, err)
	}
	settle(t, s, seeded.Accepted(underWay, call))
	want := map[campaign.Status]int64{campaign.StatusQueued: 2, campaign.StatusCanceled: 2098}
	if diff := cmp.Diff(want, totals(t, s, seeded.ID).ByStatus); diff != "" {
		t.Errorf("after cancel (-want +got):\n%s", diff)
	}
}
