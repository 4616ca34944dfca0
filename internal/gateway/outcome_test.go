package gateway

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/periskope"
)

const (
	testToken  = "sk-canary-5e7a0c51d2"
	testNumber = "447700900123"
	testText   = "Dear Asha, the canary of Platform Nine sings at dawn"
	testQueue  = "ba3273cb-12be-48d4-90e0-0cbc0b427ef1"

	acceptance = `{"status":"queued","queue_id":"` + testQueue + `","queue_position":3,"unique_id":"3EB05FC204C28E456D8596"}`
	envelope   = `{"code":"VALIDATION_ERROR","name":"Validation Error","message":"Invalid body."}`
	page       = `<!doctype html><html><body>` + testText + `</body></html>`
)

var (
	testSender = campaign.Sender{ID: "snd_1", Phone: "12015550100"}
	testTask   = campaign.Task{Seq: 1, Chat: campaign.PersonChat(testNumber), Message: campaign.Message{Text: testText}}
)

func newGateway(t *testing.T, config periskope.Config) *Gateway {
	t.Helper()
	config.Token = testToken
	client, err := periskope.New(config)
	if err != nil {
		t.Fatalf("periskope.New: %v", err)
	}
	t.Cleanup(client.CloseIdleConnections)
	return New(client, nil, Config{Visibility: time.Hour})
}

// serve is a gateway to an API answering with the handler.
func serve(t *testing.T, handler http.HandlerFunc) *Gateway {
	t.Helper()
	return serveAs(t, handler, periskope.Config{})
}

// serveAs is serve with a client that is configured otherwise.
func serveAs(t *testing.T, handler http.HandlerFunc, config periskope.Config) *Gateway {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	config.BaseURL = server.URL
	return newGateway(t, config)
}

// answer answers every request with the status and body.
func answer(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if strings.HasPrefix(body, "<") {
			w.Header().Set("Content-Type", "text/html")
		}
		w.WriteHeader(status)
		if status != http.StatusNoContent && status != http.StatusNotModified {
			_, _ = io.WriteString(w, body)
		}
	}
}

// The statuses that are anything but unknown, by body. Every other one, 100 to
// 599, is unknown with any body.
var expected = map[string]map[campaign.OutcomeKind][]int{
	"acceptance": {
		campaign.OutcomeAccepted:  span(200, 299),
		campaign.OutcomeRefused:   {401, 403},
		campaign.OutcomeThrottled: {429},
	},
	"envelope": {
		campaign.OutcomeRejected:  {400, 404, 413, 422},
		campaign.OutcomeRefused:   {401, 403},
		campaign.OutcomeThrottled: {429},
	},
	"page": {
		campaign.OutcomeRefused:   {401, 403},
		campaign.OutcomeThrottled: {429},
	},
	"foreign json": {
		campaign.OutcomeRefused:   {401, 403},
		campaign.OutcomeThrottled: {429},
	},
	"empty": {
		campaign.OutcomeRefused:   {401, 403},
		campaign.OutcomeThrottled: {429},
	},
}

func expectedOf(body string, status int) campaign.OutcomeKind {
	for kind, statuses := range expected[body] {
		if slices.Contains(statuses, status) {
			return kind
		}
	}
	return campaign.OutcomeUnknown
}

func span(from, to int) []int {
	var all []int
	for n := from; n <= to; n++ {
		all = append(all, n)
	}
	return all
}

