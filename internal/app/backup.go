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
	err = b.place(ctx, target)
	b.result.DurationMS = time.Since(began).Milliseconds()
	return b.result, b.noRoom(errors.Join(err, a.Close()), target) //nolint:contextcheck // closing is never canceled
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
	if target, err = actualPath(target); err != nil {
		return "", badPlace(path, err)
	}
	here, err := actualPath(".")
	if err != nil {
		return "", err
	}
	data, err := filepath.Abs(cfg.DataDir)
	if err != nil {
		return "", err
	}
	if data, err = actualPath(data); err != nil {
		return "", err
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
		return "", badPlace(path, err)
	case target == here:
		return refuse(path+" is the working directory", "name a folder that does not exist yet, such as "+freshName(path))
	case len(entries) > 0:
		return refuse(path+" exists and is not empty", "name a folder that does not exist yet, such as "+freshName(path))
	}
	return target, nil
}

// actualPath is a path by the real names of the folders that exist, for links
// not to lead elsewhere; what does not exist yet stays as it is.
func actualPath(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	missing := ""
	for {
		actual, err := filepath.EvalSymlinks(path)
		if err == nil {
			return filepath.Join(actual, missing), nil
		}
		parent := filepath.Dir(path)
		if !errors.Is(err, fs.ErrNotExist) || parent == path {
			return "", err
		}
		missing, path = filepath.Join(filepath.Base(path), missing), parent
	}
}

// freshName is a path beside one that is taken, or in it where nothing can be
// beside it.
func freshName(path string) string {
	now := time.Now().Format("20060102-150405")
	switch name := filepath.Base(path); name {
	case ".", "..", string(filepath.Separator):
		return filepath.Join(path, "backup-"+now)
	default:
		return filepath.Clean(path) + "-" + now
	}
}

// badPlace tells of a path at which there can be no backup.
func badPlace(path string, err error) error {
	return &campaign.Error{
		Code: campaign.CodeUnavailable, What: "cannot put the backup at " + path, Err: cause(err),
		Hint: "name a path on a local disk that this user may write to",
	}
}

// cause is what the operating system said, without the file it said it about.
func cause(err error) error {
	if number, ok := errors.AsType[syscall.Errno](err); ok {
		return number
	}
	return err
}

// backup is one backup being made.
type backup struct {
	app    *App
	dir    string
	result *Backed
}

// place makes the backup in a folder that may have to be created, and goes when
// there is none.
func (b *backup) place(ctx context.Context, target string) error {
	if err := b.mayUse(); err != nil {
		return err
	}
	created, err := createFolders(filepath.Dir(target))
	if err != nil {
		err = badPlace(target, err)
	} else {
		err = b.make(ctx, target)
	}
	if err != nil {
		for _, folder := range created {
			_ = os.Remove(folder) // one that somebody else uses meanwhile stays
		}
	}
	return err
}

// createFolders creates a folder and those above it, for this user alone. It
// returns the new ones, the innermost first.
func createFolders(folder string) ([]string, error) {
	var created []string
	for at := folder; ; at = filepath.Dir(at) {
		if _, err := os.Lstat(at); !errors.Is(err, fs.ErrNotExist) {
			break
		}
		created = append(created, at)
	}
	return created, os.MkdirAll(folder, 0o700)
}

func (b *backup) make(ctx context.Context, target string) (err error) {
	// The lock keeps two backups of one name apart.
	lock, err := b.lock()
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, lock.Unlock(), os.RemoveAll(b.dir))
		}
	}()
	if err := b.clear(); err != nil {
		return err
	}
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

// lock takes the folder. What it says is about a data directory, which this is
// not yet; and nothing is left when the disk is too full even for the lock.
func (b *backup) lock() (*storage.DirLock, error) {
	lock, err := storage.LockDir(b.dir, b.app.cfg.Mode)
	switch {
	case err == nil:
		return lock, nil
	case campaign.CodeOf(err) == campaign.CodeConflict:
		return nil, &campaign.Error{
			Code: campaign.CodeConflict, What: "another backup is being made at " + b.result.Path,
			Hint: "wait for its end, or name another path",
		}
	default:
		return nil, errors.Join(badPlace(b.result.Path, err), os.RemoveAll(b.dir))
	}
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

// noRoom says in words that a disk is full, and whether anything is left on it.
func (b *backup) noRoom(err error, target string) error {
	if !errors.Is(err, syscall.ENOSPC) {
		return err
	}
	left := "nothing was left behind"
	if _, err := os.Lstat(b.dir); err == nil {
		left = b.dir + " could not be removed"
	}
	return &campaign.Error{
		Code: campaign.CodeUnavailable, What: "there is not enough room for the backup in " + filepath.Dir(target), Err: syscall.ENOSPC,
		Hint: "free some space or name a path on another disk; " + left,
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
