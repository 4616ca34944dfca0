package sandbox

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var uuidV4 = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)

func TestSendAnswer(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		wire Wire
		want func(body map[string]any) string // a complaint
	}{
		"default": {Wire{}, func(m map[string]any) string {
			if m["queue_position"] != 0.0 || len(fmt.Sprint(m["unique_id"])) != 22 || m["hint"] != nil {
				return "want a number, 22 characters and no hint"
			}
			return ""
		}},
		"position as string": {Wire{PositionString: true}, func(m map[string]any) string {
			if m["queue_position"] != "0" {
				return "want queue_position as string"
			}
			return ""
		}},
		"long unique id": {Wire{UniqueID: UniqueIDLong}, func(m map[string]any) string {
			if len(fmt.Sprint(m["unique_id"])) != 40 {
				return "want 40 characters"
			}
			return ""
		}},
		"no unique id": {Wire{UniqueID: UniqueIDAbsent}, func(m map[string]any) string {
			if _, there := m["unique_id"]; there {
				return "want no unique_id"
			}
			return ""
		}},
		"hint": {Wire{Hint: true}, func(m map[string]any) string {
			if !strings.HasSuffix(fmt.Sprint(m["hint"]), fmt.Sprint(m["queue_id"])) {
				return "want a hint"
			}
			return ""
		}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, Config{Wire: tt.wire})
			var m map[string]any
			b.call(http.StatusOK, phoneA, http.MethodPost, "/v1/message/send", sendBody(fictional(1), "x")).into(t, &m)
			if m["status"] != "queued" || !uuidV4.MatchString(fmt.Sprint(m["queue_id"])) || m["track_by"] == nil {
				t.Errorf("answer %v", m)
			}
			if complaint := tt.want(m); complaint != "" {
				t.Errorf("answer %v: %s", m, complaint)
			}
			if got := b.Acceptances()[0].UniqueID; !strings.HasPrefix(got, "3EB0") {
				t.Errorf("unique id %q", got)
			}
		})
	}
}

func TestSendValidation(t *testing.T) {
	t.Parallel()
	big := base64.StdEncoding.EncodeToString(make([]byte, 5<<20+1))
	mediaOf := func(fields string) string {
		return `{"chat_id":"12015550101","media":{"filename":"a","mimetype":"b/c",` + fields + `}}`
	}
	tests := map[string]struct {
		body   string
		status int
		field  string
	}{
		"text":               {sendBody("12015550101", "x"), 200, ""},
		"suffix":             {sendBody("12015550101@c.us", "x"), 200, ""},
		"group":              {sendBody("12036304@g.us", "x"), 200, ""},
		"unknown fields":     {`{"chat_id":"12015550101","message":"x","priority":1,"foo":{}}`, 200, ""},
		"lid is queued":      {sendBody("12015550101@lid", "x"), 200, ""},
		"no chat":            {`{"message":"x"}`, 422, "chat_id"},
		"empty body":         {``, 422, "chat_id"},
		"nothing to say":     {`{"chat_id":"12015550101"}`, 422, "message"},
		"wrong type":         {`{"chat_id":12015550101,"message":"x"}`, 422, "chat_id"},
		"not json":           {`{"chat_id":`, 400, ""},
		"media by url":       {mediaOf(`"type":"image","url":"https://cdn.example/a.png"`), 200, ""},
		"media by data":      {mediaOf(`"type":"image","filedata":"aGVsbG8="`), 200, ""},
		"media by data url":  {mediaOf(`"type":"image","filedata":"data:image/png;base64,aGVsbG8="`), 200, ""},
		"media url and data": {mediaOf(`"type":"image","url":"https://cdn.example/a","filedata":"aGVsbG8="`), 422, "media.filedata"},
		"media neither":      {mediaOf(`"type":"image"`), 422, "media.url"},
		"media type":         {mediaOf(`"type":"sticker","url":"https://cdn.example/a"`), 422, "media.type"},
		"media bad url":      {mediaOf(`"type":"image","url":"ftp://cdn.example/a"`), 422, "media.url"},
		"media not base64":   {mediaOf(`"type":"image","filedata":"!!"`), 422, "media.filedata"},
		"media no filename":  {`{"chat_id":"1201555010","media":{"type":"image","mimetype":"a/b","url":"https://a.example"}}`, 422, "media.filename"},
		"media too large":    {mediaOf(`"type":"image","filedata":"` + big + `"`), 413, ""},
		"poll":               {`{"chat_id":"12015550101","poll":{"pollName":"q","pollOptions":["a","b"]}}`, 200, ""},
		"poll one option":    {`{"chat_id":"12015550101","poll":{"pollName":"q","pollOptions":["a"]}}`, 422, "poll.pollOptions"},
		"poll objects":       {`{"chat_id":"12015550101","poll":{"pollName":"q","pollOptions":[{"name":"a"},{"name":"b"}]}}`, 422, "poll.pollOptions"},
		"poll no name":       {`{"chat_id":"12015550101","poll":{"pollOptions":["a","b"]}}`, 422, "poll.pollName"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, Config{})
			r := b.call(tt.status, phoneA, http.MethodPost, "/v1/message/send", tt.body)
			if accepted := len(b.Acceptances()); (tt.status == 200) != (accepted == 1) {
				t.Errorf("%d acceptances after a %d", accepted, tt.status)
			}
			if tt.field == "" {
				return
			}
			var e errorBody
			r.into(t, &e)
			if e.Code != "VALIDATION_ERROR" || e.Status != 422 || e.Fields[tt.field].Message == "" {
				t.Errorf("error %s, want field %s named", r.body, tt.field)
			}
		})
	}
}

