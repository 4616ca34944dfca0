package report

import (
	"slices"

	"github.com/herald-campaigns/herald/campaign"
)

// messageWords is what was sent, in the words of people: "poll", "media (image)",
// or "mixed (poll and text)" where the variants are of several kinds.
func messageWords(messages []campaign.Variant) string {
	var kinds []campaign.Kind
	var words, media []string // of all, and of files alone
	for _, v := range messages {
		kind := v.Message.Kind()
		word := string(kind)
		if kind == campaign.KindMedia {
			word = string(v.Message.Media.Type)
			media = appendNew(media, word)
		}
		kinds = appendNew(kinds, kind)
		words = appendNew(words, word)
	}
	switch {
	case len(kinds) > 1:
		return "mixed (" + and(words) + ")"
	case len(media) > 0:
		return string(kinds[0]) + " (" + and(media) + ")"
	default:
		return string(kinds[0])
	}
}

func appendNew[T comparable](list []T, v T) []T {
	if slices.Contains(list, v) {
		return list
	}
	return append(list, v)
}
