package sandbox

import (
	"cmp"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"slices"
	"time"
)

// Config says what the simulator shall be. The zero value is a usable server
// with two phones at the real service's pace, no limits and no faults.
type Config struct {
	// Seed makes a run repeat. 0 draws a fresh one, which Server.Seed tells:
	// with a fixed seed and no journal a restarted server hands out the same
	// queue_ids again, which a caller's database will notice.
	Seed uint64

	// Speed divides every simulated duration (sending, retries, delivery,
	// reading). 0 means 1: the documented pace of about 3 s per text and
	// phone. It does not touch Latency, RateLimit and Faults, which face the
	// caller's real clock.
	Speed float64
	// Instant makes every simulated duration zero: a message is sent,
	// delivered and, if at all, read in the moment it is accepted.
	Instant bool

	// Phones are the sending phones. Empty means DefaultPhones.
	Phones []Phone
	// AnyPhone adds a connected phone for any x-phone of 7 to 15 digits that
	// is used, up to 1,000 of them.
	AnyPhone bool
	// Tokens are the accepted bearer tokens. Empty accepts any that is not
	// empty.
	Tokens []string

	// RateLimit answers 429 above a number of requests. Zero: no limit.
	RateLimit RateLimit
	// Latency is added to each answer of the API. Zero: none.
	Latency Range
	// Outcomes are the odds for numbers that are not magic. Nil means
	// DefaultOutcomes.
	Outcomes *Outcomes
	// People are the odds that those numbers reply, opt out and vote. Zero:
	// they never do.
	People People

	// Service is the mean time one text occupies its phone, ±30 %. Default
	// 3 s. Media add their size at 1 MiB/s.
	Service time.Duration
	// RetryWait is the wait before the first retry of a transient failure;
	// each further wait doubles. Default 2 s. There are three retries.
	RetryWait time.Duration

	// OnDisconnected is what a send to a disconnected phone gets. Default
	// DisconnectedHold.
	OnDisconnected DisconnectedPolicy
	// DisconnectedStatus is the answer under DisconnectedReject, 400 to 499.
	// Default 422.
	DisconnectedStatus int

	// Wire chooses among the forms that documentation and packages disagree on.
	Wire Wire
	// Faults are armed from the start; the control API can add more.
	Faults []Fault
	// Hang is how long the number …555 0504 waits for its answer. Default
	// 35 s, just above a client's usual 30.
	Hang time.Duration

	// Webhooks says how events reach the URLs registered with POST /webhooks.
	// Only URLs on this machine get any: loopback.
	Webhooks Webhooks
	// WebhookFaults are the webhook faults from the start on.
	WebhookFaults WebhookFaults

	// Journal is the path of a file that keeps accepted messages, what people
	// did with them, phone states and webhooks across restarts. Empty: memory only. One process
	// at a time may use it.
	Journal string
	// MaxJobs is how many messages are kept; the oldest are forgotten, and
	// asked for, answer 404. Default 1,048,576. Rounded up to 1,024.
	MaxJobs int
	// BodyCap is how many bytes of a text are kept for later reads. Default
	// 4,096. The acceptance log's hash always covers the whole text.
	BodyCap int
	// ListLimit caps the answer of an unfiltered job list to the newest n
	// jobs. 0: all, as no limit is documented.
	ListLimit int

	// Control serves the control API under /_sim. It has no authentication:
	// only for a server that listens on loopback.
	Control bool

	// Logger gets control actions and internal failures, never requests. Nil
	// discards.
	Logger *slog.Logger
	// Clock is the time; nil is time.Now. Server.Advance adds to it.
	Clock func() time.Time
}

// Phone is a WhatsApp account that sends.
type Phone struct {
	// Number is country code and number, 7 to 15 digits.
	Number string
	// ID is the phone_id, "phone-" and 16 lower-case letters. Empty derives
	// one from the number.
	ID string
	// Name is shown in lists. Empty means "Sandbox <last four digits>".
	Name string
	// Disconnected starts the phone without a connection.
	Disconnected bool
}

// DefaultPhones returns the two phones of a server whose Config names none.
func DefaultPhones() []Phone {
	return []Phone{
		{Number: "919999990001", Name: "Sandbox one"},
		{Number: "919999990002", Name: "Sandbox two"},
	}
}

// RateLimit is a sliding window over all requests of the organization.
type RateLimit struct {
	// PerWindow is how many requests fit into a window; 0 turns limiting off.
	PerWindow int
	// Window is its length. Default 1 s.
	Window time.Duration
	// RetryAfter adds the Retry-After header to a 429.
	RetryAfter bool
	// ResetDelta gives X-RateLimit-Reset in seconds from now instead of as
	// Unix time.
	ResetDelta bool
	// PlainText answers a 429 in text instead of JSON.
	PlainText bool
}

