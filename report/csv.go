package report

import (
	"bytes"
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/herald-campaigns/herald/campaign"
)

// CSVOptions say how the round-trip CSV is written.
type CSVOptions struct {
	// Location is the zone of the times, which are RFC 3339 in any case; nil is
	// UTC.
	Location *time.Location
	// NoBOM leaves out the byte order mark without which Excel takes UTF-8 for
	// the local code page. Programs want it left out.
	NoBOM bool
	// Comma separates the cells; zero is a comma.
	Comma rune
}

func (o CSVOptions) withDefaults() CSVOptions {
	if o.Location == nil {
		o.Location = time.UTC
	}
	if o.Comma == 0 {
		o.Comma = ','
	}
	return o
}

// ownColumns are the columns put behind the user's, without their prefix.
// extra holds the cells of a row that has more than its header, as one line
// of CSV.
func ownColumns() []string {
	return []string{
		"status", "reason", "detail", "sent_at", "delivered_at", "read_at",
		"queue_id", "message_id", "sender", "attempts", "extra", "resolution",
		"variant", "replied_at", "reply", "replies", "vote", "voted_at", "opted_out_at",
	}
}

// WriteCSV writes the user's own file back: the same rows in the same order
// with the same columns, and behind them what became of each row. Rows of
// later imports follow those of the first; columns only they have follow its
// columns. Cells a spreadsheet would run as a formula get an apostrophe in
// front. Memory stays flat.
func WriteCSV(ctx context.Context, w io.Writer, deps Deps, id campaign.ID, opts CSVOptions) error {
	opts = opts.withDefaults()
	if err := deps.validate(false); err != nil {
		return err
	}
	c, err := deps.Campaigns.Campaign(ctx, id)
	if err != nil {
		return fmt.Errorf("read campaign %s: %w", id, err)
	}
	t, err := newTrip(ctx, deps, c, opts.Location)
	if err != nil {
		return err
	}
	if !opts.NoBOM {
		if _, err := io.WriteString(w, "\ufeff"); err != nil {
			return fmt.Errorf("write the CSV: %w", err)
		}
	}
	out := csv.NewWriter(w)
	out.Comma = opts.Comma
	if err := out.Write(t.header()); err != nil {
		return fmt.Errorf("write the CSV: %w", err)
	}
	n := 0
	for r, err := range deps.Rows.Rows(ctx, id) {
		if err != nil {
			return fmt.Errorf("read the rows of %s: %w", id, err)
		}
		if n++; n%1024 == 0 && ctx.Err() != nil {
			return fmt.Errorf("read the rows of %s: %w", id, context.Cause(ctx))
		}
		if err := out.Write(t.record(&r)); err != nil {
			return fmt.Errorf("write the CSV: %w", err)
		}
	}
	out.Flush()
	if err := out.Error(); err != nil {
		return fmt.Errorf("write the CSV: %w", err)
	}
	return nil
}

// trip knows where the cells of each import belong.
type trip struct {
	location *time.Location
	columns  []string      // the user's, over all imports
	places   map[int][]int // import number → column of each of its cells
	phones   map[campaign.SenderID]string
	row      []string // reused
}

func newTrip(ctx context.Context, deps Deps, c campaign.Campaign, location *time.Location) (*trip, error) {
	t := &trip{location: location, places: map[int][]int{}, phones: map[campaign.SenderID]string{}}
	known := map[columnKey]int{}
	for _, imp := range c.Imports {
		seen := map[string]int{}
		places := make([]int, len(imp.Header))
		for i, name := range imp.Header {
			// The variable name tells equal columns apart from different ones,
			// as it does for the message.
			key := columnKey{name: strings.TrimSpace(name)}
			if i < len(imp.Slugs) && imp.Slugs[i] != "" {
				key.name = imp.Slugs[i]
			}
			seen[key.name]++
			key.nth = seen[key.name]
			at, ok := known[key]
			if !ok {
				at = len(t.columns)
				known[key] = at
				t.columns = append(t.columns, name)
			}
			places[i] = at
		}
		t.places[imp.Number] = places
	}
	t.row = make([]string, len(t.columns)+len(ownColumns()))
	if deps.Senders == nil {
		return t, nil
	}
	senders, err := deps.Senders.Senders(ctx, c.ID)
	if err != nil {
		return nil, fmt.Errorf("read the senders of %s: %w", c.ID, err)
	}
	for _, s := range senders {
		t.phones[s.ID] = string(s.Phone)
	}
	return t, nil
}

