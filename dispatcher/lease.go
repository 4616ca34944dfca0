package dispatcher

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/herald-campaigns/herald/campaign"
)

// ErrLeaseLost is the cause with which a sender's work ends when its lease
// could not be renewed in time: another process may serve the sender now.
var ErrLeaseLost = errors.New("sender lease lost")

// Leases grants the right to serve a sender (stream page §3).
type Leases interface {
	AcquireLease(ctx context.Context, sender campaign.SenderID, holder string, ttl time.Duration) (campaign.Lease, bool, error)
	RenewLease(ctx context.Context, lease campaign.Lease, ttl time.Duration) (campaign.Lease, bool, error)
	ReleaseLease(ctx context.Context, lease campaign.Lease) error
}

// KeeperConfig says for whom and how long a lease is held.
type KeeperConfig struct {
	Sender campaign.SenderID
	Holder string        // names this process; the same holder may take its own lease again at once
	TTL    time.Duration // 10 s if zero
}

// Keeper acquires a sender's lease, renews it every third of its life, and
// ends the work done under it when it is lost.
type Keeper struct {
	leases Leases
	log    *slog.Logger
	cfg    KeeperConfig
	// deadline is when the holder must stop by itself. Keep writes it, sends
	// read it.
	deadline atomic.Pointer[time.Time]
	ledger   trouble // getting and renewing the lease
}

// NewKeeper makes the keeper of one sender's lease.
func NewKeeper(leases Leases, log *slog.Logger, cfg KeeperConfig) *Keeper {
	if cfg.TTL <= 0 {
		cfg.TTL = 10 * time.Second
	}
	return &Keeper{leases: leases, log: log.With("component", "lease", "sender", cfg.Sender), cfg: cfg}
}

// Held says whether the lease certainly still is ours. It looks at the
// monotonic and at the wall clock: the first stops while a machine sleeps.
func (k *Keeper) Held() bool {
	deadline := k.deadline.Load()
	if deadline == nil {
		return false
	}
	now := time.Now()
	return now.Before(*deadline) && now.Round(0).Before(deadline.Round(0))
}

// Keep serves the sender whenever its lease can be had, until ctx ends or
// serve returns on its own. serve's context ends with the cause ErrLeaseLost
// when the lease is lost; then Keep tries to get it back.
func (k *Keeper) Keep(ctx context.Context, serve func(context.Context, campaign.Lease) error) error {
	for {
		asked := time.Now()
		lease, ok, err := k.leases.AcquireLease(ctx, k.cfg.Sender, k.cfg.Holder, k.cfg.TTL)
		switch {
		case ctx.Err() != nil:
			return nil //nolint:nilerr // stopping is what was asked for, whatever it interrupted
		case err != nil:
			k.ledger.met(ctx, k.log, slog.LevelWarn, "lease not acquired, will try again", "err", err)
		case ok:
			k.ledger.over(ctx, k.log, "lease acquired")
			k.extend(asked)
			err := k.hold(ctx, lease, serve)
			if !errors.Is(err, ErrLeaseLost) {
				return err
			}
			k.log.WarnContext(ctx, "lease lost, will try to get it back")
		}
		if !pause(ctx, k.cfg.TTL/3) {
			return nil
		}
	}
}

// hold runs serve and renews the lease beside it.
func (k *Keeper) hold(ctx context.Context, lease campaign.Lease, serve func(context.Context, campaign.Lease) error) error {
	serving, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	served := make(chan error, 1)
	go func() { served <- serve(serving, lease) }()

	tick := time.NewTicker(k.cfg.TTL / 3)
	defer tick.Stop()
	for {
		select {
		case err := <-served:
			k.release(ctx, lease)
			if errors.Is(context.Cause(serving), ErrLeaseLost) {
				return ErrLeaseLost
			}
			return err
		case <-tick.C:
			// Work that drains after ctx ended still needs its lease, so the
			// renewal outlives it.
			if !k.renew(context.WithoutCancel(ctx), &lease) {
				stop(ErrLeaseLost)
			}
		}
	}
}

// renew extends the lease and says whether it still is ours.
func (k *Keeper) renew(ctx context.Context, lease *campaign.Lease) bool {
	ctx, cancel := context.WithTimeout(ctx, k.cfg.TTL/3)
	defer cancel()
	asked := time.Now()
	renewed, ok, err := k.leases.RenewLease(ctx, *lease, k.cfg.TTL)
	if err != nil {
		k.ledger.met(ctx, k.log, slog.LevelWarn, "lease not renewed, will try again", "err", err)
		return k.Held()
	}
	if ok {
		k.ledger.over(ctx, k.log, "lease renewed again")
		*lease = renewed
		k.extend(asked)
	}
	return ok
}

// extend moves the deadline to 0.9 × TTL after asked, which lies before the
// database's own reckoning of the lease began.
func (k *Keeper) extend(asked time.Time) {
	deadline := asked.Add(k.cfg.TTL * 9 / 10)
	k.deadline.Store(&deadline)
}

func (k *Keeper) release(ctx context.Context, lease campaign.Lease) {
	k.deadline.Store(nil)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), k.cfg.TTL/3)
	defer cancel()
	if err := k.leases.ReleaseLease(ctx, lease); err != nil {
		k.log.WarnContext(ctx, "lease not released, it will expire", "err", fmt.Errorf("release lease: %w", err))
	}
}

// pause waits for d and says whether ctx is still alive.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
