package stream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/herald-campaigns/herald/campaign"
)

// Values of a consumer, settled by experiment (docs: stream page §2).
const (
	maxBatch          = 256
	batchSpan         = 250 * time.Millisecond // a batch is this much of the sender's rate
	minAckWait        = 30 * time.Second
	ackMargin         = 15 * time.Second
	minAckPending     = 16
	maxAckPending     = 512
	inactiveThreshold = time.Hour
)

// Tuning is what the values of a sender's consumer depend on.
type Tuning struct {
	PerSecond   float64       // the sender's rate; 0 is unlimited
	InFlight    int           // calls under way at once; 0 means 1
	HTTPTimeout time.Duration // the longest a call may take; 0 means 30 s
}

func (t Tuning) withDefaults() Tuning {
	t.InFlight = orDefault(t.InFlight, 1)
	t.HTTPTimeout = orDefault(t.HTTPTimeout, 30*time.Second)
	return t
}

// batch is the most tasks to fetch at once. The clock of AckWait starts for
// the whole batch when it is delivered, so a slow sender takes one by one.
func (t Tuning) batch() int {
	if t.PerSecond <= 0 {
		return maxBatch
	}
	return int(max(1, min(t.PerSecond*batchSpan.Seconds(), maxBatch)))
}

func (t Tuning) ackWait() time.Duration {
	wait := 2*t.HTTPTimeout + ackMargin
	if t.PerSecond > 0 {
		const day = 24 * 60 * 60
		wait += time.Duration(min(float64(t.batch())/t.PerSecond, day) * float64(time.Second))
	}
	return max(minAckWait, wait)
}

func (t Tuning) ackPending() int { return max(minAckPending, min(2*t.InFlight, maxAckPending)) }

// Consumer takes the tasks of one sender from the stream. Fetch is for one
// goroutine, Close for any.
type Consumer struct {
	conn   *Conn
	sender campaign.SenderID
	shard  shard
	batch  int
	config jetstream.ConsumerConfig
	stop   chan struct{} // closed by Close
	once   sync.Once

	mu    sync.Mutex // held by Fetch, and by the reaper after it
	pull  jetstream.Consumer
	epoch uint64                 // the stream's, as last announced to the caller
	open  jetstream.MessageBatch // the fetch under way; nil when there is none
}

