package periskope_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/herald-campaigns/herald/periskope"
)

const statusAnswer = `{"queue_id":"` + testQueue + `","unique_id":"` + testUnique + `","message_id":"true_` + testNumber + `@c.us_` + testUnique + `",
	"chat_id":"` + testNumber + `@c.us","performed_by":"api","status":"read","status_description":"Read by recipient.","ack":4,
	"message":{"body":"test 93","type":"chat","quoted_message_id":"3EB0885"},
	"timeline":{"queued_at":"2026-04-01T14:23:21.279Z","sent_at":"2026-04-01T14:23:24.111Z","deliveredAt":1775053405,"read":"2026-04-01 14:23:26+00"},
	"attempts":1,"delivered_count":"1","read_count":1}`

func at(s int, ms int) time.Time { return time.Date(2026, 4, 1, 14, 23, s, ms*1e6, time.UTC) }

func TestMessageStatusReadsTheDocumentedAnswer(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{"object": statusAnswer, "array": "[" + statusAnswer + "]"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rec := newRecorder(http.StatusOK, body)
			job, meta, err := newClient(t, rec.ServeHTTP).MessageStatus(t.Context(), testPhone, "true_x@c.us_"+testUnique)
			if err != nil || meta.HTTPStatus != http.StatusOK {
				t.Fatalf("MessageStatus: %v, %+v", err, meta)
			}
			if got := <-rec.seen; got.Path != "/v1/message/"+testUnique+"/status" || got.Header.Get("X-Phone") != testPhone {
				t.Errorf("asked %s as %s", got.Path, got.Header.Get("X-Phone"))
			}
			for event, want := range map[string]time.Time{"queued": at(21, 279), "sent": at(24, 111), "delivered": at(25, 0), "read": at(26, 0), "failed": {}} {
				if got := job.Timeline.At(event); !got.Equal(want) {
					t.Errorf("%s at %s, want %s", event, got, want)
				}
			}
			job.Timeline = nil
			want := periskope.Job{
				QueueID: testQueue, UniqueID: testUnique, MessageID: "true_" + testNumber + "@c.us_" + testUnique,
				ChatID: testNumber + "@c.us", PerformedBy: "api", Status: periskope.StatusRead, Word: "read",
				Description: "Read by recipient.", Ack: periskope.FlexInt{V: 4, Set: true}, Body: "test 93", Type: "chat",
				Attempts: 1, Delivered: 1, Read: 1,
			}
			if diff := cmp.Diff(want, job); diff != "" {
				t.Errorf("job (-want +got):\n%s", diff)
			}
		})
	}
}

func TestMessageStatusTriesThePluralOnlyWhereTheRouteIsMissing(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		body string
		want []string
	}{
		"no such route":   {"Cannot GET", []string{"/v1/message/x/status", "/v1/messages/x/status"}},
		"no such message": {`{"code":"NOT_FOUND_ERROR","status":404}`, []string{"/v1/message/x/status"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			seen := make(chan string, 10)
			client := newClient(t, func(w http.ResponseWriter, r *http.Request) {
				seen <- r.URL.Path
				if strings.HasPrefix(r.URL.Path, "/v1/messages/") {
					_, _ = io.WriteString(w, statusAnswer)
					return
				}
				w.WriteHeader(http.StatusNotFound)
				_, _ = io.WriteString(w, test.body)
			})
			_, _, err := client.MessageStatus(t.Context(), testPhone, "x")
			if (err == nil) != (len(test.want) == 2) {
				t.Errorf("MessageStatus: %v", err)
			}
			close(seen)
			var paths []string
			for path := range seen {
				paths = append(paths, path)
			}
			if diff := cmp.Diff(test.want, paths); diff != "" {
				t.Errorf("paths (-want +got):\n%s", diff)
			}
		})
	}
}

const oldJobs = `[{"id":"q1","message_id":"3EB0BB657AE18C4D3BB276DFB67F6CCA7DD13234","status":"completed","attemptsMade":1,"attemptsStarted":1,
	"addedTimestamp":1737373507280,"processedTimestamp":1737373507380,"finishedTimestamp":1737373510691,
	"data":{"body":"Hello","chat_id":"` + testNumber + `@c.us"},"stacktrace":[]},{"id":"q2","status":"waiting"}]`

