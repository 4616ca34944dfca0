package sandbox

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// sendRequest is the body of POST /message/send. Unknown fields are ignored.
type sendRequest struct {
	ChatID  string       `json:"chat_id"`
	Message string       `json:"message"`
	Media   *sendMedia   `json:"media"`
	Poll    *sendPoll    `json:"poll"`
	ReplyTo string       `json:"reply_to"`
	Options *sendOptions `json:"options"`
}

type sendMedia struct {
	Type     string `json:"type"`
	URL      string `json:"url"`
	FileData string `json:"filedata"`
	Filename string `json:"filename"`
	MIME     string `json:"mimetype"`
}

type sendPoll struct {
	Name    string            `json:"pollName"`
	Options []json.RawMessage `json:"pollOptions"`
	Choice  *pollChoices      `json:"options"`
}

type sendOptions struct {
	HideURLPreview bool `json:"hide_url_preview"`
}

// sendReply is the body of its answer.
type sendReply struct {
	Status   string  `json:"status"`
	QueueID  string  `json:"queue_id,omitempty"`
	Position any     `json:"queue_position"`
	UniqueID string  `json:"unique_id,omitempty"`
	TrackBy  trackBy `json:"track_by"`
	Hint     string  `json:"hint,omitempty"`
}

type trackBy struct {
	UniqueID string `json:"unique_id,omitempty"`
	QueueID  string `json:"queue_id"`
}

// send is POST /message/send: check, meet the faults, queue, answer.
func send(c *call) answer {
	var req sendRequest
	if a, ok := c.decode(&req); !ok {
		return a
	}
	m, a, ok := req.message(c.s.cfg.BodyCap)
	if !ok {
		return a
	}
	if c.s.cfg.Wire.InvalidChatNotFound && !validChat(m.chat) {
		return notFound("Chat not found — no chat with the given chat_id exists for the phone")
	}
	if a, refused := c.magicRefusal(m.chat); refused {
		c.s.stats.refused.Add(1)
		return a
	}
	struck := c.s.faults.pick(RouteSend, m.chat)
	hit := struck.hit
	m.late = struck.late
	c.s.pause(c.r, struck.lag)
	if hit != nil && hit.When == FaultBefore {
		c.misbehave(hit, answer{status: http.StatusOK, body: []byte(`{"status":"queued"}`)})
		return answer{}
	}

	r, err := c.s.engine.accept(c.line, m)
	if errors.Is(err, errPhoneDisconnected) {
		status := c.s.cfg.DisconnectedStatus
		return failure(status, statusCode(status), http.StatusText(status), "Phone is disconnected")
	}
	if err != nil {
		return c.internal(err)
	}
	if hit != nil {
		c.misbehave(hit, c.accepted(r, hit.Kind))
		return answer{}
	}
	return c.magicAnswer(m.chat, c.accepted(r, ""))
}

// accepted is the answer to a queued message, spoiled if a fault says so.
func (c *call) accepted(r receipt, spoil FaultKind) answer {
	switch spoil { //nolint:exhaustive // the others do not change what is said
	case FaultNoQueueID:
		r.queueID = ""
	case FaultRepeatQueueID:
		r.queueID = cmp.Or(r.previous, r.queueID)
	}
	wire := c.s.cfg.Wire
	out := sendReply{
		Status: "queued", QueueID: r.queueID, Position: r.position, UniqueID: r.uniqueID,
		TrackBy: trackBy{
			UniqueID: "GET /messages/" + r.uniqueID + "/status",
			QueueID:  "POST /message/queues?queue_id=" + r.queueID,
		},
	}
	if wire.PositionString {
		out.Position = itoa(r.position)
	}
	if wire.UniqueID == UniqueIDAbsent {
		out.UniqueID, out.TrackBy.UniqueID = "", ""
	}
	if wire.Hint {
		out.Hint = "You can track message status using the fetch jobs api - /queue/jobs?queue_id=" + r.queueID
	}
	return reply(http.StatusOK, out)
}

