// Package examples holds campaigns to run and to copy from, each in a folder
// of its own: a campaign file, its recipients, and a README that says what to
// expect. All of them are run against the simulator by tests.
//
// `herald demo` sends the campaign in demo; Demo carries its files inside the
// program. Everybody in these files is invented, and every number is of a
// range reserved for fiction: 555-0100 to 555-0199 in the United States and its area
// code 555, which nobody has, 07700 900000 to 900999 in the United Kingdom, and a
// block of repeated nines for India.
//
// Start with personal-text/campaign.yaml.
package examples
