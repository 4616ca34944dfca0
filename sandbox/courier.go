package sandbox

import (
	"bytes"
	"container/heap"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"sync"
	"time"
)

const (
	// pendingLimit is how many events may wait for one URL; more are dropped.
	pendingLimit = 1 << 18
	// logLimit is how many attempts the delivery log keeps.
	logLimit = 2048
	// shortestRetry keeps a fast simulation from giving a receiver up before
	// it could have started again.
	shortestRetry = 10 * time.Millisecond
)

// courier delivers events to the webhooks of this machine. Each URL has lanes,
// and an event's chat decides which one it takes: there its order is kept.
type courier struct {
	cfg    *Config
	org    string
	render func(*event) (any, bool)
	client *http.Client
	life   context.Context //nolint:containedctx // ends all deliveries on Close
	lanes  sync.WaitGroup

	mu     sync.Mutex
	dests  map[string]*destination
	faults WebhookFaults
	counts WebhookCounts
	log    []Delivery // ring
	logged uint64
	queued uint64 // parcels ever queued, for their order
}

// destination is a URL with webhooks.
type destination struct {
	url     string
	local   bool           // on this machine
	names   map[string]int // event → webhooks
	lanes   []*lane
	pending int
	told    bool // that it is not on this machine
	stop    context.CancelFunc
}

// lane is a queue of deliveries and the goroutine that works it off.
type lane struct {
	dest  *destination
	queue parcels
	wake  chan struct{}
}

// parcel is an event on its way to one URL.
type parcel struct {
	ev     *event
	due    time.Time
	n      uint64
	tries  int
	body   []byte // once rendered: retries repeat it byte for byte
	forged forgery
}

type forgery uint8

const (
	genuine forgery = iota
	badSignature
	noSignature
)

