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

func testLocate(t *testing.T, s *storage.Store) {
	ctx := t.Context()
	first, second := Seed(t, s, 3), Seed(t, s, 3)
	first.Lease = second.Lease
	for _, seeded := range []Seeded{first, second} {
		send(t, s, seeded, 1)
	}
	send(t, s, first, 2)
	r := row(t, s, first, 2)
	want := campaign.Located{
		Campaign: first.ID, Seq: 2, Sender: first.Sender, Chat: Chat(2), Status: campaign.StatusQueued,
		QueueID: r.QueueID, UniqueID: r.UniqueID, QueuedAt: r.QueuedAt,
	}
	of := func(seeded Seeded, seq int64) campaign.Located {
		return campaign.Located{Campaign: seeded.ID, Seq: seq}
	}
	for _, test := range []struct {
		name string
		ref  campaign.MessageRef
		want campaign.Located
	}{
		{"nothing", campaign.MessageRef{}, campaign.Located{}},
		{"unknown", campaign.MessageRef{QueueID: "x", UniqueID: "y", MessageID: "true_x@c.us_z", Chat: Chat(2)}, campaign.Located{}},
		{"queue id", campaign.MessageRef{QueueID: r.QueueID, UniqueID: "unique-1-1"}, want},
		{"unique id", campaign.MessageRef{QueueID: "x", UniqueID: r.UniqueID}, want},
		{"bare message id", campaign.MessageRef{MessageID: r.UniqueID}, want},
		{"message id", campaign.MessageRef{MessageID: "true_x@c.us_" + r.UniqueID}, want},
		{"message id of a group", campaign.MessageRef{MessageID: "true_x@g.us_" + r.UniqueID + "_y@c.us"}, want},
		{"several", campaign.MessageRef{UniqueID: "unique-1-1"}, of(second, 1)},
	} {
		got, err := s.Locate(ctx, []campaign.MessageRef{{}, test.ref})
		must(t, err)
		if test.want.QueueID == "" {
			got[1] = campaign.Located{Campaign: got[1].Campaign, Seq: got[1].Seq}
		}
		if diff := cmp.Diff([]campaign.Located{{}, test.want}, got); diff != "" {
			t.Errorf("by %s (-want +got):\n%s", test.name, diff)
		}
	}
	refs := make([]campaign.MessageRef, 250) // more than one look-up
	refs[249].QueueID = r.QueueID
	if got, err := s.Locate(ctx, refs); err != nil || len(got) != 250 || got[249].Seq != 2 || got[0].Campaign != "" {
		t.Errorf("the last of many refs: %+v (%v)", got[249], err)
	}
}

func testLatestTo(t *testing.T, s *storage.Store) {
	ctx := t.Context()
	first, second := Seed(t, s, 4), Seed(t, s, 4)
	first.Lease = second.Lease
	accept := func(seeded Seeded, seq int64, at time.Time) {
		staged := stage(t, s, seeded, seq)[0]
		st := seeded.Accepted(staged, claim(t, s, seeded, staged))
		st.EndedAt = at
		settle(t, s, st)
	}
	accept(first, 1, newsTime)
	accept(second, 1, newsTime.Add(-time.Hour))
	accept(second, 2, newsTime)
	fold(t, s, campaign.Folding{Alias: &campaign.ChatAlias{Alias: "alias@c.us", Chat: Chat(2)}})
	fold(t, s, campaign.Folding{Observation: observation(second, 2, campaign.StatusRead, newsTime)})
	lose(t, s, first, 4)
	for _, test := range []struct {
		name  string
		phone campaign.Phone
		chat  campaign.ChatID
		at    time.Time
		want  campaign.ID
	}{
		{"the later", Phone, Chat(1), newsTime.Add(time.Minute), first.ID},
		{"what came before it", Phone, Chat(1), newsTime.Add(-time.Minute), second.ID},
		{"within a second, by a clock of whole ones", Phone, Chat(1), newsTime.Add(-time.Second), first.ID},
		{"before anything", Phone, Chat(1), newsTime.Add(-2 * time.Hour), ""},
		{"one of which nobody knows whether it was sent", Phone, Chat(4), time.Now(), first.ID},
		{"at the end of the window", Phone, Chat(1), newsTime.Add(campaign.ReplyWindow), first.ID},
		{"after the window", Phone, Chat(1), newsTime.Add(campaign.ReplyWindow + time.Millisecond), ""},
		{"another phone", "12015550199", Chat(1), newsTime, ""},
		{"by an alias", Phone, "alias@c.us", newsTime, second.ID},
		{"never sent", Phone, Chat(3), newsTime, ""},
	} {
		got, ok, err := s.LatestTo(ctx, test.phone, test.chat, test.at)
		must(t, err)
		if got.Campaign != test.want || ok != (test.want != "") {
			t.Errorf("%s: %+v, %v, want that of %q", test.name, got, ok, test.want)
		}
	}
}

