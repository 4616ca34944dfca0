package status

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/herald-campaigns/herald/campaign"
)

// votePass is how far asking for the votes on a campaign's polls has come.
type votePass struct {
	began time.Time
	took  time.Duration // without what others did meanwhile
	after int64         // the row up to which it is done
}

// votes asks for the votes on a campaign's polls that are due since the last
// time that was done.
func (s *Sweeper) votes(ctx context.Context, sender campaign.Sender, id campaign.ID) error {
	sweep, err := s.ledger.Sweep(ctx, sender.ID, campaign.SweepVotes, string(id))
	if err != nil {
		return fmt.Errorf("read a sweep: %w", err)
	}
	began, most := s.cfg.Clock(), s.cfg.fast(max(s.cfg.Votes[0], votesWithin))
	if waits(sweep.Next, began, most) {
		return nil
	}
	if sweep.Mark.After(began) { // by a clock that was set right since
		sweep.Mark = time.Time{}
	}
	sweep.Sender, sweep.Kind, sweep.Key = sender, campaign.SweepVotes, string(id)
	l := s.line(sender.ID)
	pass := l.passes[id]
	if pass == nil || pass.began.After(began) {
		pass = &votePass{began: began}
		l.passes[id] = pass
	}
	defer func() { pass.took += s.cfg.Clock().Sub(began).Abs() }()
	for over := s.turn(); ; {
		page, err := s.ledger.PollWatches(ctx, id, pass.after, watchPage)
		if err != nil {
			return fmt.Errorf("list polls: %w", err)
		}
		var due []campaign.PollWatch
		for _, poll := range page {
			if poll.Sender.ID == sender.ID && s.due(poll.QueuedAt, sweep.Mark, pass.began) {
				due = append(due, poll)
			}
		}
		reached, err := s.ask(ctx, sender, due)
		pass.after = max(pass.after, reached)
		switch {
		case errors.Is(err, errTurn):
			return nil
		case err != nil:
			return err
		}
		if len(page) < watchPage {
			break
		}
		if pass.after = page[len(page)-1].Seq; over() {
			return nil
		}
	}
	delete(l.passes, id)
	ended := s.cfg.Clock()
	sweep.Mark, sweep.Times = pass.began, sweep.Times+1
	// Going through the polls of a large campaign must not become all it does.
	took := min(most, pass.took+ended.Sub(began))
	sweep.Next = ended.Add(min(most, max(s.cfg.fast(s.cfg.Votes[0]), 10*took)))
	if err := s.ledger.PutSweep(ctx, sweep); err != nil {
		return fmt.Errorf("keep a sweep: %w", err)
	}
	return nil
}

// due says whether one of the times for asking lies between the last look and
// now.
func (s *Sweeper) due(taken, mark, now time.Time) bool {
	before := 0
	if !mark.IsZero() {
		before = s.times(mark.Sub(taken))
	}
	return s.times(now.Sub(taken)) > before
}

// times is how many times for asking lie in the life of a poll message.
func (s *Sweeper) times(age time.Duration) int {
	age = min(age, s.cfg.Window)
	n := 0
	for _, at := range s.cfg.Votes {
		if age < s.cfg.fast(at) {
			return n
		}
		n++
	}
	last := s.cfg.fast(s.cfg.Votes[len(s.cfg.Votes)-1])
	return n + int((age-last)/s.cfg.fast(time.Hour))
}

// ask asks for the votes on some polls: through the list when they are many and
// there is one, or else message by message. reached is the last one that was
// asked for by itself: after an error, all up to it are done. errTurn says that
// it is another's turn before the others are.
func (s *Sweeper) ask(ctx context.Context, sender campaign.Sender, due []campaign.PollWatch) (reached int64, err error) {
	if len(due) > fewVotes && !s.line(sender.ID).noList {
		seen := map[string]bool{}
		first := slices.MinFunc(due, func(a, b campaign.PollWatch) int { return a.QueuedAt.Compare(b.QueuedAt) }).QueuedAt
		last := slices.MaxFunc(due, func(a, b campaign.PollWatch) int { return a.QueuedAt.Compare(b.QueuedAt) }).QueuedAt
		_, _, err := s.look(ctx, sender, first.Add(-s.cfg.Overlap), last.Add(sendLag), s.budget.Wait, func(ref campaign.MessageRef) {
			seen[ref.QueueID], seen[uniqueOf(ref.UniqueID)] = true, true
		})
		code := answered(err)
		if err != nil && code != campaign.CodeNotFound && code != campaign.CodeInvalid {
			return 0, err
		}
		delete(seen, "")
		due = slices.DeleteFunc(due, func(poll campaign.PollWatch) bool { return seen[poll.QueueID] || seen[uniqueOf(poll.UniqueID)] })
	}
	over := s.turn()
	for _, poll := range due {
		if reached > 0 && over() {
			return reached, errTurn
		}
		if err := s.budget.Wait(ctx); err != nil {
			return reached, err
		}
		news, err := s.lists.PollNews(ctx, sender, poll)
		switch campaign.CodeOf(err) {
		case "":
		case campaign.CodeNotFound, campaign.CodeInvalid:
			s.log.DebugContext(ctx, "votes not learned", "campaign_id", poll.Campaign, "row", poll.Seq, "err", err)
			reached = poll.Seq
			continue
		default:
			return reached, &troubleError{what: "asking for votes", err: err}
		}
		if err := s.fold(ctx, []*reading{s.reading(sender, news)}); err != nil {
			return reached, err
		}
		reached = poll.Seq
	}
	return reached, nil
}
