package storage

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strconv"

	"github.com/jmoiron/sqlx"
	"github.com/mattn/go-sqlite3"

	"github.com/herald-campaigns/herald/campaign"
)

// Backup makes a copy of the ledger at path, as it is at one instant, while
// this or another process writes. The copy is one file, readable by its owner
// only, and gets its name when it is whole, on disk and checked: what bears the
// name can be restored, by putting it in place of the ledger. It is marked with
// the time when it was begun, so that Open knows it for a restored copy.
//
// A path that exists is a conflict. It works on a ledger opened with
// Config.ReadOnly too. Writing goes on meanwhile, but the write-ahead log
// grows until the copy is made.
func (s *Store) Backup(ctx context.Context, path string) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return fmt.Errorf("back up the ledger: %w", err)
	}
	if err := mustBeFree(path); err != nil {
		return err
	}
	// A name of its own: a backup that dies half-way leaves nothing that looks
	// like one. SQLite fills an empty file, whose mode then is ours.
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.partial")
	if err != nil {
		return badTarget(path, err)
	}
	partial := f.Name()
	err = f.Close()
	if err == nil {
		err = s.copyTo(ctx, partial)
	}
	if err == nil {
		err = mustBeFree(path)
	}
	if err == nil {
		err = os.Rename(partial, path)
	}
	if err != nil {
		return badTarget(path, errors.Join(err, os.Remove(partial)))
	}
	return badTarget(path, SyncDir(filepath.Dir(path)))
}

// copyTo fills the empty file at path with the ledger, marks, syncs and checks
// it.
func (s *Store) copyTo(ctx context.Context, path string) error {
	from, err := openPlain(s.config.Path)
	if err != nil {
		return err
	}
	// What is sent while it is copied is sent after: the mark bears the time
	// before.
	at := s.now()
	_, err = from.ExecContext(ctx, "VACUUM INTO ?", path)
	if err := errors.Join(err, from.Close()); err != nil {
		return err
	}
	to, err := openPlain(path)
	if err != nil {
		return err
	}
	err = errors.Join(
		setMeta(ctx, to, metaBackup, strconv.FormatInt(at, 10)), setMeta(ctx, to, metaClosed, "yes"), to.Close())
	if err != nil {
		return err
	}
	if err := syncFile(path); err != nil {
		return err
	}
	return s.checkCopy(ctx, path)
}

// openPlain opens one connection without the settings of the send path: a
// reader with query_only set may not copy, and a copy keeps no log.
func openPlain(path string) (*sqlx.DB, error) {
	dsn, err := dataSource(path, url.Values{"mode": {"rw"}, "_busy_timeout": {"5000"}})
	if err != nil {
		return nil, err
	}
	db := sqlx.NewDb(sql.OpenDB(connector{&sqlite3.SQLiteDriver{ConnectHook: keepLog}, dsn}), driverName)
	db.SetMaxOpenConns(1)
	return db, nil
}

func syncFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// checkCopy opens the copy as anybody would, and reads all of it.
func (s *Store) checkCopy(ctx context.Context, path string) error {
	copied, err := Open(ctx, Config{Path: path, ReadOnly: true, Clock: s.config.Clock})
	if err != nil {
		return err
	}
	return errors.Join(copied.IntegrityCheck(ctx), copied.Close()) //nolint:contextcheck // closing is never canceled
}

func mustBeFree(path string) error {
	_, err := os.Lstat(path)
	if err == nil {
		return conflict("choose another name: a backup never replaces a file", "%s exists", path)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return badTarget(path, err)
}

// badTarget tells of trouble with the copy, which is seldom the ledger's.
func badTarget(path string, err error) error {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	if _, ours := errors.AsType[*campaign.Error](err); ours {
		return err
	}
	if kindOf(err) == failureFull {
		return &campaign.Error{
			Code: campaign.CodeUnavailable, What: "there is not enough room for the backup in " + filepath.Dir(path), Err: err,
			Hint: "free some space, or choose a path on another disk; nothing was left behind",
		}
	}
	return &campaign.Error{
		Code: campaign.CodeUnavailable, What: "back up the ledger to " + path, Err: err,
		Hint: "check that the folder exists, that this user may write to it, and its free space",
	}
}
