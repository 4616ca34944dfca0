package report

import (
	"strings"

	"github.com/herald-campaigns/herald/campaign"
)

// adviceFor is what to do about a failure, by the words of its detail where
// they tell more than the reason does.
func adviceFor(reason campaign.FailReason, detail string) string {
	if advice := adviceByDetail(reason, detail); advice != "" {
		return advice
	}
	return FailWord(reason).Advice
}

// adviceByDetail is "" where the words of the detail say nothing known. Only
// the provider and WhatsApp speak of recipients; the words are the simulator's,
// those of campaign.ClassifyFailure, and WhatsApp's own codes.
func adviceByDetail(reason campaign.FailReason, detail string) string {
	if reason != campaign.FailProvider && reason != campaign.FailRejected {
		return ""
	}
	detail = strings.ToLower(detail)
	for _, known := range []struct {
		words  []string
		advice string
	}{
		{
			[]string{"not registered", "unregistered", "not on whatsapp", "no whatsapp", "131026"},
			"the number has no WhatsApp account: mend it or take it off the list; trying again as it is cannot help",
		},
		{
			[]string{"has blocked", "blocked this number", "blocked the sender", "blocked by the recipient"},
			"this person wants no messages from this sender: do not try again, and take them off the list; " +
				"herald optouts add keeps them out of every campaign",
		},
		{
			[]string{"too many messages", "too many marketing", "too many requests", "rate limit", "spam", "130429", "131048", "131049", "131056"},
			"that was too much for WhatsApp: wait some hours and lower the rate in the campaign file before trying again",
		},
		{
			[]string{"invalid chat", "invalid number", "invalid phone", "does not exist", "chat not found"},
			"there is no such chat: mend the number or the group's id",
		},
		{
			[]string{"disconnected", "not connected"},
			"the sender's phone was off: connect it, then try again",
		},
	} {
		for _, words := range known.words {
			if strings.Contains(detail, words) {
				return known.advice
			}
		}
	}
	return ""
}
