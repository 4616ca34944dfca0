package periskope

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Message is a message object of the REST API and of webhooks (dossier §7.3).
// Nearly every field may be missing. It does not print its text or numbers.
type Message struct {
	MessageID     string // full: "<true|false>_<chat id>_<unique id>"
	UniqueID      string // bare
	SentMessageID string // ties it to a queue id
	QueueID       string
	OrgPhone      string // our phone, "<digits>@c.us"
	ChatID        string
	From          string
	To            string
	Author        string // in groups, who wrote it
	SenderPhone   string
	FromMe        bool
	Type          string // chat, image, poll_creation, …
	Body          string
	PreviousBody  string // of an edited message
	Timestamp     time.Time
	UpdatedAt     time.Time // when anything of it changed last; mostly not told
	Ack           FlexInt
	PerformedBy   string // "api" for our own sends
	QuotedID      string // bare or full
	BroadcastID   string
	PrivateNote   bool // not from or to the customer
	Deleted       bool
	Media         *MessageMedia
	DeliveryInfo  *DeliveryInfo
	PollInfo      *Poll

	pollResults json.RawMessage
}

// MessageMedia is what is known of a message's attachment.
type MessageMedia struct {
	Path     string  `json:"path"` // absolute URL, or a path at the API's host
	MIMEType string  `json:"mimetype"`
	Filename string  `json:"filename"`
	Size     FlexInt `json:"size"`
}

// DeliveryInfo says whom a message reached, and when.
type DeliveryInfo struct {
	Delivered map[string]FlexTime `json:"delivered"`
	Read      map[string]FlexTime `json:"read"`
}

// Status is what the message's ack says.
func (m Message) Status() Status { return statusOfAck(m.Ack) }

// String says what the message is, never its text or numbers.
func (m Message) String() string {
	direction := "to us"
	if m.FromMe {
		direction = "from us"
	}
	return fmt.Sprintf("message %s (%s, %s)", MaskNumbers(cut(m.UniqueID, 128)), MaskNumbers(cut(m.Type, 64)), direction)
}

// GoString keeps %#v from printing the text and the numbers.
func (m Message) GoString() string { return m.String() }

// LogValue keeps structured logs from carrying the text and the numbers.
func (m Message) LogValue() slog.Value { return slog.StringValue(m.String()) }

type wireMessage struct {
	MessageID       string          `json:"message_id"`
	UniqueID        string          `json:"unique_id"`
	SentMessageID   string          `json:"sent_message_id"`
	QueueID         string          `json:"queue_id"`
	ID              json.RawMessage `json:"id"` // an object, or the serialized id
	OrgPhone        string          `json:"org_phone"`
	ChatID          string          `json:"chat_id"`
	From            string          `json:"from"`
	To              string          `json:"to"`
	Author          string          `json:"author"`
	SenderPhone     string          `json:"sender_phone"`
	FromMe          *flexBool       `json:"from_me"`
	MessageType     string          `json:"message_type"`
	Body            string          `json:"body"`
	PrevBody        string          `json:"prev_body"`
	Timestamp       FlexTime        `json:"timestamp"`
	UpdatedAt       FlexTime        `json:"updated_at"`
	Ack             FlexInt         `json:"ack"`
	PerformedBy     string          `json:"performed_by"`
	QuotedMessageID string          `json:"quoted_message_id"`
	BroadcastID     string          `json:"broadcast_id"`
	IsPrivateNote   flexBool        `json:"is_private_note"`
	IsDeleted       flexBool        `json:"is_deleted"`
	Media           *MessageMedia   `json:"media"`
	DeliveryInfo    *DeliveryInfo   `json:"delivery_info"`
	PollInfo        *wirePollInfo   `json:"poll_info"`
	PollResults     json.RawMessage `json:"poll_results"`
}

