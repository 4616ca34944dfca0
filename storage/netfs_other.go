//go:build !linux && !darwin

package storage

// networkKind does not know on this system.
func networkKind(string) (string, error) { return "", nil }
