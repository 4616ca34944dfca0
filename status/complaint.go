package status

import (
	"context"
	"log/slog"
	"time"
)

// complaint tells the log of work that fails again and again: when it begins,
// and when it is over. What lies between is for who debugs: an outage need not
// be told every second.
type complaint struct {
	log     *slog.Logger
	work    string // e.g. "asking for statuses"
	failing bool
}

// hear takes how one try went. One that ended because ctx did says nothing.
func (c *complaint) hear(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	switch {
	case err != nil && !c.failing:
		c.log.WarnContext(ctx, "failed, will try again until it works", "work", c.work, "err", err)
	case err != nil:
		c.log.DebugContext(ctx, "failed again", "work", c.work, "err", err)
	case c.failing:
		c.log.WarnContext(ctx, "works again", "work", c.work)
	}
	c.failing = err != nil
}

// rest waits for a time, or less: until something comes on wake, which may be
// nil, or ctx ends.
func rest(ctx context.Context, d time.Duration, wake <-chan struct{}) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-wake:
	case <-timer.C:
	}
}
