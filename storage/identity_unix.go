//go:build unix && !linux && !darwin

package storage

import (
	"os"

	"golang.org/x/sys/unix"
)

func readIdentity(f *os.File) (identity, error) {
	var stat unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &stat); err != nil {
		return identity{}, os.NewSyscallError("fstat", err)
	}
	return identity{number: uint64(stat.Ino)}, nil //nolint:unconvert // not a uint64 on every system
}