func testRetry(t *testing.T, s *storage.Store) {
	ctx := t.Context()
	seeded := Seed(t, s, 6)
	fail := func(seq int64, class campaign.FailClass, detail string) {
		staged := stage(t, s, seeded, seq)[0]
		st := settlement(seeded, staged, claim(t, s, seeded, staged), campaign.OutcomeRejected, campaign.StatusFailed)
		st.FailReason, st.FailClass, st.Outcome.Detail = campaign.FailRejected, class, detail
		settle(t, s, st)
	}
	fail(1, campaign.FailTransient, "try later")
	fail(2, campaign.FailTransient, "")
	fail(3, campaign.FailPermanent, "never")
	fail(4, campaign.FailTransient, "try later")
	lose(t, s, seeded, 5)
	send(t, s, seeded, 6)
	fold(t, s, campaign.Folding{Observation: observation(seeded, 6, campaign.StatusFailed, newsTime)})
	_, err := s.Transition(ctx, seeded.ID, campaign.StateTracking, "", "")
	must(t, err)
	decide(t, s, campaign.Consent{Chat: Chat(4), Wish: campaign.WishOut, At: newsTime})
	counts, err := s.Retryable(ctx, seeded.ID)
	must(t, err)
	if diff := cmp.Diff(map[string]int64{"rejected: try later": 1, "rejected": 1}, counts); diff != "" {
		t.Errorf("to retry (-want +got):\n%s", diff)
	}
	if n, err := s.Retry(ctx, seeded.ID, newsTime); err != nil || n != 0 {
		t.Errorf("retried %d rows that failed later (%v)", n, err)
	}
	n, err := s.Retry(ctx, seeded.ID, time.Time{})
	must(t, err)
	if n != 2 {
		t.Errorf("retried %d rows, want 2", n)
	}
	for seq, want := range map[int64]campaign.Status{
		1: campaign.StatusPending, 2: campaign.StatusPending, 3: campaign.StatusFailed, 4: campaign.StatusFailed,
		5: campaign.StatusUnknown, 6: campaign.StatusFailed,
	} {
		wantStatus(t, s, seeded, seq, want)
	}
	if r := row(t, s, seeded, 1); r.FailReason != "" || r.FailClass != "" || r.Detail != "" || r.Attempt != 1 || !r.FailedAt.IsZero() {
		t.Errorf("a row to be sent again: %+v", r)
	}
	c, err := s.Campaign(ctx, seeded.ID)
	must(t, err)
	if c.State != campaign.StatePaused || c.Reason != campaign.PauseOperator {
		t.Errorf("the campaign is %s (%s), want it paused by the operator", c.State, c.Reason)
	}
	timeline, err := s.Timeline(ctx, seeded.ID)
	must(t, err)
	if !slices.ContainsFunc(timeline, func(e campaign.Event) bool {
		return e.Kind == campaign.EventRetried && e.Detail == "2 rows that failed wait again (rows 1, 2)"
	}) {
		t.Errorf("the timeline does not tell of it: %+v", timeline)
	}
	_, err = s.Transition(ctx, seeded.ID, campaign.StateRunning, "", "")
	must(t, err)
	send(t, s, seeded, 1)
	wantStatus(t, s, seeded, 1, campaign.StatusQueued)
	_, err = s.Transition(ctx, seeded.ID, campaign.StateCanceled, "", "")
	must(t, err)
	_, err = s.Retry(ctx, seeded.ID, time.Time{})
	wantCode(t, err, campaign.CodeConflict)
}

