//go:build unix

package storage_test

import (
	"os"
	"syscall"
)

// nobody is a user without rights.
const nobody = 65534

// dropRights makes this process one of nobody's, if it is root's: root may
// write anywhere.
func dropRights() error {
	if os.Geteuid() != 0 {
		return nil
	}
	return syscall.Setuid(nobody)
}
