// Package report tells what became of a campaign. It comes last in the flow:
// storage keeps the ledger, package status folds evidence into it, and this
// package reads it; web and the command line show what it says.
//
// Build reads the ledger once and gives one Report value. WriteText, WriteJSON
// and Summarize only put that value into a form, so that every screen and file
// says the same numbers. WriteCSV is the user's own file back, row for row,
// with what became of each row.
//
// Promises: the ledger is read in one streaming pass and memory stays flat,
// however many rows there are; a report can be had in every state and says
// whether it is final; books that do not balance are printed, never hidden;
// nothing but the round-trip CSV holds a whole phone number, and nothing at
// all holds a message body.
//
// Start reading at report.go (what a report says), then build.go and pass.go
// (where the numbers come from), books.go (whether they add up), words.go (what
// the codes mean to people) and the writers text.go, json.go and csv.go.
package report
