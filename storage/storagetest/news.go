package storagetest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/storage"
)

// newsTime is when news of the tests happened: before the tests run, so that it
// is always before what the ledger learns now.
var newsTime = time.Date(2026, 9, 1, 10, 0, 0, 0, time.UTC)

func delivery(key string) campaign.Delivery {
	return campaign.Delivery{Key: key, Name: "message.created", Body: []byte(`{"event":"` + key + `"}`), Received: newsTime}
}

func keysOf(list []campaign.Delivery) string {
	var keys []string
	for _, d := range list {
		keys = append(keys, d.Key)
	}
	return strings.Join(keys, " ")
}

func fold(t *testing.T, s *storage.Store, foldings ...campaign.Folding) campaign.Suppressed {
	t.Helper()
	got, err := s.Fold(t.Context(), foldings)
	must(t, err)
	return got
}

func wantBacklog(t *testing.T, s *storage.Store, fresh, parked int64) {
	t.Helper()
	gotFresh, gotParked, err := s.DeliveryBacklog(t.Context())
	must(t, err)
	if gotFresh != fresh || gotParked != parked {
		t.Errorf("%d deliveries are fresh and %d parked, want %d and %d", gotFresh, gotParked, fresh, parked)
	}
}

func testDeliveries(t *testing.T, s *storage.Store) {
	ctx := t.Context()
	receive := func(want int, keys ...string) {
		t.Helper()
		var list []campaign.Delivery
		for _, key := range keys {
			list = append(list, delivery(key))
		}
		if n, err := s.Receive(ctx, list); err != nil || n != want {
			t.Errorf("received %v: %d were fresh, want %d (%v)", keys, n, want, err)
		}
	}
	receive(3, "a", "b", "a", "c")
	receive(1, "b", "d")
	receive(0)
	list, err := s.Deliveries(ctx, 3)
	must(t, err)
	if keysOf(list) != "a b c" {
		t.Fatalf("deliveries %q, want a b c", keysOf(list))
	}
	want := delivery("a")
	want.N = list[0].N
	if diff := cmp.Diff(want, list[0]); diff != "" {
		t.Errorf("read back (-want +got):\n%s", diff)
	}
	wantBacklog(t, s, 4, 0)

	fold(t, s, campaign.Folding{Delivery: list[0].N}, campaign.Folding{Delivery: list[1].N, Park: true}, campaign.Folding{Delivery: list[2].N, Park: true})
	wantBacklog(t, s, 1, 2)
	parked, err := s.Parked(ctx, 10, 0)
	must(t, err)
	if keysOf(parked) != "b c" || parked[0].Parked.IsZero() {
		t.Fatalf("parked %q since %v, want b and c", keysOf(parked), parked[0].Parked)
	}
	since := parked[1].Parked
	if rest, err := s.Parked(ctx, 10, parked[0].N); err != nil || keysOf(rest) != "c" {
		t.Errorf("parked behind b: %q, want c (%v)", keysOf(rest), err)
	}
	fold(t, s, campaign.Folding{Delivery: parked[1].N, Park: true}, campaign.Folding{Delivery: list[0].N, Park: true})
	wantBacklog(t, s, 1, 2) // one that is done is not parked any more
	if again, err := s.Parked(ctx, 1, parked[0].N); err != nil || !again[0].Parked.Equal(since) {
		t.Errorf("parked again since %v, want %v (%v)", again[0].Parked, since, err)
	}
	fold(t, s, campaign.Folding{Delivery: parked[1].N})
	receive(0, "a", "b", "c", "d") // known whatever became of them
	wantBacklog(t, s, 1, 1)

	// Keys of what is done stay for a day; a parked one for three.
	if n, err := s.ForgetDeliveries(ctx, newsTime.Add(24*time.Hour)); err != nil || n != 0 {
		t.Errorf("forgot %d parked deliveries after a day (%v)", n, err)
	}
	receive(0, "a")
	if n, err := s.ForgetDeliveries(ctx, parked[0].Parked.Add(campaign.ParkFor)); err != nil || n != 0 {
		t.Errorf("forgot %d parked deliveries at the end of their time (%v)", n, err)
	}
	receive(2, "a", "b", "c") // b still is parked
	if n, err := s.ForgetDeliveries(ctx, parked[0].Parked.Add(campaign.ParkFor+time.Second)); err != nil || n != 1 {
		t.Errorf("forgot %d parked deliveries, want 1 (%v)", n, err)
	}
	wantBacklog(t, s, 3, 0)
}

