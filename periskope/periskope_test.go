package periskope_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/herald-campaigns/herald/periskope"
)

const (
	testPhone  = "12015550100"
	testNumber = "447700900123"
	testToken  = "sk-canary-5e7a0c51d2"
	testQueue  = "ba3273cb-12be-48d4-90e0-0cbc0b427ef1"
	testUnique = "3EB05FC204C28E456D8596"
)

// newClient is a client of an API answering with the handler.
func newClient(t *testing.T, handler http.HandlerFunc) *periskope.Client {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return newClientOf(t, periskope.Config{BaseURL: server.URL + "/v1"})
}

func newClientOf(t *testing.T, config periskope.Config) *periskope.Client {
	t.Helper()
	config.Token = testToken
	client, err := periskope.New(config)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	t.Cleanup(client.CloseIdleConnections)
	return client
}

// request is what a server saw.
type request struct {
	Method, Path, Query, Body string
	Header                    http.Header
}

// recorder answers every request alike and keeps what it saw.
type recorder struct {
	seen   chan request
	status int
	body   string
}

func newRecorder(status int, body string) *recorder {
	return &recorder{seen: make(chan request, 100), status: status, body: body}
}

func (rec *recorder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	rec.seen <- request{Method: r.Method, Path: r.URL.EscapedPath(), Query: r.URL.RawQuery, Body: string(body), Header: r.Header.Clone()}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(rec.status)
	_, _ = io.WriteString(w, rec.body)
}

func aText() periskope.SendRequest {
	return periskope.SendRequest{ChatID: testNumber + "@c.us", Message: "Hi Asha, <b> & your slot is 4 pm"}
}

const queuedAnswer = `{"status":"queued","queue_id":"` + testQueue + `","queue_position":2,"unique_id":"` + testUnique + `",
	"track_by":{"unique_id":"GET /messages/x/status"},"hint":"ignored"}`
