package report

import "strings"

// Neutralize is a cell as every CSV for people has it: one that a spreadsheet
// would run as a formula gets an apostrophe in front. Plain takes it away.
func Neutralize(cell string) string { return neutralize(cell) }

// Plain is the cell that Neutralize was given.
func Plain(cell string) string {
	if rest, found := strings.CutPrefix(cell, "'"); found && neutralize(rest) == cell {
		return rest
	}
	return cell
}

// Printable makes text that somebody else wrote safe for a line on a terminal.
func Printable(s string) string { return printable(s) }
