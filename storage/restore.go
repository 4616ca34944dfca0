package storage

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/herald-campaigns/herald/campaign"
)

// Restored is the hold on a ledger that is a restored copy: what it believes
// to be waiting may have been sent since the copy was made.
type Restored struct {
	Since    time.Time // when it was noticed
	Reason   string    // by what, for people
	BackupAt time.Time // when Backup began the copy: what was sent later is not in it; zero when that is not known
}

// Restored is the hold on the ledger, and false when there is none. While
// there is one, no campaign of the ledger can start or go on.
//
// Open notices a restored copy, holds its campaigns and keeps that on disk
// until ConfirmRestore. It knows one by any of these:
//
//   - It bears the mark that Backup puts on its copies.
//   - It is older than the file INSTANCE beside it, or that is not the file
//     the ledger wrote: an older database, or the whole directory, was put
//     back in place.
//   - The write-ahead log of a run that was not closed is gone, and what was
//     in it: Herald itself removes that file in Close alone.
//   - The database file is not the one that was last used, by its number on
//     the disk and its time of birth: it was copied. Moving the directory on
//     its disk is no copy.
//
// What cannot be known is a whole machine or disk that was set back, a
// snapshot of a virtual machine for example: then everything that could bear
// witness was set back too. Nor is a database known for older that was copied
// over the same file within the run it was copied in, when that run crashed.
// Both need the operator to know what they did.
func (s *Store) Restored(ctx context.Context) (Restored, bool, error) {
	r, held, err := readRestored(ctx, s.readers)
	if err == nil && !held {
		// Open takes the mark of a backup away; one that was only looked at so far
		// still has it.
		var backup string
		if backup, err = getMeta(ctx, s.readers, metaBackup); backup != "" {
			r, held = Restored{Reason: traces{backup: backup}.restored(), BackupAt: metaTime(backup)}, true
		}
	}
	return r, held, s.fail("read whether the ledger was restored", err)
}

// ConfirmRestore ends the hold: a person knows that the ledger was restored and
// what may have been sent since. Campaigns stay paused until somebody resumes
// them. Without a hold it does nothing.
func (s *Store) ConfirmRestore(ctx context.Context) error {
	_, err := write(ctx, s, func(ctx context.Context, t *tx) (struct{}, error) {
		_, held, err := readRestored(ctx, t)
		if err != nil || !held {
			return struct{}{}, err
		}
		for _, key := range []string{metaRestoredSince, metaRestoredReason, metaRestoredFrom} {
			if err := setMeta(ctx, t, key, ""); err != nil {
				return struct{}{}, err
			}
		}
		return struct{}{}, t.noteConfirmed(ctx)
	})
	return s.fail("confirm that the ledger was restored", err)
}

func readRestored(ctx context.Context, q querier) (Restored, bool, error) {
	since, err1 := getMeta(ctx, q, metaRestoredSince)
	reason, err2 := getMeta(ctx, q, metaRestoredReason)
	backup, err3 := getMeta(ctx, q, metaRestoredFrom)
	if err := errors.Join(err1, err2, err3); err != nil || since == "" {
		return Restored{}, false, err
	}
	return Restored{Since: metaTime(since), Reason: reason, BackupAt: metaTime(backup)}, true, nil
}

// metaTime is a time as meta keeps it: epoch milliseconds, "" for none.
func metaTime(text string) time.Time {
	ms, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return time.Time{}
	}
	return moment(ms)
}

// traces is what a ledger and its surroundings tell about where it has been.
type traces struct {
	logGone  bool     // there is no write-ahead log
	instance instance // the file INSTANCE
	file     identity // of the database file

	// What the ledger itself keeps.
	closed   string
	count    int64
	identity string
	marks    string // the identities of its last two files INSTANCE
	backup   string
}

// traceFiles looks at the files. It must come before SQLite opens the
// database, which makes the log.
func traceFiles(path string) (traces, error) {
	var found traces
	_, err := os.Stat(path + "-wal")
	found.logGone = errors.Is(err, fs.ErrNotExist)
	var err1, err2 error
	found.instance, err1 = readInstance(filepath.Dir(path))
	found.file, err2 = identityOf(path)
	return found, errors.Join(err1, err2)
}

// readKept adds what the ledger keeps.
func (f *traces) readKept(ctx context.Context, q querier) error {
	var errs [5]error
	var count string
	f.closed, errs[0] = getMeta(ctx, q, metaClosed)
	f.identity, errs[1] = getMeta(ctx, q, metaIdentity)
	f.backup, errs[2] = getMeta(ctx, q, metaBackup)
	f.marks, errs[3] = getMeta(ctx, q, metaMarks)
	count, errs[4] = getMeta(ctx, q, metaCount)
	f.count, _ = strconv.ParseInt(count, 10, 64) // "" before this version
	return errors.Join(errs[:]...)
}

// restored says by what the ledger is known for a restored copy, or "".
func (f traces) restored() string {
	known, ok := parseIdentity(f.identity)
	switch {
	case f.backup != "":
		return "it is a backup made " + metaTime(f.backup).Format(time.RFC3339)
	case f.count < f.instance.count:
		return "the database is older than the directory it is in"
	case !ok: // from before this version, or new
		return ""
	case f.closed == "no" && f.logGone:
		return "the write-ahead log (-wal) of a run that was not closed is missing, and what was in it"
	case !known.same(f.file):
		return "the database file is a copy of the one that was last used"
	case !f.knowsInstance():
		return "the directory was put back as it was earlier"
	}
	return ""
}

