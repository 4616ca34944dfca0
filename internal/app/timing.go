package app

import (
	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/status"
)

// pollersInFlight is how many status requests may be under way beside the
// sends.
const pollersInFlight = 4

// schedule is when statuses are asked for. In the sandbox time runs faster.
func (c Config) schedule() status.Schedule {
	s := status.DefaultSchedule()
	if c.Mode == campaign.ModeSandbox {
		s.Speed = c.Sandbox.Speed
	}
	return s
}

// pollsPerSecond is the poller's budget: what the send-message page allows
// while watching, and as much as the machine gives in the sandbox.
func (c Config) pollsPerSecond() float64 {
	switch {
	case c.Poll.PerSecond > 0:
		return c.Poll.PerSecond
	case c.Mode == campaign.ModeSandbox:
		return 2 * c.Sandbox.Speed
	default:
		return 2
	}
}
