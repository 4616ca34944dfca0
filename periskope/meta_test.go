package periskope_test

import (
	"errors"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/herald-campaigns/herald/periskope"
)

var noon = time.Date(2026, 1, 15, 12, 0, 0, 0, time.UTC)

func TestParseRetryAfter(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]time.Duration{
		"":                              0,
		"0":                             0,
		"7":                             7 * time.Second,
		" 7 ":                           7 * time.Second,
		"1.5":                           1500 * time.Millisecond,
		"-5":                            0,
		"900":                           periskope.MaxWait,
		"315360000":                     periskope.MaxWait, // ten years
		"99999999999999999999999999":    periskope.MaxWait,
		"Inf":                           0,
		"NaN":                           0,
		"1e9":                           0,
		"soon":                          0,
		"Thu, 15 Jan 2026 12:00:30 GMT": 30 * time.Second,
		"Thu, 15 Jan 2026 11:00:00 GMT": 0,
		"Thu, 15 Jan 2036 12:00:00 GMT": periskope.MaxWait,
	} {
		if got := periskope.ParseRetryAfter(value, noon); got != want {
			t.Errorf("ParseRetryAfter(%q) = %s, want %s", value, got, want)
		}
	}
}

func TestParseReset(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]time.Duration{
		"1768478430":    30 * time.Second, // epoch seconds
		"1768478430000": 30 * time.Second, // epoch milliseconds
		"1768478430250": 30250 * time.Millisecond,
		"30":            30 * time.Second,
		"1768470000":    0, // past
		"-1":            0,
		"0":             0,
		"86400":         periskope.MaxWait,
		"1999999999":    periskope.MaxWait,
	} {
		got, ok := periskope.ParseReset(value, noon)
		if !ok || got != want {
			t.Errorf("ParseReset(%q) = %s, %t, want %s", value, got, ok, want)
		}
	}
	for _, value := range []string{"", "tomorrow", "2026-01-15T12:00:30Z", "--", "0x10"} {
		if got, ok := periskope.ParseReset(value, noon); ok {
			t.Errorf("ParseReset(%q) = %s, want none", value, got)
		}
	}
}

