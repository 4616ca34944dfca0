package web

import (
	"context"
	"net/http"
)

// HandlerOf gives what a started server answers with, without a listener.
func HandlerOf(s *Server) http.Handler {
	s.intake = newIntake(s.cfg, s.figures, s.log)
	return s.routes()
}

// CloseIntakeOf ends what HandlerOf began.
func CloseIntakeOf(s *Server, ctx context.Context) error { return s.intake.close(ctx) } //nolint:revive // the server first, as a method
