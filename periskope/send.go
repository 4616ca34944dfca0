package periskope

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
)

// MediaType is one of the four kinds of attachment (send-message page).
type MediaType string

// The media types.
const (
	MediaDocument MediaType = "document"
	MediaImage    MediaType = "image"
	MediaVideo    MediaType = "video"
	MediaAudio    MediaType = "audio"
)

// SendRequest is one message to one chat. At least one of Message, Media and
// Poll is needed. It does not print its texts.
type SendRequest struct {
	ChatID         string // "<digits>@c.us", bare digits, or "…@g.us" for a group
	Message        string // the text, or the caption of Media
	Media          *Media
	Poll           *Poll
	ReplyTo        string // id of a message in the same chat to quote
	HideURLPreview bool

	// Begin, if not nil, is asked once, right before the first byte of the
	// message leaves: a connection is there then, and its headers may be on the
	// way. An error keeps the message from leaving, now and later, and comes
	// back in a *TransportError of StageNotSent. What allows it may still be
	// followed by a system call that waits, and by a full send window. With it,
	// a call that has not begun within 4 s is not made. It must not block.
	Begin func() error
}

// Media is an attachment; exactly one of URL, FileData and File.
type Media struct {
	Type     MediaType
	URL      string // fetched by the provider, possibly later
	FileData []byte // the file itself, sent as base64
	// File is the file as a stream of exactly Size bytes, encoded while it is
	// sent, so that a large file is never in memory. Send closes it, whatever
	// comes.
	File     io.ReadCloser
	Size     int64
	Filename string // required
	MIMEType string // required
}

// Poll is a question with at least two options.
type Poll struct {
	Name                 string
	Options              []string
	AllowMultipleAnswers bool
	PollID               string // shared by copies of one poll, so that votes add up
}

// String says what is sent, never the text or the number.
func (r SendRequest) String() string {
	kind := "text"
	switch {
	case r.Poll != nil:
		kind = "poll"
	case r.Media != nil:
		kind = "media"
	}
	return fmt.Sprintf("%s message to %s", kind, MaskNumbers(digitsOf(r.ChatID)))
}

// GoString keeps %#v from printing the text and the number.
func (r SendRequest) GoString() string { return r.String() }

// LogValue keeps structured logs from carrying the text and the number.
func (r SendRequest) LogValue() slog.Value { return slog.StringValue(r.String()) }

// SendResponse says that the provider took the message into its queue. It
// says nothing of delivery.
type SendResponse struct {
	Status        string // the provider's word, "queued"
	QueueID       string // never empty
	UniqueID      string // provisional message id; may be empty
	QueuePosition FlexInt
	Meta          Meta
}

// Send queues a message (POST /message/send). There is no idempotency key: a
// second Send is a second message. Errors: *ArgumentError, nothing was sent;
// *TransportError, see its Stage; *APIError, any status but 2xx;
// *ResponseError, a 2xx answer without a queue id. With the last, and with
// StageMaybeSent, the message may have been taken.
func (c *Client) Send(ctx context.Context, phone string, r SendRequest) (SendResponse, error) {
	const op = "send"
	if err := errors.Join(needPhone(op, phone), r.validate(op)); err != nil {
		r.Media.closeFile()
		return SendResponse{}, err
	}
	call := call{op: op, method: http.MethodPost, url: c.sendURL, phone: phone, limit: maxSendAnswer, own: r.texts(), begin: r.Begin}
	body, err := c.encode(r)
	if err != nil {
		r.Media.closeFile()
		return SendResponse{}, &ArgumentError{Op: op, Name: "message", What: "cannot be written as JSON"}
	}
	call.body = body
	if r.Media != nil && r.Media.File != nil {
		call.upload = newUpload(body, r.Media)
	}
	a, err := c.do(ctx, call)
	if err != nil {
		return SendResponse{}, err
	}
	defer c.release(a)
	return decodeSend(op, a)
}

// wireSend is the answer to a send (dossier §4.2). track_by and hint are
// opaque and not needed.
type wireSend struct {
	Status        string  `json:"status"`
	QueueID       string  `json:"queue_id"`
	UniqueID      string  `json:"unique_id"`
	QueuePosition FlexInt `json:"queue_position"`
}

