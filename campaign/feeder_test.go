package campaign_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/internal/natsd"
	"github.com/herald-campaigns/herald/storage"
	"github.com/herald-campaigns/herald/stream"
)

// belt is a feeder between a real ledger and a real stream.
type belt struct {
	t      *testing.T
	store  *storage.Store
	conn   *stream.Conn
	sender campaign.Sender
}

func newBelt(t *testing.T, configure func(*stream.Config)) *belt {
	t.Helper()
	dir := t.TempDir()
	store, err := storage.Open(t.Context(), storage.Config{Path: filepath.Join(dir, "herald.db")})
	must(t, err)
	t.Cleanup(func() { must(t, store.Close()) })
	broker, err := natsd.Start(t.Context(), natsd.Config{StoreDir: filepath.Join(dir, "nats")})
	must(t, err)
	t.Cleanup(broker.Close)
	cfg := stream.Config{InProcess: broker, FetchWait: 200 * time.Millisecond}
	if configure != nil {
		configure(&cfg)
	}
	conn, err := stream.Connect(t.Context(), cfg)
	must(t, err)
	t.Cleanup(func() { must(t, conn.Close(context.WithoutCancel(t.Context()))) })
	sender, err := store.EnsureSender(t.Context(), "12015550100")
	must(t, err)
	return &belt{t: t, store: store, conn: conn, sender: sender}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// campaign makes a running campaign of pending rows; block keeps the chats of
// several apart.
func (b *belt) campaign(block, rows int) campaign.Campaign {
	b.t.Helper()
	ctx := b.t.Context()
	name := fmt.Sprintf("campaign %d", block)
	id := campaign.NewID()
	must(b.t, b.store.CreateCampaign(ctx, campaign.Campaign{ID: id, Name: name, State: campaign.StateDraft, Mode: campaign.ModeSandbox}))
	imp := campaign.Import{File: "r.csv", Header: []string{"name"}, Slugs: []string{"name"}}
	var err error
	imp.Number, err = b.store.BeginImport(ctx, id, imp)
	must(b.t, err)
	batch := make([]campaign.Recipient, rows)
	for i := range batch {
		batch[i] = campaign.Recipient{
			Seq: int64(i) + 1, Import: imp.Number, Line: int64(i) + 2, Status: campaign.StatusPending, Sender: b.sender.ID,
			Chat: campaign.PersonChat(fmt.Sprintf("9199999%d%04d", block, i)), Record: []string{fmt.Sprintf("person %d", i+1)},
		}
	}
	must(b.t, b.store.AddRecipients(ctx, id, batch))
	imp.Rows = int64(rows)
	must(b.t, b.store.FinishImport(ctx, id, imp))
	c, err := b.store.Transition(ctx, id, campaign.StateRunning, "", "")
	must(b.t, err)
	return c
}

func (b *belt) feeder(pace campaign.Pace) *campaign.Feeder {
	return campaign.NewFeeder(b.store, b.store, b.conn, slog.New(slog.DiscardHandler), campaign.FeederConfig{Sender: b.sender.ID, Pace: pace})
}

func (b *belt) count(c campaign.Campaign, status campaign.Status) int64 {
	b.t.Helper()
	totals, err := b.store.Totals(b.t.Context(), c.ID)
	must(b.t, err)
	if !totals.Balanced(c.Rows()) {
		b.t.Errorf("%d rows, %d accounted for", c.Rows(), totals.Sum())
	}
	return totals.ByStatus[status]
}

// renderer says hello, except where it is told otherwise.
type renderer func(row campaign.Row) (campaign.Message, error)

func (r renderer) Render(_ context.Context, row campaign.Row) (campaign.Message, error) {
	return r(row)
}

func hello(row campaign.Row) (campaign.Message, error) {
	return campaign.Message{Text: "Hi " + row.Fields["name"]}, nil
}

func unlimited() campaign.Pace {
	return campaign.Pace{Rate: campaign.Rate{Unlimited: true}, InFlight: 8}
}

// TestWindowIsNeverExceeded lets a consumer take while a feeder fills.
func TestWindowIsNeverExceeded(t *testing.T) {
	t.Parallel()
	b := newBelt(t, nil)
	c := b.campaign(1, 300)
	feeder := b.feeder(campaign.Pace{Rate: campaign.Rate{Count: 8, Per: time.Second}, InFlight: 2}) // a window of 40
	feedings := []campaign.Feeding{{Campaign: c, Renderer: renderer(hello)}}
	consumer, err := b.conn.Sender(t.Context(), b.sender.ID, stream.Tuning{InFlight: 64})
	must(t, err)
	defer consumer.Close()
	lease, _, err := b.store.AcquireLease(t.Context(), b.sender.ID, "test", time.Hour)
	must(t, err)

	var last int64
	for taken, empty := 0, 0; taken < 300; {
		must(t, feeder.Fill(t.Context(), feedings))
		if n, err := b.store.StagedCount(t.Context(), b.sender.ID); err != nil || n > 40 {
			t.Fatalf("%d rows are staged in a window of 40 (%v)", n, err)
		}
		deliveries, err := consumer.Fetch(t.Context(), 16)
		must(t, err)
		if empty++; len(deliveries) > 0 {
			empty = 0
		} else if empty > 3 { // the end of a batch brings none
			t.Fatalf("the stream ran dry after %d rows", taken)
		}
		for _, d := range deliveries {
			if d.Task.Seq <= last {
				t.Errorf("row %d came after row %d", d.Task.Seq, last)
			}
			last = d.Task.Seq
			if want := fmt.Sprintf("Hi person %d", d.Task.Seq); d.Task.Message.Text != want || d.Task.BodyHash != d.Task.Message.Hash() {
				t.Errorf("row %d carries another text than its own", d.Task.Seq)
			}
			claim, err := b.store.Claim(t.Context(), campaign.Intent{Task: d.Task, Epoch: lease.Epoch})
			if err != nil || claim.Refused != campaign.RefusedNot {
				t.Fatalf("claim of row %d: %+v, %v", d.Task.Seq, claim, err)
			}
			must(t, d.Ack())
			taken++
		}
	}
	if n := b.count(c, campaign.StatusSubmitting); n != 300 {
		t.Errorf("%d rows were handed over", n)
	}
}

func TestCampaignsOnOneSenderTakeTurns(t *testing.T) {
	t.Parallel()
	b := newBelt(t, nil)
	large, small, tiny := b.campaign(1, 2000), b.campaign(2, 2000), b.campaign(3, 10)
	feedings := []campaign.Feeding{{large, renderer(hello)}, {small, renderer(hello)}, {tiny, renderer(hello)}}
	must(t, b.feeder(unlimited()).Fill(t.Context(), feedings))
	a, c, d := b.count(large, campaign.StatusStaged), b.count(small, campaign.StatusStaged), b.count(tiny, campaign.StatusStaged)
	if d != 10 || a < 300 || c < 300 || a+c+d > 1000 {
		t.Errorf("staged %d, %d and %d of a window of 1000", a, c, d)
	}
}

// TestUnpublishedRowsGoBack: what the stream does not take waits in the ledger.
func TestUnpublishedRowsGoBack(t *testing.T) {
	t.Parallel()
	t.Run("full", func(t *testing.T) {
		t.Parallel()
		b := newBelt(t, func(c *stream.Config) { c.MaxMsgs = 10 })
		c := b.campaign(1, 50)
		err := b.feeder(unlimited()).Fill(t.Context(), []campaign.Feeding{{c, renderer(hello)}})
		if !errors.Is(err, stream.ErrFull) {
			t.Errorf("Fill = %v, want ErrFull", err)
		}
		if staged, pending := b.count(c, campaign.StatusStaged), b.count(c, campaign.StatusPending); staged != 10 || pending != 40 {
			t.Errorf("%d staged, %d pending; the stream took 10 of 50", staged, pending)
		}
	})
	t.Run("closed", func(t *testing.T) {
		t.Parallel()
		b := newBelt(t, nil)
		c := b.campaign(1, 50)
		must(t, b.conn.Close(t.Context()))
		err := b.feeder(unlimited()).Fill(t.Context(), []campaign.Feeding{{c, renderer(hello)}})
		if !errors.Is(err, stream.ErrClosed) {
			t.Errorf("Fill = %v, want ErrClosed", err)
		}
		if pending := b.count(c, campaign.StatusPending); pending != 50 {
			t.Errorf("%d of 50 rows wait", pending)
		}
	})
	t.Run("stopping", func(t *testing.T) {
		t.Parallel()
		b := newBelt(t, nil)
		c := b.campaign(1, 50)
		ctx, cancel := context.WithCancel(t.Context())
		last := renderer(func(row campaign.Row) (campaign.Message, error) {
			if row.Seq == 50 {
				cancel()
			}
			return hello(row)
		})
		if err := b.feeder(unlimited()).Fill(ctx, []campaign.Feeding{{c, last}}); !errors.Is(err, context.Canceled) {
			t.Errorf("Fill = %v, want canceled", err)
		}
		if pending := b.count(c, campaign.StatusPending); pending != 50 {
			t.Errorf("%d of 50 rows wait", pending)
		}
	})
}

func TestRowsThatCannotBeRendered(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		message          func(campaign.Row) (campaign.Message, error)
		skipped, pending int64
		detail           string
		fails            bool
	}{
		"the row's fault": {func(campaign.Row) (campaign.Message, error) {
			return campaign.Message{}, campaign.Reject(campaign.Problem{What: "name is empty"})
		}, 1, 0, "name is empty", false},
		"nobody says why": {func(campaign.Row) (campaign.Message, error) {
			return campaign.Message{}, campaign.Reject()
		}, 1, 0, "the message cannot be rendered", false},
		"not the row's fault": {func(campaign.Row) (campaign.Message, error) {
			return campaign.Message{}, errors.New("the media folder is gone")
		}, 0, 5, "", true},
		"too large for the stream": {func(campaign.Row) (campaign.Message, error) {
			return campaign.Message{Text: strings.Repeat("long ", 40_000)}, nil
		}, 1, 0, "the rendered message is too large for the stream", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBelt(t, nil)
			c := b.campaign(1, 5)
			feeder := b.feeder(unlimited())
			third := renderer(func(row campaign.Row) (campaign.Message, error) {
				if row.Seq == 3 {
					return test.message(row)
				}
				return hello(row)
			})
			for range 3 { // again and again, as Run does: nothing may loop
				if err := feeder.Fill(t.Context(), []campaign.Feeding{{c, third}}); (err != nil) != test.fails {
					t.Errorf("Fill = %v, fails: %t", err, test.fails)
				}
			}
			if s, p, st := b.count(c, campaign.StatusSkipped), b.count(c, campaign.StatusPending), b.count(c, campaign.StatusStaged); s != test.skipped || p != test.pending || st != 5-s-p {
				t.Errorf("%d skipped, %d pending, %d staged", s, p, st)
			}
			row, err := b.store.Recipient(t.Context(), c.ID, 3)
			must(t, err)
			if test.skipped > 0 && (row.SkipReason != campaign.SkipTemplateError || row.Detail != test.detail) {
				t.Errorf("row 3 is %s: %q", row.SkipReason, row.Detail)
			}
		})
	}
}

func TestPausedCampaignIsNotStaged(t *testing.T) {
	t.Parallel()
	b := newBelt(t, nil)
	c := b.campaign(1, 20)
	_, err := b.store.Transition(t.Context(), c.ID, campaign.StatePaused, campaign.PauseOperator, "")
	must(t, err)
	// A feeder that has not heard of the pause yet.
	must(t, b.feeder(unlimited()).Fill(t.Context(), []campaign.Feeding{{c, renderer(hello)}}))
	if n := b.count(c, campaign.StatusPending); n != 20 {
		t.Errorf("%d of 20 rows of a paused campaign wait", n)
	}
	must(t, b.feeder(unlimited()).Fill(t.Context(), nil))
}
