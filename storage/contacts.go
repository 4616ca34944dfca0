package storage

import (
	"context"
	"slices"

	"github.com/jmoiron/sqlx"

	"github.com/herald-campaigns/herald/campaign"
)

// Contacts is what the provider said about those of the chats that were ever
// asked for. How old an answer may be is for the caller to judge.
func (s *Store) Contacts(ctx context.Context, chats []campaign.ChatID) (map[campaign.ChatID]campaign.ContactCheck, error) {
	found := map[campaign.ChatID]campaign.ContactCheck{}
	for chunk := range slices.Chunk(chats, pageRows) {
		query, args, err := sqlx.In("SELECT chat, on_app, canonical, checked_at FROM contacts WHERE chat IN (?)", chunk)
		if err != nil {
			return nil, s.fail("read what is known of numbers", err)
		}
		var rows []struct {
			Chat      campaign.ChatID `db:"chat"`
			OnApp     int             `db:"on_app"`
			Canonical campaign.ChatID `db:"canonical"`
			CheckedAt int64           `db:"checked_at"`
		}
		if err := s.readers.SelectContext(ctx, &rows, s.readers.Rebind(query), args...); err != nil {
			return nil, s.fail("read what is known of numbers", err)
		}
		for _, r := range rows {
			found[r.Chat] = campaign.ContactCheck{Chat: r.Chat, Exists: r.OnApp != 0, Canonical: r.Canonical, At: moment(r.CheckedAt)}
		}
	}
	return found, nil
}

// PutContacts keeps what the provider said about numbers. An older answer takes
// the place of no newer one.
func (s *Store) PutContacts(ctx context.Context, checks []campaign.ContactCheck) error {
	if len(checks) == 0 {
		return nil
	}
	_, err := write(ctx, s, func(ctx context.Context, t *tx) (struct{}, error) {
		for _, c := range checks {
			at := millis(c.At)
			if at == 0 {
				at = t.now()
			}
			_, err := t.exec(ctx, `
				INSERT INTO contacts (chat, on_app, canonical, checked_at) VALUES (?, ?, ?, ?)
				ON CONFLICT (chat) DO UPDATE SET on_app = excluded.on_app, canonical = excluded.canonical, checked_at = excluded.checked_at
				  WHERE excluded.checked_at >= contacts.checked_at`,
				string(c.Chat), asInt(c.Exists), string(c.Canonical), at)
			if err != nil {
				return struct{}{}, err
			}
		}
		return struct{}{}, nil
	})
	return s.fail("keep what is known of numbers", err)
}
