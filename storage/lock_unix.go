//go:build unix

package storage

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// lockFile locks without waiting. The lock belongs to the open file, so the
// kernel drops it when the process dies.
func lockFile(f *os.File) error { return flock(f, unix.LOCK_EX) }

// lockShared locks without waiting, beside others that do the same.
func lockShared(f *os.File) error { return flock(f, unix.LOCK_SH) }

func flock(f *os.File, how int) error {
	err := unix.Flock(int(f.Fd()), how|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return errLocked
	}
	return err
}

// unlockFile drops the lock at once. Closing alone would leave it with a child
// process that is just being started and has not let go of the file yet.
func unlockFile(f *os.File) error {
	return unix.Flock(int(f.Fd()), unix.LOCK_UN)
}
