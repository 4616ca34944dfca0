package storagetest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/storage"
)

// lose takes rows to unknown: the response of their calls was lost.
func lose(t *testing.T, s *storage.Store, seeded Seeded, seqs ...int64) []campaign.Staged {
	t.Helper()
	rows := stage(t, s, seeded, seqs...)
	for _, r := range rows {
		settle(t, s, settlement(seeded, r, claim(t, s, seeded, r), campaign.OutcomeUnknown, campaign.StatusUnknown))
	}
	return rows
}

// resolved is the details of the timeline's lines about unknown rows.
func resolved(t *testing.T, s *storage.Store, id campaign.ID) []string {
	t.Helper()
	events, err := s.Timeline(t.Context(), id)
	must(t, err)
	var details []string
	for _, e := range events {
		if e.Kind == campaign.EventResolved {
			details = append(details, e.Detail)
		}
	}
	return details
}

func testUnknownRows(t *testing.T, s *storage.Store) {
	ctx := t.Context()
	seeded := Seed(t, s, 5)
	send(t, s, seeded, 1)
	lose(t, s, seeded, 4)
	// Row 2 failed once before, and then the process died in its second call.
	first := stage(t, s, seeded, 2)[0]
	settle(t, s, settlement(seeded, first, claim(t, s, seeded, first), campaign.OutcomeUnavailable, campaign.StatusPending))
	second := stage(t, s, seeded, 2)[0]
	call := claim(t, s, seeded, second)
	_, err := s.Recover(ctx, true)
	must(t, err)

	rows, err := s.UnknownRows(ctx, seeded.ID)
	must(t, err)
	if len(rows) != 2 {
		t.Fatalf("%d unknown rows, want 2", len(rows))
	}
	want := campaign.UnknownRow{
		Campaign: seeded.ID, Seq: 2, Gen: 2, Attempt: 2, Sender: seeded.Sender, Chat: Chat(2), BodyHash: seeded.Task(second).BodyHash,
		ClaimedAt: call.ClaimedAt, Detail: "herald stopped during the call",
	}
	if diff := cmp.Diff(want, rows[0]); diff != "" {
		t.Errorf("row of an interrupted call (-want +got):\n%s", diff)
	}
	if got := rows[1]; got.Seq != 4 || !got.EndedAt.Equal(got.ClaimedAt.Add(time.Second)) || got.Detail != "what the API said" {
		t.Errorf("row of a lost response: %+v", got)
	}
	_, err = s.UnknownRows(ctx, campaign.NewID())
	wantCode(t, err, campaign.CodeNotFound)
}

func testReturnUnknown(t *testing.T, s *storage.Store) {
	ctx := t.Context()
	seeded := Seed(t, s, 5)
	rows := lose(t, s, seeded, 1, 2, 3)
	due := time.Now().Add(time.Minute).Truncate(time.Millisecond).UTC()

	older := rows[2]
	older.Gen--
	n, err := s.ReturnUnknown(ctx, seeded.ID, []campaign.Staged{rows[0], rows[1], older, {Seq: 4}, {Seq: 99}}, due, "not in the lists")
	must(t, err)
	if n != 2 {
		t.Errorf("returned %d rows, want 2", n)
	}
	if r := wantStatus(t, s, seeded, 1, campaign.StatusPending); !r.NotBefore.Equal(due) || r.Detail != "not in the lists" {
		t.Errorf("returned row: not before %v, %q", r.NotBefore, r.Detail)
	}
	wantStatus(t, s, seeded, 3, campaign.StatusUnknown)
	// Decided twice, or after the row was sent again: nothing happens.
	n, err = s.ReturnUnknown(ctx, seeded.ID, rows[:2], time.Time{}, "again")
	must(t, err)
	if n != 0 {
		t.Errorf("returned %d rows a second time", n)
	}
	n, err = s.ReturnUnknown(ctx, seeded.ID, rows[2:], time.Time{}, "")
	must(t, err)
	if n != 1 {
		t.Errorf("returned %d rows, want 1", n)
	}
	again := lose(t, s, seeded, 3)
	if n, err = s.ReturnUnknown(ctx, seeded.ID, rows[2:], time.Time{}, ""); err != nil || n != 0 {
		t.Errorf("a decision about the first hand-over moved %d rows at the second (%v)", n, err)
	}
	if again[0].Gen != rows[2].Gen+1 {
		t.Errorf("generation %d after %d", again[0].Gen, rows[2].Gen)
	}
	want := []string{"2 rows wait again: not in the lists (rows 1, 2)", "1 row waits again (row 3)"}
	if diff := cmp.Diff(want, resolved(t, s, seeded.ID)); diff != "" {
		t.Errorf("timeline (-want +got):\n%s", diff)
	}
}