func TestQueuesOfEitherGeneration(t *testing.T) {
	t.Parallel()
	t.Run("current", func(t *testing.T) {
		t.Parallel()
		rec := newRecorder(http.StatusOK, "["+statusAnswer+`,{"queue_id":"other","status":"queued"},{"queue_id":"third","timeline":"none","message":5}]`)
		client := newClient(t, rec.ServeHTTP)
		jobs, _, err := client.Queues(t.Context(), testPhone, periskope.QueueFilter{QueueID: testQueue})
		if err != nil || len(jobs) != 1 || jobs[0].QueueID != testQueue {
			t.Fatalf("Queues = %v, %v; want only the job asked for", jobs, err)
		}
		if got := <-rec.seen; got.Method != http.MethodPost || got.Path != "/v1/message/queues" || got.Body != `{"queue_id":"`+testQueue+`"}` {
			t.Errorf("asked %+v", got)
		}
		jobs, _, err = client.Queues(t.Context(), testPhone, periskope.QueueFilter{})
		if err != nil || len(jobs) != 3 {
			t.Errorf("Queues of all = %v, %v", jobs, err)
		}
		if got := <-rec.seen; got.Body != `{}` {
			t.Errorf("asked %s", got.Body)
		}
	})
	for _, status := range []int{http.StatusNotFound, http.StatusMethodNotAllowed} {
		t.Run(fmt.Sprint("deprecated after ", status), func(t *testing.T) {
			t.Parallel()
			client := newClient(t, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/v1/queue/jobs" {
					w.WriteHeader(status)
					return
				}
				if r.Method != http.MethodGet || r.URL.RawQuery != "queue_id=q1" || r.ContentLength > 0 {
					t.Errorf("asked %s %s", r.Method, r.URL)
				}
				_, _ = io.WriteString(w, oldJobs)
			})
			jobs, _, err := client.Queues(t.Context(), testPhone, periskope.QueueFilter{QueueID: "q1"})
			if err != nil || len(jobs) != 1 {
				t.Fatalf("Queues = %v, %v", jobs, err)
			}
			job := jobs[0]
			if got, want := job.Timeline.At("sent"), time.UnixMilli(1737373510691); !got.Equal(want) {
				t.Errorf("sent at %s, want %s", got, want)
			}
			if job.UniqueID != "3EB0BB657AE18C4D3BB276DFB67F6CCA7DD13234" || job.MessageID != "" || job.Status != periskope.StatusSent ||
				job.Body != "Hello" || job.ChatID != testNumber+"@c.us" || job.Attempts != 1 {
				t.Errorf("job %#v", job)
			}
		})
	}
	t.Run("neither", func(t *testing.T) {
		t.Parallel()
		client := newClient(t, http.NotFound)
		_, _, err := client.Queues(t.Context(), testPhone, periskope.QueueFilter{})
		var api *periskope.APIError
		if !errors.As(err, &api) || api.Status != http.StatusNotFound || api.Envelope() {
			t.Errorf("Queues: %v", err)
		}
	})
}

// TestEachJobHoldsNothing: a phone that has sent for weeks may have tens of
// thousands of jobs.
func TestEachJobHoldsNothing(t *testing.T) { //nolint:paralleltest // it measures memory
	const jobs, text = 10_000, 2 << 10
	client := newClient(t, func(w http.ResponseWriter, _ *http.Request) {
		separator := "["
		for i := range jobs {
			_, _ = fmt.Fprintf(w, `%s{"queue_id":"q%d","message":{"body":"%s"}}`, separator, i, strings.Repeat("x", text))
			separator = ","
		}
		_, _ = io.WriteString(w, "]")
	})
	inUse := func() uint64 {
		runtime.GC()
		var now runtime.MemStats
		runtime.ReadMemStats(&now)
		return now.HeapAlloc
	}
	before, most, shown := inUse(), uint64(0), 0
	_, err := client.EachJob(t.Context(), testPhone, periskope.QueueFilter{}, func(job periskope.Job) {
		if len(job.Body) != text {
			t.Errorf("a text of %d bytes", len(job.Body))
		}
		if shown++; shown%(jobs/4) == 0 {
			most = max(most, inUse())
		}
	})
	if err != nil || shown != jobs {
		t.Fatalf("%d jobs, %v", shown, err)
	}
	if held := most - min(before, most); held > jobs*text/4 {
		t.Errorf("%d KiB are held on the way, of %d KiB", held>>10, jobs*text>>10)
	}
}

