package storage

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/herald-campaigns/herald/campaign"
)

// Totals are the counts of a campaign, read from its counters: a dozen lines,
// whatever the number of rows.
func (s *Store) Totals(ctx context.Context, id campaign.ID) (campaign.Totals, error) {
	number, err := s.number(ctx, id)
	if err != nil {
		return campaign.Totals{}, s.fail("read totals", err)
	}
	totals, err := readTotals(ctx, s.readers, number)
	return totals, s.fail(fmt.Sprintf("read the totals of campaign %s", id), err)
}

// AllTotals are the totals of every campaign that has rows.
func (s *Store) AllTotals(ctx context.Context) (map[campaign.ID]campaign.Totals, error) {
	var rows []struct {
		ID campaign.ID `db:"id"`
		counterRow
	}
	err := s.readers.SelectContext(ctx, &rows, `
		SELECT c.id, t.kind, t.key, t.n FROM counters t JOIN campaigns c ON c.n = t.campaign_n
		WHERE t.kind IN ('status', 'skip', 'fail', 'answer')`)
	if err != nil {
		return nil, s.fail("read the totals of all campaigns", err)
	}
	all := map[campaign.ID]campaign.Totals{}
	for _, r := range rows {
		totals, ok := all[r.ID]
		if !ok {
			totals = newTotals()
		}
		r.addTo(&totals)
		all[r.ID] = totals
	}
	return all, nil
}

// Recount counts the rows themselves. It is what Totals must equal, and takes
// seconds over a million rows.
func (s *Store) Recount(ctx context.Context, id campaign.ID) (campaign.Totals, error) {
	number, err := s.number(ctx, id)
	if err != nil {
		return campaign.Totals{}, s.fail("recount", err)
	}
	totals, err := recount(ctx, s.readers, number)
	return totals, s.fail(fmt.Sprintf("recount campaign %s", id), err)
}

// bothTotals reads counters and rows in one snapshot.
func (s *Store) bothTotals(ctx context.Context, id campaign.ID) (kept, counted campaign.Totals, err error) {
	number, err := s.number(ctx, id)
	if err != nil {
		return kept, counted, s.fail("recount", err)
	}
	snapshot, err := s.readers.BeginTxx(ctx, nil)
	if err != nil {
		return kept, counted, s.fail("recount", err)
	}
	defer func() { _ = snapshot.Rollback() }() // it only read
	if kept, err = readTotals(ctx, snapshot, number); err != nil {
		return kept, counted, s.fail("read totals", err)
	}
	counted, err = recount(ctx, snapshot, number)
	return kept, counted, s.fail("recount", err)
}

func newTotals() campaign.Totals {
	return campaign.Totals{
		ByStatus: map[campaign.Status]int64{},
		Skipped:  map[campaign.SkipReason]int64{},
		Failed:   map[campaign.FailReason]int64{},
	}
}

type counterRow struct {
	Kind string `db:"kind"`
	Key  string `db:"key"`
	N    int64  `db:"n"`
}

func (r counterRow) addTo(t *campaign.Totals) {
	if r.N == 0 {
		return
	}
	switch r.Kind {
	case countStatus:
		t.ByStatus[campaign.Status(r.Key)] += r.N
	case countSkip:
		t.Skipped[campaign.SkipReason(r.Key)] += r.N
	case countFail:
		t.Failed[campaign.FailReason(r.Key)] += r.N
	case countAnswer:
		switch r.Key {
		case answerReplied:
			t.Replied += r.N
		case answerOptedOut:
			t.OptedOut += r.N
		case answerVoted:
			t.Voted += r.N
		}
	}
}

func readTotals(ctx context.Context, q selecter, number int64) (campaign.Totals, error) {
	var rows []counterRow
	totals := newTotals()
	err := q.SelectContext(ctx, &rows, q.Rebind(
		"SELECT kind, key, n FROM counters WHERE campaign_n = ? AND kind IN ('status', 'skip', 'fail', 'answer')"), number)
	for _, r := range rows {
		r.addTo(&totals)
	}
	return totals, err
}

// totals are the counts as the transaction will leave them.
func (t *tx) totals(ctx context.Context, number int64) (campaign.Totals, error) {
	totals, err := readTotals(ctx, t, number)
	for key, n := range t.counts {
		if key.campaign == number {
			counterRow{key.kind, key.key, n}.addTo(&totals)
		}
	}
	return totals, err
}

