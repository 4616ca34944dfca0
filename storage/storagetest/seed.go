package storagetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/storage"
)

// Phone is the number of the sender that Seed uses, from a fictional range.
const Phone campaign.Phone = "12015550100"

// Seeded is a running campaign with a leased sender and pending rows.
type Seeded struct {
	ID     campaign.ID
	Sender campaign.Sender
	Lease  campaign.Lease
}

// Seed makes a running campaign of so many pending rows, and takes the lease
// of its sender for an hour.
func Seed(tb testing.TB, s *storage.Store, rows int) Seeded {
	tb.Helper()
	seeded, err := seedRunning(tb.Context(), s, rows)
	if err != nil {
		tb.Fatal(err)
	}
	return seeded
}

// SeedDraft makes a draft with one finished import.
func SeedDraft(tb testing.TB, s *storage.Store, rows int) Seeded {
	tb.Helper()
	seeded, err := seedDraft(tb.Context(), s, rows)
	if err != nil {
		tb.Fatal(err)
	}
	return seeded
}

// SeedStaged is Seed with every row staged, for a process that is no test.
func SeedStaged(ctx context.Context, s *storage.Store, rows int) (Seeded, []campaign.Staged, error) {
	seeded, err := seedRunning(ctx, s, rows)
	if err != nil {
		return seeded, nil, err
	}
	seqs := make([]int64, rows)
	for i := range seqs {
		seqs[i] = int64(i) + 1
	}
	staged, err := s.Stage(ctx, seeded.ID, seqs, time.Now())
	return seeded, staged, err
}

func seedRunning(ctx context.Context, s *storage.Store, rows int) (Seeded, error) {
	seeded, err := seedDraft(ctx, s, rows)
	if err != nil {
		return seeded, err
	}
	if _, err := s.Transition(ctx, seeded.ID, campaign.StateRunning, "", ""); err != nil {
		return seeded, err
	}
	lease, ok, err := s.AcquireLease(ctx, seeded.Sender.ID, "seed", time.Hour)
	if err == nil && !ok {
		err = errors.New("the sender is leased to another")
	}
	seeded.Lease = lease
	return seeded, err
}

func seedDraft(ctx context.Context, s *storage.Store, rows int) (Seeded, error) {
	sender, err := s.EnsureSender(ctx, Phone)
	if err != nil {
		return Seeded{}, err
	}
	seeded := Seeded{ID: campaign.NewID(), Sender: sender}
	err = s.CreateCampaign(ctx, campaign.Campaign{
		ID: seeded.ID, Name: "Diwali 🪔", Mode: campaign.ModeSandbox, State: campaign.StateDraft,
		Spec: campaign.Spec{Name: "Diwali 🪔", Message: campaign.Template{Text: "Hi {{ name }}"}, Senders: []string{string(Phone)}},
	})
	if err != nil {
		return seeded, err
	}
	imp := campaign.Import{File: "recipients.csv", Header: []string{"mobile", "name"}, Slugs: []string{"mobile", "name"}}
	if imp.Number, err = s.BeginImport(ctx, seeded.ID, imp); err != nil {
		return seeded, err
	}
	for from := 0; from < rows; from += 5000 {
		batch := Batch(imp.Number, sender.ID, int64(from)+1, min(5000, rows-from), nil)
		if err := s.AddRecipients(ctx, seeded.ID, batch); err != nil {
			return seeded, err
		}
	}
	imp.Rows = int64(rows)
	return seeded, s.FinishImport(ctx, seeded.ID, imp)
}

// Batch makes pending rows from seq first on, each with a chat of its own. A
// random source spreads the chats the way a real list does; nil numbers them
// in order.
func Batch(imp int, sender campaign.SenderID, first int64, rows int, random *rand.Rand) []campaign.Recipient {
	batch := make([]campaign.Recipient, rows)
	for i := range batch {
		seq := first + int64(i)
		chat := Chat(seq)
		if random != nil {
			chat = campaign.PersonChat(fmt.Sprintf("%d", 919_000_000_000_000+random.Int64N(1e12)))
		}
		batch[i] = campaign.Recipient{
			Seq: seq, Import: imp, Line: seq + 1, Status: campaign.StatusPending, Chat: chat, Sender: sender,
			Record: []string{chat.Number(), "Asha", "₹ 1,200", fmt.Sprintf("https://example.com/invoice/%d.pdf", seq)},
		}
	}
	return batch
}

// Chat is the chat of a row that Batch made without a random source. It has too
// many digits to be anybody's.
func Chat(seq int64) campaign.ChatID {
	return campaign.PersonChat(fmt.Sprintf("%d", 120155501000000+seq))
}

// Task is what the stream would carry for a staged row.
func (s Seeded) Task(row campaign.Staged) campaign.Task {
	message := campaign.Message{Text: "Hi Asha"}
	return campaign.Task{
		Campaign: s.ID, Seq: row.Seq, Gen: row.Gen, Sender: s.Sender.ID, Chat: Chat(row.Seq),
		Message: message, BodyHash: message.Hash(),
	}
}

// Intent is what a dispatcher would claim a staged row with.
func (s Seeded) Intent(row campaign.Staged) campaign.Intent {
	return campaign.Intent{Task: s.Task(row), Epoch: s.Lease.Epoch}
}

// Accepted is the settlement of a claim that the API took.
func (s Seeded) Accepted(row campaign.Staged, claim campaign.Claim) campaign.Settlement {
	return campaign.Settlement{
		Task: s.Task(row), Epoch: s.Lease.Epoch, Attempt: claim.Attempt,
		StartedAt: claim.ClaimedAt, EndedAt: claim.ClaimedAt.Add(40 * time.Millisecond),
		Outcome: campaign.Outcome{
			Kind: campaign.OutcomeAccepted, HTTPStatus: 200,
			QueueID:  fmt.Sprintf("queue-%s-%d-%d", s.ID, row.Seq, row.Gen),
			UniqueID: fmt.Sprintf("unique-%d-%d", row.Seq, row.Gen),
		},
		To: campaign.StatusQueued,
	}
}
