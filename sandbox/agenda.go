package sandbox

import (
	"container/heap"
	"slices"
)

// agenda is what will happen to messages that have left their queue, by time:
// what recipients do, and, while somebody listens to webhooks, the ticks.
type agenda []happening

// happening is an entry of the agenda.
type happening struct {
	at   int64
	seq  uint64 // of the message
	what tick
	act  int // of its conduct, with tickAct
}

type tick uint8

// In the order in which they happen when they happen at the same time.
const (
	tickServer    tick = iota // ack 2
	tickDelivered             // ack 3
	tickRead                  // ack 4
	tickAct                   // the recipient does something
)

func (a agenda) Len() int      { return len(a) }
func (a agenda) Swap(i, j int) { a[i], a[j] = a[j], a[i] }

func (a agenda) Less(i, j int) bool {
	x, y := a[i], a[j]
	switch {
	case x.at != y.at:
		return x.at < y.at
	case x.seq != y.seq:
		return x.seq < y.seq
	case x.what != y.what:
		return x.what < y.what
	}
	return x.act < y.act
}

func (a *agenda) Push(x any) {
	if h, ok := x.(happening); ok {
		*a = append(*a, h)
	}
}

func (a *agenda) Pop() any {
	old := *a
	h := old[len(old)-1]
	*a = old[:len(old)-1]
	return h
}

// dropTicks leaves only what recipients do.
func (a *agenda) dropTicks() {
	*a = slices.DeleteFunc(*a, func(h happening) bool { return h.what != tickAct })
	heap.Init(a)
}

// plan puts what the recipient of a sent message will do on the agenda.
func (e *engine) plan(j *job) {
	if j.fate.Conduct == nil || !j.sent() {
		return
	}
	for i, a := range j.fate.Conduct.Acts {
		from := j.deliveredAt()
		if a.Early {
			from = j.leftAt
		}
		if at := after(from, a.After); at != never {
			heap.Push(&e.agenda, happening{at: at, seq: j.seq, what: tickAct, act: i})
		}
	}
}

// planTick puts the next tick of a sent message that comes after a moment on
// the agenda: one entry at a time.
func (e *engine) planTick(j *job, last tick, begun bool) {
	if !j.sent() {
		return
	}
	server := min(after(j.leftAt, j.fate.Server), j.deliveredAt())
	next := [...]struct {
		what tick
		at   int64
	}{{tickServer, server}, {tickDelivered, j.deliveredAt()}, {tickRead, j.readAt()}}
	for _, n := range next {
		if begun && n.what <= last {
			continue
		}
		if n.at != never {
			heap.Push(&e.agenda, happening{at: n.at, seq: j.seq, what: n.what})
		}
		return
	}
}

// catchUp plays everything that happens until now, in order of time.
func (e *engine) catchUp(now int64) {
	for _, l := range e.lines {
		l.settle(now, e.left)
	}
	for len(e.agenda) > 0 && e.agenda[0].at <= now {
		h, _ := heap.Pop(&e.agenda).(happening)
		j := e.jobs.at(h.seq)
		switch {
		case j == nil: // forgotten meanwhile
		case h.what == tickAct:
			e.act(j, j.fate.Conduct.Acts[h.act], h)
		case e.observer != nil:
			e.observer.ticked(j, h.what, h.at)
			e.planTick(j, h.what, true)
		}
	}
}
