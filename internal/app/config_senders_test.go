package app

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/herald-campaigns/herald/campaign"
)

// TestSenderLimitsHoldOrAreRefused: a limit that would be ignored leaves a
// number without its caps.
func TestSenderLimitsHoldOrAreRefused(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		yaml string
		ok   bool
	}{
		"digits":          {`senders: {"12015550123": {rate: 1/m, burst: 1, jitter: 0.3, in_flight: 1, hourly: 10, daily: 50}}`, true},
		"phone id":        {`senders: {phone-abcdefghijklmnop: {daily: 50}}`, true},
		"none":            {`senders: {}`, true},
		"plus and spaces": {`senders: {"+1 201 555 0123": {daily: 50}}`, false},
		"dots":            {`senders: {"1.201.555.0123": {daily: 50}}`, false},
		"typing mistake":  {`senders: {"12015550123": {dayly: 50}}`, false},
		"deeper":          {`senders: {"12015550123": {daily: {most: 50}}}`, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "herald.yaml")
			if err := os.WriteFile(file, []byte(test.yaml), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := LoadConfig(ConfigSource{File: file})
			if test.ok && err != nil {
				t.Error(err)
			}
			if !test.ok && campaign.CodeOf(err) != campaign.CodeInvalid {
				t.Errorf("%v is taken", test.yaml)
			}
		})
	}
}
