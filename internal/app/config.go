package app

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/go-viper/mapstructure/v2"
	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/v2"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/periskope"
)

// ConfigFile is the configuration read from the working directory when no
// other is named.
const ConfigFile = "herald.yaml"

// Config is what can be set (design §8): defaults, then herald.yaml, then
// HERALD_* environment variables, then flags; the later one wins.
type Config struct {
	Mode    campaign.Mode `koanf:"mode"`
	DataDir string        `koanf:"data_dir"`

	Periskope struct {
		BaseURL   string          `koanf:"base_url"`
		Token     periskope.Token `koanf:"token"`
		TokenFile string          `koanf:"token_file"`
		// The keys deliveries of webhooks are signed with: the one of the console,
		// and the one before it for as long as they are being exchanged.
		WebhookKey     periskope.Token `koanf:"webhook_key"`
		WebhookKeyOld  periskope.Token `koanf:"webhook_key_old"`
		WebhookKeyFile string          `koanf:"webhook_key_file"`
	} `koanf:"periskope"`

	Notify struct {
		AllowPrivate bool `koanf:"allow_private"` // notices may go into private networks
	} `koanf:"notify"`

	// OptOuts say which words count, beside the built-in ones.
	OptOuts struct {
		Words        []string `koanf:"words"`        // count as an opt-out too
		StartWords   []string `koanf:"start_words"`  // count as an opt-in too
		Ignore       []string `koanf:"ignore"`       // do not count any more
		Confirmation string   `koanf:"confirmation"` // what a person is answered who opted out; "" for nothing
	} `koanf:"optouts"`

	// Senders are the paces of single phones, by number. A campaign's own pace
	// can only be slower.
	Senders map[string]campaign.Pace `koanf:"senders"`

	Sandbox struct {
		Speed float64 `koanf:"speed"` // times faster than life
		Seed  uint64  `koanf:"seed"`
	} `koanf:"sandbox"`

	Poll struct {
		PerSecond float64 `koanf:"per_second"` // status requests a second
	} `koanf:"poll"`

	// Listen is where `herald serve` answers, host:port.
	Listen string `koanf:"listen"`

	NATS struct {
		Storage string `koanf:"storage"` // memory or file
	} `koanf:"nats"`

	Log struct {
		Level  string `koanf:"level"`
		Format string `koanf:"format"`
	} `koanf:"log"`

	// Origin says for each key where its value came from: default, the file's
	// name and the line, the variable's name, or flag.
	Origin map[string]string `koanf:"-"`
}

// defaults are the values of every key that has one. They are safe: the
// simulator, in a folder of its own.
func defaults() map[string]any {
	return map[string]any{
		"mode":                 string(campaign.ModeSandbox),
		"data_dir":             "herald-data",
		"periskope.base_url":   "https://api.periskope.app/v1",
		"notify.allow_private": false,
		"sandbox.speed":        100.0,
		"sandbox.seed":         1,
		"poll.per_second":      0.0,
		"listen":               "127.0.0.1:8484",
		"nats.storage":         "memory",
		"log.level":            "warn",
		"log.format":           "auto",
	}
}

// variable is one environment variable.
type variable struct{ name, key, meaning string }

// environment lists the variables in the order help shows them.
func environment() []variable {
	return []variable{
		{"HERALD_MODE", "mode", "sandbox (default) or live"},
		{"HERALD_DATA_DIR", "data_dir", "data folder (default herald-data)"},
		{"HERALD_PERISKOPE_BASE_URL", "periskope.base_url", "default https://api.periskope.app/v1"},
		{"HERALD_PERISKOPE_TOKEN", "periskope.token", "API token; needed in live mode"},
		{"HERALD_PERISKOPE_TOKEN_FILE", "periskope.token_file", "file that holds the API token"},
		{"HERALD_PERISKOPE_WEBHOOK_KEY", "periskope.webhook_key", "key webhooks are signed with; needed to receive any"},
		{"HERALD_PERISKOPE_WEBHOOK_KEY_OLD", "periskope.webhook_key_old", "the key before it, while they are exchanged"},
		{"HERALD_PERISKOPE_WEBHOOK_KEY_FILE", "periskope.webhook_key_file", "file with the key, and below it the old one"},
		{"HERALD_NOTIFY_ALLOW_PRIVATE", "notify.allow_private", "true: notices may go into private networks"},
		{"HERALD_SANDBOX_SPEED", "sandbox.speed", "times faster than life (default 100)"},
		{"HERALD_SANDBOX_SEED", "sandbox.seed", "same seed, same run (default 1)"},
		{"HERALD_POLL_PER_SECOND", "poll.per_second", "status requests a second (default 2)"},
		{"HERALD_LISTEN", "listen", "where herald serve answers (default 127.0.0.1:8484)"},
		{"HERALD_NATS_STORAGE", "nats.storage", "memory (default) or file"},
		{"HERALD_LOG_LEVEL", "log.level", "debug, info, warn (default) or error"},
		{"HERALD_LOG_FORMAT", "log.format", "auto (default), text or json"},
	}
}

