package report

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
)

//go:embed report.schema.json
var reportSchema []byte

//go:embed summary.schema.json
var summarySchema []byte

// Schema is the JSON Schema (draft 2020-12) of what WriteJSON writes.
func Schema() []byte { return append([]byte(nil), reportSchema...) }

// SummarySchema is the JSON Schema of a Summary.
func SummarySchema() []byte { return append([]byte(nil), summarySchema...) }

// WriteJSON writes the report as one indented JSON document.
func WriteJSON(w io.Writer, r *Report) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	if err := enc.Encode(r); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}
