package storage

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/herald-campaigns/herald/campaign"
)

// Claim writes the intent of one call of the send API: the compare-and-set
// staged → submitting (stream page §3). When it returns granted, the intent is
// on disk and the caller, and nobody else, may send.
//
// It is granted only to the row's current generation, under the sender's
// current lease, while the campaign runs, within the caps. Otherwise the
// answer says why not and nothing has changed, but for one thing: the row of a
// chat that has opted out becomes skipped. So no intent follows an opt-out that
// is in the ledger (promise P12).
func (s *Store) Claim(ctx context.Context, intent campaign.Intent) (campaign.Claim, error) {
	task := intent.Task
	fail := func(err error) error {
		return s.failf(err, "claim row %d of campaign %s", task.Seq, task.Campaign)
	}
	number, err := s.number(ctx, task.Campaign)
	if errors.Is(err, campaign.ErrNotFound) { // a deleted campaign's task
		return campaign.Claim{Refused: campaign.RefusedStale}, nil
	}
	if err != nil {
		return campaign.Claim{}, fail(err)
	}
	sender, err := s.senderNumber(ctx, task.Sender)
	if err != nil {
		return campaign.Claim{}, fail(err)
	}
	claim, err := write(ctx, s, func(ctx context.Context, t *tx) (campaign.Claim, error) {
		return t.claim(ctx, number, sender, intent)
	})
	return claim, fail(err)
}

func (t *tx) claim(ctx context.Context, number, sender int64, in campaign.Intent) (campaign.Claim, error) {
	now := t.now()
	free, err := t.capFreeAt(ctx, sender, now, in)
	if err != nil {
		return campaign.Claim{}, err
	}
	if free > now {
		return t.refusal(ctx, number, sender, in, now, campaign.Claim{Refused: campaign.RefusedCap, CapFreeAt: moment(free)})
	}
	n, err := t.exec(ctx, `
		UPDATE recipients SET status = 'submitting', attempt = attempt + 1, epoch = ?, claimed_at = ?, body_hash = ?
		WHERE campaign_n = ? AND seq = ? AND gen = ? AND status = 'staged' AND sender_n = ?
		  AND EXISTS (SELECT 1 FROM leases WHERE sender_n = ? AND epoch = ? AND expires_at > ?)
		  AND EXISTS (SELECT 1 FROM campaigns WHERE n = ? AND state = 'running')
		  AND NOT EXISTS (SELECT 1 FROM suppressions WHERE chat = recipients.chat)`,
		in.Epoch, now, in.Task.BodyHash,
		number, in.Task.Seq, in.Task.Gen, sender,
		sender, in.Epoch, now, number)
	if err != nil {
		return campaign.Claim{}, err
	}
	if n == 0 {
		return t.refusal(ctx, number, sender, in, now, campaign.Claim{Refused: campaign.RefusedStale})
	}
	// Not with RETURNING, for which SQLite builds a table: that costs as much
	// as the update.
	var attempt int
	err = t.row(ctx, "SELECT attempt FROM recipients WHERE campaign_n = ? AND seq = ?", number, in.Task.Seq).Scan(&attempt)
	if err != nil {
		return campaign.Claim{}, err
	}
	t.move(number, inStream, submitting, 1)
	t.spend(sender, now, 1)
	t.grants[sender] = max(now, t.grants[sender])
	return campaign.Claim{Attempt: attempt, ClaimedAt: moment(now)}, nil
}

var (
	submitting = standing{Status: campaign.StatusSubmitting}
	unknown    = standing{Status: campaign.StatusUnknown}
)

// capFreeAt is when the sender's caps allow the next intent: now, or later.
func (t *tx) capFreeAt(ctx context.Context, sender, now int64, in campaign.Intent) (int64, error) {
	if in.Hourly <= 0 && in.Daily <= 0 {
		return now, nil
	}
	w, err := t.window(ctx, sender, now)
	return max(w.freeAt(now, in.Hourly, hourMinutes), w.freeAt(now, in.Daily, dayMinutes)), err
}

// refusal finds the precise reason, which only a refused claim pays for. The
// fallback holds when nothing else does.
func (t *tx) refusal(ctx context.Context, number, sender int64, in campaign.Intent, now int64, fallback campaign.Claim) (campaign.Claim, error) {
	var (
		row    standing
		gen    int64
		owner  int64
		state  campaign.State
		leases int
		out    int
	)
	err := t.row(ctx, `
		SELECT r.status, r.skip_reason, r.gen, r.sender_n, c.state,
		  (SELECT COUNT(*) FROM leases l WHERE l.sender_n = ? AND l.epoch = ? AND l.expires_at > ?),
		  (SELECT COUNT(*) FROM suppressions p WHERE p.chat = r.chat)
		FROM recipients r JOIN campaigns c ON c.n = r.campaign_n WHERE r.campaign_n = ? AND r.seq = ?`,
		sender, in.Epoch, now, number, in.Task.Seq).Scan(&row.Status, &row.Skip, &gen, &owner, &state, &leases, &out)
	refuse := func(r campaign.Refusal) (campaign.Claim, error) { return campaign.Claim{Refused: r}, nil }
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return refuse(campaign.RefusedStale)
	case err != nil:
		return campaign.Claim{}, err
	case row.Skip == campaign.SkipOptedOut:
		return refuse(campaign.RefusedOptOut)
	case row.Status != campaign.StatusStaged, gen != in.Task.Gen, owner != sender:
		return refuse(campaign.RefusedStale)
	case out > 0 && !state.Over():
		_, err := t.skip(ctx, number, campaign.Skip{Seq: in.Task.Seq, Reason: campaign.SkipOptedOut})
		if err != nil {
			return campaign.Claim{}, err
		}
		return refuse(campaign.RefusedOptOut)
	case state != campaign.StateRunning:
		return refuse(campaign.RefusedCampaign)
	case leases == 0:
		return refuse(campaign.RefusedLease)
	}
	return fallback, nil
}

// GiveBack takes a claim back before anything was sent: the row is pending
// again (canceled, if its campaign is), and neither the attempt nor the caps
// count it. A row that moved on meanwhile stays as it is.
func (s *Store) GiveBack(ctx context.Context, task campaign.Task, epoch int64) error {
	what := fmt.Sprintf("give back row %d of campaign %s", task.Seq, task.Campaign)
	number, err := s.number(ctx, task.Campaign)
	if err != nil {
		return s.fail(what, err)
	}
	_, err = write(ctx, s, func(ctx context.Context, t *tx) (struct{}, error) {
		to, err := t.waiting(ctx, number)
		if err != nil {
			return struct{}{}, err
		}
		var sender, claimedAt int64
		err = t.row(ctx, `
			UPDATE recipients SET status = ?, attempt = attempt - 1
			WHERE campaign_n = ? AND seq = ? AND gen = ? AND epoch = ? AND status = 'submitting'
			RETURNING sender_n, claimed_at`, string(to.Status), number, task.Seq, task.Gen, epoch).Scan(&sender, &claimedAt)
		if errors.Is(err, sql.ErrNoRows) {
			return struct{}{}, nil
		}
		if err != nil {
			return struct{}{}, err
		}
		t.move(number, submitting, to, 1)
		t.refund(sender, claimedAt)
		return struct{}{}, nil
	})
	return s.fail(what, err)
}
