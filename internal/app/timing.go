package app

import (
	"cmp"
	"time"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/periskope"
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

func (a *App) schedule() status.Schedule {
	if a.tuning.schedule.Speed > 0 {
		return a.tuning.schedule
	}
	return a.cfg.schedule()
}

// reconciling is how unknown rows are settled. In the sandbox time runs faster;
// it takes a message before it answers or falls silent, so that the length of a
// call does not matter there.
func (a *App) reconciling(attention map[campaign.ID]status.Attention) status.ReconcilerConfig {
	c := a.tuning.reconciler
	c.Attention, c.Schedule = attention, a.schedule()
	c.CallTimeout, c.UploadRate = cmp.Or(c.CallTimeout, a.tuning.callTimeout), periskope.UploadRate
	if a.cfg.Mode == campaign.ModeSandbox {
		c.SettleFloor = cmp.Or(c.SettleFloor, faster(time.Minute, a.cfg.Sandbox.Speed))
		c.PassGap = cmp.Or(c.PassGap, faster(30*time.Second, a.cfg.Sandbox.Speed))
		c.CallTimeout = cmp.Or(c.CallTimeout, faster(30*time.Second, a.cfg.Sandbox.Speed))
	}
	return c
}

// speed is how much faster than life things go.
func (c Config) speed() float64 {
	if c.Mode == campaign.ModeSandbox {
		return c.Sandbox.Speed
	}
	return 1
}

// sweepsPerSecond is the budget for looking through the provider's lists, beside
// that of the poller.
func (c Config) sweepsPerSecond() float64 { return 0.5 * c.speed() }

// contactsEvery is the pause between two questions about contacts: zero for the
// default, shorter in the sandbox.
func (c Config) contactsEvery() time.Duration {
	if c.Mode == campaign.ModeSandbox {
		return max(time.Duration(float64(campaign.ContactsEvery)/c.Sandbox.Speed), time.Millisecond)
	}
	return 0
}

// confirmEvery is the pause between two confirmations of a sender, shorter in the
// sandbox.
func (c Config) confirmEvery() time.Duration { return time.Duration(float64(confirmEvery) / c.speed()) }

// faster is a time of real life in a sandbox, at least a second.
func faster(d time.Duration, speed float64) time.Duration {
	return max(time.Duration(float64(d)/speed), time.Second)
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
