package examples_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

// A block of commands in a page is run by TestPagesRun when the line before it
// is one of these comments:
//
//	<!-- run -->            it must end well
//	<!-- run, exit 3 -->    it must end with this exit code
//
// Lines that begin with "$ " are commands, the others what they print; a block
// without such lines is commands throughout. All blocks of a page run in its
// order in one folder, which begins with the examples in it.
var block = regexp.MustCompile("(?m)^<!-- run(?:, exit ([0-9]+))? -->\n```\\w*\n((?s:.*?))^```$")

// prelude makes the commands of a page work without a clone and without
// waiting: herald is the program just built, and the campaign that `herald
// init` writes, whose pace is that of an ordinary number, goes fast.
const prelude = `
set -e
herald() {
	command herald "$@"
	if [ "$1" = init ]; then printf 'pace: { rate: unlimited }\n' >> "${2:-.}/campaign.yaml"; fi
}
`

// TestPagesRun runs the commands of the README and the manual as they stand.
func TestPagesRun(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("the pages are written for a POSIX shell")
	}
	ran := 0
	for _, name := range pages(t) {
		blocks := block.FindAllStringSubmatch(page(t, name), -1)
		if len(blocks) == 0 {
			continue
		}
		ran += len(blocks)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			folder := t.TempDir()
			if err := os.CopyFS(filepath.Join(folder, "examples"), os.DirFS(".")); err != nil {
				t.Fatal(err)
			}
			if example, ok := strings.CutPrefix(name, "examples/"); ok {
				folder = filepath.Join(folder, "examples", filepath.Dir(example))
			}
			for _, found := range blocks {
				want := 0
				if found[1] != "" {
					want, _ = strconv.Atoi(found[1])
				}
				script := commands(found[2])
				shell := exec.CommandContext(t.Context(), "sh", "-c", prelude+script)
				shell.Dir = folder
				shell.Env = surroundings("PATH=" + filepath.Dir(program(t)) + string(os.PathListSeparator) + os.Getenv("PATH"))
				if done := run(t, shell); done.code != want {
					t.Fatalf("exit code %d, want %d, of\n%s\n%s%s", done.code, want, script, done.out, done.errors)
				}
			}
		})
	}
	if ran < 10 {
		t.Errorf("only %d blocks found to run", ran)
	}
}

// commands are the lines of a block that a person types.
func commands(text string) string {
	text = strings.ReplaceAll(text, "go run ./cmd/herald", "herald")
	if !strings.Contains(text, "$ ") {
		return text
	}
	var b strings.Builder
	for line := range strings.Lines(text) {
		if typed, ok := strings.CutPrefix(line, "$ "); ok {
			b.WriteString(typed)
		}
	}
	return b.String()
}
