package storage

import (
	"context"
	"fmt"
	"time"

	"github.com/herald-campaigns/herald/campaign"
)

// PhoneRecord is what was last seen of a sender's phone.
type PhoneRecord struct {
	Sender campaign.Sender
	State  campaign.PhoneState // "" when it was never looked at
	Since  time.Time           // in that state
	Seen   time.Time           // looked at last
}

// PutPhone keeps what was seen of a sender's phone at a time (zero: now). What
// was seen earlier than what is known changes nothing: news comes out of order.
func (s *Store) PutPhone(ctx context.Context, sender campaign.SenderID, state campaign.PhoneState, at time.Time) error {
	what := fmt.Sprintf("keep the state of %s", sender)
	number, err := s.senderNumber(ctx, sender)
	if err != nil {
		return s.fail(what, err)
	}
	_, err = write(ctx, s, func(ctx context.Context, t *tx) (int64, error) {
		seen := millis(at)
		if seen == 0 {
			seen = t.now()
		}
		return t.exec(ctx, `
			UPDATE senders SET phone_since = CASE WHEN phone_state = ? THEN phone_since ELSE ? END, phone_state = ?, phone_seen = ?
			WHERE n = ? AND phone_seen <= ?`, string(state), seen, string(state), seen, number, seen)
	})
	return s.fail(what, err)
}

// PhoneStates is what was last seen of every sender's phone, the oldest sender
// first.
func (s *Store) PhoneStates(ctx context.Context) ([]PhoneRecord, error) {
	var rows []struct {
		senderRow
		State campaign.PhoneState `db:"phone_state"`
		Since int64               `db:"phone_since"`
		Seen  int64               `db:"phone_seen"`
	}
	err := s.readers.SelectContext(ctx, &rows, "SELECT n, id, phone, phone_state, phone_since, phone_seen FROM senders ORDER BY n")
	if err != nil {
		return nil, s.fail("read the state of the phones", err)
	}
	list := make([]PhoneRecord, len(rows))
	for i, r := range rows {
		list[i] = PhoneRecord{
			Sender: campaign.Sender{ID: r.ID, Phone: r.Phone}, State: r.State, Since: moment(r.Since), Seen: moment(r.Seen),
		}
	}
	return list, nil
}