func TestAuthorizationAndPhone(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{Tokens: []string{"test"}})
	r := b.call(http.StatusUnprocessableEntity, "", http.MethodPost, "/v1/message/send", sendBody(fictional(1), "x"))
	if !strings.Contains(r.body, `"Missing Header: {x-phone}"`) || !strings.Contains(r.body, `"x-phone"`) {
		t.Errorf("without x-phone: %s", r.body)
	}
	b.call(http.StatusUnprocessableEntity, "12015550199", http.MethodGet, "/v1/phones", "")
	b.call(http.StatusOK, "", http.MethodGet, "/v1/phones/all", "")
	id := b.State().Phones[0].ID
	if r := b.call(http.StatusOK, id, http.MethodGet, "/v1/phones", ""); !strings.Contains(r.body, phoneA+"@c.us") {
		t.Errorf("by phone_id: %s", r.body)
	}
	other := setup(t, Config{Tokens: []string{"another"}})
	r = other.call(http.StatusUnauthorized, phoneA, http.MethodGet, "/v1/phones", "")
	if r.body != `{"code":"UNAUTHORIZED_ERROR","status":401,"message":"Invalid bearer auth token"}` {
		t.Errorf("401 body %s", r.body)
	}
	anyPhone := setup(t, Config{AnyPhone: true})
	anyPhone.sendAs("12015550199", fictional(1), "x")
	anyPhone.call(http.StatusUnprocessableEntity, "phone-x", http.MethodGet, "/v1/phones", "")
	if got := anyPhone.Acceptances()[0].Phone; got != "12015550199" {
		t.Errorf("accepted for %s", got)
	}
}

