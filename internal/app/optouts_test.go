package app

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/sandbox"
)

// optOuts opens the theater's data directory to keep opt-outs.
func (th *theater) optOuts() *OptOuts {
	th.t.Helper()
	a, _, err := OpenToOptOut(th.t.Context(), th.cfg, slog.New(slog.DiscardHandler))
	check(th.t, err)
	th.t.Cleanup(func() { check(th.t, a.Close()) })
	return a.OptOuts()
}

func mustList(t *testing.T, o *OptOuts) map[string]OptOutView {
	t.Helper()
	found := map[string]OptOutView{}
	for v, err := range o.All(t.Context()) {
		check(t, err)
		v = v.Reveal()
		found[v.Chat] = v
	}
	return found
}

func mustChats(t *testing.T, o *OptOuts, phones ...string) []Chat {
	t.Helper()
	chats, err := o.Chats(phones, "")
	check(t, err)
	return chats
}

// TestOptOutsWithoutAService are kept by the ledger; who is removed is in no
// list, and nothing of the past is forgotten.
func TestOptOutsWithoutAService(t *testing.T) {
	t.Parallel()
	o := newTheater(t, nil).optOuts()
	chats := mustChats(t, o, "+447700900001", "00447700900002")
	d, err := o.Add(t.Context(), chats, "told us")
	check(t, err)
	want := Decided{SchemaVersion: 1, Wish: campaign.WishOut, Chats: 2, Changed: 2}
	if diff := cmp.Diff(want, d); diff != "" {
		t.Errorf("added (-want +got):\n%s", diff)
	}
	awaitLater(t)
	if d, err = o.Add(t.Context(), chats[:1], ""); err != nil || d.Already != 1 || d.Changed != 0 {
		t.Errorf("added again: %+v, %v", d, err)
	}
	if list := mustList(t, o); list["447700900001@c.us"].Reason != "told us" {
		t.Errorf("added again without a reason: %+v", list)
	}
	if _, err := o.Remove(t.Context(), chats[:1], " "); campaign.CodeOf(err) != campaign.CodeInvalid {
		t.Errorf("removed without a reason: %v", err)
	}
	awaitLater(t)
	d, err = o.Remove(t.Context(), chats[:1], "asked for it")
	check(t, err)
	if d.Changed != 1 || d.Wish != campaign.WishIn {
		t.Errorf("removed: %+v", d)
	}
	list := mustList(t, o)
	if len(list) != 1 || list["447700900002@c.us"].Reason != "told us" || list["447700900002@c.us"].Source != campaign.ConsentOperator {
		t.Errorf("the list is %+v", list)
	}
	h, err := o.History(t.Context(), chats[0])
	check(t, err)
	if h.OptedOut || len(h.Decisions) != 3 || h.Decisions[0].Reason != "asked for it" {
		t.Errorf("the history is %+v", h)
	}
	if _, err := o.Chats([]string{"9999990021"}, ""); err == nil || strings.Contains(err.Error(), "9999990021") {
		t.Errorf("a number without its country was told as %v", err)
	}
}

// awaitLater lets the ledger's clock, of milliseconds, go on.
func awaitLater(t *testing.T) {
	t.Helper()
	for now := time.Now(); time.Since(now) < 2*time.Millisecond; {
		if t.Context().Err() != nil {
			t.Fatal("interrupted")
		}
	}
}

