package app

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/herald-campaigns/herald/campaign"
)

func TestWebhookKeys(t *testing.T) {
	t.Parallel()
	file := func(content string) string {
		path := filepath.Join(t.TempDir(), "key")
		check(t, os.WriteFile(path, []byte(content), 0o600))
		return path
	}
	for name, test := range map[string]struct {
		environ  []string
		key, old string
		refused  bool
	}{
		"none":                {nil, "", "", false},
		"of the environment":  {[]string{"HERALD_PERISKOPE_WEBHOOK_KEY=pk-new", "HERALD_PERISKOPE_WEBHOOK_KEY_OLD=pk-old"}, "pk-new", "pk-old", false},
		"of a file":           {[]string{"HERALD_PERISKOPE_WEBHOOK_KEY_FILE=" + file("pk-new\n")}, "pk-new", "", false},
		"both of a file":      {[]string{"HERALD_PERISKOPE_WEBHOOK_KEY_FILE=" + file("pk-new\r\npk-old\r\n")}, "pk-new", "pk-old", false},
		"environment wins":    {[]string{"HERALD_PERISKOPE_WEBHOOK_KEY=pk-env", "HERALD_PERISKOPE_WEBHOOK_KEY_FILE=" + file("pk-new")}, "pk-env", "", false},
		"an empty file":       {[]string{"HERALD_PERISKOPE_WEBHOOK_KEY_FILE=" + file("\n")}, "", "", true},
		"too many":            {[]string{"HERALD_PERISKOPE_WEBHOOK_KEY_FILE=" + file("pk-a\npk-b\npk-c\n")}, "", "", true},
		"a file that is gone": {[]string{"HERALD_PERISKOPE_WEBHOOK_KEY_FILE=" + filepath.Join(t.TempDir(), "no")}, "", "", true},
	} {
		cfg, err := LoadConfig(ConfigSource{File: os.DevNull, Environ: test.environ})
		if test.refused {
			if campaign.CodeOf(err) != campaign.CodeInvalid || strings.Contains(err.Error(), "pk-") {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err != nil || string(cfg.Periskope.WebhookKey) != test.key || string(cfg.Periskope.WebhookKeyOld) != test.old {
			t.Errorf("%s: key %q, old %q, %v", name, string(cfg.Periskope.WebhookKey), string(cfg.Periskope.WebhookKeyOld), err)
		}
		if shown := fmt.Sprintf("%v %+v %#v", cfg, cfg, cfg); strings.Contains(shown, "pk-") {
			t.Errorf("%s: the configuration shows its keys", name)
		}
	}
}
