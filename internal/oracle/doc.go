// Package oracle says whether a ledger and a provider's own log agree. Only
// tests import it: every test that sends ends with Judge.
//
// The judge on the other side is the sandbox's list of acceptances, which knows
// nothing but what was asked and answered. Start reading at oracle.go.
package oracle
