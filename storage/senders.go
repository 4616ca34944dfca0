package storage

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/herald-campaigns/herald/campaign"
)

// EnsureSender is the sender of a phone, minted when the ledger sees it first.
func (s *Store) EnsureSender(ctx context.Context, phone campaign.Phone) (campaign.Sender, error) {
	if phone == "" {
		return campaign.Sender{}, errors.New("ensure a sender: the phone is empty")
	}
	id, err := write(ctx, s, func(ctx context.Context, t *tx) (campaign.SenderID, error) {
		_, err := t.exec(ctx, "INSERT INTO senders (id, phone, created_at) VALUES (?, ?, ?) ON CONFLICT (phone) DO NOTHING",
			campaign.NewSenderID(), string(phone), t.now())
		if err != nil {
			return "", err
		}
		var id campaign.SenderID
		err = t.row(ctx, "SELECT id FROM senders WHERE phone = ?", string(phone)).Scan(&id)
		return id, err
	})
	if err != nil {
		return campaign.Sender{}, s.fail(fmt.Sprintf("ensure sender %s", phone), err)
	}
	return campaign.Sender{ID: id, Phone: phone}, nil
}

// Senders is every sender, the oldest first.
func (s *Store) Senders(ctx context.Context) ([]campaign.Sender, error) {
	var rows []senderRow
	if err := s.readers.SelectContext(ctx, &rows, "SELECT n, id, phone FROM senders ORDER BY n"); err != nil {
		return nil, s.fail("list senders", err)
	}
	senders := make([]campaign.Sender, len(rows))
	for i, r := range rows {
		senders[i] = campaign.Sender{ID: r.ID, Phone: r.Phone}
	}
	return senders, nil
}

type senderRow struct {
	N     int64             `db:"n"`
	ID    campaign.SenderID `db:"id"`
	Phone campaign.Phone    `db:"phone"`
}

// senderNumber is the sender's number in the ledger; "" has 0.
func (s *Store) senderNumber(ctx context.Context, id campaign.SenderID) (int64, error) {
	if id == "" {
		return 0, nil
	}
	if n, ok := s.senders.Load(id); ok {
		return n.(int64), nil //nolint:forcetypeassert // only int64 is stored
	}
	row, err := s.readSender(ctx, "SELECT n, id, phone FROM senders WHERE id = ?", id)
	return row.N, err
}

// sender is the reverse of senderNumber.
func (s *Store) sender(ctx context.Context, number int64) (campaign.Sender, error) {
	if number == 0 {
		return campaign.Sender{}, nil
	}
	if known, ok := s.senderIDs.Load(number); ok {
		return known.(campaign.Sender), nil //nolint:forcetypeassert // only senders are stored
	}
	row, err := s.readSender(ctx, "SELECT n, id, phone FROM senders WHERE n = ?", number)
	return campaign.Sender{ID: row.ID, Phone: row.Phone}, err
}

func (s *Store) readSender(ctx context.Context, query string, arg any) (senderRow, error) {
	var row senderRow
	err := s.readers.GetContext(ctx, &row, s.readers.Rebind(query), arg)
	if errors.Is(err, sql.ErrNoRows) {
		return row, &campaign.Error{Code: campaign.CodeNotFound, What: fmt.Sprintf("no such sender %v", arg)}
	}
	if err != nil {
		return row, err
	}
	s.senders.Store(row.ID, row.N)
	s.senderIDs.Store(row.N, campaign.Sender{ID: row.ID, Phone: row.Phone})
	return row, nil
}

// SenderUsage is how many intents a sender had in the last 60 minutes and 24
// hours, as its caps count them: a minute that lies partly inside counts whole.
func (s *Store) SenderUsage(ctx context.Context, id campaign.SenderID) (hour, day int64, err error) {
	sender, err := s.senderNumber(ctx, id)
	if err != nil {
		return 0, 0, s.fail("read a sender's usage", err)
	}
	var w window
	minute := s.now() / minuteMillis
	err = s.readers.SelectContext(ctx, &w, s.readers.Rebind(
		"SELECT minute, n FROM sender_usage WHERE sender_n = ? AND minute >= ? ORDER BY minute"), sender, minute-dayMinutes)
	return w.used(minute - hourMinutes), w.used(minute - dayMinutes), s.fail("read a sender's usage", err)
}

// VisibilityLag is the longest time that was seen between the acceptance of a
// message of this sender and its appearance in the provider's lists; false
// when it was never measured, or a later message was not seen to appear at all
// (the lag is then at least as long). How long absence from the lists proves nothing
// is reckoned from it.
func (s *Store) VisibilityLag(ctx context.Context, sender campaign.SenderID) (lag time.Duration, measured bool, err error) {
	number, err := s.senderNumber(ctx, sender)
	if err != nil {
		return 0, false, s.fail("read the visibility lag", err)
	}
	var ms int64
	err = s.readers.GetContext(ctx, &ms, s.readers.Rebind("SELECT lag_ms FROM senders WHERE n = ?"), number)
	if err != nil {
		return 0, false, s.fail(fmt.Sprintf("read the visibility lag of %s", sender), err)
	}
	if ms < 0 {
		return time.Duration(-1-ms) * time.Millisecond, false, nil
	}
	return time.Duration(ms) * time.Millisecond, true, nil
}

// KeepVisibilityLag keeps a measured lag if it is the longest so far, and that
// it was measured. One below zero, which two clocks can make, counts as none.
func (s *Store) KeepVisibilityLag(ctx context.Context, sender campaign.SenderID, lag time.Duration) error {
	return s.setLag(ctx, sender, lag, "MAX("+longestLag+", ?)")
}

// DoubtVisibilityLag keeps that a message had not appeared after lag: nothing
// counts as measured until KeepVisibilityLag is called again.
func (s *Store) DoubtVisibilityLag(ctx context.Context, sender campaign.SenderID, lag time.Duration) error {
	return s.setLag(ctx, sender, lag, "-1 - MAX("+longestLag+", ?)")
}

// longestLag is what lag_ms says: below zero it is -1 minus a lag that is not
// to be relied on.
const longestLag = "CASE WHEN lag_ms < 0 THEN -1 - lag_ms ELSE lag_ms END"

// setLag sets lag_ms to an expression with one parameter, the lag.
func (s *Store) setLag(ctx context.Context, sender campaign.SenderID, lag time.Duration, value string) error {
	what := fmt.Sprintf("keep the visibility lag of %s", sender)
	number, err := s.senderNumber(ctx, sender)
	if err != nil {
		return s.fail(what, err)
	}
	// Rounded up: half a millisecond is no lag of zero.
	ms := max(0, (lag + time.Millisecond - 1).Milliseconds())
	_, err = write(ctx, s, func(ctx context.Context, t *tx) (int64, error) {
		return t.exec(ctx, "UPDATE senders SET lag_ms = "+value+" WHERE n = ?", ms, number)
	})
	return s.fail(what, err)
}
