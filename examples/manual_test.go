package examples_test

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/internal/app"
	"github.com/herald-campaigns/herald/report"
	"github.com/herald-campaigns/herald/sandbox"
	"github.com/herald-campaigns/herald/templates"
)

// The manual must not lag behind the program. Tables that the program has
// itself are written into the pages by `go test ./examples -update`; of the
// rest these tests prove that nothing is missing.

func page(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// generated compares the part of a page between its marks with what the
// program says, and with -update replaces it.
func generated(t *testing.T, name, part, content string) {
	t.Helper()
	text := page(t, name)
	begin, end := fmt.Sprintf("<!-- %s: written by go test ./examples -update -->\n", part), fmt.Sprintf("<!-- end of %s -->\n", part)
	before, rest, found := strings.Cut(text, begin)
	inside, after, ended := strings.Cut(rest, end)
	if !found || !ended {
		t.Fatalf("%s has no part %q", name, part)
	}
	if inside == content {
		return
	}
	if !*update {
		t.Errorf("%s: %s is out of date, go test ./examples -update writes it anew:\n%s", name, part, content)
		return
	}
	if err := os.WriteFile(filepath.Join(root, filepath.FromSlash(name)), []byte(before+begin+content+end+after), 0o600); err != nil {
		t.Fatal(err)
	}
}

// cell keeps a text together in a table.
func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }

func code(text string) string {
	if text == "" {
		return ""
	}
	return "`" + cell(text) + "`"
}

func TestManualHasEveryFilter(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString("\n| filter | what it does | example | with | gives |\n|---|---|---|---|---|\n")
	for _, f := range templates.Filters() {
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", f.Name, cell(f.Does), code(f.Example), code(f.Input), code(f.Output))
	}
	b.WriteString("\n")
	generated(t, "docs/templates.md", "filters", b.String())
}

func TestManualHasEveryMagicNumber(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString("\n| ends in | what happens |\n|---|---|\n")
	for _, m := range sandbox.MagicNumbers() {
		fmt.Fprintf(&b, "| `%s %s` | %s |\n", m.Suffix[:3], m.Suffix[3:], cell(m.Behavior))
	}
	b.WriteString("\n")
	generated(t, "docs/sandbox.md", "magic numbers", b.String())
}

// TestManualHasEveryKey looks for every key of the campaign file, and for its
// default on the same line.
func TestManualHasEveryKey(t *testing.T) {
	t.Parallel()
	type schema struct {
		Properties map[string]json.RawMessage `json:"properties"`
		Default    any                        `json:"default"`
	}
	text := page(t, "docs/campaign-file.md")
	var walk func(path string, raw json.RawMessage)
	walk = func(path string, raw json.RawMessage) {
		var s schema
		if err := json.Unmarshal(raw, &s); err != nil {
			return // false: a key that must not be there
		}
		if path != "" {
			at := regexp.MustCompile("(?m)^.*`" + regexp.QuoteMeta(path) + "`.*$").FindString(text)
			if at == "" {
				t.Errorf("docs/campaign-file.md does not describe %s", path)
			} else if s.Default != nil && !strings.Contains(at, fmt.Sprintf("`%v`", s.Default)) {
				t.Errorf("docs/campaign-file.md does not give the default of %s, %v, in %q", path, s.Default, at)
			}
		}
		for _, key := range slices.Sorted(maps.Keys(s.Properties)) {
			walk(strings.TrimPrefix(path+"."+key, "."), s.Properties[key])
		}
	}
	walk("", campaign.Schema())
}