// testResendUnknown: the timeline tells what was decided from what was proven, and
// of a canceled campaign nothing is sent again.
func testResendUnknown(t *testing.T, s *storage.Store) {
	ctx := t.Context()
	for state, want := range map[campaign.State]campaign.EventKind{
		campaign.StateRunning: campaign.EventResent, campaign.StateCanceled: campaign.EventResolved,
	} {
		seeded := Seed(t, s, 1)
		rows := stage(t, s, seeded, 1)
		claim(t, s, seeded, rows[0])
		_, err := s.Recover(ctx, true)
		must(t, err)
		_, err = s.Transition(ctx, seeded.ID, state, "", "")
		must(t, err)
		if n, err := s.ResendUnknown(ctx, seeded.ID, rows, "asha"); err != nil || n != 1 {
			t.Fatalf("%s: sent %d rows again, want 1 (%v)", state, n, err)
		}
		timeline, err := s.Timeline(ctx, seeded.ID)
		must(t, err)
		if last := timeline[len(timeline)-1]; last.Kind != want {
			t.Errorf("%s: the timeline ends with %+v, want %s", state, last, want)
		}
	}
}

// testReturnUnknownReopens: a campaign in which everything was submitted has no
// row that waits.
func testReturnUnknownReopens(t *testing.T, s *storage.Store) {
	ctx := t.Context()
	for _, ended := range []campaign.State{campaign.StateTracking, campaign.StateCompleted} {
		seeded := Seed(t, s, 1)
		rows := lose(t, s, seeded, 1)
		_, err := s.Transition(ctx, seeded.ID, campaign.StateTracking, "", "")
		must(t, err)
		_, err = s.Transition(ctx, seeded.ID, ended, "", "")
		must(t, err)
		older := rows[0]
		older.Gen--
		_, err = s.ReturnUnknown(ctx, seeded.ID, []campaign.Staged{older}, time.Time{}, "asha")
		must(t, err)
		if c, err := s.Campaign(ctx, seeded.ID); err != nil || c.State != ended {
			t.Errorf("no row moved, and the campaign that was %s is %s (%v)", ended, c.State, err)
		}
		_, err = s.ReturnUnknown(ctx, seeded.ID, rows, time.Time{}, "asha")
		must(t, err)
		c, err := s.Campaign(ctx, seeded.ID)
		must(t, err)
		if c.State != campaign.StatePaused || c.Reason != campaign.PauseOperator || c.Detail == "" || !c.FinishedAt.IsZero() {
			t.Errorf("the campaign that was %s is %s (%s, %q), finished at %v", ended, c.State, c.Reason, c.Detail, c.FinishedAt)
		}
		_, err = s.Transition(ctx, seeded.ID, campaign.StateRunning, "", "")
		must(t, err)
	}
}

