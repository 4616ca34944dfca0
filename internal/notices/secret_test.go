package notices

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/herald-campaigns/herald/campaign"
)

// TestSecretIsDrawnOnce lets several ask a new directory at the same time.
func TestSecretIsDrawnOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	secrets := make([]Secret, 8)
	var asking sync.WaitGroup
	for i := range secrets {
		asking.Go(func() {
			secret, err := LoadSecret(dir)
			if err != nil {
				t.Errorf("LoadSecret: %v", err)
			}
			secrets[i] = secret
		})
	}
	asking.Wait()
	for _, secret := range secrets {
		if secret != secrets[0] || !strings.HasPrefix(string(secret), "whsec_") || secret.validate() != nil {
			t.Fatal("the secrets differ, or are none")
		}
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 1 {
		t.Errorf("%d files in the directory, %v", len(files), err)
	}
	other, err := LoadSecret(t.TempDir())
	if err != nil || other == secrets[0] {
		t.Errorf("two directories have the same secret, or %v", err)
	}
}

func TestSecretIsForItsOwner(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("the directory's rights hold there")
	}
	dir := t.TempDir()
	path := filepath.Join(dir, SecretFile)
	if err := os.WriteFile(path, []byte(string(testSecret)+"\r\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	secret, err := LoadSecret(dir)
	if err != nil || secret != testSecret {
		t.Fatalf("LoadSecret: %v", err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("rights %v, %v", info.Mode(), err)
	}
}

func TestBadSecretsAreRefused(t *testing.T) {
	t.Parallel()
	for _, content := range []string{"", "whsec_", "whsec_short", "whsec_c2hvcnQ=", strings.TrimPrefix(string(testSecret), "whsec_"), "whsec_!" + string(testSecret)} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, SecretFile), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := LoadSecret(dir)
		if campaign.CodeOf(err) != campaign.CodeInvalid || len(content) > 6 && strings.Contains(err.Error(), content) {
			t.Errorf("%q: %v", content, err)
		}
		if _, err := New(Config{Secret: Secret(content)}); err == nil {
			t.Errorf("%q: New takes it", content)
		}
		if _, err := NewListener(Secret(content), nil); err == nil {
			t.Errorf("%q: NewListener takes it", content)
		}
	}
}

func TestSecretDoesNotShowItself(t *testing.T) {
	t.Parallel()
	encoded, err := json.Marshal(map[string]any{"secret": testSecret, "config": Config{Secret: testSecret}.Secret})
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", slog.Any("secret", testSecret))
	shown := fmt.Sprintf("%s %v %+v %#v %q %x %d", testSecret, testSecret, testSecret, testSecret, testSecret, testSecret, testSecret) + string(encoded) + log.String()
	if strings.Contains(shown, string(testSecret)[6:]) || strings.Contains(shown, fmt.Sprintf("%x", string(testSecret))) {
		t.Errorf("the secret shows itself: %s", shown)
	}
}

// TestListener sends it what a Sender sends, and what others might.
func TestListener(t *testing.T) {
	t.Parallel()
	heard := make(chan Heard, 1)
	listener, err := NewListener(testSecret, func(h Heard) int {
		heard <- h
		return http.StatusAccepted
	})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(listener)
	t.Cleanup(server.Close)
	n := notice("c1", 1, campaign.NoticeReply, server.URL)
	n.Body = []byte(`{"type":"message.replied","data":{"chat":"447700900123@c.us"}}`)
	for name, test := range map[string]struct {
		secret Secret
		done   bool
		kind   campaign.NoticeKind
		fault  string
	}{
		"genuine": {testSecret, true, campaign.NoticeReply, ""},
		"forged":  {Secret("whsec_" + strings.Repeat("A", 32)), false, "", "not signed with the secret"},
	} {
		courier, err := newCourier(Config{Secret: test.secret, Speed: 1})
		if err != nil {
			t.Fatal(err)
		}
		got := courier.deliver(t.Context(), n)
		courier.close()
		h := <-heard
		if got.Done != test.done || h.Kind != test.kind || h.Fault != test.fault || h.ID != n.ID || (len(h.Body) > 0) != test.done {
			t.Errorf("%s: %+v, heard %+v", name, got, h)
		}
	}
	response, err := http.Post(server.URL, "application/json", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if h := <-heard; response.StatusCode != http.StatusUnauthorized || h.Fault != "not signed" {
		t.Errorf("unsigned: %s, fault %q", response.Status, h.Fault)
	}
	response, err = http.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("GET: %s", response.Status)
	}
	http.DefaultClient.CloseIdleConnections()
}
