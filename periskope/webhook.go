package periskope

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"time"
)

// MaxWebhook is how many bytes the body of a webhook delivery may have. A
// receiver reads one byte more, and ParseEvent refuses what is longer.
const MaxWebhook = 256 << 10

// EventKind is what a webhook delivery is about. It is told by the event's
// name only: nearly all messages carry an ack, also new ones.
type EventKind string

// The kinds of events, by the provider's names for them (dossier §10.2).
const (
	EventOther          EventKind = "" // one nobody asked for: acknowledge it and pass over it
	EventMessageCreated EventKind = "message.created"
	EventMessageUpdated EventKind = "message.updated" // edited, or voted on: Message.PreviousBody, PollResults
	EventAckUpdated     EventKind = "message.ack.updated"
	// The four that only the send-message page names.
	EventSent      EventKind = "message.sent"
	EventDelivered EventKind = "message.delivered"
	EventRead      EventKind = "message.read"
	EventFailed    EventKind = "message.failed"

	EventPhoneConnected    EventKind = "org.phone.connected"
	EventPhoneDisconnected EventKind = "org.phone.disconnected"
	EventPhoneUpdated      EventKind = "org.phone.updated"
	EventPhoneQR           EventKind = "org.phone.qr" // wants to be linked again
)

// Event is one webhook delivery. It does not print texts or numbers.
//
// Deliveries come late, twice and in any order, and their signature covers no
// time: an event is a claim about a state, to be merged, never an order.
type Event struct {
	Kind EventKind
	Name string // the provider's name of it, also of EventOther
	// Key is equal for deliveries of the same event, and differs otherwise:
	// lower-case hex SHA-256 over name, id and content. The id alone would not
	// do, for nobody says what it identifies.
	Key   string
	ID    string    // the provider's id of it; mostly empty
	OrgID string    // the organization it is about
	At    time.Time // when the provider says it made it; zero when not told

	Message *Message // of every message.… kind; else nil
	Job     *Job     // of EventSent, EventDelivered, EventRead, EventFailed: with the reason and the timeline
	Phone   *Phone   // of every org.phone.… kind
}

// OrgPhone is our phone the event is about, "<digits>@c.us"; empty when not
// told. A receiver drops events of phones that are not its own.
func (e Event) OrgPhone() string {
	switch {
	case e.Message != nil:
		return e.Message.OrgPhone
	case e.Phone != nil:
		return e.Phone.OrgPhone
	}
	return ""
}

// Status is what the event proves about a message of ours; StatusUnknown if
// nothing. Our own message coming back as EventMessageCreated proves that it
// was sent.
func (e Event) Status() Status {
	switch e.Kind {
	case EventSent:
		return StatusSent
	case EventDelivered:
		return StatusDelivered
	case EventRead:
		return StatusRead
	case EventFailed:
		return StatusFailed
	case EventAckUpdated, EventMessageCreated, EventMessageUpdated:
		if e.Message != nil && e.Message.FromMe {
			return e.Message.Status()
		}
	case EventOther, EventPhoneConnected, EventPhoneDisconnected, EventPhoneUpdated, EventPhoneQR:
	}
	return StatusUnknown
}

// String says what the event is about, never texts or numbers.
func (e Event) String() string {
	s := "event " + MaskNumbers(e.Name)
	switch {
	case e.Job != nil:
		return fmt.Sprintf("%s of %s", s, e.Job)
	case e.Message != nil:
		return fmt.Sprintf("%s of %s", s, e.Message)
	case e.Phone != nil:
		return fmt.Sprintf("%s of %s", s, e.Phone)
	}
	return s
}

// GoString keeps %#v from printing texts and numbers.
func (e Event) GoString() string { return e.String() }

// LogValue keeps structured logs from carrying texts and numbers.
func (e Event) LogValue() slog.Value { return slog.StringValue(e.String()) }

