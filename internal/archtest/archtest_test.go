package archtest_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/herald-campaigns/herald"

// mayImport is the import table of ARCHITECTURE.md: a package and the packages
// of ours that it may import. Tests of a package may import more (testMay).
var mayImport = map[string][]string{
	"campaign":            {},
	"templates":           {"campaign"},
	"ratelimit":           {},
	"periskope":           {},
	"stream":              {"campaign"},
	"dispatcher":          {"campaign"},
	"status":              {"campaign"},
	"storage":             {"campaign"},
	"storage/storagetest": {"campaign", "storage"},
	"report":              {"campaign"},
	"web":                 {"campaign"},
	"sandbox":             {},
	"sandbox/sdktest":     {},
	"internal/gateway":    {"campaign", "periskope"},
	"internal/natsd":      {},
	"internal/notices":    {"campaign"},
	"internal/faults":     {"campaign"},
	"internal/oracle":     {"campaign", "storage", "sandbox"},
	"internal/archtest":   {},
	"internal/app": {
		"campaign", "templates", "ratelimit", "periskope", "stream", "dispatcher", "status", "storage", "report",
		"sandbox", "web", "internal/gateway", "internal/natsd", "internal/notices", "examples",
	},
	"examples":   {},
	"cmd/herald": {"internal/app"},
}

// owners says which packages may use a dependency. A module not named here may
// be used by anyone.
var owners = map[string][]string{
	"github.com/gocarina/gocsv":         {"campaign"},
	"github.com/nyaruka/phonenumbers":   {"campaign", "templates"},
	"github.com/xuri/excelize/v2":       {"campaign", "report"},
	"github.com/osteele/liquid":         {"templates"},
	"golang.org/x/time/rate":            {"ratelimit"},
	"github.com/nats-io/nats.go":        {"stream"},
	"github.com/nats-io/nats-server/v2": {"internal/natsd"},
	"github.com/jmoiron/sqlx":           {"storage"},
	"github.com/mattn/go-sqlite3":       {"storage"},
	"github.com/pressly/goose/v3":       {"storage"},
	"database/sql":                      {"storage"},
	"github.com/go-chi/chi/v5":          {"web"},
	"github.com/standard-webhooks":      {"internal/notices"},
	"github.com/spf13/cobra":            {"cmd/herald"},
	"github.com/knadh/koanf":            {"internal/app"},
	"charm.land":                        {"cmd/herald"},
}

func TestImportsFollowTheTable(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	walk(t, func(pkg, file string, imports []string) {
		seen[pkg] = true
		allowed, known := mayImport[pkg]
		if !known {
			t.Errorf("%s: package %s is not in the import table; add it to mayImport and to ARCHITECTURE.md", file, pkg)
			return
		}
		test := strings.HasSuffix(file, "_test.go")
		for _, imported := range imports {
			ours, found := strings.CutPrefix(imported, module+"/")
			if found && ours != pkg && !test && !slices.Contains(allowed, ours) {
				t.Errorf("%s: %s may not import %s (allowed: %s)", file, pkg, ours, strings.Join(allowed, ", "))
			}
			if found && test && ours == "internal/app" && ours != pkg && !slices.Contains(allowed, ours) && pkg != "examples" {
				t.Errorf("%s: a test of %s may not reach up into internal/app", file, pkg)
			}
		}
	})
	for pkg := range mayImport {
		if !seen[pkg] {
			t.Errorf("the import table names %s, which does not exist", pkg)
		}
	}
}

// testOnly are packages that production code may not import: they break things
// on purpose, or judge them.
var testOnly = []string{"internal/faults", "internal/oracle", "storage/storagetest"}

func TestFaultsStayOutOfProduction(t *testing.T) {
	t.Parallel()
	walk(t, func(pkg, file string, imports []string) {
		for _, imported := range imports {
			ours, _ := strings.CutPrefix(imported, module+"/")
			if slices.Contains(testOnly, ours) && !slices.Contains(testOnly, pkg) && !strings.HasSuffix(file, "_test.go") {
				t.Errorf("%s: only tests may import %s", file, ours)
			}
		}
	})
}

func TestDependenciesStayWithTheirOwners(t *testing.T) {
	t.Parallel()
	used := map[string]bool{}
	walk(t, func(pkg, file string, imports []string) {
		if strings.HasSuffix(file, "_test.go") {
			return
		}
		for _, imported := range imports {
			for dependency, owning := range owners {
				if imported != dependency && !strings.HasPrefix(imported, dependency+"/") {
					continue
				}
				used[dependency] = true
				if !slices.Contains(owning, pkg) {
					t.Errorf("%s: %s belongs to %s", file, imported, strings.Join(owning, ", "))
				}
			}
		}
	})
	for dependency := range owners {
		if !used[dependency] {
			t.Errorf("the owner table names %s, which nothing uses", dependency)
		}
	}
}

func TestEveryPackageHasADoc(t *testing.T) {
	t.Parallel()
	packages := map[string]bool{}
	walk(t, func(pkg, file string, _ []string) {
		if !strings.HasSuffix(file, "_test.go") {
			packages[pkg] = packages[pkg] || path.Base(file) == "doc.go"
		}
	})
	for pkg, documented := range packages {
		if !documented {
			t.Errorf("package %s has no doc.go", pkg)
		}
	}
}

func TestNoBucketPackages(t *testing.T) {
	t.Parallel()
	walk(t, func(pkg, _ string, _ []string) {
		if name := path.Base(pkg); slices.Contains([]string{"util", "utils", "common", "types", "models", "helpers", "misc"}, name) {
			t.Errorf("package %s: a package is named for what it does", pkg)
		}
	})
}

// walk calls visit for every Go file of the product, with its package's folder
// and its imports.
func walk(t *testing.T, visit func(pkg, file string, imports []string)) {
	t.Helper()
	root := os.DirFS(filepath.Join("..", ".."))
	err := fs.WalkDir(root, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			base := path.Base(name)
			if name != "." && (strings.HasPrefix(base, ".") || base == "testdata" || base == "node_modules" || base == "tools") {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		source, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), name, source, parser.ImportsOnly)
		if err != nil {
			return err
		}
		imports := make([]string, 0, len(parsed.Imports))
		for _, spec := range parsed.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			imports = append(imports, imported)
		}
		visit(path.Dir(name), name, imports)
		return nil
	})
	if err != nil {
		t.Fatalf("walk the source tree: %v", err)
	}
}
