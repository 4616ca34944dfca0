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
// And it takes what comes back: webhook deliveries through the inbox, what no
// webhook brought through the sweeper. Both put their news on the desk, which
// finds the row, ties replies, reads the wish to get no more messages, and writes
// foldings. It promises:
//   - every order, repetition and loss of deliveries (with a sweep and a poll in
//     their place) ends in the same ledger;
//   - a delivery about a message that no row has yet waits for its row;
//   - a failure counts when the provider itself confirms it;
//   - an opt-out takes effect in the transaction that stores it; jobs are purged
//     by their queue ids and nothing else; a confirmation is sent at most once;
//   - what only sounds like an opt-out goes to a person.
//
// Start reading at poller.go (the loop), then schedule.go (when to ask again).
// For what comes back, at desk.go (from news to foldings), then reply.go and
// wish.go (what people write), tongues.go (in which words), inbox.go and
// sweeper.go (where it comes from), withdrawals.go (what an opt-out takes back).
// For the unknown rows, at match.go (whose message is it), then pass.go (one
// look at the lists), proof.go (what makes absence count), judge.go (what
// follows from it), lag.go (how long the lists take), reconciler.go (the loop).
package status
