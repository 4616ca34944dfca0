// Package archtest holds no code of its own: its test walks the source tree
// and fails on an import that is not in the table of archtest_test.go, on a
// package without a doc.go, and on a dependency used outside the package that
// owns it. Changing the architecture means changing that table in the same
// commit, where everyone sees it.
package archtest
