package app

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/herald-campaigns/herald/campaign"
)

// TestConfigNumbersHaveBounds: a number that means nothing is refused with its
// place and a fix, whichever key it is; it would take a cap away, or crash what
// counts with it.
func TestConfigNumbersHaveBounds(t *testing.T) {
	t.Parallel()
	const whole, fraction = "must be a whole number from 1 to %d", "must be a number from 0 to 1"
	for key, test := range map[string]struct {
		good, bad []string
		want      string
	}{
		"burst":     {[]string{"1", "1000", "1e2"}, []string{"0", "-5", "1001", ".inf", ".nan", "1.5", "true", "''", "", "99999999999999999999", "18446744073709551615"}, fmt.Sprintf(whole, campaign.MaxBurst)},
		"in_flight": {[]string{"1", "64"}, []string{"0", "-1", "65", "9999", ".inf", "2.9", "false", ""}, fmt.Sprintf(whole, campaign.MaxInFlight)},
		"hourly":    {[]string{"1", "10000000"}, []string{"0", "-5", "10000001", "-.inf", "12015550123", "true", ""}, fmt.Sprintf(whole, campaign.MaxCap)},
		"daily":     {[]string{"1", "10000000"}, []string{"0", "-5", "10000001", ".nan", "12015550123", "0.5", ""}, fmt.Sprintf(whole, campaign.MaxCap)},
		"jitter":    {[]string{"0", "0.3", "1"}, []string{"-0.1", "1.01", "7", ".inf", ".nan", "true", "''"}, fraction},
		"rate":      {[]string{"1/m", "unlimited"}, []string{"''", "", "0/m", "-1/m", ".inf", "20", "12015550123/m"}, ""},
	} {
		for _, value := range test.good {
			takes(t, "senders:\n  \"12015550123\":\n    "+key+": "+value+"\n", "")
		}
		for _, value := range test.bad {
			text := "senders:\n  \"12015550123\":\n    " + key + ": " + value + "\n"
			err := refuses(t, text, "herald.yaml:3: senders.12*****0123."+key+" ")
			if test.want != "" && !strings.HasSuffix(err, test.want) && !strings.HasSuffix(err, "is a whole number") && !strings.HasSuffix(err, "is a number") {
				t.Errorf("%q: %s, want %s", text, err, test.want)
			}
		}
	}
	for key, test := range map[string]struct{ good, bad []string }{
		"sandbox.speed":   {[]string{"0.001", "1", "1000000"}, []string{"0", "-1", "1e-300", "1e300", ".inf", "-.inf", ".nan", "true", ""}},
		"sandbox.seed":    {[]string{"1", "18446744073709551615"}, []string{"0", "-1", "1.5", ".nan", ".inf", "1e300", "true", "''", ""}},
		"poll.per_second": {[]string{"0.001", "2", "10000"}, []string{"0", "-1", "1e300", ".inf", "-.inf", ".nan", "true", "''", ""}},
	} {
		section, name, _ := strings.Cut(key, ".")
		variable := "HERALD_" + strings.ToUpper(section+"_"+name)
		for _, value := range test.good {
			takes(t, section+":\n  "+name+": "+value+"\n", "")
			takes(t, "", variable+"="+value)
		}
		for _, value := range test.bad {
			refuses(t, section+":\n  "+name+": "+value+"\n", "herald.yaml:2: "+key+" ")
			if in := fromEnvironment.Replace(value); in != "" {
				_, err := LoadConfig(ConfigSource{File: os.DevNull, Environ: []string{variable + "=" + in}})
				if campaign.CodeOf(err) != campaign.CodeInvalid || !strings.HasPrefix(err.Error(), variable+": "+key+" ") || len(campaign.HintsOf(err)) == 0 {
					t.Errorf("%s=%s: %v", variable, in, err)
				}
			}
		}
	}
}

// fromEnvironment writes what YAML has a form of its own for.
var fromEnvironment = strings.NewReplacer(".inf", "inf", ".nan", "nan", "'", "")

