package sandbox

import (
	"net/http"
	"strings"
)

// phoneBody is the phone object of the REST API.
type phoneBody struct {
	OrgID            string          `json:"org_id"`
	OrgPhone         string          `json:"org_phone"`
	PhoneID          string          `json:"phone_id"`
	PhoneName        string          `json:"phone_name"`
	WAState          string          `json:"wa_state"`
	IsReady          bool            `json:"is_ready"`
	QRCode           *string         `json:"qr_code"`
	PhoneImage       *string         `json:"phone_image"`
	LabelIDs         map[string]bool `json:"label_ids"`
	Labels           []string        `json:"labels"`
	CreatedAt        string          `json:"created_at"`
	FirstConnectedAt string          `json:"first_connected_at"`
	UpdatedAt        string          `json:"updated_at"`
	QueueStatus      oldHealthBody   `json:"queue_status"`
}

// phone is the phone as the API shows it. The lock must be held.
func (e *engine) phone(l *line, now int64, org string) phoneBody {
	l.settle(now, e.left)
	n := l.counts(now)
	out := phoneBody{
		OrgID: org, OrgPhone: l.chat(), PhoneID: l.phone.ID, PhoneName: l.phone.Name, WAState: "CONNECTED", IsReady: true,
		LabelIDs: map[string]bool{}, Labels: []string{}, CreatedAt: stamp(l.born), FirstConnectedAt: stamp(l.born),
		UpdatedAt: stamp(l.since),
		QueueStatus: oldHealthBody{
			Active: n.Active, Failed: n.Failed, Completed: n.Completed, Pending: n.Waiting + n.Delayed,
			IsRunning: l.state == connected,
		},
	}
	if l.state != connected {
		out.WAState, out.IsReady = "DISCONNECTED", false
	}
	if l.state == loggedOut {
		qr := "sandbox-qr-" + l.phone.ID
		out.QRCode = &qr
	}
	return out
}

func listPhones(c *call) answer {
	e, out := c.s.engine, []phoneBody{}
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.now()
	for _, l := range e.lines {
		out = append(out, e.phone(l, now, c.s.org))
	}
	return reply(http.StatusOK, out)
}

func (c *call) phone() phoneBody {
	e := c.s.engine
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.phone(c.line, e.now(), c.s.org)
}

func getPhone(c *call) answer { return reply(http.StatusOK, c.phone()) }

// getQR is GET /phones/qr. The real encoding is not known; this is text.
func getQR(c *call) answer {
	qr := c.phone().QRCode
	if qr == nil {
		return notFound("QR not available")
	}
	return answer{status: http.StatusOK, mime: "text/plain; charset=utf-8", body: []byte(*qr)}
}

func restartPhone(c *call) answer {
	if err := c.s.engine.restartPhone(c.line); err != nil {
		return c.internal(err)
	}
	return answer{status: http.StatusNoContent}
}

// resetPhone is POST /phones/reset: it logs the phone out.
func resetPhone(c *call) answer {
	if _, err := c.s.engine.setPhone(c.line, loggedOut); err != nil {
		return c.internal(err)
	}
	return answer{status: http.StatusNoContent}
}

type contactCheck struct {
	ContactID string `json:"contact_id"`
	Exists    bool   `json:"exists"`
}

// checkContacts is POST /contacts/check. It agrees with what a send to the
// number comes to.
func checkContacts(c *call) answer {
	var req struct {
		ContactIDs []string `json:"contact_ids"`
	}
	if a, ok := c.decode(&req); !ok {
		return a
	}
	if len(req.ContactIDs) == 0 {
		return missing(true, "contact_ids")
	}
	out := make([]contactCheck, 0, len(req.ContactIDs))
	for _, id := range req.ContactIDs {
		chat := normalChat(id)
		out = append(out, contactCheck{ContactID: canonicalChat(chat), Exists: c.s.onWhatsApp(chat)})
	}
	return reply(http.StatusOK, out)
}

func (s *Server) onWhatsApp(chat string) bool {
	if !strings.HasSuffix(chat, "@c.us") {
		return false
	}
	if m, ok := magicFor(chat); ok {
		return m.reason != reasonUnregistered && m.answer != answerReject
	}
	switch personOf(&s.cfg, chat).reason {
	case reasonUnregistered, reasonInvalidChat:
		return false
	case reasonNone, reasonBlocked, reasonTransient, reasonDisconnected:
	}
	return true
}
