package report

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rivo/uniseg"
)

// Charts are drawn by ourselves: bars, dots and one line chart take less code
// than it takes to make a chart library follow the page's colors, width and
// content policy. Horizontal places are percent, so text keeps its size on a
// telephone; colors are the style sheet's. html/template writes them, and
// escapes what is in them.

// barChart are horizontal bars with a line of text over each.
type barChart struct {
	ID, Title, Description string
	Height                 int
	Bars                   []bar
}

type bar struct {
	Label, Value string
	TextY, BarY  int
	Width        string // percent
	Class        string
}

const (
	barPitch   = 38 // pixels from bar to bar
	labelCells = 30 // what fits beside a share on a telephone …
	dotCells   = 16 // … and beside a share with its interval
)

// bars draws shares (0…1). Something is never drawn as nothing.
func bars(id, title string, rows []chartRow) barChart {
	c := barChart{ID: id, Title: title, Height: barPitch * len(rows)}
	words := make([]string, 0, len(rows))
	for i, row := range rows {
		width := row.share * 100
		if row.share > 0 {
			width = max(width, 0.5)
		}
		c.Bars = append(c.Bars, bar{
			Label: clip(row.label, labelCells), Value: row.value, Class: row.class,
			TextY: i*barPitch + 14, BarY: i*barPitch + 20, Width: at(width / 100),
		})
		words = append(words, row.label+": "+row.value)
	}
	c.Description = strings.Join(words, "; ") + "."
	return c
}

type chartRow struct {
	label, value, class string
	share               float64
}

// clip shortens a label to what fits; the table has it whole.
func clip(s string, width int) string {
	if uniseg.StringWidth(s) <= width {
		return s
	}
	return prefix(s, width-1) + "…"
}

// at is a share as a place or a length.
func at(share float64) string {
	return strconv.FormatFloat(min(max(share, 0), 1)*100, 'f', 2, 64) + "%"
}

// lineChart is how counts grow over time; without lines it is its table.
type lineChart struct {
	Title, Description string
	Lines              []chartLine
	Grid               []tick // horizontal lines, with their count
	Times              []tick
	Table              []lineRow
	Note               string
}

type chartLine struct {
	Name, Class string
	Path        string // in a field of 1000 × 1000
}

type tick struct {
	At, Text, Anchor string
	Y                string
}

type lineRow struct {
	Time                            string
	Accepted, Delivered, Read, Repl string
}

const (
	tableRows   = 8
	drawnPoints = 4    // fewer make no line: the table says more
	drawnPart   = 0.99 // of all events; a single receipt after days would press the rest together
)

// growth draws the series; nil when there is nothing to draw.
func (r *Report) growth() *lineChart {
	s := r.Series
	if s == nil || len(s.Points) == 0 {
		return nil
	}
	width := time.Duration(s.BucketMS) * time.Millisecond
	begin, end := s.Points[0].At, r.endOf(s.Points[len(s.Points)-1], width)
	var total, seen Point
	for _, p := range s.Points {
		total.plus(p)
	}
	events := func(p Point) float64 { return float64(p.Accepted + p.Delivered + p.Read + p.Replied) }
	c := &lineChart{Title: "Accepted, delivered and read over time"}
	if len(s.Points) < drawnPoints {
		for _, p := range s.Points {
			seen.plus(p)
			c.row(r.when(r.endOf(p, width)), seen)
		}
		return c
	}
	for _, p := range s.Points {
		seen.plus(p)
		if cut := p.At.Add(width); events(seen) >= drawnPart*events(total) && end.Sub(begin) > 2*cut.Sub(begin) {
			c.Note = fmt.Sprintf("The last receipts and replies came until %s; what came after %s is not shown here.", r.when(end), r.when(cut))
			end = cut
			break
		}
	}
	c.table(r, begin, end, width)
	if drawn := slices.IndexFunc(s.Points, func(p Point) bool { return !p.At.Before(end) }); drawn >= 0 && drawn < drawnPoints {
		return c
	}
	top := niceCeiling(max(total.Accepted, total.Delivered, total.Read, total.Replied))
	for _, line := range []struct {
		name, class string
		count       func(Point) int64
	}{
		{"accepted", "c1", func(p Point) int64 { return p.Accepted }},
		{stepDelivered, "c2", func(p Point) int64 { return p.Delivered }},
		{stepRead, "c3", func(p Point) int64 { return p.Read }},
		{"replied", "c4", func(p Point) int64 { return p.Replied }},
	} {
		if line.count(total) > 0 {
			c.Lines = append(c.Lines, chartLine{Name: line.name, Class: line.class, Path: path(s.Points, begin, end, width, top, line.count)})
		}
	}
	for i := range int64(5) {
		y := 1 - float64(i)/4
		line := tick{Y: at(y)}
		if i > 0 {
			line.Text = comma(top * i / 4)
		}
		c.Grid = append(c.Grid, line)
	}
	layout := "15:04"
	if end.Sub(begin) > 20*time.Hour {
		layout = "2 Jan 15:04"
	}
	for i, anchor := range []string{"start", "middle", "end"} {
		t := begin.Add(end.Sub(begin) * time.Duration(i) / 2)
		c.Times = append(c.Times, tick{At: at(float64(i) / 2), Text: t.In(r.zone()).Format(layout), Anchor: anchor})
	}
	c.Description = fmt.Sprintf("From %s to %s: %s accepted, %s delivered, %s read, %s replied. The table below has the steps.",
		r.when(begin), r.when(end), comma(total.Accepted), comma(total.Delivered), comma(total.Read), comma(total.Replied))
	return c
}

