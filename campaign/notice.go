package campaign

import "time"

// Notice is an outgoing webhook message: written in the transaction that
// changes what it tells of, delivered until its receiver has it. Receivers drop
// repeats by ID (Standard Webhooks, "webhook-id").
type Notice struct {
	ID       string // msg_…; the same at each attempt
	Campaign ID
	URL      string
	Kind     NoticeKind
	Body     []byte // JSON
	Created  time.Time
	Attempts int // made so far
}

// NoticeKind is the type of a notice.
type NoticeKind string

// The kinds. Fields of the bodies are documented in docs/notices.md.
const (
	NoticeCampaign NoticeKind = "campaign.state_changed"
	NoticeMessage  NoticeKind = "message.status_changed"
	NoticeReply    NoticeKind = "message.replied"
	NoticeOptOut   NoticeKind = "recipient.opted_out"
)

// Delivered is what one attempt to deliver a notice came to.
type Delivered struct {
	ID     string
	Done   bool      // the receiver has it, or it is given up
	Failed string    // why it was not taken; no body, no secret, ≤ 200 bytes
	Next   time.Time // when to try again, unless done
}
