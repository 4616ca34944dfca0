package app

import (
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/templates"
)

// showPlace turns a place in the text of a message field into one a person
// finds: the line under a caret, and its line and column in the campaign file
// where that can be told.
func showPlace(p *campaign.Problem, spec campaign.Spec) {
	p.File = nearName(spec.Path)
	if p.Line < 1 {
		return
	}
	source := templates.SourceIn(spec.Messages(), p.Field)
	if caret := templates.Caret(source, int(p.Line), p.Column); caret != "" {
		p.What += "\n" + caret
	}
	line, column, found := placeInFile(spec.Path, source, int(p.Line), p.Column)
	if !found {
		p.Line, p.Column = 0, 0
		return
	}
	p.Line, p.Column = line, column
}

// placeInFile finds a line of a field's text in the campaign file. YAML
// indents and quotes it, so it is only told when exactly one line holds it.
func placeInFile(path, source string, line, column int) (int64, int, bool) {
	lines := strings.Split(source, "\n")
	if line > len(lines) {
		return 0, 0, false
	}
	whole := strings.TrimSuffix(lines[line-1], "\r")
	wanted := strings.TrimSpace(whole)
	indented := utf8.RuneCountInString(whole[:len(whole)-len(strings.TrimLeft(whole, " \t"))])
	content, err := os.ReadFile(path)
	if err != nil || wanted == "" {
		return 0, 0, false
	}
	at, offset := 0, 0
	for i, text := range strings.Split(string(content), "\n") {
		before, _, ok := strings.Cut(text, wanted)
		if !ok {
			continue
		}
		if at > 0 {
			return 0, 0, false
		}
		at, offset = i+1, utf8.RuneCountInString(before)
	}
	return int64(at), offset + column - indented, at > 0
}

// nearName is a path as a person in the working directory would write it.
func nearName(path string) string {
	here, err := os.Getwd()
	if err != nil {
		return path
	}
	if near, err := filepath.Rel(here, path); err == nil && filepath.IsLocal(near) {
		return near
	}
	return path
}
