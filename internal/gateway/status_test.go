package gateway

import (
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/periskope"
)

const statusAnswer = `{"queue_id":"` + testQueue + `","unique_id":"3EB0A0","message_id":"true_` + testNumber + `@c.us_3EB0A0","chat_id":"x","status":"delivered",
	"status_description":"Gave up on ` + testNumber + `.","ack":3,"message":{"body":"` + testText + `"},
	"timeline":{"queued_at":"2026-04-01T14:23:21.279Z","sent_at":"2026-04-01T14:23:24.111Z","delivered_at":"2026-04-01T14:23:25Z","failed_at":null}}`

func TestStatusGivesEvidence(t *testing.T) {
	t.Parallel()
	want := campaign.Evidence{
		Campaign: "cmp_1", Seq: 7, Source: campaign.EvidencePoll, Status: campaign.StatusDelivered,
		MessageID: "true_" + testNumber + "@c.us_3EB0A0", Detail: "Gave up on 44********23.",
		SentAt:      time.Date(2026, 4, 1, 14, 23, 24, 111e6, time.UTC),
		DeliveredAt: time.Date(2026, 4, 1, 14, 23, 25, 0, time.UTC),
	}
	paths := make(chan string, 10)
	gateway := serve(t, func(w http.ResponseWriter, r *http.Request) {
		paths <- r.Method + " " + r.URL.Path
		_, _ = io.WriteString(w, statusAnswer)
	})
	tracked := campaign.Tracked{Campaign: "cmp_1", Seq: 7, UniqueID: "3EB0A0", QueueID: testQueue}
	got, err := gateway.Status(t.Context(), testSender, tracked)
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("by unique id: %v (-want +got):\n%s", err, diff)
	}
	if path := <-paths; path != "GET /message/3EB0A0/status" {
		t.Errorf("asked %s", path)
	}
	tracked.UniqueID, want.Source = "", campaign.EvidenceJobs
	got, err = gateway.Status(t.Context(), testSender, tracked)
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("by queue id: %v (-want +got):\n%s", err, diff)
	}
	if path := <-paths; path != "POST /message/queues" {
		t.Errorf("asked %s", path)
	}
}

func TestStatusWords(t *testing.T) {
	t.Parallel()
	for word, want := range map[string]campaign.Status{
		"queued": campaign.StatusQueued, "waiting": campaign.StatusQueued, "processing": campaign.StatusProcessing, "sending": campaign.StatusProcessing,
		"active": campaign.StatusProcessing, "sent": campaign.StatusSent, "completed": campaign.StatusSent, "delivered": campaign.StatusDelivered,
		"read": campaign.StatusRead, "failed": campaign.StatusFailed, "purged": "",
	} {
		got, err := serve(t, answer(200, `{"status":"`+word+`"}`)).Status(t.Context(), testSender, campaign.Tracked{UniqueID: "x"})
		if err != nil || got.Status != want {
			t.Errorf("%s = %q, %v, want %q", word, got.Status, err, want)
		}
	}
}

