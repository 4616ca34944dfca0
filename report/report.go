package report

import (
	"time"

	"github.com/herald-campaigns/herald/campaign"
)

// SchemaVersion is the version of the JSON form. Fields are added under the
// same version; it changes only when one is removed or changes its meaning.
const SchemaVersion = 1

// Report is what can be said of a campaign at one instant. Its JSON form is a
// contract (docs/cli-json.md); times are UTC, durations milliseconds, shares
// fractions of 1. A time that is not known is absent.
type Report struct {
	SchemaVersion int    `json:"schema_version"`
	Header        Header `json:"campaign"`

	GeneratedAt time.Time `json:"generated_at"`
	TimeZone    string    `json:"time_zone"` // of the text form, by its IANA name or as "UTC+05:30"; JSON is UTC

	// Quick says that the rows were not read: failures have no groups or
	// examples, and timing, senders and lists of rows are missing.
	Quick       bool     `json:"quick"`
	Provisional bool     `json:"provisional"`
	Because     []string `json:"provisional_because"` // for people
	// SettlingUntil is how long receipts are waited for; absent when nothing is,
	// and in a quick report, which does not know the last acceptance.
	SettlingUntil time.Time `json:"settling_until,omitzero"`
	// Fingerprint tells whether anything happened since (Options.Fingerprint).
	Fingerprint string `json:"fingerprint,omitempty"`

	Verdict    string `json:"verdict"` // for people
	Rows       int64  `json:"rows"`
	Recipients int64  `json:"recipients"` // rows that were not skipped
	Balanced   bool   `json:"balanced"`

	Balance    Balance          `json:"balance"`
	Skipped    Skipped          `json:"skipped"`
	Canceled   Canceled         `json:"canceled"`
	Funnel     []Step           `json:"funnel"`
	Failures   Failures         `json:"failures"`
	Unknown    Unknown          `json:"unknown"`
	Duplicates Duplicates       `json:"duplicates"`
	Engagement Engagement       `json:"engagement"`
	Poll       *Poll            `json:"poll,omitempty"`     // nil: quick, or no poll
	Variants   *Variants        `json:"variants,omitempty"` // nil: quick, or one message for all
	Segments   []Segment        `json:"segments"`
	Timing     *Timing          `json:"timing,omitempty"` // nil: quick, or nothing was accepted
	Series     *Series          `json:"series,omitempty"` // nil as Timing
	Waits      []Wait           `json:"waits"`
	Safety     *Safety          `json:"safety,omitempty"` // nil: quick
	Senders    []Sender         `json:"senders"`
	Earlier    []EarlierOne     `json:"earlier"` // up to 3, the latest first
	Timeline   []campaign.Event `json:"timeline"`

	RejectsFile string `json:"rejects_file,omitempty"`

	awaited        int64 // rows of a campaign that is over that the provider is still to be asked about
	location       *time.Location
	message        string // what was sent, in the words of people
	asks           bool   // it is a poll, or one of its variants is
	headline, rest string // of the verdict
}

// Header says which campaign the report is about.
type Header struct {
	ID          campaign.ID          `json:"id"`
	Name        string               `json:"name"`
	Mode        campaign.Mode        `json:"mode"`
	State       campaign.State       `json:"state"`
	PauseReason campaign.PauseReason `json:"pause_reason,omitempty"`
	PauseDetail string               `json:"pause_detail,omitempty"`
	Senders     []string             `json:"senders"` // masked
	Message     MessageInfo          `json:"message"`
	Sources     []SourceInfo         `json:"sources"`
	CreatedAt   time.Time            `json:"created_at,omitzero"`
	StartAt     time.Time            `json:"start_at,omitzero"` // when it may start
	StartedAt   time.Time            `json:"started_at,omitzero"`
	FinishedAt  time.Time            `json:"finished_at,omitzero"`
}

// MessageInfo says which message was sent, never what it says.
type MessageInfo struct {
	Kind  campaign.Kind      `json:"kind"` // with variants, of the first
	Media campaign.MediaType `json:"media,omitempty"`
	Hash  string             `json:"hash"` // hex SHA-256 over the template
}

