package storage

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/herald-campaigns/herald/campaign"
)

// report is where a campaign reports to, and what its notices say of it. It is
// read once per campaign: nothing of it changes but by UpdatePlan.
type report struct {
	id       campaign.ID
	name     string
	mode     campaign.Mode
	url      string // "": nowhere
	messages bool
}

// report is where the campaign reports to.
func (t *tx) report(ctx context.Context, number int64) (report, error) {
	if known, ok := t.reports[number]; ok {
		return known, nil
	}
	var r report
	var encoded string
	err := t.row(ctx, "SELECT id, name, mode, spec FROM campaigns WHERE n = ?", number).Scan(&r.id, &r.name, &r.mode, &encoded)
	if err != nil {
		return r, err
	}
	var spec struct {
		Notify *campaign.Notify `json:"notify"`
	}
	if err := json.Unmarshal([]byte(encoded), &spec); err != nil {
		return r, fmt.Errorf("decode the campaign file of %s: %w", r.id, err)
	}
	if spec.Notify != nil {
		r.url, r.messages = spec.Notify.URL, spec.Notify.Messages && spec.Notify.URL != ""
	}
	t.reports[number] = r
	return r, nil
}

// notify keeps a notice until its receiver has it.
func (t *tx) notify(ctx context.Context, number int64, url string, kind campaign.NoticeKind, data any) error {
	now := t.now()
	body, err := json.Marshal(campaign.NoticeBody{Type: kind, Timestamp: moment(now), Data: data})
	if err != nil {
		return fmt.Errorf("encode a notice: %w", err)
	}
	_, err = t.exec(ctx, "INSERT INTO notices (id, campaign_n, url, kind, body, created, next_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
		"msg_"+ulid.Make().String(), number, url, string(kind), body, now, now)
	return err
}

// reportState tells of a campaign's move.
func (t *tx) reportState(ctx context.Context, number int64, from, to campaign.State, reason campaign.PauseReason, detail string) error {
	r, err := t.report(ctx, number)
	if err != nil || r.url == "" {
		return err
	}
	return t.notify(ctx, number, r.url, campaign.NoticeCampaign, campaign.CampaignNotice{
		CampaignID: r.id, CampaignName: r.name, Mode: r.mode, From: from, To: to, Reason: reason, Detail: detail,
	})
}

// reportRow tells what a row has come to, if that is for others to know: not
// the steps before the call, and of skips only those by an opt-out. That a row is
// canceled is told only of one that was told of before (Withdraw).
func (t *tx) reportRow(ctx context.Context, number, seq int64, at standing) error {
	switch at.Status {
	case campaign.StatusQueued, campaign.StatusSent, campaign.StatusDelivered, campaign.StatusRead,
		campaign.StatusFailed, campaign.StatusUnknown:
	case campaign.StatusSkipped:
		if at.Skip != campaign.SkipOptedOut {
			return nil
		}
	case campaign.StatusPending, campaign.StatusStaged, campaign.StatusSubmitting, campaign.StatusProcessing, campaign.StatusCanceled:
		return nil
	}
	return t.tellRow(ctx, number, seq, at)
}

func (t *tx) tellRow(ctx context.Context, number, seq int64, at standing) error {
	r, err := t.report(ctx, number)
	if err != nil || !r.messages {
		return err
	}
	row, times, err := t.noticeRow(ctx, r, number, seq)
	if err != nil {
		return err
	}
	when := times[at.Status]
	if when == 0 {
		when = t.now()
	}
	return t.notify(ctx, number, r.url, campaign.NoticeMessage, campaign.MessageNotice{
		RowNotice: row, Status: at.Status, Reason: string(at.Skip) + string(at.Fail), At: moment(when),
	})
}

// noticeRow names a row for a notice, with the times of its statuses.
func (t *tx) noticeRow(ctx context.Context, r report, number, seq int64) (campaign.RowNotice, map[campaign.Status]int64, error) {
	row := campaign.RowNotice{CampaignID: r.id, CampaignName: r.name, Mode: r.mode, Seq: seq}
	var queued, sent, delivered, read, failed int64
	err := t.row(ctx, `
		SELECT line, chat, queue_id, unique_id, queued_at, sent_at, delivered_at, read_at, failed_at
		FROM recipients WHERE campaign_n = ? AND seq = ?`, number, seq).
		Scan(&row.Line, &row.Chat, &row.QueueID, &row.UniqueID, &queued, &sent, &delivered, &read, &failed)
	return row, map[campaign.Status]int64{
		campaign.StatusQueued: queued, campaign.StatusSent: sent, campaign.StatusDelivered: delivered,
		campaign.StatusRead: read, campaign.StatusFailed: failed,
	}, err
}

// reportReply tells of a reply to a row.
func (t *tx) reportReply(ctx context.Context, p replyRow) error {
	r, err := t.report(ctx, p.Campaign)
	if err != nil || !r.messages {
		return err
	}
	row, _, err := t.noticeRow(ctx, r, p.Campaign, p.Seq)
	if err != nil {
		return err
	}
	return t.notify(ctx, p.Campaign, r.url, campaign.NoticeReply, campaign.ReplyNotice{
		RowNotice: row, Tie: p.Tie, Kind: p.Kind, Text: p.Text, At: moment(p.At),
	})
}