func testAssumeSent(t *testing.T, s *storage.Store) {
	ctx := t.Context()
	seeded := Seed(t, s, 4)
	rows := lose(t, s, seeded, 1, 2)
	other := rows[1]
	other.Gen++
	send(t, s, seeded, 3)
	for range 2 { // the second time changes nothing
		_, err := s.AssumeSent(ctx, seeded.ID, []campaign.Staged{rows[0], other, {Seq: 3, Gen: 1}, {Seq: 4}}, "asha")
		must(t, err)
	}
	if r := wantStatus(t, s, seeded, 1, campaign.StatusUnknown); r.Resolution != campaign.ResolutionAssumedSent {
		t.Errorf("resolution %q", r.Resolution)
	}
	if r := wantStatus(t, s, seeded, 2, campaign.StatusUnknown); r.Resolution != campaign.ResolutionNone {
		t.Errorf("a row at another hand-over was resolved: %q", r.Resolution)
	}
	unknown, err := s.UnknownRows(ctx, seeded.ID)
	must(t, err)
	if len(unknown) != 2 || unknown[0].Resolution != campaign.ResolutionAssumedSent || unknown[0].Open(time.Now()) || !unknown[1].Open(time.Now()) {
		t.Errorf("unknown rows: %+v", unknown)
	}
	if diff := cmp.Diff([]string{"1 row counts as sent: asha (row 1)"}, resolved(t, s, seeded.ID)); diff != "" {
		t.Errorf("timeline (-want +got):\n%s", diff)
	}
}

// testResolutionEnds takes resolved rows out of unknown in every way there is.
func testResolutionEnds(t *testing.T, s *storage.Store) {
	ctx := t.Context()
	seeded := Seed(t, s, 6)
	rows := lose(t, s, seeded, 1, 2, 3, 4, 5)
	if n, err := s.AssumeSent(ctx, seeded.ID, rows, ""); err != nil || n != 5 {
		t.Fatalf("resolved %d rows (%v)", n, err)
	}
	must(t, s.Observe(ctx, []campaign.Observation{evidence(seeded, 1, campaign.StatusSent, time.Now())}))
	settle(t, s, seeded.Accepted(rows[1], campaign.Claim{Attempt: 1, ClaimedAt: time.Now()}))
	rejected := settlement(seeded, rows[2], campaign.Claim{Attempt: 1}, campaign.OutcomeRejected, campaign.StatusFailed)
	rejected.FailReason, rejected.FailClass = campaign.FailRejected, campaign.FailPermanent
	settle(t, s, rejected)
	settle(t, s, settlement(seeded, rows[3], campaign.Claim{Attempt: 1}, campaign.OutcomeThrottled, campaign.StatusPending))
	_, err := s.ReturnUnknown(ctx, seeded.ID, rows[4:], time.Time{}, "")
	must(t, err)
	for seq, want := range []campaign.Status{
		campaign.StatusSent, campaign.StatusQueued, campaign.StatusFailed, campaign.StatusPending, campaign.StatusPending,
	} {
		if r := wantStatus(t, s, seeded, int64(seq)+1, want); r.Resolution != campaign.ResolutionNone {
			t.Errorf("a %s row is resolved as %q", r.Status, r.Resolution)
		}
	}
	// Nothing was learned: the resolution stays.
	row := lose(t, s, seeded, 6)
	_, err = s.AssumeSent(ctx, seeded.ID, row, "")
	must(t, err)
	settle(t, s, settlement(seeded, row[0], campaign.Claim{Attempt: 1}, campaign.OutcomeUnknown, campaign.StatusUnknown))
	if r := wantStatus(t, s, seeded, 6, campaign.StatusUnknown); r.Resolution != campaign.ResolutionAssumedSent {
		t.Errorf("a late timeout took the resolution away")
	}
}

