package storage

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/jmoiron/sqlx"
	"github.com/mattn/go-sqlite3"

	"github.com/herald-campaigns/herald/campaign"
)

// This file is the only one that knows the database is SQLite.

const driverName = "sqlite3" // what sqlx chooses the placeholder style by

// minVersion is the oldest SQLite that is trusted: 3.51.3 mended a race that
// could corrupt a database in WAL mode (https://sqlite.org/wal.html#walresetbug).
const minVersion = 3_051_003

func checkVersion() error {
	version, number, _ := sqlite3.Version()
	if number < minVersion {
		return &campaign.Error{
			Code: campaign.CodeInternal,
			What: fmt.Sprintf("SQLite %s is too old: before 3.51.3 its WAL could corrupt the ledger", version),
			Hint: "build herald without the libsqlite3 tag",
		}
	}
	return nil
}

// connector opens connections without registering a driver, which would be
// global state.
type connector struct {
	driver *sqlite3.SQLiteDriver
	dsn    string
}

func (c connector) Connect(context.Context) (driver.Conn, error) { return c.driver.Open(c.dsn) }
func (c connector) Driver() driver.Driver                        { return c.driver }

// beginWrite takes the write lock at once: a transaction that reads first and
// then cannot get it would have to be run again.
const beginWrite = "BEGIN IMMEDIATE"

// openWritePool opens the one connection that writes. With a second one,
// transactions that read before they write fail with "database is locked"
// whatever the timeout.
func openWritePool(path string) (*sqlx.DB, error) {
	dsn, err := dataSource(path, url.Values{
		"_txlock":          {"immediate"},
		"_journal_mode":    {"WAL"},
		"_synchronous":     {"FULL"},
		"_busy_timeout":    {"5000"},
		"_foreign_keys":    {"1"},
		"_mutex":           {"no"},     // database/sql lets nobody else use it meanwhile
		"_cache_size":      {"-16000"}, // KiB
		"_stmt_cache_size": {"64"},     // every statement of the send path stays prepared
	})
	if err != nil {
		return nil, err
	}
	hook := func(conn *sqlite3.SQLiteConn) error {
		if err := keepLog(conn); err != nil {
			return err
		}
		// A page that changes many times between two checkpoints is copied
		// back once. 8,000 pages of 4 KiB keep the WAL at about 32 MiB.
		_, err := conn.Exec("PRAGMA wal_autocheckpoint = 8000; PRAGMA journal_size_limit = 67108864", nil)
		return err
	}
	db := sqlx.NewDb(sql.OpenDB(connector{&sqlite3.SQLiteDriver{ConnectHook: hook}, dsn}), driverName)
	db.SetMaxOpenConns(1)
	db.SetMaxIdleConns(1)
	return db, nil
}

// keepLog keeps a connection from removing the write-ahead log when it is the
// last one to close: only Close does that. A log that is missing after a crash
// was then taken away by somebody, and with it what was sent.
func keepLog(conn *sqlite3.SQLiteConn) error {
	return conn.SetFileControlInt("main", sqlite3.SQLITE_FCNTL_PERSIST_WAL, 1)
}

// dropLog lets the last connection to close remove the log.
func dropLog(db *sqlx.DB) error {
	conn, err := db.Conn(context.Background())
	if err != nil {
		return err
	}
	err = conn.Raw(func(c any) error {
		return c.(*sqlite3.SQLiteConn).SetFileControlInt("main", sqlite3.SQLITE_FCNTL_PERSIST_WAL, 0) //nolint:forcetypeassert // our own connector made it
	})
	return errors.Join(err, conn.Close())
}

// How a reader opens the file. In a process of its own it must be able to
// create the WAL's index, which "ro" forbids; query_only keeps it from writing.
const (
	readBeside = "ro"
	readAlone  = "rw"
)

// openReadPool opens the connections that only read: they neither wait for the
// writer nor hold it up.
func openReadPool(ctx context.Context, path, mode string) (*sqlx.DB, error) {
	dsn, err := dataSource(path, url.Values{
		"mode":             {mode},
		"_query_only":      {"1"},
		"_busy_timeout":    {"5000"},
		"_cache_size":      {"-4000"},
		"_stmt_cache_size": {"32"},
	})
	if err != nil {
		return nil, err
	}
	db := sqlx.NewDb(sql.OpenDB(connector{&sqlite3.SQLiteDriver{ConnectHook: keepLog}, dsn}), driverName)
	db.SetMaxOpenConns(4)
	db.SetMaxIdleConns(4)
	return db, db.PingContext(ctx)
}

// dataSource is a file URI, so that a question mark or a percent sign in a
// folder's name stays part of the path.
func dataSource(path string, options url.Values) (string, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	slashed := filepath.ToSlash(abs)
	if !strings.HasPrefix(slashed, "/") {
		slashed = "/" + slashed // C:/… on Windows
	}
	return "file:" + (&url.URL{Path: slashed}).EscapedPath() + "?" + options.Encode(), nil
}

// checkFile looks through a ledger that was not closed cleanly, if it is small
// enough for that.
func (s *Store) checkFile(ctx context.Context) error {
	var tables int
	if err := s.pool.GetContext(ctx, &tables, "SELECT COUNT(*) FROM sqlite_master WHERE name = 'meta'"); err != nil {
		return err
	}
	if tables == 0 {
		return nil // new
	}
	closed, err := getMeta(ctx, s.pool, metaClosed)
	if err != nil {
		return err
	}
	info, err := os.Stat(s.config.Path)
	if err != nil {
		return err
	}
	if closed == "yes" || info.Size() > s.config.CheckBelow {
		return nil
	}
	s.log.InfoContext(ctx, "the ledger was not closed cleanly, checking it")
	return checkPages(ctx, s.pool, "PRAGMA quick_check")
}

// checkPages runs one of SQLite's checks; what it finds is an error.
func checkPages(ctx context.Context, db *sqlx.DB, pragma string) error {
	var found []string
	if err := db.SelectContext(ctx, &found, pragma); err != nil {
		return err
	}
	if len(found) == 1 && found[0] == "ok" {
		return nil
	}
	return fmt.Errorf("%w: %s", errDamaged, strings.Join(found[:min(len(found), 3)], "; "))
}

// kindOf sorts a driver error by what a person can do about it.
func kindOf(err error) failure {
	if errors.Is(err, errDamaged) {
		return failureDamaged
	}
	e, ok := errors.AsType[sqlite3.Error](err)
	if !ok {
		return failureOther
	}
	// The driver has an enum of its own values; only these mean something here.
	switch e.Code {
	case sqlite3.ErrFull:
		return failureFull
	case sqlite3.ErrIoErr:
		return failureIO
	case sqlite3.ErrReadonly, sqlite3.ErrCantOpen, sqlite3.ErrPerm:
		return failureAccess
	case sqlite3.ErrBusy, sqlite3.ErrLocked:
		return failureBusy
	case sqlite3.ErrCorrupt, sqlite3.ErrNotADB:
		return failureDamaged
	}
	if e.ExtendedCode == sqlite3.ErrConstraintUnique || e.ExtendedCode == sqlite3.ErrConstraintPrimaryKey {
		return failureUnique
	}
	return failureOther
}
