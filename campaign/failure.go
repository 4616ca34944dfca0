package campaign

import (
	"cmp"
	"regexp"
	"strings"
)

// failureCode is a code of WhatsApp's own in a provider's words.
var failureCode = regexp.MustCompile(`(?:^|[^0-9])(13[0-9]{4}|368|190)(?:[^0-9]|$)`)

// failureCodes says of which codes trying again later can help (reliability
// page §3.4). Codes that are not here are permanent: nothing is known of them.
var failureCodes = map[string]FailClass{
	"130429": FailTransient, // too many messages at once
	"131016": FailTransient, // the service is overloaded
	"131049": FailTransient, // too many marketing messages to this person for now
	"131056": FailTransient, // too many messages from this number to this person
	"131026": FailPermanent, // cannot be delivered: not on WhatsApp, terms not accepted, an old app
	"131047": FailPermanent, // more than 24 hours since the person last wrote
	"131051": FailPermanent, // a type of message that is not supported
}

// permanentWords and transientWords are what providers say without a code. What
// is permanent is looked for first: "not registered, gave up after 3 retries" is.
var (
	permanentWords = []string{
		"not registered", "not on whatsapp", "unregistered", "does not exist", "invalid chat", "invalid number", "invalid phone",
		"blocked this number", "blocked the sender", "banned", "not supported", "too large",
	}
	transientWords = []string{
		"disconnected", "not connected", "timed out", "timeout", "temporar", "network error", "retries exhausted", "gave up after", "rate limit",
		"too many requests", "overloaded", "unavailable", "try again",
	}
)

// ClassifyFailure says from a provider's words whether sending again later can
// help. The words are no contract, so whatever is not known is permanent: a
// row that is held to be transient in error could be sent to somebody who must
// not get it.
func ClassifyFailure(detail string) FailClass {
	if m := failureCode.FindStringSubmatch(detail); m != nil {
		return cmp.Or(failureCodes[m[1]], FailPermanent)
	}
	words := strings.ToLower(detail)
	for _, w := range permanentWords {
		if strings.Contains(words, w) {
			return FailPermanent
		}
	}
	for _, w := range transientWords {
		if strings.Contains(words, w) {
			return FailTransient
		}
	}
	return FailPermanent
}