func testBoundIDs(t *testing.T, s *storage.Store) {
	ctx := t.Context()
	if ids, err := s.BoundIDs(ctx, Chat(1)); err != nil || len(ids) != 0 {
		t.Errorf("ids in an empty ledger: %v (%v)", ids, err)
	}
	first, second := Seed(t, s, 2), Seed(t, s, 2)
	first.Lease = second.Lease // one sender, leased anew
	send(t, s, first, 1)
	send(t, s, first, 2)
	send(t, s, second, 1)
	delivered := evidence(first, 1, campaign.StatusDelivered, time.Now())
	delivered.MessageID = "true_1"
	must(t, s.Observe(ctx, []campaign.Observation{delivered}))
	got, err := s.BoundIDs(ctx, Chat(1))
	must(t, err)
	want := []string{"true_1", "unique-1-1"}
	for _, id := range []campaign.ID{first.ID, second.ID} {
		want = append(want, fmt.Sprintf("queue-%s-1-1", id))
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("ids of a chat (-want +got):\n%s", diff)
	}
}

func testWitnesses(t *testing.T, s *storage.Store) {
	ctx := t.Context()
	seeded := Seed(t, s, 1200)
	lose(t, s, seeded, 101)
	rows, err := s.UnknownRows(ctx, seeded.ID)
	must(t, err)
	for seq, after := range map[int64]time.Duration{
		1: -4 * time.Second, 95: -time.Minute, 103: -time.Second, 99: 0, 104: 2 * time.Second, 90: time.Second, 700: time.Millisecond,
	} {
		row := stage(t, s, seeded, seq)[0]
		settlement := seeded.Accepted(row, claim(t, s, seeded, row))
		settlement.EndedAt = rows[0].ClaimedAt.Add(after)
		settle(t, s, settlement)
	}
	for _, test := range []struct {
		limit int
		want  []int64
	}{{1, []int64{99}}, {2, []int64{103, 99}}, {4, []int64{103, 1, 99, 90}}, {5, []int64{103, 1, 99, 90, 104}}, {10, []int64{103, 1, 95, 99, 90, 104}}} {
		list, err := s.Witnesses(ctx, rows[0], test.limit)
		must(t, err)
		got := make([]int64, 0, len(list))
		for _, w := range list {
			got = append(got, w.Seq)
			if w.QueueID == "" || w.QueuedAt.IsZero() || w.Sender != seeded.Sender || w.Campaign != seeded.ID {
				t.Errorf("witness %+v", w)
			}
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("at most %d witnesses of row 101: %v, want %v", test.limit, got, test.want)
		}
	}
	other, err := s.EnsureSender(ctx, "phone-other")
	must(t, err)
	foreign := rows[0]
	foreign.Sender = other
	if list, err := s.Witnesses(ctx, foreign, 10); err != nil || len(list) != 0 {
		t.Errorf("witnesses of another sender: %v (%v)", list, err)
	}
}

func testVisibilityLag(t *testing.T, s *storage.Store) {
	ctx := t.Context()
	sender, err := s.EnsureSender(ctx, Phone)
	must(t, err)
	if lag, measured, err := s.VisibilityLag(ctx, sender.ID); err != nil || measured || lag != 0 {
		t.Errorf("before any was measured: %v, %v (%v)", lag, measured, err)
	}
	for _, step := range []struct{ keep, want time.Duration }{
		{-time.Second, 0},
		{1500 * time.Millisecond, 1500 * time.Millisecond},
		{time.Second, 1500 * time.Millisecond},
		{1500*time.Millisecond + 1, 1501 * time.Millisecond},
	} {
		must(t, s.KeepVisibilityLag(ctx, sender.ID, step.keep))
		if lag, measured, err := s.VisibilityLag(ctx, sender.ID); err != nil || !measured || lag != step.want {
			t.Errorf("after %v: %v, %v, want %v (%v)", step.keep, lag, measured, step.want, err)
		}
	}
	must(t, s.DoubtVisibilityLag(ctx, sender.ID, time.Second))
	if lag, measured, err := s.VisibilityLag(ctx, sender.ID); err != nil || measured || lag != 1501*time.Millisecond {
		t.Errorf("after a message that did not appear: %v, %v (%v)", lag, measured, err)
	}
	must(t, s.DoubtVisibilityLag(ctx, sender.ID, 2*time.Second))
	must(t, s.KeepVisibilityLag(ctx, sender.ID, 0))
	if lag, measured, err := s.VisibilityLag(ctx, sender.ID); err != nil || !measured || lag != 2*time.Second {
		t.Errorf("measured again: %v, %v, want the longest that was ever seen (%v)", lag, measured, err)
	}
	wantCode(t, s.KeepVisibilityLag(ctx, "snd_nobody", time.Second), campaign.CodeNotFound)
	_, _, err = s.VisibilityLag(ctx, "snd_nobody")
	wantCode(t, err, campaign.CodeNotFound)
}

