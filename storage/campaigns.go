package storage

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/herald-campaigns/herald/campaign"
)

const campaignColumns = `n, id, name, mode, state, reason, detail, spec, poll_id, message_hash, source_hash,
	created_at, start_at, started_at, finished_at`

type campaignRow struct {
	N           int64                `db:"n"`
	ID          campaign.ID          `db:"id"`
	Name        string               `db:"name"`
	Mode        campaign.Mode        `db:"mode"`
	State       campaign.State       `db:"state"`
	Reason      campaign.PauseReason `db:"reason"`
	Detail      string               `db:"detail"`
	Spec        string               `db:"spec"`
	PollID      string               `db:"poll_id"`
	MessageHash string               `db:"message_hash"`
	SourceHash  string               `db:"source_hash"`
	CreatedAt   int64                `db:"created_at"`
	StartAt     int64                `db:"start_at"`
	StartedAt   int64                `db:"started_at"`
	FinishedAt  int64                `db:"finished_at"`
}

func (r campaignRow) campaign(imports []campaign.Import) (campaign.Campaign, error) {
	c := campaign.Campaign{
		ID: r.ID, Name: r.Name, Mode: r.Mode, State: r.State, Reason: r.Reason, Detail: r.Detail,
		PollID: r.PollID, MessageHash: r.MessageHash, SourceHash: r.SourceHash, Imports: imports,
		CreatedAt: moment(r.CreatedAt), StartAt: moment(r.StartAt),
		StartedAt: moment(r.StartedAt), FinishedAt: moment(r.FinishedAt),
	}
	if err := json.Unmarshal([]byte(r.Spec), &c.Spec); err != nil {
		return c, fmt.Errorf("decode the campaign file of %s: %w", r.ID, err)
	}
	return c, nil
}

// CreateCampaign adds a campaign in its State, a draft as a rule. Imports are
// added by BeginImport; c.Imports is not read. A zero CreatedAt is now.
func (s *Store) CreateCampaign(ctx context.Context, c campaign.Campaign) error {
	spec, err := json.Marshal(c.Spec)
	if err != nil {
		return fmt.Errorf("encode the campaign file of %s: %w", c.ID, err)
	}
	_, err = write(ctx, s, func(ctx context.Context, t *tx) (struct{}, error) {
		created := millis(c.CreatedAt)
		if created == 0 {
			created = t.now()
		}
		var number int64
		err := t.row(ctx, `
			INSERT INTO campaigns (id, name, mode, state, reason, detail, spec, poll_id, message_hash, source_hash,
			  created_at, start_at, started_at, finished_at)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING n`,
			c.ID, c.Name, c.Mode, c.State, c.Reason, c.Detail, string(spec), c.PollID, c.MessageHash, c.SourceHash,
			created, millis(c.StartAt), millis(c.StartedAt), millis(c.FinishedAt)).Scan(&number)
		if err != nil {
			return struct{}{}, err
		}
		return struct{}{}, t.note(ctx, number, campaign.Event{Kind: campaign.EventCreated, To: c.State, Detail: c.Detail})
	})
	return s.fail(fmt.Sprintf("create campaign %s", c.ID), err)
}

// Campaign is the campaign with the id, or campaign.ErrNotFound.
func (s *Store) Campaign(ctx context.Context, id campaign.ID) (campaign.Campaign, error) {
	return s.oneCampaign(ctx, "SELECT "+campaignColumns+" FROM campaigns WHERE id = ?", id)
}

// CampaignNamed is the newest campaign of that name, or campaign.ErrNotFound.
func (s *Store) CampaignNamed(ctx context.Context, name string) (campaign.Campaign, error) {
	return s.oneCampaign(ctx, "SELECT "+campaignColumns+" FROM campaigns WHERE name = ? ORDER BY n DESC LIMIT 1", name)
}

func (s *Store) oneCampaign(ctx context.Context, query string, arg any) (campaign.Campaign, error) {
	c, err := readCampaign(ctx, s.readers, query, arg)
	return c, s.fail("read a campaign", err)
}

func readCampaign(ctx context.Context, q selecter, query string, arg any) (campaign.Campaign, error) {
	var row campaignRow
	err := q.GetContext(ctx, &row, q.Rebind(query), arg)
	if errors.Is(err, sql.ErrNoRows) {
		return campaign.Campaign{}, campaign.ErrNotFound
	}
	if err != nil {
		return campaign.Campaign{}, err
	}
	imports, err := importsOf(ctx, q, row.N)
	if err != nil {
		return campaign.Campaign{}, err
	}
	return row.campaign(imports)
}