// TestRevokedToken: what was accepted is refused from the next request on.
func TestRevokedToken(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{Tokens: []string{"test", "other"}})
	ask := func(want int) {
		t.Helper()
		b.call(want, phoneA, http.MethodGet, "/v1/phones", "")
	}
	ask(http.StatusOK)
	if err := b.SetTokens("other"); err != nil {
		t.Fatal(err)
	}
	ask(http.StatusUnauthorized)
	if err := b.SetTokens("test", ""); err == nil {
		t.Error("an empty token was taken")
	}
	ask(http.StatusUnauthorized)
	for _, step := range []struct {
		body      string
		want, ask int
	}{
		{`{"tokens":["other","test"]}`, 204, 200},
		{`{"tokens":["other"]}`, 204, 401},
		{`{"token":["test"]}`, 422, 401},
		{`{"tokens":[""]}`, 422, 401},
		{`x`, 400, 401},
		{`{"tokens":[]}`, 204, 200},
	} {
		b.call(step.want, "", http.MethodPut, "/_sim/tokens", step.body)
		ask(step.ask)
	}
}

func TestEveryAnswerHasTheHeaders(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{Tokens: []string{"test"}})
	traces := map[string]bool{}
	for _, req := range []struct {
		want                      int
		phone, method, path, body string
	}{
		{200, phoneA, "POST", "/v1/message/send", sendBody(fictional(1), "x")},
		{200, phoneA, "GET", "/v1/phones", ""},
		{204, phoneA, "POST", "/v1/phones/restart", ""},
		{404, phoneA, "GET", "/v1/message/nope/status", ""},
		{404, phoneA, "GET", "/v1/no/such/path", ""},
		{404, phoneA, "PUT", "/v1/message/send", ""},
		{422, phoneA, "POST", "/v1/message/send", "{}"},
		{422, "", "GET", "/v1/phones", ""},
	} {
		r := b.call(req.want, req.phone, req.method, req.path, req.body)
		for _, name := range []string{
			"X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset", "X-Periskope-Org-Id",
			"X-Periskope-Trace-Id", "X-Powered-By", "Date", "Access-Control-Allow-Origin", "Keep-Alive",
		} {
			if r.header.Get(name) == "" {
				t.Errorf("%s %s %d: no %s", req.method, req.path, req.want, name)
			}
		}
		if req.want != 204 && (r.header.Get("ETag") == "" || r.header.Get("Content-Length") != itoa(len(r.body))) {
			t.Errorf("%s %s: ETag %q, Content-Length %q", req.method, req.path, r.header.Get("ETag"), r.header.Get("Content-Length"))
		}
		if req.phone != "" && r.header.Get("X-Periskope-Phone-Id") == "" {
			t.Errorf("%s %s: no phone id", req.method, req.path)
		}
		trace := r.header.Get("X-Periskope-Trace-Id")
		if traces[trace] {
			t.Errorf("trace id %s was used twice", trace)
		}
		traces[trace] = true
	}
}

func TestNoIdempotency(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{})
	one, two := b.send(fictional(1), "same"), b.send(fictional(1), "same")
	if one.QueueID == two.QueueID || one.UniqueID == two.UniqueID {
		t.Error("the same POST twice is one job")
	}
	got := b.Acceptances()
	if len(got) != 2 || got[0].BodyHash != got[1].BodyHash || got[0].ChatID != fictional(1)+"@c.us" {
		t.Errorf("acceptances %+v", got)
	}
}

