package campaign_test

import (
	"testing"

	"github.com/herald-campaigns/herald/campaign"
)

func TestClassifyFailure(t *testing.T) {
	t.Parallel()
	for detail, want := range map[string]campaign.FailClass{
		"":             campaign.FailPermanent,
		"Failed.":      campaign.FailPermanent,
		"error 130429": campaign.FailTransient,
		"(#131056) (Business Account, Consumer Account) pair rate limit hit": campaign.FailTransient,
		`{"code":131016}`: campaign.FailTransient,
		"131049: not sent to maintain healthy ecosystem engagement": campaign.FailTransient,
		"131026 Message undeliverable, try again later":             campaign.FailPermanent,
		"131047":                     campaign.FailPermanent,
		"131051":                     campaign.FailPermanent,
		"131048 rate limit":          campaign.FailPermanent, // stops the sender; not a matter of this row
		"error 368, timed out":       campaign.FailPermanent,
		"139999 timeout":             campaign.FailPermanent, // a code nobody knows
		"job 91131016020 timed out":  campaign.FailTransient, // no code: part of a longer number
		"Phone is disconnected.":     campaign.FailTransient,
		"The phone is not connected": campaign.FailTransient,
		"Request timed out":          campaign.FailTransient,
		"All retries exhausted":      campaign.FailTransient,
		"Provider temporarily unavailable. Gave up after 3 retries.": campaign.FailTransient,
		"The phone number is not registered on WhatsApp.":            campaign.FailPermanent,
		"The recipient has blocked this number.":                     campaign.FailPermanent,
		"Invalid chat_id.":                                           campaign.FailPermanent,
		"Number not registered; gave up after 3 retries":             campaign.FailPermanent,
	} {
		if got := campaign.ClassifyFailure(detail); got != want {
			t.Errorf("%q is %s, want %s", detail, got, want)
		}
	}
}