// TestOptOutExportIsImportedExactly, whoever is in it: formulas, commas and
// quotes in reasons, spellings that a phone number would lose, groups.
func TestOptOutExportIsImportedExactly(t *testing.T) {
	t.Parallel()
	here := newTheater(t, nil).optOuts()
	reasons := map[campaign.ChatID]string{
		"447700900001@c.us":       `=HYPERLINK("http://example.com","x")`,
		"12015550123@c.us":        "-1+cmd|' /C calc'!A0",
		"5215512345678@c.us":      `he said "no, thanks"; twice`,
		"5511912345678@c.us":      "'=quoted before",
		"919999900021@c.us":       "बंद करो",
		"120363040000000001@g.us": "@SUM(A1)",
		"4915123456789@c.us":      "+49 151 23456789 called",
		"447700900002@c.us":       "\tline\r\nbreaks ",
		"918000000001@c.us":       strings.Repeat("é", 150),
		"61491570006@c.us":        "'",
	}
	at := time.Date(2026, 3, 1, 9, 30, 0, 123e6, time.UTC)
	for chat, reason := range reasons {
		_, err := here.keep.consent(t.Context(), []campaign.Consent{{
			Chat: chat, Wish: campaign.WishOut, At: at, Source: campaign.ConsentOperator, Reason: reasonOf(reason),
		}})
		check(t, err)
	}
	var exported bytes.Buffer
	n, err := here.Export(t.Context(), &exported)
	check(t, err)
	if n != int64(len(reasons)) || strings.Contains(exported.String(), ",=") || strings.Contains(exported.String(), ",@") {
		t.Errorf("exported %d:\n%s", n, &exported)
	}
	there := newTheater(t, nil).optOuts()
	r, err := there.Import(t.Context(), OptOutImport{File: "-", Stdin: bytes.NewReader(exported.Bytes())})
	check(t, err)
	if !r.Clean() || r.Added != n || r.File != "standard input" {
		t.Errorf("imported %+v", r)
	}
	want, got := mustList(t, here), mustList(t, there)
	for chat, v := range want {
		w := got[chat]
		if !w.At.Equal(v.At) || w.Reason != v.Reason || w.Source != campaign.ConsentImport {
			t.Errorf("%s: exported %q at %s, imported %q at %s by %s", campaign.ChatID(chat), v.Reason, v.At, w.Reason, w.At, w.Source)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d people were exported, %d imported", len(want), len(got))
	}
	// Once more changes nothing.
	again, err := there.Import(t.Context(), OptOutImport{File: "-", Stdin: bytes.NewReader(exported.Bytes())})
	check(t, err)
	if again.Added != 0 || again.Already != n {
		t.Errorf("imported again %+v", again)
	}
}

// TestOptOutImportTakesEveryGoodRow whatever is wrong with the others, and says
// so; the rows that were put aside can be mended and imported.
func TestOptOutImportTakesEveryGoodRow(t *testing.T) {
	t.Parallel()
	th := newTheater(t, nil)
	o := th.optOuts()
	file := th.write("list.csv", "\ufeffMobile;Reason;Date\n"+
		"99999 90021;unsubscribed;2026-02-03\n"+ // 2
		"9.19876E+11;;\n"+ // 3: its last digits are gone
		";nobody;\n"+ // 4
		"99999 90022;;03/04/2026\n"+ // 5: which day?
		"99999 90023;;2999-01-01\n"+ // 6: not yet
		"99999 90021;again;2026-02-03\n"+ // 7
		"99999 90024\n") // 8: short
	in := OptOutImport{File: file, Country: "IN"}
	in.DryRun = true
	foreseen, err := o.Import(t.Context(), in)
	check(t, err)
	if len(mustList(t, o)) != 0 {
		t.Error("a dry run opted somebody out")
	}
	in.DryRun = false
	r, err := o.Import(t.Context(), in)
	check(t, err)
	if r.Rows != 7 || r.Added != 3 || r.Already != 0 || r.Repeated != 1 || r.Bad != 3 || r.Undated != 2 || r.Clean() {
		t.Errorf("imported %+v", r)
	}
	if foreseen.Added != r.Added || foreseen.Repeated != r.Repeated || foreseen.Bad != r.Bad || foreseen.RejectsFile != nil {
		t.Errorf("the dry run foresaw %+v", foreseen)
	}
	lines := map[int64]string{}
	for _, group := range r.Problems {
		for _, p := range group.First {
			lines[p.Line] = group.Code
		}
	}
	want := map[int64]string{3: "E_CSV_PHONE_SCIENTIFIC", 4: "E_CSV_PHONE_EMPTY", 5: dateOptOut, 6: dateOptOut, 8: "E_CSV_COLUMNS"}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Errorf("problems by line (-want +got):\n%s", diff)
	}
	list := mustList(t, o)
	if at := list["919999990021@c.us"].At; at.Local().Format(time.DateOnly) != "2026-02-03" || list["919999990022@c.us"].Reason != "(in list.csv)" {
		t.Errorf("the list is %+v", list)
	}
	rejects, err := os.ReadFile(*r.RejectsFile)
	check(t, err)
	if got := strings.Count(string(rejects), "\n"); got != 4 {
		t.Errorf("%d lines were put aside:\n%s", got, rejects)
	}
	mended := strings.NewReplacer("9.19876E+11", "99999 90025", "the row has", "").Replace(string(rejects))
	second, err := o.Import(t.Context(), OptOutImport{File: th.write("mended.csv", mended), Country: "IN"})
	check(t, err)
	if second.Added != 1 {
		t.Errorf("of the mended rows %+v", second)
	}
}

