// Package sdktest holds the conformance test of the sandbox: the vendor's own
// JavaScript SDK, at a pinned version, runs against it.
//
// The test needs node and npm, and a package registry or npm's cache. Without
// them it is skipped and says why, unless HERALD_REQUIRE_NODE=1 makes that a
// failure, as it should be wherever green has to mean something.
//
// Start with sdk_test.go; conformance.js is what runs in node.
package sdktest
