package campaign

import (
	"strings"
	"time"
)

// Wish is what the words of a message ask for.
type Wish string

// The wishes.
const (
	WishNone Wish = ""
	WishOut  Wish = "opt_out" // no more messages, from any campaign
	WishIn   Wish = "opt_in"  // messages again
	WishNear Wish = "review"  // may be meant as an opt-out: a person has to look
)

// ConsentSource says who decided about a chat's consent.
type ConsentSource string

// The sources.
const (
	ConsentReply    ConsentSource = "reply"    // their own words
	ConsentVote     ConsentSource = "vote"     // their own vote
	ConsentOperator ConsentSource = "operator" // herald optouts add or remove, a review
	ConsentImport   ConsentSource = "import"   // herald optouts import
)

// Consent is one decision about whether a chat may be written to. The decision
// with the latest At holds; of two at the same time the opt-out. So decisions
// may arrive in any order and any number of times.
type Consent struct {
	Chat     ChatID
	Wish     Wish // WishOut or WishIn
	At       time.Time
	Source   ConsentSource
	Reason   string // for people, in their words; ≤ 200 bytes; see Unsaid
	Campaign ID     // whose message it answered; "" when none
	Seq      int64
}

// Unsaid is the reason of a decision that nobody gave one for: where it came
// from, in parentheses, so that it is never taken for what somebody said.
func Unsaid(from string) string { return "(" + from + ")" }

// Said says whether the reason is one that somebody gave.
func (c Consent) Said() bool {
	return c.Reason != "" && (!strings.HasPrefix(c.Reason, "(") || !strings.HasSuffix(c.Reason, ")"))
}

// Newer says whether c takes the place of other.
func (c Consent) Newer(other Consent) bool {
	if !c.At.Equal(other.At) {
		return c.At.After(other.At)
	}
	return c.Wish == WishOut && other.Wish != WishOut
}

// OptOut is a chat that must not be written to.
type OptOut struct {
	Consent
	Since time.Time // when the ledger learned of it
}

// Review is an inbound message that may be meant as an opt-out.
type Review struct {
	Reply
	Decided Wish // what a person decided; "" while open
}

// Suppressed is what an opt-out changed at once.
type Suppressed struct {
	// Skipped rows waited and will not be sent.
	Skipped int64
	// Queued rows are in the provider's queue: their jobs may still be purged,
	// by their queue ids.
	Queued []Located
}

// ContactCheck is what the provider said about a number.
type ContactCheck struct {
	Chat      ChatID // as the rows have it
	Exists    bool   // on WhatsApp
	Canonical ChatID // WhatsApp's own spelling; "" when not told
	At        time.Time
}
