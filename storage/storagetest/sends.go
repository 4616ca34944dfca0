package storagetest

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/storage"
)

func testClaimRefusals(t *testing.T, s *storage.Store) {
	ctx := t.Context()
	seeded := Seed(t, s, 5)
	rows := stage(t, s, seeded, 1, 2)
	good := seeded.Intent(rows[0])

	for name, spoil := range map[string]func(*campaign.Intent){
		"older generation": func(i *campaign.Intent) { i.Task.Gen-- },
		"newer generation": func(i *campaign.Intent) { i.Task.Gen++ },
		"no such row":      func(i *campaign.Intent) { i.Task.Seq = 99 },
		"row not staged":   func(i *campaign.Intent) { i.Task.Seq, i.Task.Gen = 4, 0 },
		"no such campaign": func(i *campaign.Intent) { i.Task.Campaign = campaign.NewID() },
	} {
		intent := good
		spoil(&intent)
		if got := wantRefused(t, s, intent, campaign.RefusedStale); got.Attempt != 0 {
			t.Errorf("%s: refused with attempt %d", name, got.Attempt)
		}
	}
	old := good
	old.Epoch--
	wantRefused(t, s, old, campaign.RefusedLease)

	_, err := s.Transition(ctx, seeded.ID, campaign.StatePaused, campaign.PauseOperator, "")
	must(t, err)
	wantRefused(t, s, good, campaign.RefusedCampaign)
	_, err = s.Transition(ctx, seeded.ID, campaign.StateRunning, "", "")
	must(t, err)

	granted := claim(t, s, seeded, rows[0])
	if granted.Attempt != 1 || granted.ClaimedAt.IsZero() {
		t.Errorf("granted: %+v", granted)
	}
	r := wantStatus(t, s, seeded, 1, campaign.StatusSubmitting)
	if r.Attempt != 1 || !r.ClaimedAt.Equal(granted.ClaimedAt) || r.BodyHash != good.Task.BodyHash {
		t.Errorf("the intent is not in the row: %+v", r)
	}
	wantRefused(t, s, good, campaign.RefusedStale)
	lease, ok, err := s.RenewLease(ctx, seeded.Lease, time.Hour)
	must(t, err)
	if !ok || !lease.LastGrant.Equal(granted.ClaimedAt) {
		t.Errorf("the lease's latest grant is %v, want %v", lease.LastGrant, granted.ClaimedAt)
	}
	must(t, s.ReleaseLease(ctx, seeded.Lease))
	wantRefused(t, s, seeded.Intent(rows[1]), campaign.RefusedLease)
}

func testCaps(t *testing.T, s *storage.Store) {
	ctx := t.Context()
	seeded := Seed(t, s, 6)
	rows := stage(t, s, seeded, 1, 2, 3, 4, 5)
	capped := func(i, hourly, daily int) campaign.Intent {
		intent := seeded.Intent(rows[i])
		intent.Hourly, intent.Daily = hourly, daily
		return intent
	}
	wantRefused(t, s, capped(0, 2, 0), campaign.RefusedNot)
	second := wantRefused(t, s, capped(1, 2, 3), campaign.RefusedNot)
	third := wantRefused(t, s, capped(2, 2, 3), campaign.RefusedCap)
	if wait := third.CapFreeAt.Sub(second.ClaimedAt); wait < 59*time.Minute || wait > 62*time.Minute {
		t.Errorf("the hourly cap frees after %v, want about an hour", wait)
	}
	wantStatus(t, s, seeded, 3, campaign.StatusStaged)
	stale := capped(2, 2, 3)
	stale.Task.Gen--
	wantRefused(t, s, stale, campaign.RefusedStale)

	wantRefused(t, s, capped(2, 0, 3), campaign.RefusedNot)
	fourth := wantRefused(t, s, capped(3, 0, 3), campaign.RefusedCap)
	if wait := fourth.CapFreeAt.Sub(second.ClaimedAt); wait < 23*time.Hour || wait > 25*time.Hour {
		t.Errorf("the daily cap frees after %v, want about a day", wait)
	}
	if hour, day, err := s.SenderUsage(ctx, seeded.Sender.ID); err != nil || hour != 3 || day != 3 {
		t.Errorf("usage is %d in an hour, %d in a day, want 3 (%v)", hour, day, err)
	}
	must(t, s.GiveBack(ctx, seeded.Task(rows[2]), seeded.Lease.Epoch))
	wantRefused(t, s, capped(3, 0, 3), campaign.RefusedNot)
	wantRefused(t, s, capped(4, 0, 3), campaign.RefusedCap)
}

