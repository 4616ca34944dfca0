package app

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/report"
	"github.com/herald-campaigns/herald/storage"
)

// CampaignView is a line of `herald campaigns` (docs/cli-json.md).
type CampaignView struct {
	ID        campaign.ID                   `json:"id"`
	Name      string                        `json:"name"`
	Mode      campaign.Mode                 `json:"mode"`
	State     campaign.State                `json:"state"`
	Reason    campaign.PauseReason          `json:"reason,omitempty"`
	Detail    string                        `json:"detail,omitempty"`
	Rows      int64                         `json:"rows"`
	Balance   map[campaign.Status]int64     `json:"balance"`
	Skipped   map[campaign.SkipReason]int64 `json:"skipped"`
	Failed    map[campaign.FailReason]int64 `json:"failed"`
	CreatedAt time.Time                     `json:"created_at"`
	StartAt   time.Time                     `json:"start_at,omitzero"`
	StartedAt time.Time                     `json:"started_at,omitzero"`
	EndedAt   time.Time                     `json:"finished_at,omitzero"`

	// Interrupted says that it is running or scheduled and nobody holds the data
	// directory: whoever sent it is gone.
	Interrupted bool `json:"interrupted"`
	// StoppedAt is when the service that had it was stopped in order; zero when it
	// is not interrupted, or whoever sent it is gone without a word.
	StoppedAt time.Time `json:"service_stopped_at,omitzero"`
	// Held are the holds of a campaign that is being run, the oldest first:
	// senders that begin no calls for now, and go on by themselves.
	Held []HoldView `json:"held"`
	// Unknown are the unknown rows by what is to be done about them.
	Unknown UnknownCounts `json:"unknown"`

	totals   campaign.Totals
	served   bool   // a service has it
	attended bool   // another process works on the data directory
	restored bool   // the data directory is a restored copy that nobody has confirmed
	file     string // the campaign file
	senders  int
}

// HoldView is why senders of a campaign are held.
type HoldView struct {
	Reason campaign.PauseReason `json:"reason"`
	Detail string               `json:"detail,omitempty"` // for people; of one sender's hold it begins with the masked number
	Since  time.Time            `json:"since"`
}

// Word is the reason as people say it.
func (h HoldView) Word() string { return report.PauseWord(h.Reason) }

// UnknownCounts counts unknown rows by their state.
type UnknownCounts struct {
	Searching   int64 `json:"searching"`
	Unresolved  int64 `json:"unresolved"`
	AssumedSent int64 `json:"assumed_sent"`
}

// Open counts the rows that nobody has decided about.
func (c UnknownCounts) Open() int64 { return c.Searching + c.Unresolved }

// Scheduled says that it waits for its start.
func (v CampaignView) Scheduled() bool { return v.State == campaign.StateScheduled }

// Waiting counts rows still to be sent.
func (v CampaignView) Waiting() int64 { return v.totals.Unsubmitted() }

// InQueue counts messages that are in the provider's queue, as far as is known.
func (v CampaignView) InQueue() int64 { return inQueue(v.totals) }

// AtLeastSent counts messages that WhatsApp has.
func (v CampaignView) AtLeastSent() int64 { return v.totals.AtLeastSent() }

// AtLeastDelivered counts messages on their recipient's device.
func (v CampaignView) AtLeastDelivered() int64 { return v.totals.AtLeastDelivered() }

// OnTheWay counts messages that Periskope has and WhatsApp has not yet.
func (v CampaignView) OnTheWay() int64 {
	return v.totals.ByStatus[campaign.StatusQueued] + v.totals.ByStatus[campaign.StatusProcessing]
}

// SkippedCount counts rows that get nothing.
func (v CampaignView) SkippedCount() int64 { return v.totals.ByStatus[campaign.StatusSkipped] }

// CanceledCount counts rows that were canceled before they were sent.
func (v CampaignView) CanceledCount() int64 { return v.totals.ByStatus[campaign.StatusCanceled] }

