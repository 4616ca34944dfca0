package examples_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
)

// root is the folder of the repository.
const root = ".."

var toolFolder string // made and removed by TestMain

func TestMain(m *testing.M) {
	folder, err := os.MkdirTemp("", "herald-examples-")
	if err != nil {
		panic(err)
	}
	toolFolder = folder
	m.Run() // its result is what the process exits with
	if err := os.RemoveAll(folder); err != nil {
		panic(err)
	}
}

// build makes the program once, for the first test that needs it.
var build = sync.OnceValues(func() (string, error) {
	program := filepath.Join(toolFolder, "herald")
	if runtime.GOOS == "windows" {
		program += ".exe"
	}
	// The go command repeats a test when a file that it opened has changed. Those
	// of the command are opened only by the compiler, so open them here.
	sources, err := filepath.Glob("../cmd/herald/*.go")
	if err != nil {
		return "", err
	}
	for _, name := range sources {
		if _, err := os.ReadFile(name); err != nil {
			return "", err
		}
	}
	out, err := exec.Command("go", "build", "-o", program, "../cmd/herald").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build herald: %w\n%s", err, out)
	}
	return program, nil
})

func program(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: the program is not built")
	}
	path, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// surroundings is an environment without what the developer has set for
// herald, with a fast simulator.
func surroundings(extra ...string) []string {
	env := slices.DeleteFunc(os.Environ(), func(entry string) bool { return strings.HasPrefix(entry, "HERALD_") })
	return append(env, append([]string{"HERALD_SANDBOX_SPEED=1000", "TZ=UTC", "NO_COLOR=1"}, extra...)...)
}

// finished is a command that came to its end.
type finished struct {
	code        int
	out, errors string
}

// herald runs the program in the folder of the examples.
func herald(t *testing.T, args ...string) finished {
	t.Helper()
	command := exec.CommandContext(t.Context(), program(t), args...)
	command.Env = surroundings()
	return run(t, command)
}

func run(t *testing.T, command *exec.Cmd) finished {
	t.Helper()
	var out, complaints bytes.Buffer
	command.Stdout, command.Stderr = &out, &complaints
	err := command.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return finished{command.ProcessState.ExitCode(), out.String(), complaints.String()}
}
