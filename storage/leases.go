package storage

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/herald-campaigns/herald/campaign"
)

type leaseRow struct {
	Holder       string `db:"holder"`
	Epoch        int64  `db:"epoch"`
	ExpiresAt    int64  `db:"expires_at"`
	BlockedUntil int64  `db:"blocked_until"`
	LastGrant    int64  `db:"last_grant"`
}

const leaseColumns = "holder, epoch, expires_at, blocked_until, last_grant"

func (r leaseRow) lease(sender campaign.SenderID) campaign.Lease {
	return campaign.Lease{
		Sender: sender, Holder: r.Holder, Epoch: r.Epoch, ExpiresAt: moment(r.ExpiresAt),
		BlockedUntil: moment(r.BlockedUntil), LastGrant: moment(r.LastGrant),
	}
}

// AcquireLease takes the right to serve a sender if nobody has it, its holder
// let it expire, or the caller has it already. The epoch is a new one each
// time, which fences off whoever had it before. While another holder has it,
// the answer is that lease and false.
func (s *Store) AcquireLease(ctx context.Context, sender campaign.SenderID, holder string, ttl time.Duration) (campaign.Lease, bool, error) {
	return s.changeLease(ctx, "acquire", sender, func(ctx context.Context, t *tx, number int64) (leaseRow, error) {
		now := t.now()
		var row leaseRow
		err := t.GetContext(ctx, &row, t.Rebind(`
			INSERT INTO leases (sender_n, holder, epoch, expires_at) VALUES (?, ?, 1, ?)
			ON CONFLICT (sender_n) DO UPDATE SET holder = excluded.holder, epoch = leases.epoch + 1, expires_at = excluded.expires_at
			  WHERE leases.expires_at <= ? OR leases.holder = excluded.holder
			RETURNING `+leaseColumns), number, holder, now+ttl.Milliseconds(), now)
		if err != nil {
			return row, err
		}
		return row, t.forgetUsage(ctx, number, now)
	})
}

// RenewLease prolongs a lease that is still held. False says that it is lost:
// it expired, or another has it; the answer then is the lease as it stands.
func (s *Store) RenewLease(ctx context.Context, lease campaign.Lease, ttl time.Duration) (campaign.Lease, bool, error) {
	return s.changeLease(ctx, "renew", lease.Sender, func(ctx context.Context, t *tx, number int64) (leaseRow, error) {
		now := t.now()
		var row leaseRow
		err := t.GetContext(ctx, &row, t.Rebind(`
			UPDATE leases SET expires_at = ? WHERE sender_n = ? AND holder = ? AND epoch = ? AND expires_at > ?
			RETURNING `+leaseColumns), now+ttl.Milliseconds(), number, lease.Holder, lease.Epoch, now)
		return row, err
	})
}

// changeLease runs one statement on a lease. No row means that another has it,
// and the lease is read as it stands.
func (s *Store) changeLease(
	ctx context.Context, verb string, sender campaign.SenderID,
	change func(ctx context.Context, t *tx, number int64) (leaseRow, error),
) (campaign.Lease, bool, error) {
	what := fmt.Sprintf("%s the lease of %s", verb, sender)
	number, err := s.senderNumber(ctx, sender)
	if err != nil {
		return campaign.Lease{}, false, s.fail(what, err)
	}
	type answer struct {
		row leaseRow
		ok  bool
	}
	got, err := write(ctx, s, func(ctx context.Context, t *tx) (answer, error) {
		row, err := change(ctx, t, number)
		if !errors.Is(err, sql.ErrNoRows) {
			return answer{row, err == nil}, err
		}
		err = t.GetContext(ctx, &row, t.Rebind("SELECT "+leaseColumns+" FROM leases WHERE sender_n = ?"), number)
		if errors.Is(err, sql.ErrNoRows) {
			err = nil // renewing what never was
		}
		return answer{row, false}, err
	})
	if err != nil {
		return campaign.Lease{}, false, s.fail(what, err)
	}
	return got.row.lease(sender), got.ok, nil
}

// ReleaseLease gives a lease back at once, so that the next holder need not
// wait for its end. A lease that is lost already is no error.
func (s *Store) ReleaseLease(ctx context.Context, lease campaign.Lease) error {
	return s.updateLease(ctx, "release", lease.Sender, func(ctx context.Context, t *tx, number int64) error {
		_, err := t.exec(ctx, "UPDATE leases SET expires_at = ? WHERE sender_n = ? AND holder = ? AND epoch = ?",
			t.now(), number, lease.Holder, lease.Epoch)
		return err
	})
}

// BlockSender keeps that the API asked a sender to wait (429), for this holder
// and the next. An earlier time than the one kept changes nothing, and whose
// epoch is current does not matter: the API spoke to the phone.
func (s *Store) BlockSender(ctx context.Context, lease campaign.Lease, until time.Time) error {
	return s.updateLease(ctx, "block", lease.Sender, func(ctx context.Context, t *tx, number int64) error {
		_, err := t.exec(ctx, "UPDATE leases SET blocked_until = ? WHERE sender_n = ? AND blocked_until < ?",
			millis(until), number, millis(until))
		return err
	})
}

func (s *Store) updateLease(
	ctx context.Context, verb string, sender campaign.SenderID, change func(ctx context.Context, t *tx, number int64) error,
) error {
	what := fmt.Sprintf("%s the lease of %s", verb, sender)
	number, err := s.senderNumber(ctx, sender)
	if err != nil {
		return s.fail(what, err)
	}
	_, err = write(ctx, s, func(ctx context.Context, t *tx) (struct{}, error) {
		return struct{}{}, change(ctx, t, number)
	})
	return s.fail(what, err)
}

// Leases is the leases that senders ever had, by the age of the senders.
func (s *Store) Leases(ctx context.Context) ([]campaign.Lease, error) {
	var rows []struct {
		Sender campaign.SenderID `db:"id"`
		leaseRow
	}
	err := s.readers.SelectContext(ctx, &rows, "SELECT s.id, "+leaseColumns+" FROM leases l JOIN senders s ON s.n = l.sender_n ORDER BY s.n")
	if err != nil {
		return nil, s.fail("list the leases", err)
	}
	leases := make([]campaign.Lease, len(rows))
	for i, r := range rows {
		leases[i] = r.lease(r.Sender)
	}
	return leases, nil
}