func recount(ctx context.Context, q selecter, number int64) (campaign.Totals, error) {
	var rows []struct {
		standing
		N        int64 `db:"n"`
		Replied  int64 `db:"replied"`
		OptedOut int64 `db:"opted"`
		Voted    int64 `db:"voted"`
	}
	totals := newTotals()
	err := q.SelectContext(ctx, &rows, q.Rebind(`
		SELECT status, skip_reason, fail_reason, COUNT(*) AS n,
		  SUM(CASE WHEN replies > 0 THEN 1 ELSE 0 END) AS replied,
		  SUM(CASE WHEN opted_out > 0 THEN 1 ELSE 0 END) AS opted,
		  SUM(CASE WHEN vote <> '' THEN 1 ELSE 0 END) AS voted
		FROM recipients WHERE campaign_n = ?
		GROUP BY status, skip_reason, fail_reason`), number)
	for _, r := range rows {
		totals.ByStatus[r.Status] += r.N
		totals.Replied, totals.OptedOut, totals.Voted = totals.Replied+r.Replied, totals.OptedOut+r.OptedOut, totals.Voted+r.Voted
		if r.Skip != "" {
			totals.Skipped[r.Skip] += r.N
		}
		if r.Fail != "" {
			totals.Failed[r.Fail] += r.N
		}
	}
	return totals, err
}

// differences lists what two totals disagree on, "" when they are the same.
func differences(kept, counted campaign.Totals) string {
	var list []string
	note := func(key string, a, b int64) {
		if a != b {
			list = append(list, fmt.Sprintf("%s %d kept, %d counted", key, a, b))
		}
	}
	for _, status := range campaign.Statuses() {
		note(string(status), kept.ByStatus[status], counted.ByStatus[status])
	}
	for _, reason := range campaign.SkipReasons() {
		note("skipped as "+string(reason), kept.Skipped[reason], counted.Skipped[reason])
	}
	for reason := range mergeKeys(kept.Failed, counted.Failed) {
		note("failed as "+string(reason), kept.Failed[reason], counted.Failed[reason])
	}
	note(answerReplied, kept.Replied, counted.Replied)
	note(answerOptedOut, kept.OptedOut, counted.OptedOut)
	note(answerVoted, kept.Voted, counted.Voted)
	return strings.Join(list, "; ")
}

func mergeKeys[K comparable](a, b map[K]int64) map[K]bool {
	keys := map[K]bool{}
	for k := range a {
		keys[k] = true
	}
	for k := range b {
		keys[k] = true
	}
	return keys
}

// Timing says when a campaign's messages were accepted.
type Timing struct {
	First, Last time.Time // zero while none was accepted
	Minutes     []Minute  // those with at least one, the oldest first
}

// Minute is how many messages were accepted in the minute that starts At.
type Minute struct {
	At       time.Time
	Accepted int64
}

// Timing reads counters kept with the rows: a line per minute of sending.
func (s *Store) Timing(ctx context.Context, id campaign.ID) (Timing, error) {
	var timing Timing
	number, err := s.number(ctx, id)
	if err != nil {
		return timing, s.fail("read timing", err)
	}
	var spans []struct {
		First int64 `db:"first_accepted_at"`
		Last  int64 `db:"last_accepted_at"`
	}
	err = s.readers.SelectContext(ctx, &spans, s.readers.Rebind(
		"SELECT first_accepted_at, last_accepted_at FROM progress WHERE campaign_n = ?"), number)
	if err != nil {
		return timing, s.fail(fmt.Sprintf("read the timing of campaign %s", id), err)
	}
	for _, sp := range spans {
		timing.First, timing.Last = moment(sp.First), moment(sp.Last)
	}
	var rows []bucket
	err = s.readers.SelectContext(ctx, &rows, s.readers.Rebind(`
		SELECT CAST(key AS BIGINT) AS minute, n FROM counters WHERE campaign_n = ? AND kind = 'minute' AND n > 0 ORDER BY 1`), number)
	for _, r := range rows {
		timing.Minutes = append(timing.Minutes, Minute{At: moment(r.Minute * minuteMillis), Accepted: r.N})
	}
	return timing, s.fail(fmt.Sprintf("read the timing of campaign %s", id), err)
}
