package storage

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/herald-campaigns/herald/campaign"
)

// activityKey names what came of a sender's messages in one minute.
type activityKey struct {
	sender, minute int64
	kind           string
}

// The kinds of activity.
const (
	activityAccepted = "accepted"
	activityFailed   = "failed"
	activityUnknown  = "unknown"
	activityOptedOut = "opted_out"
)

// act counts what was learned of a sender's message now.
func (t *tx) act(sender int64, kind string) {
	t.activity[activityKey{sender, t.now() / minuteMillis, kind}]++
}

// actMove counts a row's move where it is one that SenderActivity tells of.
func (t *tx) actMove(sender int64, from, to campaign.Status) {
	if from == to {
		return
	}
	switch to { //nolint:exhaustive // acceptance is counted where it is dated
	case campaign.StatusFailed:
		t.act(sender, activityFailed)
	case campaign.StatusUnknown:
		t.act(sender, activityUnknown)
	}
}

func (t *tx) addActivity(ctx context.Context) error {
	order := func(a, b activityKey) int {
		return cmp.Or(cmp.Compare(a.sender, b.sender), cmp.Compare(a.minute, b.minute), cmp.Compare(a.kind, b.kind))
	}
	for _, key := range slices.SortedFunc(maps.Keys(t.activity), order) {
		_, err := t.exec(ctx, `
			INSERT INTO sender_activity (sender_n, minute, kind, n) VALUES (?, ?, ?, ?)
			ON CONFLICT (sender_n, minute, kind) DO UPDATE SET n = sender_activity.n + excluded.n`,
			key.sender, key.minute, key.kind, t.activity[key])
		if err != nil {
			return err
		}
	}
	return nil
}

// SenderActivity is what a sender did and what came of it, counted by the
// minute in which the ledger learned of it.
type SenderActivity struct {
	Sender   campaign.Sender
	Calls    int64 // of the send API begun, without those taken back
	Accepted int64
	Failed   int64 // rejected, or given up by the provider
	Unknown  int64 // nobody knew what came of the call
	OptedOut int64 // in answer to its messages

	Hour, Day int64 // intents in the last 60 minutes and 24 hours, as its caps count them
}

// SenderActivity is that of every sender since a time, the oldest sender first.
// A minute that lies partly inside counts whole. Two days back is as far as it
// reaches.
func (s *Store) SenderActivity(ctx context.Context, since time.Time) ([]SenderActivity, error) {
	const what = "read what the senders did"
	senders, err := s.Senders(ctx)
	if err != nil {
		return nil, err
	}
	list := make([]SenderActivity, len(senders))
	from := millis(since) / minuteMillis
	for i, sender := range senders {
		a := SenderActivity{Sender: sender}
		number, err := s.senderNumber(ctx, sender.ID)
		if err != nil {
			return nil, s.fail(what, err)
		}
		err = s.readers.GetContext(ctx, &a.Calls, s.readers.Rebind(
			"SELECT COALESCE(SUM(n), 0) FROM sender_usage WHERE sender_n = ? AND minute >= ?"), number, from)
		if err != nil {
			return nil, s.fail(what, err)
		}
		var rows []struct {
			Kind string `db:"kind"`
			N    int64  `db:"n"`
		}
		err = s.readers.SelectContext(ctx, &rows, s.readers.Rebind(
			"SELECT kind, SUM(n) AS n FROM sender_activity WHERE sender_n = ? AND minute >= ? GROUP BY kind"), number, from)
		if err != nil {
			return nil, s.fail(what, err)
		}
		for _, r := range rows {
			switch r.Kind {
			case activityAccepted:
				a.Accepted = r.N
			case activityFailed:
				a.Failed = r.N
			case activityUnknown:
				a.Unknown = r.N
			case activityOptedOut:
				a.OptedOut = r.N
			}
		}
		if a.Hour, a.Day, err = s.SenderUsage(ctx, sender.ID); err != nil {
			return nil, err
		}
		list[i] = a
	}
	return list, nil
}
