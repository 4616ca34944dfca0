package gateway

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/periskope"
)

const testChat = campaign.ChatID(testNumber + "@c.us")

var listed = time.Date(2026, 4, 1, 14, 23, 21, 0, time.UTC)

func TestJobsAreCandidates(t *testing.T) {
	t.Parallel()
	const jobs = `[
	 {"queue_id":"q1","unique_id":"3EB01","message_id":"true_` + testNumber + `@c.us_3EB01","chat_id":"` + testNumber + `@c.us","performed_by":"api",
	  "status":"failed","status_description":"Gave up on ` + testNumber + `.","message":{"body":"Hi","type":"chat"},
	  "timeline":{"queued_at":"2026-04-01T14:23:21Z","failed_at":"2026-04-01T14:23:24Z"}},
	 {"queue_id":"q2","chat_id":"` + testNumber + `","status":"queued","message":{"body":"Look","type":"image"},"timeline":{"queued_at":1775053401}},
	 {"id":"q3","message_id":"3EB03","status":"completed","addedTimestamp":1775053401000,"data":{"body":"Coming?","chat_id":"120@g.us"}},
	 {"queue_id":"q4","broadcast_id":"b","chat_id":"x@c.us","status":"queued"},
	 {"queue_id":"q5","performed_by":"ann@example.com","chat_id":"x@c.us","status":"queued"},
	 {"queue_id":"q6","performed_by":"API","chat_id":"","status":"somewhere"}]`
	got, err := jobsOf(t, serve(t, answer(200, jobs)), testSender)
	want := []campaign.Candidate{
		{
			Source: campaign.EvidenceJobs, QueueID: "q1", UniqueID: "3EB01", MessageID: "true_" + testNumber + "@c.us_3EB01", Chat: testChat,
			Kind: campaign.KindText, Text: "Hi", At: listed, Status: campaign.StatusFailed, Detail: "Gave up on 44********23.",
			FailedAt: listed.Add(3 * time.Second),
		},
		{Source: campaign.EvidenceJobs, QueueID: "q2", Chat: testChat, Kind: campaign.KindMedia, Text: "Look", At: listed, Status: campaign.StatusQueued},
		{Source: campaign.EvidenceJobs, QueueID: "q3", UniqueID: "3EB03", Chat: "120@g.us", Text: "Coming?", At: listed, Status: campaign.StatusSent},
		{Source: campaign.EvidenceJobs, QueueID: "q6"},
	}
	if diff := cmp.Diff(show(want), show(got)); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

// jobsOf collects what Jobs shows.
func jobsOf(t *testing.T, g *Gateway, sender campaign.Sender) (list []campaign.Candidate, err error) {
	t.Helper()
	_, err = g.Jobs(t.Context(), sender, func(c campaign.Candidate) { list = append(list, c) })
	return list, err
}

// show prints what candidates themselves do not.
func show(list []campaign.Candidate) []string {
	out := make([]string, len(list))
	for i, c := range list {
		out[i] = fmt.Sprintf("%s %s %s %s %s %q %q %s %s %q %s %s", c.Source, c.QueueID, c.UniqueID, c.MessageID, string(c.Chat), c.Kind, c.Text,
			c.At.Format(time.RFC3339), c.Status, c.Detail, c.SentAt.Format(time.RFC3339), c.FailedAt.Format(time.RFC3339))
	}
	return out
}

func TestMessagesAreCandidates(t *testing.T) {
	t.Parallel()
	const page = `{"count":7,"messages":[
	 {"unique_id":"3EB01","sent_message_id":"q1","message_id":"true_x_3EB01","chat_id":"x","from_me":true,"message_type":"chat","body":"Hi",
	  "timestamp":"2026-04-01T14:23:21+00:00","ack":"3","performed_by":"api"},
	 {"unique_id":"3EB02","chat_id":"x","from_me":true,"message_type":"poll_creation","poll_info":{"pollName":"Coming?","pollOptions":["a","b"]},
	  "timestamp":"2026-04-01T14:23:21+00:00","ack":"0"},
	 {"unique_id":"3EB03","chat_id":"x","from_me":true,"body":"Look","media":{"filename":"a.png"},"timestamp":null},
	 {"unique_id":"3EB04","chat_id":"x","from_me":false,"body":"STOP","timestamp":"2026-04-01T14:23:21+00:00"},
	 {"unique_id":"3EB05","chat_id":"x","from_me":true,"body":"by a person","performed_by":"ann@example.com","timestamp":"2026-04-01T14:23:21+00:00"},
	 {"unique_id":"3EB06","chat_id":"x","from_me":true,"is_private_note":true,"body":"note","timestamp":"2026-04-01T14:23:21+00:00"},
	 {"unique_id":"3EB07","chat_id":"x","from_me":true,"body":"before","timestamp":"2026-04-01T14:20:00+00:00"}]}`
	got, _, err := serve(t, answer(200, page)).Messages(t.Context(), testSender, testChat, listed)
	want := []campaign.Candidate{
		{Source: campaign.EvidenceMessages, QueueID: "q1", UniqueID: "3EB01", MessageID: "true_x_3EB01", Chat: testChat, Kind: campaign.KindText, Text: "Hi", At: listed, Status: campaign.StatusDelivered, SentAt: listed},
		{Source: campaign.EvidenceMessages, UniqueID: "3EB02", Chat: testChat, Kind: campaign.KindPoll, Text: "Coming?", At: listed, Status: campaign.StatusQueued},
		{Source: campaign.EvidenceMessages, UniqueID: "3EB03", Chat: testChat, Kind: campaign.KindMedia, Text: "Look"},
	}
	if diff := cmp.Diff(show(want), show(got)); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

// conversation serves n messages of a chat, a minute apart, so many at a time
// at most, whatever was asked for.
func conversation(n, most int, newestFirst bool, requests *int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		*requests++
		offset, _ := strconv.Atoi(r.URL.Query().Get("offset"))
		limit, _ := strconv.Atoi(r.URL.Query().Get("limit"))
		messages := []map[string]any{}
		for i := offset; i < min(n, offset+min(limit, most)); i++ {
			minute := i
			if newestFirst {
				minute = n - 1 - i
			}
			messages = append(messages, map[string]any{
				"unique_id": fmt.Sprintf("3EB%04d", minute), "chat_id": "x", "from_me": true, "body": "Hi",
				"timestamp": listed.Add(time.Duration(minute) * time.Minute).Format(time.RFC3339),
			})
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"count": n, "messages": messages})
	}
}

