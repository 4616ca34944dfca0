package storage

import (
	"cmp"
	"context"
	"database/sql"
	"maps"
	"slices"
	"strconv"

	"github.com/jmoiron/sqlx"

	"github.com/herald-campaigns/herald/campaign"
)

// tx is one transaction of the writer. What every operation of a group would
// write again and again (counters, caps, the sender's latest grant) is summed
// here and written once, before the commit.
type tx struct {
	*sqlx.Conn
	clock func() int64

	counts   map[countKey]int64
	usage    map[usageKey]int64
	windows  map[int64]*window // by sender; what its caps look back over
	grants   map[int64]int64   // sender → time of its latest intent
	accepted map[int64]span    // campaign → first and latest acceptance
	activity map[activityKey]int64

	reports map[int64]report // the writer's; where campaigns report to
}

// countKey names a counter.
type countKey struct {
	campaign  int64
	kind, key string
}

// The kinds of counters.
const (
	countStatus = "status"
	countSkip   = "skip"
	countFail   = "fail"
	countImport = "import"
	countMinute = "minute"
	countAnswer = "answer"
)

// The keys of countAnswer: how many rows have one.
const (
	answerReplied  = "replied"
	answerOptedOut = "opted_out"
	answerVoted    = "voted"
)

type span struct{ first, last int64 }

func newTx(conn *sqlx.Conn, clock func() int64, reports map[int64]report) *tx {
	return &tx{
		Conn: conn, clock: clock,
		counts: map[countKey]int64{}, usage: map[usageKey]int64{}, windows: map[int64]*window{},
		grants: map[int64]int64{}, accepted: map[int64]span{}, activity: map[activityKey]int64{},
		reports: reports,
	}
}

// now is the ledger's time in epoch milliseconds.
func (t *tx) now() int64 { return t.clock() }

// exec runs a statement and says how many rows it changed.
func (t *tx) exec(ctx context.Context, query string, args ...any) (int64, error) {
	result, err := t.ExecContext(ctx, t.Rebind(query), args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// row runs a query for one row.
func (t *tx) row(ctx context.Context, query string, args ...any) *sql.Row {
	return t.QueryRowContext(ctx, t.Rebind(query), args...)
}

// standing is the part of a row that is counted.
type standing struct {
	Status campaign.Status     `db:"status"`
	Skip   campaign.SkipReason `db:"skip_reason"`
	Fail   campaign.FailReason `db:"fail_reason"`
}

// move counts rows of a campaign from one standing to another. The zero
// standing is "no row".
func (t *tx) move(number int64, from, to standing, rows int64) {
	t.count(number, from, -rows)
	t.count(number, to, rows)
}

func (t *tx) count(number int64, at standing, rows int64) {
	if at.Status == "" || rows == 0 {
		return
	}
	t.counts[countKey{number, countStatus, string(at.Status)}] += rows
	if at.Skip != "" {
		t.counts[countKey{number, countSkip, string(at.Skip)}] += rows
	}
	if at.Fail != "" {
		t.counts[countKey{number, countFail, string(at.Fail)}] += rows
	}
}

// accept notes that the provider took a message at a time.
func (t *tx) accept(number, at int64) {
	t.counts[countKey{number, countMinute, strconv.FormatInt(at/minuteMillis, 10)}]++
	was, ok := t.accepted[number]
	if !ok {
		was = span{at, at}
	}
	t.accepted[number] = span{min(was.first, at), max(was.last, at)}
}

// flush writes the sums. Their order is fixed: two processes on one database
// must take the rows' locks in the same order.
func (t *tx) flush(ctx context.Context) error {
	byKey := func(a, b countKey) int {
		return cmp.Or(cmp.Compare(a.campaign, b.campaign), cmp.Compare(a.kind, b.kind), cmp.Compare(a.key, b.key))
	}
	for _, key := range slices.SortedFunc(maps.Keys(t.counts), byKey) {
		if err := t.addCount(ctx, key, t.counts[key]); err != nil {
			return err
		}
	}
	for _, number := range slices.Sorted(maps.Keys(t.accepted)) {
		if err := t.widen(ctx, number, t.accepted[number]); err != nil {
			return err
		}
	}
	bySender := func(a, b usageKey) int {
		return cmp.Or(cmp.Compare(a.sender, b.sender), cmp.Compare(a.minute, b.minute))
	}
	for _, key := range slices.SortedFunc(maps.Keys(t.usage), bySender) {
		if err := t.addUsage(ctx, key, t.usage[key]); err != nil {
			return err
		}
	}
	if err := t.addActivity(ctx); err != nil {
		return err
	}
	for _, sender := range slices.Sorted(maps.Keys(t.grants)) {
		if _, err := t.exec(ctx, "UPDATE leases SET last_grant = ? WHERE sender_n = ?", t.grants[sender], sender); err != nil {
			return err
		}
	}
	return nil
}

// addCount updates before it inserts: the CHECK that no count is negative
// would refuse the insert of a negative difference even where a row exists.
func (t *tx) addCount(ctx context.Context, key countKey, n int64) error {
	if n == 0 {
		return nil
	}
	changed, err := t.exec(ctx, "UPDATE counters SET n = n + ? WHERE campaign_n = ? AND kind = ? AND key = ?",
		n, key.campaign, key.kind, key.key)
	if err != nil || changed > 0 {
		return err
	}
	_, err = t.exec(ctx, "INSERT INTO counters (campaign_n, kind, key, n) VALUES (?, ?, ?, ?)",
		key.campaign, key.kind, key.key, n)
	return err
}

func (t *tx) widen(ctx context.Context, number int64, to span) error {
	_, err := t.exec(ctx, `
		INSERT INTO progress (campaign_n, first_accepted_at, last_accepted_at) VALUES (?, ?, ?)
		ON CONFLICT (campaign_n) DO UPDATE SET
		  first_accepted_at = CASE WHEN excluded.first_accepted_at < progress.first_accepted_at
		    THEN excluded.first_accepted_at ELSE progress.first_accepted_at END,
		  last_accepted_at = CASE WHEN excluded.last_accepted_at > progress.last_accepted_at
		    THEN excluded.last_accepted_at ELSE progress.last_accepted_at END`,
		number, to.first, to.last)
	return err
}