func TestQueueLists(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{Service: time.Second})
	s := b.send("12015550001", "Hello")
	b.send("12015550404", "nobody")
	b.sendAs(phoneB, fictional(3), "other phone")
	b.clock.add(time.Minute)

	list := func(body string) []map[string]any {
		t.Helper()
		var out []map[string]any
		b.call(http.StatusOK, phoneA, http.MethodPost, "/v1/message/queues", body).into(t, &out)
		return out
	}
	if all := list("{}"); len(all) != 2 || all[0]["queue_id"] != s.QueueID {
		t.Errorf("unfiltered list: %v", all)
	}
	one := list(`{"queue_id":"` + s.QueueID + `"}`)
	if len(one) != 1 || one[0]["status"] != "read" || one[0]["ack"] != nil || one[0]["delivered_count"] != nil {
		t.Errorf("one job: %v, want it without ack and counts", one)
	}
	if none := list(`{"broadcast_id":"b25192d5-2370-4a69-b844-aae5e2bfae92"}`); len(none) != 0 {
		t.Errorf("unknown broadcast: %v", none)
	}
	var old []oldJob
	b.call(http.StatusOK, phoneA, http.MethodGet, "/v1/queue/jobs", "").into(t, &old)
	if len(old) != 2 || old[0].Status != "completed" || old[0].ID != s.QueueID || old[0].MessageID != s.UniqueID ||
		old[0].Data.Body != "Hello" || old[0].Added == 0 || old[0].Finished == nil || old[1].Status != "failed" {
		t.Errorf("old list: %+v", old)
	}
	want := healthBody{Completed: 1, Failed: 1}
	if diff := cmp.Diff(want, b.health(phoneA)); diff != "" {
		t.Errorf("health (-want +got):\n%s", diff)
	}
	r := b.call(http.StatusOK, phoneA, http.MethodGet, "/v1/queue", "")
	if r.body != `{"active":0,"failed":1,"completed":1,"pending":0,"is_running":true}` {
		t.Errorf("old health: %s", r.body)
	}
	b.call(http.StatusOK, phoneA, http.MethodGet, "/v1/messages/"+s.UniqueID+"/status", "")
	b.call(http.StatusNotFound, phoneB, http.MethodGet, "/v1/message/"+s.UniqueID+"/status", "")
	b.send(fictional(4), "waits")
	b.call(http.StatusNoContent, phoneA, http.MethodDelete, "/v1/queue/purge", `{"queue_id":["`+b.Acceptances()[3].QueueID+`"]}`)
	if len(list("{}")) != 2 {
		t.Error("the purged job is still listed")
	}
}

func TestSwitches(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{Wire: Wire{ProcessingWord: true, PendingNull: true, InvalidChatNotFound: true, OldQueuesOnly: true}, ListLimit: 2})
	s := b.send(fictional(1), "x")
	if r := b.call(http.StatusOK, phoneA, http.MethodGet, "/v1/message/"+s.QueueID, ""); r.body != "null" {
		t.Errorf("pending message: %s, want null", r.body)
	}
	b.clock.add(200 * time.Millisecond)
	if v := b.status(s); v.Status != "processing" {
		t.Errorf("status %s, want processing", v.Status)
	}
	b.call(http.StatusNotFound, phoneA, http.MethodPost, "/v1/message/send", sendBody("abc@lid", "x"))
	b.call(http.StatusNotFound, phoneA, http.MethodPost, "/v1/message/queues", "{}")
	b.send(fictional(2), "x")
	b.send(fictional(3), "x")
	var old []oldJob
	b.call(http.StatusOK, phoneA, http.MethodGet, "/v1/queue/jobs", "").into(t, &old)
	if len(old) != 2 || old[1].Data.ChatID != fictional(3)+"@c.us" {
		t.Errorf("list of the newest two: %+v", old)
	}
}

