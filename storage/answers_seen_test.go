package storage_test

import (
	"testing"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/storage"
)

func TestAnswersSeen(t *testing.T) {
	t.Parallel()
	s := open(t)
	id := campaign.NewID()
	if err := s.CreateCampaign(t.Context(), campaign.Campaign{ID: id, Name: "Offer", Mode: campaign.ModeSandbox, State: campaign.StateDraft}); err != nil {
		t.Fatal(err)
	}
	want := func(want [4]int64) {
		t.Helper()
		if got, err := s.AnswersSeen(t.Context(), id); err != nil || got != want {
			t.Errorf("%v, %v, want %v", got, err, want)
		}
	}
	exec := func(s *storage.Store, query string) {
		t.Helper()
		if err := s.Exec(t.Context(), query); err != nil {
			t.Fatal(err)
		}
	}
	want([4]int64{})
	exec(s, `INSERT INTO replies (id, campaign_n, seq, tie, phone, chat, at) VALUES ('a', 1, 1, 'quote', '', '', 7), ('b', 1, 1, 'quote', '', '', 5), ('c', 0, 0, 'none', '', '', 9)`)
	want([4]int64{2, 7, 0, 0})
	exec(s, `DELETE FROM replies WHERE id = 'b'`)
	want([4]int64{1, 7, 0, 0})
}
