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
		{"not followed", "USING PRIMARY KEY (campaign_n=? AND seq>?)", storage.Query{storage.UnfollowedQuery, []any{1, 1, 10}}},
		{"due of those taken back", "USING INDEX recipients_to_poll (campaign_n=? AND next_poll_at>?", storage.Query{storage.DueTakenBack, []any{1, 1, 10}}},
		{"cancel pending", "COVERING INDEX recipients_pending (campaign_n=?)", storage.Query{storage.CancelPending, []any{1, 1, 10}}},
		{"cancel staged", "USING INDEX recipients_in_flight", storage.Query{storage.CancelStaged, []any{1, 1, 10}}},
		{"unknown rows", "COVERING INDEX recipients_exceptions (campaign_n=? AND status=?)", storage.Query{storage.UnknownQuery, []any{1, 1}}},
		{"their attempts", "SEARCH a USING PRIMARY KEY (campaign_n=? AND seq=? AND gen=?)", storage.Query{storage.UnknownQuery, []any{1, 1}}},
		{"returned rows", "SEARCH p USING COVERING INDEX recipients_pending (campaign_n=?)", storage.Query{storage.ReturnedQuery, []any{1, 1}}},
		{"their last attempts", "SEARCH a USING PRIMARY KEY (campaign_n=? AND seq=? AND gen=?)", storage.Query{storage.ReturnedQuery, []any{1, 1}}},
		{"bound ids", "SEARCH r USING INDEX recipients_by_chat (campaign_n=? AND chat=?)", storage.Query{storage.BoundQuery, []any{"x", "x"}}},
		{"bound ids of skipped", "SEARCH x USING COVERING INDEX recipients_by_skipped_chat (campaign_n=? AND chat=?)", storage.Query{storage.BoundQuery, []any{"x", "x"}}},
		{"former ids of a chat", "SEARCH f USING COVERING INDEX former_ids_by_row", storage.Query{storage.BoundFormerQuery, []any{"x", "x"}}},
		{"by queue id", "USING INDEX recipients_by_queue_id (queue_id=?)", storage.Query{storage.ByQueueQuery, []any{"x"}}},
		{"by unique id", "USING INDEX recipients_by_unique_id (unique_id=?)", storage.Query{storage.ByUniqueQuery, []any{"x"}}},
		{"by former id", "SEARCH f USING PRIMARY KEY (id=?)", storage.Query{storage.FormerQuery, []any{"x"}}},
		{"former id's row", "SEARCH r USING PRIMARY KEY (campaign_n=? AND seq=?)", storage.Query{storage.FormerQuery, []any{"x"}}},
		{"latest to a chat", "SEARCH r USING INDEX recipients_by_chat (campaign_n=? AND chat=?)", storage.Query{storage.LatestQuery, make([]any, 8)}},
		{"waiting for a chat", "SEARCH r USING INDEX recipients_by_chat (campaign_n=? AND chat=?)", storage.Query{storage.WaitingQuery, []any{"x", "x"}}},
		{"waiting for a skipped chat", "SEARCH x USING COVERING INDEX recipients_by_skipped_chat (campaign_n=? AND chat=?)", storage.Query{storage.WaitingQuery, []any{"x", "x"}}},
		{"last decision", "USING PRIMARY KEY (chat=?)", storage.Query{storage.LastConsentQuery, []any{"x"}}},
		{"opt-outs", "SEARCH c USING PRIMARY KEY (chat=? AND at=? AND wish=?)", storage.Query{storage.OptOutsQuery, []any{"", 10}}},
		{"queued for who opted out", "SEARCH s USING COVERING INDEX suppressions_learned (learned>?)", storage.Query{storage.QueuedQuery, []any{1, 10}}},
		{"their rows", "SEARCH r USING INDEX recipients_by_chat (campaign_n=? AND chat=?)", storage.Query{storage.QueuedQuery, []any{1, 10}}},
		{"their skipped rows", "SEARCH x USING COVERING INDEX recipients_by_skipped_chat (campaign_n=? AND chat=?)", storage.Query{storage.QueuedSkippedQuery, []any{1, 10}}},
		{"queued of canceled campaigns", "SEARCH r USING INDEX recipients_to_poll (campaign_n=? AND next_poll_at>?)", storage.Query{storage.QueuedCanceledQuery, []any{10}}},
		{"whether there are any", "SEARCH k EXISTS USING PRIMARY KEY (campaign_n=? AND kind=? AND key=?)", storage.Query{storage.QueuedCanceledQuery, []any{10}}},
		{"taken back and queued still", "USING INDEX recipients_still_queued", storage.Query{storage.StillQueuedQuery, []any{10}}},
		{"deliveries", "USING INDEX deliveries_new", storage.Query{storage.FreshQuery, []any{10}}},
		{"parked deliveries", "USING INDEX deliveries_parked (n>?)", storage.Query{storage.ParkedQuery, []any{0, 10}}},
		{"old parked deliveries", "USING INDEX deliveries_by_age (parked>? AND parked<?)", storage.Query{storage.ForgetParked, []any{1, 10}}},
		{"old done deliveries", "USING INDEX deliveries_done (received<?)", storage.Query{storage.ForgetDone, []any{1, 10}}},
		{"replies", "USING INDEX replies_by_row (campaign_n=? AND (seq,at,id)>(?,?,?))", storage.Query{storage.RepliesQuery, []any{1, 0, 0, "", 10}}},
		{"reviews", "USING INDEX replies_to_review", storage.Query{storage.ReviewsQuery, nil}},
		{"votes", "SEARCH b USING PRIMARY KEY (campaign_n=? AND seq>?)", storage.Query{storage.BallotsQuery, []any{1, 0, 10}}},
		{"opt-outs by votes", "USING INDEX consents_by_row (campaign_n=? AND seq=?)", storage.Query{storage.KeptStopsQuery, []any{1, 1, "x"}}},
		{"rows of a chat", "SEARCH r USING COVERING INDEX recipients_by_chat (campaign_n=? AND chat=?)", storage.Query{storage.RowsOfChatQuery, []any{"x", "x"}}},
		{"skipped rows of a chat", "SEARCH x USING COVERING INDEX recipients_by_skipped_chat (campaign_n=? AND chat=?)", storage.Query{storage.RowsOfChatQuery, []any{"x", "x"}}},
		{"first opt-out of a row", "COVERING INDEX consents_by_row (campaign_n=? AND seq=?)", storage.Query{storage.OptedOutQuery, []any{1, 1}}},
		{"polls to watch", "USING PRIMARY KEY (campaign_n=? AND seq>?)", storage.Query{storage.WatchesQuery, []any{1, 0, 10}}},
		{"due notices", "USING INDEX notices_due (url=? AND next_at>? AND next_at<?)", storage.Query{storage.DueNoticesQuery, []any{"x", 1, 10}}},
		{"who waits for notices", "SEARCH n USING COVERING INDEX notices_due (url>?)", storage.Query{storage.NoticeQueues, nil}},
		{"when the next notice is due", "SEARCH n USING COVERING INDEX notices_due (url=? AND next_at>?)", storage.Query{storage.NoticeQueues, nil}},
		{"rows to retry", "COVERING INDEX recipients_exceptions (campaign_n=? AND status=?)", storage.Query{storage.RetryableQuery, []any{1, 1}}},
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
