package sandbox

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"time"
)

// Webhooks says in which of the disputed forms events are delivered, and how
// persistently.
type Webhooks struct {
	// Key signs deliveries: x-periskope-signature is the HMAC-SHA256 of the
	// body under it, in lower-case hex. Empty leaves them unsigned, which a
	// receiver must refuse.
	Key string
	// Names are the events that tell of ticks. Default NamesAck.
	Names EventNames
	// Envelope is what is around the data. Default EnvelopeReal.
	Envelope Envelope
	// Pretty sends indented JSON, signed over its compact form, as the
	// documentation's sample does it.
	Pretty bool
	// Prefix puts "sha256=" before the signature.
	Prefix bool

	// Tries is how often an event is offered until it is answered 2xx, 1 to
	// 20. Default 5.
	Tries int
	// RetryWait is the wait before the second try; each further one doubles.
	// Default 2 s. Config.Speed divides it, down to 10 ms.
	RetryWait time.Duration
	// Timeout is how long an answer may take. Default 10 s of real time.
	Timeout time.Duration
	// Parallel is how many deliveries to one URL are under way at once, 1 to
	// 256. Default 4. Events of one chat keep their order all the same.
	Parallel int
}

// EventNames is a vocabulary for the ticks of our messages.
type EventNames string

// The vocabularies: that of the packages and webhook pages, that of the page
// that documents sending, and both.
const (
	NamesAck  EventNames = "ack"  // message.ack.updated
	NamesSpec EventNames = "spec" // message.sent, .delivered, .read, .failed
	NamesBoth EventNames = "both"
)

// Envelope is a form of what is around an event's data.
type Envelope string

// The envelopes.
const (
	EnvelopeReal Envelope = "real" // id, event_type, data, org_id, previous_attributes: seen in real traffic
	EnvelopeDocs Envelope = "docs" // event, data, org_id, timestamp: documented
)

func (w Webhooks) withDefaults() Webhooks {
	w.Names, w.Envelope = cmp.Or(w.Names, NamesAck), cmp.Or(w.Envelope, EnvelopeReal)
	w.Tries, w.Parallel = cmp.Or(w.Tries, 5), cmp.Or(w.Parallel, 4)
	w.RetryWait, w.Timeout = cmp.Or(w.RetryWait, 2*time.Second), cmp.Or(w.Timeout, 10*time.Second)
	return w
}

func (w Webhooks) validate() error {
	switch w.Names {
	case NamesAck, NamesSpec, NamesBoth:
	default:
		return fmt.Errorf("sandbox: Webhooks.Names is %q, want ack, spec or both", w.Names)
	}
	switch w.Envelope {
	case EnvelopeReal, EnvelopeDocs:
	default:
		return fmt.Errorf("sandbox: Webhooks.Envelope is %q, want real or docs", w.Envelope)
	}
	switch {
	case w.Tries < 1 || w.Tries > 20:
		return fmt.Errorf("sandbox: Webhooks.Tries is %d, want 1 to 20", w.Tries)
	case w.Parallel < 1 || w.Parallel > 256:
		return fmt.Errorf("sandbox: Webhooks.Parallel is %d, want 1 to 256", w.Parallel)
	case w.RetryWait < 0 || w.RetryWait > time.Hour:
		return fmt.Errorf("sandbox: Webhooks.RetryWait is %s, want 0 to 1h", w.RetryWait)
	case w.Timeout < 0:
		return fmt.Errorf("sandbox: Webhooks.Timeout is %s, want more than 0", w.Timeout)
	}
	return nil
}

// WebhookFaults are what goes wrong between us and the receiver. The zero
// value: nothing. Shares are 0 to 1; which events they strike depends on the
// seed and the message, and on nothing else.
//
// In JSON names are snake_case and durations are written as "1500ms".
type WebhookFaults struct {
	Loss      float64 // never delivered
	Duplicate float64 // delivered twice
	Reorder   float64 // delivered up to ReorderBy later, so that others pass
	// ReorderBy is the most by which one is held back, in real time. Default
	// 500 ms.
	ReorderBy time.Duration
	Delay     time.Duration // each is delivered this much later, in real time

	// BadSignature and NoSignature are shares of events that are preceded by a
	// forgery: a copy under another id whose signature is wrong or missing,
	// offered once. The event itself is not affected.
	BadSignature float64
	NoSignature  float64
	Unknown      float64 // preceded by an event of a name nobody knows

	Hold bool // nothing is delivered until it is false again; then all at once
	// Burst gathers events and releases them at once whenever this much real
	// time has passed.
	Burst time.Duration
}

// shares names the fields that are shares.
func (f *WebhookFaults) shares() map[string]*float64 {
	return map[string]*float64{
		"loss": &f.Loss, "duplicate": &f.Duplicate, "reorder": &f.Reorder, "bad_signature": &f.BadSignature,
		"no_signature": &f.NoSignature, "unknown": &f.Unknown,
	}
}