func testSettle(t *testing.T, s *storage.Store) {
	ctx := t.Context()
	seeded := Seed(t, s, 6)
	rows := stage(t, s, seeded, 1, 2, 3, 4, 5)

	call := claim(t, s, seeded, rows[0])
	accepted := seeded.Accepted(rows[0], call)
	accepted.Outcome.QueuePosition, accepted.Outcome.TraceID = 7, "trace"
	settle(t, s, accepted)
	r := wantStatus(t, s, seeded, 1, campaign.StatusQueued)
	if r.QueueID != accepted.Outcome.QueueID || r.UniqueID != accepted.Outcome.UniqueID || r.QueuePosition != 7 ||
		!r.QueuedAt.Equal(accepted.EndedAt) {
		t.Errorf("accepted row: %+v", r)
	}
	attempts, err := s.Attempts(ctx, seeded.ID, 1)
	must(t, err)
	want := []campaign.Attempt{{
		Campaign: seeded.ID, Seq: 1, Number: 1, StartedAt: accepted.StartedAt, EndedAt: accepted.EndedAt,
		Outcome: campaign.OutcomeAccepted, HTTPStatus: 200, TraceID: "trace",
	}}
	if diff := cmp.Diff(want, attempts); diff != "" {
		t.Errorf("attempts (-want +got):\n%s", diff)
	}

	rejected := settlement(seeded, rows[1], claim(t, s, seeded, rows[1]), campaign.OutcomeRejected, campaign.StatusFailed)
	rejected.FailReason, rejected.FailClass = campaign.FailRejected, campaign.FailPermanent
	settle(t, s, rejected)
	r = wantStatus(t, s, seeded, 2, campaign.StatusFailed)
	if r.FailReason != campaign.FailRejected || r.FailClass != campaign.FailPermanent || r.Detail != "what the API said" || r.FailedAt.IsZero() {
		t.Errorf("rejected row: %+v", r)
	}

	throttled := settlement(seeded, rows[2], claim(t, s, seeded, rows[2]), campaign.OutcomeThrottled, campaign.StatusPending)
	throttled.Refund = true
	settle(t, s, throttled)
	if r = wantStatus(t, s, seeded, 3, campaign.StatusPending); r.Attempt != 0 {
		t.Errorf("a throttled call used up attempt %d", r.Attempt)
	}
	again := stage(t, s, seeded, 3)[0]
	if got := claim(t, s, seeded, again); got.Attempt != 1 {
		t.Errorf("attempt %d after a refund, want 1", got.Attempt)
	}
	settle(t, s, settlement(seeded, again, campaign.Claim{Attempt: 1}, campaign.OutcomeUnknown, campaign.StatusUnknown))
	if attempts, err = s.Attempts(ctx, seeded.ID, 3); err != nil || len(attempts) != 2 {
		t.Errorf("%d calls are recorded, want 2 (%v)", len(attempts), err)
	}
	// The unknown outcome is learned after all.
	settle(t, s, seeded.Accepted(again, campaign.Claim{Attempt: 1, ClaimedAt: time.Now()}))
	wantStatus(t, s, seeded, 3, campaign.StatusQueued)

	wrongEpoch := seeded.Accepted(rows[3], claim(t, s, seeded, rows[3]))
	wrongEpoch.Epoch++
	wantSettleCode(t, s, wrongEpoch, campaign.CodeConflict)
	wantStatus(t, s, seeded, 4, campaign.StatusSubmitting)

	impossible := seeded.Accepted(rows[4], claim(t, s, seeded, rows[4]))
	impossible.To = campaign.StatusSent
	if _, err := s.Settle(ctx, impossible); err == nil {
		t.Error("a call ended as sent")
	}
	impossible.To, impossible.Task.Seq = campaign.StatusQueued, 77
	wantSettleCode(t, s, impossible, campaign.CodeNotFound)

	if hour, _, err := s.SenderUsage(ctx, seeded.Sender.ID); err != nil || hour != 5 {
		t.Errorf("usage is %d, want 5: six claims and a refund (%v)", hour, err)
	}
}