// TestManualHasEveryCode compares the codes in the manual with those in the
// source: none may be missing, none invented.
func TestManualHasEveryCode(t *testing.T) {
	t.Parallel()
	codes := regexp.MustCompile(`\b[EW]_(?:CSV|XLSX|TPL|FILE)_[A-Z_]*[A-Z]\b`)
	known := map[string]string{} // code → the page that must explain it
	for _, code := range campaign.RecipientCodes() {
		known[code] = "docs/csv.md"
	}
	source(t, []string{"templates", "campaign"}, func(_ string, file *ast.File) {
		ast.Inspect(file, func(n ast.Node) bool {
			literal, ok := n.(*ast.BasicLit)
			if !ok || literal.Kind != token.STRING {
				return true
			}
			code := strings.Trim(literal.Value, `"`)
			if codes.FindString(code) != code {
				return true
			}
			switch {
			case strings.Contains(code, "_TPL_"):
				known[code] = "docs/templates.md"
			case strings.Contains(code, "_FILE_"):
				known[code] = "docs/campaign-file.md"
			}
			return true
		})
	})
	if len(known) < 80 {
		t.Fatalf("only %d codes found in the source", len(known))
	}
	for _, code := range slices.Sorted(maps.Keys(known)) {
		if !strings.Contains(page(t, known[code]), "| `"+code+"` |") {
			t.Errorf("%s has no line for %s", known[code], code)
		}
	}
	for _, name := range pages(t) {
		for _, code := range codes.FindAllString(page(t, name), -1) {
			if _, ok := known[code]; !ok {
				t.Errorf("%s mentions %s, which the program does not have", name, code)
			}
		}
	}
}

func TestManualHasEverySetting(t *testing.T) {
	t.Parallel()
	text := page(t, "docs/configuration.md")
	var walk func(prefix string, of reflect.Type)
	walk = func(prefix string, of reflect.Type) {
		for field := range of.Fields() {
			key := field.Tag.Get("koanf")
			switch {
			case key == "-" || key == "":
			case field.Type.Kind() == reflect.Struct:
				walk(prefix+key+".", field.Type)
			case !strings.Contains(text, "| `"+prefix+key):
				t.Errorf("docs/configuration.md does not describe %s", prefix+key)
			}
		}
	}
	walk("", reflect.TypeFor[app.Config]())
	for _, variable := range regexp.MustCompile(`HERALD_\w+`).FindAllString(app.EnvironmentHelp(), -1) {
		if !strings.Contains(text, "`"+variable+"`") {
			t.Errorf("docs/configuration.md lacks %s", variable)
		}
	}
}

func TestManualHasEveryJSONField(t *testing.T) {
	t.Parallel()
	text := page(t, "docs/cli-json.md")
	var walk func(of reflect.Type)
	walk = func(of reflect.Type) {
		for of.Kind() == reflect.Slice || of.Kind() == reflect.Pointer || of.Kind() == reflect.Map {
			of = of.Elem()
		}
		if of.Kind() != reflect.Struct || of.PkgPath() == "time" {
			return
		}
		for field := range of.Fields() {
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			if field.Anonymous && name == "" {
				walk(field.Type)
				continue
			}
			if name == "" || name == "-" || !field.IsExported() {
				continue
			}
			if !strings.Contains(text, "`"+name+"`") && !strings.Contains(text, `"`+name+`":`) {
				t.Errorf("docs/cli-json.md lacks the field %s of %s", name, of)
			}
			walk(field.Type)
		}
	}
	walk(reflect.TypeFor[app.Checked]())
	walk(reflect.TypeFor[app.CampaignView]())
	walk(reflect.TypeFor[app.RecipientView]())
	walk(reflect.TypeFor[app.ProgressEvent]())
	walk(reflect.TypeFor[report.Report]())
	walk(reflect.TypeFor[report.Summary]())
	walk(reflect.TypeFor[app.Unknowns]())
	walk(reflect.TypeFor[app.Resolved]())
	walk(reflect.TypeFor[app.FollowUp]())
	walk(reflect.TypeFor[app.Retry]())
	walk(reflect.TypeFor[app.OptOutView]())
	walk(reflect.TypeFor[app.History]())
	walk(reflect.TypeFor[app.ReviewView]())
	walk(reflect.TypeFor[app.Decided]())
	walk(reflect.TypeFor[app.OptOutsImported]())
	walk(reflect.TypeFor[app.SenderView]())
	walk(reflect.TypeFor[app.Backed]())
	walk(reflect.TypeFor[app.Restored]())
}

// TestManualHasEveryPauseReason keeps the page for operators complete.
func TestManualHasEveryPauseReason(t *testing.T) {
	t.Parallel()
	text := page(t, "docs/operations.md")
	found := regexp.MustCompile(`PauseReason = "(\w+)"`).FindAllStringSubmatch(page(t, "campaign/state.go"), -1)
	if len(found) == 0 {
		t.Fatal("no pause reasons found")
	}
	for _, reason := range found {
		if !strings.Contains(text, "`"+reason[1]+"`") {
			t.Errorf("docs/operations.md lacks the reason %s", reason[1])
		}
	}
}