// notYet are keys of the design that this version does not act on; setting one
// is refused rather than ignored.
var notYet = map[string]string{ //nolint:gochecknoglobals // a table
	"database.url": "PostgreSQL",
	"nats.url":     "an external NATS cluster",
}

// ConfigSource says where configuration comes from besides the defaults.
type ConfigSource struct {
	File    string         // named by the user: must exist; empty: herald.yaml if there is one
	Environ []string       // as os.Environ gives it
	Flags   map[string]any // key → value, only flags the user set
}

// LoadConfig merges the sources and validates the result. Errors name the key
// and where its value came from.
func LoadConfig(src ConfigSource) (Config, error) {
	k := koanf.New(".")
	origin := map[string]string{}
	load := func(values map[string]any, from func(key string) string) error {
		if err := k.Load(confmap.Provider(values, "."), nil); err != nil {
			return fmt.Errorf("read configuration: %w", err)
		}
		for key := range values {
			origin[key] = from(key)
		}
		return nil
	}
	if err := load(defaults(), func(string) string { return "default" }); err != nil {
		return Config{}, err
	}
	fromFile, places, name, err := readConfigFile(src.File)
	if err != nil {
		return Config{}, err
	}
	if err := load(fromFile, func(key string) string { return place(places, key, name) }); err != nil {
		return Config{}, err
	}
	fromEnv, names, err := readEnviron(src.Environ)
	if err != nil {
		return Config{}, err
	}
	if err := load(fromEnv, func(key string) string { return names[key] }); err != nil {
		return Config{}, err
	}
	if err := load(src.Flags, func(string) string { return "flag" }); err != nil {
		return Config{}, err
	}
	if err := refuseUnknown(k, origin); err != nil {
		return Config{}, err
	}
	var cfg Config
	err = k.UnmarshalWithConf("", &cfg, koanf.UnmarshalConf{DecoderConfig: &mapstructure.DecoderConfig{
		Result: &cfg, WeaklyTypedInput: true, TagName: "koanf",
		DecodeHook: mapstructure.ComposeDecodeHookFunc(asWritten, mapstructure.TextUnmarshallerHookFunc()),
		MatchName: func(key, field string) bool { // in_flight of a pace, which has no tags of ours
			return strings.EqualFold(strings.ReplaceAll(key, "_", ""), strings.ReplaceAll(field, "_", ""))
		},
	}})
	if err != nil {
		return Config{}, wrongTypes(err, origin)
	}
	cfg.Origin = origin
	if err := errors.Join(cfg.readToken(), cfg.readWebhookKey()); err != nil {
		return Config{}, err
	}
	return cfg, cfg.validate()
}

// readConfigFile gives the values of the file by key, and the place where each
// key stands.
func readConfigFile(name string) (values map[string]any, places map[string]string, file string, err error) {
	named := name != ""
	if !named {
		name = ConfigFile
	}
	content, err := os.ReadFile(name)
	switch {
	case err == nil:
	case !named && errors.Is(err, fs.ErrNotExist):
		return nil, nil, name, nil
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil, name, &campaign.Error{Code: campaign.CodeInvalid, What: fmt.Sprintf("configuration file %s does not exist", name), Hint: "`herald init` writes one"}
	default:
		return nil, nil, name, &campaign.Error{Code: campaign.CodeInvalid, What: "read " + name, Hint: "make it readable for who runs herald, or name another one with --config", Err: withoutPath(err)}
	}
	sections, places, err := parseConfig(name, content)
	if err != nil {
		return nil, nil, name, err
	}
	k := koanf.New(".")
	if err := k.Load(confmap.Provider(sections, ""), nil); err != nil {
		return nil, nil, name, fmt.Errorf("read %s: %w", name, err)
	}
	return k.All(), places, name, nil
}