// TestOptOutImportKeepsTheEarlierDate of somebody who is named again with a date
// that says nothing, in the same file and in the next import, and does not tell
// otherwise.
func TestOptOutImportKeepsTheEarlierDate(t *testing.T) {
	t.Parallel()
	th := newTheater(t, nil)
	o := th.optOuts()
	file := th.write("list.csv", "phone,date\n+447700900001,2026-02-03\n+447700900001,2999-01-01\n+447700900001,soon\n")
	for range 2 {
		r, err := o.Import(t.Context(), OptOutImport{File: file})
		check(t, err)
		if at := mustList(t, o)["447700900001@c.us"].At; at.Local().Format(time.DateOnly) != "2026-02-03" {
			t.Errorf("opted out as of %s", at)
		}
		if len(r.Problems) != 1 || len(r.Problems[0].First) != 2 {
			t.Fatalf("the problems are %+v", r.Problems)
		}
		for _, p := range r.Problems[0].First {
			if !strings.HasSuffix(p.What, "; this person is opted out as of now, or stays so as of before") {
				t.Errorf("line %d: %s", p.Line, p.What)
			}
		}
	}
}

// TestOptOutImportDoesNotOverrule what people said later than the list was made.
func TestOptOutImportDoesNotOverrule(t *testing.T) {
	t.Parallel()
	th := newTheater(t, nil)
	o := th.optOuts()
	chat := mustChats(t, o, "+447700900001")
	_, err := o.Remove(t.Context(), chat, "said START")
	check(t, err)
	file := th.write("old.csv", "phone,date\n+447700900001,2026-01-01\n")
	for _, dry := range []bool{true, false} {
		r, err := o.Import(t.Context(), OptOutImport{File: file, DryRun: dry})
		check(t, err)
		if r.Overruled != 1 || r.Added != 0 || len(mustList(t, o)) != 0 {
			t.Errorf("dry run %t: %+v", dry, r)
		}
	}
	// Without a date it is said now.
	awaitLater(t)
	r, err := o.Import(t.Context(), OptOutImport{File: th.write("new.csv", "phone\n+447700900001\n")})
	check(t, err)
	if r.Added != 1 {
		t.Errorf("undated: %+v", r)
	}
	h, err := o.History(t.Context(), chat[0])
	check(t, err)
	before := len(h.Decisions)
	_, err = o.Import(t.Context(), OptOutImport{File: filepath.Join(th.dir, "new.csv")})
	check(t, err)
	if h, err = o.History(t.Context(), chat[0]); err != nil || len(h.Decisions) != before {
		t.Errorf("importing a list again left %d decisions, %v; want %d", len(h.Decisions), err, before)
	}
}

