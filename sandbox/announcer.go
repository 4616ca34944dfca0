package sandbox

import (
	"strconv"
	"time"
)

// announcer turns what happens in the engine into events for webhooks. It is
// the engine's observer while at least one webhook can be delivered to.
type announcer struct {
	e       *engine
	courier *courier
	org     string
	wake    chan struct{}
}

// event is something a webhook can tell. Ticks are rendered when they are
// delivered, from the message as it was then; everything else at once.
type event struct {
	id, name string
	at       int64
	chat     string
	luck     draws // of its faults

	seq  uint64 // of our message, of a tick
	ack  int    // of a tick
	data any    // of everything else
	prev map[string]any
}

// jobEvent is the body of message.sent, .delivered, .read and .failed.
type jobEvent struct {
	QueueID     string   `json:"queue_id"`
	UniqueID    string   `json:"unique_id"`
	MessageID   string   `json:"message_id"`
	ChatID      string   `json:"chat_id"`
	OrgPhone    string   `json:"org_phone"`
	Status      string   `json:"status"`
	Description string   `json:"status_description"`
	Ack         int      `json:"ack"`
	Attempts    int      `json:"attempts"`
	Timeline    timeline `json:"timeline"`
}

// poke lets the watch look anew when something will happen.
func (a *announcer) poke() {
	select {
	case a.wake <- struct{}{}:
	default: // it is about to look
	}
}

func (a *announcer) accepted(*job) { a.poke() }

func (a *announcer) left(j *job) {
	if !j.sent() {
		a.tick(j, -1, j.leftAt)
		return
	}
	a.ofMessage(j, "message.created", 1, j.leftAt, nil)
	if a.spec() {
		a.ofMessage(j, "message.sent", 1, j.leftAt, nil)
	}
	a.e.planTick(j, 0, false)
}

func (a *announcer) ticked(j *job, what tick, at int64) {
	switch what {
	case tickServer:
		a.tick(j, 2, at)
	case tickDelivered:
		if j.readFirst() && j.fate.Read != never {
			return // told after the reading
		}
		a.tick(j, 3, at)
	case tickRead:
		a.tick(j, 4, at)
		if j.readFirst() {
			a.tick(j, 3, j.deliveredAt())
		}
	case tickAct:
	}
}

func (j *job) readFirst() bool { return j.fate.Conduct != nil && j.fate.Conduct.ReadFirst }

// tick announces an ack in the vocabularies in use.
func (a *announcer) tick(j *job, ack int, at int64) {
	if a.e.cfg.Webhooks.Names != NamesSpec {
		before := ack - 1
		if ack < 0 {
			before = 0
		}
		a.ofMessage(j, "message.ack.updated", ack, at, map[string]any{"ack": itoa(before)})
	}
	if name, ok := specNames()[ack]; ok && a.spec() {
		a.ofMessage(j, name, ack, at, nil)
	}
}

// specNames are the names of ticks on the page that documents sending. Ack 2
// has none.
func specNames() map[int]string {
	return map[int]string{-1: "message.failed", 3: "message.delivered", 4: "message.read"}
}

func (a *announcer) spec() bool { return a.e.cfg.Webhooks.Names != NamesAck }

func (a *announcer) ofMessage(j *job, name string, ack int, at int64, prev map[string]any) {
	if !a.courier.wanted(name) {
		return
	}
	if prev == nil {
		prev = map[string]any{}
	}
	n := uint64(j.nth)<<8 | uint64(ack+2) //nolint:gosec // ack is -1 to 4
	a.courier.announce(&event{
		id: a.id(name, j.chat, j.seq<<3|uint64(ack+2)), name: name, at: at, chat: j.chat, //nolint:gosec // ditto
		luck: newDraws(a.e.cfg.Seed, name, j.line.phone.Number, j.chat, n), seq: j.seq, ack: ack, prev: prev,
	})
}

func (a *announcer) id(name, chat string, n uint64) string {
	return newUUID(newDraws(a.e.ids.key, name, "event", chat, n))
}

func (a *announcer) voted(j *job) {
	if a.e.cfg.Wire.PollsSilent {
		return
	}
	at := j.ballot.updated
	body := a.e.message(j, at, a.org)
	when := stamp(at)
	body.UpdatedAt = &when
	a.now("message.updated", j.line.phone.Number, j.chat, strconv.FormatInt(at, 36), at, body)
}

