package gateway

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/periskope"
)

// TestNothingLeaks drives every public call into failure with the token, the
// numbers and the text planted in request and answer.
func TestNothingLeaks(t *testing.T) {
	t.Parallel()
	planted, err := json.Marshal(testToken + " " + testNumber + " " + testText)
	if err != nil {
		t.Fatal(err)
	}
	words := fmt.Sprintf(`{"code":"VALIDATION_ERROR","name":%[1]s,"message":%[1]s,"fields":{"x":{"message":%[1]s,"value":%[1]s}}}`, planted)
	gateways := map[string]*Gateway{
		"refused port":   newGateway(t, periskope.Config{BaseURL: closedPort(t)}),
		"object":         serve(t, answer(200, fmt.Sprintf(`{"status":"failed","wa_state":"x","message":{"body":%[1]s}}`, planted))),
		"text":           serve(t, answer(200, string(planted))),
		"page":           serve(t, answer(502, "<html>"+string(planted))),
		"no HTTP at all": newGateway(t, periskope.Config{BaseURL: rawServer(t, say(string(planted)+"\r\n\r\n"))}),
		"echo": serve(t, func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			echo, _ := json.Marshal(fmt.Sprintf("wrong: %s %v", body, r.Header))
			w.WriteHeader(http.StatusUnprocessableEntity)
			_, _ = fmt.Fprintf(w, `{"code":"VALIDATION_ERROR","message":%s}`, echo)
		}),
	}
	for _, status := range []int{400, 401, 404, 422, 429, 500} {
		gateways[fmt.Sprint("envelope ", status)] = serve(t, answer(status, words))
	}
	sender := campaign.Sender{ID: "snd_1", Phone: testNumber}
	poll := testTask
	poll.Message = campaign.Message{Poll: &campaign.Poll{Question: testText, Options: []string{testText, "b"}}}
	file := testTask
	file.Message = campaign.Message{Media: &campaign.Media{Type: campaign.MediaImage, Hash: testNumber, Filename: "a", MIME: "b"}}
	lid := testTask
	lid.Chat = testNumber + "@lid"
	for name, gateway := range gateways {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var values []any
			for _, task := range []campaign.Task{testTask, poll, file, lid} {
				outcome := gateway.Send(t.Context(), sender, task, nil)
				if outcome.Kind == campaign.OutcomeAccepted {
					t.Errorf("outcome %+v of a failure", outcome)
				}
				values = append(values, outcome)
			}
			// The text travels with no other call: what a status error quotes
			// is the provider's own.
			assertNoLeak(t, values, testToken, testNumber, testText, testText[5:30])
			evidence, err := gateway.Status(t.Context(), sender, campaign.Tracked{UniqueID: "true_" + testNumber + "@c.us_3EB0"})
			values = []any{evidence, err, gateway.Check(t.Context(), sender)}
			_, err = gateway.Status(t.Context(), sender, campaign.Tracked{QueueID: testQueue})
			values = append(values, err)
			jobs, err := jobsOf(t, gateway, sender)
			values = append(values, jobs, err)
			messages, _, err := gateway.Messages(t.Context(), sender, testNumber+"@c.us", time.Time{})
			values = append(values, messages, err)
			_, err = gateway.Visible(t.Context(), sender, testQueue)
			assertNoLeak(t, append(values, err, gateway), testToken, testNumber)
		})
	}
}

func assertNoLeak(t *testing.T, values []any, secrets ...string) {
	t.Helper()
	var out bytes.Buffer
	logger := slog.New(slog.NewJSONHandler(&out, nil))
	for _, v := range values {
		if err, ok := v.(error); ok {
			fmt.Fprintln(&out, err.Error(), campaign.HintsOf(err))
		}
		fmt.Fprintf(&out, "%v\n%+v\n%#v\n", v, v, v)
		if _, ok := v.(*Gateway); !ok {
			logger.Info("x", slog.Any("value", v))
		}
	}
	for _, secret := range secrets {
		if strings.Contains(out.String(), secret) {
			t.Errorf("%q is shown in:\n%s", secret, out.String())
		}
	}
}
