package storage_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/storage"
	"github.com/herald-campaigns/herald/storage/storagetest"
)

func check(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// seedEveryState makes a campaign in each state, and says which.
func seedEveryState(t *testing.T, s *storage.Store) map[campaign.ID]campaign.State {
	t.Helper()
	ctx := t.Context()
	all := map[campaign.ID]campaign.State{}
	for _, path := range [][]campaign.State{
		{campaign.StateDraft},
		{campaign.StateScheduled},
		{campaign.StateRunning},
		{campaign.StateRunning, campaign.StatePaused},
		{campaign.StateRunning, campaign.StateTracking},
		{campaign.StateRunning, campaign.StateCanceled},
	} {
		seeded := storagetest.SeedDraft(t, s, 3)
		for _, state := range path {
			if state == campaign.StateDraft {
				continue
			}
			_, err := s.Transition(ctx, seeded.ID, state, campaign.PauseOperator, "")
			check(t, err)
		}
		all[seeded.ID] = path[len(path)-1]
	}
	return all
}

// wantHold fails unless the ledger is held for a reason that has the words.
func wantHold(t *testing.T, s *storage.Store, words string) storage.Restored {
	t.Helper()
	r, held, err := s.Restored(t.Context())
	if err != nil || !held || !strings.Contains(r.Reason, words) || r.Since.IsZero() {
		t.Errorf("held: %v %+v (%v), want %q", held, r, err, words)
	}
	return r
}

func wantNoHold(t *testing.T, s *storage.Store) {
	t.Helper()
	if r, held, err := s.Restored(t.Context()); err != nil || held {
		t.Errorf("held: %+v (%v)", r, err)
	}
}

// copyDir copies a data directory the way cp -r does; overwrite keeps the files
// that are there and replaces their content, as cp does too.
func copyDir(t *testing.T, from, to string, overwrite bool) {
	t.Helper()
	files, err := os.ReadDir(from)
	check(t, err)
	check(t, os.MkdirAll(to, 0o700))
	for _, file := range files {
		b, err := os.ReadFile(filepath.Join(from, file.Name()))
		check(t, err)
		target := filepath.Join(to, file.Name())
		if !overwrite {
			if err := os.Remove(target); err != nil && !errors.Is(err, os.ErrNotExist) {
				t.Fatal(err)
			}
		}
		check(t, os.WriteFile(target, b, 0o600))
	}
}

// TestRestoredCopies restores a ledger in every way that can be known. Each time
// its campaigns are held, across restarts, until somebody confirms.
func TestRestoredCopies(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		want string
		// restore changes what is in dir and returns the directory to open. In
		// saved is dir as it was one run earlier.
		restore func(t *testing.T, dir, saved string) string
	}{
		"directory copied": {"is a copy", func(t *testing.T, dir, _ string) string {
			t.Helper()
			to := filepath.Join(t.TempDir(), "copy")
			copyDir(t, dir, to, false)
			return to
		}},
		"older database put back": {"older", func(t *testing.T, dir, saved string) string {
			t.Helper()
			b, err := os.ReadFile(filepath.Join(saved, "ledger.db"))
			check(t, err)
			check(t, os.WriteFile(filepath.Join(dir, "ledger.db"), b, 0o600))
			return dir
		}},
		"older directory put back in place": {"put back as it was", func(t *testing.T, dir, saved string) string {
			t.Helper()
			copyDir(t, saved, dir, true)
			return dir
		}},
		"older directory in place of the new one": {"is a copy", func(t *testing.T, dir, saved string) string {
			t.Helper()
			copyDir(t, saved, dir, false)
			return dir
		}},
		"backup": {"is a backup made 20", func(t *testing.T, dir, _ string) string {
			t.Helper()
			s := openAt(t, filepath.Join(dir, "ledger.db"))
			to := filepath.Join(t.TempDir(), "elsewhere")
			check(t, os.Mkdir(to, 0o700))
			check(t, s.Backup(t.Context(), filepath.Join(to, "ledger.db")))
			check(t, s.Close())
			return to
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, saved := filepath.Join(t.TempDir(), "data"), filepath.Join(t.TempDir(), "saved")
			s := openAt(t, filepath.Join(dir, "ledger.db"))
			states := seedEveryState(t, s)
			check(t, s.Close())
			copyDir(t, dir, saved, false)
			check(t, openAt(t, filepath.Join(dir, "ledger.db")).Close()) // one run more

			path := filepath.Join(test.restore(t, dir, saved), "ledger.db")
			for range 2 { // the hold outlives restarts, and is noted once
				s = openAt(t, path)
				r := wantHold(t, s, test.want)
				if (name == "backup") == r.BackupAt.IsZero() {
					t.Errorf("backup made at %v", r.BackupAt)
				}
				wantHeld(t, s, states)
				check(t, s.Close())
			}
			s = openAt(t, path)
			check(t, s.ConfirmRestore(t.Context()))
			check(t, s.ConfirmRestore(t.Context()))
			wantNoHold(t, s)
			for id, was := range states {
				if was == campaign.StateRunning {
					_, err := s.Transition(t.Context(), id, campaign.StateRunning, "", "")
					check(t, err)
				}
			}
			check(t, s.Close())
			s = openAt(t, path)
			wantNoHold(t, s)
		})
	}
}