func TestStatusOfWhatIsNotThere(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		status   int
		body     string
		recent   bool
		uniqueID string
		want     campaign.Code
	}{
		"not visible yet":               {404, `{"code":"NOT_FOUND_ERROR"}`, true, "x", ""},
		"not visible yet, bare":         {404, "", true, "x", ""},
		"not visible yet, in the list":  {200, `[]`, true, "", ""},
		"gone":                          {404, `{"code":"NOT_FOUND_ERROR"}`, false, "x", campaign.CodeNotFound},
		"gone from the list":            {200, `[]`, false, "", campaign.CodeNotFound},
		"only others in the list":       {200, `[{"queue_id":"other"}]`, false, "", campaign.CodeNotFound},
		"a proxy's 404, long after":     {404, page, false, "x", campaign.CodeUnavailable},
		"credentials":                   {401, envelope, true, "x", campaign.CodeUnauthorized},
		"forbidden":                     {403, "", true, "x", campaign.CodeUnauthorized},
		"throttled":                     {429, "", true, "x", campaign.CodeThrottled},
		"throttled list":                {429, "", true, "", campaign.CodeThrottled},
		"outage":                        {503, "", true, "x", campaign.CodeUnavailable},
		"answer of something else":      {200, page, true, "x", campaign.CodeUnavailable},
		"refused in the provider's way": {422, envelope, true, "x", campaign.CodeInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tracked := campaign.Tracked{UniqueID: test.uniqueID, QueueID: testQueue, QueuedAt: time.Now()}
			if !test.recent {
				tracked.QueuedAt = time.Time{}
			}
			gateway := serve(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Retry-After", "42")
				answer(test.status, test.body)(w, r)
			})
			got, err := gateway.Status(t.Context(), testSender, tracked)
			if code := campaign.CodeOf(err); code != test.want || got.Status != "" {
				t.Errorf("Status = %+v, %v (code %q), want code %q", got, err, code, test.want)
			}
			var throttled interface{ RetryAfter() time.Duration }
			if errors.As(err, &throttled) != (test.want == campaign.CodeThrottled) {
				t.Errorf("error %v", err)
			} else if throttled != nil && throttled.RetryAfter() != 42*time.Second {
				t.Errorf("wait %s", throttled.RetryAfter())
			}
		})
	}
	_, err := serve(t, answer(200, "[]")).Status(t.Context(), testSender, campaign.Tracked{})
	if campaign.CodeOf(err) != campaign.CodeInvalid {
		t.Errorf("without ids: %v", err)
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	const phone = `{"org_phone":"12015550100@c.us","phone_id":"phone-x","wa_state":"CONNECTED","is_ready":true}`
	for name, test := range map[string]struct {
		status int
		body   string
		want   campaign.Code
		hint   string
	}{
		"ready":         {200, phone, "", ""},
		"ready, array":  {200, "[" + phone + "]", "", ""},
		"disconnected":  {200, `{"wa_state":"DISCONNECTED","is_ready":false}`, campaign.CodeUnavailable, "QR"},
		"not ready":     {200, `{"wa_state":"CONNECTED","is_ready":false}`, campaign.CodeUnavailable, "QR"},
		"unauthorized":  {401, `{"code":"UNAUTHORIZED_ERROR","message":"Invalid bearer auth token"}`, campaign.CodeUnauthorized, "HERALD_PERISKOPE_TOKEN"},
		"forbidden":     {403, "", campaign.CodeUnauthorized, "HERALD_PERISKOPE_TOKEN"},
		"unknown phone": {404, `{"code":"NOT_FOUND_ERROR"}`, campaign.CodeNotFound, "senders"},
		"x-phone":       {422, `{"code":"VALIDATION_ERROR","fields":{"x-phone":{"message":"unknown"}}}`, campaign.CodeNotFound, "senders"},
		"throttled":     {429, "", campaign.CodeThrottled, ""},
		"outage":        {502, page, campaign.CodeUnavailable, "base_url"},
		"something":     {200, page, campaign.CodeUnavailable, "base_url"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := serve(t, answer(test.status, test.body)).Check(t.Context(), testSender)
			if code := campaign.CodeOf(err); code != test.want {
				t.Fatalf("Check: %v (code %q), want code %q", err, code, test.want)
			}
			if hints := strings.Join(campaign.HintsOf(err), " "); !strings.Contains(hints, test.hint) {
				t.Errorf("hints %q, want %q in them", hints, test.hint)
			}
			// Only the API's own word about the phone counts against the phone.
			_, disconnected := errors.AsType[*DisconnectedError](err)
			if want := slices.Contains([]string{"disconnected", "not ready", "unknown phone", "x-phone"}, name); disconnected != want {
				t.Errorf("a verdict about the phone: %t, want %t", disconnected, want)
			}
		})
	}
	t.Run("unreachable", func(t *testing.T) {
		t.Parallel()
		url := closedPort(t)
		err := newGateway(t, periskope.Config{BaseURL: url}).Check(t.Context(), testSender)
		if campaign.CodeOf(err) != campaign.CodeUnavailable || !strings.Contains(err.Error(), strings.TrimPrefix(url, "http://")) {
			t.Errorf("Check: %v", err)
		}
	})
}