// SourceInfo is one recipients file that was read.
type SourceInfo struct {
	Import   int       `json:"import"`
	File     string    `json:"file"`
	SHA256   string    `json:"sha256"`
	Rows     int64     `json:"rows"`
	Complete bool      `json:"complete"`
	At       time.Time `json:"at,omitzero"`
}

// Balance is the sum that must come out: every row of the files has exactly
// one line in the ledger.
type Balance struct {
	ByStatus   map[campaign.Status]int64 `json:"by_status"` // every status, zero or not
	Waiting    int64                     `json:"waiting"`   // pending and staged
	InLedger   int64                     `json:"in_ledger"`
	RowsInFile int64                     `json:"rows_in_file"`
	Mismatch   *Mismatch                 `json:"mismatch,omitempty"` // nil: it adds up
}

// Mismatch says what is wrong with books that do not balance, as far as the
// rows themselves can tell. The lists are cut at 20.
type Mismatch struct {
	Missing      []Gap         `json:"missing"`
	MissingRows  int64         `json:"missing_rows"`
	Doubled      []Line        `json:"doubled"`
	DoubledRows  int64         `json:"doubled_rows"`
	Surplus      []Line        `json:"surplus"` // beyond the last row of the files
	SurplusRows  int64         `json:"surplus_rows"`
	Counters     []CounterDiff `json:"counters"`
	Explanations []string      `json:"explanations"` // for people
}

// Gap is a run of rows that the ledger has not.
type Gap struct {
	FromSeq    int64  `json:"from_seq"`
	ToSeq      int64  `json:"to_seq"`
	Import     int    `json:"import"`
	File       string `json:"file"`
	AfterLine  int64  `json:"after_line,omitempty"`  // the last line before the gap that is there
	BeforeLine int64  `json:"before_line,omitempty"` // the first line after it
}

// CounterDiff is a counter that does not agree with the rows it counts.
type CounterDiff struct {
	Counter string `json:"counter"` // status, skipped, failed or answer
	Name    string `json:"name"`
	Kept    int64  `json:"kept"`
	Rows    int64  `json:"rows"`
}

// Skipped are the rows that nobody was sent to.
type Skipped struct {
	Total    int64                         `json:"total"`
	ByReason map[campaign.SkipReason]int64 `json:"by_reason"` // every reason, zero or not
}

// Canceled are the recipients whose message was stopped before it went out.
type Canceled struct {
	Total int64 `json:"total"`
	// Withdrawn counts those of them that the provider had accepted, and that were
	// taken back out of its queue: they count as canceled, and nowhere as
	// accepted. Absent in a quick report.
	Withdrawn *int64 `json:"withdrawn,omitempty"`
}

// Step is one step of the funnel.
type Step struct {
	Step         string   `json:"step"` // accepted, sent, delivered, read or replied
	Count        int64    `json:"count"`
	Previous     string   `json:"previous"`      // the step OfPrevious is a share of
	OfPrevious   *float64 `json:"of_previous"`   // null when the step before is empty
	OfRecipients *float64 `json:"of_recipients"` // null without recipients
	Definition   string   `json:"definition"`
}

// Failures are the recipients who will not get the message.
type Failures struct {
	Total      int64                         `json:"total"`
	Retryable  *int64                        `json:"retryable,omitempty"` // absent in a quick report
	ByReason   map[campaign.FailReason]int64 `json:"by_reason"`           // every reason, zero or not
	Groups     []FailureGroup                `json:"groups"`              // most frequent first
	MoreGroups bool                          `json:"more_groups"`         // rare details share one group per reason
	// RetryCommand sends those again that can be retried; "" when none can.
	RetryCommand string `json:"retry_command,omitempty"`
}

