package storage

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"strings"

	"github.com/herald-campaigns/herald/campaign"
)

// BeginImport announces an import and returns its number, 1 for the first.
// Rows of an import that is not finished are never handed out by Pending. Only
// one import of a campaign may be unfinished.
func (s *Store) BeginImport(ctx context.Context, id campaign.ID, imp campaign.Import) (int, error) {
	header, slugs, err := encodeColumns(imp)
	if err != nil {
		return 0, err
	}
	number, err := write(ctx, s, func(ctx context.Context, t *tx) (int, error) {
		n, state, err := t.campaignState(ctx, id)
		if err != nil {
			return 0, err
		}
		if state == campaign.StateCanceled {
			return 0, conflict("make a new campaign instead", "campaign %s is canceled", id)
		}
		var latest, unfinished int
		err = t.row(ctx, "SELECT COALESCE(MAX(number), 0), COALESCE(SUM(1 - complete), 0) FROM imports WHERE campaign_n = ?", n).
			Scan(&latest, &unfinished)
		if err != nil {
			return 0, err
		}
		if unfinished > 0 {
			return 0, conflict("discard it and import the file again", "an earlier import into campaign %s was not finished", id)
		}
		at := millis(imp.At)
		if at == 0 {
			at = t.now()
		}
		_, err = t.exec(ctx, `
			INSERT INTO imports (campaign_n, number, file, sha256, header, slugs, row_count, complete, at)
			VALUES (?, ?, ?, ?, ?, ?, 0, 0, ?)`,
			n, latest+1, imp.File, imp.SHA256, header, slugs, at)
		return latest + 1, err
	})
	return number, s.fail(fmt.Sprintf("import into campaign %s", id), err)
}

func encodeColumns(imp campaign.Import) (header, slugs string, err error) {
	h, err1 := encodeStrings(imp.Header)
	g, err2 := encodeStrings(imp.Slugs)
	return h, g, errors.Join(err1, err2)
}

// encodeStrings is the JSON array the ledger keeps for cells.
func encodeStrings(list []string) (string, error) {
	if list == nil {
		return "[]", nil
	}
	b, err := json.Marshal(list)
	return string(b), err
}

