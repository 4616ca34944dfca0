package stream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Values of the connection, settled by experiment (docs: stream page §2).
const (
	reconnectWait   = 250 * time.Millisecond
	pingInterval    = 10 * time.Second
	maxPingsOut     = 2
	callTimeout     = 5 * time.Second
	drainTimeout    = 5 * time.Second
	publishWindow   = 4096 // tasks on their way at once, over all publishers
	retryWait       = 250 * time.Millisecond
	maxAge          = time.Hour       // sweeps tasks nobody came for
	duplicateWindow = 5 * time.Second // of ids the server remembers, at 200 bytes each; the guard is the claim
	maxConsumers    = 10_000          // the server's own default, 1,000, is one per active sender
	closeWorkers    = 16
)

// Conn is a connection to the stream. Its methods may be called from any
// goroutine.
type Conn struct {
	cfg    Config
	log    *slog.Logger
	nc     *nats.Conn
	js     jetstream.JetStream
	shards []shard
	gone   chan struct{} // closed when the connection is

	undecodable atomic.Int64

	healing sync.Mutex // one goroutine repairs at a time

	mu        sync.Mutex
	known     map[string]incarnation // by stream name
	consumers map[*Consumer]struct{} // that may have a fetch under way
	closed    bool

	reapers sync.WaitGroup // give back what closed consumers had fetched
}

// incarnation is one life of a stream under its name.
type incarnation struct {
	created time.Time
	epoch   uint64 // counts the lives seen
}

// Connect reaches the server, makes the stream as it should be, and returns.
// Without a deadline it tries until the context ends; an error is a
// *campaign.Error with code unavailable, or tells of a wrong Config.
func Connect(ctx context.Context, cfg Config) (*Conn, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	c := &Conn{
		cfg:       cfg,
		log:       cfg.Logger.With(slog.String("component", "stream")),
		shards:    shards(cfg.Name, cfg.Shards),
		gone:      make(chan struct{}),
		known:     make(map[string]incarnation),
		consumers: make(map[*Consumer]struct{}),
	}
	if err := c.dial(ctx); err != nil {
		return nil, err
	}
	if err := c.EnsureStream(ctx); err != nil {
		c.nc.Close()
		return nil, err
	}
	return c, nil
}

func (c *Conn) dial(ctx context.Context) error {
	up := make(chan struct{})
	var once sync.Once
	opts := []nats.Option{
		nats.Name(c.cfg.Client),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(reconnectWait),
		nats.PingInterval(pingInterval),
		nats.MaxPingsOutstanding(maxPingsOut),
		nats.RetryOnFailedConnect(true),
		nats.DrainTimeout(drainTimeout),
		nats.ConnectHandler(func(*nats.Conn) { once.Do(func() { close(up) }) }),
		nats.ClosedHandler(func(*nats.Conn) { close(c.gone) }),
		nats.DisconnectErrHandler(c.disconnected),
		nats.ReconnectHandler(c.reconnected),
		nats.ErrorHandler(c.asyncError),
	}
	if c.cfg.InProcess != nil {
		opts = append(opts, nats.InProcessServer(c.cfg.InProcess))
	}
	if c.cfg.Credentials != "" {
		opts = append(opts, nats.UserCredentials(c.cfg.Credentials))
	}
	if c.cfg.TLS != nil {
		opts = append(opts, nats.Secure(c.cfg.TLS))
	}

	nc, err := nats.Connect(c.cfg.URL, opts...)
	if err != nil {
		// The library's errors may quote the URL, and with it a password.
		return unavailable("nats cannot be connected to", errors.New("the URL or the credentials are not usable"))
	}
	if !nc.IsConnected() {
		select {
		case <-up:
		case <-c.gone:
			return unavailable("nats refused the connection", nc.LastError())
		case <-ctx.Done():
			err := nc.LastError()
			nc.Close()
			return unavailable("nats cannot be reached", errors.Join(context.Cause(ctx), err))
		}
	}
	js, err := jetstream.New(nc,
		jetstream.WithDefaultTimeout(callTimeout),
		jetstream.WithPublishAsyncMaxPending(publishWindow),
		jetstream.WithPublishAsyncTimeout(c.cfg.PublishTimeout),
	)
	if err != nil {
		nc.Close()
		return fmt.Errorf("set up jetstream: %w", err)
	}
	c.nc, c.js = nc, js
	return nil
}

