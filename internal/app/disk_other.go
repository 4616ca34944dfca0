//go:build !(linux || darwin || freebsd || dragonfly || windows)

package app

import "errors"

// freeSpace cannot be asked for here; a write of the ledger that fails still
// holds the senders.
func freeSpace(string) (free, total uint64, err error) { return 0, 0, errors.ErrUnsupported }
