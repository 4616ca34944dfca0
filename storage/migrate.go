package storage

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"log/slog"

	"github.com/jmoiron/sqlx"
	"github.com/pressly/goose/v3"

	"github.com/herald-campaigns/herald/campaign"
)

//go:embed migrations
var migrations embed.FS

const migrationsDir = "migrations/sqlite"

func newProvider(db *sqlx.DB) (*goose.Provider, error) {
	folder, err := fs.Sub(migrations, migrationsDir)
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(goose.DialectSQLite3, db.DB, folder,
		goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger()))
}

// checkSchema refuses a ledger whose schema is not the one this version knows.
func (s *Store) checkSchema(ctx context.Context) error {
	provider, err := newProvider(s.readers)
	if err != nil {
		return err
	}
	sources := provider.ListSources()
	known := sources[len(sources)-1].Version
	var current int64
	if err := s.readers.GetContext(ctx, &current, "SELECT COALESCE(MAX(version_id), 0) FROM goose_db_version"); err != nil {
		return err
	}
	if current != known {
		return conflict("use the herald that wrote it, or `herald run` to bring an older one up to date",
			"%s has schema %d, this herald reads %d", s.Dir(), current, known)
	}
	return nil
}

// migrate brings the schema up to date, each step in a transaction of its own.
func (s *Store) migrate(ctx context.Context) error {
	provider, err := newProvider(s.pool)
	if err != nil {
		return err
	}
	current, target, err := provider.GetVersions(ctx)
	if err != nil {
		return err
	}
	if current > target {
		return &campaign.Error{
			Code: campaign.CodeConflict,
			What: fmt.Sprintf("%s was written by a newer herald (schema %d, this one knows %d)", s.Dir(), current, target),
			Hint: "install the newer herald, or restore a backup made before the upgrade",
		}
	}
	steps, err := provider.Up(ctx)
	if err != nil {
		return err
	}
	for _, step := range steps {
		s.log.InfoContext(ctx, "migrated the ledger", slog.Int64("version", step.Source.Version), slog.Duration("duration", step.Duration))
	}
	return nil
}