// Columns an import fills, and how many rows go into one statement: long
// statements save calls into the driver, and this many parameters are far
// below every engine's limit.
const (
	importColumns = `campaign_n, seq, import_n, line, addressed, sender_n, status, skip_reason, chat, detail, variant, record`
	importMarks   = `(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
	importRows    = 40
)

var (
	insertOne  = "INSERT INTO recipients (" + importColumns + ") VALUES " + importMarks
	insertMany = insertOne + strings.Repeat(", "+importMarks, importRows-1)
)

// AddRecipients adds a batch of an unfinished import in one transaction: all
// rows or none. Of a recipient it reads Seq, Import, Line, Record, Chat,
// Sender, Status (pending or skipped), SkipReason, Detail and Variant. Two
// sendable rows of one chat are refused as a conflict. Batches of 5,000 to 10,000 rows
// are the fastest.
func (s *Store) AddRecipients(ctx context.Context, id campaign.ID, batch []campaign.Recipient) error {
	if len(batch) == 0 {
		return nil
	}
	what := fmt.Sprintf("add recipients to campaign %s", id)
	number, err := s.number(ctx, id)
	if err != nil {
		return s.fail(what, err)
	}
	args, counts, err := s.encodeBatch(ctx, number, batch)
	if err != nil {
		return s.fail(what, err)
	}
	_, err = write(ctx, s, func(ctx context.Context, t *tx) (struct{}, error) {
		if err := t.mustBeUnfinished(ctx, id, number, batch[0].Import); err != nil {
			return struct{}{}, err
		}
		if err := t.insertRecipients(ctx, args); err != nil {
			return struct{}{}, err
		}
		for key, n := range counts {
			t.counts[key] += n
		}
		return struct{}{}, nil
	})
	return s.fail(what, err)
}

// encodeBatch does outside the transaction what can be done there.
func (s *Store) encodeBatch(ctx context.Context, number int64, batch []campaign.Recipient) ([]any, map[countKey]int64, error) {
	sums := tx{counts: map[countKey]int64{}}
	args := make([]any, 0, len(batch)*strings.Count(importMarks, "?"))
	for _, r := range batch {
		at := standing{Status: r.Status, Skip: r.SkipReason}
		if r.Status != campaign.StatusPending && r.Status != campaign.StatusSkipped {
			return nil, nil, fmt.Errorf("row %d: a new recipient cannot be %q", r.Seq, r.Status)
		}
		if r.Import != batch[0].Import {
			return nil, nil, fmt.Errorf("row %d: a batch belongs to one import", r.Seq)
		}
		sender, err := s.senderNumber(ctx, r.Sender)
		if err != nil {
			return nil, nil, err
		}
		record, err := encodeStrings(r.Record)
		if err != nil {
			return nil, nil, err
		}
		addressed := 0
		if r.Status == campaign.StatusPending {
			addressed = 1
		}
		args = append(args, number, r.Seq, r.Import, r.Line, addressed, sender, string(r.Status), string(r.SkipReason),
			string(r.Chat), r.Detail, r.Variant, record)
		sums.count(number, at, 1)
	}
	sums.counts[countKey{number, countImport, strconv.Itoa(batch[0].Import)}] += int64(len(batch))
	return args, sums.counts, nil
}

func (t *tx) mustBeUnfinished(ctx context.Context, id campaign.ID, number int64, imp int) error {
	var complete int
	err := t.row(ctx, "SELECT complete FROM imports WHERE campaign_n = ? AND number = ?", number, imp).Scan(&complete)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return conflict("", "campaign %s has no import %d", id, imp)
	case err != nil:
		return err
	case complete != 0:
		return conflict("", "import %d of campaign %s is finished", imp, id)
	}
	return nil
}

func (t *tx) insertRecipients(ctx context.Context, args []any) error {
	per := strings.Count(importMarks, "?")
	for len(args) > 0 {
		query, n := insertMany, importRows*per
		if len(args) < n {
			query, n = insertOne, per
		}
		if _, err := t.exec(ctx, query, args[:n]...); err != nil {
			return err
		}
		args = args[n:]
	}
	return nil
}

// FinishImport completes the import imp.Number with what is known at its end
// (Rows, SHA256, Header, Slugs, File) and verifies that every row is there.
func (s *Store) FinishImport(ctx context.Context, id campaign.ID, imp campaign.Import) error {
	what := fmt.Sprintf("finish import %d of campaign %s", imp.Number, id)
	header, slugs, err := encodeColumns(imp)
	if err != nil {
		return err
	}
	number, err := s.number(ctx, id)
	if err != nil {
		return s.fail(what, err)
	}
	_, err = write(ctx, s, func(ctx context.Context, t *tx) (struct{}, error) {
		if err := t.mustBeUnfinished(ctx, id, number, imp.Number); err != nil {
			return struct{}{}, err
		}
		// A batch in this very group has not written its sums yet.
		key := countKey{number, countImport, strconv.Itoa(imp.Number)}
		rows := t.counts[key]
		var stored int64
		err := t.row(ctx, "SELECT COALESCE(SUM(n), 0) FROM counters WHERE campaign_n = ? AND kind = ? AND key = ?",
			key.campaign, key.kind, key.key).Scan(&stored)
		if err != nil {
			return struct{}{}, err
		}
		if rows += stored; rows != imp.Rows {
			return struct{}{}, &campaign.Error{
				Code: campaign.CodeInternal,
				What: fmt.Sprintf("%d rows were read, %d are in the ledger", imp.Rows, rows),
				Hint: "discard the import and import the file again",
			}
		}
		_, err = t.exec(ctx, `
			UPDATE imports SET complete = 1, row_count = ?, file = ?, sha256 = ?, header = ?, slugs = ?
			WHERE campaign_n = ? AND number = ?`,
			imp.Rows, imp.File, imp.SHA256, header, slugs, number, imp.Number)
		if err != nil {
			return struct{}{}, err
		}
		return struct{}{}, t.note(ctx, number, campaign.Event{Kind: campaign.EventImported, Detail: fmt.Sprintf("%s, %d rows", imp.File, imp.Rows)})
	})
	return s.fail(what, err)
}

// DiscardImport takes back an unfinished import with all its rows, none of
// which can have been sent.
func (s *Store) DiscardImport(ctx context.Context, id campaign.ID, imp int) error {
	what := fmt.Sprintf("discard import %d of campaign %s", imp, id)
	number, err := s.number(ctx, id)
	if err != nil {
		return s.fail(what, err)
	}
	for {
		more, err := write(ctx, s, func(ctx context.Context, t *tx) (int64, error) {
			if err := t.mustBeUnfinished(ctx, id, number, imp); err != nil {
				return 0, err
			}
			n, err := t.deleteRows(ctx, number, imp)
			if err != nil || n > 0 {
				return n, err
			}
			if _, err := t.exec(ctx, "DELETE FROM imports WHERE campaign_n = ? AND number = ?", number, imp); err != nil {
				return 0, err
			}
			return 0, t.note(ctx, number, campaign.Event{Kind: campaign.EventDiscarded, Detail: "import " + strconv.Itoa(imp)})
		})
		if err != nil || more == 0 {
			return s.fail(what, err)
		}
	}
}

// deleteRows deletes the last rows of a campaign, at most 2,000 and only those
// of the given import; 0 is any.
func (t *tx) deleteRows(ctx context.Context, number int64, imp int) (int64, error) {
	var rows []struct {
		standing
		Import int `db:"import_n"`
	}
	err := t.SelectContext(ctx, &rows, t.Rebind(`
		DELETE FROM recipients WHERE campaign_n = ? AND (0 = ? OR import_n = ?) AND seq IN
		  (SELECT seq FROM recipients WHERE campaign_n = ? ORDER BY seq DESC LIMIT 2000)
		RETURNING status, skip_reason, fail_reason, import_n`), number, imp, imp, number)
	if err != nil {
		return 0, err
	}
	for _, row := range rows {
		t.count(number, row.standing, -1)
		t.counts[countKey{number, countImport, strconv.Itoa(row.Import)}]--
	}
	return int64(len(rows)), nil
}

// Unfinished names an import that was begun and neither finished nor
// discarded: a process died over it.
type Unfinished struct {
	Campaign campaign.ID
	Import   int
}

// IncompleteImports lists the unfinished imports of all campaigns.
func (s *Store) IncompleteImports(ctx context.Context) ([]Unfinished, error) {
	var rows []struct {
		ID     campaign.ID `db:"id"`
		Number int         `db:"number"`
	}
	err := s.readers.SelectContext(ctx, &rows, `
		SELECT c.id, i.number FROM imports i JOIN campaigns c ON c.n = i.campaign_n WHERE i.complete = 0 ORDER BY c.n, i.number`)
	if err != nil {
		return nil, s.fail("list unfinished imports", err)
	}
	list := make([]Unfinished, len(rows))
	for i, r := range rows {
		list[i] = Unfinished{Campaign: r.ID, Import: r.Number}
	}
	return list, nil
}

func importsOf(ctx context.Context, q selecter, number int64) ([]campaign.Import, error) {
	var rows []struct {
		Number   int    `db:"number"`
		File     string `db:"file"`
		SHA256   string `db:"sha256"`
		Header   string `db:"header"`
		Slugs    string `db:"slugs"`
		Rows     int64  `db:"row_count"`
		Complete int    `db:"complete"`
		At       int64  `db:"at"`
	}
	err := q.SelectContext(ctx, &rows, q.Rebind(`
		SELECT number, file, sha256, header, slugs, row_count, complete, at FROM imports WHERE campaign_n = ? ORDER BY number`), number)
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	list := make([]campaign.Import, len(rows))
	for i, r := range rows {
		list[i] = campaign.Import{
			Number: r.Number, File: r.File, SHA256: r.SHA256, Rows: r.Rows, Complete: r.Complete != 0, At: moment(r.At),
		}
		err := errors.Join(json.Unmarshal([]byte(r.Header), &list[i].Header), json.Unmarshal([]byte(r.Slugs), &list[i].Slugs))
		if err != nil {
			return nil, fmt.Errorf("decode the columns of import %d: %w", r.Number, err)
		}
	}
	return list, nil
}

// Known is a chat that a campaign has a sendable row for.
type Known struct {
	Chat   campaign.ChatID `db:"chat"`
	Seq    int64           `db:"seq"`
	Import int             `db:"import_n"`
	Line   int64           `db:"line"` // in the file of that import
}

// KnownChats walks the chats of a campaign's sendable rows in row order, so
// that a delta import can tell what is a duplicate. An error ends the walk.
func (s *Store) KnownChats(ctx context.Context, id campaign.ID) iter.Seq2[Known, error] {
	return func(yield func(Known, error) bool) {
		number, err := s.number(ctx, id)
		if err != nil {
			yield(Known{}, s.fail("list known chats", err))
			return
		}
		for after := int64(0); ; {
			var page []Known
			err := s.readers.SelectContext(ctx, &page, s.readers.Rebind(`
				SELECT chat, seq, import_n, line FROM recipients
				WHERE campaign_n = ? AND seq > ? AND addressed = 1 ORDER BY seq LIMIT 5000`), number, after)
			if err != nil {
				yield(Known{}, s.fail("list known chats", err))
				return
			}
			for _, k := range page {
				if !yield(k, nil) {
					return
				}
			}
			if len(page) < 5000 {
				return
			}
			after = page[len(page)-1].Seq
		}
	}
}
