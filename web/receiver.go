package web

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/herald-campaigns/herald/campaign"
)

// receive takes one delivery. Everything that is refused is refused before the
// ledger hears of it.
func (s *Server) receive(w http.ResponseWriter, r *http.Request) {
	if s.cfg.Verify == nil {
		s.figures.count(&s.figures.Off)
		busy(w, "off", "there is no signing key, so nothing is taken")
		return
	}
	room, ok := s.intake.room.take(r.ContentLength)
	if !ok {
		s.refuseBusy(w)
		return
	}
	raw, err := readBody(w, r)
	if err != nil {
		s.intake.room.give(room)
		s.refuseBody(w, err)
		return
	}
	event, ok := s.admit(w, r, raw)
	if !ok {
		s.intake.room.give(room)
		return
	}
	arrived := &arrival{
		Delivery: campaign.Delivery{Key: event.Key, Name: event.Name, Body: raw, Received: time.Now()},
		room:     room, done: make(chan error, 1),
	}
	if !s.intake.put(arrived) {
		s.intake.room.give(room)
		s.refuseBusy(w)
		return
	}
	s.await(r.Context(), w, arrived)
}

// readBody reads at most MaxBody bytes.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if r.ContentLength > MaxBody {
		return nil, &http.MaxBytesError{Limit: MaxBody}
	}
	body := http.MaxBytesReader(w, r.Body, MaxBody)
	if r.ContentLength < 0 {
		return io.ReadAll(body)
	}
	raw := make([]byte, r.ContentLength)
	_, err := io.ReadFull(body, raw)
	return raw, err
}

func (s *Server) refuseBody(w http.ResponseWriter, err error) {
	if _, long := errors.AsType[*http.MaxBytesError](err); long {
		s.figures.count(&s.figures.Oversize)
		w.Header().Set("Connection", "close") // the rest is not worth reading
		problem(w, http.StatusRequestEntityTooLarge, "oversize", "a delivery has at most 256 KiB")
		return
	}
	s.figures.count(&s.figures.Unreadable)
	problem(w, http.StatusBadRequest, "incomplete", "the body did not come to its end")
}

// admit says whether the delivery goes into the ledger; if not, it has been
// answered. A verified body that is no event is answered 400: 200 would hide
// that the provider's format has changed, and sending it again costs little.
func (s *Server) admit(w http.ResponseWriter, r *http.Request, raw []byte) (Event, bool) {
	if err := s.cfg.Verify(raw, r.Header.Get(s.cfg.SignatureHeader)); err != nil {
		if s.figures.forged() {
			s.log.Warn("refused webhook deliveries that are not signed with the signing key: either the key here is not the one of the Periskope console, "+
				"or somebody else posts to this address; `herald webhooks test` sends one such delivery on purpose", slog.Any("err", err))
		}
		problem(w, http.StatusUnauthorized, "forged", "not signed with the signing key")
		return Event{}, false
	}
	event, err := s.cfg.Read(raw)
	if err != nil {
		s.figures.count(&s.figures.Unreadable)
		s.log.Warn("a signed webhook delivery is not readable", slog.Any("err", err))
		problem(w, http.StatusBadRequest, "unreadable", "not the JSON of an event")
		return Event{}, false
	}
	s.figures.named(event.Name)
	if !event.Followed {
		s.figures.count(&s.figures.Ignored)
		accepted(w)
		return Event{}, false
	}
	return event, true
}

// await answers when the ledger has decided. Whatever becomes of the caller, the
// delivery stays in the queue: it is welcome.
func (s *Server) await(ctx context.Context, w http.ResponseWriter, arrived *arrival) {
	patience := time.NewTimer(s.cfg.Limits.Commit)
	defer patience.Stop()
	var err error
	select {
	case err = <-arrived.done:
	case <-patience.C:
		err = context.DeadlineExceeded
	case <-ctx.Done():
		return
	}
	if err != nil {
		s.figures.count(&s.figures.Failed)
		busy(w, "not_kept", "the delivery could not be kept; send it again")
		return
	}
	accepted(w)
}

func (s *Server) refuseBusy(w http.ResponseWriter) {
	s.figures.count(&s.figures.Busy)
	busy(w, "busy", "too much at once; send it again")
}
