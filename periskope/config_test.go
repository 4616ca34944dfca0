package periskope_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/herald-campaigns/herald/periskope"
)

func TestConfigIsRefusedByFieldName(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		config periskope.Config
		want   string // part of the error; "" when the configuration is right
	}{
		"defaults":            {periskope.Config{Token: testToken}, ""},
		"loopback http":       {periskope.Config{Token: testToken, BaseURL: "http://127.0.0.1:8080/v1/"}, ""},
		"localhost http":      {periskope.Config{Token: testToken, BaseURL: "http://localhost:8080/v1"}, ""},
		"insecure asked for":  {periskope.Config{Token: testToken, BaseURL: "http://api.example/v1", AllowInsecure: true}, ""},
		"no token":            {periskope.Config{}, "token"},
		"token with newline":  {periskope.Config{Token: testToken + "\n"}, "token"},
		"token with space":    {periskope.Config{Token: "Bearer " + testToken}, "token"},
		"relative":            {periskope.Config{Token: testToken, BaseURL: "api.periskope.app/v1"}, "base_url"},
		"other scheme":        {periskope.Config{Token: testToken, BaseURL: "ftp://api.example"}, "base_url"},
		"no host":             {periskope.Config{Token: testToken, BaseURL: "https:///v1"}, "base_url"},
		"query":               {periskope.Config{Token: testToken, BaseURL: "https://api.example/v1?x=1"}, "base_url"},
		"fragment":            {periskope.Config{Token: testToken, BaseURL: "https://api.example/v1#x"}, "base_url"},
		"password":            {periskope.Config{Token: testToken, BaseURL: "https://u:" + testToken + "@api.example/v1"}, "base_url"},
		"unparsable":          {periskope.Config{Token: testToken, BaseURL: "https://api.example/%zz" + testToken}, "base_url"},
		"clear text":          {periskope.Config{Token: testToken, BaseURL: "http://api.example/v1"}, "base_url"},
		"clear text, private": {periskope.Config{Token: testToken, BaseURL: "http://10.0.0.1/v1"}, "base_url"},
		"negative timeout":    {periskope.Config{Token: testToken, Timeout: -1}, "timeout"},
		"negative header":     {periskope.Config{Token: testToken, HeaderTimeout: -1}, "header_timeout"},
		"negative conns":      {periskope.Config{Token: testToken, MaxConns: -1}, "max_conns"},
		"user agent":          {periskope.Config{Token: testToken, UserAgent: "a\r\nb"}, "user_agent"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client, err := periskope.New(test.config)
			switch {
			case test.want == "" && (err != nil || client == nil):
				t.Fatalf("New: %v, want none", err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want+":")):
				t.Fatalf("New: %v, want an error naming %s", err, test.want)
			case err != nil && strings.Contains(err.Error(), testToken):
				t.Fatalf("the error shows the token: %v", err)
			}
		})
	}
}

func TestTokenNeverShowsItself(t *testing.T) {
	t.Parallel()
	token := periskope.Token(testToken)
	config := periskope.Config{Token: token}
	client := newClientOf(t, config)
	holder := struct {
		Client *periskope.Client
		client *periskope.Client
		any    any
	}{client, client, client}
	var out strings.Builder
	for _, v := range []any{token, &token, config, &config, client, *client, holder, &holder, []any{token, client}, map[string]any{"t": token}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%t"} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
	}
	var log bytes.Buffer
	logger := slog.New(slog.NewJSONHandler(&log, nil))
	logger.Info("x", slog.Any("token", token), slog.Any("config", config), slog.Any("client", client))
	encoded, err := json.Marshal(config.Token)
	if err != nil {
		t.Fatal(err)
	}
	all := out.String() + log.String() + string(encoded)
	if strings.Contains(all, testToken) || strings.Contains(all, fmt.Sprintf("%x", testToken)) {
		t.Errorf("the token is shown in:\n%s", all)
	}
	if got := fmt.Sprint(token); got != "[token]" {
		t.Errorf("Sprint = %q", got)
	}
}
