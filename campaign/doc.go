// Package campaign is the domain of Herald: what a campaign is, what may
// happen to it, and what a recipient's status means. It is the floor of the
// house: it imports no other package of ours, and every other package speaks
// in its types.
//
// It also turns the two files a person brings into a campaign, and hands its
// rows on. The files of this package tell which is which by their names:
//
//   - file*.go, rate.go, schema.go: the campaign file. Start at ParseFile.
//   - recipients_*.go: the recipients file, CSV or XLSX. Start at
//     recipients_reader.go (rows), then recipients_phone.go (addresses) and
//     recipients_import.go (ledger lines, duplicates, rejects).
//   - plan.go, feeder.go: how long it takes; and the feeder that moves ready
//     rows from the ledger into the stream.
//   - the rest: the domain's types and rules. Start at campaign.go and
//     state.go, then status.go (what can be true of a recipient), task.go
//     (what travels) and evidence.go (what is learned).
//
// What comes next in the flow: package templates renders a row into a
// Message, package stream carries the Task, package dispatcher sends it.
package campaign
