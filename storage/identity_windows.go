package storage

import (
	"os"

	"golang.org/x/sys/windows"
)

// readIdentity leaves the creation time out: Windows gives a new file the time
// of one of the same name that was deleted a moment before.
func readIdentity(f *os.File) (identity, error) {
	var info windows.ByHandleFileInformation
	if err := windows.GetFileInformationByHandle(windows.Handle(f.Fd()), &info); err != nil {
		return identity{}, os.NewSyscallError("GetFileInformationByHandle", err)
	}
	return identity{number: uint64(info.FileIndexHigh)<<32 | uint64(info.FileIndexLow)}, nil
}
