package sandbox

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"
)

// controlRoutes adds the control API. It is for tests and demonstrations, and
// stands outside everything a request to the API goes through.
func (s *Server) controlRoutes(mux *http.ServeMux) {
	add := func(pattern string, handle func(*http.Request) (any, error)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { s.control(w, r, handle) })
	}
	s.pageRoutes(mux)
	mux.HandleFunc("GET /_sim/acceptances", s.streamAcceptances)
	add("GET /_sim/state", func(*http.Request) (any, error) { return s.state(), nil })
	add("GET /_sim/magic", func(*http.Request) (any, error) { return MagicNumbers(), nil })
	add("GET /_sim/faults", func(*http.Request) (any, error) { return s.faults.armed(), nil })
	add("POST /_sim/faults", s.controlFaults)
	add("DELETE /_sim/faults", func(*http.Request) (any, error) {
		s.ClearFaults()
		return nil, nil
	})
	add("POST /_sim/phones/{phone}/connect", s.controlConnect)
	add("POST /_sim/phones/{phone}/disconnect", s.controlDisconnect)
	s.peopleRoutes(add)
	add("PUT /_sim/tokens", s.controlTokens)
	add("POST /_sim/clock/advance", s.controlAdvance)
	add("POST /_sim/reset", func(*http.Request) (any, error) { return nil, s.Reset() })
}

// controlError is a refusal with its status.
type controlError struct {
	status int
	what   string
}

func (e *controlError) Error() string { return e.what }

// control answers with JSON, or 204 for nothing to say.
func (s *Server) control(w http.ResponseWriter, r *http.Request, handle func(*http.Request) (any, error)) {
	r.Body = http.MaxBytesReader(w, r.Body, 1<<20)
	if err := s.same.Check(r); err != nil {
		say(w, http.StatusForbidden, err.Error())
		return
	}
	out, err := handle(r)
	if r.Method != http.MethodGet {
		s.cfg.Logger.LogAttrs(r.Context(), slog.LevelInfo, "sandbox control",
			slog.String("route", r.Pattern), slog.Any("err", err)) // the path may hold a phone number
	}
	status := http.StatusOK
	switch e, refused := err.(*controlError); { //nolint:errorlint // handlers return it unwrapped
	case refused:
		status, out = e.status, map[string]string{"error": e.what}
	case err != nil:
		status, out = http.StatusInternalServerError, map[string]string{"error": err.Error()}
	case out == nil:
		w.WriteHeader(http.StatusNoContent)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(reply(status, out).body)
}

// streamAcceptances is GET /_sim/acceptances: NDJSON, oldest first.
func (s *Server) streamAcceptances(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/x-ndjson")
	// The buffer holds a batch, so that a slow reader never waits under the lock.
	out := bufio.NewWriterSize(w, 1<<20)
	enc := json.NewEncoder(out)
	_ = s.acceptances(func(a Acceptance) { _ = enc.Encode(a) }, out.Flush) // the reader may leave
}

// controlFaults arms one fault or a list of them.
func (s *Server) controlFaults(r *http.Request) (any, error) {
	text, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, &controlError{http.StatusBadRequest, err.Error()}
	}
	var list []json.RawMessage
	if text = bytes.TrimSpace(text); !bytes.HasPrefix(text, []byte("[")) {
		list = []json.RawMessage{text}
	} else if err := json.Unmarshal(text, &list); err != nil {
		return nil, &controlError{http.StatusBadRequest, err.Error()}
	}
	parsed := make([]Fault, 0, len(list))
	for _, raw := range list {
		f, err := ParseFault(raw)
		if err != nil {
			return nil, &controlError{http.StatusUnprocessableEntity, err.Error()}
		}
		parsed = append(parsed, f)
	}
	for _, f := range parsed {
		s.faults.add(f)
	}
	return s.faults.armed(), nil
}

func (s *Server) controlConnect(r *http.Request) (any, error) { return s.controlPhone(r, connected) }

// controlDisconnect takes an optional {"reason":"logged_out"|"banned"}.
func (s *Server) controlDisconnect(r *http.Request) (any, error) {
	var req struct {
		Reason connection `json:"reason"`
	}
	if err := json.NewDecoder(r.Body).Decode(&req); err != nil && err != io.EOF {
		return nil, &controlError{http.StatusBadRequest, err.Error()}
	}
	switch req.Reason {
	case "", disconnected:
		return s.controlPhone(r, disconnected)
	case loggedOut, banned:
		return s.controlPhone(r, req.Reason)
	case connected:
	}
	return nil, &controlError{http.StatusUnprocessableEntity, fmt.Sprintf("reason is %q, want disconnected, logged_out or banned", req.Reason)}
}

