package storage

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/herald-campaigns/herald/campaign"
)

// Config says where the ledger is and how it behaves.
type Config struct {
	// Path is the database file. It and its folder are created when missing,
	// readable by their owner only. Required.
	Path string
	// ReadOnly opens an existing ledger to look only, beside a process that
	// writes. Methods that change something fail.
	ReadOnly bool
	// Clock gives the time written to the ledger and leases are measured by;
	// nil: time.Now.
	Clock func() time.Time
	// Logger gets migrations and checks at start; nil: nothing is logged.
	Logger *slog.Logger
	// FirstPoll is how long after the end of an accepted call its status is
	// first asked for; 0: 15 s.
	FirstPoll time.Duration
	// CheckBelow is the size in bytes up to which the file is checked
	// (PRAGMA quick_check) when the ledger was not closed cleanly; 0: 200 MB,
	// which takes two to three seconds. Larger files are not checked at start,
	// since a restart must send again within five; negative: never.
	CheckBelow int64
	// ParkedRows and ParkedBytes are how many deliveries may wait for their row,
	// and how large their bodies may be together; ForgetDeliveries drops the
	// oldest beyond. 0: 100,000 and 256 MiB.
	ParkedRows, ParkedBytes int64
}

func (c Config) withDefaults() Config {
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	c.FirstPoll = cmp.Or(c.FirstPoll, 15*time.Second)
	c.CheckBelow = cmp.Or(c.CheckBelow, 200_000_000)
	c.ParkedRows = cmp.Or(c.ParkedRows, 100_000)
	c.ParkedBytes = cmp.Or(c.ParkedBytes, 256<<20)
	return c
}

func (c Config) validate() error {
	switch {
	case c.Path == "":
		return errors.New("storage: Config.Path is required")
	case c.FirstPoll < 0:
		return errors.New("storage: Config.FirstPoll is negative")
	}
	return nil
}

// Store is the ledger. Its methods may be called from any goroutine.
//
// Every method that changes something returns after the change is on disk. A
// context canceled before the change began cancels it; after that the change
// is carried through, and the method waits for it.
type Store struct {
	config Config
	log    *slog.Logger

	pool    *sqlx.DB // one connection, used by the writer alone
	readers *sqlx.DB // read-only
	writer  *writer
	run     instance // the file INSTANCE since this run began

	// Numbers of ids and the reverse never change, so they are looked up once.
	campaigns   sync.Map // campaign.ID → int64
	campaignIDs sync.Map // int64 → campaign.ID
	senders     sync.Map // campaign.SenderID → int64
	senderIDs   sync.Map // int64 → campaign.Sender

	closeOnce sync.Once
	closeErr  error
}

// Open opens the ledger, creating it or bringing its schema up to date. A
// ledger written by a newer version, a damaged one and an SQLite that is too
// old are refused with a *campaign.Error. One that was restored from a copy is
// opened with its campaigns held; see Restored.
//
// Open does not lock the data directory: LockDir does.
func Open(ctx context.Context, config Config) (*Store, error) {
	config = config.withDefaults()
	if err := config.validate(); err != nil {
		return nil, err
	}
	s := &Store{config: config, log: config.Logger.With(slog.String("component", "storage"))}
	if config.ReadOnly {
		if err := s.openToRead(ctx); err != nil {
			return nil, errors.Join(s.fail("open the ledger", err), s.closePools())
		}
		return s, nil
	}
	if err := createFile(config.Path); err != nil {
		return nil, err
	}
	if err := s.open(ctx); err != nil {
		return nil, errors.Join(s.fail("open the ledger", err), s.closePools())
	}
	s.writer = newWriter(ctx, s.pool, s.now)
	return s, nil
}

// createFile makes the folder and the empty file with tight permissions:
// SQLite would create it readable by all, and gives the WAL the mode of the
// database.
func createFile(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return &campaign.Error{
			Code: campaign.CodeUnavailable, What: "create the data directory", Err: err,
			Hint: "choose a data_dir that this user may write to",
		}
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return &campaign.Error{
			Code: campaign.CodeUnavailable, What: "open the ledger", Err: err,
			Hint: "choose a data_dir that this user may write to",
		}
	}
	return f.Close()
}

func (s *Store) open(ctx context.Context) error {
	found, err := traceFiles(s.config.Path)
	if err != nil {
		return err
	}
	if s.pool, err = openWritePool(s.config.Path); err != nil {
		return err
	}
	if err := checkVersion(); err != nil {
		return err
	}
	// Before anything is read from a file that may be damaged.
	if err := s.checkFile(ctx); err != nil {
		return err
	}
	if err := s.migrate(ctx); err != nil {
		return err
	}
	if s.readers, err = openReadPool(ctx, s.config.Path, readBeside); err != nil {
		return err
	}
	return s.beginRun(ctx, found)
}

// openToRead opens the readers alone. The schema must be the one this version
// knows: only a process that writes may bring it up to date.
func (s *Store) openToRead(ctx context.Context) error {
	if err := checkVersion(); err != nil {
		return err
	}
	var err error
	if s.readers, err = openReadPool(ctx, s.config.Path, readAlone); err != nil {
		return err
	}
	return s.checkSchema(ctx)
}

// Close waits for the changes under way, marks the ledger as cleanly closed
// and moves the WAL into the database file. Calling it again does nothing.
func (s *Store) Close() error {
	s.closeOnce.Do(func() {
		if s.writer == nil {
			s.closeErr = s.fail("close the ledger", s.closePools())
			return
		}
		s.closeErr = s.fail("close the ledger", errors.Join(s.endRun(), s.closePools()))
	})
	return s.closeErr
}

// closePools closes the readers first: the last connection to close
// checkpoints the WAL, and only a writing one can.
func (s *Store) closePools() error {
	var errs []error
	if s.readers != nil {
		errs = append(errs, s.readers.Close())
	}
	if s.pool != nil {
		errs = append(errs, s.pool.Close())
	}
	return errors.Join(errs...)
}

// Dir is the data directory: the folder the database file is in.
func (s *Store) Dir() string { return filepath.Dir(s.config.Path) }

// IntegrityCheck reads the whole database and compares the counters of every
// campaign with its rows, and what rows say of answers with the answers. It is for tests and for an operator in doubt: a
// million rows take seconds.
func (s *Store) IntegrityCheck(ctx context.Context) error {
	if err := checkPages(ctx, s.readers, "PRAGMA integrity_check"); err != nil {
		return s.fail("check the ledger", err)
	}
	all, err := s.Campaigns(ctx)
	if err != nil {
		return err
	}
	for _, c := range all {
		kept, counted, err := s.bothTotals(ctx, c.ID)
		if err != nil {
			return err
		}
		if diff := differences(kept, counted); diff != "" {
			return &campaign.Error{
				Code: campaign.CodeInternal,
				What: fmt.Sprintf("campaign %s: the totals kept and the rows differ: %s", c.ID, diff),
			}
		}
		if err := s.checkAnswers(ctx, c.ID); err != nil {
			return err
		}
	}
	return s.checkConsent(ctx)
}

// now is the ledger's time in epoch milliseconds.
func (s *Store) now() int64 { return s.config.Clock().UnixMilli() }

// millis is t as the ledger keeps it; the zero time is 0.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// moment is the reverse of millis, in UTC.
func moment(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}
