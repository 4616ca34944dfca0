package periskope_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/herald-campaigns/herald/periskope"
)

const plantedText = "Dear Asha, the canary of Platform Nine sings at dawn"

// everyCall drives each public call and gives what it returned.
func everyCall(ctx context.Context, c *periskope.Client) map[string][]any {
	calls := make(map[string][]any)
	add := func(name string, values ...any) { calls[name] = append(calls[name], values...) }
	file := &closeWitness{Reader: strings.NewReader("abc"), closed: make(chan struct{}, 1)}
	for _, request := range []periskope.SendRequest{
		{ChatID: testNumber + "@c.us", Message: plantedText},
		{ChatID: testNumber + "@c.us", Poll: &periskope.Poll{Name: plantedText, Options: []string{plantedText, "b"}}},
		{ChatID: testNumber + "@c.us", Media: &periskope.Media{
			Type: "image", File: file, Size: 3, Filename: plantedText, MIMEType: "image/png",
		}},
	} {
		response, err := c.Send(ctx, testNumber, request)
		add("Send", request, response, err)
	}
	job, _, err := c.MessageStatus(ctx, testNumber, "true_"+testNumber+"@c.us_3EB0")
	add("MessageStatus", job, err)
	jobs, _, err := c.Queues(ctx, testNumber, periskope.QueueFilter{})
	add("Queues", jobs, err)
	health, _, err := c.QueueHealth(ctx, testNumber)
	add("QueueHealth", health, err)
	purged, err := c.PurgeQueue(ctx, testNumber, []string{"a"})
	add("PurgeQueue", purged, err)
	phones, _, err := c.Phones(ctx)
	add("Phones", phones, err)
	phone, _, err := c.Phone(ctx, testNumber)
	add("Phone", phone, err)
	messages, _, err := c.ChatMessages(ctx, testNumber, testNumber+"@c.us", periskope.Page{})
	add("ChatMessages", messages, err)
	messages, _, err = c.Messages(ctx, testNumber, time.Time{}, time.Now(), periskope.Page{})
	add("Messages", messages, err)
	message, _, err := c.Message(ctx, testNumber, testQueue)
	add("Message", message, err)
	contacts, _, err := c.ContactsCheck(ctx, testNumber, []string{testNumber})
	add("ContactsCheck", contacts, err)
	_, err = c.Send(ctx, "+"+testNumber, aText())
	add("wrong phone", err)
	_, err = c.Send(ctx, testPhone, periskope.SendRequest{ChatID: testNumber + "@lid", Message: plantedText})
	add("wrong chat", err)
	return calls
}

// TestNothingLeaks drives every call into every kind of failure, with the
// token, a number and a text planted in the request and in the answer.
func TestNothingLeaks(t *testing.T) {
	t.Parallel()
	everything := fmt.Sprintf("%s %s %s", testToken, testNumber, plantedText)
	inJSON, err := json.Marshal(everything)
	if err != nil {
		t.Fatal(err)
	}
	envelope := fmt.Sprintf(`{"code":"VALIDATION_ERROR","name":%[1]s,"message":%[1]s,"fields":{%[1]s:{"message":%[1]s,"value":%[1]s},"b":%[1]s}}`, inJSON)
	object := fmt.Sprintf(`{"queue_id":"q1","status":%[1]s,"status_description":%[1]s,"body":%[1]s,"chat_id":%[1]s,"org_phone":%[1]s,"contact_id":%[1]s,
		"message":{"body":%[1]s},"message_id":"m1","unique_id":"u1","from":%[1]s,"poll_info":{"pollName":%[1]s},"wa_state":"x"}`, inJSON)
	answer := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		}
	}
	for name, handler := range map[string]http.HandlerFunc{
		"odd code 400": answer(400, fmt.Sprintf(`{"code":%s}`, inJSON)),
		"envelope 401": answer(401, envelope),
		"envelope 404": answer(404, envelope),
		"envelope 422": answer(422, envelope),
		"envelope 429": answer(429, envelope),
		"text 500":     answer(500, everything),
		"page 502":     answer(502, "<html>"+everything),
		"text 200":     answer(200, everything),
		"number 200":   answer(200, testNumber),
		"object 200":   answer(200, object),
		"list 200":     answer(200, "["+object+"]"),
		"redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://127.0.0.1:1/"+testToken+"/"+testNumber, http.StatusTemporaryRedirect)
		},
		"no HTTP": func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				_, _ = io.WriteString(conn, testToken+" "+testNumber+" "+plantedText+"\r\n\r\n")
				_ = conn.Close()
			}
		},
		"broken chunks": func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"+testToken+testNumber+"\r\n")
				_ = conn.Close()
			}
		},
		"echo": func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			w.WriteHeader(http.StatusBadRequest)
			echo, _ := json.Marshal(fmt.Sprintf("cannot parse %s of %v", body, r.Header))
			_, _ = fmt.Fprintf(w, `{"code":"VALIDATION_ERROR","message":%s}`, echo)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assertNoLeak(t, everyCall(t.Context(), newClient(t, handler)))
		})
	}
	t.Run("refused port", func(t *testing.T) {
		t.Parallel()
		listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		_ = listener.Close()
		client := newClientOf(t, periskope.Config{BaseURL: "http://" + listener.Addr().String()})
		assertNoLeak(t, everyCall(t.Context(), client))
	})
}

// assertNoLeak looks for the planted secrets in all that can be printed. An
// error of a call that carries no text may quote a text: there is no telling
// it from the provider's words.
func assertNoLeak(t *testing.T, calls map[string][]any) {
	t.Helper()
	for name, values := range calls {
		carriesText := name == "Send" || name == "wrong chat"
		var out, errOut bytes.Buffer
		for _, v := range values {
			out := &out
			if err, ok := v.(error); ok {
				if !carriesText {
					out = &errOut
				}
				fmt.Fprintln(out, err.Error(), fmt.Errorf("wrapped: %w", err))
			}
			fmt.Fprintf(out, "%v\n%+v\n%#v\n", v, v, v)
			slog.New(slog.NewJSONHandler(out, nil)).Info("x", slog.Any("value", maskable(v)))
		}
		for what, secret := range map[string]string{"token": testToken, "number": testNumber, "text": plantedText, "part of the text": plantedText[5:30]} {
			if strings.Contains(out.String(), secret) {
				t.Errorf("%s shows the %s:\n%s", name, what, out.String())
			}
			if strings.Contains(errOut.String(), secret) && !strings.Contains(plantedText, secret) {
				t.Errorf("%s shows the %s:\n%s", name, what, errOut.String())
			}
		}
	}
}

// maskable leaves out what a JSON log handler encodes as plain data: lists of
// our types, which only their elements can mask.
func maskable(v any) any {
	switch v := v.(type) {
	case []periskope.Job, []periskope.Message, []periskope.Phone, []periskope.Contact:
		return fmt.Sprint(v)
	default:
		return v
	}
}
