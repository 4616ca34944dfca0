// Package stream carries tasks through NATS JetStream: out of the ledger, one
// message per recipient, to the dispatcher that serves the sender.
//
// Before it in the flow: the feeder of package campaign stages a bounded
// window of tasks and hands them to Publish. After it: package dispatcher
// takes them from a Consumer, claims each in the ledger and sends.
//
// The ledger is the truth and the stream a conveyor that can be rebuilt, which
// is why this package promises little and keeps it:
//
//   - Publish reports every task that is not known to be stored;
//   - a task is delivered at least once, and again after AckWait, until it is
//     settled; duplicates and stale ones are for the ledger's claim to refuse;
//   - a stream that was deleted, wiped or replaced is made anew and announced
//     (ErrRecreated, Config.OnRecreated), so that it can be filled again;
//   - no call blocks longer than its context or a few seconds;
//   - no subject, consumer, error or log line carries a number or a text.
//
// A sender is served by one process at a time. That is the lease's business:
// nothing here keeps two consumers of one sender apart.
//
// Start reading at conn.go (the connection and the stream), then publish.go
// and consumer.go. errors.go lists what can go wrong.
package stream
