package report

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/xuri/excelize/v2"

	"github.com/herald-campaigns/herald/campaign"
)

// MaxXLSXRows is how many rows a sheet can hold beside its header.
const MaxXLSXRows = 1<<20 - 1

// WriteXLSX writes the report as a workbook: Summary, Recipients (every row as
// in the round-trip CSV, numbers as text), Failures, Poll, Variants, Segments,
// Replies and Timeline, as far as they apply. Times are dates in the zone of
// the report. Cells are written as text or numbers, never as formulas, and text
// stays text when it is edited. Rows are streamed; what does not fit into some
// megabytes waits in temporary files. It fails with more than MaxXLSXRows rows.
func WriteXLSX(ctx context.Context, w io.Writer, r *Report, deps Deps) error {
	if err := deps.validate(false); err != nil {
		return err
	}
	most := r.Balance.InLedger
	if n := r.Engagement.Messages; n != nil {
		most = max(most, *n)
	}
	if most > MaxXLSXRows {
		return &campaign.Error{
			Code: campaign.CodeInvalid,
			What: fmt.Sprintf("%s rows do not fit a sheet of a workbook, which holds %s", comma(most), comma(MaxXLSXRows)),
			Hint: "take --format csv",
		}
	}
	b, err := newWorkbook(r)
	if err != nil {
		return fmt.Errorf("write the workbook: %w", err)
	}
	defer func() { _ = b.file.Close() }() // removes the temporary files
	for _, part := range []func() error{
		b.summary,
		func() error { return b.recipients(ctx, deps) },
		b.failures, b.poll, b.variants, b.segments,
		func() error { return b.replies(ctx, deps) },
		b.timeline,
	} {
		if err := part(); err != nil {
			return fmt.Errorf("write the workbook: %w", err)
		}
	}
	if err := b.file.Write(w); err != nil {
		return fmt.Errorf("write the workbook: %w", err)
	}
	return nil
}

// workbook writes one sheet after the other.
type workbook struct {
	r    *Report
	file *excelize.File

	text, bold, title, date, share, number int // styles

	stream *excelize.StreamWriter // the sheet at hand
	row    int
}

func newWorkbook(r *Report) (*workbook, error) {
	b := &workbook{r: r, file: excelize.NewFile()}
	dates, shares := "yyyy-mm-dd hh:mm:ss", "0.0 %"
	for _, style := range []struct {
		id *int
		excelize.Style
	}{
		{&b.text, excelize.Style{NumFmt: 49}}, // "@": what is typed into it stays text
		{&b.bold, excelize.Style{NumFmt: 49, Font: &excelize.Font{Bold: true}, Fill: excelize.Fill{Type: "pattern", Pattern: 1, Color: []string{"EEF1F4"}}}},
		{&b.title, excelize.Style{NumFmt: 49, Font: &excelize.Font{Bold: true, Size: 14}}},
		{&b.date, excelize.Style{CustomNumFmt: &dates}},
		{&b.share, excelize.Style{CustomNumFmt: &shares}},
		{&b.number, excelize.Style{NumFmt: 3}},
	} {
		id, err := b.file.NewStyle(&style.Style)
		if err != nil {
			return nil, err
		}
		*style.id = id
	}
	return b, nil
}

// sheet begins a sheet whose columns are so many characters wide.
func (b *workbook) sheet(name string, widths ...float64) error {
	if b.stream == nil {
		if err := b.file.SetSheetName("Sheet1", name); err != nil {
			return err
		}
	} else if _, err := b.file.NewSheet(name); err != nil {
		return err
	}
	stream, err := b.file.NewStreamWriter(name)
	if err != nil {
		return err
	}
	b.stream, b.row = stream, 0
	for i, width := range widths {
		if err := stream.SetColWidth(i+1, i+1, width); err != nil {
			return err
		}
	}
	return nil
}

// header writes the names of the columns and keeps them in view.
func (b *workbook) header(names ...string) error {
	b.row++
	cells := make([]any, len(names))
	for i, name := range names {
		cells[i] = excelize.Cell{StyleID: b.bold, Value: name}
	}
	if b.row == 1 {
		panes := &excelize.Panes{Freeze: true, YSplit: 1, TopLeftCell: "A2", ActivePane: "bottomLeft"}
		if err := b.stream.SetPanes(panes); err != nil {
			return err
		}
	}
	return b.stream.SetRow(fmt.Sprintf("A%d", b.row), cells)
}

