package app

import (
	"net/http"
	"testing"
	"time"

	"github.com/herald-campaigns/herald/internal/faults"
	"github.com/herald-campaigns/herald/sandbox"
)

// TestNoListingNoGuess takes away the lists by which an unknown row could be
// settled (promise P3). Nothing is sent again, and no more is unknown than what
// was under way in a kill or answered ambiguously.
func TestNoListingNoGuess(t *testing.T) {
	t.Parallel()
	const recipients, inFlight, kills = 800, 4, 5
	th := newTheater(t, func(c *sandbox.Config) {
		c.Faults = append(ambiguous(),
			sandbox.Fault{Kind: sandbox.FaultStatus, Status: http.StatusNotFound, Route: sandbox.RouteQueues},
			sandbox.Fault{Kind: sandbox.FaultStatus, Status: http.StatusNotFound, Route: sandbox.RouteMessages},
		)
	})
	file := th.text(recipients, "pace: { rate: 400/s, in_flight: 4 }\n")
	killer := newKiller(t)
	for range kills {
		th.killChild(killer, part{File: file}, faults.Strike{Working: th.api.after(1), Within: 200 * time.Millisecond})
	}
	found := th.finish(file)
	unclear := th.api.answered(0, 500, 502)
	t.Logf("%d kills, %d unclear answers: %s", kills, unclear, found)
	if most := int64(kills*inFlight + unclear); found.Unknown == 0 || found.Unknown > most {
		t.Errorf("%d rows are unknown, want some and at most %d", found.Unknown, most)
	}
	if found.Known+found.Unknown != recipients {
		t.Errorf("not every row is accepted or unknown: %s", found)
	}
	// Nothing here was refused in a way that allows a second call.
	calls := map[string]int{}
	for _, body := range th.api.sentBodies() {
		if calls[body.ChatID]++; calls[body.ChatID] > 1 {
			t.Errorf("a call was repeated on a guess")
		}
	}
}
