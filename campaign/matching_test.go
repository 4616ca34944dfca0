package campaign_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/herald-campaigns/herald/campaign"
)

// TestMatchingHearsTheRowThatWasSent: of the lines of one number the one that
// was sent to decides, wherever in the file it stands; those without one are
// chosen by their skipped lines.
func TestMatchingHearsTheRowThatWasSent(t *testing.T) {
	t.Parallel()
	read, waits, held, bad := person(1), person(2), person(3), person(4)
	rows := []campaign.Recipient{
		{Chat: read, Status: campaign.StatusSkipped, SkipReason: campaign.SkipTemplateError},
		{Chat: read, Status: campaign.StatusRead},
		{Chat: read, Status: campaign.StatusSkipped, SkipReason: campaign.SkipDuplicate},
		{Chat: waits, Status: campaign.StatusPending},
		{Chat: held, Status: campaign.StatusSkipped, SkipReason: campaign.SkipHoldout},
		{Chat: held, Status: campaign.StatusSkipped, SkipReason: campaign.SkipDuplicate},
		{Chat: bad, Status: campaign.StatusSkipped, SkipReason: campaign.SkipTemplateError},
		{Status: campaign.StatusSkipped, SkipReason: campaign.SkipInvalidPhone},
	}
	for expression, want := range map[string][]campaign.ChatID{
		"read":                     {read},
		"not read":                 {waits, held, bad},
		"holdout":                  {held},
		"skipped":                  {held, bad},
		"waiting":                  {waits},
		"skipped 'invalid_phone'":  nil,
		"read or skipped":          {read, held, bad},
		"skipped 'template_error'": {bad},
	} {
		matching := campaign.NewMatching(mustWhere(t, expression))
		for i := range rows {
			matching.Add(&rows[i])
		}
		chosen := map[campaign.ChatID]bool{}
		for _, chat := range want {
			chosen[chat] = true
		}
		for _, chat := range []campaign.ChatID{read, waits, held, bad, person(5)} {
			if matching.Has(chat) != chosen[chat] {
				t.Errorf("%s: %s is chosen: %t", expression, chat, !chosen[chat])
			}
		}
		if matching.Len() != int64(len(want)) {
			t.Errorf("%s: %d are chosen, want %d", expression, matching.Len(), len(want))
		}
	}
}

// TestMatchingCountsWhatItHas, whatever the rows and their order.
func TestMatchingCountsWhatItHas(t *testing.T) {
	t.Parallel()
	where := mustWhere(t, "not read and not waiting")
	rapid.Check(t, func(t *rapid.T) {
		matching := campaign.NewMatching(where)
		for range rapid.IntRange(0, 60).Draw(t, "rows") {
			matching.Add(&campaign.Recipient{
				Chat:   person(rapid.IntRange(0, 20).Draw(t, "person")),
				Status: rapid.SampledFrom([]campaign.Status{campaign.StatusSkipped, campaign.StatusRead, campaign.StatusSent, campaign.StatusPending}).Draw(t, "status"),
			})
		}
		var has int64
		for i := range 21 {
			if matching.Has(person(i)) {
				has++
			}
		}
		if has != matching.Len() {
			t.Fatalf("has %d, says %d", has, matching.Len())
		}
	})
}
