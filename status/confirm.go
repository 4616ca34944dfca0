package status

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/herald-campaigns/herald/campaign"
)

// doubt puts the failures among the readings in line to be asked about, if it is
// time for them.
func (b *Inbox) doubt(readings []*reading) {
	now := b.cfg.Clock()
	b.doubting.Lock()
	defer b.doubting.Unlock()
	for _, r := range readings {
		doubt, known := b.doubts[r.delivery]
		if r.fate != fateDoubt || doubt.asking || now.Before(doubt.next) || !known && len(b.doubts) >= maxDoubts {
			continue
		}
		doubt.asking = true
		b.doubts[r.delivery] = doubt
		b.asking = append(b.asking, r.delivery)
	}
	if len(b.asking) == 0 {
		return
	}
	select {
	case b.doubted <- struct{}{}:
	default: // it is known already
	}
}

// runConfirm has failures confirmed until ctx ends.
func (b *Inbox) runConfirm(ctx context.Context) {
	for ctx.Err() == nil {
		if err := b.ConfirmRound(ctx); err != nil && ctx.Err() == nil {
			b.log.DebugContext(ctx, "failures wait to be confirmed", "err", err)
			rest(ctx, b.cfg.Idle, nil)
			continue
		}
		select {
		case <-ctx.Done():
		case <-b.doubted:
		}
	}
}

// ConfirmRound asks the provider, within the budget, about each failure that
// stands in line, and folds the answers one by one. An error means that asking
// further makes no sense now: those that are left stay in line. Run calls it;
// it must not run twice at a time.
func (b *Inbox) ConfirmRound(ctx context.Context) error {
	for {
		n, ok := b.nextDoubt()
		if !ok {
			return nil
		}
		if err := b.resolve(ctx, n); err != nil {
			return err
		}
	}
}

// nextDoubt is the first delivery in line. It stays there until it is settled or
// put off.
func (b *Inbox) nextDoubt() (int64, bool) {
	b.doubting.Lock()
	defer b.doubting.Unlock()
	if len(b.asking) == 0 {
		return 0, false
	}
	return b.asking[0], true
}

// resolve settles a delivery that tells of a failure, or puts it off. It is read
// again at its turn, for its row may have gone on since.
func (b *Inbox) resolve(ctx context.Context, n int64) error {
	list, err := b.ledger.Parked(ctx, 1, n-1)
	if err != nil {
		return fmt.Errorf("read a parked delivery: %w", err)
	}
	if len(list) == 0 || list[0].N != n { // settled, or forgotten
		b.settled(n)
		return nil
	}
	readings, err := b.open(ctx, list)
	if err != nil {
		return err
	}
	r := readings[0]
	if r.fate == fateDoubt {
		if err := b.confirm(ctx, r); err != nil {
			return err
		}
	}
	if r.park { // the provider knows of no end yet
		b.putOff(n)
		return nil
	}
	if len(r.foldings) == 0 {
		r.foldings = []campaign.Folding{{Delivery: n}}
	}
	if err := b.desk.fold(ctx, readings); err != nil {
		if ctx.Err() == nil {
			b.putOff(n) // it must not stand in the way of the others
		}
		return err
	}
	b.settled(n)
	b.count(func(s *Stats) {
		s.Found++
		s.kind(r)
	})
	return nil
}

// confirm asks the provider about a failure that a webhook told of: r is parked
// no more when the answer settles it. An error means that asking further makes
// no sense now.
func (b *Inbox) confirm(ctx context.Context, r *reading) error {
	if err := b.budget.Wait(ctx); err != nil {
		return err
	}
	now := b.cfg.Clock()
	o := r.observation()
	evidence, err := b.provider.Status(ctx, r.at.Sender, campaign.Tracked{
		Campaign: r.at.Campaign, Seq: r.at.Seq, Sender: r.at.Sender, Chat: r.at.Chat,
		QueueID: cmp.Or(r.at.QueueID, o.QueueID), UniqueID: cmp.Or(r.at.UniqueID, o.UniqueID), Status: r.at.Status, QueuedAt: r.at.QueuedAt,
	})
	switch campaign.CodeOf(err) { //nolint:exhaustive // the others leave it in doubt
	case campaign.CodeNotFound: // nobody can tell any more
		evidence = o.Evidence
	case campaign.CodeThrottled:
		b.budget.BlockUntil(now.Add(retryAfter(err)))
		return err
	case campaign.CodeUnauthorized, campaign.CodeUnavailable:
		// Everybody waits, but this one goes behind the others: it may be the one
		// that the provider stumbles over.
		b.budget.BlockUntil(now.Add(2 * time.Second))
		b.putOff(r.delivery)
		return err
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if evidence.Status.Merge(campaign.StatusFailed) != evidence.Status { // it is not over
		return nil
	}
	if evidence.FailedAt.IsZero() && evidence.Status == campaign.StatusFailed {
		evidence.FailedAt = o.FailedAt
	}
	evidence.Campaign, evidence.Seq = r.at.Campaign, r.at.Seq
	evidence.Source = campaign.EvidenceWebhook // it leaves the poller's schedule alone
	o.Evidence = evidence
	r.fate, r.park = fateFolded, false
	r.foldings = []campaign.Folding{{Delivery: r.delivery, Observation: o, Alias: r.alias(r.news.Message.Ref.Chat)}}
	return nil
}

// putOff lets a failure wait for a while before it gets in line again.
func (b *Inbox) putOff(n int64) {
	b.doubting.Lock()
	defer b.doubting.Unlock()
	tries := b.doubts[n].tries
	b.leave(n)
	b.doubts[n] = doubtful{next: b.cfg.Clock().Add(b.cfg.Confirms[min(tries, len(b.cfg.Confirms)-1)]), tries: tries + 1}
}

// settled lets go of a failure that is none any more, or one for sure.
func (b *Inbox) settled(n int64) {
	b.doubting.Lock()
	defer b.doubting.Unlock()
	b.leave(n)
	delete(b.doubts, n)
}

// leave takes a delivery out of the line: usually it is the first.
func (b *Inbox) leave(n int64) {
	if i := slices.Index(b.asking, n); i == 0 {
		b.asking = b.asking[1:]
	} else if i > 0 {
		b.asking = slices.Delete(b.asking, i, i+1)
	}
}

// forgetDoubts drops what has waited for longer than its delivery is kept.
func (b *Inbox) forgetDoubts(now time.Time) {
	b.doubting.Lock()
	defer b.doubting.Unlock()
	maps.DeleteFunc(b.doubts, func(_ int64, doubt doubtful) bool { return !doubt.asking && now.Sub(doubt.next) > campaign.ParkFor })
}
