package oracle_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/internal/oracle"
	"github.com/herald-campaigns/herald/sandbox"
	"github.com/herald-campaigns/herald/storage"
	"github.com/herald-campaigns/herald/storage/storagetest"
)

// TestJudge tells the provider's log other things than the ledger: each has to
// be noticed. Row 1 is accepted, row 2 is unknown, row 3 waits.
func TestJudge(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		took  func(chats []string) []sandbox.Acceptance
		wrong string // "" when all is well
		want  oracle.Finding
	}{
		{"as it should be", func(chats []string) []sandbox.Acceptance {
			return []sandbox.Acceptance{{QueueID: "q-1", ChatID: chats[0]}}
		}, "", oracle.Finding{Accepted: 1, Known: 1, Unknown: 1, Waiting: 1}},
		{"unknown and taken", func(chats []string) []sandbox.Acceptance {
			return []sandbox.Acceptance{{QueueID: "q-1", ChatID: chats[0]}, {QueueID: "q-2", ChatID: chats[1]}}
		}, "", oracle.Finding{Accepted: 2, Known: 1, Unknown: 1, UnknownTaken: 1, Waiting: 1}},
		{"taken twice", func(chats []string) []sandbox.Acceptance {
			return []sandbox.Acceptance{{QueueID: "q-1", ChatID: chats[0]}, {QueueID: "q-2", ChatID: chats[0]}}
		}, "got its message twice", oracle.Finding{Accepted: 2, Known: 1, Unknown: 1, Waiting: 1, Duplicated: 1}},
		{"unknown taken twice", func(chats []string) []sandbox.Acceptance {
			return []sandbox.Acceptance{{QueueID: "q-1", ChatID: chats[0]}, {QueueID: "q-2", ChatID: chats[1]}, {QueueID: "q-3", ChatID: chats[1]}}
		}, "no row knows of", oracle.Finding{Accepted: 3, Known: 1, Unknown: 1, UnknownTaken: 1, Waiting: 1, Duplicated: 1}},
		{"taken behind the ledger's back", func(chats []string) []sandbox.Acceptance {
			return []sandbox.Acceptance{{QueueID: "q-1", ChatID: chats[0]}, {QueueID: "q-2", ChatID: chats[2]}}
		}, "no row knows of", oracle.Finding{Accepted: 2, Known: 1, Unknown: 1, Waiting: 1, Duplicated: 1}},
		{
			"never taken", func([]string) []sandbox.Acceptance { return nil },
			"or to nobody",
			oracle.Finding{Known: 1, Unknown: 1, Waiting: 1, Lost: 1},
		},
		{"taken for somebody else", func(chats []string) []sandbox.Acceptance {
			return []sandbox.Acceptance{{QueueID: "q-1", ChatID: chats[1]}}
		}, "or to nobody", oracle.Finding{Accepted: 1, Known: 1, Unknown: 1, Waiting: 1, Lost: 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			ledger, chats := newLedger(t)
			found, err := oracle.Judge(t.Context(), oracle.Case{Ledger: ledger, Acceptances: slices.Values(c.took(chats)), Interrupted: true})
			if err != nil {
				t.Fatal(err)
			}
			if problems := strings.Join(found.Problems, "\n"); (c.wrong == "") != (found.Err() == nil) || !strings.Contains(problems, c.wrong) {
				t.Errorf("problems: %v", found.Err())
			}
			for _, chat := range chats {
				if problems := strings.Join(found.Problems, "\n"); strings.Contains(problems, chat) {
					t.Errorf("a whole number is shown: %s", problems)
				}
			}
			found.Problems, found.Wrong = nil, 0
			c.want.Campaigns, c.want.Rows = 1, 3
			if diff := cmp.Diff(c.want, found); diff != "" {
				t.Errorf("finding (-want +got):\n%s", diff)
			}
		})
	}
}

// newLedger is a ledger with row 1 accepted as q-1, row 2 unknown, row 3
// waiting, and their chats.
func newLedger(t *testing.T) (*storage.Store, []string) {
	t.Helper()
	ctx := t.Context()
	s, err := storage.Open(ctx, storage.Config{Path: filepath.Join(t.TempDir(), "ledger.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	seeded, staged, err := storagetest.SeedStaged(ctx, s, 3)
	if err != nil {
		t.Fatal(err)
	}
	for i, to := range []campaign.Status{campaign.StatusQueued, campaign.StatusUnknown} {
		intent := seeded.Intent(staged[i])
		claim, err := s.Claim(ctx, intent)
		if err != nil || claim.Refused != campaign.RefusedNot {
			t.Fatalf("claim: %v, %s", err, claim.Refused)
		}
		outcome := campaign.Outcome{Kind: campaign.OutcomeUnknown, QueuePosition: -1}
		if to == campaign.StatusQueued {
			outcome = campaign.Outcome{Kind: campaign.OutcomeAccepted, QueueID: "q-1", HTTPStatus: 200}
		}
		_, err = s.Settle(ctx, campaign.Settlement{
			Task: intent.Task, Epoch: intent.Epoch, Attempt: claim.Attempt, StartedAt: claim.ClaimedAt, EndedAt: time.Now(), To: to, Outcome: outcome,
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	all, err := s.Campaigns(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var chats []string
	for r, err := range s.Recipients(ctx, all[0].ID, storage.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		chats = append(chats, string(r.Chat))
	}
	return s, chats
}

func TestFindingsAddUp(t *testing.T) {
	t.Parallel()
	one := oracle.Finding{Campaigns: 1, Rows: 2, Accepted: 2, Known: 2, Wrong: 15, Problems: slices.Repeat([]string{"x"}, 15)}
	sum := one.Add(one)
	if sum.Campaigns != 2 || sum.Rows != 4 || sum.Wrong != 30 || len(sum.Problems) != 20 {
		t.Errorf("%d problems of %d: %s", len(sum.Problems), sum.Wrong, sum)
	}
	if err := sum.Err(); err == nil || !strings.Contains(err.Error(), "and 10 more") {
		t.Errorf("error %v", err)
	}
}
