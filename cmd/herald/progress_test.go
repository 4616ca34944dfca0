package main

import (
	"bytes"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/herald-campaigns/herald/internal/app"
)

// TestPlainLinesOfACountdown counts down for half a minute: the line is written
// now and then, not whenever the clock in it moves, and at once when the
// campaign starts.
func TestPlainLinesOfACountdown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		view := &plainLines{t: &terminal{err: &out}, every: 10 * time.Second}
		for left := 34*time.Hour + 30*time.Second; left > 34*time.Hour; left -= 200 * time.Millisecond {
			view.show(app.Progress{StartsIn: left})
			<-time.After(200 * time.Millisecond) // of the bubble's clock
		}
		view.show(app.Progress{Submitting: true})
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		if len(lines) != 4 || !strings.Contains(lines[1], "starts in 34:00:20") || !strings.Contains(lines[3], "sending") {
			t.Errorf("half a minute of waiting and the start gave:\n%s", out.String())
		}
	})
}
