package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/storage"
)

// Backed is a backup that was made and verified (docs/cli-json.md).
type Backed struct {
	SchemaVersion int       `json:"schema_version"`
	Path          string    `json:"path"`
	At            time.Time `json:"at"` // what it holds is as of then, or later
	Campaigns     int       `json:"campaigns"`
	Rows          int64     `json:"rows"`
	Waiting       int64     `json:"waiting"`
	MediaFiles    int       `json:"media_files"`
	Bytes         int64     `json:"bytes"`
	DurationMS    int64     `json:"duration_ms"`
}

const (
	// partial is what the name of a backup ends in until it is whole.
	partial = ".partial"
	// unfinished is the file that marks such a folder as ours: only what bears it
	// is ever cleared.
	unfinished = "UNFINISHED-BACKUP"
)

// Backup makes a copy of the data directory, also while another process sends
// from it: the ledger as of one instant, the media files it needs, the rejected
// rows, and the simulator's journal. The copy appears under its name once it is
// on disk and verified; until then, and after an error, there is none.
func Backup(ctx context.Context, cfg Config, log *slog.Logger, path string) (*Backed, error) {
	began := time.Now()
	target, err := backupTarget(cfg, path)
	if err != nil {
		return nil, err
	}
	a, err := OpenToRead(ctx, cfg, log)
	if err != nil {
		return nil, err
	}
	b := &backup{app: a, dir: target + partial, result: &Backed{SchemaVersion: 1, Path: target, At: began.UTC()}}
	err = b.make(ctx, target)
	b.result.DurationMS = time.Since(began).Milliseconds()
	return b.result, noRoom(errors.Join(err, a.Close()), target) //nolint:contextcheck // closing is never canceled
}

// backupTarget is where a backup may be made: a folder that does not exist, or
// is empty, outside of the data directory.
func backupTarget(cfg Config, path string) (string, error) {
	refuse := func(what, hint string) (string, error) {
		return "", &campaign.Error{Code: campaign.CodeConflict, What: what, Hint: hint}
	}
	target, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	// The folders that exist, by their real names: links must not lead inside.
	parent, err := filepath.EvalSymlinks(filepath.Dir(target))
	if err != nil {
		return "", &campaign.Error{
			Code: campaign.CodeNotFound, What: "the folder to put the backup into does not exist: " + filepath.Dir(path), Err: errors.Unwrap(err),
			Hint: "create it, or name another path",
		}
	}
	target = filepath.Join(parent, filepath.Base(target))
	if actual, err := filepath.EvalSymlinks(target); err == nil {
		target = actual
	}
	data, err := filepath.Abs(cfg.DataDir)
	if err != nil {
		return "", err
	}
	if actual, err := filepath.EvalSymlinks(data); err == nil {
		data = actual
	}
	if inside, err := filepath.Rel(data, target); err == nil && filepath.IsLocal(inside) {
		return refuse(fmt.Sprintf("%s is inside the data directory %s", path, cfg.DataDir), "a backup belongs elsewhere, best on another disk")
	}
	entries, err := os.ReadDir(target)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case errors.Is(err, syscall.ENOTDIR):
		return refuse(path+" is a file", "name a folder that does not exist yet")
	case err != nil:
		return "", &campaign.Error{Code: campaign.CodeUnavailable, What: "look into " + path, Err: err, Hint: "name a folder that this user may write to"}
	case len(entries) > 0:
		return refuse(path+" exists and is not empty", "name a folder that does not exist yet, such as "+path+"-"+time.Now().Format("20060102-150405"))
	}
	return target, nil
}

// backup is one backup being made.
type backup struct {
	app    *App
	dir    string
	result *Backed
}

func (b *backup) make(ctx context.Context, target string) (err error) {
	if err := b.mayUse(); err != nil {
		return err
	}
	// The lock keeps two backups of one name apart.
	lock, err := storage.LockDir(b.dir, b.app.cfg.Mode)
	if err != nil {
		return err
	}
	if err := b.clear(); err != nil {
		return errors.Join(err, lock.Unlock())
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, lock.Unlock(), os.RemoveAll(b.dir))
		}
	}()
	if err := b.app.store.Backup(ctx, filepath.Join(b.dir, filepath.Base(databasePath(b.app.cfg)))); err != nil {
		return err
	}
	// After the ledger: it names no file that was not there before it.
	if err := errors.Join(b.media(ctx), b.rejects(ctx), b.journal(ctx)); err != nil {
		return err
	}
	if err := b.verify(ctx); err != nil {
		return err
	}
	if err := errors.Join(lock.Unlock(), os.Remove(filepath.Join(b.dir, "LOCK")), os.Remove(filepath.Join(b.dir, unfinished))); err != nil {
		return err
	}
	if b.result.Bytes, err = syncTree(b.dir); err != nil {
		return err
	}
	// An empty folder gives way; one that was filled meanwhile does not.
	if err := os.Remove(target); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("put the backup in place: %w", err)
	}
	if err := os.Rename(b.dir, target); err != nil {
		return fmt.Errorf("put the backup in place: %w", err)
	}
	return storage.SyncDir(filepath.Dir(target))
}

