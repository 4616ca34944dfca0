package periskope_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/herald-campaigns/herald/periskope"
)

const messageObject = `{"message_id":"true_` + testNumber + `@c.us_` + testUnique + `","unique_id":"` + testUnique + `",
	"sent_message_id":"` + testQueue + `","id":{"id":"` + testUnique + `","fromMe":true,"remote":"x","_serialized":"y"},
	"org_phone":"` + testPhone + `@c.us","chat_id":"` + testNumber + `@c.us","author":null,"from_me":true,"message_type":"chat","body":"Hello World",
	"timestamp":"2026-01-15T09:30:00+00:00","ack":"3","performed_by":"api","has_media":false,"media":null,"links":"[]","vcards":[],
	"delivery_info":{"delivered":{"` + testNumber + `@c.us":1768469400},"read":{},"pending":[],"delivered_count":1},
	"poll_info":null,"poll_results":null,"is_private_note":false}`

func TestMessageLists(t *testing.T) {
	t.Parallel()
	rec := newRecorder(http.StatusOK, `{"count":2,"from":1,"to":2,"messages":[`+messageObject+`,
		{"id":"false_`+testNumber+`@c.us_3A1F","body":null,"from_me":null,"ack":1}]}`)
	client := newClient(t, rec.ServeHTTP)
	messages, _, err := client.ChatMessages(t.Context(), testPhone, testNumber+"@c.us", periskope.Page{Offset: 20, Limit: 10})
	if err != nil || len(messages) != 2 {
		t.Fatalf("ChatMessages = %v, %v", messages, err)
	}
	if got := <-rec.seen; got.Path != "/v1/chats/"+testNumber+"@c.us/messages" || got.Query != "limit=10&offset=20" {
		t.Errorf("asked %s?%s", got.Path, got.Query)
	}
	m := messages[0]
	if m.UniqueID != testUnique || m.SentMessageID != testQueue || !m.FromMe || m.Body != "Hello World" || m.Status() != periskope.StatusDelivered ||
		!m.Timestamp.Equal(time.Date(2026, 1, 15, 9, 30, 0, 0, time.UTC)) || m.DeliveryInfo.Delivered[testNumber+"@c.us"].IsZero() || m.Media != nil {
		t.Errorf("first message: %s %+v", m, m.DeliveryInfo)
	}
	if m := messages[1]; m.UniqueID != "3A1F" || m.FromMe || m.Body != "" {
		t.Errorf("second message: %s", m)
	}

	if _, _, err = client.Messages(t.Context(), testPhone, noon, noon.Add(time.Hour), periskope.Page{}); err != nil {
		t.Fatal(err)
	}
	want := "end_time=2026-01-15T13%3A00%3A00.000Z&limit=1000&offset=0&start_time=2026-01-15T12%3A00%3A00.000Z"
	if got := <-rec.seen; got.Path != "/v1/chats/messages" || got.Query != want {
		t.Errorf("asked %s?%s", got.Path, got.Query)
	}
	for _, page := range []periskope.Page{{Limit: 2001}, {Limit: -1}, {Offset: -1}} {
		_, _, err := client.Messages(t.Context(), testPhone, time.Time{}, time.Time{}, page)
		if _, ok := errors.AsType[*periskope.ArgumentError](err); !ok {
			t.Errorf("Messages of %+v: %v", page, err)
		}
	}
}

func TestMessageIsNilWhilePending(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		status int
		body   string
		found  bool
	}{
		"there":     {http.StatusOK, messageObject, true},
		"array":     {http.StatusOK, "[" + messageObject + "]", true},
		"null":      {http.StatusOK, "null", false},
		"empty":     {http.StatusOK, "", false},
		"no object": {http.StatusOK, "{}", false},
		"404":       {http.StatusNotFound, `{"code":"NOT_FOUND_ERROR"}`, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, _, err := newClient(t, newRecorder(test.status, test.body).ServeHTTP).Message(t.Context(), testPhone, testQueue)
			if err != nil || (m != nil) != test.found {
				t.Errorf("Message = %v, %v", m, err)
			}
		})
	}
	_, _, err := newClient(t, newRecorder(http.StatusInternalServerError, "").ServeHTTP).Message(t.Context(), testPhone, testQueue)
	if err == nil {
		t.Error("a 500 gave no error")
	}
}