// inbound is a message from the chat of a row.
func inbound(id string, seq int64, at time.Time, text string) campaign.Inbound {
	return campaign.Inbound{ID: id, Phone: Phone, Chat: Chat(seq), Author: Chat(seq), Kind: "chat", Text: text, At: at}
}

func reply(seeded Seeded, seq int64, id string, at time.Time, text string) campaign.Folding {
	return campaign.Folding{Reply: &campaign.Reply{
		Inbound: inbound(id, seq, at, text), Campaign: seeded.ID, Seq: seq, Tie: campaign.TieRecent,
	}}
}

func replies(t *testing.T, s *storage.Store, id campaign.ID) []campaign.Reply {
	t.Helper()
	var list []campaign.Reply
	for r, err := range s.Replies(t.Context(), id) {
		must(t, err)
		list = append(list, r)
	}
	return list
}

func testReplies(t *testing.T, s *storage.Store) {
	seeded, other := Seed(t, s, 3), Seed(t, s, 1)
	long := strings.Repeat("ध", 1200)
	fold(t, s,
		reply(seeded, 2, "late", newsTime.Add(time.Hour), "thanks"), reply(seeded, 2, "first", newsTime, long),
		reply(seeded, 1, "one", newsTime, "hi"), reply(seeded, 99, "forged", newsTime, "x"), reply(Seeded{ID: campaign.NewID()}, 1, "nowhere", newsTime, "y"))
	r := row(t, s, seeded, 2)
	if r.Replies != 2 || !r.RepliedAt.Equal(newsTime) || r.Reply != strings.Repeat("ध", 1000) {
		t.Errorf("row 2 has %d replies, the first at %v of %d characters", r.Replies, r.RepliedAt, len([]rune(r.Reply)))
	}
	fold(t, s, reply(seeded, 2, "late", newsTime.Add(time.Hour), "thanks")) // again
	if got := totals(t, s, seeded.ID).Replied; got != 2 {
		t.Errorf("%d rows replied, want 2", got)
	}
	// The same message is found to quote a message of another campaign.
	quoting := reply(other, 1, "one", newsTime, "hi")
	quoting.Reply.Tie, quoting.Reply.Quoted = campaign.TieQuote, "unique-1-1"
	fold(t, s, quoting)
	fold(t, s, reply(seeded, 1, "one", newsTime, "hi"))
	if got := totals(t, s, seeded.ID).Replied; got != 1 || row(t, s, seeded, 1).Replies != 0 {
		t.Errorf("%d rows replied after one was tied to another campaign, want 1", got)
	}
	if diff := cmp.Diff([]campaign.Reply{*quoting.Reply}, replies(t, s, other.ID)); diff != "" {
		t.Errorf("read back (-want +got):\n%s", diff)
	}
	var ids []string
	for _, r := range replies(t, s, seeded.ID) {
		ids = append(ids, r.ID)
	}
	if !slices.Equal(ids, []string{"first", "late"}) {
		t.Errorf("replies %v, want first and late", ids)
	}
}

// testRepliesPages walks more replies than one read takes.
func testRepliesPages(t *testing.T, s *storage.Store) {
	seeded := Seed(t, s, 600)
	var foldings []campaign.Folding
	for seq := int64(600); seq >= 1; seq-- {
		for i := range 2 {
			foldings = append(foldings, reply(seeded, seq, fmt.Sprintf("%d-%d", seq, i), newsTime, ""))
		}
	}
	fold(t, s, foldings...)
	list := replies(t, s, seeded.ID)
	if len(list) != 1200 || !slices.IsSortedFunc(list, func(a, b campaign.Reply) int { return int(a.Seq - b.Seq) }) {
		t.Errorf("%d replies in row order, want 1,200", len(list))
	}
}

// consent is a decision that answers a row.
func consent(seeded Seeded, seq int64, wish campaign.Wish, at time.Time) campaign.Consent {
	return campaign.Consent{Chat: Chat(seq), Wish: wish, At: at, Source: campaign.ConsentReply, Reason: "STOP", Campaign: seeded.ID, Seq: seq}
}

func decide(t *testing.T, s *storage.Store, decisions ...campaign.Consent) campaign.Suppressed {
	t.Helper()
	got, err := s.Decide(t.Context(), decisions)
	must(t, err)
	return got
}