// Range is a span of durations, both ends included.
type Range struct{ Min, Max time.Duration }

// Outcomes are probabilities, 0 to 1, for numbers that are not magic.
type Outcomes struct {
	Read         float64 // reads what was delivered
	Offline      float64 // gets it after 10 min to 8 h, every second one never
	Unregistered float64 // not on WhatsApp; contacts/check agrees
	Blocked      float64 // has blocked the sender
	Transient    float64 // each attempt fails with this probability
}

// DefaultOutcomes returns the odds used when Config.Outcomes is nil.
func DefaultOutcomes() Outcomes { return Outcomes{Read: 0.6, Offline: 0.02} }

// DisconnectedPolicy is what a send through a disconnected phone gets. The
// real behavior is undocumented.
type DisconnectedPolicy string

// The policies for sends through a disconnected phone.
const (
	DisconnectedHold   DisconnectedPolicy = "hold"   // accepted, waits for the phone
	DisconnectedFail   DisconnectedPolicy = "fail"   // accepted, fails at once
	DisconnectedReject DisconnectedPolicy = "reject" // refused with DisconnectedStatus
)

// UniqueIDForm is how unique_id looks in the answer to a send.
type UniqueIDForm string

// The forms of unique_id seen or allowed by the documentation.
const (
	UniqueIDShort  UniqueIDForm = "short"  // 22 characters
	UniqueIDLong   UniqueIDForm = "long"   // 40 characters
	UniqueIDAbsent UniqueIDForm = "absent" // not in the answer to a send
)

// Wire chooses among the forms sources disagree on. The zero value is the
// form of the current documentation.
type Wire struct {
	PositionString      bool         // queue_position as "0"
	UniqueID            UniqueIDForm // default UniqueIDShort
	Hint                bool         // the older hint field beside track_by
	ProcessingWord      bool         // "processing" instead of "sending"
	PendingNull         bool         // GET /message/{id} of a pending job: 200 null instead of 404
	InvalidChatNotFound bool         // malformed chat_id: 404 at once instead of a failed job
	OldQueuesOnly       bool         // /message/queues answers 404, /queue/jobs works
	CanonicalChatsOnly  bool         // messages of a chat are listed by the id WhatsApp knows it by, and no other
	WebhookArray        bool         // POST /webhooks always answers an array
	RejectSpecEvents    bool         // message.sent/.delivered/.read/.failed: 422 on subscribing
	PollsByVoter        bool         // poll_results is voter → option → time instead of option → voter → time
	PollsSilent         bool         // a vote makes no message.updated: only reading the message shows it
}

var (
	digitsOnly = regexp.MustCompile(`^[0-9]{7,15}$`)
	phoneID    = regexp.MustCompile(`^phone-[a-z]{16}$`)
)

