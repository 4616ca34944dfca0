package storagetest

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/storage"
)

// testUnsaidReasons: an opt-out that was repeated without a reason is listed
// with the last one that was given since the chat opted out, whatever the order
// in which the decisions come; each keeps its own.
func testUnsaidReasons(t *testing.T, s *storage.Store) {
	unsaid := campaign.Unsaid("by ada")
	seq := int64(10)
	for _, test := range []struct {
		name    string
		reasons []string // hour by hour; "in" is an opt-in
		other   int      // which of them came under another spelling of the chat; 0: none
		want    string
	}{
		{"said, and repeated", []string{"by phone", unsaid}, 0, "by phone"},
		{"repeated twice", []string{"by phone", "by letter", unsaid, ""}, 0, "by letter"},
		{"said later", []string{unsaid, "by phone"}, 0, "by phone"},
		{"never said", []string{"", unsaid}, 0, unsaid},
		{"said before an opt-in", []string{"by phone", "in", unsaid}, 0, unsaid},
		{"said of another spelling", []string{"", "by phone", unsaid}, 1, "by phone"},
	} {
		for _, order := range permutations(len(test.reasons)) {
			seq += 2
			chat, spelling := Chat(seq), Chat(seq+1)
			if test.other > 0 {
				fold(t, s, campaign.Folding{Alias: &campaign.ChatAlias{Alias: spelling, Chat: chat}})
			}
			for _, i := range order {
				c := campaign.Consent{
					Chat: chat, Wish: campaign.WishOut, At: newsTime.Add(time.Duration(i) * time.Hour),
					Source: campaign.ConsentOperator, Reason: test.reasons[i],
				}
				if test.other > 0 && i == test.other {
					c.Chat = spelling
				}
				if c.Reason == "in" {
					c.Wish = campaign.WishIn
				}
				decide(t, s, c)
			}
			listed := ""
			for out, err := range s.OptOuts(t.Context()) {
				must(t, err)
				if out.Chat == chat {
					listed = out.Reason
				}
			}
			if listed != test.want {
				t.Errorf("%s, in the order %v: listed with %q, want %q", test.name, order, listed, test.want)
			}
			history, err := s.ConsentOf(t.Context(), chat)
			must(t, err)
			kept := make([]string, len(history))
			for i, c := range history {
				kept[len(kept)-1-i] = c.Reason
			}
			if diff := cmp.Diff(test.reasons, kept); diff != "" {
				t.Errorf("%s, in the order %v: history (-want +got):\n%s", test.name, order, diff)
			}
		}
	}
	// Of two at the same time the one that says why is kept.
	for _, order := range permutations(2) {
		seq += 2
		for _, i := range order {
			decide(t, s, campaign.Consent{
				Chat: Chat(seq), Wish: campaign.WishOut, At: newsTime, Reason: []string{"by phone", unsaid}[i],
				Source: []campaign.ConsentSource{campaign.ConsentImport, campaign.ConsentOperator}[i],
			})
		}
		history, err := s.ConsentOf(t.Context(), Chat(seq))
		must(t, err)
		if len(history) != 1 || history[0].Reason != "by phone" {
			t.Errorf("two at the same time, in the order %v: %+v", order, history)
		}
	}
}