// ratio is a share of something, shown as percent.
type ratio struct{ n, of int64 }

// heading is text that stands over something.
type heading string

// write writes one row of text, counts, times and shares.
func (b *workbook) write(values ...any) error {
	b.row++
	cells := make([]any, len(values))
	for i, v := range values {
		switch v := v.(type) {
		case string:
			if v != "" {
				cells[i] = excelize.Cell{StyleID: b.text, Value: v}
			}
		case heading:
			cells[i] = excelize.Cell{StyleID: b.title, Value: string(v)}
		case time.Time:
			if !v.IsZero() {
				cells[i] = excelize.Cell{StyleID: b.date, Value: b.local(v)}
			}
		case ratio:
			if v.of > 0 {
				cells[i] = excelize.Cell{StyleID: b.share, Value: float64(v.n) / float64(v.of)}
			}
		case float64:
			cells[i] = excelize.Cell{StyleID: b.share, Value: v}
		case nil:
		default:
			cells[i] = excelize.Cell{StyleID: b.number, Value: v}
		}
	}
	return b.stream.SetRow(fmt.Sprintf("A%d", b.row), cells)
}

// local is the time as a clock in the report's zone shows it: a workbook has
// no zones.
func (b *workbook) local(t time.Time) time.Time {
	t = t.In(b.r.zone())
	return time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), 0, time.UTC)
}

// rows writes many rows, and ends the sheet.
func (b *workbook) rows(rows ...[]any) error {
	for _, row := range rows {
		if err := b.write(row...); err != nil {
			return err
		}
	}
	return b.stream.Flush()
}

func (b *workbook) summary() error {
	if err := b.sheet("Summary", 26, 40, 16, 16, 60); err != nil {
		return err
	}
	r, h := b.r, b.r.Header
	standing := "final"
	if r.Provisional {
		standing = "provisional: " + strings.Join(r.Because, "; ")
	}
	balanced := "it adds up"
	if !r.Balanced {
		balanced = "IT DOES NOT ADD UP, which is a fault in Herald: " + strings.Join(r.Balance.Mismatch.Explanations, "; ")
	}
	rows := [][]any{
		{heading(h.Name)},
		{sentence(r.Verdict)},
		{},
		{"Mode", strings.ToUpper(string(h.Mode))},
		{"Campaign", string(h.ID)},
		{"State", string(h.State)},
		{"These numbers are", standing},
		{"As of", r.GeneratedAt},
		{"Statuses can change until", r.SettlingUntil},
		{"Times are in", r.TimeZone},
		{"Senders", strings.Join(h.Senders, ", ")},
		{"Template", r.message + ", SHA-256 " + h.Message.Hash},
		{"Created", h.CreatedAt},
		{"Started", h.StartedAt},
		{"Finished", h.FinishedAt},
	}
	for _, s := range h.Sources {
		rows = append(rows, []any{"Recipients file", s.File, s.Rows, "rows", "SHA-256 " + s.SHA256})
	}
	rows = append(rows, []any{}, []any{heading("Where every row went")})
	for _, row := range r.balanceRows() {
		rows = append(rows, []any{row.Label, row.Meaning, row.Count})
	}
	rows = append(rows, []any{"in the ledger", "", r.Balance.InLedger}, []any{"rows in the file", balanced, r.Balance.RowsInFile})
	if words := r.Canceled.withdrawnWords(); words != "" {
		rows = append(rows, []any{words})
	}
	rows = append(rows, []any{}, []any{heading("Funnel")}, []any{"step", "meaning", "count", "of all", "of an earlier step"},
		[]any{"recipients", "every row that was not skipped", r.Recipients})
	counts := map[string]int64{"recipients": r.Recipients}
	for _, s := range r.Funnel {
		rows = append(rows, []any{s.Step, s.Definition, s.Count, ratio{s.Count, r.Recipients}, s.ofEarlier(counts)})
		counts[s.Step] = s.Count
	}
	e := r.Engagement
	rows = append(rows, []any{}, []any{heading("Answers")})
	if poll := r.Poll; poll != nil {
		rows = append(rows, []any{"voted", "people whose vote stands, of those " + poll.whom(), poll.Turnout.Count, ratio{poll.Turnout.Count, poll.Turnout.Of}})
	}
	rows = append(rows,
		[]any{"replied", "recipients who wrote back, of those delivered", e.Replied.Count, ratio{e.Replied.Count, e.Replied.Of}},
		[]any{"opted out", "in answer to this campaign, of those delivered", e.OptedOut.Count, ratio{e.OptedOut.Count, e.OptedOut.Of}})
	if s := r.Safety; s != nil {
		rows = append(rows, []any{"sent twice", "has to be 0", s.DuplicateSends}, []any{"further calls", retriesWords(s), s.Retries})
	}
	if len(r.Earlier) > 0 {
		besides := r.besides()
		votes := r.votes(besides)
		rows = append(rows, []any{}, []any{heading("Beside earlier campaigns")}, outcomeTitles("campaign", votes))
		for _, row := range besides {
			rows = append(rows, outcomeCells(row, votes))
		}
	}
	return b.rows(rows...)
}