// magicRefusal is what a magic number gets instead of being accepted.
func (c *call) magicRefusal(chat string) (answer, bool) {
	m, ok := magicFor(chat)
	if !ok {
		return answer{}, false
	}
	switch m.answer {
	case answerReject:
		return invalid("Invalid chat_id", fields{"chat_id": {Message: "chat_id is not a valid WhatsApp id"}}), true
	case answerThrottleOnce:
		if c.s.faults.refuse(chat, 1) {
			a := tooMany(false)
			a.header = map[string]string{"Retry-After": "1"}
			return a, true
		}
	case answerFailTwice:
		if c.s.faults.refuse(chat, 2) {
			return failure(http.StatusInternalServerError, statusCode(500), "Internal Server Error", "Something went wrong"), true
		}
	case answerNormal, answerLost, answerHang:
	}
	return answer{}, false
}

// magicAnswer is what a magic number gets for being accepted.
func (c *call) magicAnswer(chat string, honest answer) answer {
	m, ok := magicFor(chat)
	if !ok {
		return honest
	}
	switch m.answer {
	case answerLost:
		return gateway(http.StatusBadGateway)
	case answerHang:
		c.s.pause(c.r, c.s.cfg.Hang)
		return gateway(http.StatusGatewayTimeout)
	case answerNormal, answerReject, answerThrottleOnce, answerFailTwice:
	}
	return honest
}

// message checks the request and turns it into what the engine queues.
func (r *sendRequest) message(keep int) (message, answer, bool) {
	if r.ChatID == "" {
		return message{}, missing(true, "chat_id"), false
	}
	if r.Message == "" && r.Media == nil && r.Poll == nil {
		return message{}, missing(false, "message", "media", "poll"), false
	}
	m := message{chat: normalChat(r.ChatID), body: r.Message}
	var more extra
	if r.Media != nil {
		media, a, ok := r.Media.check()
		if !ok {
			return message{}, a, false
		}
		more.Media, m.size = media, media.Size
	}
	if r.Poll != nil {
		p, a, ok := r.Poll.check()
		if !ok {
			return message{}, a, false
		}
		more.Poll = p
		m.body = cmp.Or(m.body, p.Name)
	}
	more.ReplyTo = r.ReplyTo
	if len(m.body) > keep {
		more.Hash = textHash(m.body)
		m.body = strings.ToValidUTF8(m.body[:keep], "")
	}
	if more != (extra{}) {
		m.more = &more
	}
	return m, answer{}, true
}

// mediaLimits are WhatsApp's published Cloud API limits, the nearest there is.
var mediaLimits = map[string]int64{"image": 5 << 20, "audio": 16 << 20, "video": 16 << 20, "document": 100 << 20}

// urlMediaSize is assumed for media given by URL, which nobody fetches here.
const urlMediaSize = 512 << 10

func (m *sendMedia) check() (*media, answer, bool) {
	var absent []string
	for _, f := range [][2]string{{"media.type", m.Type}, {"media.filename", m.Filename}, {"media.mimetype", m.MIME}} {
		if f[1] == "" {
			absent = append(absent, f[0])
		}
	}
	if len(absent) > 0 {
		return nil, missing(true, absent...), false
	}
	limit, ok := mediaLimits[m.Type]
	if !ok {
		return nil, invalid("Invalid media type", fields{"media.type": {
			Message: "media.type must be one of document, image, video, audio", Value: m.Type,
		}}), false
	}
	if m.URL == "" && m.FileData == "" {
		return nil, missing(false, "media.url", "media.filedata"), false
	}
	if m.URL != "" && m.FileData != "" {
		return nil, invalid("Invalid body. Only one of the following keys is allowed: media.url, media.filedata",
			fields{"media.filedata": {Message: "media.filedata and media.url exclude each other"}}), false
	}
	out := &media{Type: m.Type, URL: m.URL, Filename: m.Filename, MIME: m.MIME, Size: urlMediaSize}
	if m.URL != "" {
		if u, err := url.Parse(m.URL); err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
			return nil, invalid("Invalid media url", fields{"media.url": {Message: "media.url must be an http or https URL"}}), false
		}
		return out, answer{}, true
	}
	data := m.FileData
	if strings.HasPrefix(data, "data:") {
		_, data, _ = strings.Cut(data, ",")
	}
	size, err := io.Copy(io.Discard, base64.NewDecoder(base64.StdEncoding, strings.NewReader(data)))
	if err != nil || size == 0 {
		return nil, invalid("Invalid media filedata", fields{"media.filedata": {Message: "media.filedata must be base64"}}), false
	}
	if size > limit {
		return nil, failure(http.StatusRequestEntityTooLarge, "PAYLOAD_TOO_LARGE", "Payload Too Large", "media is too large"), false
	}
	out.Size = size
	return out, answer{}, true
}