// Campaigns is every campaign, the newest first.
func (s *Store) Campaigns(ctx context.Context) ([]campaign.Campaign, error) {
	var rows []campaignRow
	if err := s.readers.SelectContext(ctx, &rows, "SELECT "+campaignColumns+" FROM campaigns ORDER BY n DESC"); err != nil {
		return nil, s.fail("list campaigns", err)
	}
	all := make([]campaign.Campaign, 0, len(rows))
	for _, row := range rows {
		imports, err := importsOf(ctx, s.readers, row.N)
		if err != nil {
			return nil, s.fail("list campaigns", err)
		}
		c, err := row.campaign(imports)
		if err != nil {
			return nil, s.fail("list campaigns", err)
		}
		all = append(all, c)
	}
	return all, nil
}

// UpdatePlan replaces the frozen campaign file and the start time: pace,
// schedule and senders may change while a campaign runs. A campaign that is
// over is refused.
func (s *Store) UpdatePlan(ctx context.Context, id campaign.ID, spec campaign.Spec, startAt time.Time) error {
	encoded, err := json.Marshal(spec)
	if err != nil {
		return fmt.Errorf("encode the campaign file of %s: %w", id, err)
	}
	_, err = write(ctx, s, func(ctx context.Context, t *tx) (struct{}, error) {
		number, state, err := t.campaignState(ctx, id)
		if err != nil {
			return struct{}{}, err
		}
		if state.Over() {
			return struct{}{}, conflict("make a new campaign instead", "campaign %s is %s, its plan cannot change", id, state)
		}
		if _, err := t.exec(ctx, "UPDATE campaigns SET spec = ?, start_at = ? WHERE n = ?", string(encoded), millis(startAt), number); err != nil {
			return struct{}{}, err
		}
		delete(t.reports, number)
		return struct{}{}, t.note(ctx, number, campaign.Event{Kind: campaign.EventPlan})
	})
	return s.fail(fmt.Sprintf("update the plan of campaign %s", id), err)
}

// campaignState is the number and state of a campaign as the transaction sees
// it.
func (t *tx) campaignState(ctx context.Context, id campaign.ID) (number int64, state campaign.State, err error) {
	err = t.row(ctx, "SELECT n, state FROM campaigns WHERE id = ?", id).Scan(&number, &state)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, "", campaign.ErrNotFound
	}
	return number, state, err
}

// Transition moves a campaign to a state and returns it as it is then. A move
// that State.CanBecome does not allow is a conflict; the state it is in
// already is no error, and a new reason or detail is kept.
//
// Paused needs a reason, no other state keeps one. A draft with an unfinished
// import cannot start, nothing can while the ledger is Restored, and a campaign cannot complete while rows wait or its
// books do not balance.
func (s *Store) Transition(ctx context.Context, id campaign.ID, to campaign.State, reason campaign.PauseReason, detail string) (campaign.Campaign, error) {
	if to != campaign.StatePaused {
		reason = ""
	} else if reason == "" {
		return campaign.Campaign{}, fmt.Errorf("pause campaign %s: a reason is required", id)
	}
	c, err := write(ctx, s, func(ctx context.Context, t *tx) (campaign.Campaign, error) {
		const query = "SELECT " + campaignColumns + " FROM campaigns WHERE id = ?"
		c, err := readCampaign(ctx, t, query, id)
		if err != nil || c.State == to && c.Reason == reason && c.Detail == detail {
			return c, err
		}
		if err := t.mayBecome(ctx, c, to); err != nil {
			return c, err
		}
		if err := t.transit(ctx, c, to, reason, detail); err != nil {
			return c, err
		}
		return readCampaign(ctx, t, query, id)
	})
	return c, s.fail(fmt.Sprintf("move campaign %s to %s", id, to), err)
}

func (t *tx) mayBecome(ctx context.Context, c campaign.Campaign, to campaign.State) error {
	if c.State != to && !c.State.CanBecome(to) {
		return conflict("`herald status "+string(c.ID)+"` shows where it stands", "campaign %s is %s and cannot become %s", c.ID, c.State, to)
	}
	if c.State != to && (to == campaign.StateRunning || to == campaign.StateScheduled) {
		if err := t.mustNotBeRestored(ctx, c.ID); err != nil {
			return err
		}
	}
	if c.State == campaign.StateDraft && (to == campaign.StateRunning || to == campaign.StateScheduled) {
		for _, imp := range c.Imports {
			if !imp.Complete {
				return conflict("import the recipients again", "the recipients of campaign %s are not completely imported", c.ID)
			}
		}
	}
	if c.State == to || to != campaign.StateCompleted {
		return nil
	}
	number, _, err := t.campaignState(ctx, c.ID)
	if err != nil {
		return err
	}
	totals, err := t.totals(ctx, number)
	switch {
	case err != nil:
		return err
	case totals.Unsubmitted() > 0:
		return conflict("", "campaign %s cannot complete: %d rows are not sent yet", c.ID, totals.Unsubmitted())
	case !totals.Balanced(c.Rows()):
		return &campaign.Error{
			Code: campaign.CodeInternal,
			What: fmt.Sprintf("campaign %s cannot complete: its books do not balance, %d rows were read and %d are accounted for",
				c.ID, c.Rows(), totals.Sum()),
			Hint: "please report this; the ledger is kept as it is",
		}
	}
	return nil
}