// AssumedCount counts unknown rows that were decided to count as sent.
func (v CampaignView) AssumedCount() int64 { return v.Unknown.AssumedSent }

// Missed counts recipients that failed or are unknown, without those that were
// decided to count as sent.
func (v CampaignView) Missed() int64 { return missed(v.totals.ByStatus, v.Unknown.AssumedSent) }

// FailedCount counts recipients that failed.
func (v CampaignView) FailedCount() int64 { return v.totals.ByStatus[campaign.StatusFailed] }

// UnknownCount counts recipients whose call may have been taken, without those
// that were decided to count as sent.
func (v CampaignView) UnknownCount() int64 {
	return v.totals.ByStatus[campaign.StatusUnknown] - v.Unknown.AssumedSent
}

func missed(rows map[campaign.Status]int64, assumedSent int64) int64 {
	return rows[campaign.StatusFailed] + rows[campaign.StatusUnknown] - assumedSent
}

// Sendable counts rows that were not skipped.
func (r RunResult) Sendable() int64 {
	return r.Totals.Sum() - r.Totals.ByStatus[campaign.StatusSkipped]
}

// Campaigns lists the campaigns of the data directory, the newest first.
func (a *App) Campaigns(ctx context.Context) ([]CampaignView, error) {
	campaigns, err := a.store.Campaigns(ctx)
	if err != nil {
		return nil, err
	}
	totals, err := a.store.AllTotals(ctx)
	if err != nil {
		return nil, err
	}
	views := make([]CampaignView, len(campaigns))
	for i, c := range campaigns {
		if views[i], err = a.view(ctx, c, totals[c.ID]); err != nil {
			return nil, err
		}
	}
	return views, nil
}

// Campaign is one campaign, by id or by name (the newest of that name).
func (a *App) Campaign(ctx context.Context, idOrName string) (CampaignView, error) {
	c, err := a.find(ctx, idOrName)
	if err != nil {
		return CampaignView{}, err
	}
	totals, err := a.store.Totals(ctx, c.ID)
	if err != nil {
		return CampaignView{}, err
	}
	return a.view(ctx, c, totals)
}

// view is viewOf with what more than the campaign's own line tells.
func (a *App) view(ctx context.Context, c campaign.Campaign, t campaign.Totals) (CampaignView, error) {
	v := viewOf(c, t)
	var err error
	if v.Interrupted, err = a.interrupted(ctx, c); err != nil {
		return v, err
	}
	if v.Held, err = a.holdsOf(ctx, c, v.Interrupted); err != nil {
		return v, err
	}
	if c.State == campaign.StatePaused {
		if v.attended, err = a.attended(); err != nil {
			return v, err
		}
		v.served = v.attended && a.hasAddress()
	}
	if v.Interrupted {
		v.StoppedAt = a.stoppedAt(c.ID)
	}
	if v.Interrupted || c.State == campaign.StatePaused {
		if _, v.restored, err = a.store.Restored(ctx); err != nil {
			return v, err
		}
	}
	if t.ByStatus[campaign.StatusUnknown] > 0 {
		v.Unknown, err = a.unknownCounts(ctx, c.ID)
	}
	return v, err
}

func viewOf(c campaign.Campaign, t campaign.Totals) CampaignView {
	v := CampaignView{
		ID: c.ID, Name: c.Name, Mode: c.Mode, State: c.State, Reason: c.Reason, Detail: c.Detail, Rows: c.Rows(),
		Balance: map[campaign.Status]int64{}, Skipped: map[campaign.SkipReason]int64{}, Failed: map[campaign.FailReason]int64{},
		CreatedAt: c.CreatedAt, StartAt: c.StartAt, StartedAt: c.StartedAt, EndedAt: c.FinishedAt, totals: t,
		Held: []HoldView{}, file: fileOf(c.Spec.Path), senders: len(c.Spec.Senders),
	}
	for _, status := range campaign.Statuses() {
		v.Balance[status] = t.ByStatus[status]
	}
	for _, reason := range campaign.SkipReasons() {
		v.Skipped[reason] = t.Skipped[reason]
	}
	for _, reason := range campaign.FailReasons() {
		v.Failed[reason] = t.Failed[reason]
	}
	return v
}

