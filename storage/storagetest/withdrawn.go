package storagetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/storage"
)

// testWithdrawn: a message that was accepted and taken back is neither sent nor
// waiting, wherever somebody looks for one that is.
func testWithdrawn(t *testing.T, s *storage.Store) {
	ctx := t.Context()
	first, seeded := Seed(t, s, 4), Seed(t, s, 4)
	first.Lease = seeded.Lease
	send(t, s, first, 1)
	task := stage(t, s, seeded, 1)[0]
	call := claim(t, s, seeded, task)
	settle(t, s, seeded.Accepted(task, call))
	send(t, s, seeded, 2)
	lost := stage(t, s, seeded, 3)[0]
	claim(t, s, seeded, lost)
	if n, err := s.Withdraw(ctx, seeded.ID, jobsOf(seeded, 1, 2)); err != nil || n != 2 {
		t.Fatalf("withdrew %d rows, want 2 (%v)", n, err)
	}

	// A reply is to what was sent to that chat before.
	at, found, err := s.LatestTo(ctx, Phone, Chat(1), time.Now().Add(time.Minute))
	must(t, err)
	if !found || at.Campaign != first.ID {
		t.Errorf("the latest message to the chat is of %s, want %s", at.Campaign, first.ID)
	}

	// It is no witness of what the provider's lists show.
	unknown := campaign.UnknownRow{Campaign: seeded.ID, Seq: 3, Sender: seeded.Sender, ClaimedAt: time.Now().Add(time.Minute)}
	if list, err := s.Witnesses(ctx, unknown, 10); err != nil || len(list) != 0 {
		t.Errorf("witnesses %+v (%v)", list, err)
	}

	// The answer of its call, written once more, does not bring it back.
	must(t, func() error { _, err := s.Settle(ctx, seeded.Accepted(task, call)); return err }())
	wantStatus(t, s, seeded, 1, campaign.StatusCanceled)

	// Who was asking when it was taken back does not put off the next request.
	late := observation(seeded, 1, campaign.StatusQueued, newsTime)
	late.Source, late.AskedAs, late.NextPoll = campaign.EvidencePoll, campaign.StatusQueued, time.Now().Add(time.Hour)
	must(t, s.Observe(ctx, []campaign.Observation{*late}))
	due, err := s.DuePolls(ctx, time.Now().Add(time.Minute), 10, seeded.ID)
	must(t, err)
	if len(due) != 2 || due[0].Status != campaign.StatusCanceled || due[0].Polls != 0 {
		t.Errorf("to be asked for: %+v", due)
	}
}

// testTakenBackBeforeItsOutcome: the answer of a call may come after evidence has
// found its message and that was taken back.
func testTakenBackBeforeItsOutcome(t *testing.T, s *storage.Store) {
	ctx := t.Context()
	seeded := Seed(t, s, 2)
	for seq, test := range map[int64]struct {
		kind campaign.OutcomeKind
		want campaign.Status
	}{
		1: {campaign.OutcomeUnknown, campaign.StatusCanceled},
		2: {campaign.OutcomeAccepted, campaign.StatusQueued}, // as another job
	} {
		task := stage(t, s, seeded, seq)[0]
		st := seeded.Accepted(task, claim(t, s, seeded, task))
		found := observation(seeded, seq, campaign.StatusQueued, newsTime)
		found.QueueID = fmt.Sprintf("found-%s-%d", seeded.ID, seq)
		must(t, s.Observe(ctx, []campaign.Observation{*found}))
		if n, err := s.Withdraw(ctx, seeded.ID, []string{found.QueueID}); err != nil || n != 1 {
			t.Fatalf("withdrew %d rows (%v)", n, err)
		}
		if test.kind == campaign.OutcomeUnknown {
			st.To, st.Outcome = campaign.StatusUnknown, campaign.Outcome{Kind: test.kind, Detail: "timeout"}
		}
		if got, err := s.Settle(ctx, st); err != nil || got != test.want {
			t.Errorf("a call that ended as %s settled as %q (%v)", test.kind, got, err)
		}
		wantStatus(t, s, seeded, seq, test.want)
	}
}

// testCancelCutShort: a process that dies while it cancels leaves nothing that
// waits for ever.
func testCancelCutShort(t *testing.T, s *storage.Store) {
	ctx := t.Context()
	seeded, other := Seed(t, s, 5), Seed(t, s, 2)
	stage(t, s, seeded, 1, 2)
	_, err := s.Transition(ctx, seeded.ID, campaign.StateCanceled, "", "")
	must(t, err)
	for _, want := range []storage.Recovery{{Returned: 2, Canceled: 3}, {}} {
		found, err := s.Recover(ctx, true)
		must(t, err)
		if found != want {
			t.Errorf("recovered %+v, want %+v", found, want)
		}
	}
	if diff := cmp.Diff(map[campaign.Status]int64{campaign.StatusCanceled: 5}, totals(t, s, seeded.ID).ByStatus); diff != "" {
		t.Errorf("the canceled campaign (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[campaign.Status]int64{campaign.StatusPending: 2}, totals(t, s, other.ID).ByStatus); diff != "" {
		t.Errorf("the other campaign (-want +got):\n%s", diff)
	}
}
