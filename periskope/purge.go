package periskope

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
)

// maxPurge is the number of jobs named in one purge request.
const maxPurge = 100

// PurgeQueue takes jobs out of the provider's queue
// (POST /message/queues/purge) and returns those the provider says it purged.
// One of them that is being sent may still go out.
//
// The provider purges every job of every queue when a request names none, so
// an empty list is refused, and an answer that is not about exactly named jobs
// (mode other than queue_ids, or a job that was not asked for) ends the call
// with a *ResponseError of ReasonEcho: someone must look at the queue before it is
// called again. With an error the jobs purged until then are returned too.
func (c *Client) PurgeQueue(ctx context.Context, phone string, queueIDs []string) ([]string, error) {
	const op = "purge jobs"
	if err := needPhone(op, phone); err != nil {
		return nil, err
	}
	if len(queueIDs) == 0 {
		return nil, &ArgumentError{Op: op, Name: "queue_ids", What: "is empty, and the API would purge everything"}
	}
	for _, id := range queueIDs {
		if !plausibleID(id) {
			return nil, &ArgumentError{Op: op, Name: "queue_ids", What: "holds an id that is empty or has characters no id has"}
		}
	}
	ids := slices.Compact(slices.Sorted(slices.Values(queueIDs)))
	var purged []string
	for chunk := range slices.Chunk(ids, maxPurge) {
		echo, err := c.purge(ctx, op, phone, chunk)
		purged = append(purged, echo...)
		if err != nil {
			return purged, err
		}
	}
	return purged, nil
}

func (c *Client) purge(ctx context.Context, op, phone string, ids []string) ([]string, error) {
	body, err := json.Marshal(struct {
		QueueIDs []string `json:"queue_ids"`
	}{ids})
	if err != nil {
		return nil, &ArgumentError{Op: op, Name: "queue_ids", What: "cannot be written as JSON"}
	}
	type wirePurge struct {
		Purged   flexBool `json:"purged"`
		Mode     string   `json:"mode"`
		QueueIDs []string `json:"queue_ids"`
	}
	request := call{op: op, method: http.MethodPost, url: c.url(nil, "message", "queues", "purge"), phone: phone, body: body}
	echo, meta, err := get(ctx, c, request, decodeOne[wirePurge])
	if err != nil {
		return nil, err
	}
	if !bool(echo.Purged) && echo.Mode == "queue_ids" && len(echo.QueueIDs) == 0 {
		return nil, nil // none of them is in the queue
	}
	foreign := slices.ContainsFunc(echo.QueueIDs, func(id string) bool { return !slices.Contains(ids, id) })
	if foreign || !bool(echo.Purged) || echo.Mode != "queue_ids" {
		return nil, &ResponseError{Op: op, Status: meta.HTTPStatus, Reason: ReasonEcho, Meta: meta}
	}
	return echo.QueueIDs, nil
}
