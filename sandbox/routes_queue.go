package sandbox

import (
	"encoding/json"
	"net/http"
	"slices"
	"time"
)

type queueFilter struct {
	QueueID     string `json:"queue_id"`
	BroadcastID string `json:"broadcast_id"`
}

// listQueue is POST /message/queues.
func listQueue(c *call) answer {
	if c.s.cfg.Wire.OldQueuesOnly {
		return notFound("Route not found")
	}
	var f queueFilter
	if a, ok := c.decode(&f); !ok {
		return a
	}
	out := []statusBody{}
	c.jobs(f, func(j *job, now int64) {
		item := c.s.engine.item(j, now)
		item.Message.Body = c.s.faults.rewritten(j, item.Message.Body)
		out = append(out, item)
	})
	return reply(http.StatusOK, out)
}

// oldJobs is the deprecated GET /queue/jobs.
func oldJobs(c *call) answer {
	q, out := c.r.URL.Query(), []oldJob{}
	c.jobs(queueFilter{QueueID: q.Get("queue_id"), BroadcastID: q.Get("broadcast_id")}, func(j *job, now int64) {
		item := c.s.engine.old(j, now)
		item.Data.Body = c.s.faults.rewritten(j, item.Data.Body)
		out = append(out, item)
	})
	return reply(http.StatusOK, out)
}

// jobs calls f with the phone's jobs that the filter selects, oldest first.
func (c *call) jobs(filter queueFilter, f func(j *job, now int64)) {
	e := c.s.engine
	show := func(j *job, now int64) {
		if j != nil && !j.gone && j.line == c.line && !c.s.faults.hides(FaultListLate, j, now) && !c.s.faults.drops(j, now) {
			f(j, now)
		}
	}
	switch {
	case filter.QueueID != "":
		e.look(filter.QueueID, func(j *job, now int64) {
			if j != nil && (filter.BroadcastID == "" || j.broadcast() == filter.BroadcastID) {
				show(j, now)
			}
		})
	case filter.BroadcastID != "":
		e.cast(filter.BroadcastID, show)
	default:
		_ = e.each(c.listFrom(), false, func(j *job, now int64) bool {
			show(j, now)
			return true
		}, nil)
	}
}

// listFrom is the number from which an unfiltered list begins, so that it has
// at most Config.ListLimit jobs of this phone, or fewer if a fault says so.
func (c *call) listFrom() uint64 {
	limit := c.s.faults.shortest(c.s.cfg.ListLimit)
	if limit == 0 {
		return 0
	}
	e := c.s.engine
	e.mu.Lock()
	defer e.mu.Unlock()
	from := e.jobs.next
	for n := 0; from > e.jobs.first && n < limit; {
		from--
		if j := e.jobs.at(from); j != nil && !j.gone && j.line == c.line {
			n++
		}
	}
	return from
}

// cast calls f with each job of a broadcast.
func (e *engine) cast(id string, f func(j *job, now int64)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.now()
	for _, n := range e.casts[id] {
		if j := e.jobs.at(n); j != nil {
			j.line.settle(now, e.left)
			f(j, now)
		}
	}
}

func (e *engine) broadcastID() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.newID()
}

// health is the phone's queue in numbers.
func (e *engine) health(l *line) (counts, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.now()
	l.settle(now, e.left)
	return l.counts(now), l.state == connected
}

type healthBody struct {
	Waiting   int `json:"waiting"`
	Active    int `json:"active"`
	Completed int `json:"completed"`
	Failed    int `json:"failed"`
	Delayed   int `json:"delayed"`
	Paused    int `json:"paused"`
}

// queueHealth is GET /message/queues/health. Jobs held by a disconnected phone
// count as waiting: its worker is gone, the queue itself is not paused.
func queueHealth(c *call) answer {
	n, _ := c.s.engine.health(c.line)
	return reply(http.StatusOK, healthBody{
		Waiting: n.Waiting, Active: n.Active, Completed: n.Completed, Failed: n.Failed, Delayed: n.Delayed,
	})
}

type oldHealthBody struct {
	Active    int  `json:"active"`
	Failed    int  `json:"failed"`
	Completed int  `json:"completed"`
	Pending   int  `json:"pending"`
	IsRunning bool `json:"is_running"`
}

// oldHealth is the deprecated GET /queue.
func oldHealth(c *call) answer {
	n, running := c.s.engine.health(c.line)
	return reply(http.StatusOK, oldHealthBody{
		Active: n.Active, Failed: n.Failed, Completed: n.Completed, Pending: n.Waiting + n.Delayed, IsRunning: running,
	})
}

type purgeReply struct {
	Purged      bool     `json:"purged"`
	Mode        string   `json:"mode"`
	QueueIDs    []string `json:"queue_ids,omitempty"`
	BroadcastID string   `json:"broadcast_id,omitempty"`
}