func (p *sendPoll) check() (*poll, answer, bool) {
	if p.Name == "" {
		return nil, missing(true, "poll.pollName"), false
	}
	bad := func(why string) (*poll, answer, bool) {
		return nil, invalid("Invalid poll", fields{"poll.pollOptions": {Message: why}}), false
	}
	if len(p.Options) < 2 || len(p.Options) > 12 {
		return bad("poll.pollOptions must have 2 to 12 options")
	}
	out := &poll{Name: p.Name, Choice: p.Choice}
	for _, raw := range p.Options {
		var option string
		if json.Unmarshal(raw, &option) != nil || option == "" {
			return bad("poll.pollOptions must be strings")
		}
		out.Options = append(out.Options, option)
	}
	return out, answer{}, true
}

// textHash is the hash of a message text in the acceptance log.
func textHash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// broadcastRequest is the body of POST /message/broadcast.
type broadcastRequest struct {
	ChatIDs     []string   `json:"chat_ids"`
	Message     string     `json:"message"`
	Delay       *float64   `json:"delay"` // seconds between messages, default 1
	ScheduledAt *time.Time `json:"scheduled_at"`
	Variables   []struct {
		ChatID string            `json:"chat_id"`
		Values map[string]string `json:"values"`
	} `json:"variables"`
	Media   *sendMedia `json:"media"`
	Poll    *sendPoll  `json:"poll"`
	ReplyTo string     `json:"reply_to"`
}

// broadcast is POST /message/broadcast: one job per chat, spread out by delay.
// The placeholder {{name}} is an assumption.
func broadcast(c *call) answer {
	var req broadcastRequest
	if a, ok := c.decode(&req); !ok {
		return a
	}
	if len(req.ChatIDs) == 0 {
		return missing(true, "chat_ids")
	}
	values := map[string]map[string]string{}
	for _, v := range req.Variables {
		values[normalChat(v.ChatID)] = v.Values
	}
	id := c.s.engine.broadcastID()
	queue := make([]message, 0, len(req.ChatIDs))
	for i, chat := range req.ChatIDs {
		text := req.Message
		for name, value := range values[normalChat(chat)] {
			text = strings.ReplaceAll(text, "{{"+name+"}}", value)
		}
		one := sendRequest{ChatID: chat, Message: text, Media: req.Media, Poll: req.Poll, ReplyTo: req.ReplyTo}
		m, a, ok := one.message(c.s.cfg.BodyCap)
		if !ok {
			return a
		}
		if m.more == nil {
			m.more = &extra{}
		}
		m.more.BroadcastID = id
		m.wait = req.wait(i, c)
		queue = append(queue, m)
	}
	for _, m := range queue {
		if _, err := c.s.engine.accept(c.line, m); err != nil {
			return c.internal(err)
		}
	}
	return reply(http.StatusOK, map[string]string{"broadcast_id": id})
}

// wait is how long the i-th message of a broadcast waits before its turn.
func (r *broadcastRequest) wait(i int, c *call) time.Duration {
	gap := 1.0
	if r.Delay != nil {
		gap = max(0, *r.Delay)
	}
	d := time.Duration(gap * float64(i) * float64(time.Second))
	if r.ScheduledAt != nil {
		d += max(0, r.ScheduledAt.Sub(c.now))
	}
	return time.Duration(float64(d) * c.s.cfg.scale())
}