// testReturnedRows: only those that wait again after a call that nobody knows
// the end of.
func testReturnedRows(t *testing.T, s *storage.Store) {
	ctx := t.Context()
	seeded := Seed(t, s, 10)
	want := func(seqs ...int64) []campaign.UnknownRow {
		t.Helper()
		rows, err := s.ReturnedRows(ctx, seeded.ID)
		must(t, err)
		var got []int64
		for _, row := range rows {
			got = append(got, row.Seq)
		}
		if !slices.Equal(got, seqs) {
			t.Errorf("rows that are to be sent again: %v, want %v", got, seqs)
		}
		return rows
	}
	send(t, s, seeded, 1)
	lost := lose(t, s, seeded, 2, 3, 4)
	refused := stage(t, s, seeded, 5)[0]
	settle(t, s, settlement(seeded, refused, claim(t, s, seeded, refused), campaign.OutcomeUnavailable, campaign.StatusPending))
	want()
	unknown, err := s.UnknownRows(ctx, seeded.ID)
	must(t, err)
	_, err = s.ReturnUnknown(ctx, seeded.ID, lost[:2], time.Time{}, "")
	must(t, err)
	rows := want(2, 3)
	if got := rows[0]; !got.ClaimedAt.Equal(unknown[0].ClaimedAt) || got.BodyHash != unknown[0].BodyHash || got.Chat != unknown[0].Chat || got.Attempt != 1 {
		t.Errorf("row %+v, want what it was when it was unknown: %+v", got, unknown[0])
	}
	stage(t, s, seeded, 2)
	_, err = s.Unstage(ctx, seeded.ID, time.Time{}) // handed over, and taken back
	must(t, err)
	want(2, 3)
	must(t, s.Observe(ctx, []campaign.Observation{{
		Evidence: campaign.Evidence{Campaign: seeded.ID, Seq: 2, Source: campaign.EvidenceJobs, Status: campaign.StatusSent}, QueueID: "late",
	}}))
	want(3)
	wantStatus(t, s, seeded, 2, campaign.StatusSent)
	send(t, s, seeded, 3)
	want()
}

// skipAfterCall takes a row through a call whose outcome is lost, back to
// waiting by a decision, and then to skipped: its message may come to light.
func skipAfterCall(t *testing.T, s *storage.Store, seeded Seeded, seq int64) campaign.Staged {
	t.Helper()
	rows := lose(t, s, seeded, seq)
	_, err := s.ReturnUnknown(t.Context(), seeded.ID, rows, time.Time{}, "")
	must(t, err)
	_, err = s.Skip(t.Context(), seeded.ID, []campaign.Skip{{Seq: seq, Reason: campaign.SkipTemplateError}})
	must(t, err)
	return rows[0]
}

func knownChats(t *testing.T, s *storage.Store, id campaign.ID) map[campaign.ChatID]int64 {
	t.Helper()
	known := map[campaign.ChatID]int64{}
	for k, err := range s.KnownChats(t.Context(), id) {
		must(t, err)
		known[k.Chat] = k.Seq
	}
	return known
}