// outcomeTitles and outcomeCells are a table of outcomes, of votes only where
// there can be some.
func outcomeTitles(first string, votes bool) []any {
	titles := []any{first}
	for _, title := range outcomeNames(votes) {
		titles = append(titles, title)
	}
	return titles
}

func outcomeNames(votes bool) []string {
	names := []string{"recipients", "accepted", stepDelivered, stepRead, "replied", "opted out", "failed"}
	if votes {
		names = append(names, "voted")
	}
	return names
}

func outcomeCells(row SegmentRow, votes bool) []any {
	cells := []any{row.Value}
	for _, n := range row.counts(votes) {
		cells = append(cells, n)
	}
	return cells
}

func (b *workbook) recipients(ctx context.Context, deps Deps) error {
	id := b.r.Header.ID
	c, err := deps.Campaigns.Campaign(ctx, id)
	if err != nil {
		return fmt.Errorf("read campaign %s: %w", id, err)
	}
	t, err := newTrip(ctx, deps, c, time.UTC)
	if err != nil {
		return err
	}
	names := append([]string{}, t.columns...)
	prefix := t.prefix(xlsxColumns())
	for _, name := range xlsxColumns() {
		names = append(names, prefix+name)
	}
	widths := make([]float64, len(names))
	for i := range widths {
		widths[i] = 20
	}
	if err := b.sheet("Recipients", widths...); err != nil {
		return err
	}
	if err := b.header(names...); err != nil {
		return err
	}
	values := make([]any, len(names))
	err = each(ctx, deps, id, func(r *campaign.Recipient) error {
		clear(t.row)
		clear(values)
		over := t.place(r, func(cell string) string { return cell })
		for i, cell := range t.row[:len(t.columns)] {
			values[i] = cell
		}
		own := values[len(t.columns):]
		var replies any // nothing where the CSV has nothing
		if r.Replies > 0 {
			replies = r.Replies
		}
		copy(own, []any{
			r.Seq, r.Line, statusCode(r.Status), reasonOf(r), r.Detail, r.QueuedAt, r.SentAt, r.DeliveredAt, r.ReadAt, r.FailedAt,
			r.QueueID, r.MessageID, t.sender(r.Sender), r.Attempt, extra(over), string(r.Resolution),
			r.Variant, r.RepliedAt, r.Reply, replies, strings.Join(r.Vote, "; "), r.VotedAt, r.OptedOut,
		})
		return b.write(values...)
	})
	if err != nil {
		return err
	}
	return b.stream.Flush()
}

// xlsxColumns are those of the round-trip CSV, with the place of the row and
// two more times.
func xlsxColumns() []string {
	return []string{
		"row", "line", "status", "reason", "detail", "accepted_at", "sent_at", "delivered_at", "read_at", "failed_at",
		"queue_id", "message_id", "sender", "attempts", "extra", "resolution",
		"variant", "replied_at", "reply", "replies", "vote", "voted_at", "opted_out_at",
	}
}

func (b *workbook) failures() error {
	if b.r.Failures.Total == 0 {
		return nil
	}
	if err := b.sheet("Failures", 20, 12, 12, 12, 50, 60, 60); err != nil {
		return err
	}
	if err := b.header("reason", "count", "share", "retryable", "detail", "what to do", "examples"); err != nil {
		return err
	}
	var rows [][]any
	for _, g := range b.r.Failures.Groups {
		retryable := "no"
		if g.Retryable {
			retryable = "yes"
		}
		rows = append(rows, []any{FailWord(g.Reason).Label, g.Count, ratio{g.Count, b.r.Failures.Total}, retryable, g.Detail, g.Advice, b.r.places(g.Examples)})
	}
	return b.rows(rows...)
}

// places says where some rows are.
func (r *Report) places(lines []Line) string {
	words := make([]string, 0, len(lines))
	for _, l := range lines {
		words = append(words, l.place(r))
	}
	return strings.Join(words, "; ")
}

