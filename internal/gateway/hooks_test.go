package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/periskope"
	"github.com/herald-campaigns/herald/sandbox"
)

// simulated is a gateway whose provider is the sandbox.
func simulated(t *testing.T, config sandbox.Config) (*Gateway, *periskope.Client) {
	t.Helper()
	config.AnyPhone, config.Seed = true, 5
	sim, err := sandbox.New(config)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(sim.Handler())
	client, err := periskope.New(periskope.Config{BaseURL: server.URL + "/v1", Token: "a-token"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		client.CloseIdleConnections()
		server.Close()
		if err := sim.Close(); err != nil {
			t.Error(err)
		}
	})
	return New(client, nil, Config{}), client
}

// TestWebhooksAreRegisteredOnce however often it is asked for, whatever the
// provider knows and however it answers.
func TestWebhooksAreRegisteredOnce(t *testing.T) {
	t.Parallel()
	const hookURL, elsewhere = "https://example.com/webhooks/periskope?key=a", "https://example.org/other"
	spec := []string{"message.sent", "message.delivered", "message.read", "message.failed"}
	needed := []string{
		"message.created", "message.updated", "message.ack.updated",
		"org.phone.connected", "org.phone.disconnected", "org.phone.updated", "org.phone.qr",
	}
	for name, wire := range map[string]sandbox.Wire{
		"objects": {}, "arrays": {WebhookArray: true}, "without the four": {RejectSpecEvents: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g, client := simulated(t, sandbox.Config{Wire: wire})
			if _, _, err := client.CreateHook(t.Context(), elsewhere, "message.created"); err != nil {
				t.Fatal(err)
			}
			first, err := g.EnsureWebhooks(t.Context(), hookURL)
			want := Registration{Made: slices.Concat(needed, spec)}
			if wire.RejectSpecEvents {
				want = Registration{Made: needed, Refused: spec}
			}
			if diff := cmp.Diff(want, first); err != nil || diff != "" {
				t.Errorf("first: %v (-want +got):\n%s", err, diff)
			}
			hooks, err := g.Webhooks(t.Context())
			if err != nil || len(hooks) != len(first.Made)+1 {
				t.Fatalf("%d webhooks, %v", len(hooks), err)
			}
			here := slices.IndexFunc(hooks, func(h Webhook) bool { return h.URL == hookURL && h.Event == "message.updated" })
			off, _, err := client.SubscribeHook(t.Context(), hooks[here].ID, false)
			if err != nil || off.Subscribed {
				t.Fatalf("%v, %v", off, err)
			}
			gone := slices.IndexFunc(hooks, func(h Webhook) bool { return h.URL == hookURL && h.Event == "org.phone.qr" })
			if _, err := client.DeleteHook(t.Context(), hooks[gone].ID); err != nil {
				t.Fatal(err)
			}
			second, err := g.EnsureWebhooks(t.Context(), hookURL)
			kept := slices.DeleteFunc(slices.Clone(first.Made), func(e string) bool { return e == "message.updated" || e == "org.phone.qr" })
			again := Registration{Kept: kept, Made: []string{"org.phone.qr"}, Resumed: []string{"message.updated"}, Refused: first.Refused}
			if diff := cmp.Diff(again, second); err != nil || diff != "" {
				t.Errorf("second: %v (-want +got):\n%s", err, diff)
			}
			if all, err := g.Webhooks(t.Context()); err != nil || len(all) != len(hooks) {
				t.Errorf("%d webhooks, %v; want %d", len(all), err, len(hooks))
			}
		})
	}
}

