package campaign

import "time"

// Task is one recipient's message on its way through the stream. It is all a
// dispatcher needs; the ledger decides whether it may still be sent.
type Task struct {
	Campaign ID       `json:"campaign"`
	Seq      int64    `json:"seq"`
	Gen      int64    `json:"gen"` // the hand-over this task belongs to; an older one loses the claim
	Sender   SenderID `json:"sender"`
	Chat     ChatID   `json:"chat"`
	Message  Message  `json:"message"`
	BodyHash string   `json:"body_hash"`
}

// Sender is one of our WhatsApp phones.
type Sender struct {
	ID    SenderID
	Phone Phone // the x-phone header: digits, or a Periskope phone id
}

// Lease is the right to serve a sender, fenced by Epoch: every intent carries
// it, and an intent with an older epoch is refused (stream page §3).
type Lease struct {
	Sender       SenderID
	Holder       string
	Epoch        int64
	ExpiresAt    time.Time
	BlockedUntil time.Time // the API asked this sender to wait (429), zero if not
	LastGrant    time.Time // when the sender's latest intent was written, zero if never
}

// Intent is the durable announcement of one call of the send API.
type Intent struct {
	Task  Task
	Epoch int64
	// Hourly and Daily are the sender's caps, checked in the same transaction;
	// 0 is no cap.
	Hourly, Daily int
}

// Refusal says why a claim was not granted.
type Refusal string

// The refusals. RefusedCap and RefusedLease leave the row staged, so the task
// must come back; with every other one it is of no more use.
const (
	RefusedNot      Refusal = ""          // granted
	RefusedStale    Refusal = "stale"     // another generation, another status, or no such row
	RefusedLease    Refusal = "lease"     // the epoch is not the sender's current one, or it expired
	RefusedCampaign Refusal = "campaign"  // not running
	RefusedOptOut   Refusal = "opted_out" // the row was moved to skipped
	RefusedCap      Refusal = "cap"       // hourly or daily cap reached; the row stays staged
)

// Claim is the ledger's answer to an Intent.
type Claim struct {
	Refused   Refusal
	Attempt   int       // number of this attempt, 1 is the first
	ClaimedAt time.Time // the ledger's time of the intent
	CapFreeAt time.Time // with RefusedCap: when the cap allows the next one
}

// OutcomeKind is what one call of the send API came to (design §4.4).
type OutcomeKind string

// The kinds. The table from HTTP status and transport error to kind is in
// internal/gateway and nowhere else.
const (
	OutcomeAccepted    OutcomeKind = "accepted"    // taken into the provider's queue
	OutcomeRejected    OutcomeKind = "rejected"    // this recipient or message, for good
	OutcomeThrottled   OutcomeKind = "throttled"   // not taken; the sender must slow down
	OutcomeUnavailable OutcomeKind = "unavailable" // certainly not taken; try later
	OutcomeRefused     OutcomeKind = "refused"     // credentials, phone or the message's file; nobody's fault who is to get it
	OutcomeUnknown     OutcomeKind = "unknown"     // may have been taken
)

// OutcomeKinds lists every kind.
func OutcomeKinds() []OutcomeKind {
	return []OutcomeKind{
		OutcomeAccepted, OutcomeRejected, OutcomeThrottled, OutcomeUnavailable, OutcomeRefused, OutcomeUnknown,
	}
}

// Outcome is what one call of the send API came to, with what was learned.
type Outcome struct {
	Kind OutcomeKind

	QueueID       string // accepted
	UniqueID      string // accepted; may be empty
	QueuePosition int64  // accepted; jobs ahead at enqueue time, -1 when not told

	HTTPStatus int           // 0 when no response came
	TraceID    string        // x-periskope-trace-id
	Detail     string        // for people; no token, no full number, no body; ≤ 300 bytes
	RetryAfter time.Duration // throttled: how long the provider asked to wait; 0 when it did not say
	Pause      PauseReason   // refused: why the sender or the campaign pauses
	Limit      *RateLimit    // the X-RateLimit-* headers of any response; nil when absent
}

// RateLimit is what the X-RateLimit-* headers of a response said.
type RateLimit struct {
	Limit     int64
	Remaining int64
	Reset     time.Time
}

// Settlement is an outcome as it is written to the ledger: the row leaves
// submitting for To.
type Settlement struct {
	Task      Task
	Epoch     int64
	Attempt   int
	StartedAt time.Time
	EndedAt   time.Time
	Outcome   Outcome

	To         Status    // queued, failed, pending or unknown
	NotBefore  time.Time // pending: not before
	FailReason FailReason
	FailClass  FailClass
	// Refund says that the attempt does not count: throttled and refused calls
	// use up no attempt.
	Refund bool
}

// Verdict tells the stream what to do with a delivered task.
type Verdict string

// The verdicts.
const (
	VerdictDone  Verdict = "done"  // the ledger has the outcome, or the task is of no more use: ack
	VerdictLater Verdict = "later" // not now; deliver again after a while: nak with delay
)