// wireEvent is the envelope, in the form of the documentation (event,
// timestamp) and in that of real traffic (id, event_type,
// previous_attributes); dossier §10.3.
type wireEvent struct {
	EventType string          `json:"event_type"`
	Event     string          `json:"event"`
	Type      string          `json:"type"`
	ID        json.RawMessage `json:"id"`
	OrgID     string          `json:"org_id"`
	QueueID   string          `json:"queue_id"`
	Timestamp FlexTime        `json:"timestamp"`
	Data      json.RawMessage `json:"data"`
	Previous  struct {
		Body string `json:"body"`
	} `json:"previous_attributes"`
}

// ParseEvent reads the body of a webhook delivery whose signature was
// verified. The error is a *WebhookError: what is longer than MaxWebhook, is
// no JSON object, names no event, or names a known one without saying of what.
// An unknown name is no error but EventOther.
func ParseEvent(raw []byte) (Event, error) {
	if len(raw) > MaxWebhook {
		return Event{}, &WebhookError{Fault: FaultOversize}
	}
	var wire wireEvent
	if err := decode(raw, &wire); err != nil {
		return Event{}, &WebhookError{Fault: FaultMalformed}
	}
	name := first(wire.EventType, wire.Event, wire.Type)
	if !isCode(name) {
		return Event{}, &WebhookError{Fault: FaultMalformed}
	}
	e := Event{Kind: kindOf(name), Name: name, OrgID: cut(wire.OrgID, 64)}
	data := bytes.TrimSpace(wire.Data)
	if len(data) > 0 && !bytes.Equal(data, []byte("null")) {
		e.At = wire.Timestamp.Time
		_ = json.Unmarshal(wire.ID, &e.ID) // an id of another type is none
		if !plausibleID(e.ID) {
			e.ID = ""
		}
	} else {
		// The object is its own envelope; id and timestamp are the message's.
		data = bytes.TrimSpace(raw)
	}
	e.Key = eventKey(name, wire.ID, data)
	if e.content(data, wire) != nil {
		return Event{}, &WebhookError{Fault: FaultMalformed}
	}
	return e, nil
}

// kindOf is the kind with this name, if it is a known one.
func kindOf(name string) EventKind {
	switch kind := EventKind(name); kind {
	case EventMessageCreated, EventMessageUpdated, EventAckUpdated,
		EventSent, EventDelivered, EventRead, EventFailed,
		EventPhoneConnected, EventPhoneDisconnected, EventPhoneUpdated, EventPhoneQR:
		return kind
	case EventOther:
	}
	return EventOther
}

// eventKey leaves out the envelope's time, which may be that of the delivery.
func eventKey(name string, id, data []byte) string {
	sum := sha256.New()
	for _, part := range [][]byte{[]byte(name), id, data} {
		_, _ = fmt.Fprintf(sum, "%d:", len(part)) // a hash never fails
		_, _ = sum.Write(part)
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// content reads what the event is about.
func (e *Event) content(data []byte, wire wireEvent) error {
	if data[0] != '{' && e.Kind != EventOther {
		return errNothing
	}
	if strings.HasPrefix(string(e.Kind), "org.phone.") {
		e.Phone = new(Phone)
		return decode(data, e.Phone)
	}
	switch e.Kind {
	case EventSent, EventDelivered, EventRead, EventFailed:
		var job wireJob
		if err := decode(data, &job); err != nil {
			return err
		}
		job.QueueID = first(job.QueueID, wire.QueueID)
		job.ID = nil // the envelope's or the message's, never a queue id
		e.Job = new(job.job())
		e.Job.Status = e.Status()
	case EventMessageCreated, EventMessageUpdated, EventAckUpdated:
	default:
		return nil
	}
	e.Message = new(Message)
	if err := decode(data, e.Message); err != nil {
		return err
	}
	e.Message.QueueID = first(e.Message.QueueID, wire.QueueID)
	e.Message.PreviousBody = first(e.Message.PreviousBody, wire.Previous.Body)
	return nil
}
