package dispatcher

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/herald-campaigns/herald/campaign"
)

// switchboard grants leases until it is told not to.
type switchboard struct {
	mu       sync.Mutex
	epoch    int64
	refuse   bool
	broken   error
	released int
}

func (s *switchboard) AcquireLease(context.Context, campaign.SenderID, string, time.Duration) (campaign.Lease, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken != nil || s.refuse {
		return campaign.Lease{}, false, s.broken
	}
	s.epoch++
	return campaign.Lease{Epoch: s.epoch}, true, nil
}

func (s *switchboard) RenewLease(_ context.Context, lease campaign.Lease, _ time.Duration) (campaign.Lease, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return lease, !s.refuse, s.broken
}

// becomes changes what it answers from now on.
func (s *switchboard) becomes(refuse bool, broken error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuse, s.broken = refuse, broken
}

func (s *switchboard) ReleaseLease(context.Context, campaign.Lease) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.released++
	return nil
}

func newTestKeeper(leases Leases) *Keeper {
	return NewKeeper(leases, slog.New(slog.DiscardHandler), KeeperConfig{Sender: "snd_1", Holder: "test", TTL: 9 * time.Second})
}

func TestKeeperServesAsLongAsTheLeaseIsRenewed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		board := &switchboard{}
		keeper := newTestKeeper(board)
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		err := keeper.Keep(ctx, func(ctx context.Context, _ campaign.Lease) error {
			for ctx.Err() == nil {
				if !keeper.Held() {
					t.Error("not held although every renewal worked")
				}
				pause(ctx, time.Second)
			}
			return nil
		})
		if err != nil || board.epoch != 1 || board.released != 1 {
			t.Errorf("Keep = %v after %d leases, %d released; want nil, 1, 1", err, board.epoch, board.released)
		}
		if keeper.Held() {
			t.Error("still held after it was released")
		}
	})
}

func TestKeeperEndsTheWorkWhenTheLeaseIsTaken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		board := &switchboard{}
		keeper := newTestKeeper(board)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		served := 0
		err := keeper.Keep(ctx, func(ctx context.Context, lease campaign.Lease) error {
			served++
			if served == 2 {
				if lease.Epoch != 2 {
					t.Errorf("second epoch = %d, want 2", lease.Epoch)
				}
				return nil
			}
			board.becomes(true, nil)
			<-ctx.Done()
			if !errors.Is(context.Cause(ctx), ErrLeaseLost) {
				t.Errorf("work ended with %v, want ErrLeaseLost", context.Cause(ctx))
			}
			board.becomes(false, nil)
			return nil
		})
		if err != nil || served != 2 {
			t.Errorf("Keep = %v after %d servings, want nil after 2", err, served)
		}
	})
}

func TestKeeperStopsByItselfWhenRenewalsGetNoAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		board := &switchboard{}
		keeper := newTestKeeper(board)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		began := time.Now()
		err := keeper.Keep(ctx, func(ctx context.Context, _ campaign.Lease) error {
			board.becomes(false, errors.New("database away"))
			<-ctx.Done()
			if lasted := time.Since(began); lasted > 9*time.Second {
				t.Errorf("served for %s under a lease of 9 s that nobody renewed", lasted)
			}
			cancel()
			return nil
		})
		if err != nil && !errors.Is(err, ErrLeaseLost) {
			t.Errorf("Keep = %v", err)
		}
	})
}
