package report

import (
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/herald-campaigns/herald/campaign"
)

// sheet is a table that is written row by row.
type sheet struct {
	out  *csv.Writer
	what string
}

// newSheet writes the byte order mark, unless it is not wanted, and the header.
func newSheet(w io.Writer, opts CSVOptions, what string, header []string) (*sheet, error) {
	if !opts.NoBOM {
		if _, err := io.WriteString(w, "\ufeff"); err != nil {
			return nil, fmt.Errorf("write %s: %w", what, err)
		}
	}
	s := &sheet{out: csv.NewWriter(w), what: what}
	s.out.Comma = opts.Comma
	return s, s.write(header)
}

func (s *sheet) write(row []string) error {
	if err := s.out.Write(row); err != nil {
		return fmt.Errorf("write %s: %w", s.what, err)
	}
	return nil
}

func (s *sheet) close() error {
	s.out.Flush()
	if err := s.out.Error(); err != nil {
		return fmt.Errorf("write %s: %w", s.what, err)
	}
	return nil
}

// each goes through the rows of a campaign.
func each(ctx context.Context, deps Deps, id campaign.ID, row func(r *campaign.Recipient) error) error {
	n := 0
	for r, err := range deps.Rows.Rows(ctx, id) {
		if err != nil {
			return fmt.Errorf("read the rows of %s: %w", id, err)
		}
		if n++; n%1024 == 0 && ctx.Err() != nil {
			return fmt.Errorf("read the rows of %s: %w", id, context.Cause(ctx))
		}
		if err := row(&r); err != nil {
			return err
		}
	}
	return nil
}

// WriteFailedCSV writes the recipients that failed as a file that can be mended
// and imported: their own cells under their own columns, then _line, _code,
// _reason and _retryable, which an import passes over, as it does those of a
// rejects file. For the same reason formulas are left alone: it is the person's
// own data on its way back. Memory stays flat.
func WriteFailedCSV(ctx context.Context, w io.Writer, deps Deps, id campaign.ID, opts CSVOptions) error {
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
	var keep []int // without the columns of a rejects file that was fed back
	var header []string
	for i, name := range t.columns {
		if !strings.HasPrefix(name, "_") {
			keep = append(keep, i)
			header = append(header, name)
		}
	}
	out, err := newSheet(w, opts, "the failed rows", append(header, "_line", "_code", "_reason", "_retryable"))
	if err != nil {
		return err
	}
	err = each(ctx, deps, id, func(r *campaign.Recipient) error {
		if r.Status != campaign.StatusFailed {
			return nil
		}
		clear(t.row)
		t.place(r, func(cell string) string { return cell })
		row := make([]string, 0, len(keep)+4)
		for _, i := range keep {
			row = append(row, t.row[i])
		}
		retryable := "no"
		if r.FailClass == campaign.FailTransient {
			retryable = "yes"
		}
		return out.write(append(row, strconv.FormatInt(r.Line, 10), string(r.FailReason), neutralize(r.Detail), retryable))
	})
	if err != nil {
		return err
	}
	return out.close()
}

// replyColumns are the columns of replies.csv.
func replyColumns() []string {
	return []string{"row", "chat", "author", "at", "tied_by", "asks_for", "kind", "text"}
}

// WriteRepliesCSV writes every message people wrote back, in the order of the
// rows, then of time; where the ledger gives only the first of each row, those.
func WriteRepliesCSV(ctx context.Context, w io.Writer, deps Deps, id campaign.ID, opts CSVOptions) error {
	opts = opts.withDefaults()
	if err := deps.validate(false); err != nil {
		return err
	}
	out, err := newSheet(w, opts, "the replies", replyColumns())
	if err != nil {
		return err
	}
	err = eachReply(ctx, deps, id, func(r campaign.Reply) error {
		return out.write([]string{
			strconv.FormatInt(r.Seq, 10), chatCell(r.Chat), chatCell(r.Author), r.At.In(opts.Location).Format(time.RFC3339),
			string(r.Tie), string(r.Wish), neutralize(r.Kind), neutralize(r.Text),
		})
	})
	if err != nil {
		return err
	}
	return out.close()
}

// chatCell is a person's whole number in digits, or a group's id.
func chatCell(chat campaign.ChatID) string {
	if chat.IsGroup() {
		return string(chat)
	}
	return neutralize(chat.Number())
}

// eachReply goes through the replies, or the first ones of each row.
func eachReply(ctx context.Context, deps Deps, id campaign.ID, write func(campaign.Reply) error) error {
	if deps.Replies == nil {
		return each(ctx, deps, id, func(r *campaign.Recipient) error {
			if r.Replies == 0 {
				return nil
			}
			first := campaign.Reply{Campaign: id, Seq: r.Seq}
			first.Chat, first.At, first.Text = r.Chat, r.RepliedAt, r.Reply
			return write(first)
		})
	}
	for r, err := range deps.Replies.Replies(ctx, id) {
		if err != nil {
			return fmt.Errorf("read the replies of %s: %w", id, err)
		}
		if err := write(r); err != nil {
			return err
		}
	}
	return nil
}

// WritePollCSV writes the tally: one line for each option, over all voters
// first, then by every value of the columns the campaign splits by. Where several
// variants are polls, a first column says whose it is.
func WritePollCSV(w io.Writer, r *Report, opts CSVOptions) error {
	opts = opts.withDefaults()
	many := r.Poll != nil && r.Poll.many()
	names := []string{"split_by", "value", "option", "votes", "voters", "share_of_voters"}
	if many {
		names = append([]string{"variant"}, names...)
	}
	out, err := newSheet(w, opts, "the votes", names)
	if err != nil {
		return err
	}
	for _, row := range r.pollRows() {
		share := ""
		if row.voters > 0 {
			share = strconv.FormatFloat(float64(row.votes)/float64(row.voters), 'f', 4, 64)
		}
		cells := []string{
			neutralize(row.by), neutralize(row.value), neutralize(row.option),
			strconv.FormatInt(row.votes, 10), strconv.FormatInt(row.voters, 10), share,
		}
		if many {
			cells = append([]string{neutralize(row.variant)}, cells...)
		}
		if err := out.write(cells); err != nil {
			return err
		}
	}
	return out.close()
}

// pollRow is one line of the tally as a table.
type pollRow struct {
	variant, by, value, option string
	votes, voters              int64
}

func (r *Report) pollRows() []pollRow {
	if r.Poll == nil {
		return nil
	}
	var rows []pollRow
	for _, poll := range r.Poll.polls() {
		rows = append(rows, poll.rows()...)
	}
	return rows
}

func (poll VariantPoll) rows() []pollRow {
	var rows []pollRow
	for _, o := range poll.Options {
		rows = append(rows, pollRow{option: o.Option, votes: o.Votes, voters: poll.Turnout.Count})
	}
	for _, s := range poll.Splits {
		all := s.Rows
		if s.Others != nil {
			others := *s.Others
			others.Value = "(all others)"
			all = append(slices.Clip(all), others)
		}
		for _, row := range all {
			for i, o := range poll.Options {
				rows = append(rows, pollRow{by: s.Column, value: row.Value, option: o.Option, votes: row.Votes[i], voters: row.Voters})
			}
		}
	}
	if g := poll.Groups; g != nil {
		for _, o := range g.Options {
			rows = append(rows, pollRow{by: "(members of groups)", option: o.Option, votes: o.Votes, voters: g.Voters})
		}
	}
	for i := range rows {
		rows[i].variant = poll.Variant
	}
	return rows
}
