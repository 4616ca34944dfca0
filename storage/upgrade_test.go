package storage_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/storage"
	"github.com/herald-campaigns/herald/storage/storagetest"
)

// seedEveryStatus makes a running campaign with a row in every status, and says
// which row is in which.
func seedEveryStatus(t *testing.T, s *storage.Store) (storagetest.Seeded, map[int64]campaign.Status) {
	t.Helper()
	ctx := t.Context()
	statuses := campaign.Statuses()
	seeded := storagetest.Seed(t, s, len(statuses))
	want := map[int64]campaign.Status{}
	for i, status := range statuses {
		seq := int64(i) + 1
		want[seq] = status
		switch status {
		case campaign.StatusPending:
			continue
		case campaign.StatusSkipped:
			_, err := s.Skip(ctx, seeded.ID, []campaign.Skip{{Seq: seq, Reason: campaign.SkipOptedOut}})
			check(t, err)
			continue
		case campaign.StatusCanceled: // as after a campaign was canceled; a running one has none
			check(t, s.Exec(ctx, fmt.Sprintf("UPDATE recipients SET status = 'canceled' WHERE seq = %d", seq)))
			check(t, s.Exec(ctx, "UPDATE counters SET n = n - 1 WHERE kind = 'status' AND key = 'pending'"))
			check(t, s.Exec(ctx, "INSERT INTO counters (campaign_n, kind, key, n) VALUES (1, 'status', 'canceled', 1)"))
			continue
		default:
		}
		row := stageRange(t, s, seeded, seq, 1)[0]
		if status == campaign.StatusStaged {
			continue
		}
		claim, err := s.Claim(ctx, seeded.Intent(row))
		check(t, err)
		st := seeded.Accepted(row, claim)
		switch status {
		case campaign.StatusSubmitting:
			continue
		case campaign.StatusUnknown:
			st.To, st.Outcome.Kind = campaign.StatusUnknown, campaign.OutcomeUnknown
		default:
		}
		_, err = s.Settle(ctx, st)
		check(t, err)
		if status.Evident() && status != campaign.StatusQueued {
			check(t, s.Observe(ctx, []campaign.Observation{{Evidence: campaign.Evidence{
				Campaign: seeded.ID, Seq: seq, Source: campaign.EvidenceWebhook, Status: status, SentAt: time.Now(),
			}}}))
		}
	}
	return seeded, want
}

// firstLedger writes a ledger as the first version of herald left it, in the
// middle of a campaign.
func firstLedger(t *testing.T) (path string, seeded storagetest.Seeded, want map[int64]campaign.Status) {
	t.Helper()
	s := open(t)
	seeded, want = seedEveryStatus(t, s)
	check(t, s.IntegrityCheck(t.Context()))
	path = filepath.Join(t.TempDir(), "first", "ledger.db")
	check(t, s.FirstSchema(t.Context(), path))
	return path, seeded, want
}