// testFormerIDs takes rows that the provider took, and that failed then, through
// a retry: late news of the first attempt must find them, and harm nothing.
func testFormerIDs(t *testing.T, s *storage.Store) {
	ctx := t.Context()
	seeded := Seed(t, s, 2)
	former := map[int64]campaign.Recipient{}
	for seq := int64(1); seq <= 2; seq++ {
		send(t, s, seeded, seq)
		o := observation(seeded, seq, campaign.StatusFailed, newsTime)
		o.MessageID, o.FailClass = fmt.Sprintf("true_x@c.us_unique-%d-1", seq), campaign.FailTransient
		fold(t, s, campaign.Folding{Observation: o}, campaign.Folding{Observation: observation(seeded, seq, campaign.StatusFailed, newsTime)})
		former[seq] = row(t, s, seeded, seq)
	}
	if n, err := s.Retry(ctx, seeded.ID, time.Time{}); err != nil || n != 2 {
		t.Fatalf("retried %d rows (%v)", n, err)
	}
	send(t, s, seeded, 1)
	again := row(t, s, seeded, 1)
	for _, ref := range []campaign.MessageRef{
		{QueueID: former[1].QueueID}, {UniqueID: former[1].UniqueID}, {MessageID: former[1].MessageID},
	} {
		got, err := s.Locate(ctx, []campaign.MessageRef{ref})
		must(t, err)
		if got[0].Seq != 1 || !got[0].Former || got[0].QueueID != again.QueueID {
			t.Errorf("by %+v: %+v, want row 1 by a former id", ref, got[0])
		}
	}
	if got, err := s.Locate(ctx, []campaign.MessageRef{{QueueID: again.QueueID}}); err != nil || got[0].Former {
		t.Errorf("the id it has now is a former one: %+v (%v)", got, err)
	}
	ids, err := s.BoundIDs(ctx, Chat(1))
	must(t, err)
	want := []string{former[1].QueueID, again.QueueID, former[1].UniqueID, again.UniqueID, former[1].MessageID}
	slices.Sort(want)
	if diff := cmp.Diff(want, ids); diff != "" {
		t.Errorf("ids of the chat (-want +got):\n%s", diff)
	}
	// The failure comes again: by its ids, or as the caller knows it.
	for seq := int64(1); seq <= 2; seq++ {
		byID, said := observation(seeded, seq, campaign.StatusFailed, newsTime), observation(seeded, seq, campaign.StatusFailed, newsTime)
		byID.QueueID, said.Former = former[seq].QueueID, true
		fold(t, s, campaign.Folding{Observation: byID}, campaign.Folding{Observation: said})
	}
	wantStatus(t, s, seeded, 1, campaign.StatusQueued)
	if r := wantStatus(t, s, seeded, 2, campaign.StatusPending); r.QueueID != "" {
		t.Errorf("a row that waits took the id %q of the attempt that failed", r.QueueID)
	}
	// It went out after all: then nothing is sent again.
	proof := observation(seeded, 2, campaign.StatusDelivered, newsTime)
	proof.UniqueID = former[2].UniqueID
	fold(t, s, campaign.Folding{Observation: proof})
	wantStatus(t, s, seeded, 2, campaign.StatusDelivered)
	if got, err := s.Stage(ctx, seeded.ID, []int64{2}, time.Now()); err != nil || len(got) != 0 {
		t.Errorf("a message that arrived is sent again: %v (%v)", got, err)
	}
}
