package sandbox

import (
	"slices"
	"strings"
	"time"
)

// MagicNumber is a number with a fixed behavior, recognized by its last seven
// digits in any country.
type MagicNumber struct {
	// Suffix is the last seven digits: 555 and the code.
	Suffix string `json:"suffix"`
	// Name is the behavior in a word or two.
	Name string `json:"name"`
	// Behavior says what happens.
	Behavior string `json:"behavior"`
}

// MagicNumbers lists the numbers with a fixed behavior, in order of suffix.
// Package documentation explains the choice of suffixes.
func MagicNumbers() []MagicNumber {
	out := make([]MagicNumber, 0, len(magicTable))
	for _, m := range magicTable {
		out = append(out, m.MagicNumber)
	}
	return out
}

// magicPrefix is what every magic suffix begins with.
const magicPrefix = "555"

// magic is one row of the table. answer says what the HTTP request gets, the
// other fields what becomes of the message.
type magic struct {
	MagicNumber
	answer      magicAnswer
	reason      reason
	failures    uint8
	deliver     time.Duration // 0: as usual, negative: never
	read        time.Duration // 0: as usual, negative: never
	disconnects bool          // the phone loses its connection once this is accepted
	canonical   string        // the code under which WhatsApp knows this number
	conduct     *conduct      // what the person does with it
}

type magicAnswer uint8

const (
	answerNormal       magicAnswer = iota
	answerReject                   // 422, never accepted
	answerThrottleOnce             // 429 once per message, then accepted
	answerFailTwice                // 500 twice per message, not accepted, then accepted
	answerLost                     // accepted, answered 502
	answerHang                     // accepted, no answer for Config.Hang
)

// magicTable is ordered by suffix and never changed.
var magicTable = []magic{
	{MagicNumber: MagicNumber{"5550001", "read", "delivered, then read"}, deliver: 2 * time.Second, read: 3 * time.Second},
	{MagicNumber: MagicNumber{"5550002", "delivered", "delivered, never read"}, deliver: 2 * time.Second, read: -1},
	{MagicNumber: MagicNumber{"5550003", "offline", "sent (ack 2), never delivered"}, deliver: -1, read: -1},
	{MagicNumber: MagicNumber{"5550004", "late", "delivered an hour later, then read"}, deliver: time.Hour, read: 3 * time.Second},
	{MagicNumber: MagicNumber{"5550403", "blocked", "fails: has blocked the sender"}, reason: reasonBlocked},
	{MagicNumber: MagicNumber{"5550404", "not on WhatsApp", "fails: not registered; contacts/check says so"}, reason: reasonUnregistered},
	{MagicNumber: MagicNumber{"5550422", "rejected", "422 at once, never accepted"}, answer: answerReject},
	{MagicNumber: MagicNumber{"5550429", "throttled", "429 once, then accepted"}, answer: answerThrottleOnce},
	{MagicNumber: MagicNumber{"5550500", "server error", "500 twice, not accepted, then accepted"}, answer: answerFailTwice},
	{MagicNumber: MagicNumber{"5550502", "answer lost", "accepted and delivered, but answered 502"}, answer: answerLost, deliver: 2 * time.Second},
	{MagicNumber: MagicNumber{"5550504", "timeout", "accepted and delivered, but never answered in time"}, answer: answerHang, deliver: 2 * time.Second},
	{MagicNumber: MagicNumber{"5550521", "other id", "WhatsApp knows it as ...5559521 (check, status)"}, canonical: "9521"},
	{MagicNumber: MagicNumber{"5550555", "transient", "first attempt fails, the retry succeeds"}, failures: 1},
	{MagicNumber: MagicNumber{"5550556", "always transient", "fails after all retries"}, failures: maxAttempts},
	{MagicNumber: MagicNumber{"5550999", "disconnect", "accepted, then the sending phone disconnects"}, disconnects: true},
	{MagicNumber: MagicNumber{"5551001", "replies", "replies, not quoting"}, deliver: soon, conduct: does(says("Thanks, got it!", 10*time.Second))},
	{MagicNumber: MagicNumber{"5551002", "quotes", "replies, quoting the id"}, deliver: soon, conduct: does(quotes(QuoteBare, "Yes, please"))},
	{MagicNumber: MagicNumber{"5551003", "quotes in full", "replies, quoting in full"}, deliver: soon, conduct: does(quotes(QuoteFull, "Yes, please"))},
	{MagicNumber: MagicNumber{"5551004", "early reply", "replies before delivery"}, deliver: 30 * time.Second, conduct: does(early("Who is this?"))},
	{MagicNumber: MagicNumber{"5551005", "read first", "read before delivered"}, deliver: soon, read: 3 * time.Second, conduct: &conduct{ReadFirst: true}},
	{MagicNumber: MagicNumber{"5551010", "STOP", "replies STOP"}, deliver: soon, conduct: does(says("STOP", 5*time.Second))},
	{MagicNumber: MagicNumber{"5551011", "stop.", "replies stop."}, deliver: soon, conduct: does(says("stop.", 5*time.Second))},
	{MagicNumber: MagicNumber{"5551012", "nearly STOP", "replies Stop please"}, deliver: soon, conduct: does(says("Stop please", 5*time.Second))},
	{MagicNumber: MagicNumber{"5551013", "Hindi stop", "replies बंद करो"}, deliver: soon, conduct: does(says("बंद करो", 5*time.Second))},
	{MagicNumber: MagicNumber{"5551014", "Hindi stop", "replies रोको"}, deliver: soon, conduct: does(says("रोको", 5*time.Second))},
	{MagicNumber: MagicNumber{"5551015", "STOP, START", "replies STOP, then START"}, deliver: soon, conduct: does(says("STOP", 5*time.Second), says("START", time.Minute))},
	{MagicNumber: MagicNumber{"5551021", "votes 1", "votes option 1"}, deliver: soon, conduct: does(votes(8*time.Second, 0))},
	{MagicNumber: MagicNumber{"5551022", "votes 2", "votes option 2"}, deliver: soon, conduct: does(votes(8*time.Second, 1))},
	{MagicNumber: MagicNumber{"5551023", "votes several", "votes options 1 and 2"}, deliver: soon, conduct: does(votes(8*time.Second, 0, 1))},
	{MagicNumber: MagicNumber{"5551024", "changes vote", "votes 1, then 2"}, deliver: soon, conduct: does(votes(8*time.Second, 0), votes(time.Minute, 1))},
	{MagicNumber: MagicNumber{"5551025", "withdraws", "votes 1, withdraws it"}, deliver: soon, conduct: does(votes(8*time.Second, 0), votes(time.Minute))},
}

