package app

import (
	"bufio"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/report"
)

// OptOutImport is a file of people who must not be written to.
type OptOutImport struct {
	File    string
	Stdin   io.Reader // read when File is "-"
	Country string    // for numbers without a country code; ISO 3166
	Column  string    // with the numbers; "" for chat_id if there is one, else guessed
	Reason  string    // the column with the reasons; "" for "reason", if there is one
	Date    string    // the column with the dates; "" for "date", if there is one
	DryRun  bool      // say what it would come to, and change nothing
}

// OptOutsImported is what an import came to (docs/cli-json.md).
type OptOutsImported struct {
	SchemaVersion int    `json:"schema_version"`
	File          string `json:"file"`
	Dialect       string `json:"dialect"` // for people
	Column        string `json:"address_column"`
	Reason        string `json:"reason_column"` // "": there is none
	Date          string `json:"date_column"`
	DryRun        bool   `json:"dry_run"`
	Rows          int64  `json:"rows"` // added, already, repeated, overruled and bad add up to it
	Added         int64  `json:"added"`
	Already       int64  `json:"already"`   // were opted out before
	Repeated      int64  `json:"repeated"`  // stand higher up in the file, too
	Overruled     int64  `json:"overruled"` // have opted in again later than the file's date
	Bad           int64  `json:"bad"`       // nobody could be read from these rows
	Undated       int64  `json:"undated"`   // dates that could not be read: opted out as of now, or as before
	Skipped       int64  `json:"skipped"`   // waiting messages that will not be sent
	Queued        int64  `json:"queued"`    // messages in the provider's queue
	Purging       bool   `json:"purging"`   // the service takes them out of there

	Unused      []string       `json:"unused_columns"` // that nothing was read from
	Problems    []ProblemGroup `json:"problems"`       // the most frequent first
	RejectsFile *string        `json:"rejects_file"`   // the bad rows, to be mended and imported; null: there is none
}

// Clean says whether every row was understood.
func (r *OptOutsImported) Clean() bool { return r.Bad == 0 && r.Undated == 0 }

// importRows is how many rows are kept at a time.
const importRows = 2000

// Import keeps that everybody in a file must not be written to. A row that
// cannot be read never keeps the others from that: it is counted, listed, and
// put aside. The file is read as a stream; after an error, what was read so far
// is kept, and importing the file again does no harm.
func (o *OptOuts) Import(ctx context.Context, in OptOutImport) (_ *OptOutsImported, err error) {
	name := filepath.Base(in.File)
	if in.File == "-" {
		name = "standard input"
		if in.File, err = spool(in.Stdin); err != nil {
			return nil, err
		}
		defer func() { _ = os.Remove(in.File) }() // a leftover is harmless
	}
	reader, err := openOptOuts(in)
	if err != nil {
		return nil, err
	}
	defer func() { _ = reader.Close() }() // only read from
	column, kind, _ := reader.AddressColumn()
	parser, err := campaign.NewAddressParser(in.Country, kind)
	if err != nil {
		return nil, forOptOuts(err)
	}
	m := &optOutImporter{
		into: o, reader: reader, parser: parser, address: column, now: time.Now(), told: campaign.NewChatSet(), overruled: map[campaign.ChatID]bool{},
		result: OptOutsImported{
			SchemaVersion: 1, File: name, Dialect: reader.Dialect().String(),
			Column: reader.Header()[column], DryRun: in.DryRun, Problems: []ProblemGroup{},
		},
	}
	if err := m.columns(in); err != nil {
		return nil, err
	}
	if !in.DryRun {
		m.rejects = reader.NewRejects(filepath.Join(o.app.dir, "optouts-rejects.csv"))
	}
	err = m.run(ctx)
	return &m.result, err
}

// columns finds the columns with the reasons and the dates, and notes those
// that nothing is read from.
func (m *optOutImporter) columns(in OptOutImport) (err error) {
	header := m.reader.Header()
	if m.reason, err = m.column("reason", in.Reason); err != nil {
		return err
	}
	if m.date, err = m.column("date", in.Date); err != nil {
		return err
	}
	if m.reason >= 0 {
		m.result.Reason = header[m.reason]
	}
	if m.date >= 0 {
		m.result.Date = header[m.date]
	}
	own := !slices.ContainsFunc(exported(), func(name string) bool { return !slices.Contains(header, name) })
	m.result.Unused = []string{}
	for i, slug := range m.reader.Slugs() {
		used := i == m.address || i == m.reason || i == m.date
		if slug != "" && !used && (!own || !slices.Contains(exported(), header[i])) {
			m.result.Unused = append(m.result.Unused, header[i])
		}
	}
	return nil
}

