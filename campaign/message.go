package campaign

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
)

// Kind is the kind of a message.
type Kind string

// The kinds.
const (
	KindText  Kind = "text"
	KindMedia Kind = "media"
	KindPoll  Kind = "poll"
)

// Message is what one recipient gets, rendered and frozen. Exactly one of
// Media and Poll may be set; Text is the body, or the caption of Media. It
// masks itself when logged.
type Message struct {
	Text        string `json:"text,omitempty"`
	Media       *Media `json:"media,omitempty"`
	Poll        *Poll  `json:"poll,omitempty"`
	ReplyTo     string `json:"reply_to,omitempty"`     // message id quoted, in the same chat
	HidePreview bool   `json:"hide_preview,omitempty"` // options.hide_url_preview
}

// MediaType is one of the four the API knows.
type MediaType string

// The media types (dossier §4.1).
const (
	MediaDocument MediaType = "document"
	MediaImage    MediaType = "image"
	MediaVideo    MediaType = "video"
	MediaAudio    MediaType = "audio"
)

// Media is an attachment: either URL, which the provider fetches, or Hash, a
// local file kept under its content hash until it is sent as base64.
type Media struct {
	Type     MediaType `json:"type"`
	URL      string    `json:"url,omitempty"`
	Hash     string    `json:"hash,omitempty"` // lower-case hex SHA-256 of the file
	Filename string    `json:"filename"`
	MIME     string    `json:"mime"`
	Size     int64     `json:"size,omitempty"` // bytes, known for files only
}

// Poll is a question with 2 to 12 options. PollID is minted once per campaign
// and shared by every copy, so that the votes add up.
type Poll struct {
	Question string   `json:"question"`
	Options  []string `json:"options"`
	Multiple bool     `json:"multiple,omitempty"`
	PollID   string   `json:"poll_id"`
}

// Kind is the kind of the message.
func (m Message) Kind() Kind { return kindOfParts(m.Poll != nil, m.Media != nil) }

func kindOfParts(poll, media bool) Kind {
	switch {
	case poll:
		return KindPoll
	case media:
		return KindMedia
	default:
		return KindText
	}
}

// Hash is the lower-case hex SHA-256 over the message's canonical JSON. The
// intent records it, so that what was promised and what was sent can be
// compared.
func (m Message) Hash() string {
	// A struct of strings, bools and pointers to such cannot fail to marshal.
	b, err := json.Marshal(m)
	if err != nil {
		panic(fmt.Sprintf("campaign: marshal message: %v", err))
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// String says what the message is, never what it says.
func (m Message) String() string {
	return fmt.Sprintf("%s message, %d bytes of text", m.Kind(), len(m.Text))
}

// GoString keeps %#v from printing the body.
func (m Message) GoString() string { return "campaign.Message(" + m.String() + ")" }

// LogValue keeps structured logs from carrying the body.
func (m Message) LogValue() slog.Value { return slog.StringValue(m.String()) }
