package app

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/herald-campaigns/herald/campaign"
)

// setting is a number of the configuration and what it may be.
type setting struct {
	key         string
	value       float64
	least, most float64
	whole       bool
	hint        string
}

// numbers are all of the configuration. Those of senders have the bounds that
// they have in the pace of a campaign file.
func (c *Config) numbers() []setting {
	list := []setting{
		// Beyond these, times of the simulator become nothing, or longer than a
		// clock can count.
		{"sandbox.speed", c.Sandbox.Speed, 0.001, 1_000_000, false, "1 is the pace of real life, 100 a hundred times that"},
		{"poll.per_second", c.Poll.PerSecond, 0.001, 10_000, false, "leave it out for what the API allows"},
	}
	const leaveOut = "write plain digits within these bounds, or leave the key out for no limit of its own"
	for _, phone := range slices.Sorted(maps.Keys(c.Senders)) {
		pace, key := c.Senders[phone], "senders."+phone+"."
		list = append(list,
			setting{key + "burst", float64(pace.Burst), 1, campaign.MaxBurst, true, leaveOut},
			setting{key + "jitter", pace.Jitter, 0, 1, false, "it is the part of the gap that is left to chance: 0.3 is a good one"},
			setting{key + "in_flight", float64(pace.InFlight), 1, campaign.MaxInFlight, true, leaveOut},
			setting{key + "hourly", float64(pace.Hourly), 1, campaign.MaxCap, true, leaveOut},
			setting{key + "daily", float64(pace.Daily), 1, campaign.MaxCap, true, leaveOut},
		)
	}
	return list
}

// checkNumbers refuses what is out of bounds. What is said of a sender and means
// nothing would take its caps away; neither NaN nor infinity is within any
// bounds. The value is not repeated: it may be a phone number.
func (c *Config) checkNumbers() error {
	for _, n := range c.numbers() {
		if !c.isSet(n.key) || n.value >= n.least && n.value <= n.most {
			continue
		}
		kind := "a number"
		if n.whole {
			kind = "a whole number"
		}
		plain := func(x float64) string { return strconv.FormatFloat(x, 'f', -1, 64) }
		return c.invalid(n.key, fmt.Sprintf("must be %s from %s to %s", kind, plain(n.least), plain(n.most)), n.hint)
	}
	if c.Sandbox.Seed == 0 {
		return c.invalid("sandbox.seed", "must be a whole number of 1 or more", "with 0 no run would be like another one")
	}
	for _, phone := range slices.Sorted(maps.Keys(c.Senders)) {
		if key := "senders." + phone + ".rate"; c.isSet(key) && c.Senders[phone].Rate.IsZero() {
			return c.invalid(key, "is empty", "write for example 20/m, or leave the key out")
		}
	}
	return nil
}

// isSet says whether somebody has set a key. An empty value counts: whoever
// wrote the key meant something by it.
func (c *Config) isSet(key string) bool {
	from := c.Origin[key]
	return from != "" && from != "default"
}
