package main

import (
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// Examples people copy must work: each is run by a script, to the letter but
// for what stands behind a pipe.
func TestEveryExampleIsScripted(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join("testdata", "script", "*.txtar"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	scripted := map[string]bool{}
	for _, name := range files {
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(content)) {
			if _, command, found := strings.Cut(strings.TrimSpace(line), "herald "); found {
				scripted["herald "+strings.ReplaceAll(command, "'", `"`)] = true
			}
		}
	}
	comment := regexp.MustCompile(` {2,}.*$`)
	commands := 0
	walk(testTerminal().rootCommand(), func(command *cobra.Command) {
		for line := range strings.SplitSeq(command.Example, "\n") {
			line = comment.ReplaceAllString(strings.TrimSpace(line), "")
			line, _, _ = strings.Cut(line, " | ")
			line, _, _ = strings.Cut(line, " > ")
			switch {
			case line == "", command.Name() == "sandbox": // it listens at a fixed port; the other scripts start it at a free one
				continue
			case strings.HasPrefix(line, "herald listen --addr"): // a fixed port, too
				continue
			case strings.HasPrefix(line, "herald webhooks test"): // leaves this machine: scripted on one that does not
				continue
			case line == "herald demo": // demo.txtar keeps its folder
				continue
			case line == `herald status "My first campaign" --watch`: // goes on for hours: scripted on one that ends
				continue
			}
			commands++
			if !scripted[line] {
				t.Errorf("%s: no script runs the example %q", command.CommandPath(), line)
			}
		}
	})
	if commands < 15 {
		t.Errorf("only %d examples were found", commands)
	}
}

// Every command says what it is for in one line that fits a screen, and every
// flag what it does.
func TestHelpFits(t *testing.T) {
	t.Parallel()
	walk(testTerminal().rootCommand(), func(command *cobra.Command) {
		if n := len("  exit-codes    " + command.Short); command.HasParent() && (command.Short == "" || n > 80) {
			t.Errorf("%s: its line in the help has %d characters", command.CommandPath(), n)
		}
		for line := range strings.Lines(command.Long + "\n" + command.Example) {
			if n := len([]rune(strings.TrimSuffix(line, "\n"))); n > 84 {
				t.Errorf("%s: a line of its help has %d characters: %s", command.CommandPath(), n, line)
			}
		}
	})
}

func testTerminal() *terminal {
	return &terminal{in: strings.NewReader(""), out: io.Discard, err: io.Discard}
}

func walk(command *cobra.Command, visit func(*cobra.Command)) {
	visit(command)
	for _, child := range command.Commands() {
		if child.Name() != "completion" { // cobra's own
			walk(child, visit)
		}
	}
}
