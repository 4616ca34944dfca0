package sandbox

import (
	"time"
)

// statusBody is GET /message/{unique_id}/status, and without ack and counts an
// item of POST /message/queues.
type statusBody struct {
	QueueID        string        `json:"queue_id"`
	UniqueID       string        `json:"unique_id"`
	MessageID      string        `json:"message_id,omitempty"`
	ChatID         string        `json:"chat_id"`
	PerformedBy    string        `json:"performed_by"`
	Status         string        `json:"status"`
	Description    string        `json:"status_description"`
	Ack            *int          `json:"ack,omitempty"`
	Message        statusMessage `json:"message"`
	Timeline       timeline      `json:"timeline"`
	Attempts       int           `json:"attempts"`
	DeliveredCount *int          `json:"delivered_count,omitempty"`
	ReadCount      *int          `json:"read_count,omitempty"`
}

type statusMessage struct {
	Body            string `json:"body"`
	Type            string `json:"type"`
	QuotedMessageID string `json:"quoted_message_id,omitempty"`
}

type timeline struct {
	QueuedAt    string `json:"queued_at"`
	SentAt      string `json:"sent_at,omitempty"`
	DeliveredAt string `json:"delivered_at,omitempty"`
	ReadAt      string `json:"read_at,omitempty"`
	FailedAt    string `json:"failed_at,omitempty"`
}

// oldJob is an item of GET /queue/jobs, in the words of the queue beneath.
type oldJob struct {
	ID              string     `json:"id"`
	MessageID       string     `json:"message_id"`
	Status          string     `json:"status"`
	AttemptsMade    int        `json:"attemptsMade"`
	AttemptsStarted int        `json:"attemptsStarted"`
	Added           int64      `json:"addedTimestamp"`
	Processed       *int64     `json:"processedTimestamp,omitempty"`
	Finished        *int64     `json:"finishedTimestamp,omitempty"`
	Data            oldJobData `json:"data"`
	Stacktrace      []string   `json:"stacktrace"`
}

type oldJobData struct {
	Body   string `json:"body"`
	ChatID string `json:"chat_id"`
}

// messageBody is the message object of the REST API.
type messageBody struct {
	MessageID       string        `json:"message_id"`
	UniqueID        string        `json:"unique_id"`
	SentMessageID   *string       `json:"sent_message_id"`
	ID              messageKey    `json:"id"`
	OrgID           string        `json:"org_id"`
	OrgPhone        string        `json:"org_phone"`
	ChatID          string        `json:"chat_id"`
	From            string        `json:"from"`
	To              string        `json:"to"`
	Author          *string       `json:"author"`
	SenderPhone     string        `json:"sender_phone"`
	FromMe          bool          `json:"from_me"`
	MessageType     string        `json:"message_type"`
	Body            string        `json:"body"`
	PrevBody        *string       `json:"prev_body"`
	Timestamp       string        `json:"timestamp"`
	UpdatedAt       *string       `json:"updated_at"`
	Ack             string        `json:"ack"`
	PerformedBy     *string       `json:"performed_by"`
	QuotedMessageID *string       `json:"quoted_message_id"`
	HasQuotedMsg    bool          `json:"has_quoted_msg"`
	HasMedia        bool          `json:"has_media"`
	Media           *messageMedia `json:"media"`
	HasReaction     bool          `json:"has_reaction"`
	MentionedIDs    []string      `json:"mentioned_ids"`
	IsDeleted       *bool         `json:"is_deleted"`
	IsForwarded     bool          `json:"is_forwarded"`
	Broadcast       *bool         `json:"broadcast"`
	BroadcastID     *string       `json:"broadcast_id"`
	FlagStatus      bool          `json:"flag_status"`
	DeviceType      string        `json:"device_type"`
	Links           string        `json:"links"`
	VCards          []string      `json:"vcards"`
	DeliveryInfo    deliveryInfo  `json:"delivery_info"`
	PollInfo        *poll         `json:"poll_info"`
	PollResults     pollResults   `json:"poll_results"`
	IsPrivateNote   bool          `json:"is_private_note"`
}