func (c *Conn) disconnected(nc *nats.Conn, err error) {
	if nc.IsClosed() || nc.IsDraining() {
		return
	}
	c.log.LogAttrs(context.Background(), slog.LevelWarn, "lost the connection to nats, reconnecting", slog.Any("err", err))
}

func (c *Conn) reconnected(*nats.Conn) {
	c.log.LogAttrs(context.Background(), slog.LevelInfo, "reconnected to nats")
}

func (c *Conn) asyncError(_ *nats.Conn, _ *nats.Subscription, err error) {
	c.log.LogAttrs(context.Background(), slog.LevelWarn, "nats reported an error", slog.Any("err", err))
}

// Undecodable is how many messages were dropped because they held no task.
func (c *Conn) Undecodable() int64 { return c.undecodable.Load() }

// Healthy sends a canary through every stream and says whether the server
// confirmed it in time. A server can go on saying that JetStream is enabled
// while every publish hangs (full disk), so nothing less will do. A full
// stream is healthy; a missing one is made anew.
func (c *Conn) Healthy(ctx context.Context) error {
	for _, s := range c.shards {
		if err := c.canary(ctx, s); err != nil {
			return unavailable("stream "+s.stream+" does not take messages", err)
		}
	}
	return nil
}

func (c *Conn) canary(ctx context.Context, s shard) error {
	ctx, cancel := context.WithTimeoutCause(ctx, c.cfg.PublishTimeout, ErrUnavailable)
	defer cancel()
	ack, err := c.js.Publish(ctx, s.canary(), []byte("canary"), jetstream.WithRetryAttempts(0), jetstream.WithExpectStream(s.stream))
	switch {
	case err == nil:
		return c.removeCanary(ctx, s, ack.Sequence)
	case streamGone(err):
		return c.heal(ctx, s)
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	if err := publishError(err); !errors.Is(err, ErrFull) {
		return err
	}
	return nil
}

func (c *Conn) removeCanary(ctx context.Context, s shard, seq uint64) error {
	str, err := c.js.Stream(ctx, s.stream)
	if err != nil {
		return err
	}
	// Someone else's purge may have been quicker, and maxAge comes after us.
	if err := str.DeleteMsg(ctx, seq); err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

// Close gives back what was fetched and not handed out, ends all fetches,
// drains the connection and returns when it is closed; when the context ends
// first, it closes at once. Tasks handed out should be settled before. Closing
// twice is harmless.
func (c *Conn) Close(ctx context.Context) error {
	c.mu.Lock()
	c.closed = true
	open := make([]*Consumer, 0, len(c.consumers))
	for consumer := range c.consumers {
		open = append(open, consumer)
	}
	c.mu.Unlock()

	for _, consumer := range open {
		consumer.Close()
	}
	if c.ephemeral() {
		c.endFetches(ctx, open)
	}
	done := make(chan struct{})
	go func() {
		c.reapers.Wait()
		if err := c.nc.Drain(); err != nil {
			c.nc.Close() // not connected: there is nothing to drain
		}
		<-c.gone
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		c.nc.Close()
		return fmt.Errorf("close the stream connection: %w", context.Cause(ctx))
	}
}

// ephemeral says whether nothing in the stream outlives this process.
func (c *Conn) ephemeral() bool {
	return c.cfg.InProcess != nil && c.cfg.Storage == StorageMemory
}

// endFetches makes the server end the fetches under way, by deleting their
// consumers: else each goes on to its end, for up to FetchWait.
func (c *Conn) endFetches(ctx context.Context, open []*Consumer) {
	if !c.nc.IsConnected() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, c.cfg.FetchWait)
	defer cancel()
	next := make(chan *Consumer, len(open))
	for _, consumer := range open {
		next <- consumer
	}
	close(next)
	var wg sync.WaitGroup
	for range min(closeWorkers, len(open)) {
		wg.Go(func() {
			for consumer := range next {
				// An error only means that the fetch takes its time.
				_ = c.js.DeleteConsumer(ctx, consumer.shard.stream, string(consumer.sender))
			}
		})
	}
	wg.Wait()
}

func (c *Conn) isClosed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}
