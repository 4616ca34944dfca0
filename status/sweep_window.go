package status

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/herald-campaigns/herald/campaign"
)

// A look for replies begins at the mark and goes up to now. The mark follows
// the newest message that was listed, and no clock: a phone that is away lists
// nothing, and what it brings when it is back bears the time at which it was
// written. As long as nothing new is listed, the mark stays where it is. Nor
// does it follow at once: a phone that is back brings its messages in any order
// and for minutes. So the mark moves up to what was the newest a while ago, and
// everything behind that has been looked at again since.
//
// What comes later still, one message out of thousands, is found by a look that
// goes back much further, now and then: by a day, and to where the mark was a
// day or two ago, for a phone that was away for longer may bring what is from
// before the mark for as long. That day is counted in looks: no clock that is
// set and no time in which Herald does not run makes it shorter.

const (
	// settlingKey is the sweep whose mark is the next one of the sweep for
	// replies, and whose Next is when that moves up to it.
	settlingKey = "settling"
	// deepKey is the sweep whose mark is where far looks begin at the latest, and
	// nextDeepKey the one whose mark that moves up to at every deepLooks-th.
	deepKey     = "deep"
	nextDeepKey = "next deep"
	deepLooks   = 12 // of two hours each
	// deepEvery is how many moves of the mark there are to one far look.
	deepEvery = 4
	// farthest is how far back any look goes. WhatsApp keeps what it cannot
	// bring to a phone for so long.
	farthest = 30 * 24 * time.Hour
	// fewMessages is up to how many pieces of news make a time a quiet one, of
	// which more can be asked for at once.
	fewMessages = 100
	// fewPages is up to how many pages a time is read to its end although that
	// takes longer than a turn: then it is the requests that are slow, and asking
	// for shorter times would only make more of them.
	fewPages = 10
	// clocksApart is how far our clock and the provider's may be apart.
	clocksApart = time.Minute
)

// window is what one look for replies has come to. A look that trouble cuts
// short goes on where it was.
type window struct {
	began   time.Time
	reached time.Time // everything before is looked at
	newest  time.Time // of what was listed; zero: of nothing
	far     bool      // it goes back as far as that
	dense   bool      // it has a time that cannot be looked through, and that was said
}

// windowOf is the time that is due to be looked at.
func (s *Sweeper) windowOf(sweep, settling, deep campaign.Sweep, now time.Time) window {
	w := window{began: now, reached: now.Add(-s.cfg.First)}
	if !sweep.Mark.IsZero() {
		w.far = s.settled(settling, now) && settling.Times%deepEvery == 0
		w.reached = sweep.Mark.Add(-s.cfg.Overlap)
	}
	if w.far {
		w.reached = sooner(w.reached, sweep.Mark.Add(-s.cfg.Deep))
		if !deep.Mark.IsZero() {
			w.reached = sooner(w.reached, deep.Mark.Add(-s.cfg.Overlap))
		}
	}
	w.reached = sooner(w.reached, now.Add(-s.cfg.Overlap)) // our clock may be behind the provider's
	if earliest := now.Add(-farthest); w.reached.Before(earliest) {
		w.reached = earliest
	}
	return w
}

