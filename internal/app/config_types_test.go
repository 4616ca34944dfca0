package app_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/herald-campaigns/herald/internal/app"
)

// TestWrongTypesInPlainWords names the key, where it stands and what it takes,
// and neither the value, which may be a secret, nor a whole number.
func TestWrongTypesInPlainWords(t *testing.T) {
	t.Parallel()
	for content, want := range map[string]string{
		"sandbox: { speed: canary }":                          "herald.yaml:1: sandbox.speed is a number",
		"sandbox: { seed: canary, speed: [1] }":               "herald.yaml:1: sandbox.seed is a whole number; ",
		"notify: { allow_private: canary }":                   "herald.yaml:1: notify.allow_private is true or false",
		"periskope: { token: [canary] }":                      "periskope.token",
		"senders: { \"12015550123\": { in_flight: canary } }": "herald.yaml:1: senders.12*****0123.in_flight is a whole number",
		"senders: { \"12015550123\": { rate: often } }":       "is not a rate",
	} {
		file := filepath.Join(t.TempDir(), "herald.yaml")
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := app.LoadConfig(app.ConfigSource{File: file})
		if err == nil {
			t.Errorf("%s: taken", content)
			continue
		}
		text := strings.ReplaceAll(err.Error(), file, "herald.yaml")
		if !strings.Contains(text, want) || strings.Contains(text, "canary") || strings.Contains(text, "strconv") ||
			strings.Contains(text, "decoding") || strings.Contains(text, "12015550123") {
			t.Errorf("%s: %s", content, text)
		}
	}
}
