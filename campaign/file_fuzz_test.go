package campaign_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/herald-campaigns/herald/campaign"
)

// wholeFile are the codes of problems that have no line of their own.
var wholeFile = []string{"E_FILE_EMPTY", "E_FILE_TOO_LARGE", "E_FILE_BINARY"}

// FuzzParse holds that a campaign file is either refused, with the line, the
// code and the fix of everything wrong with it, or taken with all it must
// have; and that a Spec written out, as the ledger does, and read again as a
// campaign file is the same Spec.
func FuzzParse(f *testing.F) {
	paths, err := filepath.Glob(filepath.Join("testdata", "files", "*", "*.yaml"))
	if err != nil || len(paths) == 0 {
		f.Fatalf("no corpus: %v", err)
	}
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(content)
	}
	f.Add([]byte("name: \"a\\x7f\\x80\\uFEFF\\uFFFE\\0\\U0001F600\\L b\"\nrecipients: {csv: \"\\e.csv\"}\nmessage: {text: \"\\x85\\x9f\"}\nsenders: ['12015550123']\n"))
	f.Fuzz(func(t *testing.T, content []byte) {
		spec, err := campaign.Parse(bytes.NewReader(content), "campaign.yaml")
		if err != nil {
			checkFileProblems(t, content, err)
			return
		}
		if spec.Name == "" || spec.Recipients.CSV == "" || len(spec.Senders) == 0 {
			t.Fatalf("a spec was taken without what it must have: %+v", spec)
		}
		for _, v := range spec.Messages() {
			m := v.Message
			if m.Poll != nil && (m.Text != "" || m.Media != nil) || m.Poll == nil && m.Media == nil && m.Text == "" {
				t.Fatalf("no one kind of message: %+v", m)
			}
		}
		written, err := json.Marshal(spec)
		if err != nil {
			t.Fatal(err)
		}
		written = escaped(written)
		again, err := campaign.Parse(bytes.NewReader(written), "campaign.yaml")
		if err != nil {
			if len(written) > campaign.MaxFileSize {
				return // what JSON escapes grows
			}
			t.Fatalf("%s is refused: %v", written, err)
		}
		if !reflect.DeepEqual(spec, again) {
			t.Fatalf("%s changed on its way:\n%s", written, cmp.Diff(spec, again))
		}
	})
}

func checkFileProblems(t *testing.T, content []byte, err error) {
	t.Helper()
	var input *campaign.InputError
	if !errors.As(err, &input) || len(input.Problems) == 0 {
		t.Fatalf("an error that is no InputError: %v", err)
	}
	content = bytes.TrimPrefix(content, []byte("\ufeff"))
	// YAML also ends lines at NEL and the two separators of Unicode.
	ends := strings.NewReplacer("\r\n", "\n", "\r", "\n", "\u0085", "\n", "\u2028", "\n", "\u2029", "\n")
	lines := 1 + strings.Count(ends.Replace(string(content)), "\n")
	for _, p := range input.Problems {
		if p.Code == "" || p.What == "" || p.Fix == "" || p.File != "campaign.yaml" || p.Column < 0 {
			t.Fatalf("half a problem: %+v", p)
		}
		if p.Line < 1 && !slices.Contains(wholeFile, p.Code) {
			t.Fatalf("a problem without a line: %+v", p)
		}
		if p.Line > int64(lines) {
			t.Fatalf("line %d of %d: %+v", p.Line, lines, p)
		}
		if strings.ContainsAny(p.String(), "\n\r") {
			t.Fatalf("a problem of several lines: %q", p)
		}
	}
}

// escaped writes as \uXXXX what JSON may hold as it stands and YAML may not
// (YAML 1.2 §5.1).
func escaped(written []byte) []byte {
	var b bytes.Buffer
	for _, r := range string(written) {
		if r >= 0x7f && r < 0xa0 || r == 0xfeff || r == 0xfffe || r == 0xffff {
			fmt.Fprintf(&b, "\\u%04X", r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.Bytes()
}
