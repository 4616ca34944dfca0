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

// agree is how many passes must agree before anything follows from not finding
// a row.
const agree = 2

// unproven is up to which attempt the policy resend sends again without proof:
// each such call may be one more copy for the same person.
const unproven = 1

// DoubtTried is that a row may not go back whatever the lists show.
const DoubtTried Doubt = "it was tried three times, and no answer told"

// judgement is what one pass decides about the rows it did not find.
type judgement struct {
	r *Reconciler
	g *glance

	lag      time.Duration
	measured bool
	known    bool // the lag was asked for

	decisions map[decision][]*trail
	held      map[Doubt]int
}

// decision is something done to rows of one campaign.
type decision struct {
	campaign campaign.ID
	end      end
	detail   string
}

// end is how the search for a row ends that was not found.
type end int

const (
	endAbsent  end = iota // it was not taken: it waits again
	endResend             // nobody knows: it is sent again
	endAssumed            // nobody knows: it counts as sent
)

func newJudgement(r *Reconciler, g *glance) *judgement {
	return &judgement{r: r, g: g, decisions: map[decision][]*trail{}, held: map[Doubt]int{}}
}

// judge counts the pass for a row that it did not find.
func (j *judgement) judge(ctx context.Context, t *trail, v Verdict) error {
	r, now := j.r, j.r.cfg.Clock()
	t.adopted, t.gone = false, false
	if c := j.g.chats[address(t.row.Chat)]; c != nil && c.unread {
		t.absent = 0
		t.next = now.Add(r.cfg.PassGap)
		return nil
	}
	if !j.known {
		var err error
		if j.lag, j.measured, err = r.lags.longest(ctx, j.g.sender.ID); err != nil {
			return err
		}
		j.known = true
	}
	if r.attends(t.row.Campaign).FoundOnly {
		t.relax(now, r.cfg.Slow)
		return nil
	}
	window := r.cfg.settle(j.lag)
	settled := t.settled(window)
	switch {
	case t.row.Unresolved(now):
		// Nothing follows from not finding it any more. One that was old from
		// the start was looked for, and that is that.
		t.never = t.row.Unresolved(t.seen)
		t.relax(now, r.cfg.Slow)
		return nil
	case t.row.Resolution != campaign.ResolutionNone:
		t.relax(now, r.cfg.Slow)
		return nil
	case j.g.began.Before(settled):
		t.absent, t.doubtful = 0, 0
		t.wait(now, r.cfg.PassGap, settled)
		return nil
	}
	doubt := v.Doubt
	if v.Finding == Absent {
		var err error
		if doubt, err = r.proof(ctx, j.g, t, j.measured, window); err != nil {
			return err
		}
	}
	if j.passing(doubt, now.Add(-window)) {
		t.wait(now, r.cfg.PassGap, time.Time{})
		return nil
	}
	j.weigh(t, doubt, now)
	return nil
}

// passing says whether the doubt may go away by itself: what is accepted while
// the sender goes on sending tells the lag, and becomes a witness once it is
// older than the settle window.
func (j *judgement) passing(doubt Doubt, before time.Time) bool {
	switch doubt {
	case DoubtLag, DoubtNoWitness, DoubtOneSide, DoubtWaiting:
	default:
		return false
	}
	return j.r.lags.heard(j.g.sender.ID).Add(j.r.cfg.PassGap).After(before)
}

// weigh adds a pass without a find to the others, and decides when enough of
// them agree. No doubt is proof of absence; the policy is for what nothing
// proves (design §4.6). A row that had all its attempts
// goes back by nobody's word but a person's.
func (j *judgement) weigh(t *trail, doubt Doubt, now time.Time) {
	r := j.r
	if !t.counted.IsZero() && j.g.began.Sub(t.counted) < r.cfg.PassGap {
		t.wait(now, r.cfg.PassGap, time.Time{})
		return
	}
	policy := r.attends(t.row.Campaign).Policy
	if t.row.Attempt >= campaign.MaxAttempts {
		doubt = DoubtTried
	}
	t.counted = now
	if doubt == "" {
		t.absent++
	} else {
		t.absent = 0
		t.doubtful++
	}
	switch {
	case t.absent >= agree:
		j.decide(t, decision{t.row.Campaign, endAbsent, fmt.Sprintf("in neither the provider's jobs nor its messages, %d times; it was not taken", agree)})
	case policy == campaign.PolicyAssumeSent && t.doubtful >= agree:
		j.decide(t, decision{t.row.Campaign, endAssumed, fmt.Sprintf("counts as sent, as the campaign says (assume_sent): %s", doubt)})
	case policy == campaign.PolicyResend && t.row.Attempt <= unproven && doubt != "" && t.doubtful >= agree:
		j.decide(t, decision{t.row.Campaign, endResend, fmt.Sprintf("sent again as the campaign says (resend), may be a duplicate: %s", doubt)})
	case doubt != "" && t.doubtful >= agree:
		if !t.decided {
			j.held[doubt]++
		}
		t.relax(now, r.cfg.Slow)
	default:
		t.wait(now, r.cfg.PassGap, time.Time{})
	}
}

func (j *judgement) decide(t *trail, d decision) {
	j.decisions[d] = append(j.decisions[d], t)
	t.wait(j.r.cfg.Clock(), j.r.cfg.PassGap, time.Time{})
}

// carryOut writes the decisions to the ledger and tells about them.
func (j *judgement) carryOut(ctx context.Context) error {
	r := j.r
	for _, doubt := range slices.Sorted(maps.Keys(j.held)) {
		r.log.WarnContext(ctx, "unknown rows stay unknown; they are looked for now and then", "sender", j.g.sender.ID, "rows", j.held[doubt], "reason", doubt)
	}
	for _, d := range slices.SortedFunc(maps.Keys(j.decisions), compareDecisions) {
		trails := j.decisions[d]
		rows := make([]campaign.Staged, len(trails))
		for i, t := range trails {
			rows[i] = t.row.Handover()
		}
		var (
			n   int64
			err error
		)
		switch d.end {
		case endAbsent:
			n, err = r.ledger.ReturnUnknown(ctx, d.campaign, rows, time.Time{}, d.detail)
		case endResend:
			n, err = r.ledger.ResendUnknown(ctx, d.campaign, rows, d.detail)
		case endAssumed:
			n, err = r.ledger.AssumeSent(ctx, d.campaign, rows, d.detail)
		}
		if err != nil {
			return err
		}
		for _, t := range trails {
			delete(r.trails, t.key())
		}
		r.log.InfoContext(ctx, "unknown rows were decided about", "campaign_id", d.campaign, "rows", n, "reason", d.detail)
	}
	return nil
}

func compareDecisions(a, b decision) int {
	return cmp.Or(cmp.Compare(a.campaign, b.campaign), cmp.Compare(a.detail, b.detail))
}