// TestOptOutImportReadsTheColumnsItIsTold, and says which it did not read; what
// an export wrote is read whole.
func TestOptOutImportReadsTheColumnsItIsTold(t *testing.T) {
	t.Parallel()
	th := newTheater(t, nil)
	o := th.optOuts()
	file := th.write("liste.csv", "Telefon;Grund;Datum\n+447700900001;will nicht;2026-02-03\n")
	r, err := o.Import(t.Context(), OptOutImport{File: file, DryRun: true})
	check(t, err)
	if diff := cmp.Diff([]string{"Grund", "Datum"}, r.Unused); diff != "" || r.Reason+r.Date != "" {
		t.Errorf("not used (-want +got):\n%s", diff)
	}
	r, err = o.Import(t.Context(), OptOutImport{File: file, Reason: "grund", Date: "Datum"})
	check(t, err)
	if len(r.Unused) > 0 || r.Reason != "Grund" || r.Date != "Datum" {
		t.Errorf("told the columns: %+v", r)
	}
	one := mustList(t, o)["447700900001@c.us"]
	if one.Reason != "will nicht" || one.At.Local().Format(time.DateOnly) != "2026-02-03" {
		t.Errorf("the list has %+v", one)
	}
	_, err = o.Import(t.Context(), OptOutImport{File: file, Date: "Dautm"})
	if rejected := Problems(err); rejected == nil || rejected.Problems[0].Fix != `did you mean "Datum"?` || rejected.Problems[0].Field != "date-column" {
		t.Errorf("a column that is not there: %v", err)
	}
	var exported bytes.Buffer
	_, err = o.Export(t.Context(), &exported)
	check(t, err)
	r, err = o.Import(t.Context(), OptOutImport{File: "-", Stdin: &exported})
	check(t, err)
	if len(r.Unused) > 0 {
		t.Errorf("of an export %q are not used", r.Unused)
	}
}

// TestOptOutImportCountsRepeatedRows apart from those who were out before, also
// where only the later of them holds.
func TestOptOutImportCountsRepeatedRows(t *testing.T) {
	t.Parallel()
	th := newTheater(t, nil)
	o := th.optOuts()
	_, err := o.Remove(t.Context(), mustChats(t, o, "+447700900001", "+447700900004"), "said START")
	check(t, err)
	_, err = o.Add(t.Context(), mustChats(t, o, "+447700900002"), "")
	check(t, err)
	awaitLater(t)
	rows := strings.Repeat("+447700900001,2026-01-01\n", importRows) + // overruled, one batch full
		"+447700900001,\n" + // and said again now
		"+447700900002,\n+44 7700 900002,\n" + // was out
		"+447700900003,2026-01-01\n+447700900003,\n" +
		"+447700900004,2026-01-01\n+447700900004,\n" // overruled and said again in one batch
	file := th.write("list.csv", "phone,date\n"+rows)
	for _, dry := range []bool{true, false} {
		r, err := o.Import(t.Context(), OptOutImport{File: file, DryRun: dry})
		check(t, err)
		if r.Added != 3 || r.Already != 1 || r.Overruled != 0 || r.Repeated != r.Rows-4 || !r.Clean() {
			t.Errorf("dry run %t: %+v", dry, r)
		}
	}
}

// TestOptOutRefusesBesideARun with what to do about it.
func TestOptOutRefusesBesideARun(t *testing.T) {
	t.Parallel()
	th := newTheater(t, nil)
	a := th.open()
	_, _, err := OpenToOptOut(t.Context(), th.cfg, slog.New(slog.DiscardHandler))
	if campaign.CodeOf(err) != campaign.CodeConflict || !strings.Contains(strings.Join(Hints(err), " "), "herald serve") {
		t.Errorf("beside a run: %v, hints %q", err, Hints(err))
	}
	check(t, a.Close())
}

// TestNoSendFollowsAnOptOut is promise P12 at full speed: once the service has
// said that somebody is opted out, no message to that person is accepted.
func TestNoSendFollowsAnOptOut(t *testing.T) {
	t.Parallel()
	th := newTheater(t, nil)
	const people = 600
	file := th.campaign("fast", 1, people, "pace: { rate: unlimited, in_flight: 32 }\n")
	s := th.serve()
	defer s.end()
	o := s.remote.OptOuts()
	id := s.start(file)
	s.until(id, func(v CampaignView) bool { return v.Waiting() < people })
	said := map[string]Decided{}
	for i := people; i > 0; i -= 4 { // from those whose turn is last to those who have it already
		chats := mustChats(t, o, "+"+number(i))
		d, err := o.Add(t.Context(), chats, "")
		check(t, err)
		said[string(chats[0])] = d
	}
	s.until(id, isIn(campaign.StateCompleted))
	accepted := map[string]int{}
	for _, a := range th.sim.Acceptances() {
		accepted[a.ChatID]++
	}
	list, spared := mustList(t, o), 0
	for r, err := range s.app.rows(t.Context(), id) {
		check(t, err)
		d, opted := said[string(r.Chat)]
		switch n := accepted[string(r.Chat)]; {
		case !opted:
		case d.Skipped == 1 && n == 0:
			spared++
		case d.Skipped == 1 || r.Status == campaign.StatusSkipped:
			t.Errorf("row %d: said to be skipped %d times, is %s, %d messages were taken", r.Seq, d.Skipped, r.Status, n)
		case n != 1 || r.ClaimedAt.After(list[string(r.Chat)].At):
			t.Errorf("row %d was called for at %s, after the opt-out of %s", r.Seq, r.ClaimedAt, list[string(r.Chat)].At)
		}
	}
	if spared == 0 {
		t.Error("everything was sent before anybody opted out: the race was not run")
	}
}

