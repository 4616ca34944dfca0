package storage

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/herald-campaigns/herald/campaign"
)

// The columns of a locatedRow, bare and of a table r.
const (
	locatedColumns = "campaign_n, seq, sender_n, chat, status, queue_id, unique_id, queued_at"
	locatedOfR     = "r.campaign_n, r.seq, r.sender_n, r.chat, r.status, r.queue_id, r.unique_id, r.queued_at"
)

// locatedRow is a row as those see it who look for a message's row.
type locatedRow struct {
	Campaign int64           `db:"campaign_n"`
	Seq      int64           `db:"seq"`
	SenderN  int64           `db:"sender_n"`
	Chat     campaign.ChatID `db:"chat"`
	Status   campaign.Status `db:"status"`
	QueueID  string          `db:"queue_id"`
	UniqueID string          `db:"unique_id"`
	QueuedAt int64           `db:"queued_at"`
}

func (r locatedRow) key() rowKey { return rowKey{r.Campaign, r.Seq} }

func (s *Store) located(ctx context.Context, r locatedRow) (campaign.Located, error) {
	id, err := s.campaignID(ctx, r.Campaign)
	if err != nil {
		return campaign.Located{}, err
	}
	sender, err := s.sender(ctx, r.SenderN)
	return campaign.Located{
		Campaign: id, Seq: r.Seq, Sender: sender, Chat: r.Chat, Status: r.Status,
		QueueID: r.QueueID, UniqueID: r.UniqueID, QueuedAt: moment(r.QueuedAt),
	}, err
}

// Locate finds the rows of messages, in the order of the refs; one that the
// ledger does not know has no Campaign. The queue id is asked first, then the
// unique id, then the unique part of the message id; of each the ids that rows
// have now before those of attempts that were given up. Of several rows with one
// unique id the one with the ref's chat is it, else that of the newest campaign.
func (s *Store) Locate(ctx context.Context, refs []campaign.MessageRef) ([]campaign.Located, error) {
	list := make([]campaign.Located, len(refs))
	for from := 0; from < len(refs); from += locateRows {
		chunk := refs[from:min(from+locateRows, len(refs))]
		index, err := s.locateIDs(ctx, chunk)
		if err != nil {
			return nil, s.fail("find the rows of messages", err)
		}
		for i, ref := range chunk {
			row, former, ok := index.find(ref)
			if !ok {
				continue
			}
			at, err := s.located(ctx, row)
			if err != nil {
				return nil, s.fail("find the rows of messages", err)
			}
			at.Former = former
			list[from+i] = at
		}
	}
	return list, nil
}

// locateRows is how many refs one look-up takes.
const locateRows = 100

// idIndex is what the ledger knows of some ids.
type idIndex struct {
	queue  map[string]locatedRow
	unique map[string][]locatedRow
	former map[string]locatedRow
}

func (x idIndex) find(ref campaign.MessageRef) (row locatedRow, former, ok bool) {
	if row, ok = x.queue[ref.QueueID]; ok {
		return row, false, true
	}
	if row, ok = x.former[ref.QueueID]; ok {
		return row, true, true
	}
	for _, id := range []string{ref.UniqueID, uniquePart(ref.MessageID)} {
		if rows := x.unique[id]; len(rows) > 0 {
			return slices.MaxFunc(rows, func(a, b locatedRow) int {
				return cmp.Or(cmp.Compare(asInt(a.Chat == ref.Chat), asInt(b.Chat == ref.Chat)),
					cmp.Compare(a.Campaign, b.Campaign), cmp.Compare(a.Seq, b.Seq))
			}), false, true
		}
		if row, ok = x.former[id]; ok {
			return row, true, true
		}
	}
	return row, false, false
}

// uniquePart is the unique part of a message id, which comes bare or as
// <true|false>_<chat>_<unique>, of a group with the participant behind it
// (dossier §7.3).
func uniquePart(id string) string {
	if parts := strings.Split(id, "_"); len(parts) >= 3 {
		return parts[2]
	}
	return id
}

// locateIDs looks up all ids of some refs at once.
func (s *Store) locateIDs(ctx context.Context, refs []campaign.MessageRef) (idIndex, error) {
	x := idIndex{queue: map[string]locatedRow{}, unique: map[string][]locatedRow{}, former: map[string]locatedRow{}}
	var queue, unique []string
	for _, ref := range refs {
		if ref.QueueID != "" {
			queue = append(queue, ref.QueueID)
		}
		for _, id := range []string{ref.UniqueID, uniquePart(ref.MessageID)} {
			if id != "" {
				unique = append(unique, id)
			}
		}
	}
	var rows []locatedRow
	if err := s.selectIn(ctx, &rows, byQueueQuery, queue); err != nil {
		return x, err
	}
	for _, r := range rows {
		x.queue[r.QueueID] = r
	}
	rows = nil
	if err := s.selectIn(ctx, &rows, byUniqueQuery, unique); err != nil {
		return x, err
	}
	for _, r := range rows {
		x.unique[r.UniqueID] = append(x.unique[r.UniqueID], r)
	}
	var formers []struct {
		ID string `db:"id"`
		locatedRow
	}
	err := s.selectIn(ctx, &formers, formerQuery, slices.Concat(queue, unique))
	for _, r := range formers {
		x.former[r.ID] = r.locatedRow
	}
	return x, err
}

