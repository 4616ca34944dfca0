package app

import (
	"context"
	"errors"
	"time"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/dispatcher"
	"github.com/herald-campaigns/herald/stream"
)

// tasks lets the dispatcher fetch from the stream.
type tasks struct {
	consumer *stream.Consumer
	lost     func(ctx context.Context, all bool) int64
	looked   time.Time // for lost rows; Fetch is for one goroutine
}

func (t *tasks) Fetch(ctx context.Context, limit int) ([]dispatcher.Delivery, error) {
	fetched, err := t.consumer.Fetch(ctx, limit)
	if err == nil && len(fetched) == 0 && time.Since(t.looked) > lostEvery {
		t.looked = time.Now()
		if t.lost(ctx, false) > 0 {
			// They may be held back with all that comes after them, by tasks that
			// count as delivered and that nobody has.
			err = t.consumer.Renew(ctx)
		}
	}
	if errors.Is(err, stream.ErrRecreated) {
		// Whatever the old stream held is gone.
		t.lost(ctx, true)
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	deliveries := make([]dispatcher.Delivery, len(fetched))
	for i, d := range fetched {
		deliveries[i] = delivery{stream: d}
	}
	return deliveries, nil
}

// delivery translates verdicts for the stream.
type delivery struct {
	stream stream.Delivery
}

func (d delivery) Task() campaign.Task { return d.stream.Task }
func (d delivery) Deliveries() int     { return d.stream.NumDelivered }

func (d delivery) Settle(v campaign.Verdict, after time.Duration) error {
	if v == campaign.VerdictLater {
		return d.stream.Nak(after)
	}
	return d.stream.Ack()
}