func wantSuppressed(t *testing.T, s *storage.Store, want ...campaign.ChatID) {
	t.Helper()
	got, err := s.Suppressed(t.Context(), []campaign.ChatID{Chat(1), Chat(2), Chat(3), Chat(4), "alias@c.us", "lid@c.us"})
	must(t, err)
	wanted := map[campaign.ChatID]bool{}
	for _, chat := range want {
		wanted[chat] = true
	}
	if diff := cmp.Diff(wanted, got); diff != "" {
		t.Errorf("suppressed chats (-want +got):\n%s", diff)
	}
}

func testOptOut(t *testing.T, s *storage.Store) {
	ctx := t.Context()
	first, second, over := Seed(t, s, 4), Seed(t, s, 4), Seed(t, s, 4)
	first.Lease = over.Lease // of one sender, acquired last
	_, err := s.Transition(ctx, over.ID, campaign.StateCanceled, "", "")
	must(t, err)
	send(t, s, first, 1) // is in the provider's queue
	stage(t, s, first, 2)
	stop := consent(first, 1, campaign.WishOut, newsTime)
	got := decide(t, s, stop)
	if got.Skipped != 1 || len(got.Queued) != 1 || got.Queued[0].Campaign != first.ID || got.Queued[0].QueueID != row(t, s, first, 1).QueueID || got.Queued[0].Sender != first.Sender {
		t.Errorf("opt-out of chat 1: %+v, want row 1 of the second campaign skipped and that of the first named", got)
	}
	wantStatus(t, s, first, 1, campaign.StatusQueued)
	if r := wantStatus(t, s, second, 1, campaign.StatusSkipped); r.SkipReason != campaign.SkipOptedOut {
		t.Errorf("skipped as %q", r.SkipReason)
	}
	wantStatus(t, s, over, 1, campaign.StatusPending)
	if r := row(t, s, first, 1); !r.OptedOut.Equal(newsTime) || totals(t, s, first.ID).OptedOut != 1 {
		t.Errorf("row 1 opted out at %v, %d rows did", r.OptedOut, totals(t, s, first.ID).OptedOut)
	}
	if again := decide(t, s, stop); again.Skipped != 0 || len(again.Queued) != 1 {
		t.Errorf("the same opt-out again: %+v", again)
	}
	if got := decide(t, s, consent(first, 2, campaign.WishOut, newsTime)); got.Skipped != 2 {
		t.Errorf("skipped %d rows of chat 2, want the staged and the pending one", got.Skipped)
	}
	wantSuppressed(t, s, Chat(1), Chat(2))

	// An older opt-in and one at the same time change nothing, a newer one does,
	// and brings no row back.
	decide(t, s, consent(first, 1, campaign.WishIn, newsTime.Add(-time.Hour)), consent(first, 1, campaign.WishIn, newsTime))
	wantSuppressed(t, s, Chat(1), Chat(2))
	decide(t, s, consent(first, 1, campaign.WishIn, newsTime.Add(time.Hour)))
	wantSuppressed(t, s, Chat(2))
	wantStatus(t, s, second, 1, campaign.StatusSkipped)
	if r := row(t, s, first, 1); r.OptedOut.IsZero() {
		t.Error("the campaign does not say any more that its recipient opted out")
	}
	history, err := s.ConsentOf(ctx, Chat(1))
	must(t, err)
	var wishes []string
	for _, c := range history {
		wishes = append(wishes, fmt.Sprintf("%s %s", c.Wish, c.At.Sub(newsTime)))
	}
	if diff := cmp.Diff([]string{"opt_in 1h0m0s", "opt_out 0s", "opt_in 0s", "opt_in -1h0m0s"}, wishes); diff != "" {
		t.Errorf("history (-want +got):\n%s", diff)
	}
	var out []campaign.OptOut
	for o, err := range s.OptOuts(ctx) {
		must(t, err)
		out = append(out, o)
	}
	if len(out) != 1 || out[0].Since.IsZero() {
		t.Fatalf("opt-outs: %+v", out)
	}
	if diff := cmp.Diff(consent(first, 2, campaign.WishOut, newsTime), out[0].Consent); diff != "" {
		t.Errorf("opt-out of chat 2 (-want +got):\n%s", diff)
	}
	_, err = s.Decide(ctx, []campaign.Consent{{Chat: Chat(1), Wish: campaign.WishNear}})
	wantCode(t, err, campaign.CodeInvalid)
}

