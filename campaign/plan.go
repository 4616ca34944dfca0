package campaign

import (
	"fmt"
	"math"
	"time"
)

// Plan says how long a campaign takes at its pace, and which limit decides
// that.
type Plan struct {
	Messages int64         `json:"messages"`
	Start    time.Time     `json:"start"`
	Finish   time.Time     `json:"finish"`   // when the last message is submitted
	Duration time.Duration `json:"-"`        // Finish − Start
	BoundBy  string        `json:"bound_by"` // the deciding limit in words, e.g. "rate 20/m"
}

// SenderLoad is what one sender has to send, and how fast it may.
type SenderLoad struct {
	Messages int64
	Pace     Pace
}

// MakePlan adds up the senders' work from start. The sender that takes longest
// decides the finish.
func MakePlan(loads []SenderLoad, start time.Time) Plan {
	plan := Plan{Start: start, BoundBy: "nothing to send"}
	longest := time.Duration(-1)
	for _, load := range loads {
		plan.Messages += load.Messages
		if load.Messages == 0 {
			continue
		}
		if took, bound := load.Pace.Takes(load.Messages); took > longest {
			longest, plan.BoundBy = took, bound
		}
	}
	plan.Duration = max(longest, 0)
	plan.Finish = start.Add(plan.Duration)
	return plan
}

// Takes is how long n messages take at this pace from an idle start, and the
// limit that decides it. The caps are rolling windows: after Daily messages
// the next one waits until the first is 24 hours old.
func (p Pace) Takes(n int64) (time.Duration, string) {
	if n <= 0 {
		return 0, "nothing to send"
	}
	gaps := n - 1
	var total time.Duration
	bound := ""
	day, hour := int64(p.Daily), int64(p.Hourly)
	// The cap bites if the message after Daily others would be due sooner.
	if day > 0 && gaps >= day && p.spans(day) < 24*time.Hour {
		total = times(gaps/day, 24*time.Hour)
		gaps %= day
		bound = fmt.Sprintf("daily cap %d", day)
	}
	if hour > 0 && gaps >= hour && times(hour, p.gap()) < time.Hour {
		total = sum(total, times(gaps/hour, time.Hour))
		gaps %= hour
		if bound == "" {
			bound = fmt.Sprintf("hourly cap %d", hour)
		}
	}
	total = sum(total, times(gaps, p.gap()))
	if bound == "" {
		bound = "rate " + p.Rate.String()
	}
	return total, bound
}

// spans is how long a run of gaps takes under the rate and the hourly cap.
func (p Pace) spans(gaps int64) time.Duration {
	hour := int64(p.Hourly)
	if hour > 0 && gaps >= hour && times(hour, p.gap()) < time.Hour {
		return sum(times(gaps/hour, time.Hour), times(gaps%hour, p.gap()))
	}
	return times(gaps, p.gap())
}

// times is n × d, or the longest duration there is: a million messages at one
// a day take longer than a time.Duration can say.
func times(n int64, d time.Duration) time.Duration {
	if n > 0 && d > math.MaxInt64/time.Duration(n) {
		return math.MaxInt64
	}
	return time.Duration(n) * d
}

// sum is a + b under the same bound; neither is negative.
func sum(a, b time.Duration) time.Duration {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

// gap is the mean time between two messages; 0 when unlimited.
func (p Pace) gap() time.Duration {
	perSecond := p.Rate.PerSecond()
	if perSecond <= 0 {
		return 0
	}
	return time.Duration(float64(time.Second) / perSecond)
}

// ForSender is the pace a campaign's messages get on a sender: what the
// campaign asks for, within what is configured for the sender (zero if
// nothing is), with defaults for the rest. A pace that names no rate gets the
// safe DefaultPace; one that does has chosen its own caps. in_flight defaults
// to what the rate needs at half a second of latency, at most 8: that is 1 for
// every rate an ordinary number should be used at.
func (p Pace) ForSender(configured Pace) Pace {
	if p.Rate.IsZero() && configured.Rate.IsZero() {
		configured = configured.orElse(DefaultPace())
	}
	p = p.Within(configured)
	if p.Burst == 0 {
		p.Burst = 1
	}
	if p.InFlight == 0 {
		p.InFlight = 8
		if !p.Rate.Unlimited {
			p.InFlight = min(max(int(p.Rate.PerSecond()/2), 1), 8)
		}
	}
	return p
}

// orElse fills what is not set from other.
func (p Pace) orElse(other Pace) Pace {
	if p.Rate.IsZero() {
		p.Rate = other.Rate
	}
	if p.Burst == 0 {
		p.Burst = other.Burst
	}
	if p.Jitter == 0 {
		p.Jitter = other.Jitter
	}
	if p.InFlight == 0 {
		p.InFlight = other.InFlight
	}
	if p.Hourly == 0 {
		p.Hourly = other.Hourly
	}
	if p.Daily == 0 {
		p.Daily = other.Daily
	}
	return p
}
