package web

import (
	"encoding/json"
	"net/http"
)

// retryAfter is how many seconds a provider that finds us busy should wait.
const retryAfter = "5"

func accepted(w http.ResponseWriter) {
	writeJSON(w, http.StatusOK, "application/json", map[string]bool{"ok": true})
}

// busy asks to be called again.
func busy(w http.ResponseWriter, code, detail string) {
	w.Header().Set("Retry-After", retryAfter)
	problem(w, http.StatusServiceUnavailable, code, detail)
}

// problem answers with an RFC 9457 problem. detail has nothing of the request.
func problem(w http.ResponseWriter, status int, code, detail string) {
	writeJSON(w, status, "application/problem+json", struct {
		Title  string `json:"title"`
		Status int    `json:"status"`
		Code   string `json:"code"`
		Detail string `json:"detail"`
	}{http.StatusText(status), status, code, detail})
}

func writeJSON(w http.ResponseWriter, status int, kind string, body any) {
	encoded, err := json.Marshal(body)
	if err != nil { // none of the bodies can fail
		status, encoded = http.StatusInternalServerError, []byte("{}")
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(encoded) // the caller may be gone
}