// RecipientFilter chooses rows of a campaign.
type RecipientFilter struct {
	Statuses []string // "waiting" is pending and staged
	After    int64    // rows behind this one
	Limit    int      // 0: all
}

// RecipientView is a line of `herald recipients` (docs/cli-json.md). It is
// made for the campaign's owner and carries the whole number.
type RecipientView struct {
	Row         int64               `json:"row"`
	Line        int64               `json:"line"`
	Chat        string              `json:"chat_id"`
	Status      campaign.Status     `json:"status"`
	SkipReason  campaign.SkipReason `json:"skip_reason,omitempty"`
	FailReason  campaign.FailReason `json:"fail_reason,omitempty"`
	Detail      string              `json:"detail,omitempty"`
	Attempts    int                 `json:"attempts"`
	QueueID     string              `json:"queue_id,omitempty"`
	MessageID   string              `json:"message_id,omitempty"`
	QueuedAt    time.Time           `json:"queued_at,omitzero"`
	SentAt      time.Time           `json:"sent_at,omitzero"`
	DeliveredAt time.Time           `json:"delivered_at,omitzero"`
	ReadAt      time.Time           `json:"read_at,omitzero"`
	FailedAt    time.Time           `json:"failed_at,omitzero"`
}

// Word is the status as people say it.
func (v RecipientView) Word() string { return report.StatusWord(v.Status).Label }

// Masked is the chat with its middle hidden.
func (v RecipientView) Masked() string { return campaign.ChatID(v.Chat).String() }

// Why is the reason behind the status, if it has one.
func (v RecipientView) Why() string {
	words := []string{}
	if v.SkipReason != "" {
		words = append(words, report.SkipWord(v.SkipReason).Label)
	}
	if v.FailReason != "" {
		words = append(words, report.FailWord(v.FailReason).Label)
	}
	switch v.Status {
	case campaign.StatusSent, campaign.StatusDelivered, campaign.StatusRead:
		// What the provider says then repeats the status.
	default:
		if v.Detail != "" {
			words = append(words, v.Detail)
		}
	}
	return strings.Join(words, ": ")
}

// Recipients yields the rows of a campaign that the filter lets through, in
// file order.
func (a *App) Recipients(ctx context.Context, id campaign.ID, filter RecipientFilter) (iter.Seq2[RecipientView, error], error) {
	statuses, err := statusesOf(filter.Statuses)
	if err != nil {
		return nil, err
	}
	rows := a.store.Recipients(ctx, id, storage.Filter{Statuses: statuses, AfterSeq: filter.After, Limit: filter.Limit})
	return func(yield func(RecipientView, error) bool) {
		for r, err := range rows {
			view := RecipientView{
				Row: r.Seq, Line: r.Line, Chat: string(r.Chat), Status: r.Status,
				SkipReason: r.SkipReason, FailReason: r.FailReason, Detail: r.Detail, Attempts: r.Attempt,
				QueueID: r.QueueID, MessageID: r.MessageID, QueuedAt: r.QueuedAt, SentAt: r.SentAt,
				DeliveredAt: r.DeliveredAt, ReadAt: r.ReadAt, FailedAt: r.FailedAt,
			}
			if !yield(view, err) {
				return
			}
		}
	}, nil
}

func statusesOf(words []string) ([]campaign.Status, error) {
	var statuses []campaign.Status
	known := make([]string, 0, len(campaign.Statuses())+1)
	for _, status := range campaign.Statuses() {
		known = append(known, string(status))
	}
	known = append(known, "waiting")
next:
	for _, word := range words {
		if word == "waiting" {
			statuses = append(statuses, campaign.StatusPending, campaign.StatusStaged)
			continue
		}
		for _, status := range campaign.Statuses() {
			if string(status) == word {
				statuses = append(statuses, status)
				continue next
			}
		}
		return nil, &campaign.Error{
			Code: campaign.CodeInvalid, What: fmt.Sprintf("%q is no status", word),
			Hint: "one of " + strings.Join(known, ", "),
		}
	}
	return statuses, nil
}

