package sandbox

import (
	"math"
	"strings"
	"time"
)

// never is a moment that does not come.
const never = math.MaxInt64

// maxAttempts is the first attempt and three retries (docs: "retried up to 3
// times with exponential backoff").
const maxAttempts = 4

// job is one accepted message. Times are nanoseconds of the server's clock.
// seq to fate are set once, on acceptance; the rest belongs to the line, which
// moves it under the engine's lock.
type job struct {
	seq      uint64
	accepted int64
	shown    int64 // from when on it can be seen
	line     *line
	chat     string // as normalized on acceptance: <digits>@c.us, <id>@g.us, or what was sent
	body     string // text or caption, at most Config.BodyCap bytes
	more     *extra // nil for a plain text
	prev     uint64 // seq+1 of the message before in the same chat, 0 for none
	fate     fate
	nth      uint32 // how many this chat got from this phone before

	tries  uint8   // attempts that have ended
	gone   bool    // purged
	ready  int64   // when the current attempt may start
	start  int64   // when it starts: never while the phone is held
	leftAt int64   // when it was sent or failed, never before that
	ballot *ballot // nil until somebody votes
}

// extra is what only some messages have.
type extra struct {
	Media       *media `json:"media,omitempty"`
	Poll        *poll  `json:"poll,omitempty"`
	ReplyTo     string `json:"reply_to,omitempty"`
	BroadcastID string `json:"broadcast_id,omitempty"`
	Hash        string `json:"hash,omitempty"` // of the whole text, when only a part is kept
}

type media struct {
	Type     string `json:"type"`
	URL      string `json:"url,omitempty"`
	Filename string `json:"filename"`
	MIME     string `json:"mimetype"`
	Size     int64  `json:"size"`
}

type poll struct {
	Name    string       `json:"pollName"`
	Options []string     `json:"pollOptions"`
	Choice  *pollChoices `json:"options,omitempty"`
}

type pollChoices struct {
	Multiple bool   `json:"allowMultipleAnswers"`
	ID       string `json:"pollId,omitempty"`
}

// fate is everything about a message that chance decides, drawn on acceptance
// and already divided by Config.Speed.
type fate struct {
	Pickup   int64    `json:"pickup"`  // from acceptance to the earliest start
	Service  int64    `json:"service"` // one attempt
	Wait     int64    `json:"wait"`    // before the first retry; doubles
	Server   int64    `json:"server"`  // from sent (ack 1) to the server's tick (ack 2)
	Deliver  int64    `json:"deliver"` // from sent to delivered, or never
	Read     int64    `json:"read"`    // from delivered to read, or never
	Failures uint8    `json:"failures,omitempty"`
	Reason   reason   `json:"reason,omitempty"`
	Conduct  *conduct `json:"conduct,omitempty"` // nil: nothing
}

// reason is why a message fails in the end; 0 means it does not.
type reason uint8

const (
	reasonNone reason = iota
	reasonUnregistered
	reasonBlocked
	reasonInvalidChat
	reasonTransient
	reasonDisconnected
)

func (r reason) String() string {
	switch r {
	case reasonNone:
		return ""
	case reasonUnregistered:
		return "The phone number is not registered on WhatsApp."
	case reasonBlocked:
		return "The recipient has blocked this number."
	case reasonInvalidChat:
		return "Invalid chat_id."
	case reasonTransient:
		return "Provider temporarily unavailable. Gave up after 3 retries."
	case reasonDisconnected:
		return "Phone is disconnected."
	}
	return "Failed."
}

// phase is where a job stands in the queue, in the words of the queue itself.
type phase uint8

const (
	phaseWaiting phase = iota
	phaseDelayed
	phaseActive
	phaseFailed
	phaseSent
	phaseDelivered
	phaseRead
)

// phase tells where j stands at now. The line must be settled to now.
func (j *job) phase(now int64) phase {
	switch {
	case j.leftAt == never && j.start <= now:
		return phaseActive
	case j.leftAt == never && j.ready > now && (j.tries > 0 || j.ready > j.accepted+j.fate.Pickup):
		return phaseDelayed
	case j.leftAt == never:
		return phaseWaiting
	case j.fate.Reason != reasonNone:
		return phaseFailed
	case j.readAt() <= now:
		return phaseRead
	case j.deliveredAt() <= now:
		return phaseDelivered
	}
	return phaseSent
}

