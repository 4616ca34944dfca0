package stream

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/herald-campaigns/herald/campaign"
)

// EnsureStream makes the stream, or brings it to this configuration. It waits
// for a server that is not ready, such as a cluster without a leader, until
// the context ends. Connect has called it already.
func (c *Conn) EnsureStream(ctx context.Context) error {
	for _, s := range c.shards {
		if err := c.ensure(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

func (c *Conn) ensure(ctx context.Context, s shard) error {
	for {
		str, err := c.js.CreateOrUpdateStream(ctx, c.streamConfig(s))
		if hasCode(err, codeStorageTypeChanged) && c.cfg.InProcess != nil {
			// Storage cannot be changed in place. The contents are staged rows
			// of this one process, and the ledger stages them again.
			if err = c.js.DeleteStream(ctx, s.stream); err == nil {
				continue
			}
		}
		if err == nil {
			c.remember(s, str.CachedInfo().Created)
			return nil
		}
		if !notReady(err) {
			return &campaign.Error{
				Code: campaign.CodeUnavailable,
				What: "stream " + s.stream + " cannot be set up",
				Hint: "a stream of that name with other settings may exist; `nats stream info " + s.stream + "` shows it",
				Err:  err,
			}
		}
		if cause := pause(ctx, retryWait); cause != nil {
			return unavailable("stream "+s.stream+" cannot be set up", errors.Join(cause, err))
		}
	}
}

func (c *Conn) streamConfig(s shard) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:         s.stream,
		Description:  "Herald: messages waiting for their turn; the database can rebuild it",
		Subjects:     s.subjects(),
		Retention:    jetstream.WorkQueuePolicy,
		Discard:      jetstream.DiscardNew,
		Storage:      c.cfg.storageType(),
		Replicas:     c.cfg.Replicas,
		MaxMsgs:      c.cfg.MaxMsgs,
		MaxBytes:     c.cfg.MaxBytes,
		MaxMsgSize:   c.cfg.MaxMsgSize,
		MaxAge:       maxAge,
		MaxConsumers: maxConsumers,
		Duplicates:   duplicateWindow,
	}
}

// heal looks whether the stream is the one we know, makes it when it is gone,
// and announces when its contents are.
func (c *Conn) heal(ctx context.Context, s shard) error {
	again, err := c.repair(ctx, s)
	if err != nil || !again {
		return err
	}
	c.log.LogAttrs(ctx, slog.LevelWarn, "the stream was gone and was made anew", slog.String("stream", s.stream))
	if c.cfg.OnRecreated != nil {
		c.cfg.OnRecreated()
	}
	return nil
}

func (c *Conn) repair(ctx context.Context, s shard) (again bool, err error) {
	c.healing.Lock()
	defer c.healing.Unlock()
	if c.isClosed() {
		return false, ErrClosed
	}
	str, err := c.js.Stream(ctx, s.stream)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		str, err = c.js.CreateStream(ctx, c.streamConfig(s))
	}
	if err != nil {
		return false, err
	}
	return c.remember(s, str.CachedInfo().Created), nil
}

// remember notes a stream's creation time and says whether it is another
// stream than the one known under that name.
func (c *Conn) remember(s shard, created time.Time) (again bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	known, ok := c.known[s.stream]
	if ok && known.created.Equal(created) {
		return false
	}
	c.known[s.stream] = incarnation{created: created, epoch: known.epoch + 1}
	return ok
}

func (c *Conn) epoch(s shard) uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.known[s.stream].epoch
}

// Purge drops the tasks of a campaign that wait in the stream. One that was
// delivered already is not called back; its claim will fail.
func (c *Conn) Purge(ctx context.Context, id campaign.ID) error {
	if err := checkToken("campaign", string(id)); err != nil {
		return err
	}
	for _, s := range c.shards {
		str, err := c.js.Stream(ctx, s.stream)
		if err == nil {
			err = str.Purge(ctx, jetstream.WithPurgeSubject(s.ofCampaign(id)))
		}
		if err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) {
			return unavailable("the stream cannot be purged", err)
		}
	}
	return nil
}

// notReady says whether the error of a management call may go away by itself.
func notReady(err error) bool {
	if errors.Is(err, jetstream.ErrJetStreamNotEnabled) || errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount) {
		return false
	}
	api, ok := errors.AsType[*jetstream.APIError](err)
	return ok && api.Code == 503 || errors.Is(err, nats.ErrNoResponders) || passing(err)
}

func hasCode(err error, code jetstream.ErrorCode) bool {
	api, ok := errors.AsType[*jetstream.APIError](err)
	return ok && api.ErrorCode == code
}

// pause waits; it returns the context's cause when that ends first.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