// TestConfigErrorsHaveNoWholeNumber, wherever in the file somebody has put one.
func TestConfigErrorsHaveNoWholeNumber(t *testing.T) {
	t.Parallel()
	for text, place := range map[string]string{
		"12015550123: 4\n": "herald.yaml:1: ",
		"listen: x\nsender:\n  \"12015550123\":\n    daily: 1\n": "herald.yaml:4: ",
		"sender:\n  \"+1 201 555 0123\":\n    daily: 1\n":        "herald.yaml:3: ",
		"senders:\n  \"+12015550123\":\n    daily: 1\n":          "herald.yaml:3: ",
		"senders:\n  \"12015550123\":\n    \"12025550123\": 1\n": "herald.yaml:3: ",
		"senders:\n  \"12015550123\": 12025550123\n":             "herald.yaml:2: ",
		"senders:\n  12015550123:\n    dayly: 1\n":               "herald.yaml:3: ",
		"senders:\n  12015550123: {daily: 12025550123}\n":        "herald.yaml:2: ",
		"senders: [\"12015550123\"]\n":                           "herald.yaml:1: ",
		"senders: 12015550123\n":                                 "herald.yaml:1: ",
		"senders: {\"12015550123\": {}, \"12015550123\": {}}\n":  "read herald.yaml",
		"senders:\n  \"12015550123\":\n  \t12025550123\n":        "read herald.yaml",
		"- 12015550123\n":                      "herald.yaml:1: ",
		"\n12015550123\n":                      "herald.yaml:2: ",
		"*12015550123\n":                       "read herald.yaml",
		"mode: \"12015550123\"\n":              "herald.yaml:1: ",
		"listen: 12015550123\n":                "herald.yaml:1: ",
		"log:\n  level: 12015550123\n":         "herald.yaml:2: ",
		"log:\n  format: 12015550123\n":        "herald.yaml:2: ",
		"nats:\n  storage: 12015550123\n":      "herald.yaml:2: ",
		"optouts:\n  words: [[12015550123]]\n": "herald.yaml:2: ",
		"optouts:\n  confirmation: true\n":     "herald.yaml:2: ",
		"data_dir:\n":                          "herald.yaml:1: ",
		"notify:\n  allow_private: {a: 1}\n":   "herald.yaml:2: ",
	} {
		refuses(t, text, place)
	}
}

// TestFilesOfSecretsThatCannotBeRead: the error says which key names the file,
// where, and what to do. What was named is left out, for it may be the secret
// itself.
func TestFilesOfSecretsThatCannotBeRead(t *testing.T) {
	t.Parallel()
	empty := filepath.Join(t.TempDir(), "empty")
	check(t, os.WriteFile(empty, nil, 0o600))
	for name, test := range map[string]struct{ key, value, want string }{
		"no token file":          {"token_file", "sk-canary", "periskope.token_file cannot be read: "},
		"a folder":               {"token_file", ".", "periskope.token_file cannot be read: "},
		"a token file with none": {"token_file", empty, "periskope.token_file has 0 words in it"},
		"no key file":            {"webhook_key_file", "pk-canary", "periskope.webhook_key_file cannot be read: "},
		"a key file with none":   {"webhook_key_file", empty, "periskope.webhook_key_file has 0 keys in it"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := refuses(t, "periskope:\n  "+test.key+": "+test.value+"\n", "herald.yaml:2: "+test.want); strings.Contains(got, "canary") {
				t.Error(got)
			}
			variable := "HERALD_PERISKOPE_" + strings.ToUpper(test.key)
			_, err := LoadConfig(ConfigSource{File: os.DevNull, Environ: []string{variable + "=" + test.value}})
			if err == nil || !strings.HasPrefix(err.Error(), variable+": "+test.want) || len(campaign.HintsOf(err)) == 0 {
				t.Errorf("%v", err)
			}
		})
	}
}

func takes(t *testing.T, text, variable string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "herald.yaml")
	check(t, os.WriteFile(file, []byte(text), 0o600))
	if _, err := LoadConfig(ConfigSource{File: file, Environ: []string{variable}}); err != nil {
		t.Errorf("%q %s: %v", text, variable, err)
	}
}

var wholeNumber = regexp.MustCompile(`[0-9]{11}|555 ?0123`)

// refuses wants a configuration refused in words that begin with the place,
// name a fix and hold no whole number, and gives them.
func refuses(t *testing.T, text, begin string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "herald.yaml")
	check(t, os.WriteFile(file, []byte(text), 0o600))
	_, err := LoadConfig(ConfigSource{File: file})
	if err == nil {
		t.Errorf("%q is taken", text)
		return ""
	}
	hints := campaign.HintsOf(err)
	words := strings.ReplaceAll(err.Error(), file, "herald.yaml")
	if campaign.CodeOf(err) != campaign.CodeInvalid || !strings.HasPrefix(words, begin) || len(hints) == 0 || wholeNumber.MatchString(words) {
		t.Errorf("%q: %q, want %q; hints %q", text, words, begin, hints)
	}
	return words
}
