// Package storagetest is the conformance suite of the ledger: what every
// engine behind package storage must do. Run drives all of it against stores
// that the caller opens; Seed makes campaigns for it and for other tests.
//
// Start reading at suite.go.
package storagetest