func TestWebhooksThatCannotBeRegistered(t *testing.T) {
	t.Parallel()
	g, _ := simulated(t, sandbox.Config{})
	for _, hookURL := range []string{"", "example.com/hook", "ftp://example.com", "https://"} {
		if _, err := g.EnsureWebhooks(t.Context(), hookURL); campaign.CodeOf(err) != campaign.CodeInvalid || len(campaign.HintsOf(err)) == 0 {
			t.Errorf("EnsureWebhooks(%q): %v", hookURL, err)
		}
	}
	const secret = "https://example.com/hook?key=abcdefghijkl"
	requests := 0
	g = serve(t, func(w http.ResponseWriter, r *http.Request) {
		requests++
		if r.Method == http.MethodGet {
			_, _ = w.Write([]byte("[]"))
			return
		}
		w.WriteHeader(http.StatusUnprocessableEntity)
		_, _ = fmt.Fprintf(w, `{"code":"VALIDATION_ERROR","message":"cannot reach %s"}`, secret)
	})
	done, err := g.EnsureWebhooks(t.Context(), secret)
	if campaign.CodeOf(err) != campaign.CodeInvalid || strings.Contains(err.Error(), "abcdefghijkl") || len(done.Made) > 0 || requests != 2 {
		t.Errorf("a needed event was refused: %+v, %v, %d requests", done, err, requests)
	}
}

func TestPhonesContactsAndPurge(t *testing.T) {
	t.Parallel()
	g, _ := simulated(t, sandbox.Config{})
	sender := campaign.Sender{ID: "snd_1", Phone: ourPhone}
	if err := g.Check(t.Context(), sender); err != nil { // the sandbox learns of the phone
		t.Fatal(err)
	}
	phones, err := g.Phones(t.Context())
	if err != nil || !slices.ContainsFunc(phones, func(p campaign.PhoneNews) bool {
		return p.Phone == ourPhone && p.Connected && p.State == "connected" && p.PhoneID != ""
	}) {
		t.Errorf("%+v, %v", phones, err)
	}
	const there, away, other campaign.ChatID = "12015550001@c.us", "12015550404@c.us", "12015550521@c.us"
	checks, err := g.CheckContacts(t.Context(), sender, []campaign.ChatID{there, "120@g.us", away, other})
	if err != nil || len(checks) != 3 || !checks[0].Exists || checks[1].Exists || checks[0].Canonical != there || checks[1].Canonical != "" ||
		checks[2].Chat != other || checks[2].Canonical != "12015559521@c.us" || checks[0].At.IsZero() {
		t.Errorf("%+v, %v", checks, err)
	}
	if purged, err := g.Purge(t.Context(), sender, nil); len(purged) > 0 || err != nil {
		t.Errorf("purging nothing: %v, %v", purged, err)
	}
	job := g.Send(t.Context(), sender, testTask, nil)
	if job.Kind != campaign.OutcomeAccepted {
		t.Fatal(job.Detail)
	}
	if purged, err := g.Purge(t.Context(), sender, []string{job.QueueID}); err != nil || !slices.Equal(purged, []string{job.QueueID}) {
		t.Errorf("%v, %v", purged, err)
	}
}

// TestPurgeTroubleIsToldApart: what is about the sender, what about the request,
// and what may have emptied the queue.
func TestPurgeTroubleIsToldApart(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		phone             campaign.Phone
		status            int
		body              string
		code              campaign.Code
		sender, overreach bool
	}{
		"our phone":       {ourPhone, 422, `{"code":"VALIDATION_ERROR","fields":{"x-phone":{"message":"unknown"}}}`, campaign.CodeNotFound, true, false},
		"no phone at all": {"", 200, "", campaign.CodeInvalid, true, false},
		"a job":           {ourPhone, 404, `{"code":"NOT_FOUND","message":"no such job"}`, campaign.CodeNotFound, false, false},
		"the request":     {ourPhone, 422, `{"code":"VALIDATION_ERROR","message":"queue_ids"}`, campaign.CodeInvalid, false, false},
		"everything":      {ourPhone, 200, `{"purged":true,"mode":"all"}`, campaign.CodeUnavailable, false, true},
		"others":          {ourPhone, 200, `{"purged":true,"mode":"queue_ids","queue_ids":["job-2"]}`, campaign.CodeUnavailable, false, true},
		"a web page":      {ourPhone, 200, `<html>`, campaign.CodeUnavailable, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(test.status)
				_, _ = io.WriteString(w, test.body)
			})
			purged, err := g.Purge(t.Context(), campaign.Sender{ID: "snd_1", Phone: test.phone}, []string{"job-1"})
			sender, overreach := (*SenderError)(nil), (*OverreachError)(nil)
			if len(purged) > 0 || campaign.CodeOf(err) != test.code || errors.As(err, &sender) != test.sender || errors.As(err, &overreach) != test.overreach {
				t.Errorf("%v, %q: %v", purged, campaign.CodeOf(err), err)
			}
		})
	}
}

