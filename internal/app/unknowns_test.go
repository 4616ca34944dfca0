package app

import (
	"testing"
	"time"

	"github.com/herald-campaigns/herald/campaign"
)

func TestChooseUnknowns(t *testing.T) {
	t.Parallel()
	u := &Unknowns{Name: "Offer", CampaignID: "cmp_01KAM4N3T5V7X9ZBDFHKMPRTWY"}
	now := time.Now()
	for i, chat := range []campaign.ChatID{"12015550163@c.us", "12015550164@c.us", "12015550165@c.us"} {
		u.add(&campaign.Recipient{Seq: int64(i + 1), Line: min(int64(i+12), 13), Gen: 7, Chat: chat, Status: campaign.StatusUnknown, ClaimedAt: now}, now)
	}
	u.Rows[1].State = "assumed_sent"
	for name, test := range map[string]struct {
		choice UnknownChoice
		rows   []int64
		code   campaign.Code
	}{
		"all that are open":        {choice: UnknownChoice{All: true}, rows: []int64{1, 3}},
		"one decided about before": {choice: UnknownChoice{Rows: []int64{2}}, rows: []int64{2}},
		"one row named twice":      {choice: UnknownChoice{Rows: []int64{3, 1}, Phones: []string{"+1 201-555-0165"}}, rows: []int64{1, 3}},
		"a chat id":                {choice: UnknownChoice{Phones: []string{"12015550164@c.us"}}, rows: []int64{2}},
		"a line":                   {choice: UnknownChoice{Lines: []int64{12}}, rows: []int64{1}},
		"a line of two files":      {choice: UnknownChoice{Lines: []int64{13}}, code: campaign.CodeConflict},
		"a line without one":       {choice: UnknownChoice{Lines: []int64{1}}, code: campaign.CodeNotFound},
		"a row that is not":        {choice: UnknownChoice{Rows: []int64{1, 4}}, code: campaign.CodeNotFound},
		"a number that is none":    {choice: UnknownChoice{Phones: []string{"12"}}, code: campaign.CodeInvalid},
	} {
		chosen, err := u.Choose(test.choice)
		if campaign.CodeOf(err) != test.code || len(chosen) != len(test.rows) {
			t.Errorf("%s: %v, %v", name, chosen, err)
			continue
		}
		for i, v := range chosen {
			if v.Row != test.rows[i] || v.handover.Gen != 7 {
				t.Errorf("%s: row %d of hand-over %v, want row %d", name, v.Row, v.handover, test.rows[i])
			}
		}
	}
	if len(u.Rows) != 3 {
		t.Error("choosing changed the list")
	}
}