// ack is the tick of a job that has left the line.
func (j *job) ack(now int64) int {
	switch j.phase(now) {
	case phaseWaiting, phaseDelayed, phaseActive:
		return 0
	case phaseFailed:
		return -1
	case phaseSent:
		if now >= after(j.leftAt, j.fate.Server) {
			return 2
		}
		return 1
	case phaseDelivered:
		return 3
	case phaseRead:
		return 4
	}
	return 0
}

func (j *job) deliveredAt() int64 {
	if j.fate.Reason != reasonNone {
		return never
	}
	return after(j.leftAt, j.fate.Deliver)
}

func (j *job) readAt() int64 { return after(j.deliveredAt(), j.fate.Read) }

func (j *job) sent() bool { return j.leftAt != never && j.fate.Reason == reasonNone }

// end is when the current attempt ends.
func (j *job) end() int64 { return after(j.start, j.fate.Service) }

// attempts counts the attempts begun by now.
func (j *job) attempts(now int64) int {
	if j.leftAt == never && j.start <= now {
		return int(j.tries) + 1
	}
	return int(j.tries)
}

func (j *job) group() bool { return strings.HasSuffix(j.chat, "@g.us") }

func (j *job) broadcast() string {
	if j.more == nil {
		return ""
	}
	return j.more.BroadcastID
}

// after adds a duration to a moment, and never stays never.
func after(t, d int64) int64 {
	if t == never || d == never || t > never-d {
		return never
	}
	return t + d
}

// drawFate decides what becomes of a message. Who the person is depends on
// the number alone, so that contacts/check can say the same.
func drawFate(cfg *Config, phone, chat string, nth uint32, size int64) fate {
	scale := cfg.scale()
	scaled := func(d float64) int64 { return int64(d * scale) }
	sec := float64(time.Second)

	d := newDraws(cfg.Seed, "fate", phone, chat, uint64(nth))
	f := fate{
		Pickup:  scaled(0.1 * sec),
		Service: scaled(float64(cfg.Service)*d.between(0.7, 1.3) + sec*float64(size)/(1<<20)),
		Wait:    scaled(float64(cfg.RetryWait)),
		Server:  scaled(d.between(0.1, 0.9) * sec),
		Deliver: scaled(d.between(1, 10) * sec),
		Read:    scaled(d.tail(2, 4*3600) * sec),
	}
	reads, unlucky := d.unit() < cfg.Outcomes.Read, 0
	for unlucky < maxAttempts && d.unit() < cfg.Outcomes.Transient {
		unlucky++
	}
	f.Failures = uint8(unlucky)

	if !reads {
		f.Read = never
	}
	if m, ok := magicFor(chat); ok {
		m.shape(&f, scaled)
	} else {
		who := personOf(cfg, chat)
		f.Reason = who.reason
		if who.offline {
			f.Deliver = scaled(d.tail(600, 8*3600) * sec)
		}
		if who.away {
			f.Deliver = never
		}
	}
	if f.Reason == reasonNone && f.Failures >= maxAttempts {
		f.Reason = reasonTransient
	}
	if f.Reason != reasonNone && f.Reason != reasonTransient {
		f.Failures = 0 // permanent: failed on the first attempt
	}
	return f
}

// person is what a number is like, whoever writes to it and how often.
type person struct {
	reason  reason
	offline bool // reached late
	away    bool // and never
}

func personOf(cfg *Config, chat string) person {
	if !validChat(chat) {
		return person{reason: reasonInvalidChat}
	}
	if strings.HasSuffix(chat, "@g.us") {
		return person{}
	}
	d := newDraws(cfg.Seed, "person", "", chat, 0)
	unregistered, blocked := d.unit(), d.unit()
	offline, away := d.unit(), d.unit()
	switch {
	case unregistered < cfg.Outcomes.Unregistered:
		return person{reason: reasonUnregistered}
	case blocked < cfg.Outcomes.Blocked:
		return person{reason: reasonBlocked}
	}
	late := offline < cfg.Outcomes.Offline
	return person{offline: late, away: late && away < 0.5}
}