// column is the column that a flag names, else the one whose variable is called
// so, else -1.
func (m *optOutImporter) column(slug, flag string) (int, error) {
	if flag == "" {
		return slices.Index(m.reader.Slugs(), slug), nil
	}
	i, err := m.reader.Column(slug+"-column", flag)
	return i, forOptOuts(err)
}

// openOptOuts opens the file by its chat ids, which need no country and are
// what Export writes, else by its phone numbers.
func openOptOuts(in OptOutImport) (*campaign.Reader, error) {
	source := campaign.Source{CSV: in.File, Phone: in.Column, Country: in.Country}
	r, err := campaign.OpenSource(source, "", nil, campaign.Limits{})
	if err != nil || in.Column != "" {
		return r, forOptOuts(err)
	}
	if _, kind, _ := r.AddressColumn(); kind == campaign.AddressChat || !slices.Contains(r.Slugs(), "chat_id") {
		return r, nil
	}
	if err := r.Close(); err != nil {
		return nil, err
	}
	source.ChatID = "chat_id"
	r, err = campaign.OpenSource(source, "", nil, campaign.Limits{})
	return r, forOptOuts(err)
}

// forOptOuts puts into the words of this command what was said about a
// campaign's recipients.
func forOptOuts(err error) error {
	rejected := Problems(err)
	if rejected == nil {
		return err
	}
	for i := range rejected.Problems {
		byFlags(&rejected.Problems[i])
	}
	return err
}

// byFlags names the flags of a command in place of a campaign file's keys.
func byFlags(p *campaign.Problem) {
	p.Field = strings.TrimPrefix(p.Field, "recipients.")
	p.Fix = strings.NewReplacer(
		"name the column in recipients.phone (or recipients.chat_id)", "name the column with --phone",
		"set recipients.phone to one of the headers", "give --phone one of the headers",
		"set recipients.reason-column to one of the headers", "give --reason-column one of the headers",
		"set recipients.date-column to one of the headers", "give --date-column one of the headers",
		"set recipients.country to the country", "give --country the country",
		"; a relative path is relative to the campaign file's folder", "",
		"a relative path is relative to the campaign file's folder", "check the path",
	).Replace(p.Fix)
}

// asTyped puts into the words for a number that was typed what was said about a
// cell.
func asTyped(p *campaign.Problem) {
	p.Fix = strings.NewReplacer(
		"leave the number alone in its cell: no words, no extension, no second number", "write one whole number: no words, no extension",
		"format the column as Text, enter the numbers again and export anew", "write all its digits",
		"fill it in, or delete the row", "write the number with its country code, e.g. +1 201 555 0123",
	).Replace(p.Fix)
	p.What = strings.NewReplacer("the row has no phone number", "there is no phone number").Replace(p.What)
}

// spool copies standard input to a file, which can be looked at twice.
func spool(in io.Reader) (name string, err error) {
	f, err := os.CreateTemp("", "herald-optouts-*.csv")
	if err != nil {
		return "", fmt.Errorf("copy standard input: %w", err)
	}
	_, err = io.Copy(f, in)
	return f.Name(), errors.Join(err, f.Close())
}

// optOutImporter reads one file.
type optOutImporter struct {
	into    *OptOuts
	reader  *campaign.Reader
	parser  *campaign.AddressParser
	rejects *campaign.RejectsWriter // nil in a dry run
	address int
	reason  int // columns; -1 for none
	date    int
	now     time.Time

	batch     []campaign.Consent
	told      *campaign.ChatSet        // that stood higher up in the file
	overruled map[campaign.ChatID]bool // of them, those that had opted in again later
	groups    []ProblemGroup
	result    OptOutsImported
}

func (m *optOutImporter) run(ctx context.Context) (err error) {
	defer func() { err = errors.Join(err, m.finish()) }()
	for {
		rec, err := m.reader.Next()
		switch {
		case errors.Is(err, io.EOF):
			return m.flush(ctx)
		case err != nil: // the rows so far are good all the same
			return errors.Join(err, m.flush(ctx))
		}
		if err := m.take(rec); err != nil {
			return err
		}
		if len(m.batch) >= importRows {
			if err := m.flush(ctx); err != nil {
				return err
			}
		}
	}
}

