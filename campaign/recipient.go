package campaign

import (
	"context"
	"time"
)

// Row is one record of the recipients file as templates see it.
type Row struct {
	Seq    int64             // 1 is the first data row of the campaign
	Line   int64             // physical line in its file where the record starts
	Chat   ChatID            // "" when the row has no usable address
	Fields map[string]string // variable name (header slug) → cell

	Variant string // name of the variant it gets; "" without variants
}

// Recipient is a line of the ledger: one row of the file and all that is known
// of its message. The import fills the first block, the send path and evidence
// the rest.
type Recipient struct {
	Campaign ID
	Seq      int64    // 1…n in file order, over all imports of the campaign
	Import   int      // which import of the campaign it came with; 1 is the first
	Line     int64    // physical line in that file where the record starts
	Record   []string // the row's own cells, in file order
	Chat     ChatID   // "" when the row has no usable address
	Sender   SenderID // "" when skipped at import

	Status     Status
	SkipReason SkipReason
	FailReason FailReason
	FailClass  FailClass
	Resolution Resolution // of an unknown row
	Detail     string     // for people: the other line of a duplicate, the provider's words

	Gen       int64 // bumped at every hand-over to the stream
	Attempt   int   // calls of the send API begun
	NotBefore time.Time
	StagedAt  time.Time
	ClaimedAt time.Time
	BodyHash  string

	QueueID       string
	UniqueID      string
	MessageID     string
	QueuePosition int64

	QueuedAt    time.Time
	SentAt      time.Time
	DeliveredAt time.Time
	ReadAt      time.Time
	FailedAt    time.Time

	Variant string // name of its variant; "" without variants

	Replies   int       // messages tied to this one
	RepliedAt time.Time // of the first
	Reply     string    // text of the first, cut at 1,000 characters
	Vote      []string  // options its chat has chosen now; of a group, empty
	VotedAt   time.Time // zero: it has not voted, or has withdrawn
	VoteMoves int       // how often the vote was changed or withdrawn, as far as was seen
	OptedOut  time.Time // when its chat opted out in answer to this campaign; zero: it has not
}

// Renderer turns a row into the message its recipient gets. The error, if
// any, is about this row: a *Problem-carrying *InputError.
type Renderer interface {
	Render(ctx context.Context, row Row) (Message, error)
}

// Attempt is one call of the send API, as the ledger keeps it.
type Attempt struct {
	Campaign   ID
	Seq        int64
	Number     int // 1 is the first
	StartedAt  time.Time
	EndedAt    time.Time
	Outcome    OutcomeKind
	HTTPStatus int    // 0 when no response came
	TraceID    string // x-periskope-trace-id
	Detail     string
}
