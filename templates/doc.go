// Package templates turns the message of a campaign file into what each
// recipient gets. A Template is compiled once and rendered once per row: text,
// media or poll, with the quoted message and the link-preview switch.
//
// Before it in the flow: package campaign reads the campaign file (a
// campaign.Template) and the recipients (campaign.Row). After it: the rendered
// campaign.Message is hashed into the ledger and carried by package stream.
//
// Promises:
//
//   - The language is Liquid without loops, includes or assignments:
//     variables, the filters of [Filters], and if / unless / case. Every
//     mistake that Liquid would print as it stands ("{name}", "{{1}}", an
//     unfinished "{{") or only notice on some row (an unknown filter) is
//     refused by [Compile], with line, column and a fix.
//   - A cell is data. It is never parsed as a template, never reaches the
//     engine as anything but a string, and its size and the work done on it
//     are bounded.
//   - Rendering is a function of the template and the row alone: no clock, no
//     environment, no randomness. What check showed is what is sent, and a row
//     rendered again after a restart has the same hash.
//   - "007" prints as "007" and "1.50" as "1.50", yet amount > 100 compares
//     numbers and price times 1.18 is exact decimal arithmetic.
//   - A preview shows values harmlessly: escaped in HTML, without control or
//     bidirectional override characters in a terminal.
//
// Start reading at template.go (Compile and Render), then program.go and
// expression.go (how a source becomes Liquid), value.go (how cells compare),
// lint.go (what is legal but will look wrong) and preview.go.
package templates
