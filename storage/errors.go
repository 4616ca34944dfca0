package storage

import (
	"context"
	"errors"
	"fmt"

	"github.com/herald-campaigns/herald/campaign"
)

// errDamaged marks what a check of the file found.
var errDamaged = errors.New("the database file is damaged")

// errClosed is what a change gets after Close.
var errClosed = &campaign.Error{Code: campaign.CodeUnavailable, What: "the ledger is closed"}

// errReadOnly is what a change gets on a ledger opened with Config.ReadOnly.
var errReadOnly = &campaign.Error{Code: campaign.CodeConflict, What: "the ledger is open for reading only"}

// failure is a database error by what a person can do about it.
type failure int

const (
	failureOther failure = iota
	failureFull
	failureIO
	failureAccess
	failureBusy
	failureDamaged
	failureUnique
)

// failf is fail with the text made only when it is needed: the send path asks
// a thousand times a second.
func (s *Store) failf(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return s.fail(fmt.Sprintf(format, args...), err)
}

// fail wraps what the database said, once, at the edge of the package. Errors
// that are already for people, and a caller's own cancellation, pass.
func (s *Store) fail(what string, err error) error {
	if err == nil {
		return nil
	}
	if _, ours := errors.AsType[*campaign.Error](err); ours || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	unavailable := func(what, hint string) error {
		return &campaign.Error{Code: campaign.CodeUnavailable, What: what, Hint: hint, Err: err}
	}
	switch kindOf(err) {
	case failureFull:
		return unavailable(fmt.Sprintf("%s: no space left in %s", what, s.Dir()),
			"free some disk space; herald goes on by itself")
	case failureIO:
		return unavailable(fmt.Sprintf("%s: %s cannot be read or written", what, s.Dir()),
			"check the disk and its free space; herald goes on by itself once it answers")
	case failureAccess:
		return unavailable(fmt.Sprintf("%s: no access to %s", what, s.config.Path),
			"check the permissions of the data directory and that it is not mounted read-only")
	case failureBusy:
		return unavailable(fmt.Sprintf("%s: another program holds %s", what, s.config.Path),
			"close the program that has the database open")
	case failureDamaged:
		return &campaign.Error{
			Code: campaign.CodeInternal, Err: err,
			What: fmt.Sprintf("%s: %s", what, s.config.Path),
			Hint: "do not delete anything: move the data directory away, restore a backup as herald.db in a new one and start herald, " +
				"see what was sent since, then `herald resume --after-restore`; `sqlite3 herald.db .recover` can save rows",
		}
	case failureUnique:
		return &campaign.Error{Code: campaign.CodeConflict, What: what + ": it is in the ledger already", Err: err}
	case failureOther:
	}
	return fmt.Errorf("%s: %w", what, err)
}

// IsFull says whether an error of the ledger means that the disk is full.
func IsFull(err error) bool { return err != nil && kindOf(err) == failureFull }

// conflict is an error about something that is not in a state for this.
func conflict(hint, format string, args ...any) *campaign.Error {
	return &campaign.Error{Code: campaign.CodeConflict, What: fmt.Sprintf(format, args...), Hint: hint}
}
