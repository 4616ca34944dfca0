package campaign

import (
	"cmp"
	"log/slog"
	"time"
)

// UnresolvedAfter is how long evidence is looked for after an intent whose
// outcome nobody knows. Then the row is unresolved: reports list it with what
// to do, and a campaign may complete without it. Late evidence still settles
// it (reliability page §4, rule 7).
const UnresolvedAfter = 24 * time.Hour

// MaxAttempts is how many calls a recipient may cost without a person's word
// (reliability page, P10). Calls that certainly did not reach the API are
// repeated, so the third one that finds it away means the API is away, not that
// the recipient is bad: the campaign pauses, the recipient keeps waiting. One
// whose third call nobody knows the end of is left to a person.
const MaxAttempts = 3

// UnknownPolicy says what becomes of a row whose outcome evidence cannot tell.
type UnknownPolicy string

// The policies (reliability page §4).
const (
	PolicyHold       UnknownPolicy = "hold"        // wait for evidence, then for a person; the default
	PolicyAssumeSent UnknownPolicy = "assume_sent" // count it as sent
	PolicyResend     UnknownPolicy = "resend"      // send it again; some people may get the message twice
)

// UnknownPolicies lists the policies.
func UnknownPolicies() []UnknownPolicy {
	return []UnknownPolicy{PolicyHold, PolicyAssumeSent, PolicyResend}
}

// OrHold is the policy, PolicyHold where none was chosen.
func (p UnknownPolicy) OrHold() UnknownPolicy { return cmp.Or(p, PolicyHold) }

// Resolution is what a person or a policy decided about an unknown row that
// evidence could not settle. The row stays unknown, since nothing was learned.
type Resolution string

// The resolutions. A row that is to be sent again becomes pending instead.
const (
	ResolutionNone        Resolution = ""
	ResolutionAssumedSent Resolution = "assumed_sent" // counts as dealt with
)

// UnknownRow is an unknown row as reconciliation sees it.
type UnknownRow struct {
	Campaign   ID
	Seq        int64
	Gen        int64 // of the attempt that nobody knows the end of
	Attempt    int
	Sender     Sender
	Chat       ChatID
	BodyHash   string    // of the message that was sent, or not
	ClaimedAt  time.Time // when the intent was written
	EndedAt    time.Time // when the call ended; zero when the process ended first
	Detail     string    // why it is unknown
	Resolution Resolution
}

// Unresolved says whether the time for evidence is over at now.
func (r UnknownRow) Unresolved(now time.Time) bool {
	return now.Sub(r.ClaimedAt) > UnresolvedAfter
}

// Open says whether the row still needs evidence or a decision at now.
func (r UnknownRow) Open(now time.Time) bool {
	return r.Resolution == ResolutionNone && !r.Unresolved(now)
}

// Handover names a row at one hand-over. What is decided about it holds only
// while the row still is at that one.
func (r UnknownRow) Handover() Staged { return Staged{Seq: r.Seq, Gen: r.Gen} }

// Candidate is a message in one of the provider's lists that may be one of
// ours. It does not print its text.
type Candidate struct {
	Source EvidenceSource // jobs, messages or webhook

	QueueID   string
	UniqueID  string
	MessageID string

	Chat ChatID
	Kind Kind      // "" when the list does not tell
	Text string    // body, caption or question
	At   time.Time // when it was queued, or else sent; zero when the list does not tell

	Status      Status // "" when the list does not tell
	Detail      string
	SentAt      time.Time
	DeliveredAt time.Time
	ReadAt      time.Time
	FailedAt    time.Time
}

// String says where the candidate was found, never what it says.
func (c Candidate) String() string { return "message found among " + string(c.Source) }

// GoString keeps %#v from printing the text.
func (c Candidate) GoString() string { return "campaign.Candidate(" + c.String() + ")" }

// LogValue keeps structured logs from carrying the text.
func (c Candidate) LogValue() slog.Value { return slog.StringValue(c.String()) }
