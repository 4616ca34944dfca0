package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/herald-campaigns/herald/campaign"
)

// instanceName is a small file beside the database that says how often the
// ledger was opened and closed for writing. It is replaced each time, and the
// database keeps the same count and which file it was. So a database that was
// put back is behind the file, and a directory that was put back has the old
// content in another file.
const instanceName = "INSTANCE"

// instance is what the file tells; all zero when there is none.
type instance struct {
	count int64
	file  identity
}

// readInstance looks at the file of a directory. One whose content is no count
// proves nothing by it.
func readInstance(dir string) (instance, error) {
	f, err := os.Open(filepath.Join(dir, instanceName))
	if errors.Is(err, fs.ErrNotExist) {
		return instance{}, nil
	}
	if err != nil {
		return instance{}, noInstance("read", err)
	}
	defer func() { _ = f.Close() }() // only read
	var found instance
	if _, err := fmt.Fscanf(f, "opened %d", &found.count); err != nil {
		found.count = 0
	}
	if found.file, err = readIdentity(f); err != nil {
		return found, noInstance("read", err)
	}
	return found, nil
}

// draft is a new file INSTANCE that has not taken its name yet.
type draft struct {
	instance
	path string
}

// draftInstance writes a new file. It returns when that is on disk.
func draftInstance(dir string, count int64) (draft, error) {
	f, err := os.CreateTemp(dir, instanceName+".*.tmp") // with mode 0600
	if err != nil {
		return draft{}, noInstance("write", err)
	}
	d := draft{instance: instance{count: count}, path: f.Name()}
	_, err1 := fmt.Fprintf(f, "opened %d\n\nHerald knows by this file when an older copy was put back. Leave it here.\n", count)
	var err2 error
	d.file, err2 = readIdentity(f)
	if err := errors.Join(err1, err2, f.Sync(), f.Close()); err != nil {
		return draft{}, noInstance("write", errors.Join(err, d.drop()))
	}
	return d, nil
}

// place gives the file its name. A crash leaves the old one or the new one.
func (d draft) place() error {
	dir := filepath.Dir(d.path)
	if err := os.Rename(d.path, filepath.Join(dir, instanceName)); err != nil {
		return noInstance("write", errors.Join(err, d.drop()))
	}
	return SyncDir(dir)
}

// drop removes a file that will not be placed.
func (d draft) drop() error { return os.Remove(d.path) }

func noInstance(verb string, err error) error {
	return &campaign.Error{
		Code: campaign.CodeUnavailable, What: fmt.Sprintf("%s the file %s of the data directory", verb, instanceName), Err: err,
		Hint: "check the free space, and that this user may write to the data directory",
	}
}
