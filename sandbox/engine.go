package sandbox

import (
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"
)

// engine is all state of the simulated provider: phones, jobs and webhooks,
// under one short lock. Exported state changes are journaled before they are
// confirmed.
type engine struct {
	cfg *Config

	mu       sync.Mutex
	ids      ids
	lines    []*line          // in order of appearance
	byPhone  map[string]*line // by number and by phone_id
	jobs     store
	casts    map[string][]uint64 // broadcast id → jobs
	hooks    []hook
	made     uint64        // webhooks and broadcasts ever made, for their ids
	offset   time.Duration // added to the clock by advance
	latest   int64         // the clock never runs backwards
	accepted uint64
	journal  *journal // nil: none
	observer observer // nil: none
	agenda   agenda
	inbox    []*inbound // what people wrote, oldest first
	byID     map[string]*inbound
	onHooks  func() // called when webhooks changed; nil while the journal is replayed
	wrote    uint64 // messages ever put in by hand, for their ids
}

// observer is told what happens to messages, in time order per phone, under
// the engine's lock: it must not call back. Webhooks are one; engine.next
// tells when something will happen that it should hear of.
type observer interface {
	accepted(j *job)
	left(j *job)                        // sent or failed, at j.leftAt
	ticked(j *job, what tick, at int64) // ack 2, delivered or read
	said(m *inbound)                    // somebody wrote
	voted(j *job)                       // somebody voted, changed or withdrew a vote
	phoneChanged(l *line)
}

// anyPhoneLimit is how many phones Config.AnyPhone may add.
const anyPhoneLimit = 1000

func newEngine(cfg *Config) (*engine, error) {
	e := &engine{cfg: cfg, ids: ids{key: mix(cfg.Seed)}, jobs: newStore(cfg.MaxJobs)}
	e.clear()
	if cfg.Journal == "" {
		return e, nil
	}
	var err error
	if e.journal, err = openJournal(cfg.Journal, e); err != nil {
		return nil, fmt.Errorf("sandbox journal %s: %w", cfg.Journal, err)
	}
	return e, nil
}

// clear sets everything but the clock and the numbering to the beginning.
func (e *engine) clear() {
	e.lines, e.byPhone = nil, map[string]*line{}
	e.casts, e.hooks, e.accepted = map[string][]uint64{}, nil, 0
	e.agenda, e.inbox, e.byID = nil, nil, map[string]*inbound{}
	e.jobs.clear()
	now := e.now()
	for _, p := range e.cfg.Phones {
		e.addLine(p, now)
	}
	e.hooksChanged()
}

func (e *engine) hooksChanged() {
	if e.onHooks != nil {
		e.onHooks()
	}
}

// now is the simulated time. It never goes back, even if the clock does.
func (e *engine) now() int64 {
	e.latest = max(e.latest, e.cfg.Clock().Add(e.offset).UnixNano())
	return e.latest
}

// time is now for callers that hold no lock.
func (e *engine) time() time.Time {
	e.mu.Lock()
	defer e.mu.Unlock()
	return time.Unix(0, e.now()).UTC()
}

func (e *engine) addLine(p Phone, now int64) *line {
	l := &line{phone: p, state: connected, since: now, born: now, chats: map[string]uint64{}, said: map[string][]*inbound{}}
	if p.Disconnected {
		l.state = disconnected
	}
	e.lines = append(e.lines, l)
	e.byPhone[p.Number], e.byPhone[p.ID] = l, l
	return l
}

// find returns the phone of an x-phone header.
func (e *engine) find(xPhone string) (*line, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.findLocked(xPhone)
}

func (e *engine) findLocked(xPhone string) (*line, bool) {
	if l, ok := e.byPhone[xPhone]; ok {
		return l, true
	}
	if !e.cfg.AnyPhone || !digitsOnly.MatchString(xPhone) || len(e.lines) >= len(e.cfg.Phones)+anyPhoneLimit {
		return nil, false
	}
	return e.addLine(Phone{Number: xPhone}.withDefaults(), e.now()), true
}

// message is a validated request to send.
type message struct {
	chat string // normalized
	body string
	size int64 // of the media, in bytes
	more *extra
	wait time.Duration // a broadcast's delay, already scaled
	late time.Duration // how long it is kept from view
}

// receipt is what the answer to a send is made of.
type receipt struct {
	seq      uint64
	queueID  string
	uniqueID string
	position int
	previous string // queue_id of the job accepted before this one
}

