package campaign

import "time"

// Staged is a row that was handed over to the stream: its task carries Gen.
type Staged struct {
	Seq int64
	Gen int64
}

// Skip moves a row that was still waiting to skipped.
type Skip struct {
	Seq    int64
	Reason SkipReason
	Detail string
}

// Observation is evidence to be folded in, with what was found beside it.
type Observation struct {
	Evidence

	// QueueID and UniqueID are adopted by a row that has none: the message was
	// found in the provider's lists.
	QueueID, UniqueID string

	// NextPoll is when to ask again; zero after a poll: never. Evidence that
	// comes by itself (webhook, send) leaves the schedule alone when it is
	// zero. A settled row is never asked for again, whatever it says.
	NextPoll time.Time

	// AskedAs is what the row was when it was asked for; "" when nobody asked. A
	// row whose message was taken back since has a schedule of its own.
	AskedAs Status

	// Unanswered says that the provider was asked and did not answer, which says
	// nothing about the message.
	Unanswered bool

	// Former says that the evidence is about an earlier attempt that was given
	// up (Located.Former). Then only proof that the message went out counts: the
	// row has been sent again since, or is about to be.
	Former bool
}

// Event is one line of a campaign's timeline: what happened to it, in the
// order it happened.
type Event struct {
	At     time.Time   `json:"at"`
	Kind   EventKind   `json:"kind"`
	From   State       `json:"from,omitempty"`
	To     State       `json:"to,omitempty"`
	Reason PauseReason `json:"reason,omitempty"`
	Detail string      `json:"detail,omitempty"`
}

// EventKind says what an Event is about.
type EventKind string

// The kinds.
const (
	EventCreated   EventKind = "created"
	EventState     EventKind = "state"     // From, To and Reason tell the move
	EventPlan      EventKind = "plan"      // pace, schedule or senders changed
	EventImported  EventKind = "imported"  // an import was completed
	EventDiscarded EventKind = "discarded" // an unfinished import was taken back
	EventResolved  EventKind = "resolved"  // unknown rows were settled by proof, policy or person
	EventResent    EventKind = "resent"    // unknown rows wait again without proof that they were not taken
	EventHeld      EventKind = "held"      // sending stopped by itself: disk, phone
	EventReleased  EventKind = "released"  // a hold is over; of a sender's, Detail begins as its EventHeld, up to ": "
	EventRestored  EventKind = "restored"  // a restored copy of the ledger was noticed, or confirmed
	EventRetried   EventKind = "retried"   // failed rows were put back to be sent again
)