// readEnviron reads the HERALD_* variables. One that means nothing is refused,
// like a key of the file: a typing mistake must not become a default. Those of
// the test suites are none of ours.
func readEnviron(environ []string) (values map[string]any, names map[string]string, err error) {
	values, names = map[string]any{}, map[string]string{}
	keys := map[string]string{}
	var known []string
	for _, v := range environment() {
		keys[v.name] = v.key
		known = append(known, v.name)
	}
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		ours, found := strings.CutPrefix(name, "HERALD_")
		if !found || value == "" {
			continue
		}
		key, ok := keys[name]
		if !ok {
			first, _, _ := strings.Cut(ours, "_")
			if slices.Contains([]string{"TEST", "BENCH", "FUZZ", "REQUIRE"}, first) {
				continue
			}
			e := &campaign.Error{
				Code: campaign.CodeInvalid, What: "this version does not know the environment variable " + name,
				Hint: "unset it; `herald help environment` lists the ones there are",
			}
			if near := campaign.Nearest(name, known); near != "" {
				e.Hint = "did you mean " + near + "?"
			}
			return nil, nil, e
		}
		values[key], names[key] = value, name
	}
	return values, names, nil
}

// refuseUnknown reports keys that mean nothing: a typing mistake must not
// become a default.
func refuseUnknown(k *koanf.Koanf, origin map[string]string) error {
	known := slices.Collect(maps.Keys(defaults()))
	known = append(known, "periskope.token", "periskope.token_file",
		"periskope.webhook_key", "periskope.webhook_key_old", "periskope.webhook_key_file", "senders",
		"optouts.words", "optouts.start_words", "optouts.ignore", "optouts.confirmation")
	for _, key := range k.Keys() {
		if slices.Contains(known, key) {
			continue
		}
		if sender, ok := strings.CutPrefix(key, "senders."); ok {
			if err := refuseUnknownSender(sender, origin[key]); err != nil {
				return err
			}
			continue
		}
		if what, later := notYet[key]; later {
			return &campaign.Error{
				Code: campaign.CodeInvalid, What: fmt.Sprintf("%s: %s needs %s, which this version does not have", origin[key], key, what),
				Hint: "remove the key",
			}
		}
		return &campaign.Error{
			Code: campaign.CodeInvalid, What: fmt.Sprintf("%s: unknown key %q", origin[key], masked(key)),
			Hint: nearestKey(key, known),
		}
	}
	return nil
}

// senderKey is a number or phone id as a campaign's senders are kept, and the
// limit set for it.
var senderKey = regexp.MustCompile(`^([1-9][0-9]{6,14}|phone-[A-Za-z0-9_-]{1,64})(?:\.(.*))?$`)

// refuseUnknownSender reports limits that would hold for nobody: a number
// written another way than the campaign's would leave the sender without its
// caps.
func refuseUnknownSender(key, origin string) error {
	limits := []string{"rate", "burst", "jitter", "in_flight", "hourly", "daily"}
	parts := senderKey.FindStringSubmatch(key)
	switch {
	case parts == nil:
		return &campaign.Error{
			Code: campaign.CodeInvalid, What: origin + ": senders names a phone in a way that no campaign does",
			Hint: `write its number in digits, with the country code and in quotes: "12015550123", or its Periskope id: phone-…`,
		}
	case parts[2] != "" && !slices.Contains(limits, parts[2]):
		hint := "it is one of " + strings.Join(limits, ", ")
		if near := campaign.Nearest(parts[2], limits); near != "" {
			hint = fmt.Sprintf("did you mean %q?", near)
		}
		return &campaign.Error{
			Code: campaign.CodeInvalid, What: fmt.Sprintf("%s: a sender has no key %q", origin, masked(parts[2])), Hint: hint,
		}
	}
	return nil
}

func nearestKey(key string, known []string) string {
	if near := campaign.Nearest(key, known); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	return "`herald init` writes a commented herald.yaml"
}

// readToken takes the token from its file, so that it need not stand in the
// environment or the configuration.
func (c *Config) readToken() error {
	if c.Periskope.Token != "" || c.Periskope.TokenFile == "" {
		return nil
	}
	content, err := os.ReadFile(c.Periskope.TokenFile)
	if err != nil {
		return c.unreadable("periskope.token_file", "name a file that holds only the API token; a relative path begins at the working directory", err)
	}
	words := strings.Fields(string(content))
	if len(words) != 1 {
		return c.invalid("periskope.token_file", fmt.Sprintf("has %d words in it", len(words)), "name a file that holds only the API token")
	}
	c.Periskope.Token = periskope.Token(words[0])
	return nil
}