func TestMessages(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{Service: time.Second})
	body := `{"chat_id":"12015550001","poll":{"pollName":"Friday?","pollOptions":["Yes","No"],"options":{"pollId":"c:1"}},"reply_to":"true_x_3EB0"}`
	var s sent
	b.call(http.StatusOK, phoneA, http.MethodPost, "/v1/message/send", body).into(t, &s)
	b.call(http.StatusNotFound, phoneA, http.MethodGet, "/v1/message/"+s.QueueID, "")
	b.clock.add(time.Minute)
	b.send("12015550001", "second")
	b.clock.add(time.Minute)

	var m map[string]any
	b.call(http.StatusOK, phoneA, http.MethodGet, "/v1/message/"+s.QueueID, "").into(t, &m)
	want := map[string]any{
		"message_id": "true_12015550001@c.us_" + s.UniqueID, "sent_message_id": s.QueueID, "from_me": true,
		"message_type": "poll_creation", "body": "Friday?", "ack": "4", "quoted_message_id": "true_x_3EB0",
		"poll_results": map[string]any{"Yes": map[string]any{}, "No": map[string]any{}}, "media": nil,
		"org_phone": phoneA + "@c.us", "timestamp": m["timestamp"],
	}
	for k, v := range want {
		if diff := cmp.Diff(v, m[k]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", k, diff)
		}
	}
	for _, id := range []string{s.UniqueID, fmt.Sprint(m["message_id"])} {
		b.call(http.StatusOK, phoneA, http.MethodGet, "/v1/message/"+id, "")
	}
	var page messagePage
	b.call(http.StatusOK, phoneA, http.MethodGet, "/v1/chats/12015550001@c.us/messages?offset=0&limit=1", "").into(t, &page)
	if page.Count != 2 || len(page.Messages) != 1 || page.Messages[0].Body != "second" || page.To != 1 {
		t.Errorf("first page %+v", page)
	}
	start := b.clock.now().Add(-time.Minute).Format(time.RFC3339)
	b.call(http.StatusOK, phoneA, http.MethodGet, "/v1/chats/messages?start_time="+start, "").into(t, &page)
	if page.Count != 1 || page.Messages[0].Body != "second" {
		t.Errorf("since %s: %+v", start, page)
	}
	b.call(http.StatusOK, phoneA, http.MethodGet, "/v1/chats/messages?offset=1", "").into(t, &page)
	if page.Count != 2 || len(page.Messages) != 1 || page.Messages[0].Body != "Friday?" {
		t.Errorf("second of all: %+v", page)
	}
	r := b.call(http.StatusUnprocessableEntity, phoneA, http.MethodGet, "/v1/chats/messages?limit=10000", "")
	if !strings.Contains(r.body, `"Limit should be less than ${MAX_LIMIT}"`) || !strings.Contains(r.body, `"value":"10000"`) || r.header.Get("org_id") == "" {
		t.Errorf("limit above the maximum: %s, headers %v", r.body, r.header)
	}
}

func TestGroupAndMediaMessages(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{Instant: true})
	s := b.send("120363040000@g.us", "hi all")
	if v := b.status(s); v.MessageID != "true_120363040000@g.us_"+s.UniqueID+"_"+phoneA+"@c.us" {
		t.Errorf("message id in a group: %s", v.MessageID)
	}
	b.call(http.StatusOK, phoneA, http.MethodGet, "/v1/message/"+b.status(s).MessageID, "")
	body := `{"chat_id":"12015550101","message":"caption","media":{"type":"document","filedata":"aGVsbG8=","filename":"a.pdf","mimetype":"application/pdf"}}`
	var d sent
	b.call(http.StatusOK, phoneA, http.MethodPost, "/v1/message/send", body).into(t, &d)
	var m messageBody
	b.call(http.StatusOK, phoneA, http.MethodGet, "/v1/message/"+d.UniqueID, "").into(t, &m)
	if m.MessageType != "document" || !m.HasMedia || m.Media.Size != 5 || m.Media.Filename != "a.pdf" || m.Body != "caption" {
		t.Errorf("media message %+v", m)
	}
	a := b.Acceptances()[1]
	if a.Type != "document" || a.Filename != "a.pdf" || a.MediaSize != 5 {
		t.Errorf("acceptance %+v", a)
	}
}

func TestLongTextIsCutButHashedWhole(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{BodyCap: 10, Instant: true})
	text := strings.Repeat("ä", 100)
	b.send(fictional(1), text)
	a := b.Acceptances()[0]
	if a.Body != "äääää" || a.BodyHash != textHash(text) {
		t.Errorf("acceptance %+v", a)
	}
}