func TestManualHasEveryExitCode(t *testing.T) {
	t.Parallel()
	text := page(t, "docs/operations.md")
	help := herald(t, "help", "exit-codes").out
	found := regexp.MustCompile(`(?m)^\s+(\d+)\s`).FindAllStringSubmatch(help, -1)
	if len(found) < 9 {
		t.Fatalf("exit codes found: %v", found)
	}
	for _, code := range found {
		if !strings.Contains(text, "| "+code[1]+" |") {
			t.Errorf("docs/operations.md lacks the exit code %s", code[1])
		}
	}
}

// TestManualHasEveryLogKey looks at every call of the logger.
func TestManualHasEveryLogKey(t *testing.T) {
	t.Parallel()
	text := page(t, "docs/operations.md")
	keys := map[string]string{}
	logging := regexp.MustCompile(`^(Debug|Info|Warn|Error)(Context)?$`)
	folders := []string{"campaign", "templates", "ratelimit", "stream", "dispatcher", "status", "storage", "report", "sandbox", "web", "internal"}
	source(t, folders, func(name string, file *ast.File) {
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			selector, ok := call.Fun.(*ast.SelectorExpr)
			if !ok || !logging.MatchString(selector.Sel.Name) {
				return true
			}
			if of, ok := selector.X.(*ast.Ident); ok && of.Name == "http" { // http.Error
				return true
			}
			message := 0
			if strings.HasSuffix(selector.Sel.Name, "Context") {
				message = 1
			}
			for i := message + 1; i < len(call.Args); i++ {
				switch argument := call.Args[i].(type) {
				case *ast.BasicLit: // "key", value
					keys[strings.Trim(argument.Value, `"`)] = name
					i++
				case *ast.CallExpr: // slog.String("key", value)
					if first, ok := argument.Args[0].(*ast.BasicLit); ok {
						keys[strings.Trim(first.Value, `"`)] = name
					}
				}
			}
			return true
		})
	})
	if len(keys) < 10 {
		t.Fatalf("log keys found: %v", keys)
	}
	for key, name := range keys {
		if !strings.Contains(text, "`"+key+"`") {
			t.Errorf("docs/operations.md lacks the log key %q of %s", key, name)
		}
	}
}

// TestFailuresNameRealTests keeps docs/failures.md from promising a test that
// is not there, or is gone.
func TestFailuresNameRealTests(t *testing.T) {
	t.Parallel()
	declared := map[string]bool{}
	declaration := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Benchmark)\w+)\(`)
	for _, name := range testFiles(t) {
		for _, found := range declaration.FindAllStringSubmatch(page(t, name), -1) {
			declared[found[1]] = true
		}
		if script, ok := strings.CutSuffix(name, ".txtar"); ok {
			declared["script "+filepath.Base(script)] = true
		}
	}
	text := page(t, "docs/failures.md")
	named := regexp.MustCompile("`((?:Test|Fuzz|Benchmark)\\w+)`").FindAllStringSubmatch(text, -1)
	if len(named) < 100 {
		t.Fatalf("%d tests named", len(named))
	}
	for _, found := range named {
		if !declared[found[1]] {
			t.Errorf("docs/failures.md names %s, which does not exist", found[1])
		}
	}
	for _, list := range regexp.MustCompile("scripts? ((?:`\\w+`(?:, )?)+)").FindAllStringSubmatch(text, -1) {
		for _, script := range regexp.MustCompile(`\w+`).FindAllString(list[1], -1) {
			if !declared["script "+script] && !declared[script] {
				t.Errorf("docs/failures.md names the script %s, which does not exist", script)
			}
		}
	}
}

// testFiles are the project's tests and scripts.
func testFiles(t *testing.T) []string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() && (strings.HasSuffix(path, "_test.go") || strings.HasSuffix(path, ".txtar")) {
			var name string
			name, err = filepath.Rel(root, path)
			names = append(names, filepath.ToSlash(name))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

var link = regexp.MustCompile(`\]\(([^)\s]+)\)`)

// TestLinksLeadSomewhere follows every relative link of every page, headings
// included.
func TestLinksLeadSomewhere(t *testing.T) {
	t.Parallel()
	for _, name := range pages(t) {
		text := regexp.MustCompile("`[^`\n]*`").ReplaceAllString(page(t, name), "")
		for _, found := range link.FindAllStringSubmatch(text, -1) {
			if strings.Contains(found[1], "://") || strings.HasPrefix(found[1], "mailto:") {
				continue
			}
			path, heading, _ := strings.Cut(found[1], "#")
			target := name
			if path != "" {
				target = filepath.ToSlash(filepath.Join(filepath.Dir(name), path))
			}
			if _, err := os.Stat(filepath.Join(root, target)); err != nil {
				t.Errorf("%s: the link %s leads nowhere", name, found[1])
				continue
			}
			if heading != "" && !slices.Contains(headings(page(t, target)), heading) {
				t.Errorf("%s: %s has no heading #%s", name, target, heading)
			}
		}
	}
}