// readWebhookKey takes the keys of webhooks from their file: the key, and on a
// second line the one before it.
func (c *Config) readWebhookKey() error {
	if c.Periskope.WebhookKey != "" || c.Periskope.WebhookKeyFile == "" {
		return nil
	}
	content, err := os.ReadFile(c.Periskope.WebhookKeyFile)
	if err != nil {
		return c.unreadable("periskope.webhook_key_file", keyFileHint+"; a relative path begins at the working directory", err)
	}
	keys := strings.Fields(string(content))
	if len(keys) == 0 || len(keys) > 2 {
		return c.invalid("periskope.webhook_key_file", fmt.Sprintf("has %d keys in it", len(keys)), keyFileHint)
	}
	c.Periskope.WebhookKey = periskope.Token(keys[0])
	if len(keys) == 2 && c.Periskope.WebhookKeyOld == "" {
		c.Periskope.WebhookKeyOld = periskope.Token(keys[1])
	}
	return nil
}

const keyFileHint = "name a file that holds the signing key of the Periskope console, and below it the one before, while they are exchanged"

// unreadable is the error of a file that a key names. The path is left out:
// who confuses the file with what is in it has put a secret there.
func (c *Config) unreadable(key, hint string, err error) error {
	return &campaign.Error{Code: campaign.CodeInvalid, What: fmt.Sprintf("%s: %s cannot be read", c.Origin[key], key), Hint: hint, Err: withoutPath(err)}
}

// withoutPath is why a file could not be read, without its name.
func withoutPath(err error) error {
	if inner, ok := errors.AsType[*fs.PathError](err); ok {
		return inner.Err
	}
	return err
}

// canSend says whether there is what sending needs. Looking needs no token.
func (c Config) canSend() error {
	if c.Mode == campaign.ModeLive && c.Periskope.Token == "" {
		return &campaign.Error{
			Code: campaign.CodeUnauthorized, What: "live mode needs a Periskope API token",
			Hint: "set HERALD_PERISKOPE_TOKEN (or periskope.token_file), or leave mode at sandbox to try things out",
		}
	}
	return nil
}

func (c *Config) validate() error {
	switch c.Mode {
	case campaign.ModeSandbox, campaign.ModeLive:
	default:
		return c.invalid("mode", fmt.Sprintf("is %q", masked(string(c.Mode))), "sandbox (the built-in simulator) or live (the Periskope API)")
	}
	if c.DataDir == "" {
		return c.invalid("data_dir", "is empty", "name a folder; one that does not exist is made")
	}
	if info, err := os.Stat(c.DataDir); errors.Is(err, syscall.ENOTDIR) || err == nil && !info.IsDir() {
		return c.invalid("data_dir", fmt.Sprintf("is %q, a file or below one", c.DataDir), "name a folder; one that does not exist is made")
	}
	if err := periskope.CheckBaseURL(c.Periskope.BaseURL); err != nil {
		return c.invalid("periskope.base_url", err.Error(), "leave it out for the production API, or give what every path of the API is appended to")
	}
	if !isAddress(c.Listen) {
		return c.invalid("listen", fmt.Sprintf("is %q", masked(c.Listen)), "host:port, e.g. 127.0.0.1:8484; port 0 takes any that is free")
	}
	if c.NATS.Storage != "memory" && c.NATS.Storage != "file" {
		return c.invalid("nats.storage", fmt.Sprintf("is %q", masked(c.NATS.Storage)), "memory or file")
	}
	if !slices.Contains([]string{"debug", "info", "warn", "error"}, c.Log.Level) {
		return c.invalid("log.level", fmt.Sprintf("is %q", masked(c.Log.Level)), "debug, info, warn or error")
	}
	if !slices.Contains([]string{"auto", "text", "json"}, c.Log.Format) {
		return c.invalid("log.format", fmt.Sprintf("is %q", masked(c.Log.Format)), "auto, text or json")
	}
	return c.checkNumbers()
}

// invalid is the error of a key's value, with the place where it stands.
func (c *Config) invalid(key, what, hint string) error {
	return &campaign.Error{Code: campaign.CodeInvalid, What: fmt.Sprintf("%s: %s %s", c.Origin[key], masked(key), what), Hint: hint}
}

// isAddress says whether a text looks like host:port, the port a number. Whether
// it can be listened at is seen by whoever does.
func isAddress(text string) bool {
	_, port, err := net.SplitHostPort(text)
	if err != nil {
		return false
	}
	_, err = strconv.ParseUint(port, 10, 16)
	return err == nil
}