// testProofWinsOverSkip: a chat that was sent to is the campaign's again, so
// that a delta cannot repeat it.
func testProofWinsOverSkip(t *testing.T, s *storage.Store) {
	ctx := t.Context()
	seeded := Seed(t, s, 3)
	skipAfterCall(t, s, seeded, 1)
	late := skipAfterCall(t, s, seeded, 2)
	skipAfterCall(t, s, seeded, 3)

	// A mended line took the chat of row 3 meanwhile.
	imp := campaign.Import{File: "mended.csv", Rows: 1}
	var err error
	imp.Number, err = s.BeginImport(ctx, seeded.ID, imp)
	must(t, err)
	mended := Batch(imp.Number, seeded.Sender.ID, 4, 1, nil)
	mended[0].Chat = Chat(3)
	must(t, s.AddRecipients(ctx, seeded.ID, mended))
	must(t, s.FinishImport(ctx, seeded.ID, imp))

	found := evidence(seeded, 3, campaign.StatusQueued, time.Time{})
	found.QueueID = "queue-of-row-3"
	must(t, s.Observe(ctx, []campaign.Observation{evidence(seeded, 1, campaign.StatusDelivered, time.Now()), found}))
	settle(t, s, seeded.Accepted(late, campaign.Claim{Attempt: 1, ClaimedAt: time.Now()}))
	wantStatus(t, s, seeded, 1, campaign.StatusDelivered)
	wantStatus(t, s, seeded, 2, campaign.StatusQueued)
	wantStatus(t, s, seeded, 3, campaign.StatusQueued)
	want := map[campaign.ChatID]int64{Chat(1): 1, Chat(2): 2, Chat(3): 4}
	if diff := cmp.Diff(want, knownChats(t, s, seeded.ID)); diff != "" {
		t.Errorf("chats a delta must not repeat (-want +got):\n%s", diff)
	}
	ids, err := s.BoundIDs(ctx, Chat(3))
	must(t, err)
	if !slices.Equal(ids, []string{"queue-of-row-3"}) {
		t.Errorf("ids of a chat whose line was skipped: %v", ids)
	}
}

// testNothingWaitsWhenCanceled: what comes back from the stream, a call or a
// decision after a campaign was canceled is canceled too.
func testNothingWaitsWhenCanceled(t *testing.T, s *storage.Store) {
	ctx := t.Context()
	seeded := Seed(t, s, 5)
	lost := lose(t, s, seeded, 1)
	rows := stage(t, s, seeded, 2, 3, 4, 5)
	throttled := settlement(seeded, rows[0], claim(t, s, seeded, rows[0]), campaign.OutcomeThrottled, campaign.StatusPending)
	throttled.Refund, throttled.NotBefore = true, time.Now().Add(time.Hour)
	claim(t, s, seeded, rows[1])
	_, err := s.Transition(ctx, seeded.ID, campaign.StateCanceled, "", "")
	must(t, err)

	_, err = s.ReturnUnknown(ctx, seeded.ID, lost, time.Now().Add(time.Hour), "not in the lists")
	must(t, err)
	if got := settle(t, s, throttled); got != campaign.StatusCanceled {
		t.Errorf("settled as %s, want canceled", got)
	}
	must(t, s.GiveBack(ctx, seeded.Task(rows[1]), seeded.Lease.Epoch))
	must(t, s.UnstageRows(ctx, seeded.ID, []int64{4}))
	_, err = s.Unstage(ctx, "", time.Time{})
	must(t, err)
	for seq := int64(1); seq <= 5; seq++ {
		if r := wantStatus(t, s, seeded, seq, campaign.StatusCanceled); !r.NotBefore.IsZero() {
			t.Errorf("row %d waits until %v", seq, r.NotBefore)
		}
	}
	if got := resolved(t, s, seeded.ID); !slices.Equal(got, []string{"1 row is canceled: not in the lists (row 1)"}) {
		t.Errorf("timeline: %q", got)
	}
}
