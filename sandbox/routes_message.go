package sandbox

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// messageStatus is GET /message/{unique_id}/status; a queue_id does as well.
func messageStatus(c *call) answer {
	var out *statusBody
	c.s.engine.look(c.r.PathValue("id"), func(j *job, now int64) {
		if j != nil && j.line == c.line && !c.s.faults.hides(FaultStatusLate, j, now) {
			body := c.s.engine.status(j, now)
			body.Message.Body = c.s.faults.rewritten(j, body.Message.Body)
			out = &body
		}
	})
	if out == nil {
		return notFound("Message not found")
	}
	return reply(http.StatusOK, out)
}

// getMessage is GET /message/{id} for a message_id, unique_id or queue_id.
func getMessage(c *call) answer {
	var out *messageBody
	pending := false
	c.s.engine.look(c.r.PathValue("id"), func(j *job, now int64) {
		switch {
		case j == nil || j.line != c.line || c.s.faults.hides(FaultStatusLate, j, now):
		case !j.sent():
			pending = true
		default:
			body := c.message(j, now)
			out = &body
		}
	})
	if out == nil && !pending {
		out = c.heard(c.r.PathValue("id"))
	}
	switch {
	case out != nil:
		return reply(http.StatusOK, out)
	case pending && c.s.cfg.Wire.PendingNull:
		return reply(http.StatusOK, nil)
	}
	return notFound("Message not found")
}

// message is a sent job as this call shows it.
func (c *call) message(j *job, now int64) messageBody {
	body := c.s.engine.message(j, now, c.s.org)
	body.Body = c.s.faults.rewritten(j, body.Body)
	return body
}

// heard is a message that somebody else wrote, or nil.
func (c *call) heard(id string) *messageBody {
	e := c.s.engine
	e.mu.Lock()
	defer e.mu.Unlock()
	m := e.heard(id)
	if m == nil || m.line != c.line {
		return nil
	}
	body := m.body(c.s.org)
	return &body
}

// messagePage is a page of messages, newest first.
type messagePage struct {
	Count    int           `json:"count"`
	From     int           `json:"from"`
	To       int           `json:"to"`
	Messages []messageBody `json:"messages"`
}

// page reads offset and limit. The documented defaults disagree; ours are
// those of the current pages, counting from 0.
func (c *call) page() (offset, limit int, bad answer, ok bool) {
	q := c.r.URL.Query()
	offset, limit = 0, maxLimit
	for name, field := range map[string]*int{"offset": &offset, "limit": &limit} {
		text := q.Get(name)
		if text == "" {
			continue
		}
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			return 0, 0, invalid("Invalid "+name, fields{name: {Message: name + " should be a number", Value: text}}), false
		}
		*field = n
	}
	if limit > maxLimit {
		// Sic: the real message leaves its placeholder unexpanded.
		bad = invalid("Limit should be less than ${MAX_LIMIT}", fields{
			"limit": {Message: "Limit should be less than " + itoa(maxLimit), Value: q.Get("limit")},
		})
		bad.orgHeader = "org_id"
		return 0, 0, bad, false
	}
	return offset, limit, answer{}, true
}

// chatMessages is GET /chats/{chat_id}/messages.
func chatMessages(c *call) answer {
	offset, limit, bad, ok := c.page()
	if !ok {
		return bad
	}
	chat := normalChat(c.r.PathValue("chat"))
	if c.s.cfg.Wire.CanonicalChatsOnly && chat != canonicalChat(chat) {
		return notFound("Chat not found")
	}
	e, out := c.s.engine, messagePage{From: offset, Messages: []messageBody{}}
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.now()
	e.catchUp(now)
	given := givenChat(chat)
	add := func(render func() messageBody) {
		if out.Count >= offset && len(out.Messages) < limit {
			out.Messages = append(out.Messages, render())
		}
		out.Count++
	}
	said := c.line.said[given]
	hear := func(since int64) { // adds what came in after a moment
		for ; len(said) > 0 && said[len(said)-1].At >= since; said = said[:len(said)-1] {
			add(func() messageBody { return said[len(said)-1].body(c.s.org) })
		}
	}
	for j := e.lastIn(c.line, given); j != nil; j = e.before(j) {
		if j.gone || !j.sent() || c.s.faults.hides(FaultListLate, j, now) {
			continue
		}
		hear(j.leftAt)
		add(func() messageBody { return c.message(j, now) })
	}
	hear(0)
	out.To = offset + len(out.Messages)
	return reply(http.StatusOK, out)
}

// before is the message before j in its chat, if it is still kept.
func (e *engine) before(j *job) *job {
	if j.prev == 0 {
		return nil
	}
	return e.jobs.at(j.prev - 1)
}

// phoneMessages is GET /chats/messages: all chats of a phone, by time.
func phoneMessages(c *call) answer {
	offset, limit, bad, ok := c.page()
	if !ok {
		return bad
	}
	from, to := int64(0), int64(never)
	for name, field := range map[string]*int64{"start_time": &from, "end_time": &to} {
		text := c.r.URL.Query().Get(name)
		if text == "" {
			continue
		}
		t, ok := parseTime(text)
		if !ok {
			return invalid("Invalid "+name, fields{name: {Message: name + " should be a timestamp", Value: text}})
		}
		*field = t
	}
	// Two passes, since the newest come first and the total is part of the
	// answer: find the matching messages, then render one page of them.
	e, found := c.s.engine, []foundMessage{}
	_ = e.each(0, false, func(j *job, now int64) bool {
		if j.line == c.line && j.sent() && j.leftAt >= from && j.leftAt <= to && !c.s.faults.hides(FaultListLate, j, now) {
			found = append(found, foundMessage{at: j.leftAt, seq: j.seq})
		}
		return true
	}, nil)
	out := messagePage{From: offset, Messages: []messageBody{}}
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.now()
	found = e.merge(found, c.line, from, to)
	out.Count = len(found)
	for i := len(found) - 1 - offset; i >= 0 && len(out.Messages) < limit; i-- {
		if in := found[i].in; in != nil {
			out.Messages = append(out.Messages, in.body(c.s.org))
		} else if j := e.jobs.at(found[i].seq); j != nil {
			out.Messages = append(out.Messages, c.message(j, now))
		}
	}
	out.To = offset + len(out.Messages)
	return reply(http.StatusOK, out)
}

// foundMessage is one of ours by number, or one of somebody else.
type foundMessage struct {
	at  int64
	seq uint64
	in  *inbound
}

// merge adds what came in to a phone between two moments, and brings all into
// the order of time.
func (e *engine) merge(ours []foundMessage, l *line, from, to int64) []foundMessage {
	n := len(ours)
	for _, m := range e.inbox {
		if m.line == l && m.At >= from && m.At <= to {
			ours = append(ours, foundMessage{at: m.At, in: m})
		}
	}
	if len(ours) > n {
		slices.SortStableFunc(ours, func(a, b foundMessage) int { return cmp.Compare(a.at, b.at) })
	}
	return ours
}

// parseTime accepts RFC 3339 and Unix time in seconds or milliseconds.
func parseTime(text string) (int64, bool) {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		if n > 1e12 {
			return n * 1e6, true
		}
		return n * 1e9, true
	}
	t, err := time.Parse(time.RFC3339, text)
	return t.UnixNano(), err == nil
}