func TestEveryAnswerCarriesItsMeta(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		status int
		body   string
	}{
		"good":      {http.StatusOK, queuedAnswer},
		"unusable":  {http.StatusOK, ""},
		"refused":   {http.StatusTooManyRequests, "Too many requests, please try again later."},
		"cut short": {http.StatusOK, "cut"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := newClient(t, func(w http.ResponseWriter, _ *http.Request) {
				for key, value := range map[string]string{
					"X-RateLimit-Limit": "10", "X-RateLimit-Remaining": "9", "X-RateLimit-Reset": "1768478430",
					"Retry-After": "12", "x-periskope-trace-id": "trace-1", "Date": "Thu, 15 Jan 2026 12:00:00 GMT",
				} {
					w.Header().Set(key, value)
				}
				if test.body == "cut" {
					w.Header().Set("Content-Length", "100")
				}
				w.WriteHeader(test.status)
				_, _ = io.WriteString(w, test.body)
			})
			before := time.Now()
			response, err := client.Send(t.Context(), testPhone, aText())
			after := time.Now()
			meta := response.Meta
			var (
				api       *periskope.APIError
				unusable  *periskope.ResponseError
				transport *periskope.TransportError
			)
			switch {
			case errors.As(err, &api):
				meta = api.Meta
			case errors.As(err, &unusable):
				meta = unusable.Meta
			case errors.As(err, &transport):
				meta = transport.Meta
			}
			if meta.RateLimit == nil {
				t.Fatalf("meta %+v of %v", meta, err)
			}
			// The provider's clock says 30 s, whatever ours says.
			if reset := meta.RateLimit.Reset; reset.Before(before.Add(30*time.Second)) || reset.After(after.Add(30*time.Second)) {
				t.Errorf("reset %s is not 30 s away", reset)
			}
			meta.RateLimit.Reset = time.Time{}
			want := periskope.Meta{
				HTTPStatus: test.status, TraceID: "trace-1", RetryAfter: 12 * time.Second, Date: noon,
				RateLimit: &periskope.RateLimit{Limit: 10, Remaining: 9},
			}
			if diff := cmp.Diff(want, meta); diff != "" {
				t.Errorf("meta (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseTimeReadsFiveForms(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]time.Time{
		"2024-05-13 11:19:34+00":           time.Date(2024, 5, 13, 11, 19, 34, 0, time.UTC),
		"2026-01-15T09:30:00+00:00":        time.Date(2026, 1, 15, 9, 30, 0, 0, time.UTC),
		"2026-01-15T09:30:13.273371+05:30": time.Date(2026, 1, 15, 4, 0, 13, 273371000, time.UTC),
		"2026-04-01T14:23:21.279Z":         time.Date(2026, 4, 1, 14, 23, 21, 279e6, time.UTC),
		"2026-04-01 14:23:21.279+05:30":    time.Date(2026, 4, 1, 8, 53, 21, 279e6, time.UTC),
		"2026-04-01T14:23:21":              time.Date(2026, 4, 1, 14, 23, 21, 0, time.UTC),
		"1768469400":                       time.Date(2026, 1, 15, 9, 30, 0, 0, time.UTC),
		"1768469400123":                    time.Date(2026, 1, 15, 9, 30, 0, 123e6, time.UTC),
		"":                                 {},
		"null":                             {},
		"yesterday":                        {},
		"-5":                               {},
		"1e300":                            {},
		"0001-01-01T00:00:00Z":             {},
	} {
		if got := periskope.ParseTime(value); !got.Equal(want) {
			t.Errorf("ParseTime(%q) = %s, want %s", value, got, want)
		}
	}
}

func TestNormalizeStatus(t *testing.T) {
	t.Parallel()
	ack := func(n int64) periskope.FlexInt { return periskope.FlexInt{V: n, Set: true} }
	none := periskope.FlexInt{}
	for want, words := range map[periskope.Status][]string{
		periskope.StatusQueued:    {"queued", "waiting", "pending", "delayed", "scheduled", "paused", " Queued "},
		periskope.StatusSending:   {"sending", "processing", "active"},
		periskope.StatusSent:      {"sent", "completed", "success", "SENT"},
		periskope.StatusDelivered: {"delivered"},
		periskope.StatusRead:      {"read", "played"},
		periskope.StatusFailed:    {"failed", "error"},
		periskope.StatusUnknown:   {"", "purged"},
	} {
		for _, word := range words {
			if got := periskope.NormalizeStatus(word, none); got != want {
				t.Errorf("NormalizeStatus(%q) = %q, want %q", word, got, want)
			}
		}
	}
	for n, want := range map[int64]periskope.Status{
		-2: "failed", -1: "failed", 0: "queued", 1: "sent", 2: "sent", 3: "delivered", 4: "read", 5: "read", 99: "read",
	} {
		if got := periskope.NormalizeStatus("", ack(n)); got != want {
			t.Errorf("ack %d = %q, want %q", n, got, want)
		}
	}
	if got := periskope.NormalizeStatus("sent", ack(4)); got != periskope.StatusSent {
		t.Errorf("a word with an ack = %q, want the word's", got)
	}
}

func TestUniqueOf(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]string{
		testUnique: testUnique,
		"true_" + testNumber + "@c.us_" + testUnique:                               testUnique,
		"false_120363000000000000@g.us_" + testUnique + "_" + testNumber + "@c.us": testUnique,
		"": "", "a_b_c": "a_b_c", "true_x": "true_x",
	} {
		if got := periskope.UniqueOf(id); got != want {
			t.Errorf("UniqueOf(%q) = %q, want %q", id, got, want)
		}
	}
}
