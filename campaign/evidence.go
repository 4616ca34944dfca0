package campaign

import "time"

// EvidenceSource says where evidence came from.
type EvidenceSource string

// The sources.
const (
	EvidenceSend     EvidenceSource = "send"     // the send response itself
	EvidencePoll     EvidenceSource = "poll"     // GET /message/{unique_id}/status
	EvidenceJobs     EvidenceSource = "jobs"     // POST /message/queues
	EvidenceMessages EvidenceSource = "messages" // GET /chats/{chat_id}/messages
	EvidenceWebhook  EvidenceSource = "webhook"
	EvidenceSweep    EvidenceSource = "sweep" // GET /chats/messages: comes by itself, as a webhook does
)

// Evidence is anything that tells a message's status. Folding it into the
// ledger takes the higher-ranked status (Status.Merge) and the earliest time
// of each, so order and repeats cannot change the result.
type Evidence struct {
	Campaign ID
	Seq      int64
	Source   EvidenceSource

	Status    Status // queued, processing, sent, delivered, read, failed; "" when nothing was learned
	MessageID string // the final id, once known
	Detail    string // status_description; for failed, the provider's reason
	// FailClass says of failed whether trying again later can help; "" is
	// FailPermanent. Once something said that it can, it does.
	FailClass FailClass

	SentAt      time.Time
	DeliveredAt time.Time
	ReadAt      time.Time
	FailedAt    time.Time
}

// Tracked is an accepted message whose status is due to be asked for.
type Tracked struct {
	Campaign ID
	Seq      int64
	Sender   Sender
	Chat     ChatID // may be empty where only the ids matter
	QueueID  string
	UniqueID string // may be empty: then only the job list can tell
	Status   Status
	QueuedAt time.Time
	Polls    int // how often it was asked for already; of one that was taken back, its Recall
}
