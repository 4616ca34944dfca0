package campaign

import (
	"log/slog"
	"time"
)

// News is what one webhook delivery, or one message found by looking through
// the provider's lists, tells in the words of the domain. At most one of the
// pointers is set, but that the votes on a poll may come along with how its
// message fares; none: it concerns nothing that Herald follows.
//
// News comes late, twice and in any order. It is a claim about a state, to be
// merged, never an order: whatever is made of it must come out the same for
// every order and repetition.
type News struct {
	Key    string    // equal for deliveries of the same event
	Name   string    // the provider's name of the event, to be counted
	At     time.Time // when the provider says it happened; zero when not told
	Sender Phone     // our phone it is about, as digits; "" when not told

	Message *MessageNews // about a message of ours
	Inbound *Inbound     // somebody wrote to us
	Ballots *Ballots     // the votes on a poll of ours
	Phone   *PhoneNews   // one of our phones
}

// MessageRef names a message of ours by whatever ids there are. The queue id is
// the surest, then the unique id (dossier §7.3, correlation order).
type MessageRef struct {
	QueueID   string
	UniqueID  string
	MessageID string // full; its last part is the unique id
	Chat      ChatID // as WhatsApp writes it, which may differ from the number given
}

// MessageNews is evidence about a message of ours whose row is still to be
// found.
type MessageNews struct {
	Ref      MessageRef
	Evidence Evidence // Campaign and Seq are empty
	// Echo is our own message as the provider shows it back. It may be that of
	// a row whose outcome is unknown. Nil for news that does not show it.
	Echo *Candidate
}

// Inbound is a message that somebody wrote to one of our phones. It does not
// print its text.
type Inbound struct {
	ID     string // the unique part of its message id; the same message always has the same
	Phone  Phone  // our phone it came to, as digits
	Chat   ChatID // where it was written, as WhatsApp writes it
	Author ChatID // who wrote it; in a person's chat the chat itself
	Quoted string // the unique part of the quoted message's id; "" when it quotes none
	Kind   string // the provider's type: chat, image, audio, …
	Text   string
	At     time.Time
}

// String says where the message was written, never what it says.
func (m Inbound) String() string { return m.Kind + " message from " + m.Chat.String() }

// GoString keeps %#v from printing the text.
func (m Inbound) GoString() string { return "campaign.Inbound(" + m.String() + ")" }

// LogValue keeps structured logs from carrying the text.
func (m Inbound) LogValue() slog.Value { return slog.StringValue(m.String()) }

// Tie says how a reply was tied to a campaign message.
type Tie string

// The ties, the surest first.
const (
	TieQuote  Tie = "quote"  // it quotes the message
	TieRecent Tie = "recent" // the latest campaign message to that chat, at most ReplyWindow before it
	TieNone   Tie = "none"   // to no campaign
)

// ReplyWindow is how long after a campaign message a message from its chat that
// quotes nothing still counts as a reply to it.
const ReplyWindow = 72 * time.Hour

// Reply is an inbound message as the ledger keeps it.
type Reply struct {
	Inbound
	Campaign ID // "" with TieNone
	Seq      int64
	Tie      Tie
	Wish     Wish // what the words ask for
}

// Ballots are all votes on one poll message at one time: whoever is missing has
// not voted, or has withdrawn the vote.
type Ballots struct {
	Ref  MessageRef
	AsOf time.Time // when they were so, by the provider's clock
	// Votes has one entry for each voter; options in the order of the poll.
	Votes []Ballot
}

// Ballot is what one voter has chosen.
type Ballot struct {
	Voter   ChatID
	Options []string  // empty: withdrawn
	At      time.Time // zero when not told
	// Stop is the option that asks for no more messages, of a vote without a time;
	// ≤ 200 bytes. It opts the voter out from when the vote was first seen to stand;
	// of a vote with a time that is for a Consent to say.
	Stop string
}

// PhoneNews is the state of one of our phones. It is a reason to look, not a
// fact: deliveries may be out of order.
type PhoneNews struct {
	Phone     Phone // as digits
	PhoneID   Phone // the provider's own id of it, "phone-…"; "" when not told
	State     PhoneState
	Connected bool
	At        time.Time // zero when not told
}

// PhoneState is the state of a phone in the provider's words, lower case:
// connected, disconnected, qr, …
type PhoneState string

// Located is the ledger line a message of ours belongs to.
type Located struct {
	Campaign ID
	Seq      int64
	Sender   Sender
	Chat     ChatID // as the row has it
	Status   Status
	QueueID  string
	UniqueID string
	QueuedAt time.Time
	Former   bool // the ids are of an earlier attempt that was given up
}

// Delivery is one webhook delivery as it was received: kept whole and durably
// before the provider is told that it arrived.
type Delivery struct {
	N        int64  // the ledger's number, in the order of arrival
	Key      string // the event's key; one that is known already is not kept twice
	Name     string
	Body     []byte
	Received time.Time
	// Parked is since when it waits for a row that the ledger does not know yet:
	// it may have arrived before our own commit. Zero: it was not looked at yet.
	Parked time.Time
}

// ParkFor is how long a delivery about an unknown message is kept.
const ParkFor = 72 * time.Hour

// Folding is what one delivery, or one look through the provider's lists, comes
// to. All of it is written in one transaction together with what becomes of the
// delivery, so that nothing is counted twice and nothing is lost.
type Folding struct {
	Delivery int64 // the delivery's number; 0: it did not come as one
	Park     bool  // the delivery waits; else it is done and its body is dropped

	Observation *Observation
	Reply       *Reply
	Consent     *Consent
	Ballots     *LocatedBallots
	// Alias is another spelling of a recipient's chat that the provider uses.
	Alias *ChatAlias
}

// LocatedBallots are ballots whose message is found.
type LocatedBallots struct {
	Campaign ID
	Seq      int64
	Ballots
}

// ChatAlias says that two addresses are the same chat: WhatsApp's own spelling
// of some numbers (Brazil, Mexico, Argentina) differs from the one given.
type ChatAlias struct {
	Alias ChatID // as the provider writes it
	Chat  ChatID // as the rows have it
}

// PollWatch is a poll message whose votes are still to be asked for.
type PollWatch struct {
	Located
	Options []string
}

// Sweep is how far one look through the provider's lists has come.
type Sweep struct {
	Sender Sender
	Kind   SweepKind
	Key    string    // what it looks after, where there are several; a campaign's id for votes
	Mark   time.Time // everything before is known
	Next   time.Time // when to look again; zero: at once
	Times  int       // looks made
}

// SweepKind says what a sweep looks for.
type SweepKind string

// The kinds.
const (
	SweepReplies SweepKind = "replies" // messages from people that no webhook brought
	SweepVotes   SweepKind = "votes"   // the votes on the polls of one campaign
	// SweepConfirm looks for nothing: it marks that the opt-out with this message
	// id had its confirmation, or its one attempt at it.
	SweepConfirm SweepKind = "confirm"
)
