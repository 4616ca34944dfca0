package periskope

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Job is a message in the provider's queue, or after it: the answer of the
// status call, or an item of a job list of either generation. It does not
// print its text or number.
type Job struct {
	QueueID     string
	UniqueID    string // bare
	MessageID   string // full, once known
	ChatID      string
	BroadcastID string
	PerformedBy string
	Status      Status
	Word        string // the provider's word for Status
	Description string // status_description; for a failed job the reason
	Ack         FlexInt
	Body        string
	Type        string // chat, image, …
	Timeline    Timeline
	Attempts    int64
	Delivered   int64 // how many it was delivered to; more than 1 in groups only
	Read        int64
}

// String says what the job is, never its text or number.
func (j Job) String() string {
	return fmt.Sprintf("job %s (%s)", MaskNumbers(cut(j.QueueID, 128)), j.Status)
}

// GoString keeps %#v from printing the text and the number.
func (j Job) GoString() string { return j.String() }

// LogValue keeps structured logs from carrying the text and the number.
func (j Job) LogValue() slog.Value { return slog.StringValue(j.String()) }

// Timeline maps the names of events to their times. Two names are documented,
// queued_at and sent_at; others are found by analogy, in whatever spelling.
type Timeline map[string]FlexTime

// At is the time of the first of the events that is there: Timeline.At("sent")
// finds "sent_at", "sentAt" and "sent".
func (t Timeline) At(events ...string) time.Time {
	for _, event := range events {
		for key, at := range t {
			if !at.IsZero() && timelineKey(key) == event {
				return at.Time
			}
		}
	}
	return time.Time{}
}

func timelineKey(key string) string {
	key = strings.ToLower(strings.NewReplacer("_", "", "-", "").Replace(key))
	return strings.TrimSuffix(key, "at")
}

// wireJob has the fields of all generations of a job (dossier §5, §6.1, §6.2).
type wireJob struct {
	QueueID           string          `json:"queue_id"`
	ID                json.RawMessage `json:"id"` // the queue id in the deprecated list
	UniqueID          string          `json:"unique_id"`
	MessageID         string          `json:"message_id"`
	ChatID            string          `json:"chat_id"`
	BroadcastID       string          `json:"broadcast_id"`
	PerformedBy       string          `json:"performed_by"`
	Status            string          `json:"status"`
	StatusDescription string          `json:"status_description"`
	FailedReason      string          `json:"failedReason"`
	Ack               FlexInt         `json:"ack"`
	Message           wireJobMessage  `json:"message"`
	Data              wireJobMessage  `json:"data"`
	Timeline          Timeline        `json:"timeline"`
	Attempts          FlexInt         `json:"attempts"`
	AttemptsMade      FlexInt         `json:"attemptsMade"`
	DeliveredCount    FlexInt         `json:"delivered_count"`
	ReadCount         FlexInt         `json:"read_count"`
	Added             FlexTime        `json:"addedTimestamp"`
	Processed         FlexTime        `json:"processedTimestamp"`
	Finished          FlexTime        `json:"finishedTimestamp"`
}

type wireJobMessage struct {
	Body   string `json:"body"`
	Type   string `json:"type"`
	ChatID string `json:"chat_id"`
}

