package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/dispatcher"
	"github.com/herald-campaigns/herald/internal/natsd"
	"github.com/herald-campaigns/herald/periskope"
	"github.com/herald-campaigns/herald/sandbox"
	"github.com/herald-campaigns/herald/status"
	"github.com/herald-campaigns/herald/storage"
)

// App is an open data directory.
type App struct {
	cfg   Config
	log   *slog.Logger
	dir   string
	lock  *storage.DirLock // nil when opened for reading only
	store *storage.Store
	media *mediaStore

	told func(text string) // TellOfOthers

	simKey periskope.Token // signs the webhooks of the built-in simulator, while that runs

	tuning tuning
}

// tuning are values of the engine that only tests and the demo change; zero is the
// default.
type tuning struct {
	giveUp          time.Duration                        // dispatcher.Config
	firstRetry      time.Duration                        // dispatcher.Config
	leaseTTL        time.Duration                        // dispatcher.KeeperConfig
	sendDeadline    time.Duration                        // dispatcher.Config
	callTimeout     time.Duration                        // periskope.Config
	reconciler      status.ReconcilerConfig              // its durations
	schedule        status.Schedule                      // Config.schedule
	sweeper         status.SweeperConfig                 // its durations
	reportsEvery    time.Duration                        // reportsEvery
	sweepsPerSecond float64                              // Config.sweepsPerSecond
	phoneEvery      time.Duration                        // phoneEvery
	phoneGiveUp     time.Duration                        // phoneGiveUp
	confirmEvery    time.Duration                        // confirmEvery
	healthEvery     time.Duration                        // healthEvery
	diskEvery       time.Duration                        // diskEvery
	lostAfter       time.Duration                        // lostAfter
	ackWait         time.Duration                        // stream.Config
	free            func(string) (uint64, uint64, error) // freeSpace
	sandbox         func(*sandbox.Config)                // changes the embedded simulator
	started         func(*natsd.Server, *sandbox.Server) // sees what a run started

	// The seams that package faults lies on.
	added     func(add addRows) addRows // around writing the rows of an import
	wrap      func(*dispatcher.Deps)    // around what a dispatcher works with
	transport http.RoundTripper         // instead of the API client's own
}

// Open opens the data directory for sending: it is created if need be, locked
// against every other process, and bound to the configured mode. A restored copy
// that nobody has confirmed is refused.
func Open(ctx context.Context, cfg Config, log *slog.Logger) (*App, error) {
	if err := cfg.canSend(); err != nil {
		return nil, err
	}
	a, err := openAlone(ctx, cfg, log)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(a.store.BindMode(ctx, cfg.Mode), a.refuseRestored(ctx)); err != nil {
		return nil, errors.Join(err, a.Close()) //nolint:contextcheck // closing is never canceled
	}
	return a, nil
}

// OpenToDecide opens an existing data directory to note what a person decides:
// locked like Open does, but nothing is going to be sent, so no token is needed.
func OpenToDecide(ctx context.Context, cfg Config, log *slog.Logger) (*App, error) {
	a, err := openToSettle(ctx, cfg, log)
	if err != nil {
		return nil, err
	}
	if err := a.refuseRestored(ctx); err != nil {
		return nil, errors.Join(err, a.Close()) //nolint:contextcheck // closing is never canceled
	}
	return a, nil
}

// openToSettle is OpenToDecide for what a restored copy may be asked as well.
func openToSettle(ctx context.Context, cfg Config, log *slog.Logger) (*App, error) {
	if err := mustExist(cfg); err != nil {
		return nil, err
	}
	return openAlone(ctx, cfg, log)
}

// openAlone opens the data directory under its lock.
func openAlone(ctx context.Context, cfg Config, log *slog.Logger) (*App, error) {
	lock, err := storage.LockDir(cfg.DataDir, cfg.Mode)
	switch {
	case campaign.CodeOf(err) == campaign.CodeConflict:
		return nil, inUseError{err}
	case err != nil:
		return nil, err
	}
	a, err := open(ctx, cfg, log, storage.Config{Path: databasePath(cfg), FirstPoll: cfg.schedule().First(), Logger: log})
	if err != nil {
		return nil, errors.Join(err, lock.Unlock())
	}
	a.lock = lock
	return a, nil
}

// OpenToRead opens the data directory to look only: it changes nothing and
// works beside a process that sends.
func OpenToRead(ctx context.Context, cfg Config, log *slog.Logger) (*App, error) {
	if err := mustExist(cfg); err != nil {
		return nil, err
	}
	return open(ctx, cfg, log, storage.Config{Path: databasePath(cfg), ReadOnly: true, Logger: log})
}

func mustExist(cfg Config) error {
	if _, err := os.Stat(databasePath(cfg)); errors.Is(err, fs.ErrNotExist) {
		return &campaign.Error{
			Code: campaign.CodeNotFound, What: fmt.Sprintf("no campaigns in %s", cfg.DataDir),
			Hint: "name the data directory with --data-dir, or start with `herald run FILE`",
		}
	}
	return nil
}

// IsFolder says whether there is a folder at the path.
func IsFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// NoFolder says that a data directory that was named is not there.
func NoFolder(path string) error {
	return &campaign.Error{
		Code: campaign.CodeNotFound, What: fmt.Sprintf("there is no folder %s", path),
		Hint: "--data-dir names the data directory: the folder with herald.db in it",
	}
}

func open(ctx context.Context, cfg Config, log *slog.Logger, db storage.Config) (*App, error) {
	store, err := storage.Open(ctx, db)
	if err != nil {
		return nil, err
	}
	return &App{
		cfg: cfg, log: log, dir: cfg.DataDir, store: store,
		media: &mediaStore{dir: filepath.Join(cfg.DataDir, "media")},
	}, nil
}

func databasePath(cfg Config) string { return filepath.Join(cfg.DataDir, "herald.db") }

// Close closes the ledger, then gives up the directory.
func (a *App) Close() error {
	err := a.store.Close()
	if a.lock != nil {
		err = errors.Join(err, a.lock.Unlock())
	}
	return err
}

// folder is where a campaign's files for people go: rejects and reports.
func (a *App) folder(id campaign.ID) string {
	return filepath.Join(a.dir, "campaigns", string(id))
}
