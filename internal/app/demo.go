package app

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/examples"
)

// DemoCampaign is one of the demo's campaigns.
type DemoCampaign struct {
	File string
	Name string
	// Patience is how long to wait for deliveries and answers after everything
	// was submitted: some of the invented people are offline for good.
	Patience time.Duration
}

// UnpackDemo writes the demo's files into dir, which is created if need be, and
// returns its campaigns in the order they are run. A file of the same name that
// is not the demo's own is never overwritten.
func UnpackDemo(dir string) ([]DemoCampaign, error) {
	demo := examples.Demo()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("create the demo's folder: %w", err)
	}
	err := fs.WalkDir(demo, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := fs.ReadFile(demo, name)
		if err != nil {
			return err
		}
		return unpackFile(filepath.Join(dir, name), content)
	})
	if err != nil {
		return nil, fmt.Errorf("unpack the demo: %w", err)
	}
	var campaigns []DemoCampaign
	for _, c := range []DemoCampaign{{File: "campaign.yaml", Patience: demoPause}, {File: "poll.yaml", Patience: demoPatience}} {
		c.File = filepath.Join(dir, c.File)
		spec, err := parseFile(c.File)
		if err != nil {
			return nil, err
		}
		c.Name = spec.Name
		campaigns = append(campaigns, c)
	}
	return campaigns, nil
}

func unpackFile(path string, content []byte) error {
	there, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return os.WriteFile(path, content, 0o600)
	case err == nil && !bytes.Equal(there, content):
		return &campaign.Error{
			Code: campaign.CodeInvalid, What: path + " exists and is not the demo's",
			Hint: "name an empty folder with --dir, or leave it out",
		}
	default:
		return err
	}
}

// ForDemo is the configuration of a demo: the simulator at a speed people can
// watch, whatever else is set.
func (c Config) ForDemo(dataDir string) Config {
	c.Mode, c.DataDir = campaign.ModeSandbox, dataDir
	c.Senders = nil
	if c.Log.Level == "warn" {
		c.Log.Level = "error" // the phone is meant to go, and the progress says so
	}
	c.Sandbox.Speed, c.Sandbox.Seed = demoSpeed, 1
	return c
}
