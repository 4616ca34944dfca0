package dispatcher

import (
	"context"
	"log/slog"
	"sync"
)

// trouble tells of something that goes wrong again and again only when it
// begins and when it is over: a full disk must not fill the log.
type trouble struct {
	mu   sync.Mutex
	many int // times since it began; 0 while all is well
}

// met logs the first of a row of failures at the level, the others for those
// who look closely.
func (t *trouble) met(ctx context.Context, log *slog.Logger, level slog.Level, message string, args ...any) {
	t.mu.Lock()
	t.many++
	if t.many > 1 {
		level = slog.LevelDebug
	}
	t.mu.Unlock()
	log.Log(ctx, level, message, args...) //nolint:sloglint // the callers' messages are static
}

// over logs that what went wrong works again, if it did go wrong.
func (t *trouble) over(ctx context.Context, log *slog.Logger, message string) {
	t.mu.Lock()
	many := t.many
	t.many = 0
	t.mu.Unlock()
	if many > 0 {
		log.InfoContext(ctx, message, "failures", many) //nolint:sloglint // the callers' messages are static
	}
}