// testAliases: an opt-out under one spelling of a chat holds for the other, in
// whatever order the two become known.
func testAliases(t *testing.T, s *storage.Store) {
	ctx := t.Context()
	seeded := Seed(t, s, 4)
	stop := campaign.Consent{Chat: "alias@c.us", Wish: campaign.WishOut, At: newsTime, Source: campaign.ConsentReply}
	send(t, s, seeded, 3)
	fold(t, s, campaign.Folding{Consent: &stop})
	wantSuppressed(t, s, "alias@c.us")
	if got := fold(t, s, campaign.Folding{Alias: &campaign.ChatAlias{Alias: "alias@c.us", Chat: Chat(1)}}); got.Skipped != 1 {
		t.Errorf("an alias that had opted out skipped %d rows, want 1", got.Skipped)
	}
	wantStatus(t, s, seeded, 1, campaign.StatusSkipped)
	got := fold(t, s, campaign.Folding{Alias: &campaign.ChatAlias{Alias: "lid@c.us", Chat: Chat(2)}},
		campaign.Folding{Alias: &campaign.ChatAlias{Alias: "lid@c.us", Chat: Chat(3)}},
		campaign.Folding{Consent: &campaign.Consent{Chat: Chat(2), Wish: campaign.WishOut, At: newsTime}})
	if got.Skipped != 1 || len(got.Queued) != 1 || got.Queued[0].Seq != 3 {
		t.Errorf("an opt-out behind an alias: %+v", got)
	}
	wantSuppressed(t, s, "alias@c.us", "lid@c.us", Chat(1), Chat(2), Chat(3))
	wantStatus(t, s, seeded, 4, campaign.StatusPending)
	if history, err := s.ConsentOf(ctx, Chat(1)); err != nil || len(history) != 1 || history[0].Chat != "alias@c.us" {
		t.Errorf("history behind an alias: %v (%v)", history, err)
	}
	n := 0
	for _, err := range s.OptOuts(ctx) {
		must(t, err)
		n++
	}
	if n != 2 {
		t.Errorf("%d opt-outs, want one for each decision", n)
	}
	decide(t, s, campaign.Consent{Chat: Chat(1), Wish: campaign.WishIn, At: newsTime.Add(1)}) // the same millisecond
	wantSuppressed(t, s, "alias@c.us", "lid@c.us", Chat(1), Chat(2), Chat(3))
	decide(t, s, campaign.Consent{Chat: Chat(1), Wish: campaign.WishIn, At: newsTime.Add(time.Second)})
	wantSuppressed(t, s, "lid@c.us", Chat(2), Chat(3))
}

// testNoIntentAfterOptOut is promise P12: rows that come to wait after their
// chat opted out are stopped by the claim.
func testNoIntentAfterOptOut(t *testing.T, s *storage.Store) {
	ctx := t.Context()
	decide(t, s, campaign.Consent{Chat: Chat(1), Wish: campaign.WishOut, At: newsTime}, campaign.Consent{Chat: Chat(2), Wish: campaign.WishOut, At: newsTime})
	seeded := Seed(t, s, 3) // by an import that did not ask
	rows := stage(t, s, seeded, 1, 2, 3)
	wantRefused(t, s, seeded.Intent(rows[0]), campaign.RefusedOptOut)
	if r := wantStatus(t, s, seeded, 1, campaign.StatusSkipped); r.SkipReason != campaign.SkipOptedOut || r.Attempt != 0 {
		t.Errorf("row 1 is skipped as %q after attempt %d", r.SkipReason, r.Attempt)
	}
	wantRefused(t, s, seeded.Intent(rows[0]), campaign.RefusedOptOut)
	older := rows[1]
	older.Gen--
	wantRefused(t, s, seeded.Intent(older), campaign.RefusedStale)
	wantStatus(t, s, seeded, 2, campaign.StatusStaged)
	claim(t, s, seeded, rows[2])
	_, err := s.Transition(ctx, seeded.ID, campaign.StateCanceled, "", "")
	must(t, err)
	wantRefused(t, s, seeded.Intent(rows[1]), campaign.RefusedCampaign)
	wantStatus(t, s, seeded, 2, campaign.StatusStaged)
}

