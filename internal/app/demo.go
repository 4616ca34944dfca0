package app

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/examples"
)

// DemoCampaign is one of the demo's campaigns.
type DemoCampaign struct {
	File string
	Name string
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
	for _, name := range []string{"campaign.yaml", "poll.yaml"} {
		spec, err := parseFile(filepath.Join(dir, name))
		if err != nil {
			return nil, err
		}
		campaigns = append(campaigns, DemoCampaign{File: filepath.Join(dir, name), Name: spec.Name})
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
	c.Sandbox.Speed, c.Sandbox.Seed = demoSpeed, 1
	return c
}
