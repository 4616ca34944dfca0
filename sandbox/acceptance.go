package sandbox

import (
	"time"
)

// Acceptance is one line of the acceptance log: a message the simulator took.
// It is the judge in tests, and knows nothing but what was asked and answered.
type Acceptance struct {
	Seq         uint64    `json:"seq"` // in order of acceptance; resets skip numbers
	At          time.Time `json:"at"`
	Phone       string    `json:"phone"`   // the sending phone's number
	ChatID      string    `json:"chat_id"` // as normalized: a bare number has @c.us
	QueueID     string    `json:"queue_id"`
	UniqueID    string    `json:"unique_id"`
	Type        string    `json:"type"`      // chat, image, video, audio, document, poll_creation
	Body        string    `json:"body"`      // text, caption or question, at most Config.BodyCap bytes
	BodyHash    string    `json:"body_hash"` // SHA-256 of the whole of it, hex
	PollID      string    `json:"poll_id,omitempty"`
	Filename    string    `json:"filename,omitempty"`
	MediaURL    string    `json:"media_url,omitempty"`
	MediaSize   int64     `json:"media_size,omitempty"` // bytes; assumed for a URL
	ReplyTo     string    `json:"reply_to,omitempty"`
	BroadcastID string    `json:"broadcast_id,omitempty"`
	Purged      bool      `json:"purged,omitempty"` // taken out of the queue before it was sent
}

// Acceptances is the log since the start of the journal or the last reset, as
// far as Config.MaxJobs reaches, oldest first.
func (s *Server) Acceptances() []Acceptance {
	var out []Acceptance
	_ = s.acceptances(func(a Acceptance) { out = append(out, a) }, nil)
	return out
}

func (s *Server) acceptances(f func(Acceptance), flush func() error) error {
	e := s.engine
	return e.each(0, true, func(j *job, _ int64) bool {
		f(e.acceptance(j))
		return true
	}, flush)
}

func (e *engine) acceptance(j *job) Acceptance {
	a := Acceptance{
		Seq: j.seq, At: time.Unix(0, j.accepted).UTC(), Phone: j.line.phone.Number, ChatID: j.chat,
		QueueID: e.ids.queueID(j.seq), UniqueID: e.uniqueID(j), Type: j.messageType(), Body: j.body, Purged: j.gone,
	}
	if m := j.more; m != nil {
		a.ReplyTo, a.BroadcastID, a.BodyHash = m.ReplyTo, m.BroadcastID, m.Hash
		if m.Poll != nil && m.Poll.Choice != nil {
			a.PollID = m.Poll.Choice.ID
		}
		if m.Media != nil {
			a.Filename, a.MediaURL, a.MediaSize = m.Media.Filename, m.Media.URL, m.Media.Size
		}
	}
	if a.BodyHash == "" {
		a.BodyHash = textHash(a.Body)
	}
	return a
}

// Change is one step in a message's life.
type Change struct {
	Status string    `json:"status"` // queued, sending, sent, delivered, read or failed
	At     time.Time `json:"at"`
	Ack    int       `json:"ack"`
}

// Trace is a message's life so far, or nil for an unknown queue_id. Of several
// attempts it shows the last.
func (s *Server) Trace(queueID string) []Change {
	var out []Change
	s.engine.look(queueID, func(j *job, now int64) {
		if j == nil {
			return
		}
		step := func(status string, at int64, ack int) {
			if at <= now {
				out = append(out, Change{Status: status, At: time.Unix(0, at).UTC(), Ack: ack})
			}
		}
		step("queued", j.accepted, 0)
		step("sending", j.start, 0)
		if j.leftAt != never && !j.sent() {
			step("failed", j.leftAt, -1)
			return
		}
		step("sent", j.leftAt, 1)
		step("sent", min(after(j.leftAt, j.fate.Server), j.deliveredAt()), 2)
		step("delivered", j.deliveredAt(), 3)
		step("read", j.readAt(), 4)
	})
	return out
}