// wantHeld fails unless every campaign that could send is paused and cannot go
// on, and the others are as they were.
func wantHeld(t *testing.T, s *storage.Store, states map[campaign.ID]campaign.State) {
	t.Helper()
	for id, was := range states {
		c, err := s.Campaign(t.Context(), id)
		check(t, err)
		events, err := s.Timeline(t.Context(), id)
		check(t, err)
		var noted []campaign.Event
		for _, e := range events {
			if e.Kind == campaign.EventRestored {
				noted = append(noted, campaign.Event{Kind: e.Kind, From: e.From, To: e.To, Reason: e.Reason})
			}
		}
		want := []campaign.Event{{Kind: campaign.EventRestored, From: was, To: campaign.StatePaused, Reason: campaign.PauseRestored}}
		switch was {
		case campaign.StateScheduled, campaign.StateRunning, campaign.StatePaused:
			if c.State != campaign.StatePaused || c.Reason != campaign.PauseRestored || c.Detail == "" {
				t.Errorf("a campaign that was %s is %s (%s)", was, c.State, c.Reason)
			}
			if was == campaign.StatePaused && !strings.Contains(c.Detail, string(campaign.PauseOperator)) {
				t.Errorf("nothing tells that it was paused by its operator: %q", c.Detail)
			}
			_, err = s.Transition(t.Context(), id, campaign.StateRunning, "", "")
			wantError(t, err, campaign.CodeConflict, "restored", string(id))
		default:
			if want = nil; c.State != was {
				t.Errorf("a campaign that was %s is %s", was, c.State)
			}
		}
		if was == campaign.StateDraft {
			_, err = s.Transition(t.Context(), id, campaign.StateRunning, "", "")
			wantError(t, err, campaign.CodeConflict, "restored")
		}
		if diff := cmp.Diff(want, noted); diff != "" {
			t.Errorf("timeline of a campaign that was %s (-want +got):\n%s", was, diff)
		}
	}
}