func TestBroadcast(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{Service: 100 * time.Millisecond, Outcomes: &Outcomes{}})
	var out struct {
		BroadcastID string `json:"broadcast_id"`
	}
	body := `{"chat_ids":["12015550101","12015550102@c.us","12015550404"],"message":"Hello {{name}}","delay":10,
		"variables":[{"chat_id":"12015550101@c.us","values":{"name":"Asha"}}]}`
	b.call(http.StatusOK, phoneA, http.MethodPost, "/v1/message/broadcast", body).into(t, &out)
	b.clock.add(5 * time.Second)
	if h := b.health(phoneA); h.Completed != 1 || h.Delayed != 2 {
		t.Errorf("health after 5 s: %+v, want one sent and two delayed", h)
	}
	passing := b.send(fictional(9), "passes")
	b.clock.add(time.Second)
	if v := b.status(passing); v.Timeline["sent_at"] == "" {
		t.Errorf("a send behind a slow broadcast waits: %+v", v)
	}
	b.clock.add(time.Minute)
	var st broadcastBody
	b.call(http.StatusOK, phoneA, http.MethodGet, "/v1/queue/broadcast?broadcast_id="+out.BroadcastID, "").into(t, &st)
	if st.TotalChats != 3 || st.SentChats != 2 || st.FailedChats != 1 || st.PendingChats != 0 || st.BroadcastStatus != "completed" ||
		st.TotalDeliveredCount != 2 {
		t.Errorf("broadcast %+v", st)
	}
	var jobs []statusBody
	b.call(http.StatusOK, phoneA, http.MethodPost, "/v1/message/queues", `{"broadcast_id":"`+out.BroadcastID+`"}`).into(t, &jobs)
	if len(jobs) != 3 || jobs[0].Message.Body != "Hello Asha" {
		t.Errorf("jobs %+v", jobs)
	}
	b.call(http.StatusNotFound, phoneA, http.MethodGet, "/v1/queue/broadcast?broadcast_id=x", "")
}

func TestWebhookRows(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{Wire: Wire{RejectSpecEvents: true}})
	var one hook
	b.call(http.StatusCreated, "", http.MethodPost, "/v1/webhooks", `{"hookUrl":"https://example.com/hook","integrationName":"message.created"}`).into(t, &one)
	if !uuidV4.MatchString(one.ID) || one.HookURL != "https://example.com/hook" || !one.IsSubscribed {
		t.Errorf("created %+v", one)
	}
	var many []hook
	b.call(http.StatusCreated, "", http.MethodPost, "/v1/webhooks", `{"hookUrl":"https://example.com/b","integrationName":["message.updated","message.ack.updated"]}`).into(t, &many)
	var list []hook
	b.call(http.StatusOK, "", http.MethodGet, "/v1/webhooks?hook_url=https://example.com/b", "").into(t, &list)
	if diff := cmp.Diff(many, list); diff != "" || len(list) != 2 {
		t.Errorf("list (-created +listed):\n%s", diff)
	}
	b.call(http.StatusOK, "", http.MethodPatch, "/v1/webhooks/"+one.ID, `{"isSubscribed":false}`)
	b.call(http.StatusOK, "", http.MethodGet, "/v1/webhooks/"+one.ID, "").into(t, &one)
	if one.IsSubscribed {
		t.Error("still subscribed after the update")
	}
	b.call(http.StatusNoContent, "", http.MethodDelete, "/v1/webhooks/"+one.ID, "")
	b.call(http.StatusNotFound, "", http.MethodGet, "/v1/webhooks/"+one.ID, "")
	b.call(http.StatusNotFound, "", http.MethodDelete, "/v1/webhooks/"+one.ID, "")
	for _, bad := range []string{
		`{}`, `{"hookUrl":"https://example.com"}`, `{"hookUrl":"nope","integrationName":"message.created"}`,
		`{"hookUrl":"https://example.com","integrationName":"message.sent"}`,
	} {
		b.call(http.StatusUnprocessableEntity, "", http.MethodPost, "/v1/webhooks", bad)
	}
	lenient := setup(t, Config{Wire: Wire{WebhookArray: true}})
	r := lenient.call(http.StatusCreated, "", http.MethodPost, "/v1/webhooks", `{"hookUrl":"https://example.com","integrationName":"message.sent"}`)
	if !json.Valid([]byte(r.body)) || r.body[0] != '[' {
		t.Errorf("array switch answered %s", r.body)
	}
}