// diary serves n messages of several chats, two of three from other people, in
// pages of at most most, each beginning so many before the last one ended.
func diary(n, most, overlap int, requests *int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		*requests++
		offset, _ := strconv.Atoi(r.URL.Query().Get("offset"))
		messages := []map[string]any{}
		for i := max(0, offset-overlap); i < min(n, offset+most); i++ {
			messages = append(messages, map[string]any{
				"unique_id": fmt.Sprintf("3EB%04d", i), "chat_id": testNumber + "@c.us", "from_me": i%3 == 0, "body": "Hi", "ack": "2",
				"timestamp": listed.Add(time.Duration(i) * time.Second).Format(time.RFC3339),
			})
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"messages": messages})
	}
}

func TestEveryMessageIsShownOnce(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ n, most, overlap int }{
		"none": {}, "one page": {7, 500, 0}, "short pages": {100, 9, 0}, "overlapping": {100, 20, 7}, "exactly": {1000, 500, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			requests, asked := 0, 0
			seen := map[string]int{}
			before := func(context.Context) error { asked++; return nil }
			newest, clock, err := serve(t, diary(test.n, test.most, test.overlap, &requests)).EachMessage(t.Context(), testSender, listed, time.Time{}, before, func(n campaign.News) {
				switch {
				case n.Inbound != nil:
					seen[n.Inbound.ID]++
				case n.Message != nil && n.Message.Evidence.Source == campaign.EvidenceSweep && n.Message.Evidence.Status == campaign.StatusSent:
					seen[n.Message.Ref.UniqueID]++
				}
			})
			if err != nil || len(seen) != test.n || asked != requests {
				t.Errorf("%d of %d shown in %d requests, %d asked for: %v", len(seen), test.n, requests, asked, err)
			}
			want := time.Time{}
			if test.n > 0 {
				want = listed.Add(time.Duration(test.n-1) * time.Second)
			}
			if !newest.Equal(want) || time.Since(clock).Abs() > time.Minute {
				t.Errorf("the newest is of %s, want %s; the provider's clock says %s", newest, want, clock)
			}
			for id, times := range seen {
				if times != 1 {
					t.Errorf("%s was shown %d times", id, times)
				}
			}
		})
	}
}

// TestAListThatGrowsByAPage, or by several, while the budget is waited for is
// read to its end all the same.
func TestAListThatGrowsByAPage(t *testing.T) {
	t.Parallel()
	const old = 1500
	for name, growth := range map[string][]int{"a page": {500}, "more": {1234}, "twice": {500, 0, 700}, "and again": {500, 1000}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n, requests := old, 0
			list := func(w http.ResponseWriter, r *http.Request) {
				offset, _ := strconv.Atoi(r.URL.Query().Get("offset"))
				limit, _ := strconv.Atoi(r.URL.Query().Get("limit"))
				messages := []map[string]any{}
				for i := offset; i < min(n, offset+limit); i++ {
					minute := n - 1 - i // the newest first
					messages = append(messages, map[string]any{
						"unique_id": fmt.Sprintf("3EB%05d", minute), "chat_id": testNumber + "@c.us", "from_me": r.PathValue("chat") != "", "body": "Hi",
						"timestamp": listed.Add(time.Duration(minute) * time.Minute).Format(time.RFC3339),
					})
				}
				if requests < len(growth) {
					n += growth[requests]
				}
				requests++
				_ = json.NewEncoder(w).Encode(map[string]any{"messages": messages})
			}
			mux := http.NewServeMux()
			mux.HandleFunc("GET /chats/messages", list)
			mux.HandleFunc("GET /chats/{chat}/messages", list)
			gateway := serve(t, mux.ServeHTTP)
			seen := map[string]bool{}
			_, _, err := gateway.EachMessage(t.Context(), testSender, listed, time.Time{}, nil, func(n campaign.News) { seen[n.Inbound.ID] = true })
			for i := range old {
				if id := fmt.Sprintf("3EB%05d", i); err != nil || !seen[id] {
					t.Fatalf("%s was not shown: %v", id, err)
				}
			}
			n, requests, seen = old, 0, map[string]bool{}
			messages, _, err := gateway.Messages(t.Context(), testSender, testChat, listed)
			for _, m := range messages {
				seen[m.UniqueID] = true
			}
			for i := range old {
				if id := fmt.Sprintf("3EB%05d", i); err != nil || !seen[id] {
					t.Fatalf("%s is not of the chat's messages: %v", id, err)
				}
			}
		})
	}
}