// soon is when those who react have the message.
const soon = 2 * time.Second

func does(acts ...act) *conduct { return &conduct{Acts: acts} }

// early is a reply that comes before the delivery is told.
func early(text string) act {
	return act{Kind: actReply, Early: true, Text: text, After: int64(2 * time.Second)}
}

// magicFor finds the row for a 1-1 chat.
func magicFor(chat string) (*magic, bool) {
	number, ok := strings.CutSuffix(chat, "@c.us")
	if !ok || len(number) < 9 || number[len(number)-7:len(number)-4] != magicPrefix {
		return nil, false
	}
	i, ok := slices.BinarySearchFunc(magicTable, number[len(number)-7:], func(m magic, suffix string) int {
		return strings.Compare(m.Suffix, suffix)
	})
	if !ok {
		return nil, false
	}
	return &magicTable[i], true
}

// shape turns an ordinary fate into the magic one. A magic number that is
// accepted and not said to fail is delivered: only times and reading are left
// to chance.
func (m *magic) shape(f *fate, scaled func(float64) int64) {
	set := func(field *int64, d time.Duration) {
		switch {
		case d < 0:
			*field = never
		case d > 0:
			*field = scaled(float64(d))
		}
	}
	set(&f.Deliver, m.deliver)
	set(&f.Read, m.read)
	f.Reason, f.Failures = m.reason, m.failures
}

// canonicalChat is the id WhatsApp itself uses for a chat. It differs from the
// given one as Brazilian, Mexican and Argentine numbers do.
func canonicalChat(chat string) string {
	if m, ok := magicFor(chat); ok && m.canonical != "" {
		return strings.TrimSuffix(chat, m.Suffix+"@c.us") + magicPrefix + m.canonical + "@c.us"
	}
	return chat
}

// givenChat undoes canonicalChat, for lookups by the canonical id.
func givenChat(chat string) string {
	for i := range magicTable {
		m := &magicTable[i]
		if m.canonical == "" {
			continue
		}
		if rest, ok := strings.CutSuffix(chat, magicPrefix+m.canonical+"@c.us"); ok {
			return rest + m.Suffix + "@c.us"
		}
	}
	return chat
}
