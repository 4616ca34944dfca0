package campaign

import (
	"slices"
	"testing"
)

// TestEveryMoveOfACampaign spells out every pair of states: 1 is allowed.
func TestEveryMoveOfACampaign(t *testing.T) {
	t.Parallel()
	want := map[State]string{
		//               draft scheduled running paused tracking completed canceled
		StateDraft:     "0 1 1 0 0 0 1",
		StateScheduled: "0 0 1 1 0 0 1",
		StateRunning:   "0 0 0 1 1 0 1",
		StatePaused:    "0 1 1 0 1 0 1",
		StateTracking:  "0 0 1 1 0 1 1",
		StateCompleted: "0 0 1 1 0 0 0",
		StateCanceled:  "0 0 0 0 0 0 0",
	}
	if len(want) != len(States()) || len(successors) != len(States()) {
		t.Fatalf("%d states in this table, %d in successors, %d in all", len(want), len(successors), len(States()))
	}
	for _, from := range States() {
		for i, to := range States() {
			if got, allowed := from.CanBecome(to), want[from][2*i] == '1'; got != allowed {
				t.Errorf("%s → %s: %t, want %t", from, to, got, allowed)
			}
		}
		if over := from == StateCompleted || from == StateCanceled; from.Over() != over {
			t.Errorf("%s.Over() = %t", from, from.Over())
		}
	}
}

func TestAnUnknownStateGoesNowhere(t *testing.T) {
	t.Parallel()
	if slices.ContainsFunc(States(), func(to State) bool { return State("asleep").CanBecome(to) }) {
		t.Error("a state that does not exist can become another")
	}
}
