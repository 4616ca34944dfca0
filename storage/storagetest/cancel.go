package storagetest

import (
	"testing"
	"time"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/storage"
)

// testFollowQueued: a message whose status nobody asks for any more is in the
// provider's queue all the same, and is to be taken out when its campaign is
// canceled.
func testFollowQueued(t *testing.T, s *storage.Store) {
	ctx := t.Context()
	seeded := Seed(t, s, 4)
	for seq := int64(1); seq <= 3; seq++ {
		send(t, s, seeded, seq)
	}
	for _, o := range []*campaign.Observation{
		observation(seeded, 1, campaign.StatusQueued, newsTime), observation(seeded, 2, campaign.StatusSent, newsTime),
	} {
		o.Source, o.AskedAs = campaign.EvidencePoll, campaign.StatusQueued // and no time for the next request
		must(t, s.Observe(ctx, []campaign.Observation{*o}))
	}
	_, err := s.Transition(ctx, seeded.ID, campaign.StateCanceled, "", "")
	must(t, err)
	tomorrow := time.Now().Add(24 * time.Hour)
	must(t, s.FollowQueued(ctx, seeded.ID, tomorrow))
	rows, err := s.ToWithdraw(ctx, time.Now().Add(-time.Hour), 10)
	must(t, err)
	if len(rows) != 2 || rows[0].Seq+rows[1].Seq != 1+3 {
		t.Errorf("to be taken out: %+v; want rows 1 and 3", rows)
	}
	due, err := s.DuePolls(ctx, tomorrow, 10, seeded.ID)
	must(t, err)
	if len(due) != 2 || due[0].Seq != 3 || due[1].Seq != 1 {
		t.Errorf("to be asked for: %+v; want row 3 when it was to be, then row 1", due)
	}
}

// testDueTakenBack: of the messages that are asked for, those alone.
func testDueTakenBack(t *testing.T, s *storage.Store) {
	ctx := t.Context()
	seeded := Seed(t, s, 4)
	for seq := int64(1); seq <= 3; seq++ {
		send(t, s, seeded, seq)
	}
	if n, err := s.Withdraw(ctx, seeded.ID, jobsOf(seeded, 2, 3)); err != nil || n != 2 {
		t.Fatalf("withdrew %d rows, want 2 (%v)", n, err)
	}
	for limit, want := range map[int]int{1: 1, 10: 2} {
		due, err := s.DueTakenBack(ctx, time.Now().Add(time.Hour), limit, seeded.ID)
		must(t, err)
		if len(due) != want || due[0].Seq == 1 || due[0].Campaign != seeded.ID {
			t.Errorf("at most %d: %+v", limit, due)
		}
	}
}