// TestServiceTakesOutWhatIsQueued: what the provider has not sent yet is taken
// out of its queue by its queue ids, and never arrives; everybody else's does.
func TestServiceTakesOutWhatIsQueued(t *testing.T) {
	t.Parallel()
	th := newTheater(t, func(c *sandbox.Config) { c.OnDisconnected = sandbox.DisconnectedHold })
	file := th.campaign("queued", 1, 12, "pace: { rate: 4/s, in_flight: 1 }\n")
	s := th.serve()
	defer s.end()
	id := s.start(file)
	check(t, th.sim.Disconnect(testSender)) // what is accepted from now on waits there
	s.until(id, func(v CampaignView) bool { return v.Waiting() == 0 && v.Balance[campaign.StatusQueued] >= 3 })
	o := s.remote.OptOuts()
	d, err := o.Add(t.Context(), mustChats(t, o, "+"+number(10), "+"+number(11), "+"+number(12)), "")
	check(t, err)
	if d.Queued != 3 || !d.Purging || d.Skipped != 0 {
		t.Errorf("opted out: %+v", d)
	}
	s.until(id, func(v CampaignView) bool { return v.Balance[campaign.StatusCanceled] == 3 })
	check(t, th.sim.Connect(testSender))
	s.until(id, func(v CampaignView) bool { return v.Balance[campaign.StatusRead] == 9 })
	if n := th.purged(); n != 3 {
		t.Errorf("%d messages were taken out of the queue, want those of the 3 people", n)
	}
}

// TestReviewsAreDecided once, through the service.
func TestReviewsAreDecided(t *testing.T) {
	t.Parallel()
	th := newTheater(t, nil)
	file := th.campaign("asked", 1, 3, "pace: { rate: unlimited }\n")
	s := th.serve()
	defer s.end()
	id := s.start(file)
	s.until(id, isIn(campaign.StateCompleted))
	for i, text := range []string{"please stop now", "stop by the shop?\x1b[2J"} {
		chat := campaign.PersonChat(number(i + 1))
		_, err := s.app.store.Fold(t.Context(), []campaign.Folding{{Reply: &campaign.Reply{
			Inbound: campaign.Inbound{
				ID: "3EB0" + string(rune('A'+i)), Phone: testSender, Chat: chat, Author: chat, Kind: "chat", Text: text, At: time.Now(),
			},
			Campaign: id, Seq: int64(i + 1), Tie: campaign.TieRecent, Wish: campaign.WishNear,
		}}})
		check(t, err)
	}
	o := s.remote.OptOuts()
	list, err := o.Reviews(t.Context())
	check(t, err)
	if len(list) != 2 || list[0].Name != "asked" || list[0].Text != "please stop now" || strings.Contains(list[1].Line(), "\x1b") {
		t.Fatalf("to review: %+v", list)
	}
	d, err := o.Review(t.Context(), []string{"3EB0A"}, true)
	check(t, err)
	if d.Changed != 1 || len(mustList(t, o)) != 1 {
		t.Errorf("decided %+v", d)
	}
	if _, err := o.Review(t.Context(), []string{"3EB0B"}, false); err != nil || len(mustList(t, o)) != 1 {
		t.Errorf("kept: %v", err)
	}
	if list, err := o.Reviews(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("still to review: %+v, %v", list, err)
	}
	if _, err := o.Review(context.Background(), []string{"nothing"}, true); campaign.CodeOf(err) != campaign.CodeNotFound {
		t.Errorf("an unknown message: %v", err)
	}
	if strings.Contains(th.log.String(), "please stop") {
		t.Error("the log has the text of a message")
	}
}