// take makes a decision of one row.
func (m *optOutImporter) take(rec campaign.Record) error {
	m.result.Rows++
	problem := rec.Problem
	var chat campaign.ChatID
	if problem == nil {
		if chat, problem = m.parser.Parse(rec.Cells[m.address]); problem != nil {
			problem.Column, problem.Field = m.address+1, m.reader.Header()[m.address]
		}
	}
	if problem != nil {
		m.result.Bad++
		m.note(rec, problem)
		if m.rejects == nil {
			return nil
		}
		return m.rejects.Add(rec, *problem)
	}
	c := campaign.Consent{Chat: chat, Wish: campaign.WishOut, Source: campaign.ConsentImport}
	if m.reason >= 0 {
		c.Reason = reasonOf(report.Plain(rec.Cells[m.reason]))
	}
	if c.Reason == "" {
		c.Reason = unsaid("in " + m.result.File)
	}
	if m.date >= 0 {
		var problem *campaign.Problem
		if c.At, problem = dateOf(rec.Cells[m.date], m.now); problem != nil {
			problem.Column, problem.Field = m.date+1, m.reader.Header()[m.date]
			m.result.Undated++
			m.note(rec, problem)
		}
	}
	m.batch = append(m.batch, c)
	return nil
}

// note counts what is wrong with a row, and keeps the first three of a kind.
func (m *optOutImporter) note(rec campaign.Record, p *campaign.Problem) {
	byFlags(p)
	p.File, p.Line = m.result.File, rec.Line
	i := slices.IndexFunc(m.groups, func(g ProblemGroup) bool { return g.Code == p.Code })
	if i < 0 {
		i = len(m.groups)
		m.groups = append(m.groups, ProblemGroup{Code: p.Code})
	}
	m.groups[i].Count++
	if len(m.groups[i].First) < 3 {
		m.groups[i].First = append(m.groups[i].First, *p)
	}
}

// dateOptOut is the code of a date that cannot be read.
const dateOptOut = "E_OPTOUT_DATE"

// dateLeftOut is what becomes of a row without its date: an opt-out that was
// known before, by the list or by a row higher up, keeps its own.
const dateLeftOut = "; this person is opted out as of now, or stays so as of before"

// dateOf reads when somebody opted out; zero when the cell is empty. Of a day
// alone its end counts, so that it holds against what was said earlier that
// day.
func dateOf(cell string, now time.Time) (time.Time, *campaign.Problem) {
	text := strings.TrimSpace(cell)
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339, time.DateTime, "2006-01-02T15:04:05", "2006-01-02 15:04", "2006-01-02T15:04"} {
		if at, err := time.ParseInLocation(layout, text, time.Local); err == nil {
			return notAfter(at, now)
		}
	}
	if day, err := time.ParseInLocation(time.DateOnly, text, time.Local); err == nil && !day.After(now) {
		return earlier(day.AddDate(0, 0, 1).Add(-time.Millisecond), now), nil
	}
	return time.Time{}, badDate("the date cannot be read, or lies in the future" + dateLeftOut)
}