// purgeQueues is POST /message/queues/purge. As documented, a body with
// neither filter, a misspelled one included, purges all jobs of all phones.
func purgeQueues(c *call) answer {
	var req struct {
		QueueIDs    []string `json:"queue_ids"`
		BroadcastID string   `json:"broadcast_id"`
	}
	if a, ok := c.decode(&req); !ok {
		return a
	}
	purged, err := c.s.engine.purge(req.QueueIDs, req.BroadcastID)
	if err != nil {
		return c.internal(err)
	}
	out := purgeReply{Purged: true, Mode: "all", QueueIDs: purged, BroadcastID: req.BroadcastID}
	switch {
	case len(req.QueueIDs) > 0:
		out.Mode, out.QueueIDs = "queue_ids", req.QueueIDs
	case req.BroadcastID != "":
		out.Mode, out.QueueIDs = "broadcast_id", nil
	}
	return reply(http.StatusOK, out)
}

// oldPurge is the deprecated DELETE /queue/purge.
func oldPurge(c *call) answer {
	var req struct {
		QueueID     json.RawMessage `json:"queue_id"`
		QueueIDs    []string        `json:"queue_ids"`
		BroadcastID string          `json:"broadcast_id"`
	}
	if a, ok := c.decode(&req); !ok {
		return a
	}
	queueIDs := req.QueueIDs
	if len(req.QueueID) > 0 {
		one, many := "", []string{}
		if json.Unmarshal(req.QueueID, &one) == nil && one != "" {
			many = []string{one}
		} else if json.Unmarshal(req.QueueID, &many) != nil {
			return invalid("Invalid body", fields{"queue_id": {Message: "queue_id must be a string or an array of strings"}})
		}
		queueIDs = slices.Concat(queueIDs, many)
	}
	if _, err := c.s.engine.purge(queueIDs, req.BroadcastID); err != nil {
		return c.internal(err)
	}
	return answer{status: http.StatusNoContent}
}

type broadcastBody struct {
	BroadcastID         string   `json:"broadcast_id"`
	OrgID               string   `json:"org_id"`
	CreatedAt           string   `json:"created_at"`
	TotalChats          int      `json:"total_chats"`
	SentChats           int      `json:"sent_chats"`
	FailedChats         int      `json:"failed_chats"`
	PendingChats        int      `json:"pending_chats"`
	TotalDeliveredCount int      `json:"total_delivered_count"`
	TotalReadCount      int      `json:"total_read_count"`
	PerformedBy         string   `json:"performed_by"`
	PerformedAt         string   `json:"performed_at"`
	BroadcastStatus     string   `json:"broadcast_status"`
	TotalMemberCount    int      `json:"total_member_count"`
	DeliveredPercentage float64  `json:"delivered_percentage"`
	ReadPercentage      float64  `json:"read_percentage"`
	Logs                []string `json:"logs"`
}

// broadcastStatus is GET /queue/broadcast.
func broadcastStatus(c *call) answer {
	id := c.r.URL.Query().Get("broadcast_id")
	if id == "" {
		return missing(true, "broadcast_id")
	}
	out := broadcastBody{BroadcastID: id, OrgID: c.s.org, PerformedBy: "api", BroadcastStatus: "inprogress", Logs: []string{}}
	first := time.Time{}
	c.s.engine.cast(id, func(j *job, now int64) {
		if j.line != c.line {
			return
		}
		if first.IsZero() {
			first = time.Unix(0, j.accepted)
		}
		out.TotalChats++
		if j.gone {
			return
		}
		switch p := j.phase(now); {
		case p == phaseFailed:
			out.FailedChats++
		case p >= phaseSent:
			out.SentChats++
		default:
			out.PendingChats++
		}
		if j.deliveredAt() <= now {
			out.TotalDeliveredCount++
		}
		if j.readAt() <= now {
			out.TotalReadCount++
		}
	})
	if out.TotalChats == 0 {
		return notFound("Broadcast not found")
	}
	out.CreatedAt, out.PerformedAt = stamp(first.UnixNano()), stamp(first.UnixNano())
	out.TotalMemberCount = out.TotalChats
	out.DeliveredPercentage = 100 * float64(out.TotalDeliveredCount) / float64(out.TotalChats)
	out.ReadPercentage = 100 * float64(out.TotalReadCount) / float64(out.TotalChats)
	switch {
	case out.SentChats+out.FailedChats+out.PendingChats < out.TotalChats:
		out.BroadcastStatus = "stopped" // somebody purged it
	case out.PendingChats == 0:
		out.BroadcastStatus = "completed"
	}
	return reply(http.StatusOK, out)
}