func TestEveryStatusHasItsOutcome(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"acceptance": acceptance, "envelope": envelope, "page": page, "empty": "",
		"foreign json": `{"statusCode":404,"message":"Cannot POST /v1/message/send","error":"Not Found"}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for status := 100; status <= 599; status++ {
				want := expectedOf(name, status)
				gateway := newGateway(t, periskope.Config{Transport: canned{status, body}})
				got := gateway.Send(t.Context(), testSender, testTask, nil)
				if got.Kind != want || got.HTTPStatus != status {
					t.Errorf("HTTP %d: %s (status %d), want %s", status, got.Kind, got.HTTPStatus, want)
				}
				if (got.QueueID != "") != (want == campaign.OutcomeAccepted) {
					t.Errorf("HTTP %d: queue id %q", status, got.QueueID)
				}
				if (got.Pause == campaign.PauseRefused) != (want == campaign.OutcomeRefused) {
					t.Errorf("HTTP %d: pause %q", status, got.Pause)
				}
				if (got.Detail == "") != (want == campaign.OutcomeAccepted) || len(got.Detail) > 300 {
					t.Errorf("HTTP %d: detail %q", status, got.Detail)
				}
			}
		})
	}
}

// canned is a transport with one answer, for statuses that no real server
// can give, like 150.
type canned struct {
	status int
	body   string
}

func (c canned) RoundTrip(r *http.Request) (*http.Response, error) {
	_, _ = io.Copy(io.Discard, r.Body)
	return &http.Response{
		StatusCode: c.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{}, Request: r,
		Body: io.NopCloser(strings.NewReader(c.body)), ContentLength: int64(len(c.body)),
	}, nil
}

// TestRealStatuses walks the statuses a real server can give, over one
// connection.
func TestRealStatuses(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{"envelope": envelope, "page": page, "empty": ""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			status := 200
			gateway := serve(t, func(w http.ResponseWriter, r *http.Request) { answer(status, body)(w, r) })
			for ; status <= 599; status++ {
				want := expectedOf(name, status)
				if got := gateway.Send(t.Context(), testSender, testTask, nil); got.Kind != want || got.HTTPStatus != status {
					t.Errorf("HTTP %d: %s (status %d, %s), want %s", status, got.Kind, got.HTTPStatus, got.Detail, want)
				}
			}
		})
	}
}

func TestClassifyOfSilence(t *testing.T) {
	t.Parallel()
	for r, want := range map[reply]campaign.OutcomeKind{
		replyNotSent:    campaign.OutcomeUnavailable,
		replyNone:       campaign.OutcomeUnknown,
		replyBadRequest: campaign.OutcomeRejected,
		replyBadSender:  campaign.OutcomeRefused,
		replyNoFile:     campaign.OutcomeRefused,
		replyJob:        campaign.OutcomeUnknown,
	} {
		if got := classify(0, r); got != want {
			t.Errorf("classify(0, %s) = %s, want %s", r, got, want)
		}
	}
}

func TestSenderIsToBlameForItsPhone(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"missing header": `{"code":"VALIDATION_ERROR","status":422,"message":"Missing Header: {x-phone}",
			"fields":{"x-phone":{"message":"Please provide the number of the phone","value":"12015550100"}}}`,
		"only the field":   `{"code":"VALIDATION_ERROR","fields":{"X-Phone":"unknown"}}`,
		"only the message": `{"code":"VALIDATION_ERROR","message":"Missing Header: {x-phone}"}`,
		"disconnected":     `{"code":"PHONE_DISCONNECTED"}`,
		"not connected":    `{"code":"VALIDATION_ERROR","message":"Phone is not connected"}`,
	} {
		for _, status := range []int{400, 404, 413, 422} {
			t.Run(fmt.Sprint(name, " ", status), func(t *testing.T) {
				t.Parallel()
				got := serve(t, answer(status, body)).Send(t.Context(), testSender, testTask, nil)
				if got.Kind != campaign.OutcomeRefused || got.Pause != campaign.PauseDisconnected {
					t.Errorf("outcome %+v", got)
				}
			})
		}
	}
	for _, message := range []string{
		"Chat not found — no chat with the given chat_id exists for the phone",
		"at least one of message, media, poll required",
	} {
		body := fmt.Sprintf(`{"code":"NOT_FOUND_ERROR","message":%q}`, message)
		if got := serve(t, answer(404, body)).Send(t.Context(), testSender, testTask, nil); got.Kind != campaign.OutcomeRejected {
			t.Errorf("%s: outcome %+v, want rejected", message, got)
		}
	}
}

func TestAcceptedCarriesWhatWasLearned(t *testing.T) {
	t.Parallel()
	got := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Periskope-Trace-Id", "trace-1")
		w.Header().Set("X-RateLimit-Limit", "10")
		w.Header().Set("X-RateLimit-Remaining", "9")
		_, _ = io.WriteString(w, acceptance)
	}).Send(t.Context(), testSender, testTask, nil)
	want := campaign.Outcome{
		Kind: campaign.OutcomeAccepted, QueueID: testQueue, UniqueID: "3EB05FC204C28E456D8596", QueuePosition: 3,
		HTTPStatus: http.StatusOK, TraceID: "trace-1", Limit: &campaign.RateLimit{Limit: 10, Remaining: 9},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("outcome (-want +got):\n%s", diff)
	}
	got = serve(t, answer(200, `{"queue_id":"q1"}`)).Send(t.Context(), testSender, testTask, nil)
	if got.Kind != campaign.OutcomeAccepted || got.QueuePosition != -1 || got.Limit != nil {
		t.Errorf("outcome %+v", got)
	}
}

func TestThrottledWaitsForTheLongerHeader(t *testing.T) {
	t.Parallel()
	const date = "Thu, 15 Jan 2026 12:00:00 GMT" // 1768478400
	for name, test := range map[string]struct {
		header map[string]string
		low    time.Duration
		high   time.Duration
	}{
		"nothing":             {nil, 0, 0},
		"seconds":             {map[string]string{"Retry-After": "7"}, 7 * time.Second, 7 * time.Second},
		"date":                {map[string]string{"Retry-After": "Thu, 15 Jan 2026 12:00:40 GMT", "Date": date}, 40 * time.Second, 40 * time.Second},
		"negative":            {map[string]string{"Retry-After": "-7"}, 0, 0},
		"ten years":           {map[string]string{"Retry-After": "315360000"}, 15 * time.Minute, 15 * time.Minute},
		"reset is longer":     {map[string]string{"Retry-After": "5", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1768478460", "Date": date}, 30 * time.Second, time.Minute},
		"reset is shorter":    {map[string]string{"Retry-After": "90", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "10"}, 90 * time.Second, 90 * time.Second},
		"reset in ten years":  {map[string]string{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "2083838400"}, 14 * time.Minute, 15 * time.Minute},
		"reset without limit": {map[string]string{"X-RateLimit-Reset": "60"}, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := serve(t, func(w http.ResponseWriter, r *http.Request) {
				for key, value := range test.header {
					w.Header().Set(key, value)
				}
				answer(429, "Too many requests, please try again later.")(w, r)
			}).Send(t.Context(), testSender, testTask, nil)
			if got.Kind != campaign.OutcomeThrottled || got.RetryAfter < test.low || got.RetryAfter > test.high {
				t.Errorf("outcome %s, wait %s, want %s to %s", got.Kind, got.RetryAfter, test.low, test.high)
			}
		})
	}
}