var errPhoneDisconnected = errors.New("phone is disconnected")

// accept queues a message. The error is errPhoneDisconnected under
// DisconnectedReject, or the journal's.
func (e *engine) accept(l *line, m message) (receipt, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.now()
	l.settle(now, e.left)
	if l.state != connected && e.cfg.OnDisconnected == DisconnectedReject {
		return receipt{}, errPhoneDisconnected
	}
	position := len(l.queue)
	nth := uint32(0)
	if last := e.lastIn(l, m.chat); last != nil {
		nth = last.nth + 1
	}
	f := drawFate(e.cfg, l.phone.Number, m.chat, nth, m.size)
	if l.state != connected && e.cfg.OnDisconnected == DisconnectedFail {
		f.Reason = reasonDisconnected
	}
	f.Conduct = drawConduct(e.cfg, l.phone.Number, m.chat, nth, m.more)
	rec := record{
		Op: opAccept, At: now, Seq: e.jobs.next, Phone: l.phone.Number, Chat: m.chat, Body: m.body,
		More: m.more, Ready: after(now, f.Pickup+int64(m.wait)), Fate: &f,
	}
	if m.late > 0 {
		rec.Shown = after(now, int64(m.late))
	}
	if err := e.journal.write(rec); err != nil {
		return receipt{}, err
	}
	j := e.enqueue(l, &rec)
	r := receipt{
		seq: j.seq, position: position, queueID: e.ids.queueID(j.seq),
		uniqueID: e.ids.uniqueID(j.seq, e.cfg.Wire.UniqueID == UniqueIDLong),
	}
	if j.seq > 0 {
		r.previous = e.ids.queueID(j.seq - 1)
	}
	if magic, ok := magicFor(m.chat); ok && magic.disconnects && l.state == connected {
		return r, e.setState(l, disconnected, now)
	}
	return r, nil
}

// enqueue makes the job of a journal record, new or replayed.
func (e *engine) enqueue(l *line, rec *record) *job {
	j, dropped := e.jobs.add()
	e.forget(dropped)
	j.accepted, j.line, j.chat, j.body, j.more, j.fate = rec.At, l, rec.Chat, rec.Body, rec.More, *rec.Fate
	j.shown, j.ready, j.start, j.leftAt = rec.Shown, rec.Ready, never, never
	if last := e.lastIn(l, j.chat); last != nil {
		j.prev, j.nth = last.seq+1, last.nth+1
	}
	l.chats[j.chat] = j.seq + 1
	if id := j.broadcast(); id != "" {
		e.casts[id] = append(e.casts[id], j.seq)
	}
	e.accepted++
	if e.observer != nil {
		e.observer.accepted(j)
	}
	if j.fate.Reason == reasonDisconnected {
		j.leftAt = j.accepted
		l.failed++
		e.left(j)
		return j
	}
	l.add(j, rec.At)
	l.settle(rec.At, e.left)
	return j
}

// lastIn is the newest job of a chat that is still kept.
func (e *engine) lastIn(l *line, chat string) *job {
	seq, ok := l.chats[chat]
	if !ok {
		return nil
	}
	return e.jobs.at(seq - 1)
}

// forget drops what points to jobs that are no longer kept.
func (e *engine) forget(chunk *[chunkSize]job) {
	if chunk == nil {
		return
	}
	for i := range chunk {
		j := &chunk[i]
		if j.line == nil {
			continue
		}
		if j.line.chats[j.chat] == j.seq+1 {
			delete(j.line.chats, j.chat)
		}
		delete(e.casts, j.broadcast())
	}
}

func (e *engine) left(j *job) {
	if e.observer != nil {
		e.observer.left(j)
	}
	e.plan(j)
}

// next is the first moment at which something happens by itself.
func (e *engine) next() (time.Time, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	t := e.nextAt()
	return time.Unix(0, t), t != never
}

func (e *engine) nextAt() int64 {
	t := int64(never)
	for _, l := range e.lines {
		t = min(t, l.next())
	}
	if len(e.agenda) > 0 {
		t = min(t, e.agenda[0].at)
	}
	return t
}

// settle brings everything to the present.
func (e *engine) settle() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.catchUp(e.now())
}

// setPhone changes a phone's connection and reports whether it could: a
// banned phone never comes back.
func (e *engine) setPhone(l *line, to connection) (bool, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if l.state == banned && to != banned {
		return false, nil
	}
	return true, e.setState(l, to, e.now())
}

