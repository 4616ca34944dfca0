package notices

import (
	"net/url"
	"time"

	"github.com/herald-campaigns/herald/campaign"
)

// absences are the hosts that did not take what they were given last.
type absences map[string]absence

// absence is a host that fails. Its zero value is one that does not.
type absence struct {
	failures int       // in a row, those under way together as one
	until    time.Time // it is left alone
}

const (
	// oddFailures may be the notice's fault, or chance.
	oddFailures  = 1
	leastAbsence = time.Second
	mostAbsence  = time.Minute
)

// learn takes what an attempt says about the host of the notice: it took it, or
// it is left alone, twice as long each time. speed divides.
func (a absences) learn(n campaign.Notice, d campaign.Delivered, speed float64) {
	host := hostOf(n.URL)
	if d.Failed == "" || d.Done && n.Attempts < len(schedule()) { // it wants no more of this notice, and says so
		delete(a, host)
		return
	}
	now, known := time.Now(), a[host]
	if known.until.After(now) {
		return // it was under way beside one that failed before
	}
	known.failures++
	if doublings := known.failures - oddFailures - 1; doublings >= 0 {
		wait := min(leastAbsence<<min(doublings, 10), mostAbsence)
		known.until = now.Add(time.Duration(float64(wait) / speed))
	}
	a[host] = known
}

// room is how many notices may be under way to the host: one that fails is
// tried with one.
func (a absence) room(perHost int) int {
	if a.failures > oddFailures {
		return 1
	}
	return perHost
}

func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Host
}
