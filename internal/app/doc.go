// Package app wires the house together: it reads the configuration, opens the
// data directory, turns a campaign file into a campaign, runs the engine
// (embedded NATS, feeder, dispatchers, poller, reconciler) and hands results to the
// command line. It is the only package that knows whether the simulator or the
// real API is at the other end, and which database runs.
//
// Start reading at config.go (what can be set), then app.go (the data
// directory), prepare.go (a campaign file meets the ledger; identity.go tells
// whether it still is the same, importing.go reads the rows), run.go (the main
// job), engine.go (what runs while it runs; settling.go settles unknown rows,
// holds.go holds senders and lets them go on) and views.go (what can be asked).
package app
