package storage_test

import (
	"strings"
	"testing"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/storage"
)

// TestPlans holds the queries that run all the time to an index that gives
// their rows in order: a scan or a sort of a million rows costs a second.
func TestPlans(t *testing.T) {
	t.Parallel()
	s := open(t)
	type query struct {
		name, want string
		storage.Query
	}
	queries := []query{
		{"pending", "COVERING INDEX recipients_pending (campaign_n=? AND sender_n=?)", storage.Query{storage.PendingQuery, []any{1, 9, 1, 1, 0, 10}}},
		{"next due", "recipients_deferred (campaign_n=? AND not_before>?)", storage.Query{storage.NextDueQuery, []any{1}}},
		{"staged count", "recipients_in_flight (sender_n=?)", storage.Query{storage.StagedCountQuery, []any{1}}},
		{"staged", "USING INDEX recipients_in_flight", storage.Query{storage.StagedQuery, []any{1, 1, 0, 0, 0, 10}}},
		{"stage", "USING PRIMARY KEY (campaign_n=? AND seq=?)", storage.Query{storage.StageQuery, make([]any, 53)}},
		{"submitting", "USING INDEX recipients_in_flight", storage.Query{storage.SubmittingQuery, nil}},
		{"due polls", "USING INDEX recipients_to_poll (campaign_n=? AND next_poll_at>?", storage.Query{storage.DuePollsQuery, []any{1, 1, 10}}},
		{"awaiting", "recipients_to_poll (campaign_n=? AND next_poll_at>?)", storage.Query{storage.AwaitingQuery, []any{1}}},
		{"cancel pending", "COVERING INDEX recipients_pending (campaign_n=?)", storage.Query{storage.CancelPending, []any{1, 1, 10}}},
		{"cancel staged", "USING INDEX recipients_in_flight", storage.Query{storage.CancelStaged, []any{1, 1, 10}}},
		{"unknown rows", "COVERING INDEX recipients_exceptions (campaign_n=? AND status=?)", storage.Query{storage.UnknownQuery, []any{1, 1}}},
		{"their attempts", "SEARCH a USING PRIMARY KEY (campaign_n=? AND seq=? AND gen=?)", storage.Query{storage.UnknownQuery, []any{1, 1}}},
		{"returned rows", "SEARCH p USING COVERING INDEX recipients_pending (campaign_n=?)", storage.Query{storage.ReturnedQuery, []any{1, 1}}},
		{"their last attempts", "SEARCH a USING PRIMARY KEY (campaign_n=? AND seq=? AND gen=?)", storage.Query{storage.ReturnedQuery, []any{1, 1}}},
		{"bound ids", "SEARCH r USING INDEX recipients_by_chat (campaign_n=? AND chat=?)", storage.Query{storage.BoundQuery, []any{"x", "x"}}},
		{"bound ids of skipped", "SEARCH x USING COVERING INDEX recipients_by_skipped_chat (campaign_n=? AND chat=?)", storage.Query{storage.BoundQuery, []any{"x", "x"}}},
	}
	type statuses = []campaign.Status
	const byKey, byStatus = "USING PRIMARY KEY (campaign_n=? AND seq>?)", "COVERING INDEX recipients_exceptions (campaign_n=? AND status=? AND seq>?)"
	for _, page := range []struct {
		name   string
		filter storage.Filter
		want   []string
	}{
		{"page of all", storage.Filter{AfterSeq: 5}, []string{byKey}},
		{"page of pending", storage.Filter{Statuses: statuses{campaign.StatusPending}}, []string{byKey}},
		{"page of mixed", storage.Filter{Statuses: statuses{campaign.StatusSent, campaign.StatusFailed}}, []string{byKey}},
		{"page of exceptions", storage.Filter{Statuses: statuses{campaign.StatusUnknown, campaign.StatusSkipped}}, []string{byStatus, byStatus}},
		{
			"page of a reason",
			storage.Filter{Statuses: statuses{campaign.StatusFailed}, FailReasons: []campaign.FailReason{campaign.FailProvider, campaign.FailPoison}},
			[]string{byStatus},
		},
		{
			"chat",
			storage.Filter{Chat: "x"},
			[]string{"recipients_by_chat (campaign_n=? AND chat=?)", "recipients_by_skipped_chat (campaign_n=? AND chat=?)"},
		},
	} {
		list, err := storage.PageQueries(page.filter)
		if err != nil || len(list) != len(page.want) {
			t.Fatalf("%s: %d queries, want %d (%v)", page.name, len(list), len(page.want), err)
		}
		for i, q := range list {
			queries = append(queries, query{page.name, page.want[i], q})
		}
	}
	for _, q := range queries {
		plan, err := s.Plan(t.Context(), q.Text, q.Args...)
		if err != nil {
			t.Errorf("%s: %v", q.name, err)
			continue
		}
		if !strings.Contains(plan, q.want) || strings.Contains(plan, "TEMP B-TREE") || strings.Contains(plan, "SCAN recipients\n") {
			t.Errorf("%s: want %q without a sort, got:\n%s", q.name, q.want, plan)
		}
	} // A thousand rows at most are sorted by their time.
	for _, text := range []string{storage.EarlierQuery, storage.LaterQuery} {
		plan, err := s.Plan(t.Context(), text, 1, 1, 1001, 1, 501, 1000, 5)
		if err != nil || !strings.Contains(plan, "USING PRIMARY KEY (campaign_n=? AND seq>? AND seq<?)") {
			t.Errorf("witnesses: want a bounded range, got (%v):\n%s", err, plan)
		}
	}
}