// UnmarshalJSON reads a message object. It fails only for what is no object.
func (m *Message) UnmarshalJSON(b []byte) error {
	var w wireMessage
	if err := decode(b, &w); err != nil {
		return err
	}
	*m = Message{
		MessageID:     w.MessageID,
		UniqueID:      w.UniqueID,
		SentMessageID: w.SentMessageID,
		QueueID:       w.QueueID,
		OrgPhone:      w.OrgPhone,
		ChatID:        w.ChatID,
		From:          w.From,
		To:            w.To,
		Author:        w.Author,
		SenderPhone:   w.SenderPhone,
		Type:          w.MessageType,
		Body:          w.Body,
		PreviousBody:  w.PrevBody,
		Timestamp:     w.Timestamp.Time,
		UpdatedAt:     w.UpdatedAt.Time,
		Ack:           w.Ack,
		PerformedBy:   w.PerformedBy,
		QuotedID:      w.QuotedMessageID,
		BroadcastID:   w.BroadcastID,
		PrivateNote:   bool(w.IsPrivateNote),
		Deleted:       bool(w.IsDeleted),
		Media:         w.Media,
		DeliveryInfo:  w.DeliveryInfo,
		pollResults:   w.PollResults,
	}
	if w.PollInfo != nil {
		m.PollInfo = w.PollInfo.poll()
	}
	var id struct {
		ID         string    `json:"id"`
		FromMe     *flexBool `json:"fromMe"`
		Serialized string    `json:"_serialized"`
	}
	if decode(w.ID, &id) != nil {
		_ = json.Unmarshal(w.ID, &id.Serialized)
	}
	m.MessageID = first(m.MessageID, id.Serialized)
	m.UniqueID = first(m.UniqueID, id.ID, UniqueOf(m.MessageID))
	switch {
	case w.FromMe != nil:
		m.FromMe = bool(*w.FromMe)
	case id.FromMe != nil:
		m.FromMe = bool(*id.FromMe)
	default:
		m.FromMe = len(m.MessageID) > 5 && m.MessageID[:5] == "true_"
	}
	return nil
}

// Page is a part of a list. The documentation names two different sets of
// defaults, so both values are always sent.
type Page struct {
	Offset int
	Limit  int // 1 … 2,000; 0 means 1,000
}

func (p Page) query(op string) (url.Values, error) {
	if p.Limit == 0 {
		p.Limit = 1000
	}
	if p.Offset < 0 || p.Limit < 1 || p.Limit > 2000 {
		return nil, &ArgumentError{Op: op, Name: "limit", What: "must be 1 to 2000, and offset not negative"}
	}
	return url.Values{"offset": {strconv.Itoa(p.Offset)}, "limit": {strconv.Itoa(p.Limit)}}, nil
}

// ChatMessages lists messages of one chat (GET /chats/{chat_id}/messages). A
// page shorter than its limit is the last; pages may overlap when messages
// arrive meanwhile.
func (c *Client) ChatMessages(ctx context.Context, phone, chatID string, page Page) ([]Message, Meta, error) {
	const op = "list chat messages"
	query, err := page.query(op)
	if err := errors.Join(err, needPhone(op, phone), checkID(op, "chat_id", chatID)); err != nil {
		return nil, Meta{}, err
	}
	u := c.url(query, "chats", chatID, "messages")
	return get(ctx, c, call{op: op, method: http.MethodGet, url: u, phone: phone}, decodeList[Message])
}

// Messages lists messages of all chats of a phone from one time to another
// (GET /chats/messages); a zero time leaves that end open.
func (c *Client) Messages(ctx context.Context, phone string, from, to time.Time, page Page) ([]Message, Meta, error) {
	const op = "list messages"
	query, err := page.query(op)
	if err := errors.Join(err, needPhone(op, phone)); err != nil {
		return nil, Meta{}, err
	}
	for name, t := range map[string]time.Time{"start_time": from, "end_time": to} {
		if !t.IsZero() {
			query.Set(name, t.UTC().Format("2006-01-02T15:04:05.000Z"))
		}
	}
	u := c.url(query, "chats", "messages")
	return get(ctx, c, call{op: op, method: http.MethodGet, url: u, phone: phone}, decodeList[Message])
}

// Message asks for one message by message id or queue id
// (GET /message/{message_id}). It is nil while the message is pending, which
// the API says with null, an empty body or 404.
func (c *Client) Message(ctx context.Context, phone, id string) (*Message, Meta, error) {
	const op = "message"
	if err := errors.Join(needPhone(op, phone), checkID(op, "message_id", id)); err != nil {
		return nil, Meta{}, err
	}
	request := call{op: op, method: http.MethodGet, url: c.url(nil, "message", id), phone: phone}
	messages, meta, err := get(ctx, c, request, decodeList[Message])
	var response *ResponseError
	switch {
	case missing(err, http.StatusNotFound):
		return nil, meta, nil
	case errors.As(err, &response) && response.Reason == ReasonEmpty:
		return nil, meta, nil
	case err != nil || len(messages) == 0 || messages[0].UniqueID == "":
		return nil, meta, err
	}
	return &messages[0], meta, nil
}