func (f WebhookFaults) validate() error {
	for name, share := range f.shares() {
		if *share < 0 || *share > 1 || *share != *share {
			return fmt.Errorf("%s is %g, want a share from 0 to 1", name, *share)
		}
	}
	for name, d := range map[string]time.Duration{"reorder_by": f.ReorderBy, "delay": f.Delay, "burst": f.Burst} {
		if d < 0 || d > time.Hour {
			return fmt.Errorf("%s is %s, want 0 to 1h", name, d)
		}
	}
	return nil
}

// ParseWebhookFaults reads faults from JSON and checks them.
func ParseWebhookFaults(text []byte) (WebhookFaults, error) {
	var f WebhookFaults
	if err := json.Unmarshal(text, &f); err != nil {
		return WebhookFaults{}, fmt.Errorf("read webhook faults: %w", err)
	}
	if err := f.validate(); err != nil {
		return WebhookFaults{}, fmt.Errorf("webhook faults: %w", err)
	}
	return f, nil
}

type webhookFaultsJSON struct {
	Loss         float64 `json:"loss"`
	Duplicate    float64 `json:"duplicate"`
	Reorder      float64 `json:"reorder"`
	ReorderBy    string  `json:"reorder_by,omitempty"`
	Delay        string  `json:"delay,omitempty"`
	BadSignature float64 `json:"bad_signature"`
	NoSignature  float64 `json:"no_signature"`
	Unknown      float64 `json:"unknown"`
	Hold         bool    `json:"hold"`
	Burst        string  `json:"burst,omitempty"`
}

// MarshalJSON writes the form ParseWebhookFaults reads.
func (f WebhookFaults) MarshalJSON() ([]byte, error) {
	text := func(d time.Duration) string {
		if d == 0 {
			return ""
		}
		return d.String()
	}
	return json.Marshal(webhookFaultsJSON{
		f.Loss, f.Duplicate, f.Reorder, text(f.ReorderBy), text(f.Delay), f.BadSignature, f.NoSignature, f.Unknown, f.Hold,
		text(f.Burst),
	})
}

// UnmarshalJSON reads faults without checking them; an unknown key is an error.
func (f *WebhookFaults) UnmarshalJSON(text []byte) error {
	var in webhookFaultsJSON
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&in); err != nil && err != io.EOF {
		return err
	}
	*f = WebhookFaults{
		Loss: in.Loss, Duplicate: in.Duplicate, Reorder: in.Reorder, BadSignature: in.BadSignature,
		NoSignature: in.NoSignature, Unknown: in.Unknown, Hold: in.Hold,
	}
	for _, field := range []struct {
		name, text string
		to         *time.Duration
	}{{"reorder_by", in.ReorderBy, &f.ReorderBy}, {"delay", in.Delay, &f.Delay}, {"burst", in.Burst, &f.Burst}} {
		if field.text == "" {
			continue
		}
		var err error
		if *field.to, err = time.ParseDuration(field.text); err != nil {
			return fmt.Errorf("%s: %w", field.name, err)
		}
	}
	return nil
}

// WebhookCounts is webhook delivery in numbers, since the start or the last
// reset. When Planned and Pending are 0, everything that happens by itself has
// been delivered or given up; a disconnected phone may still hold messages.
type WebhookCounts struct {
	Events     uint64 `json:"events"`     // subscribed to, per URL
	Lost       uint64 `json:"lost"`       // by WebhookFaults.Loss
	Duplicated uint64 `json:"duplicated"` // by WebhookFaults.Duplicate
	Reordered  uint64 `json:"reordered"`  // by WebhookFaults.Reorder
	Forged     uint64 `json:"forged"`     // without a right signature
	Unknown    uint64 `json:"unknown"`    // of an invented name
	Attempts   uint64 `json:"attempts"`   // requests made
	Delivered  uint64 `json:"delivered"`  // answered 2xx, duplicates and forgeries included
	GaveUp     uint64 `json:"gave_up"`    // not answered 2xx in all tries; forgeries in one
	Refused    uint64 `json:"refused"`    // for a URL that is not on this machine
	Dropped    uint64 `json:"dropped"`    // because too many waited, or the message was forgotten
	Pending    int    `json:"pending"`    // waiting or under way
	Planned    int    `json:"planned"`    // sending, ticks and acts of people still to come
}

// Delivery is one attempt of the delivery log, or an event that came to none.
type Delivery struct {
	N       uint64    `json:"n"`     // in order of the log
	ID      string    `json:"id"`    // of the event
	Event   string    `json:"event"` // its name
	URL     string    `json:"url"`
	At      time.Time `json:"at"`               // real time
	Attempt int       `json:"attempt"`          // from 1; 0 for none
	Status  int       `json:"status,omitempty"` // of the answer; 0 without one
	Result  string    `json:"result"`           // delivered, retry, gave_up, lost, refused or dropped
	Error   string    `json:"error,omitempty"`

	body []byte
}
