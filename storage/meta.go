package storage

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/jmoiron/sqlx"

	"github.com/herald-campaigns/herald/campaign"
)

// The keys of the meta table.
const (
	metaClosed = "closed" // "yes" after a clean Close, "no" while open
	metaMode   = "mode"

	metaCount    = "count"     // how often it was opened and closed, as in the file INSTANCE
	metaIdentity = "identity"  // of the database file that was last used
	metaMarks    = "marks"     // of the last two files INSTANCE
	metaBackup   = "backup_at" // this is a copy that Backup made then, not yet opened

	// The hold on a restored copy; all "" when there is none.
	metaRestoredSince  = "restored_since"
	metaRestoredReason = "restored_reason"
	metaRestoredFrom   = "restored_backup_at"
)

// BindMode says which mode this ledger is used in. The first call decides;
// a later one with another mode is refused, so that a rehearsal and real
// sends never share a ledger.
func (s *Store) BindMode(ctx context.Context, mode campaign.Mode) error {
	_, err := write(ctx, s, func(ctx context.Context, t *tx) (struct{}, error) {
		bound, err := getMeta(ctx, t, metaMode)
		switch {
		case err != nil:
			return struct{}{}, err
		case bound == "":
			return struct{}{}, setMeta(ctx, t, metaMode, string(mode))
		case bound != string(mode):
			return struct{}{}, conflict(
				fmt.Sprintf("set mode: %s, or give %s another data_dir", bound, mode),
				"%s belongs to %s mode, not %s", s.Dir(), bound, mode)
		}
		return struct{}{}, nil
	})
	return s.fail("bind the data directory to a mode", err)
}

// getMeta is the value of a key, "" when it has none.
func getMeta(ctx context.Context, q querier, key string) (string, error) {
	var value string
	err := sqlx.GetContext(ctx, q, &value, q.Rebind("SELECT value FROM meta WHERE key = ?"), key)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return value, err
}

func setMeta(ctx context.Context, e execer, key, value string) error {
	_, err := e.ExecContext(ctx, e.Rebind(
		"INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value"), key, value)
	return err
}

// querier and execer are what a pool and a transaction have in common.
type querier interface {
	sqlx.QueryerContext
	Rebind(query string) string
}

type execer interface {
	sqlx.ExecerContext
	Rebind(query string) string
}
