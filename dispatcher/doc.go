// Package dispatcher is the send loop: one task → intent → send → verdict.
//
// Package stream delivers the task, package ratelimit says when its sender may
// go, the ledger (package storage) grants or refuses the claim, and
// internal/gateway makes the call. The dispatcher sees all four through
// interfaces of one or two methods and keeps these promises:
//
//   - No byte of a send leaves before its intent is durable in the ledger.
//   - A task whose claim is refused is never sent, however often the stream
//     delivers it.
//   - A call whose answer is lost becomes unknown, and is not repeated.
//   - Throttling, refused credentials and outages are held against the sender,
//     never against a recipient.
//   - A held sender (full disk, disconnected phone) begins no call and goes on
//     by itself; a campaign whose messages are all rejected alike stops.
//
// Start reading at dispatcher.go (the loop), then attempt.go (one task),
// settle.go (what each outcome does to the row), lease.go (the right to serve
// a sender), breaker.go (what happens when the API is down), hold.go (what
// keeps a sender from calling) and rejections.go (when the message is at
// fault).
package dispatcher
