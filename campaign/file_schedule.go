package campaign

import (
	"fmt"
	"regexp"
	"strings"
	"time"
)

// startPattern is a moment of RFC 3339, or one without an offset. As people
// write it, T may be a blank and the seconds may be missing. It is also in the
// JSON Schema of the campaign file.
var startPattern = regexp.MustCompile(`^([0-9]{4}-[0-9]{2}-[0-9]{2})[T ]([0-9]{2}:[0-9]{2})(:[0-9]{2})?(?:\.[0-9]{1,9})? ?(Z|[+-][0-9]{2}:[0-9]{2})?$`)

// A start outside of these years is a typing error.
const (
	firstStartYear = 2000
	lastStartYear  = 2199
)

// schedule reads when to start. Whether the moment has passed is not for the
// file to say: it is judged when the campaign is run.
func (f *fileReader) schedule(s section) Schedule {
	var schedule Schedule
	zone, zoneOK := s.text("timezone")
	if zoneOK {
		location, err := loadZone(zone)
		if err != nil {
			fix := "write a name of the IANA list, for example Asia/Kolkata, Europe/London or America/New_York"
			if strings.ContainsAny(zone, "+0123456789") && !strings.Contains(zone, "/") {
				fix = "write the place, for example Asia/Kolkata; an offset goes behind the time in start: 2026-11-28T10:00:00+05:30"
			}
			s.bad("timezone", "there is no such time zone", fix)
			zoneOK = false
		} else {
			schedule.Timezone = location.String()
		}
	}
	value, ok := s.text("start")
	if !ok {
		return schedule
	}
	m := startPattern.FindStringSubmatch(value)
	if m == nil {
		s.bad("start", "this is not a date with a time", `write 2026-11-28T10:00:00+05:30, or 2026-11-28 10:00 with a timezone`)
		return schedule
	}
	seconds := m[3]
	if seconds == "" {
		seconds = ":00"
	}
	local, err := time.Parse("2006-01-02T15:04:05", m[1]+"T"+m[2]+seconds)
	if err != nil || local.Year() < firstStartYear || local.Year() > lastStartYear {
		s.bad("start", "there is no such day or time", "check the day, the hour and the year: 2026-11-28T10:00:00+05:30")
		return schedule
	}
	switch offset := m[4]; {
	case offset != "":
		start, err := time.Parse(time.RFC3339, local.Format("2006-01-02T15:04:05")+offset)
		if err != nil {
			s.bad("start", "there is no such offset from UTC", "write Z for UTC, or hours and minutes such as +05:30")
			return schedule
		}
		schedule.Start = start.UTC()
	case zoneOK:
		start, next := resolveLocal(local, schedule.Timezone)
		if start.IsZero() {
			s.bad("start", "the clocks skip this time in "+schedule.Timezone, "write "+next.Format("2006-01-02 15:04")+", the same moment after the clocks went forward")
			return schedule
		}
		schedule.Start = start
	case !s.has("timezone"):
		s.bad("start", "it is not said in which time zone this time is",
			"add timezone: Asia/Kolkata (an IANA name) below it, or an offset behind it: "+local.Format("2006-01-02T15:04:05")+"+05:30")
	}
	return schedule
}

// loadZone finds an IANA zone. "Local" is none: it would mean another time on
// another machine.
func loadZone(name string) (*time.Location, error) {
	if strings.EqualFold(name, "local") {
		return nil, fmt.Errorf("%s is no IANA zone", name)
	}
	location, err := time.LoadLocation(name)
	if err != nil {
		return nil, fmt.Errorf("load zone: %w", err)
	}
	return location, nil
}

// resolveLocal finds the moment at which clocks in zone show local (given as if
// it were UTC). A time that comes twice, when clocks go back, is its first
// coming. For a time that never comes, when clocks go forward, start is zero
// and next is what clocks show at that moment.
func resolveLocal(local time.Time, zone string) (start, next time.Time) {
	location, err := time.LoadLocation(zone)
	if err != nil {
		return time.Time{}, local
	}
	// The offsets a day before and after bracket any change of the clocks.
	for _, probe := range []time.Duration{-24 * time.Hour, 24 * time.Hour} {
		_, offset := local.Add(probe).In(location).Zone()
		candidate := local.Add(-time.Duration(offset) * time.Second)
		shows := candidate.In(location)
		if sameClock(shows, local) {
			if start.IsZero() || candidate.Before(start) {
				start = candidate
			}
		} else if probe < 0 {
			next = shows
		}
	}
	return start.UTC(), next
}

// sameClock says whether two times read the same on a clock and a calendar.
func sameClock(a, b time.Time) bool {
	const face = "2006-01-02T15:04:05"
	return a.Format(face) == b.Format(face)
}