func (c Config) withDefaults() Config {
	if c.Seed == 0 {
		var b [8]byte
		_, _ = rand.Read(b[:]) // never fails: crypto/rand aborts the program instead
		c.Seed = binary.LittleEndian.Uint64(b[:]) | 1
	}
	c.Speed = cmp.Or(c.Speed, 1)
	c.Service = cmp.Or(c.Service, 3*time.Second)
	c.RetryWait = cmp.Or(c.RetryWait, 2*time.Second)
	c.Hang = cmp.Or(c.Hang, 35*time.Second)
	c.OnDisconnected = cmp.Or(c.OnDisconnected, DisconnectedHold)
	c.DisconnectedStatus = cmp.Or(c.DisconnectedStatus, http.StatusUnprocessableEntity)
	c.Wire.UniqueID = cmp.Or(c.Wire.UniqueID, UniqueIDShort)
	c.RateLimit.Window = cmp.Or(c.RateLimit.Window, time.Second)
	c.MaxJobs = cmp.Or(c.MaxJobs, 1<<20)
	c.BodyCap = cmp.Or(c.BodyCap, 4096)
	if c.Latency.Max < c.Latency.Min {
		c.Latency.Max = c.Latency.Min
	}
	c.Webhooks = c.Webhooks.withDefaults()
	if c.Outcomes == nil {
		o := DefaultOutcomes()
		c.Outcomes = &o
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if len(c.Phones) == 0 {
		c.Phones = DefaultPhones()
	}
	c.Phones = slices.Clone(c.Phones)
	for i := range c.Phones {
		c.Phones[i] = c.Phones[i].withDefaults()
	}
	return c
}

func (p Phone) withDefaults() Phone {
	if p.ID == "" {
		d := newDraws(0, "phone", p.Number, "", 0)
		id := []byte("phone-")
		for range 16 {
			id = append(id, 'a'+byte(d.next()%26))
		}
		p.ID = string(id)
	}
	if p.Name == "" && len(p.Number) >= 4 {
		p.Name = "Sandbox " + p.Number[len(p.Number)-4:]
	}
	return p
}

func (c Config) validate() error {
	switch {
	case c.Speed < 0:
		return fmt.Errorf("sandbox: Speed is %g, want more than 0 (or Instant)", c.Speed)
	case c.Service < 0:
		return fmt.Errorf("sandbox: Service is %s, want 0 or more", c.Service)
	case c.RetryWait < 0:
		return fmt.Errorf("sandbox: RetryWait is %s, want 0 or more", c.RetryWait)
	case c.Hang < 0:
		return fmt.Errorf("sandbox: Hang is %s, want 0 or more", c.Hang)
	case c.Latency.Min < 0:
		return fmt.Errorf("sandbox: Latency.Min is %s, want 0 or more", c.Latency.Min)
	case c.RateLimit.PerWindow < 0 || c.RateLimit.PerWindow > 1<<20:
		return fmt.Errorf("sandbox: RateLimit.PerWindow is %d, want 0 (off) to 1048576", c.RateLimit.PerWindow)
	case c.RateLimit.Window < 0:
		return fmt.Errorf("sandbox: RateLimit.Window is %s, want more than 0", c.RateLimit.Window)
	case c.MaxJobs < 0:
		return fmt.Errorf("sandbox: MaxJobs is %d, want 0 or more", c.MaxJobs)
	case c.BodyCap < 0:
		return fmt.Errorf("sandbox: BodyCap is %d, want 0 or more", c.BodyCap)
	case c.ListLimit < 0:
		return fmt.Errorf("sandbox: ListLimit is %d, want 0 or more", c.ListLimit)
	case c.DisconnectedStatus < 400 || c.DisconnectedStatus > 499:
		return fmt.Errorf("sandbox: DisconnectedStatus is %d, want 400 to 499", c.DisconnectedStatus)
	}
	switch c.OnDisconnected {
	case DisconnectedHold, DisconnectedFail, DisconnectedReject:
	default:
		return fmt.Errorf("sandbox: OnDisconnected is %q, want hold, fail or reject", c.OnDisconnected)
	}
	switch c.Wire.UniqueID {
	case UniqueIDShort, UniqueIDLong, UniqueIDAbsent:
	default:
		return fmt.Errorf("sandbox: Wire.UniqueID is %q, want short, long or absent", c.Wire.UniqueID)
	}
	for name, p := range map[string]float64{
		"Read": c.Outcomes.Read, "Offline": c.Outcomes.Offline, "Unregistered": c.Outcomes.Unregistered,
		"Blocked": c.Outcomes.Blocked, "Transient": c.Outcomes.Transient,
	} {
		if p < 0 || p > 1 {
			return fmt.Errorf("sandbox: Outcomes.%s is %g, want a probability from 0 to 1", name, p)
		}
	}
	for name, p := range map[string]float64{"Reply": c.People.Reply, "Stop": c.People.Stop, "Vote": c.People.Vote} {
		if p < 0 || p > 1 {
			return fmt.Errorf("sandbox: People.%s is %g, want a probability from 0 to 1", name, p)
		}
	}
	if err := c.Webhooks.validate(); err != nil {
		return err
	}
	if err := c.WebhookFaults.validate(); err != nil {
		return fmt.Errorf("sandbox: WebhookFaults: %w", err)
	}
	seen := map[string]bool{}
	for i, p := range c.Phones {
		switch {
		case !digitsOnly.MatchString(p.Number):
			return fmt.Errorf("sandbox: Phones[%d].Number is not country code and number, 7 to 15 digits", i)
		case !phoneID.MatchString(p.ID):
			return fmt.Errorf("sandbox: Phones[%d].ID is %q, want phone- and 16 lower-case letters", i, p.ID)
		case seen[p.Number] || seen[p.ID]:
			return fmt.Errorf("sandbox: Phones[%d] is listed twice", i)
		}
		seen[p.Number], seen[p.ID] = true, true
	}
	for i, t := range c.Tokens {
		if t == "" {
			return fmt.Errorf("sandbox: Tokens[%d] is empty", i)
		}
	}
	for i, f := range c.Faults {
		if err := f.withDefaults().validate(); err != nil {
			return fmt.Errorf("sandbox: Faults[%d]: %w", i, err)
		}
	}
	return nil
}

// scale is the factor on simulated durations.
func (c Config) scale() float64 {
	if c.Instant {
		return 0
	}
	return 1 / c.Speed
}