func (a *announcer) said(m *inbound) {
	body := m.body(a.org)
	a.now("message.created", m.orgPhone(), m.Chat, m.ID, m.At, body)
	if m.Note {
		a.now("note.created", m.orgPhone(), m.Chat, m.ID, m.At, body)
	}
}

// now announces an event whose content is known; key tells it from others of
// its kind in the same chat.
func (a *announcer) now(name, phone, chat, key string, at int64, data any) {
	if !a.courier.wanted(name) {
		return
	}
	luck := newDraws(a.e.cfg.Seed, name, phone, chat+" "+key, 0)
	a.courier.announce(&event{
		id: a.id(name, chat+" "+key, 0), name: name, at: at, chat: chat, luck: luck, data: data, prev: map[string]any{},
	})
}

func (a *announcer) phoneChanged(l *line) {
	names := []string{"org.phone.disconnected"}
	switch l.state {
	case connected:
		names = []string{"org.phone.connected"}
	case loggedOut:
		names = append(names, "org.phone.qr")
	case disconnected, banned:
	}
	body := a.e.phone(l, l.since, a.org)
	for _, name := range append(names, "org.phone.updated") {
		a.now(name, l.phone.Number, l.chat(), strconv.FormatInt(l.since, 36), l.since, body)
	}
	a.poke()
}

// render makes the data of an event. It reports false when the message was
// forgotten meanwhile.
func (a *announcer) render(ev *event) (any, bool) {
	if ev.data != nil {
		return ev.data, true
	}
	a.e.mu.Lock()
	defer a.e.mu.Unlock()
	j := a.e.jobs.at(ev.seq)
	if j == nil || j.leftAt == never {
		return nil, false
	}
	switch ev.name {
	case "message.created", "message.ack.updated":
		return a.e.messageAt(j, ev.ack, a.org), true
	}
	status := a.e.item(j, ev.at)
	out := jobEvent{
		QueueID: status.QueueID, UniqueID: status.UniqueID, MessageID: a.e.messageID(j), ChatID: status.ChatID,
		OrgPhone: j.line.chat(), Status: "sent", Description: "Successfully submitted.", Ack: ev.ack,
		Attempts: status.Attempts, Timeline: status.Timeline,
	}
	switch { // the words of the moment, also when everything happened at once
	case ev.ack < 0:
		out.Status, out.Description = "failed", j.fate.Reason.String()
	case ev.ack == 1:
		out.Timeline.DeliveredAt, out.Timeline.ReadAt = "", ""
	case ev.ack == 3:
		out.Status, out.Description, out.Timeline.ReadAt = "delivered", "Delivered to recipient.", ""
	case ev.ack == 4:
		out.Status, out.Description = "read", "Read by recipient."
	}
	return out, true
}

// resume plans the ticks still to come of messages that left their queue
// before anybody listened. What happened before is not told.
func (a *announcer) resume(now int64) {
	e := a.e
	for n := e.jobs.first; n < e.jobs.next; n++ {
		j := e.jobs.at(n)
		if j == nil || j.gone || !j.sent() || (j.readAt() <= now || j.readAt() == never && j.deliveredAt() <= now) {
			continue
		}
		switch server := after(j.leftAt, j.fate.Server); {
		case j.deliveredAt() <= now:
			e.planTick(j, tickDelivered, true)
		case server <= now:
			e.planTick(j, tickServer, true)
		default:
			e.planTick(j, 0, false)
		}
	}
}

// watch plays what happens by itself, so that it is told when it happens.
func (s *Server) watch() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		e := s.engine
		e.mu.Lock()
		now := e.now()
		e.catchUp(now)
		next := e.nextAt()
		e.mu.Unlock()
		wait := time.Hour
		if next != never {
			wait = max(time.Millisecond, time.Duration(next-now))
		}
		if s.ownClock && next != never {
			wait = min(wait, 2*time.Millisecond) // its hands may be moved at any time
		}
		timer.Reset(wait)
		select {
		case <-timer.C:
		case <-s.announcer.wake:
		case <-s.life.Done():
			return
		}
	}
}
