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

// NoticeQueue is the notices that wait for one receiver.
type NoticeQueue struct {
	URL  string
	Next time.Time // when the first of them is due
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

// NoticeBody is what is sent: the payload of Standard Webhooks. Fields are only
// ever added.
type NoticeBody struct {
	Type      NoticeKind `json:"type"`
	Timestamp time.Time  `json:"timestamp"` // when the ledger learned of it, UTC
	Data      any        `json:"data"`      // one of the types below
}

// CampaignNotice is the data of a NoticeCampaign.
type CampaignNotice struct {
	CampaignID   ID          `json:"campaign_id"`
	CampaignName string      `json:"campaign_name"`
	Mode         Mode        `json:"mode"`
	From         State       `json:"from"`
	To           State       `json:"to"`
	Reason       PauseReason `json:"reason,omitempty"` // paused
	Detail       string      `json:"detail,omitempty"`
}

// RowNotice names a row in the data of a notice. Chat is the whole address, not
// the masked one: the notice goes to the user's own system, which has to know
// whom it is about.
type RowNotice struct {
	CampaignID   ID     `json:"campaign_id"`
	CampaignName string `json:"campaign_name"`
	Mode         Mode   `json:"mode"`
	Seq          int64  `json:"seq"`
	Line         int64  `json:"line"` // in its recipients file
	Chat         ChatID `json:"chat"`
	QueueID      string `json:"queue_id,omitempty"`
	UniqueID     string `json:"unique_id,omitempty"`
}

// MessageNotice is the data of a NoticeMessage. It has no text of the message.
type MessageNotice struct {
	RowNotice
	Status Status    `json:"status"`
	Reason string    `json:"reason,omitempty"` // failed and skipped: the FailReason or SkipReason
	At     time.Time `json:"at"`               // when it came to that, as far as was told; else when it was learned
}

// ReplyNotice is the data of a NoticeReply. Text is what the recipient wrote.
type ReplyNotice struct {
	RowNotice
	Tie  Tie       `json:"tie"`
	Kind string    `json:"kind"`
	Text string    `json:"text"`
	At   time.Time `json:"at"`
}

// OptOutNotice is the data of a NoticeOptOut.
type OptOutNotice struct {
	RowNotice
	Source ConsentSource `json:"source"`
	Reason string        `json:"reason,omitempty"`
	At     time.Time     `json:"at"`
}

// NoticeCounts says where the notices of a campaign stand.
type NoticeCounts struct {
	Waiting   int64 // not delivered yet
	Delivered int64
	GivenUp   int64
}