func (b *workbook) poll() error {
	if b.r.Poll == nil {
		return nil
	}
	widths := []float64{20, 20, 30, 12, 12, 16}
	names := []string{"split by", "value", "option", "votes", "voters", "share of voters"}
	many := b.r.Poll.many()
	if many {
		widths = append([]float64{20}, widths...)
		names = append([]string{"variant"}, names...)
	}
	if err := b.sheet("Poll", widths...); err != nil {
		return err
	}
	if err := b.header(names...); err != nil {
		return err
	}
	var rows [][]any
	for _, row := range b.r.pollRows() {
		cells := []any{row.by, row.value, row.option, row.votes, row.voters, ratio{row.votes, row.voters}}
		if many {
			cells = append([]any{row.variant}, cells...)
		}
		rows = append(rows, cells)
	}
	return b.rows(rows...)
}

func (b *workbook) variants() error {
	v := b.r.Variants
	if v == nil {
		return nil
	}
	if err := b.sheet("Variants", 20, 14, 14, 14, 14, 14, 14, 14, 14); err != nil {
		return err
	}
	rows := [][]any{outcomeTitles("variant", v.votes())}
	for _, row := range v.Rows {
		rows = append(rows, outcomeCells(SegmentRow{Value: row.Name, Outcome: row.Outcome}, v.votes()))
	}
	if v.Holdout != nil {
		rows = append(rows, []any{"held out", *v.Holdout})
	}
	rows = append(rows, []any{}, []any{"variant", "measure", "count", "of", "share", "95 % from", "to"})
	for _, row := range v.Rows {
		for _, m := range v.measures() {
			rate, ok := row.Rates[m]
			if !ok {
				continue
			}
			cells := []any{row.Name, strings.ReplaceAll(string(m), "_", " "), rate.Count, rate.Of, ratio{rate.Count, rate.Of}}
			if rate.Low != nil {
				cells = append(cells, *rate.Low, *rate.High)
			}
			rows = append(rows, cells)
		}
	}
	rows = append(rows, []any{})
	for _, s := range v.Summary {
		rows = append(rows, []any{s})
	}
	return b.rows(append(rows, []any{sentence(v.Note)})...)
}

func (b *workbook) segments() error {
	if len(b.r.Segments) == 0 {
		return nil
	}
	if err := b.sheet("Segments", 28, 14, 14, 14, 14, 14, 14, 14, 14); err != nil {
		return err
	}
	var rows [][]any
	for _, s := range b.r.Segments {
		title, note := s.title(b.r)
		rows = append(rows, []any{heading(title)})
		if note != "" {
			rows = append(rows, []any{note})
		}
		votes := b.r.votes(s.labeled())
		rows = append(rows, outcomeTitles("", votes))
		for _, row := range s.labeled() {
			rows = append(rows, outcomeCells(row, votes))
		}
		rows = append(rows, []any{})
	}
	return b.rows(rows...)
}

func (b *workbook) replies(ctx context.Context, deps Deps) error {
	if b.r.Engagement.Replied.Count == 0 {
		return nil
	}
	if err := b.sheet("Replies", 10, 24, 24, 20, 12, 12, 12, 80); err != nil {
		return err
	}
	if err := b.header(replyColumns()...); err != nil {
		return err
	}
	err := eachReply(ctx, deps, b.r.Header.ID, func(r campaign.Reply) error {
		return b.write(r.Seq, chatCell(r.Chat), chatCell(r.Author), r.At, string(r.Tie), string(r.Wish), r.Kind, r.Text)
	})
	if err != nil {
		return err
	}
	return b.stream.Flush()
}

func (b *workbook) timeline() error {
	if err := b.sheet("Timeline", 22, 60, 14, 14, 14, 14, 14); err != nil {
		return err
	}
	rows := [][]any{{heading("What happened")}}
	for _, e := range b.r.Timeline {
		rows = append(rows, []any{e.At, eventWords(e)})
	}
	if s := b.r.Series; s != nil {
		rows = append(rows, []any{}, []any{heading("How many in each " + span(ms(s.BucketMS)))},
			[]any{"from", "", "accepted", "sent", stepDelivered, stepRead, "replied"})
		for _, p := range s.Points {
			rows = append(rows, []any{p.At, "", p.Accepted, p.Sent, p.Delivered, p.Read, p.Replied})
		}
	}
	return b.rows(rows...)
}
