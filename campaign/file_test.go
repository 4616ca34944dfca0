package campaign_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // zones must not depend on the machine

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"github.com/herald-campaigns/herald/campaign"
)

var updateFiles = flag.Bool("update-files", false, "write the golden error output of testdata/files/invalid")

// valid is a file to which tests append.
const valid = `name: News
recipients: { csv: recipients.csv }
message: { text: "Hi {{ name }}" }
senders: ["12015550123"]
`

func parse(t *testing.T, content string) (campaign.Spec, []campaign.Problem) {
	t.Helper()
	spec, err := campaign.Parse(strings.NewReader(content), "campaign.yaml")
	if err == nil {
		return spec, nil
	}
	var input *campaign.InputError
	if !errors.As(err, &input) {
		t.Fatalf("Parse gave %T (%v), want *InputError", err, err)
	}
	if len(input.Problems) == 0 {
		t.Fatal("an InputError without problems")
	}
	return campaign.Spec{}, input.Problems
}

func mustParse(t *testing.T, content string) campaign.Spec {
	t.Helper()
	spec, problems := parse(t, content)
	if problems != nil {
		t.Fatalf("unexpected problems: %v", problems)
	}
	return spec
}

func TestParseEverything(t *testing.T) {
	t.Parallel()
	path := filepath.Join("testdata", "files", "valid", "everything.yaml")
	got, err := campaign.ParseFile(path)
	if err != nil {
		t.Fatal(err)
	}
	absolute, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	off := false
	want := campaign.Spec{
		Name: "Everything",
		Recipients: campaign.Source{
			CSV: "data/people.csv", Phone: "Mobile number", Country: "IN",
			Columns:   map[string]string{"first_name": "Vorname (privat)", "_x1": "Column 7"},
			Delimiter: "tab", Encoding: "windows-1252",
		},
		Message: campaign.Template{
			Text: "Hi {{ first_name | default: \"there\" }},\n*bold* and a tab:\tthere.\n",
			Media: &campaign.MediaTemplate{
				Type: campaign.MediaDocument, URL: "{{ invoice_url }}",
				Filename: "invoice-{{ order_id }}.pdf", MIME: "application/pdf",
			},
			ReplyTo: "{{ last_message_id }}", LinkPreview: &off,
		},
		Senders: []string{"12015550123", "12125550199", "phone-bqzvyibhmwkaergr"},
		Pace: campaign.Pace{
			Rate: campaign.Rate{Count: 1, Per: 10 * time.Second}, Burst: 2, Jitter: 0.3, InFlight: 64, Hourly: 100, Daily: 500,
		},
		Schedule: campaign.Schedule{Start: time.Date(2026, 11, 28, 4, 30, 0, 0, time.UTC), Timezone: "Asia/Kolkata"},

		UnknownPolicy: campaign.PolicyAssumeSent,

		Path: absolute,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("spec (-want +got):\n%s", diff)
	}
}

// TestSpecSurvivesJSON is about the ledger, which keeps the Spec as JSON.
func TestSpecSurvivesJSON(t *testing.T) {
	t.Parallel()
	for _, path := range corpus(t, "valid") {
		spec, err := campaign.ParseFile(path)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		b, err := json.Marshal(spec)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		var back campaign.Spec
		if err := json.Unmarshal(b, &back); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if !reflect.DeepEqual(spec, back) {
			t.Errorf("%s changed on its way through JSON:\n%s", path, cmp.Diff(spec, back))
		}
	}
}

// TestProblems compares everything said about each broken file with the text
// beside it, word by word: these texts are what people see.
func TestProblems(t *testing.T) {
	t.Parallel()
	for _, path := range corpus(t, "invalid") {
		t.Run(filepath.Base(path), func(t *testing.T) {
			t.Parallel()
			_, err := campaign.ParseFile(path)
			var input *campaign.InputError
			if !errors.As(err, &input) {
				t.Fatalf("ParseFile gave %v, want *InputError", err)
			}
			got := printed(input)
			golden := strings.TrimSuffix(path, ".yaml") + ".txt"
			if *updateFiles {
				if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("problems (-want +got), rewrite with -update-files:\n%s", diff)
			}
			for _, p := range input.Problems {
				if p.Fix == "" {
					t.Errorf("no fix is offered: %s", p)
				}
				if !strings.HasPrefix(p.Code, "E_FILE_") {
					t.Errorf("code %q", p.Code)
				}
			}
		})
	}
}