// reportOptOut tells of an opt-out in answer to a row.
func (t *tx) reportOptOut(ctx context.Context, c consentRow) error {
	r, err := t.report(ctx, c.Campaign)
	if err != nil || !r.messages {
		return err
	}
	row, _, err := t.noticeRow(ctx, r, c.Campaign, c.Seq)
	if err != nil {
		return err
	}
	return t.notify(ctx, c.Campaign, r.url, campaign.NoticeOptOut, campaign.OptOutNotice{
		RowNotice: row, Source: c.source(), Reason: c.Reason, At: moment(c.At),
	})
}

// DueNotices is the notices to be delivered to a URL at now, the longest due
// first.
func (s *Store) DueNotices(ctx context.Context, url string, now time.Time, limit int) ([]campaign.Notice, error) {
	var rows []struct {
		ID       string              `db:"id"`
		Campaign int64               `db:"campaign_n"`
		URL      string              `db:"url"`
		Kind     campaign.NoticeKind `db:"kind"`
		Body     []byte              `db:"body"`
		Created  int64               `db:"created"`
		Attempts int                 `db:"attempts"`
	}
	err := s.readers.SelectContext(ctx, &rows, s.readers.Rebind(dueNoticesQuery), url, millis(now), limit)
	if err != nil {
		return nil, s.fail("list due notices", err)
	}
	list := make([]campaign.Notice, len(rows))
	for i, r := range rows {
		id, err := s.campaignID(ctx, r.Campaign)
		if err != nil {
			return nil, s.fail("list due notices", err)
		}
		list[i] = campaign.Notice{
			ID: r.ID, Campaign: id, URL: r.URL, Kind: r.Kind, Body: r.Body, Created: moment(r.Created), Attempts: r.Attempts,
		}
	}
	return list, nil
}

const dueNoticesQuery = `SELECT id, campaign_n, url, kind, body, created, attempts FROM notices
	WHERE url = ? AND next_at > 0 AND next_at <= ? ORDER BY next_at, id LIMIT ?`

// NoticeQueues is who is waited for with notices, and since or until when.
func (s *Store) NoticeQueues(ctx context.Context) ([]campaign.NoticeQueue, error) {
	var rows []struct {
		URL  string `db:"url"`
		Next int64  `db:"next_at"`
	}
	if err := s.readers.SelectContext(ctx, &rows, noticeQueuesQuery); err != nil {
		return nil, s.fail("list who waits for notices", err)
	}
	list := make([]campaign.NoticeQueue, len(rows))
	for i, r := range rows {
		list[i] = campaign.NoticeQueue{URL: r.URL, Next: moment(r.Next)}
	}
	return list, nil
}

// noticeQueuesQuery jumps in the index from one URL to the next: a million
// notices for one receiver cost as much as one.
const noticeQueuesQuery = `
	WITH RECURSIVE urls (url) AS (
	  SELECT MIN(url) FROM notices WHERE next_at > 0
	  UNION ALL
	  SELECT (SELECT MIN(n.url) FROM notices AS n WHERE n.next_at > 0 AND n.url > urls.url) FROM urls WHERE urls.url IS NOT NULL
	)
	SELECT url, (SELECT MIN(n.next_at) FROM notices AS n WHERE n.url = urls.url AND n.next_at > 0) AS next_at
	FROM urls WHERE url IS NOT NULL`

// NoticesDelivered keeps what attempts to deliver notices came to. A notice
// that is done loses its body; one done with a reason was given up. What is
// done stays done.
func (s *Store) NoticesDelivered(ctx context.Context, attempts []campaign.Delivered) error {
	if len(attempts) == 0 {
		return nil
	}
	_, err := write(ctx, s, func(ctx context.Context, t *tx) (struct{}, error) {
		for _, d := range attempts {
			query, args := "UPDATE notices SET attempts = attempts + 1, failed = ?, next_at = ? WHERE id = ? AND next_at > 0",
				[]any{d.Failed, max(1, millis(d.Next)), d.ID}
			if d.Done {
				query, args = "UPDATE notices SET attempts = attempts + 1, failed = ?, next_at = 0, body = '' WHERE id = ? AND next_at > 0",
					[]any{d.Failed, d.ID}
			}
			if _, err := t.exec(ctx, query, args...); err != nil {
				return struct{}{}, err
			}
		}
		return struct{}{}, nil
	})
	return s.fail("keep what was delivered", err)
}

// Notices says where the notices of a campaign stand.
func (s *Store) Notices(ctx context.Context, id campaign.ID) (campaign.NoticeCounts, error) {
	number, err := s.number(ctx, id)
	if err != nil {
		return campaign.NoticeCounts{}, s.fail("count notices", err)
	}
	var n struct {
		Waiting   int64 `db:"waiting"`
		Delivered int64 `db:"delivered"`
		GivenUp   int64 `db:"given_up"`
	}
	err = s.readers.GetContext(ctx, &n, s.readers.Rebind(`
		SELECT COALESCE(SUM(CASE WHEN next_at > 0 THEN 1 ELSE 0 END), 0) AS waiting,
		  COALESCE(SUM(CASE WHEN next_at = 0 AND failed = '' THEN 1 ELSE 0 END), 0) AS delivered,
		  COALESCE(SUM(CASE WHEN next_at = 0 AND failed <> '' THEN 1 ELSE 0 END), 0) AS given_up
		FROM notices WHERE campaign_n = ?`), number)
	return campaign.NoticeCounts(n), s.fail(fmt.Sprintf("count the notices of campaign %s", id), err)
}
