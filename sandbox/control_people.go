package sandbox

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
)

// peopleRoutes adds what stands for the people at the other end, for their
// phones, and for the way webhooks take.
func (s *Server) peopleRoutes(add func(pattern string, handle func(*http.Request) (any, error))) {
	add("POST /_sim/phones/{phone}/restart", func(r *http.Request) (any, error) {
		return nil, refused(s.RestartPhone(r.PathValue("phone")))
	})
	add("POST /_sim/phones/{phone}/chats/{chat}/reply", s.controlReply)
	add("POST /_sim/phones/{phone}/chats/{chat}/vote", s.controlVote)
	add("POST /_sim/phones/{phone}/chats/{chat}/react", s.controlReact)

	add("GET /_sim/webhooks", func(*http.Request) (any, error) { return s.WebhookCounts(), nil })
	add("GET /_sim/webhooks/faults", func(*http.Request) (any, error) { return s.WebhookFaults(), nil })
	add("PUT /_sim/webhooks/faults", s.controlWebhookFaults)
	add("DELETE /_sim/webhooks/faults", func(*http.Request) (any, error) { return nil, s.SetWebhookFaults(WebhookFaults{}) })
	add("GET /_sim/webhooks/deliveries", s.controlDeliveries)
	add("POST /_sim/webhooks/deliveries/{id}/redeliver", func(r *http.Request) (any, error) {
		return nil, refused(s.Redeliver(r.PathValue("id")))
	})
}

// refused is the answer to what cannot be done as asked.
func refused(err error) error {
	if err == nil {
		return nil
	}
	return &controlError{http.StatusUnprocessableEntity, err.Error()}
}

// demand reads a JSON body in which a misspelled key is an error.
func demand(r *http.Request, v any) error {
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return &controlError{http.StatusBadRequest, err.Error()}
	}
	return nil
}

// controlReply takes {"text":"Hi"} and, if wanted, the other fields of
// ReplyOptions. It answers with the id of what was written.
func (s *Server) controlReply(r *http.Request) (any, error) {
	var req struct {
		Text     string `json:"text"`
		Quote    Quote  `json:"quote"`
		Message  string `json:"message"`
		Author   string `json:"author"`
		Type     string `json:"type"`
		Note     bool   `json:"note"`
		OrgPhone string `json:"org_phone"`
	}
	if err := demand(r, &req); err != nil {
		return nil, err
	}
	id, err := s.Reply(r.PathValue("phone"), r.PathValue("chat"), req.Text, ReplyOptions{
		Quote: req.Quote, Message: req.Message, Author: req.Author, Type: req.Type, Note: req.Note, OrgPhone: req.OrgPhone,
	})
	return map[string]string{"message_id": id}, refused(err)
}

// controlVote takes {"options":["Yes"]}; [] withdraws the vote.
func (s *Server) controlVote(r *http.Request) (any, error) {
	var req struct {
		Options *[]string `json:"options"`
		Message string    `json:"message"`
		Voter   string    `json:"voter"`
	}
	if err := demand(r, &req); err != nil {
		return nil, err
	}
	if req.Options == nil {
		return nil, &controlError{http.StatusUnprocessableEntity, "options is missing; [] withdraws the vote"}
	}
	return nil, refused(s.Vote(r.PathValue("phone"), r.PathValue("chat"), *req.Options, VoteOptions{Message: req.Message, Voter: req.Voter}))
}

// controlReact takes {"reaction":"👍"} and, if wanted, the message.
func (s *Server) controlReact(r *http.Request) (any, error) {
	var req struct {
		Reaction string `json:"reaction"`
		Message  string `json:"message"`
	}
	if err := demand(r, &req); err != nil {
		return nil, err
	}
	return nil, refused(s.React(r.PathValue("phone"), r.PathValue("chat"), req.Reaction, req.Message))
}

// controlWebhookFaults replaces the faults; {} is none.
func (s *Server) controlWebhookFaults(r *http.Request) (any, error) {
	text, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, &controlError{http.StatusBadRequest, err.Error()}
	}
	f, err := ParseWebhookFaults(text)
	if err != nil {
		return nil, refused(err)
	}
	return f, s.SetWebhookFaults(f)
}

// controlDeliveries is the delivery log, newest first, at most ?limit=100.
func (s *Server) controlDeliveries(r *http.Request) (any, error) {
	limit := 100
	if text := r.URL.Query().Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return nil, refused(fmt.Errorf("limit is %q, want 1 or more", text))
		}
		limit = n
	}
	log := s.Deliveries()
	out := make([]Delivery, 0, min(limit, len(log)))
	for i := len(log) - 1; i >= 0 && len(out) < limit; i-- {
		out = append(out, log[i])
	}
	return out, nil
}
