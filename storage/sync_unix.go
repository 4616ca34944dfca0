//go:build unix

package storage

import (
	"errors"
	"os"
	"syscall"
)

// SyncDir makes the names in a directory durable, where its file system can
// do that.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	if errors.Is(err, syscall.EINVAL) {
		err = nil // a network's, for one: it keeps names by itself or not at all
	}
	return errors.Join(err, d.Close())
}