func testSettleAfterEvidence(t *testing.T, s *storage.Store) {
	ctx := t.Context()
	seeded := Seed(t, s, 2)
	rows := stage(t, s, seeded, 1, 2)
	at := time.Now().Truncate(time.Millisecond).UTC()
	accepted := seeded.Accepted(rows[0], claim(t, s, seeded, rows[0]))
	must(t, s.Observe(ctx, []campaign.Observation{evidence(seeded, 1, campaign.StatusDelivered, at)}))
	settle(t, s, accepted)
	r := wantStatus(t, s, seeded, 1, campaign.StatusDelivered)
	if r.QueueID != accepted.Outcome.QueueID || r.UniqueID != accepted.Outcome.UniqueID {
		t.Errorf("the outcome's ids are not in the row: %q, %q", r.QueueID, r.UniqueID)
	}
	// The response was lost, the webhook came: the timeout must not undo it.
	lost := settlement(seeded, rows[1], claim(t, s, seeded, rows[1]), campaign.OutcomeUnknown, campaign.StatusUnknown)
	must(t, s.Observe(ctx, []campaign.Observation{evidence(seeded, 2, campaign.StatusSent, at)}))
	if got := settle(t, s, lost); got != campaign.StatusSent {
		t.Errorf("settled as %s, want sent", got)
	}
	wantStatus(t, s, seeded, 2, campaign.StatusSent)
}

func testLateOutcome(t *testing.T, s *storage.Store) {
	ctx := t.Context()
	seeded := Seed(t, s, 2)
	rows := stage(t, s, seeded, 1, 2)
	late := seeded.Accepted(rows[0], claim(t, s, seeded, rows[0]))
	other := seeded.Accepted(rows[1], claim(t, s, seeded, rows[1]))
	if _, err := s.Recover(ctx, true); err != nil {
		t.Fatal(err)
	}
	n, err := s.ReturnUnknown(ctx, seeded.ID, rows, time.Time{}, "proven absent")
	must(t, err)
	if n != 2 {
		t.Fatalf("returned %d rows, want 2", n)
	}
	// Row 1 waits in the stream again: proof of acceptance stops the second send.
	staged := stage(t, s, seeded, 1)[0]
	settle(t, s, late)
	wantStatus(t, s, seeded, 1, campaign.StatusQueued)
	wantRefused(t, s, seeded.Intent(staged), campaign.RefusedStale)
	// Row 2 is being sent again already: its own call decides.
	second := stage(t, s, seeded, 2)[0]
	call := claim(t, s, seeded, second)
	wantSettleCode(t, s, other, campaign.CodeConflict)
	wantStatus(t, s, seeded, 2, campaign.StatusSubmitting)
	settle(t, s, seeded.Accepted(second, call))
	wantStatus(t, s, seeded, 2, campaign.StatusQueued)
}

func testQueueIDClash(t *testing.T, s *storage.Store) {
	seeded := Seed(t, s, 3)
	send(t, s, seeded, 1)
	row := stage(t, s, seeded, 2)[0]
	st := seeded.Accepted(row, claim(t, s, seeded, row))
	st.Outcome.QueueID = seeded.Accepted(campaign.Staged{Seq: 1, Gen: 1}, campaign.Claim{}).Outcome.QueueID
	if got := settle(t, s, st); got != campaign.StatusUnknown {
		t.Errorf("an answer with a foreign queue id came to %s, want unknown", got)
	}
	if r := wantStatus(t, s, seeded, 2, campaign.StatusUnknown); r.Detail == "" || r.QueueID != "" {
		t.Errorf("row with a foreign queue id: %+v", r)
	}
	// Evidence came first, so the row is settled; the answer still is bad news.
	row = stage(t, s, seeded, 3)[0]
	again := seeded.Accepted(row, claim(t, s, seeded, row))
	again.Outcome.QueueID = st.Outcome.QueueID
	must(t, s.Observe(t.Context(), []campaign.Observation{evidence(seeded, 3, campaign.StatusSent, time.Now())}))
	if got := settle(t, s, again); got != campaign.StatusUnknown {
		t.Errorf("an answer with a foreign queue id came to %s, want unknown", got)
	}
	if r := wantStatus(t, s, seeded, 3, campaign.StatusSent); r.QueueID != "" {
		t.Errorf("the row took another row's queue id")
	}
}