// wantUpgraded opens the ledger and fails unless every row is as it was, and the
// campaign goes on.
func wantUpgraded(t *testing.T, path string, seeded storagetest.Seeded, want map[int64]campaign.Status) {
	t.Helper()
	ctx := t.Context()
	s := openAt(t, path)
	check(t, s.IntegrityCheck(ctx))
	wantNoHold(t, s)
	got := map[int64]campaign.Status{}
	for r, err := range s.Recipients(ctx, seeded.ID, storage.Filter{}) {
		check(t, err)
		got[r.Seq] = r.Status
		if r.Resolution != campaign.ResolutionNone {
			t.Errorf("row %d is resolved as %q", r.Seq, r.Resolution)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("after the upgrade (-want +got):\n%s", diff)
	}
	c, err := s.Campaign(ctx, seeded.ID)
	check(t, err)
	totals, err := s.Totals(ctx, seeded.ID)
	if err != nil || !totals.Balanced(c.Rows()) {
		t.Errorf("%d rows were read, %d are accounted for (%v)", c.Rows(), totals.Sum(), err)
	}
	if _, measured, err := s.VisibilityLag(ctx, seeded.Sender.ID); err != nil || measured {
		t.Errorf("a lag that nobody measured (%v)", err)
	}
	found, err := s.Recover(ctx, true)
	if err != nil || found != (storage.Recovery{Unknown: 1, Returned: 1}) {
		t.Errorf("recovered %+v (%v)", found, err)
	}
	rows, err := s.UnknownRows(ctx, seeded.ID)
	check(t, err)
	if len(rows) != 2 {
		t.Fatalf("%d unknown rows, want 2", len(rows))
	}
	n, err := s.AssumeSent(ctx, seeded.ID, []campaign.Staged{rows[0].Handover()}, "")
	m, err2 := s.ReturnUnknown(ctx, seeded.ID, []campaign.Staged{rows[1].Handover()}, time.Time{}, "")
	if err := errors.Join(err, err2); err != nil || n != 1 || m != 1 {
		t.Errorf("resolved %d, returned %d (%v)", n, m, err)
	}
	row := stageRange(t, s, seeded, 1, 1)[0]
	claim, err := s.Claim(ctx, seeded.Intent(row))
	check(t, err)
	if got, err := s.Settle(ctx, seeded.Accepted(row, claim)); err != nil || got != campaign.StatusQueued {
		t.Errorf("a send after the upgrade: %q, %s (%v)", claim.Refused, got, err)
	}
	check(t, s.IntegrityCheck(ctx))
	check(t, s.Close())
}

func TestUpgradeInMidCampaign(t *testing.T) {
	t.Parallel()
	path, seeded, want := firstLedger(t)
	_, err := storage.Open(t.Context(), storage.Config{Path: path, ReadOnly: true})
	wantError(t, err, campaign.CodeConflict, "schema 1")
	wantUpgraded(t, path, seeded, want)
}

// TestKilledMigration kills a process (K9) after each statement of the newest
// migration. The schema before it is there whole, and the upgrade works
// afterwards.
func TestKilledMigration(t *testing.T) {
	t.Parallel()
	newest, statements := newestStep(t)
	var before int
	if _, err := fmt.Sscanf(newest, "%05d_", &before); err != nil {
		t.Fatal(err)
	}
	before--
	for after := range statements {
		t.Run(fmt.Sprintf("after statement %d of %s", after+1, newest), func(t *testing.T) {
			t.Parallel()
			path, seeded, want := firstLedger(t)
			child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^$")
			child.Env = append(os.Environ(), childLedger+"="+path, childTask+"=upgrade", fmt.Sprintf("%s=%d", childStatement, after))
			if out, err := child.CombinedOutput(); err == nil || child.ProcessState.ExitCode() != -1 {
				t.Fatalf("the child was not killed: %v\n%s", err, out)
			}
			_, err := storage.Open(t.Context(), storage.Config{Path: path, ReadOnly: true})
			wantError(t, err, campaign.CodeConflict, fmt.Sprintf("schema %d,", before)) // whole: nothing of the newest is there
			wantUpgraded(t, path, seeded, want)
		})
	}
}

// childStatement says after which statement the child's upgrade is to die.
const childStatement = "HERALD_TEST_STATEMENT"

// newestStep is the name of the newest migration, and how many statements it
// has.
func newestStep(t *testing.T) (string, int) {
	t.Helper()
	steps, err := storage.Steps()
	check(t, err)
	newest := ""
	for name := range steps {
		newest = max(newest, name)
	}
	return newest, strings.Count(steps[newest], ";\n")
}

// dyingSteps is the migrations, with a call of die() put into the newest after
// the given statement.
func dyingSteps(after int) (fs.FS, error) {
	steps, err := storage.Steps()
	files, newest := fstest.MapFS{}, ""
	for name, text := range steps {
		files[name] = &fstest.MapFile{Data: []byte(text)}
		newest = max(newest, name)
	}
	parts := strings.SplitAfter(steps[newest], ";\n")
	dying := strings.Join(parts[:after+1], "") + "SELECT die();\n" + strings.Join(parts[after+1:], "")
	files[newest] = &fstest.MapFile{Data: []byte(dying)}
	return files, err
}

func upgradeAndDie(ctx context.Context, path string) error {
	var after int
	if _, err := fmt.Sscan(os.Getenv(childStatement), &after); err != nil {
		return err
	}
	steps, err := dyingSteps(after)
	if err != nil {
		return err
	}
	return storage.UpgradeAndDie(ctx, path, steps)
}