// FailureGroup are failures with the same reason and detail.
type FailureGroup struct {
	Reason    campaign.FailReason `json:"reason"`
	Class     campaign.FailClass  `json:"class"`
	Retryable bool                `json:"retryable"`
	Detail    string              `json:"detail"` // long digit runs replaced by <number>
	Count     int64               `json:"count"`
	Share     float64             `json:"share"`    // of all failures
	Examples  []Line              `json:"examples"` // up to 3
	Meaning   string              `json:"meaning"`
	Advice    string              `json:"advice"`
}

// Line points at a row a person can find in the file.
type Line struct {
	Seq    int64     `json:"seq"`
	Import int       `json:"import"`
	Line   int64     `json:"line"`
	Chat   string    `json:"chat,omitempty"`   // masked
	Since  time.Time `json:"since,omitzero"`   // of an unknown: when the call was begun
	Detail string    `json:"detail,omitempty"` // long digit runs replaced by <number>

	State Uncertainty `json:"state,omitempty"` // of an unknown
}

// Lines is a count with its first rows.
type Lines struct {
	Total int64  `json:"total"`
	Rows  []Line `json:"rows"`
}

// Unknown are the rows of which nobody knows whether they were sent. The counts
// apart from the total are absent in a quick report.
type Unknown struct {
	Lines
	Searching      *int64 `json:"searching,omitempty"`
	Unresolved     *int64 `json:"unresolved,omitempty"`
	AssumedSent    *int64 `json:"assumed_sent,omitempty"`
	UnresolvedRows []Line `json:"unresolved_rows"` // the first 20: a person has to decide

	kinds map[Uncertainty]Lines
}

// Duplicates are the rows skipped because an earlier one has the same chat.
type Duplicates struct {
	Total int64       `json:"total"`
	Rows  []Duplicate `json:"rows"` // the first 5
}

// Duplicate is one such row with the line of the earlier one.
type Duplicate struct {
	Line
	OtherLine int64 `json:"other_line,omitempty"` // 0: the ledger does not say
}

// Timing says how long things took, of what was accepted and not taken back.
type Timing struct {
	FirstAcceptedAt   time.Time `json:"first_accepted_at"`
	LastAcceptedAt    time.Time `json:"last_accepted_at"`
	SendingMS         int64     `json:"sending_ms"`          // first send call to last acceptance
	AcceptedPerSecond float64   `json:"accepted_per_second"` // over SendingMS, pauses included
	PeakPerMinute     int64     `json:"peak_per_minute"`     // accepted in the densest clock minute
	PeakAt            time.Time `json:"peak_at"`             // its start
	Call              *Spread   `json:"call,omitempty"`      // from the intent to the provider's answer, of accepted calls
	ToSent            *Spread   `json:"to_sent,omitempty"`   // from acceptance
	ToDelivered       *Spread   `json:"to_delivered,omitempty"`
	ToRead            *Spread   `json:"to_read,omitempty"`
}

// Spread is the distribution of a duration over the messages for which it is
// known. The percentiles are within 2 %.
type Spread struct {
	Messages int64 `json:"messages"`
	P50MS    int64 `json:"p50_ms"`
	P95MS    int64 `json:"p95_ms"`
	P99MS    int64 `json:"p99_ms"`
	MaxMS    int64 `json:"max_ms"`
}

// Sender is what one phone sent.
type Sender struct {
	ID        campaign.SenderID `json:"id"`
	Phone     string            `json:"phone,omitempty"` // masked
	Rows      int64             `json:"rows"`            // assigned to it, not skipped
	Accepted  int64             `json:"accepted"`
	Delivered int64             `json:"delivered"` // or read
	Read      int64             `json:"read"`
	Replied   int64             `json:"replied"`
	OptedOut  int64             `json:"opted_out"`
	Failed    int64             `json:"failed"`
	Unknown   int64             `json:"unknown"`
	Waiting   int64             `json:"waiting"`
}

// EarlierOne is what became of an earlier campaign, to compare with.
type EarlierOne struct {
	ID        campaign.ID `json:"id"`
	Name      string      `json:"name"`
	StartedAt time.Time   `json:"started_at,omitzero"`
	SameList  bool        `json:"same_list"` // it read the same recipients file
	Outcome
}
