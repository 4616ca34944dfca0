package archtest_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTheListOfDecisionsIsComplete(t *testing.T) {
	t.Parallel()
	folder := filepath.Join("..", "..", "docs", "adr")
	index, err := os.ReadFile(filepath.Join(folder, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	decisions, err := filepath.Glob(filepath.Join(folder, "[0-9]*.md"))
	if err != nil || len(decisions) == 0 {
		t.Fatalf("no decisions found: %v", err)
	}
	for _, path := range decisions {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		title, _, _ := strings.Cut(strings.TrimPrefix(string(content), "# "), "\n")
		if line := "- [" + title + "](" + filepath.Base(path) + ")"; !strings.Contains(string(index), line+"\n") {
			t.Errorf("docs/adr/README.md lacks the line %q", line)
		}
	}
}
