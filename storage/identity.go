package storage

import (
	"fmt"
	"os"
)

// identity tells one file from another of the same name and content: moving a
// file on its disk keeps it, copying the file makes a new one.
type identity struct {
	number uint64 // inode, or file index
	born   int64  // nanoseconds since 1970; 0 where the file system does not tell
}

// identityOf reads the identity of a file. Which disk it is on is left out: a
// disk may get another number with every boot.
func identityOf(path string) (identity, error) {
	f, err := os.Open(path)
	if err != nil {
		return identity{}, err
	}
	defer func() { _ = f.Close() }() // only looked at
	return readIdentity(f)
}

// String is the identity as the ledger keeps it.
func (i identity) String() string { return fmt.Sprintf("%d/%d", i.number, i.born) }

// parseIdentity reads what String wrote; false when it is nothing of the kind.
func parseIdentity(s string) (identity, bool) {
	var i identity
	n, err := fmt.Sscanf(s, "%d/%d", &i.number, &i.born)
	return i, err == nil && n == 2
}

// same says whether both are of one file. A birth time that one of them lacks
// does not count: a newer kernel may tell what an older one did not.
func (i identity) same(other identity) bool {
	return i.number == other.number && (i.born == other.born || i.born == 0 || other.born == 0)
}
