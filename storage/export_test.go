package storage

import (
	"context"
	"errors"
	"fmt"
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
	CancelPending    = cancelPending
	CancelStaged     = cancelStaged
	UnknownQuery     = unknownQuery
	BoundQuery       = boundQuery
	WitnessQuery     = witnessQuery
)

// StageQuery is built at start, so it is no constant.
var StageQuery = stageQuery
