package report

import (
	"fmt"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/rivo/uniseg"
)

func comma(n int64) string { return humanize.Comma(n) }

// count is "1 row", "5,000 rows".
func count(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return comma(n) + " " + noun + "s"
}

// percent is a share with one decimal. It never rounds up to all or down to
// none: "100 %" is a promise.
func percent(n, of int64) string {
	switch {
	case of == 0:
		return "-"
	case n == 0:
		return "0 %"
	case n == of:
		return "100 %"
	}
	p := float64(n) * 100 / float64(of)
	switch {
	case p < 0.1:
		return "<0.1 %"
	case n < of && p > 99.9:
		return "99.9 %"
	default:
		return fmt.Sprintf("%.1f %%", p)
	}
}

// when is a time in the zone of the report, "" for none.
func (r *Report) when(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.In(r.zone()).Format("2006-01-02 15:04:05 MST")
}

// zone is the one times are shown in.
func (r *Report) zone() *time.Location {
	if r.location == nil {
		return time.UTC
	}
	return r.location
}

// zoneName is a zone by its IANA name, or by what its clocks differ from UTC in
// the year of now: "Local" says nothing to whoever is sent the report, and
// "IST" is said in three countries.
func zoneName(zone *time.Location, now time.Time) string {
	if name := zone.String(); name == time.UTC.String() || strings.Contains(name, "/") && !strings.HasPrefix(name, "/") {
		return name
	}
	year := now.In(zone).Year()
	january := time.Date(year, time.January, 1, 12, 0, 0, 0, zone)
	july := time.Date(year, time.July, 1, 12, 0, 0, 0, zone)
	_, winter := january.Zone()
	_, summer := july.Zone()
	if winter > summer { // south of the equator
		winter, summer = summer, winter
	}
	if winter == summer {
		return utcOffset(winter)
	}
	return utcOffset(winter) + ", in summer " + utcOffset(summer)
}

// utcOffset is so many seconds east of UTC as "UTC+05:30".
func utcOffset(seconds int) string {
	if seconds == 0 {
		return "UTC"
	}
	return "UTC" + time.Unix(0, 0).In(time.FixedZone("", seconds)).Format("-07:00")
}

// day is the date of a time in the zone of the report.
func (r *Report) day(t time.Time) string {
	return t.In(r.zone()).Format(time.DateOnly)
}

func ms(n int64) time.Duration { return time.Duration(n) * time.Millisecond }

// span is a duration with the two units that matter: "820 ms", "3.2 s",
// "4 h 12 min", "2 d 3 h".
func span(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%.1f s", d.Truncate(100*time.Millisecond).Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%d min %d s", d/time.Minute, d%time.Minute/time.Second)
	case d < day:
		return fmt.Sprintf("%d h %d min", d/time.Hour, d%time.Hour/time.Minute)
	default:
		return fmt.Sprintf("%d d %d h", d/day, d%day/time.Hour)
	}
}

// receipt is how long something took to come back. It comes with times in whole
// seconds, so that anything shorter is as good as one.
func receipt(n int64) string {
	if n < time.Second.Milliseconds() {
		return "1 s"
	}
	return span(ms(n))
}

// perSecond is a rate in the unit in which it is not a fraction of one.
func perSecond(rate float64) string {
	switch {
	case rate >= 1:
		return fmt.Sprintf("%.1f a second", rate)
	case rate*60 >= 1:
		return fmt.Sprintf("%.1f a minute", rate*60)
	default:
		return fmt.Sprintf("%.1f an hour", rate*3600)
	}
}

// short is enough of a hash to compare two by eye.
func short(hash string) string {
	if hash == "" {
		return "-"
	}
	return hash[:min(12, len(hash))]
}

// sentence gives a phrase its capital and full stop.
func sentence(s string) string {
	if s == "" {
		return ""
	}
	first, rest, _, _ := uniseg.FirstGraphemeClusterInString(s, -1)
	return strings.ToUpper(first) + rest + "."
}
