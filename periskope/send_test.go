package periskope_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/herald-campaigns/herald/periskope"
)

func TestSendWritesTheDocumentedRequest(t *testing.T) {
	t.Parallel()
	file := bytes.Repeat([]byte("0123456789"), 10_001) // not a multiple of 3
	inBase64 := base64.StdEncoding.EncodeToString(file)
	for name, test := range map[string]struct {
		request periskope.SendRequest
		want    string
	}{
		"text": {
			periskope.SendRequest{ChatID: testNumber + "@c.us", Message: "a & b <c> \"d\" 😀"},
			`{"chat_id":"` + testNumber + `@c.us","message":"a & b <c> \"d\" 😀"}`,
		},
		"bare number, reply, no preview": {
			periskope.SendRequest{ChatID: testNumber, Message: "x", ReplyTo: "true_1@c.us_3EB0", HideURLPreview: true},
			`{"chat_id":"` + testNumber + `","message":"x","reply_to":"true_1@c.us_3EB0","options":{"hide_url_preview":true}}`,
		},
		"media by url": {
			periskope.SendRequest{ChatID: testNumber, Message: "caption", Media: &periskope.Media{
				Type: periskope.MediaDocument, URL: "https://cdn.example/a.pdf?x=1&y=2", Filename: "a.pdf", MIMEType: "application/pdf",
			}},
			`{"chat_id":"` + testNumber + `","message":"caption","media":{"type":"document","filename":"a.pdf","mimetype":"application/pdf","url":"https://cdn.example/a.pdf?x=1&y=2"}}`,
		},
		"media from memory": {
			periskope.SendRequest{ChatID: "120363000000000000@g.us", Media: &periskope.Media{
				Type: periskope.MediaImage, FileData: file, Filename: "a.png", MIMEType: "image/png",
			}},
			`{"chat_id":"120363000000000000@g.us","media":{"type":"image","filename":"a.png","mimetype":"image/png","filedata":"` + inBase64 + `"}}`,
		},
		"media from a stream": {
			periskope.SendRequest{ChatID: testNumber, Media: &periskope.Media{
				Type: periskope.MediaVideo, File: io.NopCloser(bytes.NewReader(file)), Size: int64(len(file)), Filename: "a.mp4", MIMEType: "video/mp4",
			}},
			`{"chat_id":"` + testNumber + `","media":{"type":"video","filename":"a.mp4","mimetype":"video/mp4","filedata":"` + inBase64 + `"}}`,
		},
		"poll": {
			periskope.SendRequest{ChatID: testNumber, Poll: &periskope.Poll{
				Name: "Friday?", Options: []string{"Yes", "No"}, PollID: "cmp42:v1",
			}},
			`{"chat_id":"` + testNumber + `","poll":{"pollName":"Friday?","pollOptions":["Yes","No"],"options":{"allowMultipleAnswers":false,"pollId":"cmp42:v1"}}}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rec := newRecorder(http.StatusOK, queuedAnswer)
			client := newClient(t, rec.ServeHTTP)
			if _, err := client.Send(t.Context(), testPhone, test.request); err != nil {
				t.Fatalf("Send: %v", err)
			}
			got := <-rec.seen
			if got.Method != http.MethodPost || got.Path != "/v1/message/send" {
				t.Errorf("%s %s", got.Method, got.Path)
			}
			if got.Body != test.want {
				t.Errorf("body\n%.300s\nwant\n%.300s", got.Body, test.want)
			}
			if !json.Valid([]byte(got.Body)) {
				t.Error("the body is not JSON")
			}
			wantHeader := http.Header{
				"Authorization":  {"Bearer " + testToken},
				"X-Phone":        {testPhone},
				"Content-Type":   {"application/json"},
				"Accept":         {"application/json"},
				"User-Agent":     {"herald"},
				"Content-Length": {fmt.Sprint(len(test.want))},
			}
			if diff := cmp.Diff(wantHeader, got.Header); diff != "" {
				t.Errorf("header (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSendReadsTheAnswer(t *testing.T) {
	t.Parallel()
	position := func(n int64) periskope.FlexInt { return periskope.FlexInt{V: n, Set: true} }
	for name, test := range map[string]struct {
		body string
		want periskope.SendResponse
	}{
		"documented": {queuedAnswer, periskope.SendResponse{Status: "queued", QueueID: testQueue, UniqueID: testUnique, QueuePosition: position(2)}},
		"position as text, no unique id": {
			`{"status":"queued","queue_id":"q1","queue_position":"7","unique_id":null}`,
			periskope.SendResponse{Status: "queued", QueueID: "q1", QueuePosition: position(7)},
		},
		"only a queue id":        {`{"queue_id":"q1"}`, periskope.SendResponse{QueueID: "q1"}},
		"odd types beside it":    {`{"status":5,"queue_id":"q1","unique_id":{"a":1},"queue_position":[]}`, periskope.SendResponse{QueueID: "q1"}},
		"unknown fields":         {`{"queue_id":"q1","x":{"y":[1,2,{}]}}`, periskope.SendResponse{QueueID: "q1"}},
		"white space around":     {"\n {\"queue_id\":\"q1\"} \n", periskope.SendResponse{QueueID: "q1"}},
		"unique id with a break": {`{"queue_id":"q1","unique_id":"a\nb"}`, periskope.SendResponse{QueueID: "q1"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := newClient(t, newRecorder(http.StatusOK, test.body).ServeHTTP)
			got, err := client.Send(t.Context(), testPhone, aText())
			if err != nil {
				t.Fatalf("Send: %v", err)
			}
			if got.Meta.HTTPStatus != http.StatusOK || got.Meta.Date.IsZero() {
				t.Errorf("meta %+v", got.Meta)
			}
			got.Meta = periskope.Meta{}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSendDoesNotBelieveBrokenAcceptances(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		body string
		want periskope.Reason
	}{
		"empty":                  {"", periskope.ReasonEmpty},
		"blank":                  {" \n", periskope.ReasonEmpty},
		"page":                   {"<!doctype html><h1>OK</h1>", periskope.ReasonHTML},
		"half":                   {queuedAnswer[:40], periskope.ReasonMalformed},
		"two documents":          {queuedAnswer + queuedAnswer, periskope.ReasonMalformed},
		"array":                  {"[" + queuedAnswer + "]", periskope.ReasonMalformed},
		"text":                   {"OK", periskope.ReasonMalformed},
		"number":                 {"42", periskope.ReasonMalformed},
		"null":                   {"null", periskope.ReasonNoQueueID},
		"no job":                 {`{"status":"queued"}`, periskope.ReasonNoQueueID},
		"empty id":               {`{"queue_id":""}`, periskope.ReasonNoQueueID},
		"id is a number":         {`{"queue_id":12}`, periskope.ReasonNoQueueID},
		"id with a space":        {`{"queue_id":"a b"}`, periskope.ReasonNoQueueID},
		"endless id":             {`{"queue_id":"` + strings.Repeat("a", 300) + `"}`, periskope.ReasonNoQueueID},
		"ancient form":           {`{"` + testNumber + `@c.us":"` + testQueue + `"}`, periskope.ReasonNoQueueID},
		"long, but a right one":  {`{"queue_id":"q1","x":"` + strings.Repeat("a", 64<<10) + `"}`, periskope.ReasonOversize},
		"right, then much blank": {queuedAnswer + strings.Repeat(" ", 64<<10), periskope.ReasonOversize},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := newClient(t, newRecorder(http.StatusOK, test.body).ServeHTTP)
			got, err := client.Send(t.Context(), testPhone, aText())
			var response *periskope.ResponseError
			if !errors.As(err, &response) || response.Reason != test.want || response.Meta.HTTPStatus != http.StatusOK {
				t.Fatalf("Send = %+v, %v; want reason %s", got, err, test.want)
			}
		})
	}
}

func TestSendRefusesWhatCannotBeRightUnsent(t *testing.T) {
	t.Parallel()
	media := func(m periskope.Media) periskope.SendRequest {
		return periskope.SendRequest{ChatID: testNumber, Media: &m}
	}
	for name, test := range map[string]struct {
		phone   string
		request periskope.SendRequest
		want    string
	}{
		"no phone":         {"", aText(), "x-phone"},
		"phone injection":  {"1\r\nX-Evil: 1", aText(), "x-phone"},
		"no chat":          {testPhone, periskope.SendRequest{Message: "x"}, "chat_id"},
		"lid":              {testPhone, periskope.SendRequest{ChatID: "1@lid", Message: "x"}, "chat_id"},
		"newsletter":       {testPhone, periskope.SendRequest{ChatID: "1@newsletter", Message: "x"}, "chat_id"},
		"plus":             {testPhone, periskope.SendRequest{ChatID: "+" + testNumber, Message: "x"}, "chat_id"},
		"nothing to say":   {testPhone, periskope.SendRequest{ChatID: testNumber}, "message"},
		"poll and text":    {testPhone, periskope.SendRequest{ChatID: testNumber, Message: "x", Poll: &periskope.Poll{Name: "?", Options: []string{"a", "b"}}}, "poll"},
		"one option":       {testPhone, periskope.SendRequest{ChatID: testNumber, Poll: &periskope.Poll{Name: "?", Options: []string{"a"}}}, "poll"},
		"media type":       {testPhone, media(periskope.Media{Type: "sticker", URL: "u", Filename: "f", MIMEType: "m"}), "media.type"},
		"media of nothing": {testPhone, media(periskope.Media{Type: "image", Filename: "f", MIMEType: "m"}), "media"},
		"media twice":      {testPhone, media(periskope.Media{Type: "image", URL: "u", FileData: []byte("x"), Filename: "f", MIMEType: "m"}), "media"},
		"empty file":       {testPhone, media(periskope.Media{Type: "image", FileData: []byte{}, Filename: "f", MIMEType: "m"}), "media.filedata"},
		"no filename":      {testPhone, media(periskope.Media{Type: "image", URL: "u", MIMEType: "m"}), "media.filename"},
		"no mime type":     {testPhone, media(periskope.Media{Type: "image", URL: "u", Filename: "f"}), "media.mimetype"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rec := newRecorder(http.StatusOK, queuedAnswer)
			_, err := newClient(t, rec.ServeHTTP).Send(t.Context(), test.phone, test.request)
			var argument *periskope.ArgumentError
			if !errors.As(err, &argument) || argument.Name != test.want {
				t.Fatalf("Send: %v, want an ArgumentError about %s", err, test.want)
			}
			if len(rec.seen) != 0 {
				t.Error("the request was made")
			}
		})
	}
}

// closeWitness says on a channel that it was closed.
type closeWitness struct {
	io.Reader

	closed chan struct{}
}

func (c *closeWitness) Close() error {
	select {
	case c.closed <- struct{}{}:
	default:
	}
	return nil
}

func TestSendClosesTheFileWhateverComes(t *testing.T) {
	t.Parallel()
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	for name, test := range map[string]struct {
		ctx   context.Context //nolint:containedctx // a table of contexts
		phone string
	}{
		"sent":     {t.Context(), testPhone},
		"refused":  {t.Context(), ""},
		"canceled": {canceled, testPhone},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := &closeWitness{Reader: strings.NewReader("abc"), closed: make(chan struct{}, 1)}
			client := newClient(t, newRecorder(http.StatusOK, queuedAnswer).ServeHTTP)
			_, err := client.Send(test.ctx, test.phone, periskope.SendRequest{ChatID: testNumber, Media: &periskope.Media{
				Type: periskope.MediaImage, File: file, Size: 3, Filename: "a.png", MIMEType: "image/png",
			}})
			if (err == nil) != (name == "sent") {
				t.Fatalf("Send: %v", err)
			}
			<-file.closed
		})
	}
}