// TestEveryPageIsRead back to the time that was asked for, whichever way round
// the provider lists and however short its pages are.
func TestEveryPageIsRead(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		n, most     int
		newestFirst bool
		since       int // minute
		want        int
		requests    int // at most
	}{
		"none":                      {0, 1000, true, 0, 0, 1},
		"one page":                  {5, 1000, true, 0, 5, 2},
		"recent ones":               {900, 1000, true, 890, 10, 1},
		"recent ones, oldest first": {900, 1000, false, 890, 10, 6},
		"all of many":               {900, 1000, true, 0, 900, 6},
		"short pages":               {90, 20, true, 0, 90, 6},
		"short pages, oldest first": {90, 20, false, 40, 50, 6},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			requests := 0
			got, known, err := serve(t, conversation(test.n, test.most, test.newestFirst, &requests)).
				Messages(t.Context(), testSender, testChat, listed.Add(time.Duration(test.since)*time.Minute))
			if err != nil || known != (test.n > 0) || len(got) != test.want || requests > test.requests {
				t.Errorf("%d messages in %d requests, %v; want %d in at most %d", len(got), requests, err, test.want, test.requests)
			}
		})
	}
	requests := 0
	_, _, err := serve(t, conversation(20_000, 1000, false, &requests)).Messages(t.Context(), testSender, testChat, listed)
	if campaign.CodeOf(err) != campaign.CodeNotFound || requests != maxPages {
		t.Errorf("an endless chat: %v after %d requests", err, requests)
	}
}

func TestVisible(t *testing.T) {
	t.Parallel()
	bodies := make(chan string, 2)
	record := func(body string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			var asked map[string]string
			_ = json.NewDecoder(r.Body).Decode(&asked)
			bodies <- asked["queue_id"]
			_, _ = fmt.Fprint(w, body)
		}
	}
	for body, want := range map[string]bool{`[]`: false, `[{"queue_id":"other"}]`: false, `[{"queue_id":"` + testQueue + `"}]`: true} {
		got, err := serve(t, record(body)).Visible(t.Context(), testSender, testQueue)
		if err != nil || got != want || <-bodies != testQueue {
			t.Errorf("%s: visible %v, %v", body, got, err)
		}
	}
}

