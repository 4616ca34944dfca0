package web_test

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/herald-campaigns/herald/periskope"
	"github.com/herald-campaigns/herald/web"
)

// FuzzDelivery posts anything with any signature. Nothing but what is signed
// with the key and is an event reaches the ledger, and then as it came; no
// answer repeats what was sent.
func FuzzDelivery(f *testing.F) {
	f.Add([]byte(nil), "", false)
	f.Add(ack(1), sign(testKey, ack(1)), false)
	f.Add(ack(2), "sha256="+sign(testKeyOld, ack(2)), false)
	f.Add(ack(3), "", true)
	f.Add([]byte(`{"event":"message.created","data":{"message_id":"false_447700900123@c.us_3A1F","body":"STOP"}}`), "", true)
	f.Add([]byte(`{"event":"ticket.created","data":[1]}`), "", true)
	f.Add([]byte("{ \"event\" : \"org.phone.qr\", \"data\" : { } }\n"), "", true)
	f.Add([]byte(`[{"event":"message.read"}]`), "00", true)
	inbox := new(memory)
	server := web.New(config(inbox))
	handler := web.HandlerOf(server)
	f.Cleanup(func() {
		if err := web.CloseIntakeOf(server, context.Background()); err != nil {
			f.Errorf("close: %v", err)
		}
	})
	f.Fuzz(func(t *testing.T, body []byte, signature string, signed bool) {
		if signed {
			signature = sign(testKey, body)
		}
		if strings.ContainsAny(signature, "\r\n\x00") {
			t.Skip("no header can have it")
		}
		request := httptest.NewRequest(http.MethodPost, web.WebhookPath, bytes.NewReader(body))
		request.Header.Set(periskope.SignatureHeader, signature)
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, request)

		genuine := periskope.VerifySignature(body, signature, testKey, testKeyOld) == nil
		event, err := periskope.ParseEvent(body)
		want := http.StatusOK
		switch {
		case len(body) > web.MaxBody:
			want = http.StatusRequestEntityTooLarge
		case !genuine:
			want = http.StatusUnauthorized
		case err != nil:
			want = http.StatusBadRequest
		}
		if answer.Code != want {
			t.Errorf("status %d, want %d", answer.Code, want)
		}
		followed := want == http.StatusOK && event.Kind != periskope.EventOther
		inbox.mu.Lock()
		kept, has := inbox.kept[event.Key]
		clear(inbox.kept)
		inbox.mu.Unlock()
		if has != followed || has && (!bytes.Equal(kept.Body, body) || kept.Name != event.Name) {
			t.Errorf("kept %v, want %v and as it came", has, followed)
		}
		if len(body) > 40 && strings.Contains(answer.Body.String(), string(body)) {
			t.Error("the answer repeats the delivery")
		}
	})
}