func (w wireJob) job() Job {
	j := Job{
		QueueID:     w.QueueID,
		UniqueID:    w.UniqueID,
		ChatID:      first(w.ChatID, w.Data.ChatID),
		BroadcastID: w.BroadcastID,
		PerformedBy: w.PerformedBy,
		Status:      NormalizeStatus(w.Status, w.Ack),
		Word:        cut(w.Status, 64),
		Description: first(w.StatusDescription, w.FailedReason),
		Ack:         w.Ack,
		Body:        first(w.Message.Body, w.Data.Body),
		Type:        first(w.Message.Type, w.Data.Type),
		Timeline:    w.Timeline,
		Attempts:    max(w.Attempts.V, w.AttemptsMade.V),
		Delivered:   w.DeliveredCount.V,
		Read:        w.ReadCount.V,
	}
	if j.QueueID == "" {
		_ = json.Unmarshal(w.ID, &j.QueueID) // an object in other generations
	}
	unique := UniqueOf(w.MessageID)
	if unique != w.MessageID {
		j.MessageID = w.MessageID
	}
	j.UniqueID = first(j.UniqueID, unique)
	if j.Timeline == nil {
		j.Timeline = Timeline{}
	}
	for event, at := range map[string]FlexTime{"queued_at": w.Added, "processing_at": w.Processed} {
		if !at.IsZero() && j.Timeline.At(timelineKey(event)).IsZero() {
			j.Timeline[event] = at
		}
	}
	// The deprecated list has one time for the end, whatever end it was.
	if end := timelineKeyOfEnd(j.Status); end != "" && !w.Finished.IsZero() && j.Timeline.At(timelineKey(end)).IsZero() {
		j.Timeline[end] = w.Finished
	}
	return j
}

func timelineKeyOfEnd(s Status) string {
	switch s {
	case StatusFailed:
		return "failed_at"
	case StatusSent, StatusDelivered, StatusRead:
		return "sent_at"
	case StatusUnknown, StatusQueued, StatusSending:
	}
	return ""
}

// first is the first text that is not empty.
func first(texts ...string) string {
	for _, text := range texts {
		if text != "" {
			return text
		}
	}
	return ""
}

// MessageStatus asks for one message by its unique id
// (GET /message/{unique_id}/status). Within about ten seconds of the send a
// 404 means "not visible yet".
func (c *Client) MessageStatus(ctx context.Context, phone, uniqueID string) (Job, Meta, error) {
	const op = "message status"
	if err := errors.Join(needPhone(op, phone), checkID(op, "unique_id", uniqueID)); err != nil {
		return Job{}, Meta{}, err
	}
	uniqueID = UniqueOf(uniqueID)
	job, meta, err := c.status(ctx, op, phone, "message", uniqueID)
	if missing(err, http.StatusNotFound) && !hasEnvelope(err) {
		// No such route, rather than no such message: others have seen the
		// plural.
		if job, meta, err := c.status(ctx, op, phone, "messages", uniqueID); err == nil {
			return job, meta, nil
		}
	}
	return job, meta, err
}

func (c *Client) status(ctx context.Context, op, phone, route, uniqueID string) (Job, Meta, error) {
	u := c.url(nil, route, uniqueID, "status")
	return get(ctx, c, call{op: op, method: http.MethodGet, url: u, phone: phone}, func(b []byte) (Job, error) {
		jobs, err := decodeJobs(b)
		if err != nil || len(jobs) == 0 {
			return Job{}, errors.Join(err, errNothing)
		}
		return jobs[0], nil
	})
}

var errNothing = errors.New("the answer holds nothing")

func decodeJobs(b []byte) ([]Job, error) {
	var jobs []Job
	if err := eachJob(bytes.NewReader(b), func(job Job) { jobs = append(jobs, job) }); err != nil {
		return nil, err
	}
	return jobs, nil
}

func eachJob(r io.Reader, show func(Job)) error {
	return eachOf(r, func(wire wireJob) { show(wire.job()) })
}

// QueueFilter narrows a job list. The zero filter asks for every job of the
// phone, of which the provider documents neither a limit nor an age.
type QueueFilter struct {
	QueueID     string `json:"queue_id,omitempty"`
	BroadcastID string `json:"broadcast_id,omitempty"` // never matches a message sent with Send
}

// Queues lists jobs (POST /message/queues). Where that route is missing it
// asks the deprecated one (GET /queue/jobs). Jobs that were not asked for are
// left out whatever the provider answers.
func (c *Client) Queues(ctx context.Context, phone string, filter QueueFilter) ([]Job, Meta, error) {
	var jobs []Job
	meta, err := c.EachJob(ctx, phone, filter, func(job Job) { jobs = append(jobs, job) })
	if err != nil {
		return nil, meta, err
	}
	return jobs, meta, nil
}

