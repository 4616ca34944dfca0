package storage

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/herald-campaigns/herald/campaign"
)

// keepKeys is how long the key of a delivery that is done is kept at least, to
// know a repetition of it.
const keepKeys = 24 * time.Hour

// Receive keeps webhook deliveries: Key, Name, Body and Received (zero: now).
// They are on disk when it returns, in one transaction. A key that is known,
// whatever became of it, is not kept twice; fresh is how many were not.
func (s *Store) Receive(ctx context.Context, list []campaign.Delivery) (fresh int, err error) {
	if len(list) == 0 {
		return 0, nil
	}
	fresh, err = write(ctx, s, func(ctx context.Context, t *tx) (int, error) {
		kept := 0
		for _, d := range list {
			received := millis(d.Received)
			if received == 0 {
				received = t.now()
			}
			body := d.Body
			if body == nil {
				body = []byte{} // NULL says that it is done
			}
			n, err := t.exec(ctx, "INSERT INTO deliveries (key, name, body, received) VALUES (?, ?, ?, ?) ON CONFLICT (key) DO NOTHING",
				d.Key, d.Name, body, received)
			if err != nil {
				return 0, err
			}
			kept += int(n)
		}
		return kept, nil
	})
	return fresh, s.fail("keep webhook deliveries", err)
}

// Deliveries is those that nobody has looked at yet, in the order of arrival.
func (s *Store) Deliveries(ctx context.Context, limit int) ([]campaign.Delivery, error) {
	return s.deliveries(ctx, freshQuery, limit)
}

// Parked is those that wait for their row, in the order of arrival: with a
// number above after, which a page passes on to the next.
func (s *Store) Parked(ctx context.Context, limit int, after int64) ([]campaign.Delivery, error) {
	return s.deliveries(ctx, parkedQuery, after, limit)
}

const (
	freshQuery = `SELECT n, key, name, body, received, parked FROM deliveries
	WHERE body IS NOT NULL AND parked = 0 ORDER BY n LIMIT ?`
	parkedQuery = `SELECT n, key, name, body, received, parked FROM deliveries
	WHERE body IS NOT NULL AND parked > 0 AND n > ? ORDER BY n LIMIT ?`
)

func (s *Store) deliveries(ctx context.Context, query string, args ...any) ([]campaign.Delivery, error) {
	var rows []struct {
		N        int64  `db:"n"`
		Key      string `db:"key"`
		Name     string `db:"name"`
		Body     []byte `db:"body"`
		Received int64  `db:"received"`
		Parked   int64  `db:"parked"`
	}
	if err := s.readers.SelectContext(ctx, &rows, s.readers.Rebind(query), args...); err != nil {
		return nil, s.fail("read webhook deliveries", err)
	}
	list := make([]campaign.Delivery, len(rows))
	for i, r := range rows {
		list[i] = campaign.Delivery{
			N: r.N, Key: r.Key, Name: r.Name, Body: r.Body, Received: moment(r.Received), Parked: moment(r.Parked),
		}
	}
	return list, nil
}

// DeliveryBacklog is how many deliveries nobody has looked at yet, and how many
// wait for their row.
func (s *Store) DeliveryBacklog(ctx context.Context) (fresh, parked int64, err error) {
	err = s.readers.GetContext(ctx, &fresh, "SELECT COUNT(*) FROM deliveries WHERE body IS NOT NULL AND parked = 0")
	if err == nil {
		err = s.readers.GetContext(ctx, &parked, "SELECT COUNT(*) FROM deliveries WHERE body IS NOT NULL AND parked > 0")
	}
	return fresh, parked, s.fail("count webhook deliveries", err)
}

// ForgetDeliveries drops the deliveries that have waited for their row for
// longer than campaign.ParkFor, and the oldest of those that wait beyond
// Config.ParkedRows and ParkedBytes, and returns how many; and the keys of those
// that are done, a day after they were received.
func (s *Store) ForgetDeliveries(ctx context.Context, now time.Time) (dropped int64, err error) {
	const what = "forget webhook deliveries"
	excess, err := s.excess(ctx)
	if err != nil {
		return 0, s.fail(what, err)
	}
	for _, sweep := range []struct {
		query  string
		bound  int64
		counts bool
	}{
		{forgetParked, millis(now.Add(-campaign.ParkFor)), true},
		{forgetExcess, excess, true},
		{forgetDone, millis(now.Add(-keepKeys)), false},
	} {
		n, err := s.inChunks(ctx, func(ctx context.Context, t *tx) (int64, error) {
			return t.exec(ctx, sweep.query, sweep.bound, chunkRows)
		})
		if sweep.counts {
			dropped += n
		}
		if err != nil {
			return dropped, s.fail(what, err)
		}
	}
	return dropped, nil
}

// excess is the number of the newest parked delivery that there is no room for;
// 0: there is room for all.
func (s *Store) excess(ctx context.Context) (n int64, err error) {
	rows, err := s.readers.QueryContext(ctx, parkedSizes)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	var count, bytes int64
	for rows.Next() {
		var number, size int64
		if err := rows.Scan(&number, &size); err != nil {
			return 0, err
		}
		count, bytes = count+1, bytes+size
		if count > s.config.ParkedRows || bytes > s.config.ParkedBytes {
			return number, nil
		}
	}
	return 0, rows.Err()
}

const (
	forgetParked = `DELETE FROM deliveries WHERE n IN
	(SELECT n FROM deliveries WHERE body IS NOT NULL AND parked > 0 AND parked < ? LIMIT ?)`
	forgetExcess = `DELETE FROM deliveries WHERE n IN
	(SELECT n FROM deliveries WHERE body IS NOT NULL AND parked > 0 AND n <= ? ORDER BY n LIMIT ?)`
	forgetDone  = `DELETE FROM deliveries WHERE n IN (SELECT n FROM deliveries WHERE body IS NULL AND received < ? LIMIT ?)`
	parkedSizes = "SELECT n, LENGTH(body) FROM deliveries WHERE body IS NOT NULL AND parked > 0 ORDER BY n DESC"
)

// finish says what became of a delivery: it waits, or it is done and its body
// is dropped. One that is done stays so.
func (t *tx) finish(ctx context.Context, n int64, park bool) error {
	if n == 0 {
		return nil
	}
	query, args := "UPDATE deliveries SET body = NULL WHERE n = ? AND body IS NOT NULL", []any{n}
	if park {
		query, args = "UPDATE deliveries SET parked = ? WHERE n = ? AND body IS NOT NULL AND parked = 0", []any{t.now(), n}
	}
	if _, err := t.exec(ctx, query, args...); err != nil {
		return fmt.Errorf("delivery %d: %w", n, err)
	}
	return nil
}