func printed(e *campaign.InputError) string {
	var b strings.Builder
	for _, p := range e.Problems {
		p.File = filepath.Base(p.File)
		fmt.Fprintln(&b, p)
		if p.Value != "" {
			fmt.Fprintf(&b, "  value: %s\n", p.Value)
		}
		fmt.Fprintf(&b, "  fix: %s\n", p.Fix)
	}
	if e.More > 0 {
		fmt.Fprintf(&b, "and %d more\n", e.More)
	}
	return b.String()
}

// TestSchemaAndParserAgree is the promise of `herald schema`: what the parser
// takes, the schema takes, and what the parser refuses, the schema refuses,
// but for what JSON Schema cannot say.
func TestSchemaAndParserAgree(t *testing.T) {
	t.Parallel()
	schema := compiledSchema(t)
	for _, path := range corpus(t, "valid") {
		instance, err := jsonOf(t, path)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		if err := schema.Validate(instance); err != nil {
			t.Errorf("%s: the parser takes it, the schema does not: %v", path, err)
		}
	}
	beyond := []string{
		"aliases", "clocks-go-forward", "country-none", "country-words", "duplicate-keys", "only-where", "rates-too-fast", "rates-too-slow", "rates-zero",
		"start-no-such-day", "start-offset", "tags", "two-documents", "variants-same-name", "zone-abbreviation", "zone-local", "zone-offset",
	}
	for _, path := range corpus(t, "invalid") {
		name := strings.TrimSuffix(filepath.Base(path), ".yaml")
		instance, err := jsonOf(t, path)
		if err != nil {
			continue // no YAML at all, so nothing a schema could look at
		}
		err = schema.Validate(instance)
		switch cannot := slices.Contains(beyond, name); {
		case err == nil && !cannot:
			t.Errorf("%s: the parser refuses it, the schema does not", path)
		case err != nil && cannot && name != "aliases" && name != "tags":
			t.Errorf("%s: the schema can say it after all: %v", path, err)
		}
	}
}

// TestKeysAgree holds the keys of Spec and of the schema together. The parser's
// own table follows: every key of the schema must be known to it.
func TestKeysAgree(t *testing.T) {
	t.Parallel()
	var root map[string]any
	if err := json.Unmarshal(campaign.Schema(), &root); err != nil {
		t.Fatal(err)
	}
	inSchema := schemaKeys("", root)
	inSpec := specKeys("", reflect.TypeFor[campaign.Spec]())
	slices.Sort(inSchema)
	slices.Sort(inSpec)
	if diff := cmp.Diff(inSpec, inSchema); diff != "" {
		t.Errorf("keys (-Spec +schema):\n%s", diff)
	}
	for _, key := range inSchema {
		// The key alone makes an incomplete file, but never an unknown key.
		parts := strings.Split(key, ".")
		content := ""
		for i, part := range parts {
			content += strings.Repeat("  ", i) + part + ":\n"
		}
		_, problems := parse(t, content)
		for _, p := range problems {
			if p.Code == "E_FILE_UNKNOWN_KEY" || p.Code == "E_FILE_NOT_YET" {
				t.Errorf("%s: %s", key, p)
			}
		}
		if !strings.Contains(string(campaign.Starter()), parts[len(parts)-1]+":") {
			t.Errorf("the starter file does not explain %s", key)
		}
	}
	describe(t, "", root)

	// Variants are a list, into which the paths above do not lead: what one may
	// hold is what a message may, with a name and a weight.
	properties := func(path ...string) []string {
		node := root
		for _, key := range path {
			node = node[key].(map[string]any)
		}
		return slices.Sorted(maps.Keys(node["properties"].(map[string]any)))
	}
	inVariant := slices.Sorted(slices.Values(append(properties("properties", "message"), "name", "weight")))
	if diff := cmp.Diff(inVariant, properties("properties", "variants", "items")); diff != "" {
		t.Errorf("keys of a variant (-message +schema):\n%s", diff)
	}
	for _, key := range inVariant {
		_, problems := parse(t, "variants: [ { "+key+": } ]")
		for _, p := range problems {
			if p.Code == "E_FILE_UNKNOWN_KEY" || p.Code == "E_FILE_NOT_YET" {
				t.Errorf("variants.%s: %s", key, p)
			}
		}
	}
}