func testReviews(t *testing.T, s *storage.Store) {
	ctx := t.Context()
	seeded := Seed(t, s, 3)
	near := func(seq int64, id string) campaign.Folding {
		f := reply(seeded, seq, id, newsTime.Add(time.Duration(seq)*time.Minute), "pls stop this")
		f.Reply.Wish = campaign.WishNear
		return f
	}
	fold(t, s, near(2, "b"), near(1, "a"), reply(seeded, 3, "c", newsTime, "thanks"))
	list, err := s.Reviews(ctx)
	must(t, err)
	want := []campaign.Review{{Reply: *near(1, "a").Reply}, {Reply: *near(2, "b").Reply}}
	if diff := cmp.Diff(want, list); diff != "" {
		t.Errorf("to review (-want +got):\n%s", diff)
	}
	got, err := s.DecideReview(ctx, "a", campaign.WishOut)
	must(t, err)
	if got.Skipped != 1 || totals(t, s, seeded.ID).OptedOut != 1 {
		t.Errorf("a review that was an opt-out: %+v, %d opted out", got, totals(t, s, seeded.ID).OptedOut)
	}
	for range 2 {
		if got, err := s.DecideReview(ctx, "b", campaign.WishNone); err != nil || got.Skipped != 0 {
			t.Errorf("a review that was none: %+v (%v)", got, err)
		}
	}
	wantSuppressed(t, s, Chat(1))
	_, err = s.DecideReview(ctx, "b", campaign.WishOut)
	wantCode(t, err, campaign.CodeConflict)
	_, err = s.DecideReview(ctx, "c", campaign.WishOut)
	wantCode(t, err, campaign.CodeNotFound)
	fold(t, s, near(2, "b")) // it comes again, and stays decided
	if list, err = s.Reviews(ctx); err != nil || len(list) != 0 {
		t.Errorf("still to review: %v (%v)", list, err)
	}
}

// testOddNews: news that nobody can use is done all the same.
func testOddNews(t *testing.T, s *storage.Store) {
	seeded := Seed(t, s, 1)
	_, err := s.Receive(t.Context(), []campaign.Delivery{delivery("a"), delivery("b"), delivery("c"), delivery("d"), {Key: "e"}})
	must(t, err)
	list, err := s.Deliveries(t.Context(), 10)
	must(t, err)
	if len(list) != 5 || len(list[4].Body) != 0 {
		t.Fatalf("%d deliveries, the last of %d bytes", len(list), len(list[4].Body))
	}
	forged := consent(seeded, 99, campaign.WishOut, newsTime)
	forged.Chat = Chat(2)
	fold(t, s,
		campaign.Folding{Delivery: list[0].N, Reply: &campaign.Reply{Inbound: inbound("", 1, newsTime, "hi"), Campaign: seeded.ID, Seq: 1}},
		campaign.Folding{Delivery: list[1].N, Consent: &campaign.Consent{Chat: Chat(1), Wish: campaign.WishNear}},
		campaign.Folding{Delivery: list[2].N, Consent: &forged},
		campaign.Folding{Delivery: list[3].N, Alias: &campaign.ChatAlias{Alias: "x@g.us", Chat: Chat(1)}},
		campaign.Folding{Delivery: list[4].N, Observation: &campaign.Observation{Evidence: campaign.Evidence{Campaign: campaign.NewID(), Seq: 1}}})
	wantBacklog(t, s, 0, 0)
	wantSuppressed(t, s, Chat(2)) // whatever it answered, the chat has opted out
	if got := totals(t, s, seeded.ID); got.OptedOut != 0 || got.Replied != 0 {
		t.Errorf("%d opted out and %d replied", got.OptedOut, got.Replied)
	}
	if history, err := s.ConsentOf(t.Context(), Chat(2)); err != nil || len(history) != 1 || history[0].Campaign != "" {
		t.Errorf("a decision about a row that is not there: %+v (%v)", history, err)
	}
	wantStatus(t, s, seeded, 1, campaign.StatusPending)
}

// jobsOf is the queue ids of rows that were sent once.
func jobsOf(seeded Seeded, seqs ...int64) []string {
	ids := make([]string, len(seqs))
	for i, seq := range seqs {
		ids[i] = fmt.Sprintf("queue-%s-%d-1", seeded.ID, seq)
	}
	return ids
}

