package natsd

import (
	"context"
	"fmt"
	"log/slog"
)

// bridge carries the server's log into slog. Its notices are about starting
// and stopping, which is our debug level.
type bridge struct{ log *slog.Logger }

const serverSays = "embedded nats-server says"

func (b bridge) say(level slog.Level, format string, args []any) {
	ctx := context.Background()
	if !b.log.Enabled(ctx, level) {
		return
	}
	b.log.LogAttrs(ctx, level, serverSays, slog.String("detail", fmt.Sprintf(format, args...)))
}

func (b bridge) Noticef(format string, args ...any) { b.say(slog.LevelDebug, format, args) }
func (b bridge) Warnf(format string, args ...any)   { b.say(slog.LevelWarn, format, args) }
func (b bridge) Errorf(format string, args ...any)  { b.say(slog.LevelError, format, args) }

// Fatalf does not end the process, as the server's own loggers would: what to
// do without a stream is for internal/app to decide.
func (b bridge) Fatalf(format string, args ...any) { b.say(slog.LevelError, format, args) }

func (b bridge) Debugf(format string, args ...any) { b.say(slog.LevelDebug, format, args) }
func (b bridge) Tracef(format string, args ...any) { b.say(slog.LevelDebug, format, args) }