// mayUse looks whether the folder is an unfinished backup, or is not there. One
// without the mark is somebody else's, unless it holds the lock at most.
func (b *backup) mayUse() error {
	entries, err := os.ReadDir(b.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look into %s: %w", b.dir, err)
	}
	marked := slices.ContainsFunc(entries, func(entry fs.DirEntry) bool { return entry.Name() == unfinished })
	foreign := slices.ContainsFunc(entries, func(entry fs.DirEntry) bool { return entry.Name() != "LOCK" })
	if foreign && !marked {
		return &campaign.Error{
			Code: campaign.CodeConflict, What: b.dir + " is in the way, and is no unfinished backup",
			Hint: "move it away, or name another path",
		}
	}
	return nil
}

// clear empties the folder of what a backup that was killed left in it, and
// marks it before anything is put into it.
func (b *backup) clear() error {
	entries, err := os.ReadDir(b.dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if name := entry.Name(); name == "LOCK" || name == unfinished {
			continue // it is held; it stays until there is nothing to clear
		}
		if err := os.RemoveAll(filepath.Join(b.dir, entry.Name())); err != nil {
			return err
		}
	}
	mark := filepath.Join(b.dir, unfinished)
	return os.WriteFile(mark, []byte("herald is making a backup here, or was stopped while it did. The next backup of this name clears this folder.\n"), 0o600)
}

// media copies the media files and compares each with the hash it is named by.
func (b *backup) media(ctx context.Context) error {
	from := b.app.media
	entries, err := os.ReadDir(from.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	into := &mediaStore{dir: filepath.Join(b.dir, "media")}
	for _, entry := range entries {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		content, err := from.OpenMedia(entry.Name())
		if err != nil {
			continue // a file on its way in, which no campaign names yet
		}
		hash, _, err := into.Put(ctx, content)
		if err := errors.Join(err, content.Close()); err != nil {
			return fmt.Errorf("copy a media file: %w", err)
		}
		if hash != entry.Name() {
			return &campaign.Error{
				Code: campaign.CodeInternal, What: fmt.Sprintf("the media file %s of %s is damaged: its content is %s", entry.Name(), b.app.dir, hash),
				Hint: "put the original in its place, or check the disk; no backup was made",
			}
		}
		b.result.MediaFiles++
	}
	return nil
}

// rejects copies the rows that were rejected, to be mended. Reports are left
// out: they are made from the ledger.
func (b *backup) rejects(ctx context.Context) error {
	files, err := filepath.Glob(filepath.Join(b.app.dir, "campaigns", "*", "rejects*.csv"))
	if err != nil {
		return err
	}
	for _, file := range files {
		name, err := filepath.Rel(b.app.dir, file)
		if err != nil {
			return err
		}
		if err := b.copy(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

// journal copies what the simulator knows, so that a rehearsal can be restored
// as well.
func (b *backup) journal(ctx context.Context) error {
	err := b.copy(ctx, "sandbox.jsonl")
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// copy copies a file of the data directory, of one that grows as much as it has
// now.
func (b *backup) copy(ctx context.Context, name string) error {
	from, err := os.Open(filepath.Join(b.app.dir, name))
	if err != nil {
		return err
	}
	defer func() { _ = from.Close() }() // only read from
	info, err := from.Stat()
	if err != nil {
		return err
	}
	into := filepath.Join(b.dir, name)
	if err := os.MkdirAll(filepath.Dir(into), 0o700); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return writeFile(into, func(w io.Writer) error {
		_, err := io.Copy(w, io.LimitReader(from, info.Size()))
		return err
	})
}

// verify opens the copy as anybody would, and looks whether the books of every
// campaign balance. That the ledger is whole, Store.Backup has checked.
func (b *backup) verify(ctx context.Context) error {
	store, err := storage.Open(ctx, storage.Config{
		Path: filepath.Join(b.dir, filepath.Base(databasePath(b.app.cfg))), ReadOnly: true, Logger: b.app.log,
	})
	if err != nil {
		return err
	}
	return errors.Join(b.count(ctx, store), store.Close()) //nolint:contextcheck // closing is never canceled
}

func (b *backup) count(ctx context.Context, store *storage.Store) error {
	campaigns, err := store.Campaigns(ctx)
	if err != nil {
		return err
	}
	for _, c := range campaigns {
		totals, err := store.Totals(ctx, c.ID)
		if err != nil {
			return err
		}
		complete := !slices.ContainsFunc(c.Imports, func(imp campaign.Import) bool { return !imp.Complete })
		if complete && !totals.Balanced(c.Rows()) {
			return Unbalanced(c.ID)
		}
		b.result.Campaigns++
		b.result.Rows += totals.Sum()
		b.result.Waiting += totals.Waiting()
	}
	return nil
}

// noRoom says in words that a disk is full.
func noRoom(err error, target string) error {
	if !errors.Is(err, syscall.ENOSPC) {
		return err
	}
	return &campaign.Error{
		Code: campaign.CodeUnavailable, What: "there is not enough room for the backup in " + filepath.Dir(target), Err: err,
		Hint: "free some space or name a path on another disk; nothing was left behind",
	}
}

// syncTree makes sure that a folder and all in it is on disk, and says how many
// bytes that is.
func syncTree(dir string) (int64, error) {
	var bytes int64
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir():
			return storage.SyncDir(path)
		}
		f, err := os.OpenFile(path, os.O_RDWR, 0) //nolint:gosec // the folder is ours alone; Windows syncs what is open for writing
		if err != nil {
			return err
		}
		info, err := f.Stat()
		if err == nil {
			bytes += info.Size()
		}
		return errors.Join(err, f.Sync(), f.Close())
	})
	return bytes, err
}
