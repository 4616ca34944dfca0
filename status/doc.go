// Package status finds out what became of accepted messages: it asks the
// provider, and folds the answers into the ledger as evidence.
//
// It comes after package dispatcher in the flow: what that one got accepted is
// followed here until it is settled or the tracking window is over. Evidence
// may come late, twice and in any order; campaign.Status.Merge makes that
// harmless.
//
// Start reading at poller.go (the loop), then schedule.go (when to ask again).
package status
