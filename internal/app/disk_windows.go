package app

import "golang.org/x/sys/windows"

// freeSpace is what a user may still write to the disk with the folder, and
// the disk's size, in bytes.
func freeSpace(dir string) (free, total uint64, err error) {
	path, err := windows.UTF16PtrFromString(dir)
	if err != nil {
		return 0, 0, err
	}
	err = windows.GetDiskFreeSpaceEx(path, &free, &total, nil)
	return free, total, err
}
