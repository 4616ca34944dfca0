package report_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/herald-campaigns/herald/report"
)

// compile makes a validator of a schema. A strict one also refuses fields the
// schema does not name, so that a new field cannot be forgotten there.
func compile(t *testing.T, schema []byte, strict bool) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(schema))
	if err != nil {
		t.Fatal(err)
	}
	if strict {
		closeObjects(doc)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("schema.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func closeObjects(v any) {
	switch v := v.(type) {
	case map[string]any:
		if _, ok := v["properties"].(map[string]any); ok && v["additionalProperties"] == nil {
			v["additionalProperties"] = false
		}
		for _, child := range v {
			closeObjects(child)
		}
	case []any:
		for _, child := range v {
			closeObjects(child)
		}
	}
}

func validate(t *testing.T, s *jsonschema.Schema, doc []byte) {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(doc))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Validate(v); err != nil {
		t.Errorf("%v", err)
	}
}

func TestJSONKeepsItsSchema(t *testing.T) {
	t.Parallel()
	full, summary := compile(t, report.Schema(), true), compile(t, report.SummarySchema(), true)
	for name, scenario := range scenarios {
		for form, opts := range map[string]func(*report.Options){"full": func(*report.Options) {}, "quick": quick} {
			t.Run(name+"/"+form, func(t *testing.T) {
				t.Parallel()
				r := build(t, scenario(), opts, func(o *report.Options) { o.RejectsFile = "rejects.csv" })
				doc := asJSON(t, r)
				validate(t, full, doc)
				if null := nullArrays(t, doc); len(null) > 0 {
					t.Errorf("null: %v", null)
				}
				for _, file := range []string{"", "report.html"} {
					b, err := json.Marshal(report.Summarize(r, file))
					if err != nil {
						t.Fatal(err)
					}
					validate(t, summary, b)
				}
			})
		}
	}
}

// The schema has teeth: a document that breaks the contract is refused.
func TestSchemaRefuses(t *testing.T) {
	t.Parallel()
	s := compile(t, report.Schema(), false)
	doc := string(asJSON(t, build(t, mixed())))
	for name, change := range map[string][2]string{
		"a local time":     {`"generated_at": "2026-12-01T05:30:00Z"`, `"generated_at": "2026-12-01T11:00:00+05:30"`},
		"another version":  {`"schema_version": 1`, `"schema_version": 2`},
		"a null list":      {`"provisional_because": []`, `"provisional_because": null`},
		"a count as text":  {`"rows": 37`, `"rows": "37"`},
		"a missing status": {`"submitting": 0`, `"other": 0`},
	} {
		broken := strings.Replace(doc, change[0], change[1], 1)
		if broken == doc {
			t.Errorf("%s: nothing changed", name)
			continue
		}
		v, err := jsonschema.UnmarshalJSON(strings.NewReader(broken))
		if err != nil {
			t.Fatal(err)
		}
		if s.Validate(v) == nil {
			t.Errorf("%s passed", name)
		}
	}
}

// nullArrays lists the fields that are null though only shares may be.
func nullArrays(t *testing.T, doc []byte) []string {
	t.Helper()
	var v any
	if err := json.Unmarshal(doc, &v); err != nil {
		t.Fatal(err)
	}
	var found []string
	var walk func(path string, v any)
	walk = func(path string, v any) {
		switch v := v.(type) {
		case nil:
			if !strings.Contains(path, ".of_") {
				found = append(found, path)
			}
		case map[string]any:
			for k, child := range v {
				walk(path+"."+k, child)
			}
		case []any:
			for _, child := range v {
				walk(path, child)
			}
		}
	}
	walk("", v)
	return found
}