func (s *Server) controlPhone(r *http.Request, to connection) (any, error) {
	l, ok := s.engine.find(r.PathValue("phone"))
	if !ok {
		return nil, &controlError{http.StatusNotFound, "no such phone"}
	}
	done, err := s.engine.setPhone(l, to)
	if err == nil && !done {
		return nil, &controlError{http.StatusConflict, "a banned phone never comes back; reset the sandbox"}
	}
	return nil, err
}

// controlTokens takes {"tokens":["a","b"]}.
func (s *Server) controlTokens(r *http.Request) (any, error) {
	var req struct {
		Tokens *[]string `json:"tokens"`
	}
	if err := json.NewDecoder(r.Body).Decode(&req); err != nil {
		return nil, &controlError{http.StatusBadRequest, err.Error()}
	}
	if req.Tokens == nil { // a misspelled key must not let everybody in
		return nil, &controlError{http.StatusUnprocessableEntity, "tokens is missing; [] accepts any"}
	}
	if err := s.SetTokens(*req.Tokens...); err != nil {
		return nil, &controlError{http.StatusUnprocessableEntity, err.Error()}
	}
	return nil, nil
}

// controlAdvance takes {"by":"1h30m"} and answers with the new time.
func (s *Server) controlAdvance(r *http.Request) (any, error) {
	var req struct {
		By string `json:"by"`
	}
	if err := json.NewDecoder(r.Body).Decode(&req); err != nil {
		return nil, &controlError{http.StatusBadRequest, err.Error()}
	}
	by, err := time.ParseDuration(req.By)
	if err != nil || by < 0 {
		return nil, &controlError{http.StatusUnprocessableEntity, fmt.Sprintf("by is %q, want a duration such as 90s or 2h", req.By)}
	}
	now, err := s.advance(by)
	return map[string]string{"now": stamp(now.UnixNano())}, err
}

// State is the whole simulator in numbers.
type State struct {
	Seed     uint64       `json:"seed"`
	Now      time.Time    `json:"now"`
	Accepted uint64       `json:"accepted"` // messages, forgotten ones included
	Kept     int          `json:"kept"`     // messages still known
	Chats    int          `json:"chats"`    // pairs of phone and chat
	Webhooks int          `json:"webhooks"`
	Inbound  int          `json:"inbound"`  // messages of other people still known
	Requests uint64       `json:"requests"` // to the API, refused ones included
	Limited  uint64       `json:"limited"`  // answered 429 by the rate limit
	Faulted  uint64       `json:"faulted"`  // answered by a fault
	Refused  uint64       `json:"refused"`  // refused by a magic number
	Phones   []PhoneState `json:"phones"`
	Faults   []Fault      `json:"faults"`
}

// PhoneState is one phone and its queue in numbers.
type PhoneState struct {
	Number    string `json:"number"`
	ID        string `json:"id"`
	State     string `json:"state"` // connected, disconnected, logged_out or banned
	Waiting   int    `json:"waiting"`
	Active    int    `json:"active"`
	Delayed   int    `json:"delayed"`
	Completed int    `json:"completed"`
	Failed    int    `json:"failed"`
}

// State tells how things are at the moment.
func (s *Server) State() State { return s.state() }

func (s *Server) state() State {
	out := State{
		Seed: s.cfg.Seed, Requests: s.stats.requests.Load(), Limited: s.stats.limited.Load(),
		Faulted: s.stats.faulted.Load(), Refused: s.stats.refused.Load(), Faults: s.faults.armed(),
	}
	e := s.engine
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.now()
	e.catchUp(now)
	out.Inbound = len(e.inbox)
	out.Now, out.Accepted, out.Webhooks = time.Unix(0, now).UTC(), e.accepted, len(e.hooks)
	out.Kept = int(e.jobs.next - e.jobs.first) //nolint:gosec // bounded by MaxJobs
	for _, l := range e.lines {
		l.settle(now, e.left)
		n := l.counts(now)
		out.Chats += len(l.chats)
		out.Phones = append(out.Phones, PhoneState{
			Number: l.phone.Number, ID: l.phone.ID, State: string(l.state), Waiting: n.Waiting, Active: n.Active,
			Delayed: n.Delayed, Completed: n.Completed, Failed: n.Failed,
		})
	}
	return out
}
