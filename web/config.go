package web

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/herald-campaigns/herald/campaign"
)

// WebhookPath is where the provider's deliveries arrive.
const WebhookPath = "/webhooks/periskope"

// LocalPath is the prefix of the local control API.
const LocalPath = "/local/"

// MaxBody is how many bytes a delivery may have.
const MaxBody = 256 << 10

// Inbox keeps deliveries. What it was given is durable when it returns without
// an error; deliveries whose key it knows are not kept twice, and fresh says
// how many of them it did not know.
type Inbox interface {
	Receive(ctx context.Context, deliveries []campaign.Delivery) (fresh int, err error)
}

// Event is what a delivery says about itself.
type Event struct {
	Key      string // equal for deliveries of the same event
	Name     string // the provider's name of it
	Followed bool   // Herald makes something of such events; others are only counted
}

// Config is what a Server works with.
type Config struct {
	// Inbox keeps what is received.
	Inbox Inbox
	// Verify says whether the body, exactly as it came, was signed with one of
	// the keys. Nil: there is no key, and the endpoint is off.
	Verify func(raw []byte, signature string) error
	// SignatureHeader is the header the signature comes in; X-Periskope-Signature
	// if empty.
	SignatureHeader string
	// Read reads a body whose signature was verified. An error says that it is
	// no event.
	Read func(raw []byte) (Event, error)
	// Received is called after each commit that brought something new; nil:
	// nobody wants to know. It must not block.
	Received func()
	// Checks are what must be right to be ready, by the name it is shown under.
	// They must be cheap and never ask the provider: anybody may call /readyz.
	Checks map[string]func(context.Context) error
	// Local is served under LocalPath, with the prefix, on loopback listeners
	// and for callers of this machine only. Nil: there is none.
	Local http.Handler
	// Logger is told what went wrong; nil: nobody.
	Logger *slog.Logger
	// Limits bound what a flood can do; zero fields have defaults.
	Limits Limits
}

// Limits bound what one Server holds and how long it waits. The defaults keep a
// burst of any size below 100 MB.
type Limits struct {
	Queue       int           // deliveries that wait for the ledger; 1,024
	Batch       int           // deliveries in one commit; 200
	Memory      int64         // bytes of bodies held; 32 MiB, at least MaxBody
	Connections int           // open connections; 2,048. More wait to be accepted
	Header      time.Duration // to send the header; 5 s
	Body        time.Duration // to send header and body; 10 s
	Commit      time.Duration // for a delivery to be committed, else it is answered 503; 10 s
}

func (l Limits) orDefaults() Limits {
	positive := func(value *int, otherwise int) {
		if *value <= 0 {
			*value = otherwise
		}
	}
	lasting := func(value *time.Duration, otherwise time.Duration) {
		if *value <= 0 {
			*value = otherwise
		}
	}
	positive(&l.Queue, 1024)
	positive(&l.Batch, 200)
	positive(&l.Connections, 2048)
	if l.Memory <= 0 {
		l.Memory = 32 << 20
	}
	l.Memory = max(l.Memory, MaxBody)
	lasting(&l.Header, 5*time.Second)
	lasting(&l.Body, 10*time.Second)
	lasting(&l.Commit, 10*time.Second)
	return l
}