func testWithdraw(t *testing.T, s *storage.Store) {
	ctx := t.Context()
	seeded := Seed(t, s, 4)
	for seq := int64(1); seq <= 3; seq++ {
		send(t, s, seeded, seq)
	}
	fold(t, s, campaign.Folding{Observation: observation(seeded, 3, campaign.StatusSent, newsTime)})
	n, err := s.Withdraw(ctx, seeded.ID, jobsOf(seeded, 1, 2, 3, 4, 99))
	must(t, err)
	if n != 2 {
		t.Errorf("withdrew %d rows, want 2", n)
	}
	if r := wantStatus(t, s, seeded, 1, campaign.StatusCanceled); r.Detail != "taken out of the provider's queue: opted out" || r.QueueID == "" {
		t.Errorf("withdrawn row: %q, %q", r.Detail, r.QueueID)
	}
	wantStatus(t, s, seeded, 3, campaign.StatusSent)
	wantStatus(t, s, seeded, 4, campaign.StatusPending)
	// Their jobs may have been under way, so they are asked for. Only proof that
	// the message went out counts, whatever the provider says of a purged job.
	awaited := func(want int64) {
		t.Helper()
		if n, err := s.AwaitingEvidence(ctx, seeded.ID); err != nil || n != want {
			t.Errorf("%d rows await evidence, want %d (%v)", n, want, err)
		}
	}
	awaited(3)
	for _, said := range []campaign.Status{"", campaign.StatusQueued, campaign.StatusProcessing, campaign.StatusFailed} {
		polled := observation(seeded, 1, said, newsTime)
		polled.Source, polled.AskedAs, polled.NextPoll = campaign.EvidencePoll, campaign.StatusCanceled, time.Now().Add(time.Minute)
		fold(t, s, campaign.Folding{Observation: polled})
		wantStatus(t, s, seeded, 1, campaign.StatusCanceled)
		awaited(3)
	}
	fold(t, s, campaign.Folding{Observation: observation(seeded, 2, campaign.StatusDelivered, newsTime)})
	wantStatus(t, s, seeded, 2, campaign.StatusDelivered)
	last := observation(seeded, 1, "", newsTime)
	last.Source, last.AskedAs = campaign.EvidencePoll, campaign.StatusCanceled
	fold(t, s, campaign.Folding{Observation: last})
	awaited(2)
	if r := wantStatus(t, s, seeded, 1, campaign.StatusCanceled); !r.FailedAt.IsZero() || r.Detail != "taken out of the provider's queue: opted out" {
		t.Errorf("withdrawn row, asked for: %s, %q", r.FailedAt, r.Detail)
	}
}

// testToWithdraw: whatever is in the provider's queue for who opted out, or of a
// canceled campaign, is found, also what got there after that, until it is out of
// it.
func testToWithdraw(t *testing.T, s *storage.Store) {
	ctx := t.Context()
	seeded := Seed(t, s, 6)
	send(t, s, seeded, 1)
	send(t, s, seeded, 2)
	send(t, s, seeded, 3)
	send(t, s, seeded, 4)
	task := stage(t, s, seeded, 5)[0]
	claimed := claim(t, s, seeded, task)
	began := time.Now().Add(-time.Hour)
	want := func(since time.Time, want ...int64) {
		t.Helper()
		list, err := s.ToWithdraw(ctx, since, 10)
		must(t, err)
		var got []int64
		for _, row := range list {
			if row.Campaign != seeded.ID || row.Sender != seeded.Sender || row.QueueID == "" {
				t.Errorf("found %+v", row)
			}
			got = append(got, row.Seq)
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("found rows %v, want %v", got, want)
		}
	}
	want(began)
	decide(t, s, consent(seeded, 1, campaign.WishOut, newsTime), consent(seeded, 2, campaign.WishOut, newsTime), consent(seeded, 5, campaign.WishOut, newsTime))
	fold(t, s, campaign.Folding{
		Alias:   &campaign.ChatAlias{Alias: "alias@c.us", Chat: Chat(3)},
		Consent: &campaign.Consent{Chat: "alias@c.us", Wish: campaign.WishOut, At: newsTime, Source: campaign.ConsentReply},
	})
	fold(t, s, campaign.Folding{Observation: observation(seeded, 2, campaign.StatusProcessing, newsTime)})
	want(began, 1, 2, 3)
	want(time.Now().Add(time.Hour))
	if list, err := s.ToWithdraw(ctx, began, 2); err != nil || len(list) != 2 {
		t.Errorf("%d rows of at most 2 (%v)", len(list), err)
	}

	_, err := s.Settle(ctx, seeded.Accepted(task, claimed)) // it was on its way
	must(t, err)
	want(began, 1, 2, 3, 5)

	if n, err := s.Withdraw(ctx, seeded.ID, jobsOf(seeded, 1, 2)); err != nil || n != 2 {
		t.Errorf("withdrew %d rows, want 2 (%v)", n, err)
	}
	decide(t, s, consent(seeded, 3, campaign.WishIn, newsTime.Add(time.Minute)))
	want(began, 5)
	if n, err := s.Withdraw(ctx, seeded.ID, jobsOf(seeded, 5)); err != nil || n != 1 {
		t.Errorf("withdrew %d rows, want 1 (%v)", n, err)
	}

	canceled := Seed(t, s, 6)
	send(t, s, canceled, 4)
	send(t, s, canceled, 6)
	fold(t, s, campaign.Folding{Observation: observation(canceled, 6, campaign.StatusSent, newsTime)})
	_, err = s.Transition(ctx, canceled.ID, campaign.StateCanceled, "", "")
	must(t, err)
	list, err := s.ToWithdraw(ctx, began, 10)
	must(t, err)
	if len(list) != 1 || list[0].Campaign != canceled.ID || list[0].Seq != 4 {
		t.Errorf("of a canceled campaign found %+v", list)
	}
	// A job may wait for days, for its phone to come back.
	if list, err = s.ToWithdraw(ctx, time.Now().Add(time.Hour), 10); err != nil || len(list) != 1 {
		t.Errorf("of a campaign that was canceled long ago found %+v (%v)", list, err)
	}
	if n, err := s.Withdraw(ctx, canceled.ID, jobsOf(canceled, 4)); err != nil || n != 1 {
		t.Errorf("withdrew %d rows, want 1 (%v)", n, err)
	}
	if r := wantStatus(t, s, canceled, 4, campaign.StatusCanceled); r.Detail != "taken out of the provider's queue: the campaign was canceled" {
		t.Errorf("withdrawn row: %q", r.Detail)
	}
	want(began)
}

