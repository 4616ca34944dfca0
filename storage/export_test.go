package storage

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path"
	"strings"

	"github.com/mattn/go-sqlite3"
	"github.com/pressly/goose/v3"
)

// LimitPages lets the database grow by no more than so many pages, the way a
// full disk would; 0 takes the limit away.
func (s *Store) LimitPages(ctx context.Context, more int) error {
	var pages int
	if err := s.pool.GetContext(ctx, &pages, "PRAGMA page_count"); err != nil {
		return err
	}
	limit := pages + more
	if more == 0 {
		limit = 1 << 30
	}
	_, err := s.pool.ExecContext(ctx, fmt.Sprintf("PRAGMA max_page_count = %d", limit))
	return err
}

// Crash ends the store without its Close, as a process that dies does; the
// writer's queue is empty.
func (s *Store) Crash() (err error) {
	s.closeOnce.Do(func() {
		err = errors.Join(s.writer.close(func(context.Context, *tx) error { return nil }), s.closePools())
	})
	return err
}

// MarkSent makes the first rows of the first campaign sent, as if they had been.
func (s *Store) MarkSent(ctx context.Context, rows int) error {
	return s.transact(ctx, func(ctx context.Context, t *tx) error {
		n, err := t.exec(ctx, `UPDATE recipients SET status = 'sent', gen = 1, attempt = 1, epoch = 1, claimed_at = 1, queued_at = 1, sent_at = 1,
			queue_id = 'queue-' || seq, unique_id = 'unique-' || seq, next_poll_at = 1 WHERE campaign_n = 1 AND seq <= ?`, rows)
		t.move(1, pending, standing{Status: "sent"}, n)
		return err
	})
}

// UpgradeAndDie brings a ledger up to date in a process that kills itself when
// a statement of a migration calls die().
func UpgradeAndDie(ctx context.Context, path string, steps fs.FS) error {
	dsn, err := dataSource(path, url.Values{"_txlock": {"immediate"}, "_journal_mode": {"WAL"}, "_synchronous": {"FULL"}})
	if err != nil {
		return err
	}
	hook := func(conn *sqlite3.SQLiteConn) error {
		return errors.Join(keepLog(conn), conn.RegisterFunc("die", func() (int64, error) {
			self, err := os.FindProcess(os.Getpid())
			if err == nil {
				err = self.Kill()
			}
			if err == nil {
				select {} // the kill is on its way
			}
			return 0, err
		}, false))
	}
	db := sql.OpenDB(connector{&sqlite3.SQLiteDriver{ConnectHook: hook}, dsn})
	db.SetMaxOpenConns(1)
	provider, err := goose.NewProvider(goose.DialectSQLite3, db, steps,
		goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger()))
	if err == nil {
		_, err = provider.Up(ctx)
	}
	return errors.Join(err, db.Close())
}

// Steps are the migrations, by file name.
func Steps() (map[string]string, error) {
	files, err := fs.Glob(migrations, migrationsDir+"/*.sql")
	steps := map[string]string{}
	for _, file := range files {
		text, err := migrations.ReadFile(file)
		if err != nil {
			return nil, err
		}
		steps[path.Base(file)] = string(text)
	}
	return steps, err
}

// FirstSchema writes what is in this ledger to a new one at path, as the first
// version of herald would have: with schema 1 alone.
func (s *Store) FirstSchema(ctx context.Context, path string) error {
	if err := createFile(path); err != nil {
		return err
	}
	old, err := openWritePool(path)
	if err != nil {
		return err
	}
	provider, err := newProvider(old)
	if err == nil {
		_, err = provider.UpTo(ctx, 1)
	}
	if err == nil {
		_, err = old.ExecContext(ctx, "ATTACH ? AS new", s.config.Path)
	}
	if err != nil {
		return errors.Join(err, old.Close())
	}
	var tables []string
	err = old.SelectContext(ctx, &tables, `SELECT name FROM main.sqlite_master WHERE type = 'table'
		AND name NOT LIKE 'sqlite_%' AND name NOT LIKE 'goose_%' ORDER BY name = 'campaigns' DESC, name = 'senders' DESC`)
	for _, table := range tables {
		var columns []string
		err = errors.Join(err, old.SelectContext(ctx, &columns, "SELECT name FROM pragma_table_info(?, 'main')", table))
		list := strings.Join(columns, ", ")
		_, failed := old.ExecContext(ctx, fmt.Sprintf("INSERT INTO main.%s (%s) SELECT %s FROM new.%s", table, list, list, table))
		err = errors.Join(err, failed)
	}
	_, failed := old.ExecContext(ctx, "DELETE FROM meta WHERE key NOT IN ('closed', 'mode')")
	return errors.Join(err, failed, old.Close())
}

