package campaign

import "time"

// Rate is a number of messages per unit of time. The zero Rate is "not set";
// Unlimited sends as fast as the API takes them.
type Rate struct {
	Count     float64       // messages per Per, > 0
	Per       time.Duration // whole seconds, up to a day
	Unlimited bool
}

// IsZero says whether no rate was set.
func (r Rate) IsZero() bool { return r == Rate{} }

// PerSecond is the rate in messages a second; 0 when unlimited or not set.
func (r Rate) PerSecond() float64 {
	if r.Unlimited || r.Per <= 0 {
		return 0
	}
	return r.Count / r.Per.Seconds()
}

// Lower is the stricter of two rates; a rate that is not set restricts
// nothing.
func (r Rate) Lower(other Rate) Rate {
	switch {
	case r.IsZero() || r.Unlimited && !other.IsZero():
		return other
	case other.IsZero() || other.Unlimited || r.PerSecond() <= other.PerSecond():
		return r
	default:
		return other
	}
}

// Pace is how fast one sender may go (design §5). Zero fields are "not set".
type Pace struct {
	Rate     Rate    `yaml:"rate" json:"rate,omitzero"`
	Burst    int     `yaml:"burst" json:"burst,omitempty"`         // messages at once after idling, ≥ 1
	Jitter   float64 `yaml:"jitter" json:"jitter,omitempty"`       // 0…1: spread of the gap around its mean
	InFlight int     `yaml:"in_flight" json:"in_flight,omitempty"` // calls under way at once, 1…64
	Hourly   int     `yaml:"hourly" json:"hourly,omitempty"`       // most in any 60 minutes
	Daily    int     `yaml:"daily" json:"daily,omitempty"`         // most in any 24 hours
}

// MaxInFlight bounds Pace.InFlight: with more, a crash could leave more
// recipients unknown than a person can look through.
const MaxInFlight = 64

// MaxBurst and MaxCap bound Pace.Burst and its two caps: what is more is no
// limit any more, and most likely a typing mistake.
const (
	MaxBurst = 1000
	MaxCap   = 10_000_000
)

// DefaultPace is safe for an ordinary WhatsApp number (dossier §12): a gap of
// about 15 s spread by half, at most 150 an hour and 200 a day.
func DefaultPace() Pace {
	return Pace{
		Rate:     Rate{Count: 4, Per: time.Minute},
		Burst:    1,
		Jitter:   0.5,
		InFlight: 1,
		Hourly:   150,
		Daily:    200,
	}
}

// Within is the pace of a campaign asking for p on a sender limited to cap:
// the stricter of the two, field by field.
func (p Pace) Within(limit Pace) Pace {
	p.Rate = p.Rate.Lower(limit.Rate)
	p.Burst = lowerSet(p.Burst, limit.Burst)
	p.InFlight = lowerSet(p.InFlight, limit.InFlight)
	p.Hourly = lowerSet(p.Hourly, limit.Hourly)
	p.Daily = lowerSet(p.Daily, limit.Daily)
	if p.Jitter == 0 {
		p.Jitter = limit.Jitter
	}
	return p
}

// lowerSet is the smaller of two limits of which zero means none.
func lowerSet(a, b int) int {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}