// restartPhone is what the API's restart does: it brings back a phone that is
// merely disconnected.
func (e *engine) restartPhone(l *line) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if l.state != disconnected {
		return nil
	}
	return e.setState(l, connected, e.now())
}

func (e *engine) setState(l *line, to connection, now int64) error {
	l.settle(now, e.left)
	if l.state == to {
		return nil
	}
	if err := e.journal.write(record{Op: opPhone, At: now, Phone: l.phone.Number, State: to}); err != nil {
		return err
	}
	e.turn(l, to, now)
	return nil
}

func (e *engine) turn(l *line, to connection, now int64) {
	l.state, l.since = to, now
	if to == connected {
		l.retime(now)
		l.settle(now, e.left)
	} else {
		l.hold()
	}
	if e.observer != nil {
		e.observer.phoneChanged(l)
	}
}

// purge removes waiting jobs: those with the given ids, those of a broadcast,
// or, when both are empty, all jobs of all phones.
func (e *engine) purge(queueIDs []string, broadcastID string) ([]string, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	rec := record{Op: opPurge, At: e.now(), Broadcast: broadcastID}
	for _, id := range queueIDs {
		if n, ok := e.ids.queueSeq(id); ok {
			rec.Seqs = append(rec.Seqs, n)
		}
	}
	if len(queueIDs) > 0 && len(rec.Seqs) == 0 {
		return nil, nil // none of ours; an empty list would mean all
	}
	if err := e.journal.write(rec); err != nil {
		return nil, err
	}
	var out []string
	for _, n := range e.purgeRecord(&rec) {
		out = append(out, e.ids.queueID(n))
	}
	return out, nil
}

func (e *engine) purgeRecord(rec *record) []uint64 {
	named := make(map[uint64]bool, len(rec.Seqs))
	for _, n := range rec.Seqs {
		named[n] = true
	}
	pick := func(j *job) bool {
		switch {
		case len(named) > 0:
			return named[j.seq]
		case rec.Broadcast != "":
			return j.broadcast() == rec.Broadcast
		}
		return true
	}
	var purged []uint64
	for _, l := range e.lines {
		l.settle(rec.At, e.left)
		purged = append(purged, l.purge(rec.At, pick)...)
	}
	return purged
}

// advance moves the simulated clock forward.
func (e *engine) advance(by time.Duration) (time.Time, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.journal.write(record{Op: opAdvance, At: e.now(), By: int64(by)}); err != nil {
		return time.Time{}, err
	}
	e.offset += by
	e.catchUp(e.now())
	return time.Unix(0, e.now()).UTC(), nil
}

// reset forgets messages, webhooks and phone states. Numbering goes on, so no
// id is ever given out twice.
func (e *engine) reset() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.journal.write(record{Op: opReset, At: e.now()}); err != nil {
		return err
	}
	e.clear()
	return nil
}

// look calls f with the job an id names, settled to the present, or with nil.
func (e *engine) look(id string, f func(j *job, now int64)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.now()
	var j *job
	if n, ok := e.ids.seq(id); ok {
		j = e.jobs.at(n)
	}
	if j != nil {
		j.line.settle(now, e.left)
		if len(e.agenda) > 0 {
			e.catchUp(now)
		}
		if j.gone {
			j = nil
		}
	}
	f(j, now)
}

// batch is how many jobs each visits before it lets others have the lock.
const batch = 512

// each visits all kept jobs from number from on, oldest first, until f returns
// false; purged ones only if asked. Every batch sees the present; flush runs
// between them without lock.
func (e *engine) each(from uint64, purged bool, f func(j *job, now int64) bool, flush func() error) error {
	for more := true; more; {
		from, more = e.visit(from, purged, f)
		if flush == nil {
			continue
		}
		if err := flush(); err != nil {
			return err
		}
	}
	return nil
}

func (e *engine) visit(from uint64, purged bool, f func(j *job, now int64) bool) (next uint64, more bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.now()
	e.catchUp(now)
	from = max(from, e.jobs.first)
	for range batch {
		if from >= e.jobs.next {
			return from, false
		}
		j := e.jobs.at(from)
		from++
		if j != nil && (purged || !j.gone) && !f(j, now) {
			return from, false
		}
	}
	return from, true
}

// newID makes an id for a webhook or a broadcast. The lock must be held.
func (e *engine) newID() string {
	e.made++
	return newUUID(newDraws(e.ids.key, "id", "", strconv.FormatUint(e.made, 10), e.made))
}