type messageKey struct {
	ID         string `json:"id"`
	FromMe     bool   `json:"fromMe"`
	Remote     string `json:"remote"`
	Serialized string `json:"_serialized"`
}

type messageMedia struct {
	Path     string `json:"path"`
	MIME     string `json:"mimetype"`
	Filename string `json:"filename"`
	Size     int64  `json:"size"`
}

type deliveryInfo struct {
	Delivered      map[string]int64 `json:"delivered"`
	Read           map[string]int64 `json:"read"`
	Pending        []string         `json:"pending"`
	DeliveredCount int              `json:"delivered_count"`
	ReadCount      int              `json:"read_count"`
}

// pollResults are votes: option → voter → time, or voter → option → time under
// Wire.PollsByVoter. Null for what is not a poll.
type pollResults map[string]map[string]string

// statusWord is the status of the documented status API.
func (e *engine) statusWord(j *job, now int64) (word, description string) {
	switch j.phase(now) {
	case phaseWaiting:
		return "queued", "Waiting to be processed."
	case phaseDelayed:
		if j.tries > 0 {
			return "queued", "Waiting to be retried."
		}
		return "queued", "Scheduled."
	case phaseActive:
		if e.cfg.Wire.ProcessingWord {
			return "processing", "Being sent."
		}
		return "sending", "Being sent."
	case phaseFailed:
		return "failed", j.fate.Reason.String()
	case phaseSent:
		return "sent", "Successfully submitted."
	case phaseDelivered:
		return "delivered", "Delivered to recipient."
	case phaseRead:
		return "read", "Read by recipient."
	}
	return "", ""
}

func (e *engine) messageID(j *job) string {
	id := "true_" + canonicalChat(j.chat) + "_" + e.uniqueID(j)
	if j.group() {
		id += "_" + j.line.chat()
	}
	return id
}

func (e *engine) uniqueID(j *job) string {
	return e.ids.uniqueID(j.seq, e.cfg.Wire.UniqueID == UniqueIDLong)
}

// chat is the phone's own chat id.
func (l *line) chat() string { return l.phone.Number + "@c.us" }

func (j *job) messageType() string {
	switch {
	case j.more == nil:
	case j.more.Poll != nil:
		return "poll_creation"
	case j.more.Media != nil:
		return j.more.Media.Type
	}
	return "chat"
}

// item is the job as lists show it.
func (e *engine) item(j *job, now int64) statusBody {
	word, description := e.statusWord(j, now)
	out := statusBody{
		QueueID: e.ids.queueID(j.seq), UniqueID: e.uniqueID(j), ChatID: canonicalChat(j.chat), PerformedBy: "api",
		Status: word, Description: description, Attempts: j.attempts(now),
		Message:  statusMessage{Body: j.body, Type: j.messageType()},
		Timeline: timeline{QueuedAt: stamp(j.accepted)},
	}
	if j.more != nil {
		out.Message.QuotedMessageID = j.more.ReplyTo
	}
	switch {
	case j.leftAt == never:
		return out
	case !j.sent():
		out.Timeline.FailedAt = stamp(j.leftAt)
		return out
	}
	out.MessageID = e.messageID(j)
	out.Timeline.SentAt = stamp(j.leftAt)
	if at := j.deliveredAt(); at <= now {
		out.Timeline.DeliveredAt = stamp(at)
	}
	if at := j.readAt(); at <= now {
		out.Timeline.ReadAt = stamp(at)
	}
	return out
}

// status is the job as the status API shows it.
func (e *engine) status(j *job, now int64) statusBody {
	out := e.item(j, now)
	if j.leftAt != never {
		ack, delivered, read := j.ack(now), 0, 0
		if out.Timeline.DeliveredAt != "" {
			delivered = 1
		}
		if out.Timeline.ReadAt != "" {
			read = 1
		}
		out.Ack, out.DeliveredCount, out.ReadCount = &ack, &delivered, &read
	}
	return out
}