func TestQueueHealthOfEitherGeneration(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		path, body string
	}{
		"current":    {"/v1/message/queues/health", `{"waiting":2,"active":1,"completed":142,"failed":3,"delayed":5,"paused":"0"}`},
		"deprecated": {"/v1/queue", `{"active":1,"failed":3,"completed":142,"pending":7,"is_running":true}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := newClient(t, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != test.path {
					http.NotFound(w, r)
					return
				}
				_, _ = io.WriteString(w, test.body)
			})
			health, _, err := client.QueueHealth(t.Context(), testPhone)
			if err != nil || health.Backlog() != 8 || health.Completed.V != 142 || (health.Running != nil) != (name == "deprecated") {
				t.Errorf("QueueHealth = %+v, %v", health, err)
			}
		})
	}
}

func TestPurgeQueueNamesEveryJob(t *testing.T) {
	t.Parallel()
	echo := func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		_, ids, _ := strings.Cut(string(body), ":")
		_, _ = fmt.Fprintf(w, `{"purged":true,"mode":"queue_ids","queue_ids":%s`, ids)
	}
	t.Run("in portions", func(t *testing.T) {
		t.Parallel()
		var ids []string
		for i := range 250 {
			ids = append(ids, fmt.Sprintf("q%03d", i))
		}
		bodies := make(chan string, 10)
		client := newClient(t, func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			bodies <- string(body)
			r.Body = io.NopCloser(strings.NewReader(string(body)))
			echo(w, r)
		})
		purged, err := client.PurgeQueue(t.Context(), testPhone, append(ids, ids[0]))
		if diff := cmp.Diff(ids, purged); err != nil || diff != "" {
			t.Fatalf("PurgeQueue: %v (-want +got):\n%s", err, diff)
		}
		if len(bodies) != 3 {
			t.Errorf("%d requests, want 3", len(bodies))
		}
		if body := <-bodies; !strings.HasPrefix(body, `{"queue_ids":["q000",`) || strings.Count(body, "q") != 101 {
			t.Errorf("first request %s", body)
		}
	})
	for name, ids := range map[string][]string{"nothing": nil, "no ids": {}, "an empty id": {"a", ""}, "a broken id": {"a b"}} {
		t.Run("refused: "+name, func(t *testing.T) {
			t.Parallel()
			rec := newRecorder(http.StatusOK, `{"purged":true}`)
			_, err := newClient(t, rec.ServeHTTP).PurgeQueue(t.Context(), testPhone, ids)
			var argument *periskope.ArgumentError
			if !errors.As(err, &argument) || len(rec.seen) != 0 {
				t.Errorf("PurgeQueue: %v after %d requests", err, len(rec.seen))
			}
		})
	}
	gone, err := newClient(t, newRecorder(http.StatusOK, `{"purged":false,"mode":"queue_ids","queue_ids":[]}`).ServeHTTP).
		PurgeQueue(t.Context(), testPhone, []string{"a"})
	if len(gone) != 0 || err != nil {
		t.Errorf("of a job that is not in the queue: %v, %v", gone, err)
	}
	for name, body := range map[string]string{
		"everything":  `{"purged":true,"mode":"all"}`,
		"foreign job": `{"purged":true,"mode":"queue_ids","queue_ids":["a","b"]}`,
		"not purged":  `{"purged":false,"mode":"queue_ids","queue_ids":["a"]}`,
		"silence":     ``,
	} {
		t.Run("answered: "+name, func(t *testing.T) {
			t.Parallel()
			purged, err := newClient(t, newRecorder(http.StatusOK, body).ServeHTTP).PurgeQueue(t.Context(), testPhone, []string{"a"})
			var response *periskope.ResponseError
			if !errors.As(err, &response) || len(purged) != 0 {
				t.Errorf("PurgeQueue = %v, %v", purged, err)
			}
		})
	}
}
