package campaign_test

import (
	"testing"

	"github.com/herald-campaigns/herald/campaign"
)

func TestCountries(t *testing.T) {
	t.Parallel()
	countries, err := campaign.NewCountries()
	if err != nil {
		t.Fatal(err)
	}
	for number, want := range map[string]string{
		"919999990001":  "IN",
		"12015550123":   "US",
		"14165550123":   "CA",
		"12425550123":   "BS",
		"447700900123":  "GB", // reserved for drama: no valid number, yet British
		"447781123456":  "GG",
		"4915123456789": "DE",
		"77011234567":   "KZ",
		"79161234567":   "RU",
		"5511987654321": "BR",
		"00123456789":   "",
		"80012345678":   "", // a service of no country
		"12":            "US",
		"":              "",
	} {
		for range 2 { // asked for the first time, and remembered
			if got := countries.Of(campaign.PersonChat(number)); got != want {
				t.Errorf("%s is of %q, want %q", number, got, want)
			}
		}
	}
	if got := countries.Of("120363012345678901@g.us"); got != "" {
		t.Errorf("a group is of %q", got)
	}
	if got := countries.Of("x@c.us"); got != "" {
		t.Errorf("no number is of %q", got)
	}
}

func BenchmarkCountries(b *testing.B) {
	countries, err := campaign.NewCountries()
	if err != nil {
		b.Fatal(err)
	}
	chats := []campaign.ChatID{"919999990001@c.us", "12015550123@c.us", "447700900123@c.us", "77011234567@c.us"}
	for i := 0; b.Loop(); i++ {
		countries.Of(chats[i%len(chats)])
	}
}