// TestNotRestored: what happens to a ledger every day holds nothing.
func TestNotRestored(t *testing.T) {
	t.Parallel()
	seed := func(t *testing.T) (dir string) {
		t.Helper()
		dir = filepath.Join(t.TempDir(), "data")
		s := openAt(t, filepath.Join(dir, "ledger.db"))
		storagetest.Seed(t, s, 3)
		wantNoHold(t, s)
		check(t, s.Close())
		return dir
	}
	t.Run("restarted and moved", func(t *testing.T) {
		t.Parallel()
		dir := seed(t)
		moved := filepath.Join(filepath.Dir(dir), "moved")
		check(t, os.Rename(dir, moved))
		for range 3 {
			s := openAt(t, filepath.Join(moved, "ledger.db"))
			wantNoHold(t, s)
			check(t, s.Close())
		}
	})
	t.Run("killed, looked at, and started", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "ledger.db")
		killAfter(t, path, 100)
		// The only process on the file: it must not take the log away.
		reader, err := storage.Open(t.Context(), storage.Config{Path: path, ReadOnly: true})
		check(t, err)
		check(t, reader.Close())
		s := openAt(t, path)
		wantNoHold(t, s)
	})
	t.Run("start failed", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "ledger.db")
		killAfter(t, path, 100)
		stopped, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := storage.Open(stopped, storage.Config{Path: path}); err == nil {
			t.Fatal("opened with a canceled context")
		}
		s := openAt(t, path)
		wantNoHold(t, s)
	})
	t.Run("crash between ledger and INSTANCE", func(t *testing.T) {
		t.Parallel()
		dir := seed(t)
		path := filepath.Join(dir, "ledger.db")
		// A link keeps the file as it was before the run whose file is then lost.
		before := filepath.Join(filepath.Dir(dir), "before")
		check(t, os.Link(filepath.Join(dir, "INSTANCE"), before))
		check(t, openAt(t, path).Crash())
		check(t, os.Rename(before, filepath.Join(dir, "INSTANCE")))
		wantNoHold(t, openAt(t, path))
	})
	t.Run("INSTANCE lost or damaged", func(t *testing.T) {
		t.Parallel()
		dir := seed(t)
		check(t, os.Remove(filepath.Join(dir, "INSTANCE")))
		s := openAt(t, filepath.Join(dir, "ledger.db"))
		wantNoHold(t, s)
		check(t, s.Close())
		check(t, os.WriteFile(filepath.Join(dir, "INSTANCE"), []byte("\x00\x00"), 0o600))
		s = openAt(t, filepath.Join(dir, "ledger.db"))
		wantNoHold(t, s)
	})
	t.Run("ledger of an earlier version", func(t *testing.T) {
		t.Parallel()
		dir := seed(t)
		s := openAt(t, filepath.Join(dir, "ledger.db"))
		check(t, s.Exec(t.Context(), "UPDATE meta SET value = 'no' WHERE key = 'closed'"))
		check(t, s.Exec(t.Context(), "DELETE FROM meta WHERE key NOT IN ('closed', 'mode')"))
		check(t, s.Close())
		check(t, os.Remove(filepath.Join(dir, "INSTANCE")))
		to := filepath.Join(t.TempDir(), "copy")
		copyDir(t, dir, to, false)
		path := filepath.Join(to, "ledger.db")
		s = openAt(t, path) // adopted, wherever it comes from
		wantNoHold(t, s)
		check(t, s.Close())
		s = openAt(t, path)
		wantNoHold(t, s)
	})
}

// TestMissingLog: without the write-ahead log of a run that crashed, what that
// run sent is forgotten. Nothing may be sent before a person has looked.
func TestMissingLog(t *testing.T) {
	t.Parallel()
	t.Run("with all of the run", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "ledger.db")
		s := openAt(t, path)
		storagetest.Seed(t, s, 10)
		check(t, s.Close())
		killAfter(t, path, 100)
		check(t, os.Remove(path+"-wal"))
		s = openAt(t, path)
		wantHold(t, s, "") // older than INSTANCE, or known by the log
		check(t, s.IntegrityCheck(t.Context()))
	})
	t.Run("with the end of it", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "ledger.db")
		s := openAt(t, path)
		seeded := storagetest.Seed(t, s, 10)
		check(t, s.Crash()) // what there is goes into the database, as often in a long run
		check(t, os.Remove(path+"-wal"))
		s = openAt(t, path)
		wantHold(t, s, "write-ahead log")
		c, err := s.Campaign(t.Context(), seeded.ID)
		if err != nil || c.State != campaign.StatePaused || c.Reason != campaign.PauseRestored {
			t.Errorf("the campaign is %s (%s): %v", c.State, c.Reason, err)
		}
	})
}

