package status

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/herald-campaigns/herald/campaign"
)

// LagKeeper keeps the longest visibility lag of a sender across processes.
type LagKeeper interface {
	VisibilityLag(ctx context.Context, sender campaign.SenderID) (lag time.Duration, measured bool, err error)
	KeepVisibilityLag(ctx context.Context, sender campaign.SenderID, lag time.Duration) error
	// DoubtVisibilityLag says that a message was not visible even after lag:
	// what was measured counts no more until something is measured again.
	DoubtVisibilityLag(ctx context.Context, sender campaign.SenderID, lag time.Duration) error
}

// firstAsk is how late the first request of a measurement may be. After a
// longer wait for the budget an answer says more about us than about the
// provider.
const firstAsk = 2 * time.Second

// lagMeter measures how long an accepted message takes to appear in the
// provider's job list. It decides when absence begins to mean something.
type lagMeter struct {
	keeper   LagKeeper
	provider Jobs
	budget   Budget
	log      *slog.Logger
	cfg      ReconcilerConfig
	probes   chan probe

	mu    sync.Mutex
	lines map[campaign.SenderID]*lagLine
}

// lagLine is what is known of one sender.
type lagLine struct {
	heard    time.Time // when a message was last accepted
	busy     bool
	last     time.Time // when a measurement began
	kept     bool      // the ledger was asked
	longest  time.Duration
	measured bool // false also while messages do not appear at all
}

type probe struct {
	message  campaign.Tracked
	accepted time.Time
}

func newLagMeter(keeper LagKeeper, provider Jobs, budget Budget, log *slog.Logger, cfg ReconcilerConfig) *lagMeter {
	return &lagMeter{
		keeper: keeper, provider: provider, budget: budget, log: log, cfg: cfg,
		probes: make(chan probe, 64), lines: map[campaign.SenderID]*lagLine{},
	}
}

// offer takes a message to measure with, if it is time for one. It never
// waits.
func (l *lagMeter) offer(m campaign.Tracked) {
	if m.QueueID == "" {
		return
	}
	now := l.cfg.Clock()
	l.mu.Lock()
	defer l.mu.Unlock()
	line := l.line(m.Sender.ID)
	line.heard = now
	if line.busy || !line.last.IsZero() && now.Sub(line.last) < l.cfg.SampleEvery {
		return
	}
	select {
	case l.probes <- probe{message: m, accepted: now}:
		line.busy, line.last = true, now
	default: // nobody measures at the moment
	}
}

// run measures until ctx ends, at most one message of a sender at a time.
func (l *lagMeter) run(ctx context.Context) {
	var measuring sync.WaitGroup
	defer measuring.Wait()
	for {
		select {
		case <-ctx.Done():
			return
		case p := <-l.probes:
			measuring.Go(func() { l.measure(ctx, p) })
		}
	}
}

// measure asks for the job until it is there, at growing intervals.
func (l *lagMeter) measure(ctx context.Context, p probe) {
	sender := p.message.Sender
	defer func() {
		l.mu.Lock()
		l.line(sender.ID).busy = false
		l.mu.Unlock()
	}()
	for wait := time.Duration(0); ; wait = max(2*wait, l.cfg.SampleFirst) {
		rest(ctx, wait, nil)
		if l.budget.Wait(ctx) != nil {
			return
		}
		if wait == 0 && l.cfg.Clock().Sub(p.accepted) > firstAsk {
			return
		}
		visible, err := l.provider.Visible(ctx, sender, p.message.QueueID)
		if err != nil {
			if campaign.CodeOf(err) == campaign.CodeThrottled {
				l.budget.BlockUntil(l.cfg.Clock().Add(retryAfter(err)))
			}
			l.log.DebugContext(ctx, "visibility lag not measured", "sender", sender.ID, "err", err)
			return
		}
		lag := l.cfg.Clock().Sub(p.accepted)
		if visible {
			l.learn(ctx, sender.ID, lag)
			return
		}
		if lag > l.cfg.SampleFor {
			l.blind(ctx, sender.ID)
			return
		}
	}
}

// learn remembers that a message was visible after lag.
func (l *lagMeter) learn(ctx context.Context, sender campaign.SenderID, lag time.Duration) {
	l.mu.Lock()
	line := l.line(sender)
	grown := !line.measured || lag > line.longest
	line.longest, line.measured = max(line.longest, lag), true
	longest := line.longest
	l.mu.Unlock()
	if !grown {
		return
	}
	if err := l.keeper.KeepVisibilityLag(ctx, sender, longest); err != nil && ctx.Err() == nil {
		l.log.WarnContext(ctx, "visibility lag not kept, will be measured again", "sender", sender, "err", err)
	}
}

// blind remembers that a message did not appear in time. Until another one
// does, absence means nothing.
func (l *lagMeter) blind(ctx context.Context, sender campaign.SenderID) {
	l.mu.Lock()
	line := l.line(sender)
	was := line.measured || !line.kept
	line.longest, line.measured = max(line.longest, l.cfg.SampleFor), false
	line.kept = true // what the ledger knows is out of date
	longest := line.longest
	l.mu.Unlock()
	if err := l.keeper.DoubtVisibilityLag(ctx, sender, longest); err != nil && ctx.Err() == nil {
		l.log.WarnContext(ctx, "not kept that accepted messages do not appear, another process may rely on the job list", "sender", sender, "err", err)
	}
	if was {
		l.log.WarnContext(ctx, "accepted messages do not appear in the provider's job list, so absence from it proves nothing", "sender", sender)
	}
}

// longest is the longest lag of the sender that this process or an earlier one
// measured; false when there is none to rely on.
func (l *lagMeter) longest(ctx context.Context, sender campaign.SenderID) (time.Duration, bool, error) {
	l.mu.Lock()
	line := l.line(sender)
	kept := line.kept
	l.mu.Unlock()
	if !kept {
		lag, measured, err := l.keeper.VisibilityLag(ctx, sender)
		if err != nil {
			return 0, false, err
		}
		l.mu.Lock()
		if !line.kept { // it may have turned blind meanwhile
			line.kept, line.longest, line.measured = true, max(line.longest, lag), line.measured || measured
		}
		l.mu.Unlock()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return line.longest, line.measured, nil
}

// heard is when this process last heard that a message of the sender was
// accepted.
func (l *lagMeter) heard(sender campaign.SenderID) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.line(sender).heard
}

func (l *lagMeter) line(sender campaign.SenderID) *lagLine {
	line, ok := l.lines[sender]
	if !ok {
		line = &lagLine{}
		l.lines[sender] = line
	}
	return line
}