// Exec runs a statement behind the ledger's back.
func (s *Store) Exec(ctx context.Context, query string) error {
	_, err := s.pool.ExecContext(ctx, query)
	return err
}

// Pragma is the value of a PRAGMA on the writing or a reading connection.
func (s *Store) Pragma(ctx context.Context, name string, writer bool) (string, error) {
	pool := s.readers
	if writer {
		pool = s.pool
	}
	var value string
	err := pool.GetContext(ctx, &value, "PRAGMA "+name)
	return value, err
}

// Plan is how SQLite would run a query on a reading connection.
func (s *Store) Plan(ctx context.Context, query string, args ...any) (string, error) {
	var steps []struct {
		ID, Parent, NotUsed int
		Detail              string
	}
	err := s.readers.SelectContext(ctx, &steps, "EXPLAIN QUERY PLAN "+query, args...)
	plan := ""
	for _, step := range steps {
		plan += step.Detail + "\n"
	}
	return plan, err
}

// Query is a query with its arguments.
type Query struct {
	Text string
	Args []any
}

// PageQueries are the queries behind one page of Recipients.
func PageQueries(filter Filter) ([]Query, error) {
	var list []Query
	for _, p := range parts(1, filter, 100) {
		text, args, err := pageQuery(1, filter, p, 100)
		if err != nil {
			return nil, err
		}
		list = append(list, Query{text, args})
	}
	return list, nil
}

// The queries whose plans are tested.
const (
	PendingQuery     = pendingQuery
	NextDueQuery     = nextDueQuery
	StagedCountQuery = stagedCountQuery
	StagedQuery      = stagedQuery
	SubmittingQuery  = submittingQuery
	DuePollsQuery    = duePollsQuery
	AwaitingQuery    = awaitingQuery
	UnfollowedQuery  = unfollowedQuery
	DueTakenBack     = dueTakenBackQuery
	CancelPending    = cancelPending
	CancelStaged     = cancelStaged
	UnknownQuery     = unknownQuery
	ReturnedQuery    = returnedQuery
	BoundQuery       = boundQuery
	EarlierQuery     = earlierQuery
	LaterQuery       = laterQuery
	ByQueueQuery     = byQueueQuery
	ByUniqueQuery    = byUniqueQuery
	FormerQuery      = formerQuery
	LatestQuery      = latestQuery
	WaitingQuery     = waitingQuery
	BoundFormerQuery = boundFormerQuery
	SpellingsQuery   = spellingsQuery
	LastConsentQuery = lastConsentQuery
	OptOutsQuery     = optOutsQuery
	FreshQuery       = freshQuery
	ParkedQuery      = parkedQuery
	ForgetParked     = forgetParked
	ForgetDone       = forgetDone
	RepliesQuery     = repliesQuery
	ReviewsQuery     = reviewsQuery
	BallotsQuery     = ballotsQuery
	WatchesQuery     = watchesQuery
	OptedOutQuery    = optedOutQuery
	KeptStopsQuery   = keptStopsQuery
	RowsOfChatQuery  = rowsOfChatQuery
	DueNoticesQuery  = dueNoticesQuery
	NoticeQueues     = noticeQueuesQuery
	RetryableQuery   = retryableQuery

	QueuedQuery         = queuedQuery
	QueuedSkippedQuery  = queuedSkippedQuery
	QueuedCanceledQuery = queuedCanceledQuery
	StillQueuedQuery    = stillQueuedQuery
)

// StageQuery is built at start, so it is no constant.
var StageQuery = stageQuery