// testSettleProves settles outcomes as what they do not prove: such a row is
// unknown, whatever the caller wanted (reliability page §4, rules 2 to 4).
func testSettleProves(t *testing.T, s *storage.Store) {
	kinds := campaign.OutcomeKinds()
	allowed := map[campaign.Status][]campaign.OutcomeKind{
		campaign.StatusQueued:  {campaign.OutcomeAccepted},
		campaign.StatusFailed:  {campaign.OutcomeRejected},
		campaign.StatusPending: {campaign.OutcomeThrottled, campaign.OutcomeRefused, campaign.OutcomeUnavailable},
		campaign.StatusUnknown: campaign.OutcomeKinds(),
	}
	seeded := Seed(t, s, len(allowed)*len(kinds)+1)
	seq := int64(0)
	next := func(kind campaign.OutcomeKind, to campaign.Status) campaign.Settlement {
		seq++
		row := stage(t, s, seeded, seq)[0]
		st := seeded.Accepted(row, claim(t, s, seeded, row))
		st.Outcome.Kind, st.To = kind, to
		if to == campaign.StatusFailed {
			st.FailReason, st.FailClass = campaign.FailRejected, campaign.FailPermanent
		}
		return st
	}
	for to, proofs := range allowed {
		for _, kind := range kinds {
			want := campaign.StatusUnknown
			if slices.Contains(proofs, kind) {
				want = to
			}
			if got := settle(t, s, next(kind, to)); got != want {
				t.Errorf("%s settled as %s came to %s, want %s", kind, to, got, want)
			}
			wantStatus(t, s, seeded, seq, want)
		}
	}
	nameless := next(campaign.OutcomeAccepted, campaign.StatusQueued)
	nameless.Outcome.QueueID = ""
	if got := settle(t, s, nameless); got != campaign.StatusUnknown {
		t.Errorf("an acceptance without a queue id came to %s", got)
	}
}

func testGiveBack(t *testing.T, s *storage.Store) {
	ctx := t.Context()
	seeded := Seed(t, s, 2)
	rows := stage(t, s, seeded, 1, 2)
	claim(t, s, seeded, rows[0])
	must(t, s.GiveBack(ctx, seeded.Task(rows[0]), seeded.Lease.Epoch+1))
	wantStatus(t, s, seeded, 1, campaign.StatusSubmitting)
	must(t, s.GiveBack(ctx, seeded.Task(rows[0]), seeded.Lease.Epoch))
	must(t, s.GiveBack(ctx, seeded.Task(rows[0]), seeded.Lease.Epoch))
	if r := wantStatus(t, s, seeded, 1, campaign.StatusPending); r.Attempt != 0 {
		t.Errorf("attempt %d after it was given back", r.Attempt)
	}
	if hour, _, err := s.SenderUsage(ctx, seeded.Sender.ID); err != nil || hour != 0 {
		t.Errorf("usage is %d, want 0 (%v)", hour, err)
	}
}

func testRecover(t *testing.T, s *storage.Store) {
	ctx := t.Context()
	seeded := Seed(t, s, 5)
	rows := stage(t, s, seeded, 1, 2, 3, 4)
	call := claim(t, s, seeded, rows[0])
	claim(t, s, seeded, rows[1])
	found, err := s.Recover(ctx, true)
	must(t, err)
	if found != (storage.Recovery{Unknown: 2, Returned: 2}) {
		t.Errorf("recovered %+v, want 2 unknown and 2 returned", found)
	}
	want := map[campaign.Status]int64{campaign.StatusUnknown: 2, campaign.StatusPending: 3}
	if diff := cmp.Diff(want, totals(t, s, seeded.ID).ByStatus); diff != "" {
		t.Errorf("after recovery (-want +got):\n%s", diff)
	}
	if attempts, err := s.Attempts(ctx, seeded.ID, 1); err != nil || len(attempts) != 1 || attempts[0].Outcome != campaign.OutcomeUnknown {
		t.Errorf("attempts of an interrupted call: %v %v", attempts, err)
	}
	// The response was only late.
	settle(t, s, seeded.Accepted(rows[0], call))
	wantStatus(t, s, seeded, 1, campaign.StatusQueued)
	if found, err = s.Recover(ctx, true); err != nil || found != (storage.Recovery{}) {
		t.Errorf("recovered again: %+v %v", found, err)
	}
}

func testRecoverFenced(t *testing.T, s *storage.Store) {
	ctx := t.Context()
	seeded := Seed(t, s, 2)
	rows := stage(t, s, seeded, 1, 2)
	claim(t, s, seeded, rows[0])
	if found, err := s.Recover(ctx, false); err != nil || found.Unknown != 0 {
		t.Errorf("recovered the current holder's call: %+v %v", found, err)
	}
	must(t, s.ReleaseLease(ctx, seeded.Lease))
	next, ok, err := s.AcquireLease(ctx, seeded.Sender.ID, "next", time.Hour)
	must(t, err)
	if !ok {
		t.Fatal("the lease was not had")
	}
	seeded.Lease = next
	claim(t, s, seeded, rows[1])
	if found, err := s.Recover(ctx, false); err != nil || found != (storage.Recovery{Unknown: 1}) {
		t.Errorf("recovered %+v, want the one call of the old epoch (%v)", found, err)
	}
	wantStatus(t, s, seeded, 1, campaign.StatusUnknown)
	wantStatus(t, s, seeded, 2, campaign.StatusSubmitting)
}
