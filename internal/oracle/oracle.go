package oracle

import (
	"context"
	"errors"
	"iter"
	"slices"
	"time"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/sandbox"
	"github.com/herald-campaigns/herald/storage"
)

// Case is what is judged.
type Case struct {
	Ledger      *storage.Store
	Acceptances iter.Seq[sandbox.Acceptance] // all that the provider took from this ledger's senders
	// Interrupted says that the last process on the ledger was killed: rows may
	// still stand as staged or submitting, and the latter count as unknown,
	// which the next start makes them.
	Interrupted bool
}

// Judge reads the whole ledger and holds it against the acceptances:
//
//   - the database is sound, the counters equal the rows, and every row of the
//     file is accounted for;
//   - nobody was accepted twice for one campaign;
//   - every acceptance is known to a row: as accepted under its id, or as
//     unknown;
//   - every row that says it was accepted was, under that id and for that chat;
//   - no row is in a state that it cannot leave.
//
// What is wrong is in the Finding. The error says that the ledger could not be
// read.
func Judge(ctx context.Context, c Case) (Finding, error) {
	j := judge{Case: c, took: map[string]sandbox.Acceptance{}, known: map[string]bool{}, now: time.Now(), doubtful: map[string]int{}, has: map[string]bool{}}
	if err := c.Ledger.IntegrityCheck(ctx); err != nil {
		j.wrong("the ledger is not sound: %v", err)
	}
	for acceptance := range c.Acceptances {
		j.Accepted++
		if _, twice := j.took[acceptance.QueueID]; twice {
			return j.Finding, errors.New("the provider gave one queue id twice: its log is no judge")
		}
		j.took[acceptance.QueueID] = acceptance
	}
	campaigns, err := c.Ledger.Campaigns(ctx)
	if err != nil {
		return j.Finding, err
	}
	for _, each := range campaigns {
		if err := j.campaign(ctx, each); err != nil {
			return j.Finding, err
		}
	}
	j.unclaimed()
	return j.Finding, nil
}

// mostAttempts is how many calls a row may cost without a person's word
// (reliability page, P10). The judge has it from there, not from the product.
const mostAttempts = 3

// judge is one judgment.
type judge struct {
	Case
	Finding

	now      time.Time
	took     map[string]sandbox.Acceptance // by queue id
	known    map[string]bool               // queue ids that a row has
	has      map[string]bool               // chats of which a row says that it was accepted
	doubtful map[string]int                // chats of rows that may have been taken, and how many of those
}

func (j *judge) campaign(ctx context.Context, c campaign.Campaign) error {
	j.Campaigns++
	kept, err := j.Ledger.Totals(ctx, c.ID)
	if err != nil {
		return err
	}
	counted, err := j.Ledger.Recount(ctx, c.ID)
	if err != nil {
		return err
	}
	for _, status := range campaign.Statuses() {
		if kept.ByStatus[status] != counted.ByStatus[status] {
			j.wrong("campaign %s: %d rows are %s, the totals say %d", c.ID, counted.ByStatus[status], status, kept.ByStatus[status])
		}
	}
	if c.State != campaign.StateDraft && !kept.Balanced(c.Rows()) {
		j.wrong("campaign %s: %d rows were read, %d are accounted for", c.ID, c.Rows(), kept.Sum())
	}
	j.Rows += kept.Sum()
	for r, err := range j.Ledger.Recipients(ctx, c.ID, storage.Filter{}) {
		if err != nil {
			return err
		}
		if err := j.row(ctx, c, r); err != nil {
			return err
		}
	}
	return nil
}

func (j *judge) row(ctx context.Context, c campaign.Campaign, r campaign.Recipient) error {
	j.state(c, r)
	if r.QueueID != "" {
		j.acceptedRow(r)
		return j.history(ctx, r)
	}
	switch {
	case r.Status == campaign.StatusUnknown, j.Interrupted && r.Status == campaign.StatusSubmitting:
		j.doubtful[string(r.Chat)]++
	case r.Status.Evident() && r.FailReason != campaign.FailRejected && r.FailReason != campaign.FailTooLarge:
		j.wrong("row %d is %s without a queue id", r.Seq, r.Status)
	}
	return nil
}

// history looks how the acceptance of a row became known.
func (j *judge) history(ctx context.Context, r campaign.Recipient) error {
	attempts, err := j.Ledger.Attempts(ctx, r.Campaign, r.Seq)
	if err != nil {
		return err
	}
	doubted := slices.ContainsFunc(attempts, func(a campaign.Attempt) bool { return a.Outcome == campaign.OutcomeUnknown })
	switch {
	case !doubted:
	case attempts[len(attempts)-1].Outcome == campaign.OutcomeUnknown:
		j.Found++
	default:
		j.Returned++
	}
	return nil
}

// acceptedRow holds a row that names an id against the provider's log.
func (j *judge) acceptedRow(r campaign.Recipient) {
	j.Known++
	acceptance, ok := j.took[r.QueueID]
	switch {
	case !ok || acceptance.ChatID != string(r.Chat):
		j.Lost++
		j.wrong("row %d is %s under a queue id that the provider gave to somebody else, or to nobody", r.Seq, r.Status)
	case j.known[r.QueueID]:
		j.Lost++
		j.wrong("row %d is %s under a queue id that another row has too", r.Seq, r.Status)
	}
	j.known[r.QueueID] = true
	j.has[string(r.Chat)] = true
}

// state looks for rows that nothing would ever move again.
func (j *judge) state(c campaign.Campaign, r campaign.Recipient) {
	over := c.State == campaign.StateTracking || c.State == campaign.StateCompleted
	switch r.Status {
	case campaign.StatusStaged, campaign.StatusSubmitting, campaign.StatusPending:
		j.Waiting++
		if over {
			j.Lost++
			j.wrong("row %d is %s although the campaign is %s", r.Seq, r.Status, c.State)
		} else if !j.Interrupted && r.Status != campaign.StatusPending {
			j.wrong("row %d was left %s by a run that ended in order", r.Seq, r.Status)
		}
	case campaign.StatusUnknown:
		j.Unknown++
		if r.Attempt >= mostAttempts {
			j.Tried++
		}
		row := campaign.UnknownRow{ClaimedAt: r.ClaimedAt, Resolution: r.Resolution}
		if c.State == campaign.StateCompleted && row.Open(j.now) {
			j.wrong("row %d is unknown and open although the campaign is completed", r.Seq)
		}
		if r.ClaimedAt.IsZero() {
			j.wrong("row %d is unknown and was never claimed", r.Seq)
		}
	case campaign.StatusFailed:
		j.Failed++
	case campaign.StatusSkipped, campaign.StatusCanceled:
		j.Left++
	default:
	}
}

// unclaimed looks at acceptances that no row has. An unknown row excuses one;
// that is what it is there for.
func (j *judge) unclaimed() {
	for id, acceptance := range j.took {
		if j.known[id] {
			continue
		}
		chat := campaign.ChatID(acceptance.ChatID)
		switch {
		case j.doubtful[acceptance.ChatID] > 0:
			j.doubtful[acceptance.ChatID]--
			j.UnknownTaken++
		case j.has[acceptance.ChatID]:
			j.Duplicated++
			j.wrong("chat %s got its message twice", chat)
		default:
			j.has[acceptance.ChatID] = true // a second one would be one too many
			j.Duplicated++
			j.wrong("the provider took a message to %s that no row knows of, so it may be sent again", chat)
		}
	}
}