func TestPollResultsOfEitherOrientation(t *testing.T) {
	t.Parallel()
	asha, ravi := testNumber+"@c.us", "447700900456@c.us"
	when := time.Date(2026, 1, 15, 9, 41, 7, 0, time.UTC)
	info := `"poll_info":{"pollName":"Friday?","pollOptions":["Yes","No","a@b"],"options":{"allowMultipleAnswers":true,"pollId":"cmp42:v1"}}`
	for name, test := range map[string]struct {
		json  string
		want  []periskope.Vote
		known bool
	}{
		"option to voters": {
			`{` + info + `,"poll_results":{"Yes":{"` + asha + `":"2026-01-15T09:41:07.000Z"},"No":{"` + ravi + `":"1768470067"},"a@b":{}}}`,
			[]periskope.Vote{{asha, "Yes", when}, {ravi, "No", when}},
			true,
		},
		"voter to options": {
			`{` + info + `,"poll_results":{"` + asha + `":{"Yes":"2026-01-15T09:41:07.000Z","No":"2026-01-15T09:41:07.000Z"},"` + ravi + `":{}}}`,
			[]periskope.Vote{{asha, "No", when}, {asha, "Yes", when}},
			true,
		},
		"voter to numbered options": {
			`{` + info + `,"poll_results":{"` + asha + `":{"0":"Yes"}}}`, []periskope.Vote{{asha, "Yes", time.Time{}}}, true,
		},
		"option to a list": {
			`{` + info + `,"poll_results":{"Yes":["` + asha + `"]}}`, []periskope.Vote{{asha, "Yes", time.Time{}}}, true,
		},
		"without poll info": {
			`{"poll_results":{"Yes":{"` + asha + `":"2026-01-15T09:41:07.000Z"}}}`, []periskope.Vote{{asha, "Yes", when}}, true,
		},
		"options as objects": {
			`{"poll_info":{"pollOptions":[{"name":"Yes"}]},"poll_results":{"Yes":{"` + asha + `":""}}}`, []periskope.Vote{{asha, "Yes", time.Time{}}}, true,
		},
		"all withdrawn": {`{` + info + `,"poll_results":{"Yes":{},"No":{}}}`, nil, true},
		"nothing said":  {`{` + info + `,"poll_results":null}`, nil, false},
		"no poll":       {`{}`, nil, false},
		"nonsense":      {`{"poll_results":[1,2]}`, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var m periskope.Message
			if err := json.Unmarshal([]byte(test.json), &m); err != nil {
				t.Fatal(err)
			}
			got, known := periskope.PollResults(m)
			if diff := cmp.Diff(test.want, got); diff != "" || known != test.known {
				t.Errorf("known %t, votes (-want +got):\n%s", known, diff)
			}
			if m.PollInfo != nil && strings.Contains(test.json, "cmp42") && (m.PollInfo.PollID != "cmp42:v1" || !m.PollInfo.AllowMultipleAnswers) {
				t.Errorf("poll %+v", m.PollInfo)
			}
		})
	}
}

func TestContactsAreMatchedByDigits(t *testing.T) {
	t.Parallel()
	rec := newRecorder(http.StatusOK, `[{"contact_id":"447700900456@c.us","exists":false},
		{"contact_id":"`+testNumber+`@c.us","exists":"true"},{"contact_id":"4477009009999@c.us","exists":true}]`)
	client := newClient(t, rec.ServeHTTP)
	got, _, err := client.ContactsCheck(t.Context(), testPhone, []string{"+" + testNumber, "447700900456", "447700900999"})
	if err != nil {
		t.Fatal(err)
	}
	want := []periskope.Contact{
		{Asked: "+" + testNumber, ChatID: testNumber + "@c.us", Exists: true, Known: true},
		{Asked: "447700900456", ChatID: "447700900456@c.us", Known: true},
		{Asked: "447700900999", ChatID: "4477009009999@c.us", Exists: true, Known: true}, // the only one left over
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("contacts (-want +got):\n%s", diff)
	}
	if body := (<-rec.seen).Body; body != `{"contact_ids":["`+testNumber+`","447700900456","447700900999"]}` {
		t.Errorf("asked %s", body)
	}
	got, _, err = client.ContactsCheck(t.Context(), testPhone, []string{"447700900111", "447700900222"})
	if err != nil || got[0].Known || got[1].Known {
		t.Errorf("numbers the answer does not name: %+v, %v", got, err)
	}
	for _, numbers := range [][]string{nil, {"x"}, make([]string, 51)} {
		_, _, err := client.ContactsCheck(t.Context(), testPhone, numbers)
		if _, ok := errors.AsType[*periskope.ArgumentError](err); !ok {
			t.Errorf("ContactsCheck of %d numbers: %v", len(numbers), err)
		}
	}
}

func TestPhones(t *testing.T) {
	t.Parallel()
	const object = `{"org_phone":"` + testPhone + `@c.us","phone_id":"phone-bqzvyibhmwkaergr","phone_name":"Support","wa_state":"CONNECTED","is_ready":true,
		"label_ids":{"x":true},"qr_code":null,"first_connected_at":"2024-12-15T11:47:49.649+00:00"}`
	const other = `{"org_phone":"12015550199@c.us","phone_id":"phone-other","wa_state":"DISCONNECTED","is_ready":false}`
	for _, body := range []string{object, "[" + object + "]", "[" + other + "," + object + "]"} {
		rec := newRecorder(http.StatusOK, body)
		phone, _, err := newClient(t, rec.ServeHTTP).Phone(t.Context(), testPhone)
		if err != nil || !phone.Connected() || !phone.Is(testPhone) || !phone.Is("phone-bqzvyibhmwkaergr") || phone.Name != "Support" {
			t.Errorf("Phone = %v, %v", phone, err)
		}
		if got := <-rec.seen; got.Path != "/v1/phones" {
			t.Errorf("asked %s", got.Path)
		}
	}
	rec := newRecorder(http.StatusOK, "["+other+","+object+"]")
	phones, _, err := newClient(t, rec.ServeHTTP).Phones(t.Context())
	if err != nil || len(phones) != 2 || phones[0].Connected() {
		t.Errorf("Phones = %v, %v", phones, err)
	}
	if got := <-rec.seen; got.Path != "/v1/phones/all" || got.Header.Get("X-Phone") != "" {
		t.Errorf("asked %s as %q", got.Path, got.Header.Get("X-Phone"))
	}
}