func TestContactsCheckAgreesWithSending(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{Instant: true, Outcomes: &Outcomes{Unregistered: 0.5}})
	ids := []string{"12015550404", "12015550001", "12015550422", "44@c.us"}
	for i := range 20 {
		ids = append(ids, many(i))
	}
	body, _ := json.Marshal(map[string]any{"contact_ids": ids})
	var checks []contactCheck
	b.call(http.StatusOK, phoneA, http.MethodPost, "/v1/contacts/check", string(body)).into(t, &checks)
	if len(checks) != len(ids) || checks[0].Exists || !checks[1].Exists || checks[2].Exists || checks[3].Exists {
		t.Fatalf("checks %+v", checks)
	}
	gone := 0
	for _, check := range checks[4:] {
		v := b.status(b.send(check.ContactID, "x"))
		if check.Exists == (v.Status == "failed") {
			t.Errorf("check says exists=%v, the message is %s", check.Exists, v.Status)
		}
		if !check.Exists {
			gone++
		}
	}
	if gone == 0 || gone == 20 {
		t.Errorf("%d of 20 unregistered, want about half", gone)
	}
	b.call(http.StatusUnprocessableEntity, phoneA, http.MethodPost, "/v1/contacts/check", `{"contact_ids":[]}`)
}

func TestRateLimit(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{RateLimit: RateLimit{PerWindow: 3, Window: 2 * time.Second, RetryAfter: true}})
	for i := range 3 {
		r := b.call(http.StatusOK, phoneA, http.MethodGet, "/v1/phones", "")
		if got := r.header.Get("X-RateLimit-Remaining"); got != itoa(2-i) {
			t.Errorf("request %d: %s remaining", i, got)
		}
		b.clock.add(500 * time.Millisecond)
	}
	r := b.call(http.StatusTooManyRequests, phoneB, http.MethodPost, "/v1/message/send", sendBody(fictional(1), "x"))
	if r.header.Get("Retry-After") != "1" || r.header.Get("X-RateLimit-Limit") != "3" || !strings.Contains(r.body, "RATE_LIMIT_ERROR") {
		t.Errorf("429 %s, headers %v", r.body, r.header)
	}
	reset, _ := strconv.ParseInt(r.header.Get("X-RateLimit-Reset"), 10, 64)
	if wait := time.Unix(reset, 0).Sub(b.clock.now()); wait <= 0 || wait > 2*time.Second {
		t.Errorf("reset in %s, want within the window", wait)
	}
	b.clock.add(500 * time.Millisecond) // the first request is a window old
	b.call(http.StatusOK, phoneA, http.MethodGet, "/v1/phones", "")
	b.call(http.StatusTooManyRequests, phoneA, http.MethodGet, "/v1/phones", "")
	if n := len(b.Acceptances()); n != 0 {
		t.Errorf("%d accepted above the limit", n)
	}

	delta := setup(t, Config{RateLimit: RateLimit{PerWindow: 1, ResetDelta: true, PlainText: true}})
	delta.call(http.StatusOK, phoneA, http.MethodGet, "/v1/phones", "")
	r = delta.call(http.StatusTooManyRequests, phoneA, http.MethodGet, "/v1/phones", "")
	if r.header.Get("X-RateLimit-Reset") != "1" || r.header.Get("Retry-After") != "" || json.Valid([]byte(r.body)) {
		t.Errorf("plain 429 %q, headers %v", r.body, r.header)
	}
}
