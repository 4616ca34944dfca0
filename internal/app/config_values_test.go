package app

import (
	"os"
	"testing"

	"github.com/herald-campaigns/herald/campaign"
)

// TestAddressesToListenAt are told from what cannot be one, with the place the
// value came from.
func TestAddressesToListenAt(t *testing.T) {
	t.Parallel()
	for address, good := range map[string]bool{
		"127.0.0.1:0": true, "localhost:8484": true, ":8484": true, "[::1]:8484": true, "0.0.0.0:65535": true,
		"nonsense": false, "127.0.0.1": false, "127.0.0.1:": false, "127.0.0.1:65536": false, "127.0.0.1:-1": false, "http://127.0.0.1:8484": false,
	} {
		_, err := LoadConfig(ConfigSource{File: os.DevNull, Environ: []string{"HERALD_LISTEN=" + address}})
		if good {
			if err != nil {
				t.Errorf("%s: %v", address, err)
			}
			continue
		}
		want := `HERALD_LISTEN: listen is "` + address + `"`
		if campaign.CodeOf(err) != campaign.CodeInvalid || err.Error() != want || len(campaign.HintsOf(err)) != 1 {
			t.Errorf("%s: %v, want %s", address, err, want)
		}
	}
}
