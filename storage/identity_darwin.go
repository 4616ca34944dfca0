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
	return identity{number: stat.Ino, born: unix.TimespecToNsec(stat.Btim)}, nil
}