// headings are the anchors of a page, as GitHub makes them.
func headings(text string) []string {
	var anchors []string
	drop := regexp.MustCompile(`[^\p{L}\p{N}\s_-]`)
	for line := range strings.Lines(text) {
		if title := strings.TrimLeft(line, "#"); title != line {
			anchor := drop.ReplaceAllString(strings.ToLower(strings.TrimSpace(title)), "")
			anchors = append(anchors, strings.ReplaceAll(anchor, " ", "-"))
		}
	}
	return anchors
}

// TestManualNamesRealCommands checks each `herald …` in the pages against the
// commands there are, and the flags behind it against that command's.
func TestManualNamesRealCommands(t *testing.T) {
	t.Parallel()
	commands := map[string]string{} // name → its help
	listed := regexp.MustCompile(`(?m)^  (?:herald )?([a-z][a-z-]+) +[A-Z]`).FindAllStringSubmatch(herald(t, "help").out, -1)
	for _, found := range listed {
		commands[found[1]] = herald(t, found[1], "--help").out
	}
	if len(commands) < 12 {
		t.Fatalf("commands found: %v", slices.Sorted(maps.Keys(commands)))
	}
	mention := regexp.MustCompile("(?m)(?:`|^ {4}|^\\$ |^|go run \\./cmd/|\\| )herald ([a-z][a-z-]*)([^`\n|]*)")
	flags := regexp.MustCompile(`(?:^|\s)--([a-z][a-z-]+)`)
	for _, name := range pages(t) {
		if name == "CHANGELOG.md" || strings.HasPrefix(name, "docs/adr/") {
			continue // they tell of other times, too
		}
		for _, found := range mention.FindAllStringSubmatch(onlyCode(page(t, name)), -1) {
			help, exists := commands[found[1]]
			if !exists {
				t.Errorf("%s: there is no command %q", name, "herald "+found[1])
				continue
			}
			for _, flag := range flags.FindAllStringSubmatch(found[2], -1) {
				if !strings.Contains(help, "--"+flag[1]) {
					t.Errorf("%s: herald %s has no flag --%s", name, found[1], flag[1])
				}
			}
		}
	}
}

// onlyCode keeps what a page shows as code: blocks, and spans in backticks.
func onlyCode(text string) string {
	var b strings.Builder
	fenced := false
	span := regexp.MustCompile("`[^`]+`")
	for line := range strings.Lines(text) {
		switch {
		case strings.HasPrefix(strings.TrimSpace(line), "```"):
			fenced = !fenced
		case fenced || strings.HasPrefix(line, "    "):
			b.WriteString(line)
		default:
			b.WriteString(strings.Join(span.FindAllString(line, -1), "\n") + "\n")
		}
	}
	return b.String()
}

// pages are the Markdown files of the repository.
func pages(t *testing.T) []string {
	t.Helper()
	var names []string
	tree := os.DirFS(root)
	err := fs.WalkDir(tree, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && (name != "." && strings.HasPrefix(entry.Name(), ".") || entry.Name() == "node_modules") {
			return fs.SkipDir
		}
		if strings.HasSuffix(name, ".md") {
			names = append(names, name)
		}
		return nil
	})
	if err != nil || len(names) < 10 {
		t.Fatalf("pages found: %v, %v", names, err)
	}
	return names
}

// source shows every Go file below the folders that is no test.
func source(t *testing.T, folders []string, look func(name string, file *ast.File)) {
	t.Helper()
	for _, folder := range folders {
		err := filepath.WalkDir(filepath.Join(root, folder), func(name string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
			if err == nil {
				look(name, file)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
