// Command herald sends one personalised WhatsApp message to each person in a
// CSV, through the Periskope REST API, and says afterwards what became of
// every row.
//
// One file per subcommand; each maps flags to a call of internal/app and
// prints what comes back. What all of them share: root.go (the commands, the
// configuration flags), output.go (where words and data go), exit.go (errors
// to exit codes). Data goes to standard output, everything else to standard
// error.
package main
