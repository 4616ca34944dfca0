package periskope

import (
	"bytes"
	"errors"
	"net/http"
	"strings"
	"testing"
)

// answers are bodies that came, or may come, with a 2xx status after a send:
// those of the documentation, what proxies, half-written and hostile servers
// say, and what a JSON reader may trip over. reason is what makes an answer
// unusable; "" is an acceptance of job q1.
var answers = map[string]struct {
	body   string
	reason Reason
}{
	"documented":              {`{"status":"queued","queue_id":"q1","queue_position":0,"unique_id":"3EB05FC204C28E456D8596","track_by":{"unique_id":"GET /messages/x/status"}}`, ""},
	"older, with a hint":      {`{"status":"queued","queue_id":"q1","queue_position":0,"hint":"use /queue/jobs?queue_id=q1"}`, ""},
	"position as text":        {`{"queue_id":"q1","queue_position":"12"}`, ""},
	"position null":           {`{"queue_id":"q1","queue_position":null}`, ""},
	"position a fraction":     {`{"queue_id":"q1","queue_position":1e400}`, ""},
	"position an object":      {`{"queue_id":"q1","queue_position":{"n":1}}`, ""},
	"unique id null":          {`{"queue_id":"q1","unique_id":null}`, ""},
	"unique id a number":      {`{"queue_id":"q1","unique_id":3}`, ""},
	"unique id with a break":  {`{"queue_id":"q1","unique_id":"a\nb"}`, ""},
	"unique id of 40":         {`{"queue_id":"q1","unique_id":"3EB0BB657AE18C4D3BB276DFB67F6CCA7DD13234"}`, ""},
	"status missing":          {`{"queue_id":"q1"}`, ""},
	"status a sentence":       {`{"queue_id":"q1","status":"it is in the queue"}`, ""},
	"status a number":         {`{"queue_id":"q1","status":200}`, ""},
	"status failed":           {`{"queue_id":"q1","status":"failed"}`, ""},
	"track_by a text":         {`{"queue_id":"q1","track_by":"GET /messages/x/status"}`, ""},
	"unknown fields":          {`{"queue_id":"q1","credits":{"left":0},"warning":["x"]}`, ""},
	"other case":              {`{"QUEUE_ID":"q1"}`, ""},
	"escaped":                 {`{"\u0071ueue_id":"\u0071\u0031"}`, ""},
	"blanks around":           {"\r\n\t {\"queue_id\" : \"q1\"} \n\n", ""},
	"pretty":                  {"{\n  \"status\": \"queued\",\n  \"queue_id\": \"q1\"\n}\n", ""},
	"id twice":                {`{"queue_id":"q0","queue_id":"q1"}`, ""},
	"large beside it":         {`{"queue_id":"q1","hint":"` + strings.Repeat("x", 60_000) + `"}`, ""},
	"empty":                   {"", ReasonEmpty},
	"blanks":                  {" \r\n\t ", ReasonEmpty},
	"page":                    {"<html><body>502 Bad Gateway</body></html>", ReasonHTML},
	"page, doctype":           {"\n<!DOCTYPE html><title>Just a moment...</title>", ReasonHTML},
	"XML":                     {`<?xml version="1.0"?><Error><Code>SlowDown</Code></Error>`, ReasonHTML},
	"null":                    {"null", ReasonNoQueueID},
	"true":                    {"true", ReasonMalformed},
	"a number":                {"200", ReasonMalformed},
	"a text":                  {`"queued"`, ReasonMalformed},
	"plain words":             {"OK", ReasonMalformed},
	"too many requests":       {"Too many requests, please try again later.", ReasonMalformed},
	"form":                    {"status=queued&queue_id=q1", ReasonMalformed},
	"JavaScript":              {`callback({"queue_id":"q1"})`, ReasonMalformed},
	"XSSI prefix":             {`)]}',` + "\n" + `{"queue_id":"q1"}`, ReasonMalformed},
	"byte order mark":         {"\ufeff" + `{"queue_id":"q1"}`, ReasonMalformed},
	"UTF-16":                  {"\xff\xfe{\x00\"\x00q\x00\"\x00:\x001\x00}\x00", ReasonMalformed},
	"gzip":                    {"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xabV*,M-M\x05\x00", ReasonMalformed},
	"NUL bytes":               {strings.Repeat("\x00", 32), ReasonMalformed},
	"a list":                  {`[]`, ReasonMalformed},
	"in a list":               {`[{"queue_id":"q1"}]`, ReasonMalformed},
	"empty object":            {`{}`, ReasonNoQueueID},
	"very old":                {`{"447700900123@c.us":"ba3273cb-12be-48d4-90e0-0cbc0b427ef1"}`, ReasonNoQueueID},
	"in data":                 {`{"data":{"queue_id":"q1"}}`, ReasonNoQueueID},
	"camel case":              {`{"queueId":"q1"}`, ReasonNoQueueID},
	"id empty":                {`{"queue_id":""}`, ReasonNoQueueID},
	"id null":                 {`{"queue_id":null}`, ReasonNoQueueID},
	"id a number":             {`{"queue_id":17}`, ReasonNoQueueID},
	"id true":                 {`{"queue_id":true}`, ReasonNoQueueID},
	"id a list":               {`{"queue_id":["q1"]}`, ReasonNoQueueID},
	"id an object":            {`{"queue_id":{"id":"q1"}}`, ReasonNoQueueID},
	"id blank":                {`{"queue_id":" "}`, ReasonNoQueueID},
	"id with a blank":         {`{"queue_id":"q 1"}`, ReasonNoQueueID},
	"id with a break":         {`{"queue_id":"q1\r\nX-Evil: 1"}`, ReasonNoQueueID},
	"id with NUL":             {`{"queue_id":"q1\u0000"}`, ReasonNoQueueID},
	"id not ASCII":            {`{"queue_id":"q１"}`, ReasonNoQueueID},
	"id half a surrogate":     {`{"queue_id":"\ud800"}`, ReasonNoQueueID},
	"id broken UTF-8":         {"{\"queue_id\":\"q1\xff\"}", ReasonNoQueueID},
	"id right to left":        {"{\"queue_id\":\"\u202eq1\"}", ReasonNoQueueID},
	"id of 257":               {`{"queue_id":"` + strings.Repeat("q", 257) + `"}`, ReasonNoQueueID},
	"error with 200":          {`{"code":"VALIDATION_ERROR","message":"Missing Header: {x-phone}","status":422}`, ReasonNoQueueID},
	"sent at once":            {`{"status":"sent","unique_id":"3EB05FC204C28E456D8596","message":{"body":"x"}}`, ReasonNoQueueID},
	"broadcast":               {`{"broadcast_id":"b25192d5-2370-4a69-b844-aae5e2bfae92"}`, ReasonNoQueueID},
	"cut in the id":           {`{"status":"queued","queue_id":"q`, ReasonMalformed},
	"cut behind the id":       {`{"status":"queued","queue_id":"q1"`, ReasonMalformed},
	"cut at the comma":        {`{"queue_id":"q1",`, ReasonMalformed},
	"comma too many":          {`{"queue_id":"q1",}`, ReasonMalformed},
	"single quotes":           {`{'queue_id':'q1'}`, ReasonMalformed},
	"bare key":                {`{queue_id:"q1"}`, ReasonMalformed},
	"comment":                 {`{"queue_id":"q1"} // done`, ReasonMalformed},
	"two objects":             {`{"queue_id":"q1"}{"queue_id":"q2"}`, ReasonMalformed},
	"lines of objects":        {`{"queue_id":"q1"}` + "\n" + `{"queue_id":"q2"}`, ReasonMalformed},
	"page behind it":          {`{"queue_id":"q1"}<html>`, ReasonMalformed},
	"NaN":                     {`{"queue_id":"q1","queue_position":NaN}`, ReasonMalformed},
	"raw line break in it":    {"{\"queue_id\":\"q1\",\"hint\":\"a\nb\"}", ReasonMalformed},
	"wrong escape":            {`{"queue_id":"\q1"}`, ReasonMalformed},
	"nested deep":             {strings.Repeat("[", 20_000), ReasonMalformed},
	"nested deep in a field":  {`{"queue_id":"q1","hint":` + strings.Repeat("[", 11_000) + strings.Repeat("]", 11_000) + `}`, ReasonMalformed},
	"one byte too long":       {`{"queue_id":"q1"}` + strings.Repeat(" ", maxSendAnswer-16), ReasonOversize},
	"long, and no JSON":       {strings.Repeat("x", maxSendAnswer+1), ReasonOversize},
	"long, and a page":        {"<html>" + strings.Repeat("x", maxSendAnswer), ReasonOversize},
	"exactly as long as read": {`{"queue_id":"q1"}` + strings.Repeat(" ", maxSendAnswer-17), ""},
}

// answerOf is a body as it stands when Client.do has read it.
func answerOf(body []byte) *answer {
	return &answer{
		Meta: Meta{HTTPStatus: http.StatusOK},
		body: bytes.NewBuffer(body[:min(len(body), maxSendAnswer+1)]),
		long: len(body) > maxSendAnswer,
	}
}

func TestSendAnswers(t *testing.T) {
	t.Parallel()
	for name, test := range answers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			response, err := decodeSend("send", answerOf([]byte(test.body)))
			if test.reason == "" {
				if err != nil || response.QueueID != "q1" {
					t.Errorf("%+v, %v", response, err)
				}
				return
			}
			var unusable *ResponseError
			if !errors.As(err, &unusable) || unusable.Reason != test.reason || response.QueueID != "" {
				t.Errorf("%+v, %v; want %q", response, err, test.reason)
			}
		})
	}
}