// decodeSend takes an answer for an acceptance only if it is whole JSON that
// names a job. That the connection broke after such a body does not matter.
func decodeSend(op string, a *answer) (SendResponse, error) {
	var wire wireSend
	err := decode(a.body.Bytes(), &wire)
	if err != nil || a.long {
		if err := a.unusable(op, err); err != nil {
			return SendResponse{}, err
		}
	}
	if !plausibleID(wire.QueueID) {
		return SendResponse{}, &ResponseError{Op: op, Status: a.HTTPStatus, Reason: ReasonNoQueueID, Meta: a.Meta}
	}
	if !plausibleID(wire.UniqueID) {
		wire.UniqueID = ""
	}
	if !isCode(wire.Status) {
		wire.Status = ""
	}
	return SendResponse{
		Status:        wire.Status,
		QueueID:       wire.QueueID,
		UniqueID:      wire.UniqueID,
		QueuePosition: wire.QueuePosition,
		Meta:          a.Meta,
	}, nil
}

// plausibleID accepts any short visible ASCII: a UUID, a message id, and
// whatever may replace them.
func plausibleID(id string) bool {
	for i := range len(id) {
		if id[i] <= ' ' || id[i] >= 0x7f {
			return false
		}
	}
	return id != "" && len(id) <= 256
}

func (r SendRequest) validate(op string) error {
	refuse := func(name, what string) error { return &ArgumentError{Op: op, Name: name, What: what} }
	number, suffix, _ := strings.Cut(r.ChatID, "@")
	switch {
	case number == "":
		return refuse("chat_id", "is empty")
	case suffix != "" && suffix != "c.us" && suffix != "g.us":
		return refuse("chat_id", "must end in @c.us or @g.us")
	case suffix != "g.us" && strings.Trim(number, "0123456789") != "":
		return refuse("chat_id", "must be digits with the country code")
	case r.Message == "" && r.Media == nil && r.Poll == nil:
		return refuse("message", "one of message, media and poll is needed")
	case r.Poll != nil && (r.Message != "" || r.Media != nil):
		return refuse("poll", "cannot be combined with message or media")
	case r.Poll != nil && (r.Poll.Name == "" || len(r.Poll.Options) < 2):
		return refuse("poll", "needs a question and at least two options")
	case r.Media != nil:
		return r.Media.validate(refuse)
	}
	return nil
}

func (m *Media) validate(refuse func(name, what string) error) error {
	sources := 0
	for _, given := range []bool{m.URL != "", m.FileData != nil, m.File != nil} {
		if given {
			sources++
		}
	}
	switch m.Type {
	case MediaDocument, MediaImage, MediaVideo, MediaAudio:
	default:
		return refuse("media.type", "must be document, image, video or audio")
	}
	switch {
	case sources != 1:
		return refuse("media", "needs exactly one of a URL and a file")
	case m.FileData != nil && len(m.FileData) == 0, m.File != nil && m.Size <= 0:
		return refuse("media.filedata", "is empty")
	case m.Filename == "":
		return refuse("media.filename", "is empty")
	case m.MIMEType == "":
		return refuse("media.mimetype", "is empty")
	}
	return nil
}

// closeFile closes the file of a request that will not be sent.
func (m *Media) closeFile() {
	if m != nil && m.File != nil {
		_ = m.File.Close()
	}
}

// texts are the parts of the request that no error may repeat.
func (r SendRequest) texts() []string {
	if r.Media == nil && r.Poll == nil {
		return []string{r.Message}
	}
	texts := []string{r.Message}
	if r.Media != nil {
		texts = append(texts, r.Media.URL, r.Media.Filename)
	}
	if r.Poll != nil {
		texts = append(texts, r.Poll.Name)
		texts = append(texts, r.Poll.Options...)
	}
	return texts
}

