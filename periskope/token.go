package periskope

import (
	"fmt"
	"log/slog"
)

// Token is a secret of a Periskope organization: its API key, or the key its
// webhooks are signed with. It never shows itself: whatever prints, logs or
// encodes it gets a placeholder. string(token) gives the key to the code that
// must have it.
type Token string

const maskedToken = "[token]"

// String is a placeholder; empty for an empty token.
func (t Token) String() string {
	if t == "" {
		return ""
	}
	return maskedToken
}

// Format keeps every verb, also the wrong ones, from printing the token.
func (t Token) Format(f fmt.State, verb rune) {
	if verb == 'v' && f.Flag('#') {
		_, _ = fmt.Fprint(f, t.GoString())
		return
	}
	_, _ = fmt.Fprint(f, t.String())
}

// GoString keeps %#v from printing the token.
func (t Token) GoString() string { return fmt.Sprintf("periskope.Token(%q)", t.String()) }

// LogValue keeps structured logs from carrying the token.
func (t Token) LogValue() slog.Value { return slog.StringValue(t.String()) }

// MarshalText keeps JSON, YAML and XML from carrying the token.
func (t Token) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// validate says whether the token can stand in a header (RFC 6750 b68token,
// taken widely: any visible ASCII).
func (t Token) validate() error {
	if t == "" {
		return fmt.Errorf("token: is empty; create an API key in the Periskope console")
	}
	for i := range len(t) {
		if t[i] <= ' ' || t[i] >= 0x7f {
			return fmt.Errorf("token: has a space, line break or other character that no API key has, at position %d", i+1)
		}
	}
	return nil
}
