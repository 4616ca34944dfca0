//go:build linux || darwin || freebsd || dragonfly

package app

import "golang.org/x/sys/unix"

// freeSpace is what a user may still write to the disk with the folder, and
// the disk's size, in bytes.
func freeSpace(dir string) (free, total uint64, err error) {
	var stat unix.Statfs_t
	if err := unix.Statfs(dir, &stat); err != nil {
		return 0, 0, err
	}
	block := uint64(stat.Bsize)                                          //nolint:gosec,unconvert,nolintlint // a size; its type differs by system
	return uint64(max(stat.Bavail, 0)) * block, stat.Blocks * block, nil //nolint:gosec,unconvert,nolintlint // may be negative on some systems
}
