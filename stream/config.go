package stream

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Storage says where the server keeps the stream.
type Storage string

// The storages.
const (
	StorageMemory Storage = "memory" // gone with the server, and no message text on disk
	StorageFile   Storage = "file"   // survives the server, at the price of slow shutdowns with many senders
)

// InProcess is an embedded server, as a source of connections.
type InProcess interface {
	InProcessConn() (net.Conn, error)
}

// Config says which server to use and how. Exactly one of InProcess and URL is
// required; the zero value of everything else is right for most.
type Config struct {
	// InProcess is the embedded server.
	InProcess InProcess

	// URL is where to reach a NATS server or cluster: nats://host:4222, several
	// separated by commas. It may carry a token or user and password.
	URL string

	// Credentials is the path of a NATS credentials file; empty for none.
	Credentials string

	// TLS is used when not nil, and when the server asks for it.
	TLS *tls.Config

	// Name tells installations on one cluster apart: it is in upper case the
	// name of the stream, in lower case the first token of its subjects.
	// Letters and digits only. Empty means "herald".
	Name string

	// Client names this process to the server, for its operators. Empty means
	// "herald".
	Client string

	// Storage of the stream. Empty means StorageMemory.
	Storage Storage

	// Replicas of the stream: 1, or 3 in a cluster. 0 means 1.
	Replicas int

	// Shards is over how many streams the senders are spread, by a hash of
	// their id. One serves about 200 active senders well. 0 means 1. All
	// processes of an installation must agree.
	Shards int

	// MaxMsgs and MaxBytes bound each stream; when one is reached, Publish
	// reports ErrFull. 0 means 200,000 and 256 MiB.
	MaxMsgs  int64
	MaxBytes int64

	// MaxMsgSize bounds one task, in bytes. 0 means 128 KiB.
	MaxMsgSize int32

	// AckWait, when not 0, replaces the time after which an unsettled task is
	// delivered again; else it is computed for each sender (Tuning).
	AckWait time.Duration

	// FetchWait is how long a Fetch waits for the first task, and how long
	// Close may have to wait for one under way. 0 means 2 s.
	FetchWait time.Duration

	// PublishTimeout is how long to wait for the server to confirm a task. 0
	// means 2 s.
	PublishTimeout time.Duration

	// OnRecreated, when not nil, is called after the stream was found to be
	// gone and was made anew: whatever is staged in the ledger must be staged
	// again. It is called once each time, from the goroutine that noticed, and
	// must not call back into the connection before it returns.
	OnRecreated func()

	// Logger takes connection milestones and what goes wrong in the
	// background. nil discards them.
	Logger *slog.Logger
}

func (c Config) withDefaults() Config {
	c.Name = orDefault(c.Name, "herald")
	c.Client = orDefault(c.Client, "herald")
	c.Storage = orDefault(c.Storage, StorageMemory)
	c.Replicas = orDefault(c.Replicas, 1)
	c.Shards = orDefault(c.Shards, 1)
	c.MaxMsgs = orDefault(c.MaxMsgs, 200_000)
	c.MaxBytes = orDefault(c.MaxBytes, 256<<20)
	c.MaxMsgSize = orDefault(c.MaxMsgSize, 128<<10)
	c.FetchWait = orDefault(c.FetchWait, 2*time.Second)
	c.PublishTimeout = orDefault(c.PublishTimeout, 2*time.Second)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

func orDefault[T comparable](v, def T) T {
	var zero T
	if v == zero {
		return def
	}
	return v
}

func (c Config) validate() error {
	switch {
	case c.InProcess == nil && c.URL == "":
		return errors.New("stream: InProcess or URL is required")
	case c.InProcess != nil && c.URL != "":
		return errors.New("stream: InProcess and URL exclude each other")
	case strings.ContainsFunc(c.Name, func(r rune) bool { return !isAlphanumeric(r) }):
		return fmt.Errorf("stream: Name is %q, want letters and digits", c.Name)
	case c.Storage != StorageMemory && c.Storage != StorageFile:
		return fmt.Errorf("stream: Storage is %q, want memory or file", c.Storage)
	case c.Replicas < 1 || c.Replicas > 5:
		return fmt.Errorf("stream: Replicas is %d, want 1 to 5", c.Replicas)
	case c.Shards < 1:
		return fmt.Errorf("stream: Shards is %d, want ≥ 1", c.Shards)
	case c.MaxMsgs < 0 || c.MaxBytes < 0 || c.MaxMsgSize < 0:
		return errors.New("stream: MaxMsgs, MaxBytes and MaxMsgSize must not be negative")
	case c.AckWait < 0 || c.FetchWait < 0 || c.PublishTimeout < 0:
		return errors.New("stream: AckWait, FetchWait and PublishTimeout must not be negative")
	}
	return nil
}

func (c Config) storageType() jetstream.StorageType {
	if c.Storage == StorageFile {
		return jetstream.FileStorage
	}
	return jetstream.MemoryStorage
}
