// Package status finds out what became of accepted messages: it asks the
// provider, and folds the answers into the ledger as evidence.
//
// It comes after package dispatcher in the flow: what that one got accepted is
// followed here until it is settled or the tracking window is over. Evidence
// may come late, twice and in any order; campaign.Status.Merge makes that
// harmless.
//
// It also settles what nobody knows the end of: calls whose answer was lost, or
// whose process died. The reconciler looks for their messages in the provider's
// lists. It promises:
//   - a message is adopted only by a row it fits: same chat, same text, queued
//     around the intent, and belonging to no other row;
//   - a row goes back to be sent only when its absence is proved: the settle
//     window is over, both lists were read whole with the phone connected,
//     they show what was accepted before and after the row, two such passes
//     agree, and it had fewer than three attempts;
//   - while the provider cannot be asked, nothing is decided;
//   - whatever was decided, evidence that comes late is still taken, also
//     between the decision to send again and the sending.
//
// Start reading at poller.go (the loop), then schedule.go (when to ask again).
// For the unknown rows, at match.go (whose message is it), then pass.go (one
// look at the lists), proof.go (what makes absence count), judge.go (what
// follows from it), lag.go (how long the lists take), reconciler.go (the loop).
package status