// TestAListWithoutOffsets shows one page, whatever is asked for. A full one may
// not be all.
func TestAListWithoutOffsets(t *testing.T) {
	t.Parallel()
	for n, whole := range map[int]bool{7: true, sweepPage: false} {
		requests := 0
		list := diary(n, n, 0, &requests)
		shown := 0
		_, _, err := serve(t, func(w http.ResponseWriter, r *http.Request) {
			r.URL.RawQuery = ""
			list(w, r)
		}).EachMessage(t.Context(), testSender, listed, time.Time{}, nil, func(campaign.News) { shown++ })
		if long := new(TooLongError); errors.As(err, &long) == whole || shown != n || requests != standstill {
			t.Errorf("%d of %d shown in %d requests: %v", shown, n, requests, err)
		}
	}
}

// TestLongMessagesAreAskedForFewerAtATime, since a page of them is longer than
// can be read.
func TestLongMessagesAreAskedForFewerAtATime(t *testing.T) {
	t.Parallel()
	const n = 600
	limits := make([]int, 0, 10)
	body := strings.Repeat("x", 70_000)
	list := func(w http.ResponseWriter, r *http.Request) {
		offset, _ := strconv.Atoi(r.URL.Query().Get("offset"))
		limit, _ := strconv.Atoi(r.URL.Query().Get("limit"))
		limits = append(limits, limit)
		messages := []map[string]any{}
		for i := offset; i < min(n, offset+limit); i++ {
			messages = append(messages, map[string]any{
				"unique_id": fmt.Sprintf("3EB%05d", i), "chat_id": testNumber + "@c.us", "from_me": false, "body": body,
				"timestamp": listed.Add(time.Duration(n-i) * time.Second).Format(time.RFC3339),
			})
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"messages": messages})
	}
	seen := map[string]bool{}
	_, _, err := serve(t, list).EachMessage(t.Context(), testSender, listed, time.Time{}, nil, func(n campaign.News) { seen[n.Inbound.ID] = true })
	if want := []int{500, 125, 125, 125, 125, 125, 125}; err != nil || len(seen) != n || !slices.Equal(limits, want) {
		t.Errorf("%d of %d shown, asked for %v at a time: %v", len(seen), n, limits, err)
	}
}

// TestTheNewestProvesThatThePhoneWasThere: not what only the provider has, nor
// what cannot have been written yet.
func TestTheNewestProvesThatThePhoneWasThere(t *testing.T) {
	t.Parallel()
	body := func(more string) string {
		return `{"unique_id":"3EB1","chat_id":"` + testNumber + `@c.us","body":"Hi",` + more + `}`
	}
	for name, test := range map[string]struct {
		message string
		proves  bool
	}{
		"somebody's":       {body(`"from_me":false,"timestamp":"2026-04-01T14:23:21Z"`), true},
		"ours, out":        {body(`"from_me":true,"ack":"2","timestamp":"2026-04-01T14:23:21Z"`), true},
		"a person's, out":  {body(`"from_me":true,"performed_by":"asha@example.com","ack":"2","timestamp":"2026-04-01T14:23:21Z"`), true},
		"ours, not out":    {body(`"from_me":true,"ack":"0","timestamp":"2026-04-01T14:23:21Z"`), false},
		"a private note":   {body(`"from_me":false,"is_private_note":true,"timestamp":"2026-04-01T14:23:21Z"`), false},
		"from the future":  {body(`"from_me":false,"timestamp":"2126-04-01T14:23:21Z"`), false},
		"of no time known": {body(`"from_me":false`), false},
	} {
		newest, _, err := serve(t, answer(200, `{"messages":[`+test.message+`]}`)).EachMessage(t.Context(), testSender, listed, time.Time{}, nil, func(campaign.News) {})
		if proves := newest.Equal(listed); err != nil || proves != test.proves || !proves && !newest.IsZero() {
			t.Errorf("%s: the newest is of %s: %v", name, newest, err)
		}
	}
}

