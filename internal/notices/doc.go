// Package notices delivers Herald's own outgoing webhooks: what happened to a
// campaign, told to another system.
//
// What comes before it: the ledger writes a notice in the transaction that
// changes what it tells of. What comes after it: a server of somebody else's,
// which may be down, slow, or not what its name says. The format is that of
// Standard Webhooks (standardwebhooks.com); docs/notices.md has the fields.
//
// Promises:
//   - A notice is repeated, always with the same id, until its receiver has
//     taken it, has said that it is gone, or ten attempts within three days
//     have failed. A process that dies loses none and repeats some.
//   - State changes of one campaign start in their order, each after the one
//     before it was answered. A receiver that fails in between sees them out of
//     order all the same: the times in them hold.
//   - No receiver waits for another one that is down or slow, however much there
//     is for it. A host that keeps failing is left alone for up to a minute.
//   - Nothing is delivered to an address inside the network unless the
//     configuration allows it. The address is looked at when it is dialed, so a
//     name cannot point elsewhere meanwhile; redirects are not followed.
//   - No log line or error has the body, the secret, or the path of the URL.
//
// Start reading at sender.go (the loop) and round.go (whose turn it is), then
// absence.go (hosts that fail), attempt.go (one delivery),
// schedule.go (when to try again) and guard.go (whom not to call). listener.go
// is the other end, for development and tests.
package notices
