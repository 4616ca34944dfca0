package campaign

import "time"

// Mode says whether messages go to the built-in simulator or to people. Every
// screen and report says which.
type Mode string

// The modes. A data directory belongs to one.
const (
	ModeSandbox Mode = "sandbox"
	ModeLive    Mode = "live"
)

// Campaign is one broadcast as the ledger keeps it.
type Campaign struct {
	ID     ID
	Name   string
	Mode   Mode
	State  State
	Reason PauseReason // why it is paused
	Detail string      // the reason in words

	Spec   Spec
	PollID string // shared by every copy of a poll, per variant (PollIDOf); "" for other kinds

	// MessageHash and SourceHash tell whether a campaign file still is the one
	// the campaign was made from: hex SHA-256 over the message template (with
	// its local file's content), and over the recipients file with the way it
	// is read.
	MessageHash string
	SourceHash  string

	Imports []Import

	CreatedAt  time.Time
	StartAt    time.Time // when it may start; zero: at once
	StartedAt  time.Time // first moved to running
	FinishedAt time.Time // completed or canceled
}

// Import is one recipients file read into a campaign: the first, or a delta of
// mended rows.
type Import struct {
	Number   int      // 1 is the first
	File     string   // base name as the user gave it
	SHA256   string   // lower-case hex over the bytes read
	Header   []string // as in the file
	Slugs    []string // variable name of each column
	Rows     int64    // data rows read
	Complete bool     // every row is in the ledger
	At       time.Time
}

// Rows is how many data rows were read over all imports.
func (c Campaign) Rows() int64 {
	var n int64
	for _, imp := range c.Imports {
		n += imp.Rows
	}
	return n
}

// RowOf is the row as templates see it: its cells under the variable names of
// the import it came with. Columns without a name (such as a fed-back rejects
// file's own "_reason") are left out.
func (c Campaign) RowOf(r *Recipient) Row {
	row := Row{Seq: r.Seq, Line: r.Line, Chat: r.Chat, Variant: r.Variant}
	row.Fields = RowFields(c.slugsOf(r.Import), r.Record)
	return row
}

func (c Campaign) slugsOf(number int) []string {
	for i := range c.Imports {
		if c.Imports[i].Number == number {
			return c.Imports[i].Slugs
		}
	}
	return nil
}

// Totals are the ledger's counts for one campaign. They are kept in the same
// transaction as the rows, so they are as true as the rows.
type Totals struct {
	ByStatus map[Status]int64
	Skipped  map[SkipReason]int64
	Failed   map[FailReason]int64

	Replied  int64 // recipients who replied
	OptedOut int64 // recipients who opted out in answer to it
	Voted    int64 // recipients whose vote stands
}

// Sum is the number of ledger lines counted.
func (t Totals) Sum() int64 {
	var n int64
	for _, v := range t.ByStatus {
		n += v
	}
	return n
}

// Waiting is pending and staged together, the way users see them.
func (t Totals) Waiting() int64 { return t.ByStatus[StatusPending] + t.ByStatus[StatusStaged] }

// Accepted is how many messages the provider certainly took: queued or any
// later status, and those the provider failed afterwards.
func (t Totals) Accepted() int64 {
	return t.ByStatus[StatusQueued] + t.ByStatus[StatusProcessing] + t.AtLeastSent() + t.Failed[FailProvider]
}

// AtLeastSent counts sent, delivered and read.
func (t Totals) AtLeastSent() int64 { return t.ByStatus[StatusSent] + t.AtLeastDelivered() }

// AtLeastDelivered counts delivered and read.
func (t Totals) AtLeastDelivered() int64 {
	return t.ByStatus[StatusDelivered] + t.ByStatus[StatusRead]
}

// Unsubmitted counts rows whose send is still to come or under way.
func (t Totals) Unsubmitted() int64 { return t.Waiting() + t.ByStatus[StatusSubmitting] }

// Balanced says whether the counts account for every row of the file
// (design §3, Balance).
func (t Totals) Balanced(rows int64) bool { return t.Sum() == rows }
