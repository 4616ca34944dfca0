package app

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/herald-campaigns/herald/campaign"
)

// Service is an engine that stays: it sends whatever campaigns there are, waits
// for the starts of scheduled ones, and follows what was sent.
type Service struct {
	app      *App
	provider *provider
	engine   *engine

	beginning sync.Mutex // one campaign begins at a time: two for the same one must not meet

	mu       sync.Mutex // guards what follows
	sendings map[campaign.ID]*sending
	closed   bool
	working  sync.WaitGroup
}

// sending is one campaign in a service's hands.
type sending struct {
	run    *run
	cancel context.CancelFunc
	done   chan struct{}
	begun  chan struct{} // closed when its state says that it goes on

	mu     sync.Mutex
	latest Progress
	seen   bool  // latest says something
	err    error // why it ended, once done is closed
}

// begin sends a prepared campaign, in place of what the service did for it
// before. It returns when the campaign is on its way.
func (s *Service) begin(ctx context.Context, p *Prepared, now bool) error {
	s.beginning.Lock()
	defer s.beginning.Unlock()
	// It outlives the request that asked for it: what is begun is not left halfway
	// when somebody hangs up.
	ctx = context.WithoutCancel(ctx)
	if !now {
		if err := s.app.HoldMissed(ctx, p); err != nil {
			return err
		}
	}
	// Whatever can fail comes before the one that sends it now is let go.
	if err := s.app.admit(ctx, p); err != nil {
		return err
	}
	renderer, err := s.app.renderer(ctx, p.Campaign)
	if err != nil {
		return err
	}
	if err := s.release(p.Campaign.ID); err != nil {
		return err
	}
	if p.Campaign.State.Over() {
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	one := &sending{cancel: cancel, done: make(chan struct{}), begun: make(chan struct{})}
	one.run = &run{
		app: s.app, engine: s.engine, lane: s.engine.add(ctx, campaign.Feeding{Campaign: p.Campaign, Renderer: renderer}, p.senders, p.paces),
		prepared: p, began: time.Now(), stays: true, started: sync.OnceFunc(func() { close(one.begun) }),
		opts: RunOptions{Wait: WaitSettled, WaitTimeout: 10 * 365 * 24 * time.Hour, Now: now, Progress: one.show},
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		cancel()
		return errClosing
	}
	s.sendings[p.Campaign.ID] = one
	s.working.Go(func() { s.send(ctx, one) })
	return nil
}

var errClosing = &campaign.Error{Code: campaign.CodeUnavailable, What: "the service is stopping", Hint: "start it again with `herald serve`"}

// send sees a campaign to the end of what can be done for it.
func (s *Service) send(ctx context.Context, one *sending) {
	defer close(one.done)
	c := one.run.prepared.Campaign
	result, err := s.persist(ctx, one.run)
	err = errors.Join(err, s.engine.remove(context.WithoutCancel(ctx), one.run.lane))
	one.mu.Lock()
	one.err = err
	one.latest.Campaign, one.latest.Totals, one.seen = result.Campaign, result.Totals, true
	one.mu.Unlock()
	log := s.app.log.With("campaign_id", c.ID)
	switch {
	case result.Campaign.State.Over() && err == nil:
		log.InfoContext(ctx, "campaign ended", "state", result.Campaign.State)
	case result.Campaign.State == campaign.StatePaused && result.Campaign.Reason == campaign.PauseOperator:
		log.InfoContext(ctx, "campaign paused") // somebody asked for it
	case err != nil:
		log.WarnContext(ctx, "campaign stopped", "err", err)
	}
	if _, err := s.app.WriteReports(context.WithoutCancel(ctx), c.ID); err != nil {
		log.WarnContext(ctx, "reports not written", "err", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	// The ledger tells how it ended, unless it ended in trouble.
	if s.sendings[c.ID] == one && (err == nil || result.Campaign.State == campaign.StatePaused) {
		delete(s.sendings, c.ID)
	}
}

// persistEvery is how long a service waits before it goes on with a campaign
// that trouble of its own stopped.
const persistEvery = 10 * time.Second

// persist runs a campaign until it ends, pauses or is let go: trouble that is
// neither its end nor a pause must not leave it with nobody who sends it.
func (s *Service) persist(ctx context.Context, r *run) (RunResult, error) {
	timer := time.NewTimer(persistEvery)
	defer timer.Stop()
	for {
		result, err := r.loop(ctx)
		now, lookErr := s.app.store.Campaign(context.WithoutCancel(ctx), r.prepared.Campaign.ID)
		if lookErr == nil && now.State == campaign.StateCanceled { // meanwhile, and whatever failed failed for that
			result.Campaign = now
			return result, nil
		}
		stuck := lookErr != nil || now.State == campaign.StateRunning || now.State == campaign.StateTracking || now.State == campaign.StateScheduled
		if err == nil || ctx.Err() != nil || !stuck {
			return result, err
		}
		s.app.log.WarnContext(ctx, "campaign held up, will go on", "campaign_id", r.prepared.Campaign.ID, "err", err)
		timer.Reset(persistEvery)
		select {
		case <-ctx.Done():
			return result, err
		case <-timer.C:
		}
		if lookErr == nil {
			r.prepared.Campaign = now
		}
	}
}

// show keeps the latest progress for whoever asks.
func (one *sending) show(p Progress) {
	one.mu.Lock()
	defer one.mu.Unlock()
	one.latest, one.seen = p, true
}

// progress is where the campaign stands, whether the service is done with it,
// and why, if that was trouble.
func (one *sending) progress() (p Progress, known, over bool, err error) {
	select {
	case <-one.done:
		over = true
	default:
	}
	one.mu.Lock()
	defer one.mu.Unlock()
	return one.latest, one.seen, over, one.err
}

// release lets go of a campaign, leaving it in the state it is in: another
// sending follows.
func (s *Service) release(id campaign.ID) error {
	s.mu.Lock()
	one, ok := s.sendings[id]
	delete(s.sendings, id)
	closed := s.closed
	s.mu.Unlock()
	if closed {
		return errClosing
	}
	if ok {
		one.cancel()
		<-one.done
	}
	return nil
}

// reachable says whether the senders can send now. It is for a person who starts
// something: whatever is gone on with without one holds and pauses by itself.
func (s *Service) reachable(ctx context.Context, p *Prepared) error {
	if p.Campaign.State.Over() || p.Campaign.State == campaign.StateTracking {
		return nil
	}
	if err := s.provider.checkSenders(ctx, p.senders); err != nil {
		return err
	}
	for _, sender := range p.senders {
		s.engine.lineOf(sender).connected()
	}
	return nil
}

// find is the sending of a campaign; nil when the service does nothing for it,
// or nothing any more.
func (s *Service) find(id campaign.ID) *sending {
	s.mu.Lock()
	one := s.sendings[id]
	s.mu.Unlock()
	if one == nil {
		return nil
	}
	select {
	case <-one.done:
		return nil
	default:
		return one
	}
}

// count is how many campaigns are in the service's hands.
func (s *Service) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.sendings)
}

// takeUp goes on with every campaign that was being sent, waited for its start
// or was followed when the last process on this directory ended. What is paused
// waits for a person.
func (s *Service) takeUp(ctx context.Context) (int, error) {
	all, err := s.app.store.Campaigns(ctx)
	if err != nil {
		return 0, err
	}
	taken := 0
	for _, c := range all {
		switch c.State {
		case campaign.StateScheduled, campaign.StateRunning, campaign.StateTracking:
		default:
			continue
		}
		if err := s.goOn(ctx, c, false); err != nil {
			// One that cannot be gone on with must not keep the others waiting.
			s.app.log.WarnContext(ctx, "campaign not taken up", "campaign_id", c.ID, "err", err)
			continue
		}
		taken++
	}
	return taken, nil
}

// goOn sends on with a campaign of the ledger, without its file.
func (s *Service) goOn(ctx context.Context, c campaign.Campaign, now bool) error {
	p := &Prepared{Campaign: c, Resumed: true}
	if err := s.app.senders(ctx, p); err != nil {
		return err
	}
	return s.begin(ctx, p, now)
}

// Resume lets a paused campaign go on.
func (s *Service) Resume(ctx context.Context, id campaign.ID) error {
	c, err := s.app.store.Campaign(ctx, id)
	if err != nil {
		return err
	}
	switch c.State {
	case campaign.StatePaused:
	case campaign.StateRunning, campaign.StateScheduled, campaign.StateTracking:
		if s.find(id) != nil {
			return nil // it does
		}
	default:
		return &campaign.Error{
			Code: campaign.CodeConflict, What: fmt.Sprintf("campaign %q is %s and cannot go on", c.Name, c.State),
			Hint: "`herald status " + string(id) + "` shows where it stands",
		}
	}
	p := &Prepared{Campaign: c, Resumed: true}
	if err := s.app.senders(ctx, p); err != nil {
		return err
	}
	if err := s.reachable(ctx, p); err != nil { // a person is there to be told
		return err
	}
	// A person decides: also about a start that was missed.
	if err := s.begin(ctx, p, c.Reason == campaign.PauseMissedStart); err != nil {
		return err
	}
	return s.awaitBegin(ctx, id)
}

// awaitBegin returns when the campaign is shown as it goes on, or has ended.
func (s *Service) awaitBegin(ctx context.Context, id campaign.ID) error {
	one := s.find(id)
	if one == nil {
		return nil
	}
	select {
	case <-one.begun:
	case <-one.done:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// sendAgain goes on with a campaign in which rows wait again, and says whether it
// does. One that was paused stays so: whoever paused it did not mean these rows
// alone.
func (s *Service) sendAgain(ctx context.Context, id campaign.ID, before campaign.State) (bool, error) {
	if before == campaign.StatePaused {
		return false, nil
	}
	return true, s.Resume(ctx, id)
}

// Pause stops a campaign until it is resumed.
func (s *Service) Pause(ctx context.Context, id campaign.ID) error {
	return s.app.pause(ctx, id, func(ctx context.Context, detail string) error {
		return s.engine.Pause(ctx, id, campaign.PauseOperator, detail)
	})
}

// Cancel ends a campaign for good, and has what is in the provider's queue taken
// out of there: also what gets into it while calls under way come to their end.
func (s *Service) Cancel(ctx context.Context, id campaign.ID) (Canceled, error) {
	ctx = context.WithoutCancel(ctx) // as in begin
	s.engine.allow(id, false)
	c, before, err := s.app.endForGood(ctx, id)
	if err != nil {
		return Canceled{}, err
	}
	following := s.app.followQueued(ctx, id, before)
	s.engine.answers.withdrawals.Look() // before the rest: that may take its time, and messages go out
	out := Canceled{Queued: inQueue(before), Purging: inQueue(before) > 0}
	out.Waiting, err = s.app.store.Cancel(ctx, id)
	return out, errors.Join(halfCanceled(c, following, err), s.release(id))
}

// close stops everything: calls under way come to their end, and the campaigns
// stay in the state they are in, for the next service to go on with.
func (s *Service) close(ctx context.Context) error {
	s.engine.halt()
	s.mu.Lock()
	s.closed = true
	for _, one := range s.sendings {
		one.cancel()
	}
	s.mu.Unlock()
	s.working.Wait()
	err := s.engine.stop(ctx)
	s.refreshReports(ctx) // also of what is over, and was followed
	return err
}