// The wire form of SendRequest (dossier §4.1). FileData is the last field of
// the last field, so that a file can be streamed into its place: see upload.
type (
	wireRequest struct {
		ChatID  string       `json:"chat_id"`
		Message string       `json:"message,omitempty"`
		Poll    *wirePoll    `json:"poll,omitempty"`
		ReplyTo string       `json:"reply_to,omitempty"`
		Options *wireOptions `json:"options,omitempty"`
		Media   *wireMedia   `json:"media,omitempty"`
	}
	wireOptions struct {
		HideURLPreview bool `json:"hide_url_preview"`
	}
	wirePoll struct {
		Name    string          `json:"pollName"`
		Options []string        `json:"pollOptions"`
		Extra   wirePollOptions `json:"options"`
	}
	wirePollOptions struct {
		AllowMultipleAnswers bool   `json:"allowMultipleAnswers"`
		PollID               string `json:"pollId,omitempty"`
	}
	wireMedia struct {
		Type     MediaType `json:"type"`
		Filename string    `json:"filename"`
		MIMEType string    `json:"mimetype"`
		URL      string    `json:"url,omitempty"`
		FileData *[]byte   `json:"filedata,omitempty"` // encoding/json writes bare base64
	}
)

// encoder is a JSON encoder with the buffer it writes to.
type encoder struct {
	buf bytes.Buffer
	enc *json.Encoder
}

func newEncoder() *encoder {
	e := new(encoder)
	e.enc = json.NewEncoder(&e.buf)
	e.enc.SetEscapeHTML(false) // an "&" in a link stays one byte
	return e
}

// encode writes the request once, into memory of its own: the transport may
// read it after the call returned.
func (c *Client) encode(r SendRequest) ([]byte, error) {
	wire := wireRequest{ChatID: r.ChatID, Message: r.Message, ReplyTo: r.ReplyTo}
	if r.HideURLPreview {
		wire.Options = &wireOptions{HideURLPreview: true}
	}
	if p := r.Poll; p != nil {
		wire.Poll = &wirePoll{Name: p.Name, Options: p.Options, Extra: wirePollOptions{p.AllowMultipleAnswers, p.PollID}}
	}
	if m := r.Media; m != nil {
		wire.Media = &wireMedia{Type: m.Type, Filename: m.Filename, MIMEType: m.MIMEType, URL: m.URL}
		switch {
		case m.File != nil:
			wire.Media.FileData = new([]byte{})
		case m.FileData != nil:
			wire.Media.FileData = &m.FileData
		}
	}
	e, _ := c.encoders.Get().(*encoder)
	e.buf.Reset()
	err := e.enc.Encode(&wire)
	body := bytes.Clone(bytes.TrimRight(e.buf.Bytes(), "\n"))
	if e.buf.Cap() <= maxSendAnswer {
		c.encoders.Put(e)
	}
	return body, err
}

// uploadTail ends the JSON of a request with a file, right after the file.
const uploadTail = `"}}`

// upload is a request body with a file streamed into it as base64.
type upload struct {
	io.Reader

	file   io.Closer
	length int64 // of the whole body
}

func newUpload(body []byte, m *Media) *upload {
	encoded := (m.Size + 2) / 3 * 4
	return &upload{
		Reader: io.MultiReader(
			bytes.NewReader(bytes.TrimSuffix(body, []byte(uploadTail))),
			newBase64Reader(m.File),
			strings.NewReader(uploadTail),
		),
		file:   m.File,
		length: int64(len(body)) + encoded,
	}
}

// Close closes the file.
func (u *upload) Close() error { return u.file.Close() }

// abandon closes the file of an upload that will not begin. A nil upload has
// none.
func (u *upload) abandon() {
	if u != nil {
		_ = u.file.Close()
	}
}

// base64Reader encodes what it reads. (encoding/base64 has a writer only.)
type base64Reader struct {
	src  io.Reader
	raw  []byte // a multiple of 3, so that only the end is padded
	text []byte
	rest []byte // part of text not yet read
	err  error
}

func newBase64Reader(src io.Reader) *base64Reader {
	raw := make([]byte, 24<<10)
	return &base64Reader{src: src, raw: raw, text: make([]byte, base64.StdEncoding.EncodedLen(len(raw)))}
}

func (r *base64Reader) Read(p []byte) (int, error) {
	for len(r.rest) == 0 {
		if r.err != nil {
			return 0, r.err
		}
		n, err := io.ReadFull(r.src, r.raw)
		if err == io.ErrUnexpectedEOF {
			err = io.EOF
		}
		r.err = err
		base64.StdEncoding.Encode(r.text, r.raw[:n])
		r.rest = r.text[:base64.StdEncoding.EncodedLen(n)]
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}
