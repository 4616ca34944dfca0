package storage

import (
	"os"

	"golang.org/x/sys/unix"
)

func readIdentity(f *os.File) (identity, error) {
	var stat unix.Statx_t
	err := unix.Statx(int(f.Fd()), "", unix.AT_EMPTY_PATH, unix.STATX_INO|unix.STATX_BTIME, &stat)
	if err != nil {
		return identity{}, os.NewSyscallError("statx", err)
	}
	id := identity{number: stat.Ino}
	if stat.Mask&unix.STATX_BTIME != 0 {
		id.born = stat.Btime.Sec*1e9 + int64(stat.Btime.Nsec)
	}
	return id, nil
}
