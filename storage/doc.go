// Package storage is the ledger: what is known of every campaign and every
// recipient, durably. It owns all SQL, the migrations, and the lock on the
// data directory.
//
// What comes before it in the flow: package campaign imports rows and stages
// them, package dispatcher claims and settles them, package status folds
// evidence in. What comes after: package report reads totals and rows. Each of
// them declares the few methods it calls; Store has them all.
//
// The promises it keeps:
//
//   - What a method reported as done survives a crash and a power cut: SQLite
//     in WAL mode with synchronous=FULL. No byte of a send leaves before its
//     Claim is on disk.
//   - A row changes status by compare-and-set only. Of any number of callers
//     that claim a row, one wins; an old generation or lease epoch loses.
//   - Totals move in the transaction that moves the rows. They are as true as
//     the rows and cost the same for one row or a million.
//   - A restored copy sends nothing before somebody confirms it (restore.go).
//   - Evidence, replies, votes and decisions about consent may come in any order
//     and any number of times. What rows and totals say of them is derived.
//   - No intent follows an opt-out that is stored.
//   - Concurrent writers share commits (writer.go): one fsync for all that
//     wait, and a failing operation hurts only itself.
//
// Start reading at store.go (opening and closing), then writer.go (group
// commit), then claim.go and settle.go (one send), feed.go (what comes before
// it), evidence.go (what comes after) and unknown.go (what nobody knows). What
// people answer comes in through deliveries.go and fold.go; consent.go says who
// must not be written to, answers.go what rows say of it, locate.go which row a
// message is of, notices.go what other systems are told. The
// schema, with the reasons for its indexes, is migrations/sqlite/00001_ledger.sql
// and what follows it.
package storage