// TestJobCount counts what is done as well, in either generation of the API.
func TestJobCount(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]int64{
		`{"waiting":1,"active":2,"completed":30,"failed":4,"delayed":5,"paused":6}`: 48,
		`{"active":1,"failed":2,"completed":3,"pending":4,"is_running":true}`:       10,
	} {
		if got, err := serve(t, answer(200, body)).JobCount(t.Context(), testSender); err != nil || got != want {
			t.Errorf("%s: %d jobs (%v), want %d", body, got, err, want)
		}
	}
	for status, code := range map[int]campaign.Code{404: campaign.CodeNotFound, 503: campaign.CodeUnavailable, 429: campaign.CodeThrottled} {
		if _, err := serve(t, answer(status, "")).JobCount(t.Context(), testSender); campaign.CodeOf(err) != code {
			t.Errorf("status %d: %v, want code %s", status, err, code)
		}
	}
}

// TestListsInTrouble: what is not there is told apart from what cannot be had
// now, and both from what is empty.
func TestListsInTrouble(t *testing.T) {
	t.Parallel()
	const (
		noRoute  = `{"code":"NOT_FOUND_ERROR","message":"Route not found"}`
		noChat   = `{"code":"NOT_FOUND_ERROR","message":"Chat not found — no chat with the given chat_id exists for the phone"}`
		badPhone = `{"code":"VALIDATION_ERROR","fields":{"x-phone":{"message":"unknown"}}}`
		longest  = 1 << 20
	)
	for name, test := range map[string]struct {
		status         int
		body           string
		jobs, messages campaign.Code
	}{
		"empty":             {200, `[]`, "", ""},
		"no route":          {404, noRoute, campaign.CodeNotFound, campaign.CodeNotFound},
		"no route, bare":    {404, "", campaign.CodeNotFound, campaign.CodeNotFound},
		"no route, page":    {404, page, campaign.CodeNotFound, campaign.CodeNotFound},
		"no such method":    {405, "", campaign.CodeNotFound, campaign.CodeNotFound},
		"not implemented":   {501, `{"code":"X"}`, campaign.CodeNotFound, campaign.CodeNotFound},
		"no such chat":      {404, noChat, campaign.CodeNotFound, ""},
		"unknown phone":     {422, badPhone, campaign.CodeUnavailable, campaign.CodeUnavailable},
		"unknown phone 404": {404, badPhone, campaign.CodeUnavailable, campaign.CodeUnavailable},
		"refused":           {422, envelope, campaign.CodeInvalid, campaign.CodeInvalid},
		"credentials":       {401, "", campaign.CodeUnauthorized, campaign.CodeUnauthorized},
		"throttled":         {429, "", campaign.CodeThrottled, campaign.CodeThrottled},
		"outage":            {503, page, campaign.CodeUnavailable, campaign.CodeUnavailable},
		"page":              {200, page, campaign.CodeUnavailable, campaign.CodeUnavailable},
		"empty answer":      {200, "", campaign.CodeUnavailable, campaign.CodeUnavailable},
		"something else":    {200, `{"ok":true}`, campaign.CodeUnavailable, campaign.CodeUnavailable},
		"half":              {200, `[{"queue_id":`, campaign.CodeUnavailable, campaign.CodeUnavailable},
		"too long":          {200, "[" + strings.Repeat(" ", longest) + "]", campaign.CodeNotFound, campaign.CodeNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			gateway := serveAs(t, answer(test.status, test.body), periskope.Config{MaxListAnswer: longest})
			if _, err := jobsOf(t, gateway, testSender); campaign.CodeOf(err) != test.jobs {
				t.Errorf("jobs: %v, want code %q", err, test.jobs)
			}
			if _, err := gateway.Visible(t.Context(), testSender, testQueue); campaign.CodeOf(err) != test.jobs && name != "something else" {
				t.Errorf("visible: %v, want code %q", err, test.jobs)
			}
			messages, known, err := gateway.Messages(t.Context(), testSender, testChat, listed)
			if code := campaign.CodeOf(err); code != test.messages || len(messages) != 0 || known {
				t.Errorf("messages: %v (code %q), want code %q", err, code, test.messages)
			}
		})
	}
}
