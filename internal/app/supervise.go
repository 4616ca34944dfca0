package app

import (
	"cmp"
	"context"
	"fmt"
	"time"
)

const (
	healthEvery   = 5 * time.Second
	healthTimeout = 2 * time.Second
	// healthFailures in a row are no hiccup any more.
	healthFailures = 2
)

// supervise keeps the embedded stream alive: one that does not take messages
// is restarted, empty, and filled again from the ledger. A server can hang
// after a full disk, or with its files deleted under it, and still say that
// all is well (stream page §5), so a message of our own must go through it.
func (e *engine) supervise(ctx context.Context) {
	tick := time.NewTicker(cmp.Or(e.tuning.healthEvery, healthEvery))
	defer tick.Stop()
	failures, told := 0, false
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		err := e.healthy(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			if told {
				e.log.InfoContext(ctx, "the stream takes messages again")
			}
			failures, told = 0, false
			continue
		}
		// A file store cannot come up on a full disk: that has its own watch.
		if failures++; failures < healthFailures || e.disk.isFull() {
			continue
		}
		if !told {
			e.log.WarnContext(ctx, "the stream does not take messages, restarting it", "err", err)
			told = true
		}
		if err := e.renewStream(ctx); err != nil {
			e.log.DebugContext(ctx, "the stream is not back yet", "err", err)
			continue
		}
		failures = 0
	}
}

func (e *engine) healthy(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	return e.conn.Healthy(ctx)
}

// renewStream replaces the server by one with empty folders: what is in them
// may be what it choked on, and the ledger has all that counts (docs/adr/0011).
func (e *engine) renewStream(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	if err := e.broker.RestartEmpty(ctx); err != nil {
		return err
	}
	if err := e.conn.EnsureStream(ctx); err != nil {
		return fmt.Errorf("make the stream anew: %w", err)
	}
	for _, l := range e.allLines() {
		e.lost(l.sender.ID)(ctx, true)
	}
	return nil
}