// old is the job as the deprecated list shows it.
func (e *engine) old(j *job, now int64) oldJob {
	out := oldJob{
		ID: e.ids.queueID(j.seq), MessageID: e.uniqueID(j), AttemptsMade: int(j.tries), AttemptsStarted: j.attempts(now),
		Added: j.accepted / 1e6, Data: oldJobData{Body: j.body, ChatID: canonicalChat(j.chat)}, Stacktrace: []string{},
	}
	switch j.phase(now) {
	case phaseWaiting:
		out.Status = "waiting"
	case phaseDelayed:
		out.Status = "delayed"
	case phaseActive:
		out.Status = "active"
	case phaseFailed:
		out.Status = "failed"
		out.Stacktrace = append(out.Stacktrace, "Error: "+j.fate.Reason.String())
	case phaseSent, phaseDelivered, phaseRead:
		out.Status = "completed"
	}
	if j.start <= now {
		ms := j.start / 1e6
		out.Processed = &ms
	}
	if j.leftAt != never {
		ms := j.leftAt / 1e6
		out.Finished = &ms
	}
	return out
}

// message is a sent job as a message of its chat.
func (e *engine) message(j *job, now int64, org string) messageBody {
	out := e.messageAt(j, j.ack(now), org)
	if j.ballot != nil {
		out.touched(j.ballot.updated)
	}
	return out
}

// messageAt is the message as it was when it had this ack.
func (e *engine) messageAt(j *job, ack int, org string) messageBody {
	chat, unique, full, queueID, api := canonicalChat(j.chat), e.uniqueID(j), e.messageID(j), e.ids.queueID(j.seq), "api"
	out := messageBody{
		MessageID: full, UniqueID: unique, SentMessageID: &queueID,
		ID:    messageKey{ID: unique, FromMe: true, Remote: chat, Serialized: full},
		OrgID: org, OrgPhone: j.line.chat(), ChatID: chat, From: j.line.chat(), To: chat, SenderPhone: j.line.chat(),
		FromMe: true, MessageType: j.messageType(), Body: j.body, Timestamp: wireTime(j.leftAt),
		Ack: itoa(ack), PerformedBy: &api, MentionedIDs: []string{}, DeviceType: "web", Links: "[]", VCards: []string{},
		DeliveryInfo: deliveryInfo{Delivered: map[string]int64{}, Read: map[string]int64{}, Pending: []string{}},
	}
	info := &out.DeliveryInfo
	if ack >= 3 {
		info.Delivered[chat], info.DeliveredCount = j.deliveredAt()/1e9, 1
		out.touched(j.deliveredAt())
	} else {
		info.Pending = append(info.Pending, chat)
	}
	if ack >= 4 {
		info.Read[chat], info.ReadCount = j.readAt()/1e9, 1
		out.touched(j.readAt())
	}
	if j.more == nil {
		return out
	}
	if j.more.ReplyTo != "" {
		out.QuotedMessageID, out.HasQuotedMsg = &j.more.ReplyTo, true
	}
	if j.more.BroadcastID != "" {
		out.BroadcastID = &j.more.BroadcastID
	}
	if m := j.more.Media; m != nil {
		out.HasMedia = true
		out.Media = &messageMedia{
			Path: "/storage/v1/object/public/message-media/" + unique, MIME: m.MIME, Filename: m.Filename, Size: m.Size,
		}
	}
	if p := j.more.Poll; p != nil {
		out.PollInfo, out.PollResults = p, e.results(j)
	}
	return out
}

// touched notes a change; changes come in order of time.
func (m *messageBody) touched(at int64) {
	when := stamp(at)
	if m.UpdatedAt == nil || *m.UpdatedAt < when {
		m.UpdatedAt = &when
	}
}

// stamp is a time as the API's timelines show it.
func stamp(t int64) string { return time.Unix(0, t).UTC().Format("2006-01-02T15:04:05.000Z") }