// endOf is the end of a bucket, or when the report was made if that was within
// it: nothing is said of a moment that has not come.
func (r *Report) endOf(p Point, width time.Duration) time.Time {
	end := p.At.Add(width)
	if now := r.GeneratedAt; now.After(p.At) && now.Before(end) {
		return now
	}
	return end
}

// path is a line that grows within each bucket.
func path(points []Point, begin, end time.Time, width time.Duration, top int64, count func(Point) int64) string {
	var b strings.Builder
	b.WriteString("M0 1000")
	var sum int64
	x := func(t time.Time) float64 { return min(float64(t.Sub(begin))/float64(end.Sub(begin)), 1) * 1000 }
	y := func(n int64) float64 { return 1000 - float64(n)/float64(top)*1000 }
	for _, p := range points {
		n := count(p)
		if n == 0 || !p.At.Before(end) {
			continue
		}
		fmt.Fprintf(&b, "L%.1f %.1f", x(p.At), y(sum))
		sum += n
		fmt.Fprintf(&b, "L%.1f %.1f", x(p.At.Add(width)), y(sum))
	}
	fmt.Fprintf(&b, "L1000 %.1f", y(sum))
	return b.String()
}

// table is the chart in numbers: the state at the end of some buckets.
func (c *lineChart) table(r *Report, begin, end time.Time, width time.Duration) {
	buckets := int64((end.Sub(begin) + width - 1) / width) // the last one can be short
	step := max((buckets+tableRows-1)/tableRows, 1)
	var sum Point
	points := r.Series.Points
	for i := step; ; i += step {
		until := begin.Add(time.Duration(i) * width)
		if until.After(end) {
			until = end
		}
		for len(points) > 0 && points[0].At.Before(until) {
			sum.plus(points[0])
			points = points[1:]
		}
		c.row(r.when(until), sum)
		if i >= buckets {
			return
		}
	}
}

// row adds the state at a time to the table.
func (c *lineChart) row(until string, sum Point) {
	c.Table = append(c.Table, lineRow{
		Time: until, Accepted: comma(sum.Accepted), Delivered: comma(sum.Delivered), Read: comma(sum.Read), Repl: comma(sum.Replied),
	})
}

// niceCeiling is the next number with four even steps.
func niceCeiling(n int64) int64 {
	if n <= 4 {
		return 4
	}
	unit := math.Pow(10, math.Floor(math.Log10(float64(n))))
	for _, m := range []float64{1, 1.2, 1.6, 2, 2.4, 3.2, 4, 5, 6, 8, 10} {
		if top := int64(m * unit); top >= n && top%4 == 0 {
			return top
		}
	}
	return (n + 3) / 4 * 4
}

// dotChart shows shares with their intervals, by measure.
type dotChart struct {
	Title, Description string
	Height             int
	Groups             []dotGroup
}

type dotGroup struct {
	Title, Scale string
	Y            int
	Dots         []dot
}

type dot struct {
	Label, Value string
	TextY, Y     int
	X, Low, High string
	Class        string
}

// dots draws the variants; nil when nothing can be drawn.
func (v *Variants) dots() *dotChart {
	c := &dotChart{Title: "Variants with 95 % intervals"}
	var words []string
	y := 0
	for _, m := range []Measure{MeasureRead, MeasureReplied, MeasureVoted, MeasureOptedOut} {
		top, any := 0.0, false
		for _, row := range v.Rows {
			if rate := row.Rates[m]; rate.High != nil {
				top = max(top, *rate.High)
				any = any || rate.Count > 0
			}
		}
		if !any {
			continue
		}
		group := dotGroup{Title: measureTitle(m), Scale: "0 % to " + tenth(top), Y: y + 14}
		y += 24
		for i, row := range v.Rows {
			rate := row.Rates[m]
			if rate.Low == nil {
				continue
			}
			value := rate.words()
			group.Dots = append(group.Dots, dot{
				Label: clip(row.Name, dotCells), Value: value, TextY: y + 12, Y: y + 24, Class: fmt.Sprintf("c%d", i%4+1),
				X: at(*rate.Share / top), Low: at(*rate.Low / top), High: at(*rate.High / top),
			})
			words = append(words, fmt.Sprintf("%s %s: %s", row.Name, measureTitle(m), value))
			y += barPitch
		}
		y += 10
		c.Groups = append(c.Groups, group)
	}
	if len(c.Groups) == 0 {
		return nil
	}
	c.Height = y
	c.Description = strings.Join(words, "; ") + "."
	return c
}

func measureTitle(m Measure) string { return strings.ReplaceAll(string(m), "_", " ") }

// words is a rate with its interval.
func (r Rate) words() string {
	if r.Low == nil {
		return percent(r.Count, r.Of)
	}
	return fmt.Sprintf("%s (%s to %s)", percent(r.Count, r.Of), tenth(*r.Low), tenth(*r.High))
}

// tenth is a bound of an interval in percent, which is never all or none unless
// it is exactly so.
func tenth(share float64) string {
	switch {
	case share <= 0:
		return "0 %"
	case share >= 1:
		return "100 %"
	default:
		return fmt.Sprintf("%.1f %%", min(max(share*100, 0.1), 99.9))
	}
}
