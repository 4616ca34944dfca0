package app

import (
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/sandbox"
)

//go:embed herald.yaml
var starterConfig []byte

// Schema is the JSON Schema of the campaign file.
func Schema() []byte { return campaign.Schema() }

// WriteStarter writes the files a newcomer starts from into dir, and leaves
// those that exist as they are.
func WriteStarter(dir string) (written, kept []string, err error) {
	const elsewhere = "name a folder that you may write to: `herald init FOLDER`"
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // a folder of the user's own, like any other
		return nil, nil, notWritable(dir, err, elsewhere)
	}
	written, kept = []string{}, []string{}
	for _, file := range []struct {
		name    string
		content []byte
	}{
		{"campaign.yaml", campaign.Starter()},
		{"recipients.csv", campaign.StarterCSV()},
		{ConfigFile, starterConfig},
	} {
		path := filepath.Join(dir, file.name)
		// The configuration may come to hold a token: nobody else reads it.
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if errors.Is(err, fs.ErrExist) {
			kept = append(kept, path)
			continue
		}
		if err != nil {
			return written, kept, notWritable(path, err, elsewhere)
		}
		_, err = f.Write(file.content)
		if err := errors.Join(err, f.Close()); err != nil {
			return written, kept, notWritable(path, err, elsewhere)
		}
		written = append(written, path)
	}
	return written, kept, nil
}

// SandboxHelp explains the simulator's magic numbers and control API.
func SandboxHelp() string { return sandbox.Help() }

// EnvironmentHelp lists the environment variables and what they set.
func EnvironmentHelp() string {
	var b strings.Builder
	b.WriteString("Environment variables, in the order defaults < herald.yaml < environment < flags:\n\n")
	for _, v := range environment() {
		fmt.Fprintf(&b, "  %-30s %s\n", v.name, v.meaning)
	}
	b.WriteString("\nNO_COLOR and TERM=dumb switch colors off, CLICOLOR_FORCE switches them on.\n")
	return b.String()
}