// columnKey is a column: its name, and which one of that name.
type columnKey struct {
	name string
	nth  int
}

func (t *trip) header() []string {
	row := make([]string, 0, len(t.row))
	for _, name := range t.columns {
		row = append(row, neutralize(name))
	}
	prefix := t.prefix(ownColumns())
	for _, name := range ownColumns() {
		row = append(row, prefix+name)
	}
	return row
}

// prefix is "herald_", or "herald2_" and so on for a file that has such
// columns already: one of our own, mended and imported again. own are the names
// that get it.
func (t *trip) prefix(own []string) string {
	for n := 1; ; n++ {
		prefix := "herald_"
		if n > 1 {
			prefix = fmt.Sprintf("herald%d_", n)
		}
		if !t.taken(prefix, own) {
			return prefix
		}
	}
}

func (t *trip) taken(prefix string, own []string) bool {
	for _, theirs := range t.columns {
		for _, name := range own {
			if strings.EqualFold(strings.TrimSpace(theirs), prefix+name) {
				return true
			}
		}
	}
	return false
}

// record is one line of the output; the slice is valid until the next call.
func (t *trip) record(r *campaign.Recipient) []string {
	clear(t.row)
	over := t.place(r, neutralize)
	own := t.row[len(t.columns):]
	own[0] = statusCode(r.Status)
	own[1] = reasonOf(r)
	own[2] = neutralize(r.Detail)
	own[3] = t.when(r.SentAt)
	own[4] = t.when(r.DeliveredAt)
	own[5] = t.when(r.ReadAt)
	own[6] = neutralize(r.QueueID)
	own[7] = neutralize(r.MessageID)
	own[8] = neutralize(t.sender(r.Sender))
	own[9] = strconv.Itoa(r.Attempt)
	own[10] = neutralize(extra(over))
	own[11] = string(r.Resolution)
	own[12] = neutralize(r.Variant)
	own[13] = t.when(r.RepliedAt)
	own[14] = neutralize(r.Reply)
	own[15] = countOrNone(r.Replies)
	own[16] = neutralize(strings.Join(r.Vote, "; "))
	own[17] = t.when(r.VotedAt)
	own[18] = t.when(r.OptedOut)
	return t.row
}

// place puts the user's own cells where they belong, and gives those for which
// there is no column.
func (t *trip) place(r *campaign.Recipient, change func(string) string) (over []string) {
	places := t.places[r.Import]
	fits := min(len(r.Record), len(places))
	for i, cell := range r.Record[:fits] {
		t.row[places[i]] = change(cell)
	}
	return r.Record[fits:]
}

// countOrNone leaves the cell of those who never did empty.
func countOrNone(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

func reasonOf(r *campaign.Recipient) string {
	if r.SkipReason != "" {
		return string(r.SkipReason)
	}
	return string(r.FailReason)
}

func (t *trip) sender(id campaign.SenderID) string {
	if phone := t.phones[id]; phone != "" {
		return phone
	}
	return string(id)
}

func (t *trip) when(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return at.In(t.location).Format(time.RFC3339)
}

// extra is cells as one line of CSV, "" for none.
func extra(cells []string) string {
	if len(cells) == 0 {
		return ""
	}
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	if err := w.Write(cells); err != nil {
		return strings.Join(cells, ",") // cannot be: a buffer takes everything
	}
	w.Flush()
	return strings.TrimSuffix(b.String(), "\n")
}