// TestBackupBesideWriter copies a ledger from a process of its own while
// another writes. The copy is one sound, marked file.
func TestBackupBesideWriter(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "data", "ledger.db")
	s := openAt(t, path)
	seeded := storagetest.Seed(t, s, 3000)
	reader, err := storage.Open(t.Context(), storage.Config{Path: path, ReadOnly: true})
	check(t, err)
	defer func() { check(t, reader.Close()) }()

	stop, done := make(chan struct{}), make(chan error, 1)
	go func() {
		for seq := int64(1); ; seq++ {
			select {
			case <-stop:
				done <- nil
				return
			default:
			}
			staged, err := s.Stage(context.WithoutCancel(t.Context()), seeded.ID, []int64{seq}, time.Now())
			if err != nil || len(staged) == 0 {
				done <- err
				return
			}
		}
	}()
	target := filepath.Join(dir, "backup.db")
	before := time.Now().Truncate(time.Millisecond)
	check(t, reader.Backup(t.Context(), target))
	close(stop)
	check(t, <-done)

	files, err := filepath.Glob(target + "*")
	check(t, err)
	info, err := os.Stat(target)
	check(t, err)
	if len(files) != 1 || info.Mode().Perm() != 0o600 {
		t.Errorf("the backup left %v, mode %v", files, info.Mode())
	}
	wantError(t, reader.Backup(t.Context(), target), campaign.CodeConflict, target, "exists")
	wantError(t, reader.Backup(t.Context(), filepath.Join(dir, "none", "backup.db")), campaign.CodeUnavailable, "none")

	looking, err := storage.Open(t.Context(), storage.Config{Path: target, ReadOnly: true})
	check(t, err)
	if r, held, err := looking.Restored(t.Context()); err != nil || !held || r.BackupAt.Before(before) {
		t.Errorf("looked at before anybody opened it to work: %v %+v (%v)", held, r, err)
	}
	check(t, looking.Close())

	restored := openAt(t, target)
	if r := wantHold(t, restored, "is a backup"); r.BackupAt.Before(before) || r.BackupAt.After(time.Now()) {
		t.Errorf("the backup was made at %v", r.BackupAt)
	}
	check(t, restored.IntegrityCheck(t.Context()))
	totals, err := restored.Totals(t.Context(), seeded.ID)
	if err != nil || totals.Sum() != 3000 {
		t.Errorf("%d rows in the backup (%v)", totals.Sum(), err)
	}
	wantNoHold(t, s)
	if err := reader.ConfirmRestore(t.Context()); campaign.CodeOf(err) != campaign.CodeConflict {
		t.Errorf("confirmed by a reader: %v", err)
	}
}

// TestBackupOfDamage: a copy that is not sound is no backup, and does not stay.
func TestBackupOfDamage(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openAt(t, filepath.Join(dir, "data", "ledger.db"))
	storagetest.Seed(t, s, 10)
	check(t, s.Exec(t.Context(), "UPDATE recipients SET status = 'canceled' WHERE seq = 3"))
	if err := s.Backup(t.Context(), filepath.Join(dir, "backup.db")); err == nil || !strings.Contains(err.Error(), "pending 10 kept, 9 counted") {
		t.Errorf("backed up books that do not balance: %v", err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "backup*"))
	if err != nil || len(files) != 0 {
		t.Errorf("left behind: %v (%v)", files, err)
	}
}

// TestBackupBearsTheTimeItWasBegun: what is sent while the copy is being made is
// not in it, so a later time would count too few.
func TestBackupBearsTheTimeItWasBegun(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "data", "ledger.db")
	target := filepath.Join(dir, "backup.db")
	begun := time.Date(2026, 11, 28, 10, 0, 0, 0, time.UTC)
	s, err := storage.Open(t.Context(), storage.Config{Path: path, Clock: func() time.Time {
		copies, err := filepath.Glob(target + ".*.partial")
		check(t, err)
		for _, name := range copies {
			if info, err := os.Stat(name); err == nil && info.Size() > 0 {
				return begun.Add(time.Hour)
			}
		}
		return begun
	}})
	check(t, err)
	storagetest.Seed(t, s, 10)
	check(t, s.Backup(t.Context(), target))
	check(t, s.Close())
	copied, err := storage.Open(t.Context(), storage.Config{Path: target})
	check(t, err)
	found, held, err := copied.Restored(t.Context())
	check(t, err)
	if !held || !found.BackupAt.Equal(begun) {
		t.Errorf("the backup was made %s (held: %t), want %s, when it was begun", found.BackupAt, held, begun)
	}
	check(t, copied.Close())
}
