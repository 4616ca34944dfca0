package sandbox

import (
	"container/heap"
	"slices"
)

// connection is a phone's link to WhatsApp.
type connection string

const (
	connected    connection = "connected"
	disconnected connection = "disconnected"
	loggedOut    connection = "logged_out" // a restart does not help, a QR scan does
	banned       connection = "banned"     // nothing helps
)

// line is one phone and its queue: a single worker that serves attempts in
// the order in which they became ready. A retry is not ready before its wait
// is over, so others pass it meanwhile.
//
// Nothing runs. The queue is brought up to a moment by settle, which every
// reader and writer calls first, under the engine's lock.
type line struct {
	phone  Phone
	state  connection
	since  int64 // of the last change of state
	born   int64
	queue  []*job // in order of start; the head alone can be active
	late   lateJobs
	chats  map[string]uint64     // last seq+1 per chat
	said   map[string][]*inbound // what came in per chat, oldest first
	done   int                   // sent
	failed int
}

// settle plays everything that happens until now.
func (l *line) settle(now int64, left func(*job)) {
	for {
		end, ready := int64(never), int64(never)
		if len(l.queue) > 0 {
			end = l.queue[0].end()
		}
		if len(l.late) > 0 {
			ready = l.late[0].ready
		}
		switch {
		case end <= ready && end <= now:
			j := l.queue[0]
			l.queue[0] = nil
			l.queue = l.queue[1:]
			l.attemptEnded(j, left)
		case ready <= now:
			j, _ := heap.Pop(&l.late).(*job)
			l.join(j)
		default:
			return
		}
	}
}

// next is the first moment at which settle would have something to do.
func (l *line) next() int64 {
	t := int64(never)
	if len(l.queue) > 0 {
		t = l.queue[0].end()
	}
	if len(l.late) > 0 {
		t = min(t, l.late[0].ready)
	}
	return t
}

// add queues a new job, which is ready at j.ready.
func (l *line) add(j *job, now int64) {
	if j.ready > after(now, j.fate.Pickup) {
		j.start = never
		heap.Push(&l.late, j)
		return
	}
	l.join(j)
}

// join puts an attempt at the end of the queue and fixes when it starts.
func (l *line) join(j *job) {
	free := j.ready
	if n := len(l.queue); n > 0 {
		free = max(free, l.queue[n-1].end())
	}
	j.start = free
	if l.state != connected {
		j.start = never
	}
	l.queue = append(l.queue, j)
}

func (l *line) attemptEnded(j *job, left func(*job)) {
	end := j.end()
	j.tries++
	switch {
	case j.fate.Reason == reasonTransient && j.tries == maxAttempts,
		j.fate.Reason != reasonNone && j.fate.Reason != reasonTransient:
		j.leftAt = end
		l.failed++
	case j.tries > j.fate.Failures:
		j.leftAt = end
		l.done++
	default:
		j.ready = after(end, j.fate.Wait<<(j.tries-1))
		j.start = never
		heap.Push(&l.late, j)
		return
	}
	left(j)
}

// hold stops the worker. What was being sent is not: its attempt begins anew
// when the phone is back.
func (l *line) hold() {
	for _, j := range l.queue {
		j.start = never
	}
}

// retime lets the worker go on at now with what is queued: after the phone is
// back, or after a purge made room.
func (l *line) retime(now int64) {
	if l.state != connected {
		return
	}
	free := now
	for _, j := range l.queue {
		if j.start > now {
			j.start = max(free, j.ready)
		}
		free = j.end()
	}
}

// purge removes the jobs that pick selects and that are not being sent.
func (l *line) purge(now int64, pick func(*job) bool) []uint64 {
	var purged []uint64
	drop := func(j *job) bool {
		if j.start <= now || !pick(j) {
			return false
		}
		j.gone = true
		purged = append(purged, j.seq)
		return true
	}
	l.queue = slices.DeleteFunc(l.queue, drop)
	l.late = slices.DeleteFunc(l.late, drop)
	heap.Init(&l.late)
	l.retime(now)
	return purged
}

// counts are the numbers of the health calls.
type counts struct{ Waiting, Active, Completed, Failed, Delayed int }

func (l *line) counts(now int64) counts {
	c := counts{Waiting: len(l.queue), Completed: l.done, Failed: l.failed, Delayed: len(l.late)}
	if len(l.queue) > 0 && l.queue[0].start <= now {
		c.Waiting, c.Active = c.Waiting-1, 1
	}
	return c
}

// lateJobs is a heap by the time of readiness, then by age.
type lateJobs []*job

func (h lateJobs) Len() int { return len(h) }

func (h lateJobs) Less(a, b int) bool {
	if h[a].ready != h[b].ready {
		return h[a].ready < h[b].ready
	}
	return h[a].seq < h[b].seq
}

func (h lateJobs) Swap(a, b int) { h[a], h[b] = h[b], h[a] }

func (h *lateJobs) Push(x any) {
	if j, ok := x.(*job); ok {
		*h = append(*h, j)
	}
}

func (h *lateJobs) Pop() any {
	old := *h
	j := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return j
}