// Sender is the consumer of a sender's tasks. It makes the durable consumer on
// the server, or brings it to this tuning; an inactive one goes away by itself
// after an hour.
func (c *Conn) Sender(ctx context.Context, id campaign.SenderID, tuning Tuning) (*Consumer, error) {
	if err := checkToken("sender", string(id)); err != nil {
		return nil, err
	}
	tuning = tuning.withDefaults()
	s := pick(c.shards, id)
	consumer := &Consumer{
		conn:   c,
		sender: id,
		shard:  s,
		batch:  tuning.batch(),
		stop:   make(chan struct{}),
		epoch:  c.epoch(s),
		config: jetstream.ConsumerConfig{
			Durable:           string(id),
			FilterSubject:     s.ofSender(id),
			AckPolicy:         jetstream.AckExplicitPolicy,
			AckWait:           orDefault(c.cfg.AckWait, tuning.ackWait()),
			MaxAckPending:     tuning.ackPending(),
			MaxDeliver:        -1, // how often is enough, the dispatcher decides
			InactiveThreshold: inactiveThreshold,
		},
	}
	if err := consumer.attach(ctx); err != nil {
		return nil, unavailable("the consumer of sender "+string(id)+" cannot be set up", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, ErrClosed
	}
	c.consumers[consumer] = struct{}{}
	return consumer, nil
}

// attach makes the consumer on the server, and the stream before it if that is
// gone.
func (c *Consumer) attach(ctx context.Context) error {
	pull, err := c.conn.js.CreateOrUpdateConsumer(ctx, c.shard.stream, c.config)
	if streamGone(err) {
		if err := c.conn.heal(ctx, c.shard); err != nil {
			return err
		}
		pull, err = c.conn.js.CreateOrUpdateConsumer(ctx, c.shard.stream, c.config)
	}
	if err != nil {
		return err
	}
	c.pull = pull
	return nil
}

// Batch is the most tasks a Fetch brings.
func (c *Consumer) Batch() int { return c.batch }

// Fetch brings up to limit tasks, and no more than Batch. It returns as soon
// as there is one, with those that came along; after Config.FetchWait without
// any it returns none and no error. Ask for no more than can be sent soon: the
// redelivery clock of all of them starts at once.
//
// Trouble that goes away by itself (a reconnect, a new leader) is waited for
// and not reported. ErrRecreated tells that the stream lost its contents; the
// consumer works on. ErrUnavailable comes after a pause, so that a loop need
// not make one. Other errors are ErrClosed and the context's cause.
func (c *Consumer) Fetch(ctx context.Context, limit int) ([]Delivery, error) {
	if limit < 1 {
		return nil, fmt.Errorf("fetch of %d tasks: want ≥ 1", limit)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case <-c.stop:
		return nil, ErrClosed
	default:
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	// What an earlier call left of its batch comes first. That it has ended says
	// nothing about the stream, so then a batch of its own is asked for.
	if c.open != nil {
		if got, err := c.receive(ctx, limit); len(got) > 0 || err != nil {
			return got, err
		}
	}
	// The request is never canceled: its tasks would be hidden until AckWait.
	// What one call does not take, the next one does.
	open, err := c.pull.Fetch(min(limit, c.batch), jetstream.FetchMaxWait(c.conn.cfg.FetchWait))
	if err != nil {
		return nil, c.mend(ctx, err)
	}
	c.open = open
	return c.receive(ctx, limit)
}

func (c *Consumer) receive(ctx context.Context, limit int) ([]Delivery, error) {
	var got []Delivery
	for len(got) == 0 {
		select {
		case msg, ok := <-c.open.Messages():
			if !ok {
				err := c.open.Error()
				c.open = nil
				return nil, c.mend(ctx, err)
			}
			got = c.take(ctx, got, msg)
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-c.stop:
			return nil, ErrClosed
		}
	}
	for len(got) < limit {
		select {
		case msg, ok := <-c.open.Messages():
			if !ok {
				return got, nil // the next call finds the end, and its error
			}
			got = c.take(ctx, got, msg)
		default:
			return got, nil
		}
	}
	return got, nil
}

// take decodes a message. One that holds no task is dropped: delivered again
// it would hold none either, and its row is swept back to pending.
func (c *Consumer) take(ctx context.Context, got []Delivery, msg jetstream.Msg) []Delivery {
	d := Delivery{NumDelivered: 1, msg: msg}
	err := json.Unmarshal(msg.Data(), &d.Task)
	if err == nil && (d.Task.Sender != c.sender || d.Task.Campaign == "" || d.Task.Seq < 1) {
		err = errNoTask
	}
	var seq uint64
	if meta, metaErr := msg.Metadata(); metaErr == nil {
		d.NumDelivered, seq = int(meta.NumDelivered), meta.Sequence.Stream //nolint:gosec // a count of deliveries
	}
	if err == nil {
		return append(got, d)
	}
	c.conn.undecodable.Add(1)
	// The decoder's own words may quote the message.
	c.conn.log.LogAttrs(ctx, slog.LevelError, "dropped a stream message that holds no task",
		slog.String("sender", string(c.sender)), slog.Uint64("stream_seq", seq),
		slog.Int("bytes", len(msg.Data())), slog.String("err", fmt.Sprintf("%T", err)))
	if err := msg.TermWithReason("undecodable"); err != nil {
		c.conn.log.LogAttrs(ctx, slog.LevelWarn, "could not drop a stream message", slog.Any("err", err))
	}
	return got
}

var errNoTask = errors.New("not a task of this sender")

// mend turns the end of a fetch into what Fetch returns.
func (c *Consumer) mend(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, nats.ErrConnectionClosed), errors.Is(err, nats.ErrConnectionDraining):
		return ErrClosed
	case consumerGone(err):
		err = c.reattach(ctx)
		if err == nil || errors.Is(err, ErrRecreated) || errors.Is(err, ErrClosed) {
			return err
		}
	}
	if cause := c.pause(ctx); cause != nil {
		return cause
	}
	if passing(err) || notReady(err) {
		return nil
	}
	return fmt.Errorf("fetch: %w: %w", ErrUnavailable, err)
}

// reattach brings stream and consumer back, and says ErrRecreated when the
// stream is another than the one the caller knows.
func (c *Consumer) reattach(ctx context.Context) error {
	if err := c.conn.heal(ctx, c.shard); err != nil {
		return err
	}
	if err := c.attach(ctx); err != nil {
		return err
	}
	if epoch := c.conn.epoch(c.shard); epoch != c.epoch {
		c.epoch = epoch
		return ErrRecreated
	}
	return nil
}

// Renew makes the consumer on the server anew, so that it delivers everything the
// stream has, also what counts as delivered and was settled by nobody. A store
// put back as it was earlier has such tasks: enough of them (MaxAckPending) and
// nothing else is delivered until AckWait is over. Tasks handed out and not yet
// settled come again. ErrRecreated is told as by Fetch.
func (c *Consumer) Renew(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	err := c.conn.js.DeleteConsumer(ctx, c.shard.stream, c.config.Durable)
	if err == nil || consumerGone(err) {
		err = c.reattach(ctx)
	}
	if err != nil && !errors.Is(err, ErrRecreated) && !errors.Is(err, ErrClosed) {
		return unavailable("the consumer of sender "+string(c.sender)+" cannot be made anew", err)
	}
	return err
}

func (c *Consumer) pause(ctx context.Context) error {
	timer := time.NewTimer(retryWait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-c.stop:
		return ErrClosed
	}
}

// Close ends the consumer without waiting: a fetch under way goes on to its
// end in the background, and what it brings goes back to the stream at once.
// Tasks handed out can still be settled. The durable consumer stays, for the
// next holder of the sender. Closing twice is harmless.
func (c *Consumer) Close() {
	c.once.Do(func() {
		close(c.stop)
		c.conn.reapers.Go(c.reap)
	})
}

func (c *Consumer) reap() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open != nil {
		for msg := range c.open.Messages() {
			// When it does not arrive, AckWait gives the task back.
			_ = msg.Nak()
		}
		c.open = nil
	}
	c.conn.mu.Lock()
	defer c.conn.mu.Unlock()
	delete(c.conn.consumers, c)
}
