package storagetest

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/storage"
)

func testImport(t *testing.T, s *storage.Store) {
	ctx := t.Context()
	seeded := SeedDraft(t, s, 0)
	imp := campaign.Import{File: "größe.csv", SHA256: "00", Header: []string{"Mobile No.", "नाम"}, Slugs: []string{"mobile_no", "n"}}
	number, err := s.BeginImport(ctx, seeded.ID, imp)
	must(t, err)
	if number != 2 {
		t.Errorf("import %d, want 2", number)
	}
	imp.Number = number
	_, err = s.BeginImport(ctx, seeded.ID, imp)
	wantCode(t, err, campaign.CodeConflict)

	rows := []campaign.Recipient{
		{
			Seq: 1, Import: number, Line: 2, Status: campaign.StatusPending, Chat: "447700900123@c.us", Sender: seeded.Sender.ID,
			Record: []string{"+44 7700 900123", "आशा \"?\" <b>\n", ""}, Variant: "B",
		},
		{
			Seq: 2, Import: number, Line: 4, Status: campaign.StatusSkipped, SkipReason: campaign.SkipInvalidPhone,
			Detail: "too short", Record: []string{"12"},
		},
		{
			Seq: 3, Import: number, Line: 5, Status: campaign.StatusSkipped, SkipReason: campaign.SkipDuplicate,
			Chat: "447700900123@c.us", Detail: "same as line 2", Record: []string{"447700900123"},
		},
	}
	must(t, s.AddRecipients(ctx, seeded.ID, rows))
	imp.Rows = 4
	if err := s.FinishImport(ctx, seeded.ID, imp); err == nil {
		t.Error("an import that lost a row was finished")
	}
	imp.Rows = 3
	must(t, s.FinishImport(ctx, seeded.ID, imp))
	wantCode(t, s.FinishImport(ctx, seeded.ID, imp), campaign.CodeConflict)
	wantCode(t, s.AddRecipients(ctx, seeded.ID, rows), campaign.CodeConflict)
	wantCode(t, s.DiscardImport(ctx, seeded.ID, number), campaign.CodeConflict)

	for _, want := range rows {
		want.Campaign = seeded.ID
		if diff := cmp.Diff(want, row(t, s, seeded, want.Seq)); diff != "" {
			t.Errorf("row %d read back (-want +got):\n%s", want.Seq, diff)
		}
	}
	c, err := s.Campaign(ctx, seeded.ID)
	must(t, err)
	got := c.Imports[1]
	if got.At.IsZero() || !got.Complete {
		t.Errorf("finished import: at %v, complete %v", got.At, got.Complete)
	}
	got.At, got.Complete = time.Time{}, false
	if diff := cmp.Diff(imp, got); diff != "" {
		t.Errorf("import read back (-want +got):\n%s", diff)
	}
	want := campaign.Totals{
		ByStatus: map[campaign.Status]int64{campaign.StatusPending: 1, campaign.StatusSkipped: 2},
		Skipped:  map[campaign.SkipReason]int64{campaign.SkipInvalidPhone: 1, campaign.SkipDuplicate: 1},
		Failed:   map[campaign.FailReason]int64{},
	}
	if diff := cmp.Diff(want, totals(t, s, seeded.ID)); diff != "" {
		t.Errorf("totals (-want +got):\n%s", diff)
	}
	all, err := s.AllTotals(ctx)
	must(t, err)
	if diff := cmp.Diff(map[campaign.ID]campaign.Totals{seeded.ID: want}, all); diff != "" {
		t.Errorf("all totals (-want +got):\n%s", diff)
	}
	if !want.Balanced(c.Rows()) {
		t.Errorf("%d rows read, %d accounted for", c.Rows(), want.Sum())
	}
}

func testOneRowPerChat(t *testing.T, s *storage.Store) {
	ctx := t.Context()
	seeded := SeedDraft(t, s, 0)
	number, err := s.BeginImport(ctx, seeded.ID, campaign.Import{})
	must(t, err)
	batch := Batch(number, seeded.Sender.ID, 1, 100, nil)
	batch[70].Chat = batch[3].Chat
	wantCode(t, s.AddRecipients(ctx, seeded.ID, batch), campaign.CodeConflict)
	if n := totals(t, s, seeded.ID).Sum(); n != 0 {
		t.Errorf("%d rows of a refused batch are counted", n)
	}
	batch[70].Chat = Chat(71)
	batch[71].Chat = "" // a sendable row without an address
	if err := s.AddRecipients(ctx, seeded.ID, batch); err == nil {
		t.Error("a row to nobody was taken")
	}
	batch[71].Chat = Chat(72)
	must(t, s.AddRecipients(ctx, seeded.ID, batch))
	must(t, s.DiscardImport(ctx, seeded.ID, number))
}

func testDiscardImport(t *testing.T, s *storage.Store) {
	ctx := t.Context()
	seeded := Seed(t, s, 10)
	number, err := s.BeginImport(ctx, seeded.ID, campaign.Import{File: "delta.csv"})
	must(t, err)
	must(t, s.AddRecipients(ctx, seeded.ID, Batch(number, seeded.Sender.ID, 11, 2100, nil)))
	unfinished, err := s.IncompleteImports(ctx)
	must(t, err)
	if diff := cmp.Diff([]storage.Unfinished{{Campaign: seeded.ID, Import: number}}, unfinished); diff != "" {
		t.Errorf("unfinished imports (-want +got):\n%s", diff)
	}
	pending, err := s.Pending(ctx, seeded.ID, seeded.Sender.ID, time.Now(), 100)
	must(t, err)
	if len(pending) != 10 {
		t.Errorf("%d rows are handed out, want the 10 of the finished import", len(pending))
	}
	must(t, s.DiscardImport(ctx, seeded.ID, number))
	if n := totals(t, s, seeded.ID).Sum(); n != 10 {
		t.Errorf("%d rows are left, want 10", n)
	}
	unfinished, err = s.IncompleteImports(ctx)
	must(t, err)
	if len(unfinished) != 0 {
		t.Errorf("still unfinished: %v", unfinished)
	}
}

func testDeltaImport(t *testing.T, s *storage.Store) {
	ctx := t.Context()
	seeded := Seed(t, s, 3)
	// Row 2 turns out not to render; its mended copy comes with a delta.
	_, err := s.Skip(ctx, seeded.ID, []campaign.Skip{{Seq: 2, Reason: campaign.SkipTemplateError}})
	must(t, err)
	var known []int64
	for k, err := range s.KnownChats(ctx, seeded.ID) {
		must(t, err)
		if k.Chat != Chat(k.Seq) || k.Line != k.Seq+1 || k.Import != 1 {
			t.Errorf("known chat of row %d: line %d, import %d", k.Seq, k.Line, k.Import)
		}
		known = append(known, k.Seq)
	}
	if !slices.Equal(known, []int64{1, 3}) {
		t.Errorf("known chats of rows %v, want 1 and 3", known)
	}
	number, err := s.BeginImport(ctx, seeded.ID, campaign.Import{})
	must(t, err)
	batch := Batch(number, seeded.Sender.ID, 4, 1, nil)
	batch[0].Chat = Chat(2)
	must(t, s.AddRecipients(ctx, seeded.ID, batch))
	must(t, s.FinishImport(ctx, seeded.ID, campaign.Import{Number: number, Rows: 1}))
	r, err := s.RecipientByChat(ctx, seeded.ID, Chat(2))
	must(t, err)
	if r.Seq != 4 {
		t.Errorf("the row for the chat is %d, want the mended one, 4", r.Seq)
	}
}
