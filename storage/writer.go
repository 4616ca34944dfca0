package storage

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/jmoiron/sqlx"
)

// maxGroup bounds how many operations share a commit, and with it how long the
// first of them waits.
const maxGroup = 512

// writer is the one goroutine that writes. It takes every operation that waits
// into one transaction, commits, and then answers all of them: under load many
// claims and outcomes share an fsync, and an idle ledger answers after one.
type writer struct {
	pool *sqlx.DB
	now  func() int64

	// reports is read and written by operations alone, which run one at a time.
	// It is emptied when one is rolled back, with what that one had put in.
	reports map[int64]report

	mu     sync.Mutex // guards queue and closed; held for appends and swaps only
	queue  []*request
	closed bool

	wake chan struct{} // holds one token when queue or closed changed
	done chan struct{} // closed when the goroutine has ended
}

// operation is one change. It may run a second time after a rollback, so it
// must not keep anything from the first time.
type operation func(ctx context.Context, t *tx) error

// request is an operation with the caller that waits for it.
type request struct {
	op    operation
	taken atomic.Bool // by the writer, to run it, or by the caller, to give up
	err   error       // written by the writer before done is closed
	done  chan struct{}
}

func newWriter(ctx context.Context, pool *sqlx.DB, now func() int64) *writer {
	w := &writer{pool: pool, now: now, reports: map[int64]report{}, wake: make(chan struct{}, 1), done: make(chan struct{})}
	go w.run(context.WithoutCancel(ctx))
	return w
}

// write runs op in the writer and returns what it returned, after the commit.
func write[T any](ctx context.Context, s *Store, op func(ctx context.Context, t *tx) (T, error)) (T, error) {
	var result T
	if s.writer == nil {
		return result, errReadOnly
	}
	err := s.writer.submit(ctx, func(ctx context.Context, t *tx) (err error) {
		result, err = op(ctx, t)
		return err
	})
	if err != nil {
		var zero T
		return zero, err
	}
	return result, nil
}

// submit queues op and waits for its commit. A context that ends before the
// writer took op withdraws it; after that op is carried through.
func (w *writer) submit(ctx context.Context, op operation) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	r := &request{op: op, done: make(chan struct{})}
	w.mu.Lock()
	if w.closed {
		w.mu.Unlock()
		return errClosed
	}
	w.queue = append(w.queue, r)
	w.mu.Unlock()
	w.signal()

	select {
	case <-r.done:
		return r.err
	case <-ctx.Done():
		if r.taken.CompareAndSwap(false, true) {
			return ctx.Err()
		}
		<-r.done
		return r.err
	}
}

func (w *writer) signal() {
	select {
	case w.wake <- struct{}{}:
	default: // a token is there already
	}
}

// close lets the writer finish what is queued and then last, and waits for its
// end.
func (w *writer) close(last operation) error {
	r := &request{op: last, done: make(chan struct{})}
	w.mu.Lock()
	w.closed = true
	w.queue = append(w.queue, r)
	w.mu.Unlock()
	w.signal()
	<-w.done
	return r.err
}

func (w *writer) run(ctx context.Context) {
	defer close(w.done)
	for range w.wake {
		for {
			// Whoever is ready to run may still join the group: a larger one
			// costs the disk hardly more. An idle machine does not wait here.
			runtime.Gosched()
			group, closed := w.next()
			if len(group) == 0 {
				if closed {
					return
				}
				break
			}
			w.commit(ctx, group)
		}
	}
}

// next takes the operations that wait, at most maxGroup.
func (w *writer) next() (group []*request, closed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := min(len(w.queue), maxGroup)
	group = w.queue[:n:n]
	w.queue = w.queue[n:]
	if len(w.queue) == 0 {
		w.queue = nil // group owns the array now
	}
	return group, w.closed
}

// commit runs the group in one transaction and answers every caller. If one
// operation fails, the transaction is rolled back and each runs in its own, so
// that one failure hurts only itself.
func (w *writer) commit(ctx context.Context, waiting []*request) {
	group := waiting[:0]
	for _, r := range waiting {
		if r.taken.CompareAndSwap(false, true) {
			group = append(group, r)
		}
	}
	if len(group) == 0 {
		return
	}
	err := w.transact(ctx, group...)
	if _, ok := errors.AsType[*operationError](err); ok && len(group) > 1 {
		for _, r := range group {
			r.err = cause(w.transact(ctx, r))
			close(r.done)
		}
		return
	}
	for _, r := range group {
		r.err = cause(err)
		close(r.done)
	}
}

// operationError tells an operation's own error from one of the transaction,
// which is everybody's.
type operationError struct{ err error }

func (e *operationError) Error() string { return e.err.Error() }
func (e *operationError) Unwrap() error { return e.err }

func cause(err error) error {
	if failed, ok := errors.AsType[*operationError](err); ok {
		return failed.err
	}
	return err
}

// transact runs the group in one transaction. It does so by hand on the
// connection: database/sql starts a goroutine for every transaction and for
// every query in it, to watch contexts that never end here.
func (w *writer) transact(ctx context.Context, group ...*request) (err error) {
	conn, err := w.pool.Connx(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }() // back to the pool
	if _, err := conn.ExecContext(ctx, beginWrite); err != nil {
		return err
	}
	t := newTx(conn, w.now, w.reports)
	for _, r := range group {
		if err := r.op(ctx, t); err != nil {
			return w.rollback(ctx, conn, &operationError{err})
		}
	}
	if err := t.flush(ctx); err != nil {
		return w.rollback(ctx, conn, &operationError{err})
	}
	if _, err := conn.ExecContext(ctx, "COMMIT"); err != nil {
		return w.rollback(ctx, conn, err)
	}
	return nil
}

// rollback ends a failed transaction and returns why it failed. Its own error
// tells nothing more: after a full disk SQLite has rolled back by itself and
// says that there is nothing to roll back, and a connection that is broken
// fails the next BEGIN.
func (w *writer) rollback(ctx context.Context, conn *sqlx.Conn, cause error) error {
	_, _ = conn.ExecContext(ctx, "ROLLBACK")
	clear(w.reports)
	return cause
}