// testQueuedStill: a row that was taken back, and of which the provider says that
// it has it still, is to be withdrawn once more for each time that it says so.
func testQueuedStill(t *testing.T, s *storage.Store) {
	ctx := t.Context()
	seeded := Seed(t, s, 2)
	send(t, s, seeded, 1)
	send(t, s, seeded, 2)
	withdraw := func(want int64) {
		t.Helper()
		if n, err := s.Withdraw(ctx, seeded.ID, jobsOf(seeded, 1)); err != nil || n != want {
			t.Errorf("withdrew %d rows, want %d (%v)", n, want, err)
		}
	}
	listed := func(want int) {
		t.Helper()
		list, err := s.ToWithdraw(ctx, time.Now(), 10)
		must(t, err)
		if len(list) != want || want == 1 && (list[0].Seq != 1 || list[0].Status != campaign.StatusCanceled) {
			t.Errorf("to be withdrawn: %+v", list)
		}
	}
	said := func(status campaign.Status, more bool) {
		t.Helper()
		o := observation(seeded, 1, status, newsTime)
		if o.Source, o.AskedAs = campaign.EvidencePoll, campaign.StatusCanceled; more {
			o.NextPoll = time.Now().Add(time.Minute)
		}
		fold(t, s, campaign.Folding{Observation: o})
	}
	withdraw(1)
	for _, status := range []campaign.Status{campaign.StatusQueued, campaign.StatusProcessing} {
		listed(0)
		said("", true)
		listed(0)
		said(status, true)
		listed(1)
		withdraw(0) // whatever the echo says, it is no proof
		listed(0)
		wantStatus(t, s, seeded, 1, campaign.StatusCanceled)
	}
	said(campaign.StatusQueued, true)
	listed(1)
	said("", true) // it is gone
	listed(0)
	said(campaign.StatusQueued, false) // and is followed no longer, but that is known
	listed(1)
	withdraw(0)
	listed(0)
	said(campaign.StatusQueued, true)
	said(campaign.StatusSent, true) // it went out all the same
	listed(0)
	due, err := s.DuePolls(ctx, time.Now().Add(time.Hour), 10, seeded.ID)
	must(t, err)
	for _, row := range due {
		if row.Polls < 0 {
			t.Errorf("row %d was asked for %d times", row.Seq, row.Polls)
		}
	}
}

// observation is evidence as a Folding carries it.
func observation(seeded Seeded, seq int64, status campaign.Status, at time.Time) *campaign.Observation {
	o := evidence(seeded, seq, status, at)
	return &o
}
