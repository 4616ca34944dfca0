package status

import "time"

// Schedule says when a message's status is asked for: how long after one
// request the next one follows. The last wait repeats until the tracking
// window is over.
type Schedule struct {
	Waits  []time.Duration
	Window time.Duration // after acceptance; 72 h if zero
	// Speed divides every wait; above 1 only for a sandbox that runs faster
	// than life. 1 if zero.
	Speed float64
}

// DefaultSchedule follows the pace of the documented examples: sent after
// about 3 s, delivered within seconds, read whenever the recipient looks
// (dossier §4.3, §14). The send-message page asks for no more than a request
// every second or two while watching.
func DefaultSchedule() Schedule {
	return Schedule{Waits: []time.Duration{
		3 * time.Second, 5 * time.Second, 10 * time.Second, 20 * time.Second, time.Minute,
		2 * time.Minute, 5 * time.Minute, 15 * time.Minute, 30 * time.Minute, time.Hour,
	}}
}

func (s Schedule) withDefaults() Schedule {
	if len(s.Waits) == 0 {
		s.Waits = DefaultSchedule().Waits
	}
	if s.Window <= 0 {
		s.Window = 72 * time.Hour
	}
	if s.Speed <= 0 {
		s.Speed = 1
	}
	return s
}

// First is how long after acceptance the first request is due.
func (s Schedule) First() time.Duration { return s.withDefaults().wait(0) }

// Next is when to ask again after the request number polls (1 is the first) at
// now, for a message accepted at accepted; zero when the window is over.
func (s Schedule) Next(accepted, now time.Time, polls int) time.Time {
	next := now.Add(s.wait(polls))
	if next.Sub(accepted) > s.Window {
		return time.Time{}
	}
	return next
}

// Again is Next for a message that was asked for at once and then by the schedule:
// when it began is reckoned from how often that was.
func (s Schedule) Again(now time.Time, polls int) time.Time {
	var since time.Duration
	for i := 1; i < polls; i++ {
		since += s.wait(i)
	}
	return s.Next(now.Add(-since), now, polls)
}

func (s Schedule) wait(polls int) time.Duration {
	wait := s.Waits[min(max(polls, 0), len(s.Waits)-1)]
	return time.Duration(float64(wait) / s.Speed)
}
