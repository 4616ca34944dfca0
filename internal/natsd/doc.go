// Package natsd runs a NATS server with JetStream inside this process, so that
// Herald is one binary. Nothing outside the process can reach it: no port is
// opened, clients come through InProcessConn.
//
// Before it in the flow: nothing, internal/app starts it first and closes it
// after every client has gone. After it: package stream connects to it, in the
// same way as it would connect to a cluster.
//
// It promises to keep no port open, to leave signals alone, to log through
// slog only, and to stay the same *Server across Restart, so that clients
// reconnect by themselves. It does not keep a second server off the same
// directory: that is the lock of the data directory.
//
// Start reading at server.go.
package natsd
