package storage

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/herald-campaigns/herald/campaign"
)

type sweepRow struct {
	SenderN int64              `db:"sender_n"`
	Kind    campaign.SweepKind `db:"kind"`
	Key     string             `db:"key"`
	Mark    int64              `db:"mark"`
	NextAt  int64              `db:"next_at"`
	Times   int                `db:"times"`
}

const sweepColumns = "sender_n, kind, key, mark, next_at, times"

func (s *Store) sweepOf(ctx context.Context, r sweepRow) (campaign.Sweep, error) {
	sender, err := s.sender(ctx, r.SenderN)
	return campaign.Sweep{Sender: sender, Kind: r.Kind, Key: r.Key, Mark: moment(r.Mark), Next: moment(r.NextAt), Times: r.Times}, err
}

// Sweeps is the looks that are due at now, the longest due first.
func (s *Store) Sweeps(ctx context.Context, now time.Time) ([]campaign.Sweep, error) {
	var rows []sweepRow
	err := s.readers.SelectContext(ctx, &rows, s.readers.Rebind(
		"SELECT "+sweepColumns+" FROM sweeps WHERE next_at <= ? ORDER BY next_at, sender_n, kind, key"), millis(now))
	if err != nil {
		return nil, s.fail("list due sweeps", err)
	}
	list := make([]campaign.Sweep, len(rows))
	for i, r := range rows {
		if list[i], err = s.sweepOf(ctx, r); err != nil {
			return nil, s.fail("list due sweeps", err)
		}
	}
	return list, nil
}

// Sweep is how far one look has come. One that was never made has no mark and
// is due at once.
func (s *Store) Sweep(ctx context.Context, sender campaign.SenderID, kind campaign.SweepKind, key string) (campaign.Sweep, error) {
	number, err := s.senderNumber(ctx, sender)
	if err != nil {
		return campaign.Sweep{}, s.fail("read a sweep", err)
	}
	row := sweepRow{SenderN: number, Kind: kind, Key: key}
	err = s.readers.GetContext(ctx, &row, s.readers.Rebind(
		"SELECT "+sweepColumns+" FROM sweeps WHERE sender_n = ? AND kind = ? AND key = ?"), number, string(kind), key)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return campaign.Sweep{}, s.fail("read a sweep", err)
	}
	sweep, err := s.sweepOf(ctx, row)
	return sweep, s.fail("read a sweep", err)
}

// PutSweep keeps how far a look has come, in place of what was kept.
func (s *Store) PutSweep(ctx context.Context, sweep campaign.Sweep) error {
	number, err := s.senderNumber(ctx, sweep.Sender.ID)
	if err != nil {
		return s.fail("keep a sweep", err)
	}
	_, err = write(ctx, s, func(ctx context.Context, t *tx) (int64, error) {
		return t.exec(ctx, `
			INSERT INTO sweeps (`+sweepColumns+`) VALUES (?, ?, ?, ?, ?, ?)
			ON CONFLICT (sender_n, kind, key) DO UPDATE SET mark = excluded.mark, next_at = excluded.next_at, times = excluded.times`,
			number, string(sweep.Kind), sweep.Key, millis(sweep.Mark), millis(sweep.Next), sweep.Times)
	})
	return s.fail("keep a sweep", err)
}
