package web

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"golang.org/x/sync/semaphore"

	"github.com/herald-campaigns/herald/campaign"
)

// intake is the bounded queue in front of the ledger, and the one goroutine that
// empties it. It commits whatever waits together, so under load one fsync pays
// for many deliveries, and without load nobody waits for company.
type intake struct {
	inbox    Inbox
	received func()
	limits   Limits
	figures  *figures
	log      *slog.Logger

	room  room
	queue chan *arrival

	mu     sync.RWMutex // held for reading while putting, so that closing is safe
	closed bool

	ctx     context.Context //nolint:containedctx // the life of the writer, which outlives every request
	abandon context.CancelFunc
	done    chan struct{} // closed when the writer has ended
}

// arrival is a delivery on its way into the ledger.
type arrival struct {
	campaign.Delivery
	room int64
	done chan error // one answer; buffered, for the caller may be gone
}

func newIntake(cfg Config, figures *figures, log *slog.Logger) *intake {
	in := &intake{
		inbox: cfg.Inbox, received: cfg.Received, limits: cfg.Limits, figures: figures, log: log,
		room:  room{bytes: semaphore.NewWeighted(cfg.Limits.Memory)},
		queue: make(chan *arrival, cfg.Limits.Queue), done: make(chan struct{}),
	}
	in.ctx, in.abandon = context.WithCancel(context.Background())
	go in.write()
	return in
}

// put queues a delivery; false: there is no place, or the intake is closed.
func (in *intake) put(a *arrival) bool {
	in.mu.RLock()
	defer in.mu.RUnlock()
	if in.closed {
		return false
	}
	select {
	case in.queue <- a:
		return true
	default:
		return false
	}
}

func (in *intake) write() {
	defer close(in.done)
	batch := make([]*arrival, 0, in.limits.Batch)
	for first := range in.queue {
		batch = in.gather(append(batch[:0], first))
		in.commit(batch)
		clear(batch) // the bodies are not needed any more
	}
}

// gather adds what waits already, up to a full batch.
func (in *intake) gather(batch []*arrival) []*arrival {
	for len(batch) < in.limits.Batch {
		select {
		case next, more := <-in.queue:
			if !more {
				return batch
			}
			batch = append(batch, next)
		default:
			return batch
		}
	}
	return batch
}

// commit writes a batch and tells everybody in it. After an error the ledger may
// have the batch all the same; sent again, it is known by its keys.
func (in *intake) commit(batch []*arrival) {
	deliveries := make([]campaign.Delivery, len(batch))
	for i, a := range batch {
		deliveries[i] = a.Delivery
	}
	ctx, cancel := context.WithTimeout(in.ctx, in.limits.Commit)
	fresh, err := in.inbox.Receive(ctx, deliveries)
	cancel()
	if err != nil {
		in.log.Error("webhook deliveries could not be kept; the provider sends them again",
			slog.Int("deliveries", len(batch)), slog.Any("err", err))
	} else {
		in.figures.kept(fresh, len(batch)-fresh)
	}
	for _, a := range batch {
		in.room.give(a.room)
		a.done <- err
	}
	if err == nil && fresh > 0 && in.received != nil {
		in.received()
	}
}

// close takes nothing more and returns when everything that waited is
// committed, or the context ends.
func (in *intake) close(ctx context.Context) error {
	in.mu.Lock()
	if !in.closed {
		in.closed = true
		close(in.queue)
	}
	in.mu.Unlock()
	defer in.abandon()
	select {
	case <-in.done:
		return nil
	case <-ctx.Done():
		in.abandon()
		<-in.done
		return fmt.Errorf("keep the webhook deliveries that wait: %w", errors.Join(ctx.Err(), context.Cause(ctx)))
	}
}

// room bounds the bytes of bodies held at one time, whoever holds them.
type room struct{ bytes *semaphore.Weighted }

// take makes room for a body of the announced length, or of the greatest one
// when none was announced.
func (r room) take(announced int64) (taken int64, ok bool) {
	taken = announced
	if announced < 0 || announced > MaxBody {
		taken = MaxBody
	}
	return taken, r.bytes.TryAcquire(taken)
}

func (r room) give(taken int64) { r.bytes.Release(taken) }
