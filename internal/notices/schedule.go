package notices

import (
	"math/rand/v2"
	"time"
)

// schedule is how long to wait after each attempt that failed, at most (Standard
// Webhooks, "deliverability and reliability"). After the last one nothing
// follows.
func schedule() []time.Duration {
	return []time.Duration{
		5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour,
		10 * time.Hour, 14 * time.Hour, 20 * time.Hour, 24 * time.Hour,
	}
}

// after draws the wait after the given number of failed attempts, between
// nothing and the schedule's: a receiver that comes back is not met by everybody
// at once. ok is false when it is time to give up. speed divides; 1 is life.
func after(attempts int, speed float64) (wait time.Duration, ok bool) {
	waits := schedule()
	if attempts < 1 || attempts > len(waits) {
		return 0, false
	}
	most := float64(waits[attempts-1]) / speed
	return time.Duration(rand.Float64() * most), true //nolint:gosec // jitter
}
