// Package web is Herald's HTTP side: the endpoint where the provider's webhook
// deliveries arrive, what a supervisor asks (is it alive, is it ready), and the
// place where the local control API of `herald serve` hangs.
//
// What comes before it: the network, which it trusts in nothing. What comes
// after it: the ledger, which keeps deliveries whole; package status makes
// something of them later. It imports the domain only; how a delivery is
// verified and read is given to it (Config).
//
// Promises:
//   - A delivery is answered 200 only when the ledger has committed it, or when
//     it is about something nobody follows. A process that dies loses none that
//     was answered 200.
//   - Without a signing key the endpoint takes nothing. What is unsigned,
//     forged, altered or too long is refused, counted and written nowhere.
//   - What waits is bounded, in number and in bytes. What is too much is
//     answered 503 at once, and the provider sends it again.
//   - Nothing but the webhook endpoint and the probes is reachable from other
//     machines; and those only with a signing key.
//   - No body, signature or number is logged or answered.
//
// Start reading at server.go (what runs and where it listens), then receiver.go
// (one delivery) and intake.go (how they get into the ledger together).
package web
