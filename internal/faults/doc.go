// Package faults breaks Herald on purpose. Only tests import it.
//
// It has four tools:
//
//   - Crash points: a child process is told by an environment variable to die,
//     or to freeze, the n-th time it passes a named place (point.go).
//   - Wrappers that put those places on the seams between packages (seams.go,
//     wire.go).
//   - Transport, an http.RoundTripper that misbehaves by rule (transport.go,
//     rule.go).
//   - Killer, which starts a process, waits until it works and kills or freezes
//     it at a random instant (killer.go).
//
// # Where the points are
//
// Production code has no crash points. Every one of them lies on a seam that is
// there anyway: an interface that the caller declared, or the
// http.RoundTripper. A point that is not compiled in cannot be hit by accident,
// and cannot make the code it tests behave differently (docs/adr/0014).
//
//	K0   before a batch of an import is written     Adding
//	K1   before the intent commits                  Claims
//	K2   after it, before anything is written       Claims
//	K2b  a connection is had, nothing is written    Wire
//	K3   after n bytes of the request               Wire, at the net.Conn
//	K4   request written, no answer yet             Wire
//	K5   accepted, answer not read                  Wire
//	K6   answer read, before the outcome commits    Settlements
//	K7   outcome committed, before the stream's ack Settlements
//	K8   inside reconciliation                      Wire, after each list read
//	K9   inside a migration                         tested by package storage
//
// The letters are those of the reliability page, §3.1, which has no K2b. K10 belongs to webhooks.
package faults
