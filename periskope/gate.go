package periskope

import (
	"errors"
	"io"
	"sync"
	"time"
)

// beginTimeout bounds what comes before the first byte of a message that has a
// SendRequest.Begin: name lookup, dial, TLS, and the wait for a free
// connection. A dial that takes longer goes on without the call that asked for
// it, and the next call finds the connection ready.
const beginTimeout = 4 * time.Second

var errNotBegun = errors.New("no connection in time")

// gate stands before the body of a request: nothing of it is read, so nothing
// of it can leave, until begin has allowed it. What it has once refused it
// refuses for ever. It is safe for concurrent use: a transport reads the body
// on a goroutine of its own, possibly after RoundTrip has returned.
//
// The headers do leave before that. net/http (1.26) flushes them before the
// first Read of a body it does not know to be in memory
// (transferWriter.FlushHeaders), and HTTP/2 always writes them as a frame of
// their own. No server can take a message from them: Content-Length announces
// a body that never comes. After the Read has failed, HTTP/1 closes the
// connection and HTTP/2 resets the stream; neither sends the request again,
// see newRequest.
type gate struct {
	begin func() error

	mu      sync.Mutex
	open    bool
	refusal error
}

// newGate makes a gate; nil, which is always open, for a nil begin.
func newGate(begin func() error) *gate {
	if begin == nil {
		return nil
	}
	return &gate{begin: begin}
}

// pass asks begin, once.
func (g *gate) pass() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.open && g.refusal == nil {
		g.refusal = g.begin()
		g.open = g.refusal == nil
	}
	return g.refusal
}

// shut refuses with err what has not begun, and says whether nothing has: then
// nothing ever will. A nil gate cannot tell.
func (g *gate) shut(err error) bool {
	if g == nil {
		return false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.open && g.refusal == nil {
		g.refusal = err
	}
	return !g.open
}

// refused is why nothing left and nothing ever will; nil if it may have.
func (g *gate) refused() error {
	if g == nil {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.refusal
}

// gated is a body behind a gate. Embedding the interface hides a WriteTo that
// would go around Read.
type gated struct {
	io.ReadCloser

	gate *gate
}

func (b gated) Read(p []byte) (int, error) {
	if err := b.gate.pass(); err != nil {
		return 0, err
	}
	return b.ReadCloser.Read(p)
}