// selectIn runs a query with one list; an empty list finds nothing.
func (s *Store) selectIn(ctx context.Context, rows any, query string, list []string) error {
	if len(list) == 0 {
		return nil
	}
	slices.Sort(list)
	text, args, err := sqlx.In(query, slices.Compact(list))
	if err != nil {
		return err
	}
	return s.readers.SelectContext(ctx, rows, s.readers.Rebind(text), args...)
}

const (
	byQueueQuery  = "SELECT " + locatedColumns + " FROM recipients WHERE queue_id IN (?) AND queue_id <> ''"
	byUniqueQuery = "SELECT " + locatedColumns + " FROM recipients WHERE unique_id IN (?) AND unique_id <> ''"
	formerQuery   = "SELECT f.id, " + locatedOfR + ` FROM former_ids f CROSS JOIN recipients r
	WHERE f.id IN (?) AND r.campaign_n = f.campaign_n AND r.seq = f.seq`
)

// replySkew is how much earlier than its message a reply may seem to be: the
// provider's clock is not ours, and it tells whole seconds.
const replySkew = 5 * time.Second

// LatestTo is the latest campaign message from a phone to a chat, in any of its
// spellings, at most campaign.ReplyWindow before a time. It is one that the
// provider accepted, or may have accepted: whoever answers has it, whatever is
// known of the call. False: there is none.
func (s *Store) LatestTo(ctx context.Context, phone campaign.Phone, chat campaign.ChatID, at time.Time) (campaign.Located, bool, error) {
	const what = "find the latest message to a chat"
	chats, err := spellings(ctx, s.readers, chat)
	if err != nil {
		return campaign.Located{}, false, s.fail(what, err)
	}
	type sentRow struct {
		locatedRow
		SentAt int64 `db:"sent_at"`
	}
	var best sentRow
	for _, chat := range chats {
		var rows []sentRow
		err := s.readers.SelectContext(ctx, &rows, s.readers.Rebind(latestQuery),
			string(phone), string(chat), millis(at.Add(-campaign.ReplyWindow)), millis(at.Add(replySkew)),
			string(phone), string(chat), millis(at.Add(-campaign.ReplyWindow)), millis(at.Add(replySkew)))
		if err != nil {
			return campaign.Located{}, false, s.fail(what, err)
		}
		for _, r := range rows {
			if cmp.Or(cmp.Compare(r.SentAt, best.SentAt), cmp.Compare(r.Campaign, best.Campaign)) > 0 {
				best = r
			}
		}
	}
	if best.Campaign == 0 {
		return campaign.Located{}, false, nil
	}
	found, err := s.located(ctx, best.locatedRow)
	return found, err == nil, s.fail(what, err)
}

// One look-up per campaign in each of the two indexes on chat, as boundQuery. A
// message was sent at the beginning of its call, or when the provider says. One
// that was taken back out of the provider's queue was not.
const (
	sentAt      = "CASE WHEN r.queued_at > 0 AND r.queued_at < r.claimed_at THEN r.queued_at ELSE r.claimed_at END"
	maybeSent   = "(r.queued_at > 0 AND r.status <> 'canceled' OR r.status IN ('submitting', 'unknown')) AND " + sentAt + " BETWEEN ? AND ?"
	latestQuery = `SELECT ` + locatedOfR + `, ` + sentAt + ` AS sent_at FROM senders s CROSS JOIN campaigns c CROSS JOIN recipients r
	WHERE s.phone = ? AND r.campaign_n = c.n AND r.chat = ? AND r.addressed = 1 AND r.sender_n = s.n AND ` + maybeSent + `
	UNION ALL SELECT ` + locatedOfR + `, ` + sentAt + ` AS sent_at FROM senders s CROSS JOIN campaigns c CROSS JOIN recipients r
	WHERE s.phone = ? AND r.campaign_n = c.n AND r.sender_n = s.n AND r.seq IN
	  (SELECT seq FROM recipients x WHERE x.campaign_n = c.n AND x.chat = ? AND x.addressed = 0 AND x.chat <> '') AND ` + maybeSent
)
