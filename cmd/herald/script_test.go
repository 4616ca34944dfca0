package main

import (
	"flag"
	"path/filepath"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// update rewrites what scripts compare with.
var update = flag.Bool("update", false, "rewrite the golden parts of the scripts")

// TestMain lets the test binary stand in for the command: scripts run the
// real thing, in processes of their own, with real signals and exit codes.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"herald": main})
}

// patience bounds every wait of a script. It decides no test: a script that
// waits this long has failed.
const patience = 3 * time.Minute

// TestScripts runs testdata/script: one promise a file, with the issue it is
// from. What the scripts can say beyond testscript's own words is below and in
// the other script_*_test.go files.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("TZ", "UTC")
			env.Setenv("TERM", "xterm-256color")
			env.Setenv("GORACE", "atexit_sleep_ms=0") // else every process ends a second later with -race
			env.Values[processesKey{}] = map[string]*process{}
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"exits":         exits,
			"start":         start,
			"until":         until,
			"urlof":         urlOf,
			"send":          sendSignal,
			"press":         press,
			"ends":          ends,
			"sandbox":       startSandbox,
			"sim":           sim,
			"accepted":      accepted,
			"untilaccepted": untilAccepted,
			"judged":        judged,
			"json":          jsonAt,
			"keys":          keys,
			"addsup":        addsUp,
			"replace":       replace,
			"people":        people,
			"soon":          soon,
			"mode":          mode,
			"lines":         lines,
		},
	})
}
