package notices

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/herald-campaigns/herald/campaign"
)

// SecretFile is the file of the data directory that holds the secret.
const SecretFile = "notify.secret"

const (
	secretPrefix = "whsec_"
	secretBytes  = 32 // Standard Webhooks: 24 to 64
)

// Secret is what notices are signed with: whsec_ and base64. It never shows
// itself; string(secret) gives it to the code that must have it.
type Secret string

const maskedSecret = secretPrefix + "…"

// String is a placeholder; empty for an empty secret.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return maskedSecret
}

// Format keeps every verb, also the wrong ones, from printing the secret.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = fmt.Fprint(f, s.String()) }

// LogValue keeps structured logs from carrying the secret.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText keeps JSON, YAML and XML from carrying the secret.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// LoadSecret gives the secret of the data directory, and draws one first if it
// has none. Whoever can read the file can forge notices, so only its owner may.
func LoadSecret(dir string) (Secret, error) {
	path := filepath.Join(dir, SecretFile)
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := drawSecret(path); err != nil {
			return "", &campaign.Error{Code: campaign.CodeUnavailable, What: "write the secret of notices", Err: err}
		}
		content, err = os.ReadFile(path) // another process may have been faster
	}
	if err != nil {
		return "", &campaign.Error{Code: campaign.CodeUnavailable, What: "read the secret of notices", Err: err}
	}
	secret := Secret(strings.TrimSpace(string(content)))
	if err := secret.validate(); err != nil {
		return "", &campaign.Error{
			Code: campaign.CodeInvalid, What: path + " " + err.Error(),
			Hint: "put the old one back, or remove the file: a new secret is drawn, which every receiver must be told",
		}
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return "", &campaign.Error{Code: campaign.CodeUnavailable, What: "keep others from reading the secret of notices", Err: err}
	}
	return secret, nil
}

// drawSecret writes a new secret, whole or not at all, unless there is one.
func drawSecret(path string) error {
	key := make([]byte, secretBytes)
	_, _ = rand.Read(key) // never fails
	file, err := os.CreateTemp(filepath.Dir(path), SecretFile+".*")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name()) //nolint:errcheck // it is the second name, or of no use
	_, err = file.WriteString(secretPrefix + base64.StdEncoding.EncodeToString(key) + "\n")
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	if err := os.Link(file.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		// A file system without links: the last one wins, which the reader sees.
		return os.Rename(file.Name(), path)
	}
	return nil
}

func (s Secret) validate() error {
	key, found := strings.CutPrefix(string(s), secretPrefix)
	decoded, err := base64.StdEncoding.DecodeString(key)
	if !found || err != nil || len(decoded) < 24 || len(decoded) > 64 {
		return errors.New("is not a secret: whsec_ and 24 to 64 bytes in base64")
	}
	return nil
}
