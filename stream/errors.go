package stream

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/herald-campaigns/herald/campaign"
)

// Conditions a caller acts on. Test with errors.Is.
var (
	// ErrRecreated is returned by Fetch, once per consumer, after the stream
	// was found deleted, wiped or replaced. What was staged for this sender is
	// gone; the ledger must fill the stream again.
	ErrRecreated = errors.New("the stream was re-created")

	// ErrFull means that the stream takes no more for now. The task was not
	// stored. Try again when some have been consumed.
	ErrFull = errors.New("the stream is full")

	// ErrTooLarge means that the task does not fit into a stream message, and
	// never will. The task was not stored.
	ErrTooLarge = errors.New("the task is too large for the stream")

	// ErrUnavailable means that the stream did not answer. The task may have
	// been stored all the same.
	ErrUnavailable = errors.New("the stream does not answer")

	// ErrClosed is returned after Close.
	ErrClosed = errors.New("the stream connection is closed")
)

// Error codes of the server that the client library has no name for
// (nats-server: server/errors.json).
const (
	codeInsufficientResources jetstream.ErrorCode = 10023
	codeStorageResources      jetstream.ErrorCode = 10047
	codeStorageTypeChanged    jetstream.ErrorCode = 10052 // invalid update of a stream's configuration
	codeStoreFailed           jetstream.ErrorCode = 10077 // with DiscardNew: a limit is reached
)

// publishError sorts what a publish came to.
func publishError(err error) error {
	if errors.Is(err, nats.ErrMaxPayload) {
		return ErrTooLarge
	}
	if errors.Is(err, nats.ErrConnectionClosed) || errors.Is(err, nats.ErrConnectionDraining) {
		return ErrClosed
	}
	if errors.Is(err, jetstream.ErrTooManyStalledMsgs) {
		return fmt.Errorf("%w: %w", ErrFull, err)
	}
	if api, ok := errors.AsType[*jetstream.APIError](err); ok {
		switch api.ErrorCode { //nolint:exhaustive // the others mean that it did not work, nothing more
		case jetstream.JSErrCodeStreamMessageExceedsMaximum:
			return ErrTooLarge
		case codeStoreFailed, codeInsufficientResources, codeStorageResources:
			return fmt.Errorf("%w: %w", ErrFull, err)
		}
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}

// streamGone says whether the error of a call means that there may be no
// stream behind the subject any more.
func streamGone(err error) bool {
	return errors.Is(err, nats.ErrNoResponders) ||
		errors.Is(err, jetstream.ErrNoStreamResponse) ||
		errors.Is(err, jetstream.ErrStreamNotFound)
}

// consumerGone says whether the error of a fetch means that there may be no
// consumer any more.
func consumerGone(err error) bool {
	return streamGone(err) ||
		errors.Is(err, jetstream.ErrConsumerNotFound) ||
		errors.Is(err, jetstream.ErrConsumerDeleted) ||
		errors.Is(err, jetstream.ErrConsumerDoesNotExist)
}

// passing says whether the error of a fetch goes away by itself: leaders move,
// servers restart, connections come back.
func passing(err error) bool {
	return errors.Is(err, jetstream.ErrServerShutdown) ||
		errors.Is(err, jetstream.ErrConsumerLeadershipChanged) ||
		errors.Is(err, jetstream.ErrNoHeartbeat) ||
		errors.Is(err, nats.ErrTimeout) ||
		errors.Is(err, nats.ErrDisconnected) ||
		errors.Is(err, nats.ErrConnectionReconnecting) ||
		errors.Is(err, context.DeadlineExceeded)
}

// unavailable is the error a person sees when the stream cannot be used.
func unavailable(what string, err error) error {
	return &campaign.Error{
		Code: campaign.CodeUnavailable,
		What: what,
		Hint: "is NATS running and reachable?",
		Err:  err,
	}
}
