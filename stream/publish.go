package stream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/herald-campaigns/herald/campaign"
)

// Publish puts tasks into the stream, all on their way at once, and waits for
// the server to confirm each, for as long as Config.PublishTimeout. Every task
// that was not confirmed is in failed, whatever the error; its Err is, by
// errors.Is, ErrFull (try again later), ErrTooLarge (never), ErrUnavailable
// (try again; it may be stored, which is harmless), ErrClosed, the cause of
// the context, or else an invalid task. The error says that it was useless to
// go on: the connection is closed, or the context ended.
func (c *Conn) Publish(ctx context.Context, tasks []campaign.Task) (failed []campaign.Unpublished, err error) {
	type sent struct {
		task int
		ack  jetstream.PubAckFuture
	}
	underway := make([]sent, 0, len(tasks))
	fail := func(i int, err error) {
		failed = append(failed, campaign.Unpublished{Task: tasks[i], Err: err, TooLarge: errors.Is(err, ErrTooLarge)})
	}

	for i := range tasks {
		if err == nil {
			err = c.usable(ctx)
		}
		if err != nil {
			fail(i, err)
			continue
		}
		msg, encodeErr := c.encode(tasks[i])
		if encodeErr != nil {
			fail(i, encodeErr)
			continue
		}
		ack, publishErr := c.js.PublishMsgAsync(msg)
		if publishErr != nil {
			// Unchecked, a stalled publisher's tasks would be lost here.
			fail(i, publishError(publishErr))
			continue
		}
		underway = append(underway, sent{i, ack})
	}

	gone := make(map[shard]bool)
	for _, s := range underway {
		select {
		case <-s.ack.Ok():
		case ackErr := <-s.ack.Err():
			if streamGone(ackErr) {
				gone[pick(c.shards, tasks[s.task].Sender)] = true
			}
			fail(s.task, publishError(ackErr))
		case <-ctx.Done():
			err = context.Cause(ctx)
			fail(s.task, err)
		}
	}
	for s := range gone {
		if healErr := c.heal(ctx, s); healErr != nil && !errors.Is(healErr, ErrClosed) {
			c.log.LogAttrs(ctx, slog.LevelWarn, "the stream is gone and cannot be made anew yet", slog.String("stream", s.stream), slog.Any("err", healErr))
		}
	}
	return failed, err
}

func (c *Conn) usable(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if c.isClosed() {
		return ErrClosed
	}
	return nil
}

// encode makes the message of a task. JSON, because a person with the nats
// tool can read it, fields can be added, and it costs a tenth of what the
// stream does.
func (c *Conn) encode(t campaign.Task) (*nats.Msg, error) {
	if err := checkToken("sender", string(t.Sender)); err != nil {
		return nil, err
	}
	if err := checkToken("campaign", string(t.Campaign)); err != nil {
		return nil, err
	}
	data, err := json.Marshal(t)
	if err != nil {
		return nil, fmt.Errorf("encode task %s: %w", msgID(t), err)
	}
	return &nats.Msg{
		Subject: pick(c.shards, t.Sender).task(t.Sender, t.Campaign),
		Header:  nats.Header{jetstream.MsgIDHeader: {msgID(t)}},
		Data:    data,
	}, nil
}
