package app

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/herald-campaigns/herald/campaign"
)

// source is the recipients file to read: the campaign's own or the delta.
// Standard input is copied first, for it can be read only once.
type source struct {
	spec  campaign.Spec // with Recipients naming the file to read
	path  string
	piped bool // the file is a copy of standard input
}

func (a *App) source(spec campaign.Spec, options PrepareOptions) (source, func(), error) {
	s := source{spec: spec}
	switch options.Delta {
	case "":
	case "-":
		s.spec.Recipients.CSV = "-"
	default:
		// Relative to where the command runs, unlike the campaign's own file.
		absolute, err := filepath.Abs(options.Delta)
		if err != nil {
			return s, nil, err
		}
		s.spec.Recipients.CSV = absolute
	}
	if options.Delta != "" {
		// A delta is often a rejects file, which is UTF-8 whatever the original was.
		s.spec.Recipients.Encoding, s.spec.Recipients.Delimiter, s.spec.Recipients.Sheet = "", "", ""
	}
	if s.spec.Recipients.CSV != "-" {
		s.path = s.spec.Recipients.CSV
		if !filepath.IsAbs(s.path) {
			s.path = filepath.Join(filepath.Dir(spec.Path), s.path)
		}
		return s, func() {}, nil
	}
	folder, err := os.MkdirTemp(a.dir, "stdin-*")
	if err != nil {
		return s, nil, fmt.Errorf("copy standard input: %w", err)
	}
	cleanUp := func() { _ = os.RemoveAll(folder) } // a leftover is harmless
	// Problems name the file they are in.
	spool, err := os.Create(filepath.Join(folder, "standard-input.csv"))
	if err != nil {
		cleanUp()
		return s, nil, fmt.Errorf("copy standard input: %w", err)
	}
	_, copyErr := io.Copy(spool, options.Stdin)
	if err := errors.Join(copyErr, spool.Close()); err != nil {
		cleanUp()
		return s, nil, fmt.Errorf("copy standard input: %w", err)
	}
	s.path, s.spec.Recipients.CSV, s.piped = spool.Name(), spool.Name(), true
	return s, cleanUp, nil
}

// name is the file as a person knows it.
func (s source) name() string {
	if s.piped {
		return "standard input"
	}
	return filepath.Base(s.path)
}

// fromHere is what a person passes to --delta to have the file read again.
func (s source) fromHere() string {
	if s.piped {
		return "-"
	}
	return fromHere(s.path)
}

// fromHere is a path the way a person would type it where the command runs.
func fromHere(path string) string {
	here, err := os.Getwd()
	if err != nil {
		return path
	}
	relative, err := filepath.Rel(here, path)
	if err != nil || len(relative) > len(path) {
		return path
	}
	return relative
}