func newCourier(ctx context.Context, cfg *Config, org string) *courier {
	dialer := &net.Dialer{Timeout: 5 * time.Second, ControlContext: loopbackControl}
	return &courier{
		cfg: cfg, org: org, life: ctx, dests: map[string]*destination{}, faults: cfg.WebhookFaults,
		client: &http.Client{
			Transport: &http.Transport{
				DialContext: dialer.DialContext, MaxIdleConnsPerHost: 256, IdleConnTimeout: time.Minute,
			},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

var errNotLocal = errors.New("the sandbox delivers webhooks to this machine only")

// local tells whether a URL leads to this machine. Nothing is looked up.
func local(raw string) bool {
	u, err := url.Parse(raw)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(u.Hostname())
	return u.Hostname() == "localhost" || err == nil && ip.Unmap().IsLoopback()
}

// subscribe replaces what is subscribed to, and reports whether anything can
// be delivered. A URL that is not listed any more gets nothing more.
func (c *courier) subscribe(hooks []hook) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, d := range c.dests {
		d.names = map[string]int{}
	}
	for _, h := range hooks {
		if !h.IsSubscribed {
			continue
		}
		d := c.dests[h.HookURL]
		if d == nil {
			d = &destination{url: h.HookURL, local: local(h.HookURL), names: map[string]int{}}
			c.dests[h.HookURL] = d
		}
		d.names[h.IntegrationName]++
	}
	live := false
	for address, d := range c.dests {
		switch {
		case len(d.names) == 0:
			c.counts.Pending -= d.pending
			if d.stop != nil {
				d.stop()
			}
			delete(c.dests, address)
		default:
			live = true
		}
	}
	return live
}

// wanted tells whether anybody subscribed to an event.
func (c *courier) wanted(name string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, d := range c.dests {
		if d.names[name] > 0 {
			return true
		}
	}
	return false
}

// announce queues an event for everybody who subscribed to it, with the faults
// that strike it.
func (c *courier) announce(ev *event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	for _, d := range c.dests {
		for range d.names[ev.name] {
			c.route(d, ev, now)
		}
	}
}

// route decides what goes wrong with an event on its way to d. The same draws
// are made whatever the faults are, so that a larger share strikes a superset.
func (c *courier) route(d *destination, ev *event, now time.Time) {
	c.counts.Events++
	if !d.local {
		c.counts.Refused++
		if !d.told {
			d.told = true
			c.cfg.Logger.Warn("a webhook gets nothing", slog.Any("err", fmt.Errorf("%w, and one is registered for %s", errNotLocal, hostOf(d.url))))
		}
		c.note(Delivery{ID: ev.id, Event: ev.name, URL: d.url, Result: "refused", Error: errNotLocal.Error()}, nil)
		return
	}
	f, luck := c.faults, ev.luck
	lost, twice, held := luck.unit() < f.Loss, luck.unit() < f.Duplicate, luck.unit() < f.Reorder
	by, bad, none, odd := luck.unit(), luck.unit() < f.BadSignature, luck.unit() < f.NoSignature, luck.unit() < f.Unknown
	due := now.Add(f.Delay)
	if f.Burst > 0 {
		due = due.Truncate(f.Burst).Add(f.Burst)
	}
	if odd {
		c.counts.Unknown++
		c.queue(d, parcel{ev: invented(ev, &luck), due: due})
	}
	for _, fake := range []struct {
		is  bool
		how forgery
	}{{bad, badSignature}, {none, noSignature}} {
		if fake.is {
			c.counts.Forged++
			copied := *ev
			copied.id = newUUID(draws{state: luck.next()})
			c.queue(d, parcel{ev: &copied, due: due, forged: fake.how})
		}
	}
	if lost {
		c.counts.Lost++
		c.note(Delivery{ID: ev.id, Event: ev.name, URL: d.url, Result: "lost"}, nil)
		return
	}
	if held {
		c.counts.Reordered++
		most := f.ReorderBy
		if most == 0 {
			most = 500 * time.Millisecond
		}
		due = due.Add(time.Duration(by * float64(most)))
	}
	c.queue(d, parcel{ev: ev, due: due})
	if twice {
		c.counts.Duplicated++
		c.queue(d, parcel{ev: ev, due: due})
	}
}

// invented is an event of a name that is in no documentation.
func invented(ev *event, luck *draws) *event {
	return &event{
		id: newUUID(draws{state: luck.next()}), name: "sandbox.surprise", at: ev.at, chat: ev.chat,
		data: map[string]any{"chat_id": ev.chat, "surprise": true}, prev: map[string]any{},
	}
}

func (c *courier) queue(d *destination, p parcel) {
	if d.pending >= pendingLimit {
		c.counts.Dropped++
		c.note(Delivery{ID: p.ev.id, Event: p.ev.name, URL: d.url, Result: "dropped", Error: "too many events wait for this URL"}, nil)
		return
	}
	if d.lanes == nil {
		c.open(d)
	}
	d.pending++
	c.counts.Pending++
	c.put(d.lanes[hashString(14695981039346656037, p.ev.chat)%uint64(len(d.lanes))], p)
}

func (c *courier) put(l *lane, p parcel) {
	if c.queued++; p.n == 0 {
		p.n = c.queued
	}
	heap.Push(&l.queue, p)
	select {
	case l.wake <- struct{}{}:
	default: // it is about to look
	}
}

// open starts the lanes of a URL.
func (c *courier) open(d *destination) {
	ctx, stop := context.WithCancel(c.life)
	d.stop = stop
	for range c.cfg.Webhooks.Parallel {
		l := &lane{dest: d, wake: make(chan struct{}, 1)}
		d.lanes = append(d.lanes, l)
		c.lanes.Go(func() { c.work(ctx, l) })
	}
}

// work delivers what is due on a lane until the lane is closed.
func (c *courier) work(ctx context.Context, l *lane) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for ctx.Err() == nil {
		p, wait, ok := c.take(l)
		if ok {
			c.deliver(ctx, l, p)
			continue
		}
		timer.Reset(wait)
		select {
		case <-l.wake:
		case <-timer.C:
		case <-ctx.Done():
		}
	}
}

// take gives the next parcel, or how long to wait for one.
func (c *courier) take(l *lane) (parcel, time.Duration, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(l.queue) == 0 || c.faults.Hold {
		return parcel{}, time.Hour, false
	}
	if wait := time.Until(l.queue[0].due); wait > 0 {
		return parcel{}, wait, false
	}
	p, _ := heap.Pop(&l.queue).(parcel)
	return p, 0, true
}

// deliver makes one attempt and decides what becomes of the parcel.
func (c *courier) deliver(ctx context.Context, l *lane, p parcel) {
	entry := Delivery{ID: p.ev.id, Event: p.ev.name, URL: l.dest.url, Attempt: p.tries + 1}
	if p.body == nil {
		var err error
		if p.body, err = c.body(p.ev); err != nil {
			entry.Attempt, entry.Result, entry.Error = 0, "dropped", err.Error()
			c.done(l, entry, nil)
			return
		}
	}
	p.tries++
	status, err := c.post(ctx, l.dest.url, p)
	if ctx.Err() != nil {
		return // the lane is closed
	}
	entry.Status = status
	if err != nil {
		entry.Error = err.Error()
	}
	switch {
	case status >= 200 && status <= 299:
		entry.Result = "delivered"
	case p.tries >= c.cfg.Webhooks.Tries || p.forged != genuine:
		entry.Result = "gave_up"
	default:
		entry.Result = "retry"
		c.again(l, p, entry)
		return
	}
	c.done(l, entry, p.body)
}

// again queues a parcel for its next try; others pass it meanwhile.
func (c *courier) again(l *lane, p parcel, entry Delivery) {
	wait := time.Duration(float64(c.cfg.Webhooks.RetryWait) * c.cfg.scale())
	p.due = time.Now().Add(max(wait, shortestRetry) << (p.tries - 1))
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counts.Attempts++
	c.note(entry, p.body)
	c.put(l, p)
}

// done books the end of a parcel.
func (c *courier) done(l *lane, entry Delivery, body []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if entry.Attempt > 0 {
		c.counts.Attempts++
	}
	switch entry.Result {
	case "delivered":
		c.counts.Delivered++
	case "gave_up":
		c.counts.GaveUp++
	case "dropped":
		c.counts.Dropped++
	}
	c.note(entry, body)
	if c.dests[l.dest.url] == l.dest {
		l.dest.pending--
		c.counts.Pending--
	}
}

// note adds to the delivery log. The lock must be held.
func (c *courier) note(entry Delivery, body []byte) {
	entry.N, entry.At, entry.body = c.logged, time.Now().UTC(), body
	if len(c.log) < logLimit {
		c.log = append(c.log, entry)
	} else {
		c.log[c.logged%logLimit] = entry
	}
	c.logged++
}

// body is the whole of a delivery.
func (c *courier) body(ev *event) ([]byte, error) {
	data, ok := c.render(ev)
	if !ok {
		return nil, errors.New("the message was forgotten before its event was delivered")
	}
	var text any = realEnvelope{ID: ev.id, EventType: ev.name, Data: data, OrgID: c.org, Previous: ev.prev}
	if c.cfg.Webhooks.Envelope == EnvelopeDocs {
		text = docsEnvelope{Event: ev.name, Data: data, OrgID: c.org, Timestamp: stamp(ev.at)}
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if c.cfg.Webhooks.Pretty {
		enc.SetIndent("", "  ")
	}
	if err := enc.Encode(text); err != nil {
		return nil, fmt.Errorf("render %s: %w", ev.name, err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

type realEnvelope struct {
	ID        string         `json:"id"`
	EventType string         `json:"event_type"`
	Data      any            `json:"data"`
	OrgID     string         `json:"org_id"`
	Previous  map[string]any `json:"previous_attributes"`
}

type docsEnvelope struct {
	Event     string `json:"event"`
	Data      any    `json:"data"`
	OrgID     string `json:"org_id"`
	Timestamp string `json:"timestamp"`
}

// post makes the request. The error never holds the body.
func (c *courier) post(ctx context.Context, address string, p parcel) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Webhooks.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(p.body))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "periskope-sandbox")
	if signature := c.sign(p); signature != "" {
		req.Header["x-periskope-signature"] = []string{signature} // in the provider's spelling
	}
	resp, err := c.client.Do(req)
	if err != nil {
		return 0, err
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)) // so that the connection can be used again
	_ = resp.Body.Close()
	return resp.StatusCode, nil
}

// sign is the value of the signature header, or "" for none.
func (c *courier) sign(p parcel) string {
	key, signed := c.cfg.Webhooks.Key, p.body
	switch {
	case p.forged == badSignature:
		key += " forged"
	case p.forged == noSignature, key == "":
		return ""
	}
	if c.cfg.Webhooks.Pretty {
		var compact bytes.Buffer
		if json.Compact(&compact, p.body) == nil {
			signed = compact.Bytes()
		}
	}
	mac := hmac.New(sha256.New, []byte(key))
	_, _ = mac.Write(signed) // a hash never fails
	signature := hex.EncodeToString(mac.Sum(nil))
	if c.cfg.Webhooks.Prefix {
		signature = "sha256=" + signature
	}
	return signature
}

// set replaces the faults.
func (c *courier) set(f WebhookFaults) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.faults = f
	for _, d := range c.dests {
		for _, l := range d.lanes {
			select {
			case l.wake <- struct{}{}:
			default:
			}
		}
	}
}