// sooner is the one of two times that is.
func sooner(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// through looks through a window, in as many parts as need be. errTurn says that
// it is another's turn before it has come to the end.
func (s *Sweeper) through(ctx context.Context, sender campaign.Sender, w *window, now time.Time) error {
	l, cut := s.line(sender.ID), false
	over := s.turn()
	for w.reached.Before(now) {
		if over() {
			return errTurn
		}
		pages := 0
		before := func(ctx context.Context) error {
			if pages++; pages > fewPages && l.span > shortest && over() {
				return errTurn
			}
			return s.budget.Wait(ctx)
		}
		from, to := w.reached, w.reached.Add(l.span)
		until := to
		if !to.Before(now) { // what is written while we look may as well be taken
			to, until = now, time.Time{}
		}
		shown, newest, err := s.look(ctx, sender, from, until, before, nil)
		if newest.After(w.newest) {
			w.newest = newest
		}
		switch {
		case errors.Is(err, errTurn): // or else it would come no further the next time
			l.span = max(shortest, min(l.span, now.Sub(from))/2)
			return err
		case tooLong(err) && l.span > shortest:
			l.span, cut = max(shortest, min(l.span, now.Sub(from))/2), true
			continue
		case tooLong(err) && w.dense: // said already
		case tooLong(err):
			w.dense = true
			s.log.WarnContext(ctx, "a phone has more messages than can be looked through; replies can only come by webhook for that time", "sender", sender.ID, "from", from, "to", to)
		case err != nil:
			return err
		case !cut && shown <= fewMessages: // a phone that is quiet for weeks costs no more than one that is not
			l.span = min(2*l.span, farthest)
		}
		w.reached = to
	}
	if cut || l.span < s.cfg.Span {
		l.span = s.cfg.Span
	}
	return nil
}

// turn begins one, and says later whether it is over. A clock that was set
// meanwhile ends it, too.
func (s *Sweeper) turn() (over func() bool) {
	began := s.cfg.Clock()
	return func() bool { return s.cfg.Clock().Sub(began).Abs() > turn }
}

// settled says whether a look that begins at a time may move the mark.
func (s *Sweeper) settled(settling campaign.Sweep, began time.Time) bool {
	return !waits(settling.Next, began, s.cfg.fast(s.cfg.Settle))
}

// settle lets the mark follow what a whole window showed. Before the first look
// there is nothing that could come late.
func (s *Sweeper) settle(ctx context.Context, sweep *campaign.Sweep, settling, deep campaign.Sweep, w window) error {
	if !s.settled(settling, w.began) {
		return nil
	}
	next := settling.Mark
	if next.IsZero() && sweep.Mark.IsZero() {
		next = w.newest
	}
	// First where far looks begin, then what comes next: in between, either mark is
	// only further back than it need be.
	if err := s.deepen(ctx, deep, cmp.Or(sweep.Mark, next), w.far); err != nil {
		return err
	}
	if !w.newest.IsZero() {
		settling.Mark = w.newest
	}
	// By the end of the look: what it listed last may have been written just now,
	// however long ago it began.
	settling.Next, settling.Times = s.cfg.Clock().Add(s.cfg.fast(s.cfg.Settle)), settling.Times+1
	if err := s.ledger.PutSweep(ctx, settling); err != nil {
		return fmt.Errorf("keep a sweep: %w", err)
	}
	if !next.IsZero() {
		sweep.Mark = next
	}
	return nil
}

// deepen lets the begin of far looks follow the mark, a day or two behind it.
func (s *Sweeper) deepen(ctx context.Context, deep campaign.Sweep, mark time.Time, far bool) error {
	begin := deep.Mark.IsZero()
	if mark.IsZero() || !begin && !far {
		return nil
	}
	next, err := s.ledger.Sweep(ctx, deep.Sender.ID, campaign.SweepReplies, nextDeepKey)
	if err != nil {
		return fmt.Errorf("read a sweep: %w", err)
	}
	next.Sender, next.Kind, next.Key = deep.Sender, campaign.SweepReplies, nextDeepKey
	deep.Times++
	switch {
	case begin:
		deep.Mark, deep.Times, next.Mark = mark, 0, mark
	case deep.Times >= deepLooks:
		deep.Mark, deep.Times, next.Mark = cmp.Or(next.Mark, deep.Mark), 0, mark
	}
	for _, sweep := range []campaign.Sweep{deep, next} {
		if err := s.ledger.PutSweep(ctx, sweep); err != nil {
			return fmt.Errorf("keep a sweep: %w", err)
		}
	}
	return nil
}

// compare says once that our clock and the provider's are apart. The mark does
// not mind; schedules, and what is proved by times, do.
func (s *Sweeper) compare(ctx context.Context, theirs time.Time) {
	if theirs.IsZero() {
		return
	}
	ahead := s.cfg.Clock().Sub(theirs)
	apart := ahead.Abs() > clocksApart
	switch {
	case apart && !s.apart:
		s.log.WarnContext(ctx, "this machine's clock and the provider's are apart; set this machine's by a time server", "ahead", ahead.Round(time.Second))
	case !apart && s.apart:
		s.log.InfoContext(ctx, "this machine's clock and the provider's agree again")
	}
	s.apart = apart
}
