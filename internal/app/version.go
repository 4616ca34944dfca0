package app

import "runtime/debug"

// Version is the module version the binary was built from; "devel" in a work
// tree.
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" || info.Main.Version == "(devel)" {
		return "devel"
	}
	return info.Main.Version
}
