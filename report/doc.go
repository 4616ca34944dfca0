// Package report tells what became of a campaign. It comes last in the flow:
// storage keeps the ledger, package status folds evidence into it, and this
// package reads it; web and the command line show what it says.
//
// Build reads the ledger once and gives one Report value. WriteText, WriteHTML,
// WriteXLSX, WriteJSON, WritePollCSV and Summarize only put that value into a
// form, so that every screen and file says the same numbers. WriteCSV is the
// user's own file back, row for row, with what became of each row;
// WriteFailedCSV and WriteRepliesCSV are parts of it.
//
// Promises: the ledger is read in one streaming pass and memory stays flat but
// for eight bytes a recipient, by which it is known that nobody was sent to
// twice; a report can be had in every state and says whether it is final; books
// that do not balance are printed, never hidden; no count is a guess, and no
// share is rounded to all or to none; nothing but the files with the user's own
// rows holds a whole phone number, and nothing at all holds our message's text.
//
// Start reading at report.go (what a report says), then build.go and pass.go
// (where the numbers come from) with poll.go, variants.go, segments.go,
// series.go, waits.go and safety.go (their parts), books.go (whether they add
// up), words.go (what the codes mean to people), and the writers: text.go,
// html.go with report.html and chart.go, xlsx.go, json.go, csv.go.
package report
