package app

import (
	"os"
	"strings"
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

// TestBaseURLs are checked where they are read, not when the first campaign is
// about to go out; a password in one is not repeated.
func TestBaseURLs(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"":                               "",
		"https://api.periskope.app/v1":   "",
		"http://127.0.0.1:8485/v1/":      "",
		"api.periskope.app/v1":           "must be absolute",
		"https://me:canary@example.com/": "must not hold a user name",
		"https://example.com/v1?canary":  "must not have a query",
		"http://example.com/v1":          "is plain http",
		"https://exa mple.com":           "is not a URL",
	} {
		_, err := LoadConfig(ConfigSource{File: os.DevNull, Environ: []string{"HERALD_PERISKOPE_BASE_URL=" + url}})
		if want == "" {
			check(t, err)
			continue
		}
		if campaign.CodeOf(err) != campaign.CodeInvalid || !strings.HasPrefix(err.Error(), "HERALD_PERISKOPE_BASE_URL: periskope.base_url "+want) ||
			strings.Contains(err.Error(), "canary") || len(campaign.HintsOf(err)) != 1 {
			t.Errorf("%s: %v, want %q", url, err, want)
		}
	}
}
