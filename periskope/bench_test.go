package periskope_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/herald-campaigns/herald/periskope"
)

// benchRequest comes to about 400 bytes of JSON, and has a Begin as every send
// of a campaign has.
func benchRequest() periskope.SendRequest {
	return periskope.SendRequest{ChatID: testNumber + "@c.us", Message: strings.Repeat("Hi *Asha*, your slot is 4 pm & ", 11), Begin: func() error { return nil }}
}

func benchServer(b *testing.B) *httptest.Server {
	b.Helper()
	answer := []byte(queuedAnswer)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header()["Content-Type"] = []string{"application/json"}
		_, _ = w.Write(answer)
	}))
	b.Cleanup(server.Close)
	return server
}

// BenchmarkSend is to be compared with BenchmarkRawClient of the same run.
func BenchmarkSend(b *testing.B) {
	client, err := periskope.New(periskope.Config{BaseURL: benchServer(b).URL, Token: testToken})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(client.CloseIdleConnections)
	request := benchRequest()
	b.ReportAllocs()
	b.SetParallelism(8)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := client.Send(b.Context(), testPhone, request); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

// BenchmarkRawClient does the same with a plain net/http client.
func BenchmarkRawClient(b *testing.B) {
	url := benchServer(b).URL + "/message/send"
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64, MaxConnsPerHost: 64}}
	b.Cleanup(client.CloseIdleConnections)
	request := benchRequest()
	b.ReportAllocs()
	b.SetParallelism(8)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := rawSend(b, client, url, request); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

func rawSend(b *testing.B, client *http.Client, url string, r periskope.SendRequest) error {
	b.Helper()
	body, err := json.Marshal(map[string]string{"chat_id": r.ChatID, "message": r.Message})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(b.Context(), http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+testToken)
	req.Header.Set("X-Phone", testPhone)
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	var answer struct {
		QueueID string `json:"queue_id"`
	}
	return json.NewDecoder(resp.Body).Decode(&answer)
}
