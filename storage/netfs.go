package storage

import "github.com/herald-campaigns/herald/campaign"

// checkLocal refuses a data directory on a network file system, if the system
// tells. A folder that cannot be asked about is let through: what is wrong with
// it shows when the lock is taken.
func checkLocal(dir string) error {
	kind, err := networkKind(dir)
	if err != nil || kind == "" {
		return nil //nolint:nilerr // see above
	}
	return remote(dir, kind)
}

// remote is the refusal of a directory on a network file system.
func remote(dir, kind string) error {
	return &campaign.Error{
		Code: campaign.CodeInvalid,
		What: "the data directory " + dir + " is on a network file system (" + kind + "), where a ledger is not safe: " +
			"locks may let two processes in, and what was written may be lost although it was said to be on disk, " +
			"so that people get a message twice",
		Hint: "choose a data_dir on a disk of this machine; backups and reports may go to a network share",
	}
}