func (t *tx) transit(ctx context.Context, c campaign.Campaign, to campaign.State, reason campaign.PauseReason, detail string) error {
	now := t.now()
	started, finished := millis(c.StartedAt), int64(0)
	if to == campaign.StateRunning && started == 0 {
		started = now
	}
	if to.Over() {
		finished = now
	}
	if c.State == to && to.Over() {
		finished = millis(c.FinishedAt)
	}
	var number int64
	err := t.row(ctx, `
		UPDATE campaigns SET state = ?, reason = ?, detail = ?, started_at = ?, finished_at = ? WHERE id = ? RETURNING n`,
		to, reason, detail, started, finished, c.ID).Scan(&number)
	if err != nil {
		return err
	}
	if c.State != to {
		if err := t.reportState(ctx, number, c.State, to, reason, detail); err != nil {
			return err
		}
	}
	return t.note(ctx, number, campaign.Event{Kind: campaign.EventState, From: c.State, To: to, Reason: reason, Detail: detail})
}

// DeleteDraft removes a campaign that never left draft, with its rows.
func (s *Store) DeleteDraft(ctx context.Context, id campaign.ID) error {
	what := fmt.Sprintf("delete campaign %s", id)
	number, err := s.number(ctx, id)
	if err != nil {
		return s.fail(what, err)
	}
	for {
		more, err := write(ctx, s, func(ctx context.Context, t *tx) (int64, error) {
			_, state, err := t.campaignState(ctx, id)
			if err != nil {
				return 0, err
			}
			if state != campaign.StateDraft {
				return 0, conflict("cancel it instead: what was sent stays in the ledger", "campaign %s is %s, no draft", id, state)
			}
			n, err := t.deleteRows(ctx, number, 0)
			if err != nil || n > 0 {
				return n, err
			}
			return 0, t.deleteCampaign(ctx, number)
		})
		if err != nil {
			return s.fail(what, err)
		}
		if more == 0 {
			s.campaigns.Delete(id)
			return nil
		}
	}
}

func (t *tx) deleteCampaign(ctx context.Context, number int64) error {
	for _, query := range []string{
		"DELETE FROM counters WHERE campaign_n = ?",
		"DELETE FROM progress WHERE campaign_n = ?",
		"DELETE FROM attempts WHERE campaign_n = ?",
		"DELETE FROM imports WHERE campaign_n = ?",
		"DELETE FROM notices WHERE campaign_n = ?",
		"DELETE FROM events WHERE campaign_n = ?",
		"DELETE FROM campaigns WHERE n = ?",
	} {
		if _, err := t.exec(ctx, query, number); err != nil {
			return err
		}
	}
	return nil
}

// number is the campaign's number in the ledger. It never changes, so it is
// looked up once.
func (s *Store) number(ctx context.Context, id campaign.ID) (int64, error) {
	if n, ok := s.campaigns.Load(id); ok {
		return n.(int64), nil //nolint:forcetypeassert // only int64 is stored
	}
	var n int64
	err := s.readers.GetContext(ctx, &n, s.readers.Rebind("SELECT n FROM campaigns WHERE id = ?"), id)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, campaign.ErrNotFound
	}
	if err != nil {
		return 0, err
	}
	s.campaigns.Store(id, n)
	return n, nil
}

// campaignID is the reverse of number; 0 has "".
func (s *Store) campaignID(ctx context.Context, number int64) (campaign.ID, error) {
	if number == 0 {
		return "", nil
	}
	if id, ok := s.campaignIDs.Load(number); ok {
		return id.(campaign.ID), nil //nolint:forcetypeassert // only ids are stored
	}
	var id campaign.ID
	err := s.readers.GetContext(ctx, &id, s.readers.Rebind("SELECT id FROM campaigns WHERE n = ?"), number)
	if errors.Is(err, sql.ErrNoRows) {
		return "", campaign.ErrNotFound
	}
	if err != nil {
		return "", err
	}
	s.campaignIDs.Store(number, id)
	return id, nil
}

// selecter is what a pool and a transaction have in common for reading.
type selecter interface {
	GetContext(ctx context.Context, dest any, query string, args ...any) error
	SelectContext(ctx context.Context, dest any, query string, args ...any) error
	Rebind(query string) string
}