// The helpers below let the command line show progress without naming the
// domain's types.

// Accepted counts messages Periskope took.
func (p Progress) Accepted() int64 { return p.Totals.Accepted() }

// Sendable counts rows that were not skipped.
func (p Progress) Sendable() int64 { return p.Totals.Sum() - p.Totals.ByStatus[campaign.StatusSkipped] }

// FailedCount counts failed recipients.
func (p Progress) FailedCount() int64 { return p.Totals.ByStatus[campaign.StatusFailed] }

// UnknownCount counts recipients whose call may have been taken.
func (p Progress) UnknownCount() int64 { return p.Totals.ByStatus[campaign.StatusUnknown] }

// Held says in words what keeps senders from sending: all of them, or some; ""
// when nothing does.
func (p Progress) Held() (why string, all bool) {
	held := map[campaign.Phone]bool{}
	for _, hold := range p.Holds {
		held[hold.Sender] = true
	}
	if len(held) == 0 {
		return "", false
	}
	why = report.PauseWord(p.Holds[0].Reason)
	if all = len(held) == p.Senders; !all {
		why = fmt.Sprintf("%d of %d senders wait: %s", len(held), p.Senders, why)
	}
	return why, all
}

// Share is how much of the work is done, 0 to 1: submitting first, following
// after it.
func (p Progress) Share() float64 {
	all := p.Sendable()
	if all == 0 {
		return 1
	}
	if p.Submitting {
		return float64(all-p.Totals.Unsubmitted()) / float64(all)
	}
	return float64(p.Totals.AtLeastSent()+p.FailedCount()+p.UnknownCount()) / float64(all)
}

// ProgressEvent is a line of `run --json` before the last (docs/cli-json.md).
type ProgressEvent struct {
	Event             string                    `json:"event"` // progress
	At                time.Time                 `json:"at"`
	CampaignID        campaign.ID               `json:"campaign_id"`
	State             campaign.State            `json:"state"`
	Reason            campaign.PauseReason      `json:"reason,omitempty"`
	Rows              int64                     `json:"rows"`
	Balance           map[campaign.Status]int64 `json:"balance"`
	AcceptedPerSecond float64                   `json:"accepted_per_second"`
	Finish            time.Time                 `json:"expected_finish,omitzero"`
	StartAt           time.Time                 `json:"start_at,omitzero"`
	Held              []HeldSender              `json:"held,omitempty"`
	LookingFor        int64                     `json:"looking_for,omitempty"`
}

// HeldSender is a sender that begins no calls for now, and goes on by itself.
type HeldSender struct {
	Sender string               `json:"sender"` // masked
	Reason campaign.PauseReason `json:"reason"`
	Detail string               `json:"detail,omitempty"`
	Since  time.Time            `json:"since"`
}

// Event is the progress as one line of JSON.
func (p Progress) Event() ProgressEvent {
	var held []HeldSender
	for _, hold := range p.Holds {
		held = append(held, HeldSender{Sender: hold.Sender.String(), Reason: hold.Reason, Detail: hold.Detail, Since: hold.Since.UTC()})
	}
	return ProgressEvent{
		Event: "progress", At: time.Now().UTC(), CampaignID: p.Campaign.ID, State: p.Campaign.State, Reason: p.Campaign.Reason,
		Rows: p.Rows, Balance: viewOf(p.Campaign, p.Totals).Balance, AcceptedPerSecond: p.RateMean,
		Finish: p.Finish.UTC(), StartAt: p.Campaign.StartAt, Held: held, LookingFor: p.Unclear,
	}
}