// redeliver offers the newest logged body of an event once more, to the URL it
// went to, without faults.
func (c *courier) redeliver(id string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var found *Delivery
	for i := range c.log {
		if c.log[i].ID == id && c.log[i].body != nil && (found == nil || c.log[i].N > found.N) {
			found = &c.log[i]
		}
	}
	if found == nil {
		return fmt.Errorf("no body of event %s is in the delivery log, which keeps the last %d attempts", id, logLimit)
	}
	d := c.dests[found.URL]
	if d == nil {
		return fmt.Errorf("nothing is subscribed at the URL event %s went to any more", id)
	}
	c.queue(d, parcel{ev: &event{id: found.ID, name: found.Event}, body: found.body, due: time.Now()})
	return nil
}

// deliveries is the log, oldest first.
func (c *courier) deliveries() []Delivery {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := make([]Delivery, 0, len(c.log))
	for n := c.logged - uint64(len(c.log)); n < c.logged; n++ {
		out = append(out, c.log[n%logLimit])
	}
	return out
}

// reset forgets all waiting deliveries, the log and the numbers.
func (c *courier) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counts, c.log, c.logged, c.faults = WebhookCounts{}, nil, 0, c.cfg.WebhookFaults
}

// wait ends with the last lane, after the life of the courier.
func (c *courier) wait() {
	c.lanes.Wait()
	c.client.CloseIdleConnections()
}

func hostOf(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

// parcels is a heap by due time, then by age.
type parcels []parcel

func (q parcels) Len() int      { return len(q) }
func (q parcels) Swap(i, j int) { q[i], q[j] = q[j], q[i] }

func (q parcels) Less(i, j int) bool {
	if !q[i].due.Equal(q[j].due) {
		return q[i].due.Before(q[j].due)
	}
	return q[i].n < q[j].n
}

func (q *parcels) Push(x any) {
	if p, ok := x.(parcel); ok {
		*q = append(*q, p)
	}
}

func (q *parcels) Pop() any {
	old := *q
	p := old[len(old)-1]
	old[len(old)-1] = parcel{}
	*q = old[:len(old)-1]
	return p
}