func notAfter(at, now time.Time) (time.Time, *campaign.Problem) {
	if at.After(now) {
		return time.Time{}, badDate("the date lies in the future" + dateLeftOut)
	}
	return at, nil
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func badDate(what string) *campaign.Problem {
	return &campaign.Problem{Code: dateOptOut, What: what, Fix: "write dates like 2026-11-28 or 2026-11-28T09:30:00Z"}
}

// flush keeps what was read.
func (m *optOutImporter) flush(ctx context.Context) error {
	if len(m.batch) == 0 {
		return nil
	}
	batch := m.batch
	m.batch = m.batch[:0]
	before, err := m.into.app.store.Suppressed(ctx, chatsOf(batch))
	if err != nil {
		return err
	}
	if m.result.DryRun {
		return m.foresee(ctx, batch, before)
	}
	// Somebody who is out already is not opted out anew each time the file is
	// imported: that would hold against what they say in between.
	out := maps.Clone(before)
	news := slices.DeleteFunc(slices.Clone(batch), func(c campaign.Consent) bool {
		told := c.At.IsZero() && out[c.Chat]
		out[c.Chat] = true
		return told
	})
	after, err := m.keep(ctx, news, chatsOf(batch))
	if err != nil {
		return err
	}
	// A dated row does not opt out who opted in again later; one without a date
	// behind it does.
	undated := slices.DeleteFunc(slices.Clone(batch), func(c campaign.Consent) bool { return !c.At.IsZero() || after[c.Chat] })
	if len(undated) > 0 {
		if after, err = m.keep(ctx, undated, chatsOf(batch)); err != nil {
			return err
		}
	}
	for _, c := range batch {
		m.count(c.Chat, before[c.Chat], after[c.Chat])
	}
	return nil
}

// keep keeps decisions, and says who of these people is opted out then.
func (m *optOutImporter) keep(ctx context.Context, news []campaign.Consent, chats []campaign.ChatID) (map[campaign.ChatID]bool, error) {
	d, err := m.into.keep.consent(ctx, news)
	m.result.Skipped += d.Skipped
	m.result.Queued += d.Queued
	m.result.Purging = m.result.Purging || d.Purging
	if err != nil {
		return nil, err
	}
	return m.into.app.store.Suppressed(ctx, chats)
}

// count adds one row: whether the person was opted out before the rows it came
// with, and is now.
func (m *optOutImporter) count(chat campaign.ChatID, before, after bool) {
	first := !m.told.Has(chat)
	m.told.Add(chat)
	switch {
	case !first:
		m.result.Repeated++
		if after && m.overruled[chat] { // by the date of an earlier row, not by this one's
			delete(m.overruled, chat)
			m.result.Overruled--
			m.result.Added++
		}
	case !after:
		m.overruled[chat] = true
		m.result.Overruled++
	case before:
		m.result.Already++
	default:
		m.result.Added++
	}
}

// foresee counts what decisions would come to.
func (m *optOutImporter) foresee(ctx context.Context, batch []campaign.Consent, before map[campaign.ChatID]bool) error {
	for _, c := range batch {
		overruled := false
		if !before[c.Chat] && !c.At.IsZero() {
			history, err := m.into.app.store.ConsentOf(ctx, c.Chat)
			if err != nil {
				return err
			}
			overruled = len(history) > 0 && history[0].Newer(c)
		}
		m.count(c.Chat, before[c.Chat], !overruled)
	}
	return nil
}

// finish puts the rejects in place and what was wrong in order.
func (m *optOutImporter) finish() error {
	slices.SortStableFunc(m.groups, func(a, b ProblemGroup) int { return int(b.Count - a.Count) })
	m.result.Problems = append(m.result.Problems, m.groups...)
	if m.rejects == nil || m.rejects.Count() == 0 {
		return nil
	}
	path := m.rejects.Path()
	m.result.RejectsFile = &path
	return m.rejects.Close()
}

// exported are the columns of an export.
func exported() []string {
	return []string{"phone", "date", "reason", "source", "campaign_id", "chat_id"}
}

// Export writes everybody who must not be written to as CSV, the way Import
// reads it back: whole numbers, for the owner of the list. It returns how many.
func (o *OptOuts) Export(ctx context.Context, w io.Writer) (int64, error) {
	buf := bufio.NewWriterSize(w, 64<<10)
	out := csv.NewWriter(buf)
	if err := out.Write(exported()); err != nil {
		return 0, err
	}
	var n int64
	for opted, err := range o.app.store.OptOuts(ctx) {
		if err != nil {
			return n, err
		}
		phone := ""
		if !opted.Chat.IsGroup() {
			phone = opted.Chat.Number()
		}
		err := out.Write([]string{
			phone, opted.At.UTC().Format(time.RFC3339Nano), report.Neutralize(reasonOf(opted.Reason)),
			string(opted.Source), string(opted.Campaign), string(opted.Chat),
		})
		if err != nil {
			return n, err
		}
		n++
	}
	out.Flush()
	return n, errors.Join(out.Error(), buf.Flush())
}

// ExportFile is Export into a file, which is there when it is whole.
func (o *OptOuts) ExportFile(ctx context.Context, path string) (n int64, err error) {
	err = writeFile(path, func(w io.Writer) error {
		n, err = o.Export(ctx, w)
		return err
	})
	return n, err
}
