package report

import (
	"slices"
	"time"

	"github.com/herald-campaigns/herald/campaign"
)

// Series is when things happened, as far as the ledger knows the times.
type Series struct {
	BucketMS int64   `json:"bucket_ms"` // a minute; more in a campaign with more than 1,500 of them
	Points   []Point `json:"points"`    // buckets in which something happened, the oldest first
}

// Point is how much happened in one bucket.
type Point struct {
	At        time.Time `json:"at"` // its start
	Accepted  int64     `json:"accepted"`
	Sent      int64     `json:"sent"`
	Delivered int64     `json:"delivered"`
	Read      int64     `json:"read"`
	Replied   int64     `json:"replied"`
}

func (p *Point) plus(other Point) {
	p.Accepted += other.Accepted
	p.Sent += other.Sent
	p.Delivered += other.Delivered
	p.Read += other.Read
	p.Replied += other.Replied
}

const (
	maxBuckets = 1 << 14 // while the rows are read
	maxPoints  = 1_500   // in the report
)

// bucketMinutes are the widths of a bucket; each is a multiple of the one
// before, so nothing has to be cut in two.
var bucketMinutes = []int64{1, 5, 15, 60, 180, 360, 720, 1440, 10080, 40320, 524160}

// clock counts what happened when. Its buckets grow with the time it covers,
// so that its memory does not.
type clock struct {
	width   int // which of bucketMinutes
	buckets map[int64]*Point
}

func newClock() *clock { return &clock{buckets: map[int64]*Point{}} }

func (c *clock) add(r *campaign.Recipient) {
	if p := c.at(r.QueuedAt); p != nil {
		p.Accepted++
	}
	if p := c.at(r.SentAt); p != nil {
		p.Sent++
	}
	if p := c.at(r.DeliveredAt); p != nil {
		p.Delivered++
	}
	if p := c.at(r.ReadAt); p != nil {
		p.Read++
	}
	if p := c.at(r.RepliedAt); p != nil && r.Replies > 0 {
		p.Replied++
	}
}

// at is the bucket of a time; nil when it is not known.
func (c *clock) at(t time.Time) *Point {
	if t.IsZero() {
		return nil
	}
	n := t.Unix() / 60 / bucketMinutes[c.width]
	p := c.buckets[n]
	if p == nil {
		p = &Point{}
		c.buckets[n] = p
		if len(c.buckets) > maxBuckets {
			c.widen()
			return c.at(t)
		}
	}
	return p
}

// widen puts buckets together.
func (c *clock) widen() {
	if c.width == len(bucketMinutes)-1 {
		return
	}
	factor := bucketMinutes[c.width+1] / bucketMinutes[c.width]
	c.width++
	wide := make(map[int64]*Point, len(c.buckets)/2)
	for n, p := range c.buckets {
		if to := wide[n/factor]; to != nil {
			to.plus(*p)
		} else {
			wide[n/factor] = p
		}
	}
	c.buckets = wide
}

// series is nil when nothing happened.
func (c *clock) series() *Series {
	for len(c.buckets) > maxPoints && c.width < len(bucketMinutes)-1 {
		c.widen()
	}
	if len(c.buckets) == 0 {
		return nil
	}
	s := &Series{BucketMS: bucketMinutes[c.width] * time.Minute.Milliseconds()}
	for n, p := range c.buckets {
		p.At = time.Unix(n*bucketMinutes[c.width]*60, 0).UTC()
		s.Points = append(s.Points, *p)
	}
	slices.SortFunc(s.Points, func(a, b Point) int { return a.At.Compare(b.At) })
	return s
}
