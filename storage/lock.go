package storage

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/herald-campaigns/herald/campaign"
)

const lockName = "LOCK"

// DirLock is the exclusive right to a data directory. It ends with Unlock or
// with the process, however that ends.
type DirLock struct{ file *os.File }

// LockDir takes the data directory for this process, creating it when
// missing. Two processes on one directory would each send the same rows, and
// two embedded NATS servers on one store lose messages without a word. The
// second one gets a *campaign.Error with CodeConflict that names the first. A
// directory on a network file system is refused with CodeInvalid, where the
// system tells (Linux, macOS): neither SQLite's locks nor its fsync can be
// relied on there, and WAL mode needs memory shared through the file
// (sqlite.org/wal.html).
func LockDir(dir string, mode campaign.Mode) (*DirLock, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, &campaign.Error{
			Code: campaign.CodeUnavailable, What: "create the data directory", Err: err,
			Hint: "choose a data_dir that this user may write to",
		}
	}
	if err := checkLocal(dir); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(dir, lockName), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, &campaign.Error{
			Code: campaign.CodeUnavailable, What: "lock the data directory", Err: err,
			Hint: "choose a data_dir that this user may write to",
		}
	}
	if err := lockBeside(f); err != nil {
		holder := readHolder(f)
		_ = f.Close() // the lock was not had; nothing to lose
		if !errors.Is(err, errLocked) {
			return nil, &campaign.Error{
				Code: campaign.CodeUnavailable, What: "lock " + dir, Err: err,
				Hint: "the data directory must be on a local disk that supports file locks",
			}
		}
		return nil, conflict("stop it or wait for its end, or use another data_dir; `herald status` works beside it",
			"another herald%s is using %s", holder, dir)
	}
	if err := writeHolder(f, mode); err != nil {
		return nil, errors.Join(fmt.Errorf("write %s: %w", f.Name(), err), f.Close())
	}
	return &DirLock{file: f}, nil
}

// LockDir lets looks of DirHeld pass for so long, and tries again so often. A
// look takes microseconds, unless its process loses the processor meanwhile.
const (
	lookPatience = time.Second
	lookAgain    = time.Millisecond
)

// lockBeside locks the file although others may be looking at the lock: a look
// holds a shared lock for a moment, which must not keep anybody from working.
func lockBeside(f *os.File) error {
	again := time.NewTicker(lookAgain)
	defer again.Stop()
	for began := time.Now(); ; <-again.C {
		err := lockFile(f)
		if !errors.Is(err, errLocked) || time.Since(began) > lookPatience {
			return err
		}
		// Whoever works holds it alone, so that not even this is possible.
		if err := lockShared(f); err != nil {
			return err
		}
		if err := unlockFile(f); err != nil {
			return err
		}
	}
}

// DirHeld says whether a process holds the lock of a data directory, that is,
// whether one may be sending from it. It changes nothing.
func DirHeld(dir string) (bool, error) {
	f, err := os.Open(filepath.Join(dir, lockName))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	err = lockShared(f)
	if err == nil {
		err = unlockFile(f)
	}
	if closeErr := f.Close(); closeErr != nil {
		return false, closeErr
	}
	if errors.Is(err, errLocked) {
		return true, nil
	}
	return false, err
}

// errLocked says that another process has the lock.
var errLocked = errors.New("locked by another process")

func writeHolder(f *os.File, mode campaign.Mode) error {
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err := f.WriteAt(fmt.Appendf(nil, "pid %d, %s\n", os.Getpid(), mode), 0)
	return err
}

// readHolder is " (pid 12, live)", or nothing when the file does not say.
func readHolder(f *os.File) string {
	b, err := io.ReadAll(io.NewSectionReader(f, 0, 100))
	if text := strings.TrimSpace(string(b)); err == nil && strings.HasPrefix(text, "pid ") {
		return " (" + text + ")"
	}
	return ""
}

// Unlock gives the directory free. The file stays: removing it would let two
// processes lock two files of the same name.
func (l *DirLock) Unlock() error { return errors.Join(unlockFile(l.file), l.file.Close()) }
