package storage

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/herald-campaigns/herald/campaign"
)

// TestNetworkFileSystemIsRefused: the words say what, why and what to do.
func TestNetworkFileSystemIsRefused(t *testing.T) {
	t.Parallel()
	err := remote("/srv/herald", "NFS")
	if code := campaign.CodeOf(err); code != campaign.CodeInvalid {
		t.Errorf("code %s", code)
	}
	for _, words := range []string{"/srv/herald", "NFS", "locks", "twice"} {
		if !strings.Contains(err.Error(), words) {
			t.Errorf("no %q in %q", words, err)
		}
	}
}

// TestFolderThatCannotBeAskedAboutIsNotRefused: whatever is wrong with it, it
// is not this.
func TestFolderThatCannotBeAskedAboutIsNotRefused(t *testing.T) {
	t.Parallel()
	if err := checkLocal(filepath.Join(t.TempDir(), "missing")); err != nil {
		t.Error(err)
	}
	if err := checkLocal(t.TempDir()); err != nil {
		t.Errorf("a temporary folder: %v", err)
	}
}