// describe checks that editors have something to show for every key.
func describe(t *testing.T, path string, node map[string]any) {
	t.Helper()
	properties, _ := node["properties"].(map[string]any)
	for key, value := range properties {
		child, ok := value.(map[string]any)
		if !ok {
			t.Fatalf("%s.%s is no schema", path, key)
		}
		if s, _ := child["description"].(string); s == "" {
			t.Errorf("%s.%s has no description", path, key)
		}
		describe(t, path+"."+key, child)
	}
}

func schemaKeys(prefix string, node map[string]any) []string {
	var keys []string
	properties, _ := node["properties"].(map[string]any)
	for key, value := range properties {
		keys = append(keys, prefix+key)
		if child, ok := value.(map[string]any); ok {
			keys = append(keys, schemaKeys(prefix+key+".", child)...)
		}
	}
	return keys
}

func specKeys(prefix string, typ reflect.Type) []string {
	var keys []string
	for field := range typ.Fields() {
		key := field.Tag.Get("yaml")
		if key == "-" {
			continue
		}
		keys = append(keys, prefix+key)
		inner := field.Type
		if inner.Kind() == reflect.Pointer {
			inner = inner.Elem()
		}
		if inner.Kind() == reflect.Struct && inner != reflect.TypeFor[campaign.Rate]() && inner != reflect.TypeFor[time.Time]() {
			keys = append(keys, specKeys(prefix+key+".", inner)...)
		}
	}
	return keys
}

func TestSchemaIsACopy(t *testing.T) {
	t.Parallel()
	first := campaign.Schema()
	first[0] = 'x'
	if campaign.Schema()[0] != '{' {
		t.Error("a caller can change the schema of everybody else")
	}
}

func compiledSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(campaign.Schema()))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("campaign.schema.json", document); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile("campaign.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

func corpus(t *testing.T, folder string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join("testdata", "files", folder, "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if len(paths) < 10 {
		t.Fatalf("only %d files in %s", len(paths), folder)
	}
	return paths
}

// jsonOf reads a YAML file the way an editor does (YAML 1.2): a date is text.
func jsonOf(t *testing.T, path string) (any, error) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var document yaml.Node
	if err := yaml.Unmarshal(content, &document); err != nil {
		return nil, fmt.Errorf("read as an editor: %w", err)
	}
	if document.Kind == 0 {
		return nil, io.EOF
	}
	return jsonNode(t, document.Content[0]), nil
}

func jsonNode(t *testing.T, n *yaml.Node) any {
	t.Helper()
	switch n.Kind {
	case yaml.MappingNode:
		object := map[string]any{}
		for i := 0; i < len(n.Content); i += 2 {
			object[n.Content[i].Value] = jsonNode(t, n.Content[i+1])
		}
		return object
	case yaml.SequenceNode:
		list := []any{}
		for _, item := range n.Content {
			list = append(list, jsonNode(t, item))
		}
		return list
	case yaml.AliasNode:
		return jsonNode(t, n.Alias)
	case yaml.ScalarNode:
		switch n.ShortTag() {
		case "!!null":
			return nil
		case "!!bool":
			return strings.EqualFold(n.Value, "true")
		case "!!int", "!!float":
			number, err := strconv.ParseFloat(n.Value, 64)
			if err != nil {
				t.Fatalf("number %q: %v", n.Value, err)
			}
			return number
		}
		return n.Value
	case yaml.DocumentNode:
	}
	t.Fatalf("node of kind %d", n.Kind)
	return nil
}