func TestALookThatCannotBeMade(t *testing.T) {
	t.Parallel()
	look := func(g *Gateway, before func(context.Context) error) campaign.Code {
		_, _, err := g.EachMessage(t.Context(), testSender, listed, listed.Add(time.Hour), before, func(campaign.News) {})
		return campaign.CodeOf(err)
	}
	if code := look(serve(t, answer(404, "no such route")), nil); code != campaign.CodeNotFound {
		t.Errorf("no list: %s", code)
	}
	var long *TooLongError
	if _, _, err := serve(t, answer(422, envelope)).EachMessage(t.Context(), testSender, listed, listed, nil, nil); campaign.CodeOf(err) != campaign.CodeInvalid || errors.As(err, &long) {
		t.Errorf("a refused list: %v", err)
	}
	if code := look(serve(t, answer(200, `{"messages":[{"hello":1}]}`)), nil); code != campaign.CodeUnavailable {
		t.Errorf("an odd list: %s", code)
	}
	requests := 0
	_, _, err := serve(t, diary(10_000, 5, 0, &requests)).EachMessage(t.Context(), testSender, listed, listed.Add(time.Hour), nil, func(campaign.News) {})
	if campaign.CodeOf(err) != campaign.CodeInvalid || !errors.As(err, &long) || !long.TooLong() || requests != sweepPages {
		t.Errorf("a list without end: %v after %d requests", err, requests)
	}
	stop := errors.New("no budget")
	if _, _, err := serve(t, diary(10, 5, 0, &requests)).EachMessage(t.Context(), testSender, listed, listed, func(context.Context) error { return stop }, nil); !errors.Is(err, stop) {
		t.Errorf("out of budget: %v", err)
	}
}

func TestThePollItselfIsAsked(t *testing.T) {
	t.Parallel()
	poll := object(`,"from_me":true,"ack":"4","message_type":"poll_creation","poll_info":{"pollName":"Coming?","pollOptions":["Yes","No"]},
	 "updated_at":"2026-04-01T14:24:30Z","poll_results":{"Yes":{"` + testNumber + `@c.us":"2026-04-01T14:24:10Z"}}`)
	var asked []string
	g := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:])
		if strings.HasSuffix(r.URL.Path, "q1") {
			_, _ = w.Write([]byte(poll))
			return
		}
		w.WriteHeader(http.StatusNotFound)
		_, _ = w.Write([]byte(`{"code":"NOT_FOUND_ERROR","message":"Message not found"}`))
	})
	news, err := g.PollNews(t.Context(), testSender, campaign.PollWatch{Located: campaign.Located{UniqueID: uniqueID, QueueID: "q1"}})
	if err != nil || news.Ballots == nil || len(news.Ballots.Votes) != 1 || !news.Ballots.AsOf.Equal(listed.Add(69*time.Second)) || news.Message.Evidence.Status != campaign.StatusRead {
		t.Errorf("%s, %v", telling(news), err)
	}
	if !slices.Equal(asked, []string{uniqueID, "q1"}) {
		t.Errorf("asked for %v", asked)
	}
	if news, err := g.PollNews(t.Context(), testSender, campaign.PollWatch{Located: campaign.Located{UniqueID: uniqueID}}); err != nil || news.Message != nil {
		t.Errorf("a poll that is not there: %s, %v", telling(news), err)
	}
}