// knowsInstance says whether the file INSTANCE is one of the last two that the
// ledger wrote: the last, or the one before when a crash kept the last from
// taking its place. None at all proves nothing.
func (f traces) knowsInstance() bool {
	if f.instance == (instance{}) {
		return true
	}
	return slices.ContainsFunc(strings.Fields(f.marks), func(mark string) bool {
		known, ok := parseIdentity(mark)
		return ok && known.same(f.instance.file)
	})
}

// beginRun notices a restored copy and holds it, takes possession of the file
// it is now, and counts this run: in the ledger first, then in INSTANCE, so
// that a crash between the two leaves the ledger the newer one.
func (s *Store) beginRun(ctx context.Context, found traces) error {
	if err := found.readKept(ctx, s.pool); err != nil {
		return err
	}
	next, err := draftInstance(s.Dir(), max(found.count, found.instance.count)+1)
	if err != nil {
		return err
	}
	err = s.transact(ctx, func(ctx context.Context, t *tx) error {
		if reason := found.restored(); reason != "" {
			if err := t.holdRestored(ctx, reason, found.backup); err != nil {
				return err
			}
		}
		return errors.Join(
			setMeta(ctx, t, metaClosed, "no"), setMeta(ctx, t, metaBackup, ""),
			setMeta(ctx, t, metaIdentity, found.file.String()), t.countRun(ctx, found.instance, next.instance))
	})
	if err != nil {
		return errors.Join(err, next.drop())
	}
	s.run = next.instance
	return next.place()
}

// countRun keeps the count and the files INSTANCE that may be there from now
// on.
func (t *tx) countRun(ctx context.Context, now, next instance) error {
	return errors.Join(
		setMeta(ctx, t, metaCount, strconv.FormatInt(next.count, 10)),
		setMeta(ctx, t, metaMarks, now.file.String()+" "+next.file.String()))
}

// endRun marks the ledger as cleanly closed, and counts the end of the run, so
// that a copy made during the run is older than what is here after it. It is
// the writer's last operation.
func (s *Store) endRun() error {
	next, err := draftInstance(s.Dir(), s.run.count+1)
	if err != nil {
		// The count stays as it is, which costs nothing but sharpness.
		return errors.Join(err, s.writer.close(func(ctx context.Context, t *tx) error { return setMeta(ctx, t, metaClosed, "yes") }))
	}
	err = s.writer.close(func(ctx context.Context, t *tx) error {
		return errors.Join(setMeta(ctx, t, metaClosed, "yes"), t.countRun(ctx, s.run, next.instance))
	})
	if err != nil {
		return errors.Join(err, next.drop())
	}
	return errors.Join(next.place(), dropLog(s.pool))
}

// transact runs one operation before there is a writer.
func (s *Store) transact(ctx context.Context, op operation) error {
	return cause((&writer{pool: s.pool, now: s.now, reports: map[int64]report{}}).transact(ctx, &request{op: op}))
}

// holdRestored keeps that the ledger is restored, and pauses what could send. A ledger
// without campaigns has nothing to hold.
func (t *tx) holdRestored(ctx context.Context, reason, backup string) error {
	var campaigns int
	if err := t.row(ctx, "SELECT COUNT(*) FROM campaigns").Scan(&campaigns); err != nil || campaigns == 0 {
		return err
	}
	err := errors.Join(
		setMeta(ctx, t, metaRestoredSince, strconv.FormatInt(t.now(), 10)), setMeta(ctx, t, metaRestoredReason, reason),
		setMeta(ctx, t, metaRestoredFrom, backup))
	if err != nil {
		return err
	}
	var rows []struct {
		N      int64                `db:"n"`
		State  campaign.State       `db:"state"`
		Reason campaign.PauseReason `db:"reason"`
	}
	err = t.SelectContext(ctx, &rows, "SELECT n, state, reason FROM campaigns WHERE state IN ('scheduled', 'running', 'paused') ORDER BY n")
	if err != nil {
		return err
	}
	for _, row := range rows {
		detail := reason
		if row.Reason != "" && row.Reason != campaign.PauseRestored {
			detail = fmt.Sprintf("%s; it was paused before: %s", reason, row.Reason)
		}
		changed, err := t.exec(ctx, "UPDATE campaigns SET state = 'paused', reason = ?, detail = ? WHERE n = ?",
			string(campaign.PauseRestored), detail, row.N)
		if err := changedOne(changed, err); err != nil {
			return err
		}
		err = t.note(ctx, row.N, campaign.Event{
			Kind: campaign.EventRestored, From: row.State, To: campaign.StatePaused, Reason: campaign.PauseRestored, Detail: detail,
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// noteConfirmed tells the timeline of every held campaign.
func (t *tx) noteConfirmed(ctx context.Context) error {
	var numbers []int64
	err := t.SelectContext(ctx, &numbers, t.Rebind("SELECT n FROM campaigns WHERE state = 'paused' AND reason = ? ORDER BY n"),
		string(campaign.PauseRestored))
	if err != nil {
		return err
	}
	for _, n := range numbers {
		if err := t.note(ctx, n, campaign.Event{Kind: campaign.EventRestored, Detail: "confirmed"}); err != nil {
			return err
		}
	}
	return nil
}

// mustNotBeRestored refuses what would make a restored ledger send.
func (t *tx) mustNotBeRestored(ctx context.Context, id campaign.ID) error {
	r, held, err := readRestored(ctx, t)
	if err != nil || !held {
		return err
	}
	return conflict("see what was sent since, then `herald resume --after-restore`",
		"campaign %s is held: the ledger was restored (%s)", id, r.Reason)
}