// EachJob is Queues for a list that need not be held: a phone may have tens of
// thousands of jobs. It shows them one by one, in the provider's order. After
// an error, what was shown does not count.
func (c *Client) EachJob(ctx context.Context, phone string, filter QueueFilter, show func(Job)) (Meta, error) {
	const op = "list jobs"
	if err := needPhone(op, phone); err != nil {
		return Meta{}, err
	}
	body, err := json.Marshal(filter)
	if err != nil {
		return Meta{}, &ArgumentError{Op: op, Name: "queue_id", What: "cannot be written as JSON"}
	}
	read := func(r io.Reader) error {
		return eachJob(r, func(job Job) {
			if filter.matches(job) {
				show(job)
			}
		})
	}
	request := call{op: op, method: http.MethodPost, url: c.url(nil, "message", "queues"), phone: phone, body: body}
	meta, err := c.stream(ctx, request, read)
	if missing(err, http.StatusNotFound, http.StatusMethodNotAllowed) {
		// The body of the deprecated call, which the client package types, is
		// not sent: proxies drop bodies of GET requests.
		query := url.Values{}
		if filter.QueueID != "" {
			query.Set("queue_id", filter.QueueID)
		}
		if filter.BroadcastID != "" {
			query.Set("broadcast_id", filter.BroadcastID)
		}
		request := call{op: op, method: http.MethodGet, url: c.url(query, "queue", "jobs"), phone: phone}
		oldMeta, oldErr := c.stream(ctx, request, read)
		if !missing(oldErr, http.StatusNotFound, http.StatusMethodNotAllowed) {
			meta, err = oldMeta, oldErr
		}
	}
	return meta, err
}

func (f QueueFilter) matches(j Job) bool {
	return (f.QueueID == "" || f.QueueID == j.QueueID) &&
		(f.BroadcastID == "" || j.BroadcastID == "" || f.BroadcastID == j.BroadcastID)
}

// missing says whether err is an answer with one of the statuses.
func missing(err error, statuses ...int) bool {
	var api *APIError
	if !errors.As(err, &api) {
		return false
	}
	return slices.Contains(statuses, api.Status)
}

func hasEnvelope(err error) bool {
	var api *APIError
	return errors.As(err, &api) && api.Envelope()
}

// Health counts the jobs of a phone's queue, for back-pressure. Fields that
// only one generation of the API has are zero with the other.
type Health struct {
	Waiting   FlexInt `json:"waiting"`
	Pending   FlexInt `json:"pending"` // the deprecated word for Waiting
	Active    FlexInt `json:"active"`
	Completed FlexInt `json:"completed"`
	Failed    FlexInt `json:"failed"`
	Delayed   FlexInt `json:"delayed"` // among them those that wait for a retry
	Paused    FlexInt `json:"paused"`
	Running   *bool   `json:"is_running"` // nil when not told
}

// Backlog is how many messages the provider has yet to send.
func (h Health) Backlog() int64 {
	return max(h.Waiting.V, h.Pending.V) + h.Active.V + h.Delayed.V + h.Paused.V
}

// QueueHealth counts the phone's jobs (GET /message/queues/health, or the
// deprecated GET /queue where that is missing).
func (c *Client) QueueHealth(ctx context.Context, phone string) (Health, Meta, error) {
	const op = "queue health"
	if err := needPhone(op, phone); err != nil {
		return Health{}, Meta{}, err
	}
	request := call{op: op, method: http.MethodGet, url: c.url(nil, "message", "queues", "health"), phone: phone}
	health, meta, err := get(ctx, c, request, decodeOne[Health])
	if missing(err, http.StatusNotFound, http.StatusMethodNotAllowed) {
		request.url = c.url(nil, "queue")
		if health, meta, err := get(ctx, c, request, decodeOne[Health]); err == nil {
			return health, meta, nil
		}
	}
	return health, meta, err
}
