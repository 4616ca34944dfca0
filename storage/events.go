package storage

import (
	"context"
	"fmt"

	"github.com/herald-campaigns/herald/campaign"
)

// Timeline is what happened to a campaign, the oldest first.
func (s *Store) Timeline(ctx context.Context, id campaign.ID) ([]campaign.Event, error) {
	number, err := s.number(ctx, id)
	if err != nil {
		return nil, s.fail("read the timeline", err)
	}
	var rows []struct {
		At     int64                `db:"at"`
		Kind   campaign.EventKind   `db:"kind"`
		From   campaign.State       `db:"from_state"`
		To     campaign.State       `db:"to_state"`
		Reason campaign.PauseReason `db:"reason"`
		Detail string               `db:"detail"`
	}
	err = s.readers.SelectContext(ctx, &rows, s.readers.Rebind(
		"SELECT at, kind, from_state, to_state, reason, detail FROM events WHERE campaign_n = ? ORDER BY n"), number)
	if err != nil {
		return nil, s.fail(fmt.Sprintf("read the timeline of campaign %s", id), err)
	}
	events := make([]campaign.Event, len(rows))
	for i, r := range rows {
		events[i] = campaign.Event{At: moment(r.At), Kind: r.Kind, From: r.From, To: r.To, Reason: r.Reason, Detail: r.Detail}
	}
	return events, nil
}

// Note adds a line to a campaign's timeline. Its time is the ledger's.
func (s *Store) Note(ctx context.Context, id campaign.ID, e campaign.Event) error {
	number, err := s.number(ctx, id)
	if err != nil {
		return s.fail("write the timeline", err)
	}
	_, err = write(ctx, s, func(ctx context.Context, t *tx) (struct{}, error) {
		return struct{}{}, t.note(ctx, number, e)
	})
	return s.fail("write the timeline", err)
}

// note adds a line to the timeline.
func (t *tx) note(ctx context.Context, number int64, e campaign.Event) error {
	_, err := t.exec(ctx, `
		INSERT INTO events (campaign_n, at, kind, from_state, to_state, reason, detail) VALUES (?, ?, ?, ?, ?, ?, ?)`,
		number, t.now(), e.Kind, e.From, e.To, e.Reason, e.Detail)
	return err
}
