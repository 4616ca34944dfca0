package report_test

import (
	"io"
	"testing"

	"github.com/herald-campaigns/herald/report"
)

// exports are the forms that are written to a file of their own.
func exports(t *testing.T, l *ledger, r *report.Report) map[string]func(io.Writer) error {
	t.Helper()
	opts := report.CSVOptions{NoBOM: true}
	return map[string]func(io.Writer) error{
		"report.html": func(w io.Writer) error { return report.WriteHTML(w, r) },
		"report.xlsx": func(w io.Writer) error { return report.WriteXLSX(t.Context(), w, r, l.deps()) },
		"failed.csv":  func(w io.Writer) error { return report.WriteFailedCSV(t.Context(), w, l.deps(), testID, opts) },
		"replies.csv": func(w io.Writer) error { return report.WriteRepliesCSV(t.Context(), w, l.deps(), testID, opts) },
		"poll.csv":    func(w io.Writer) error { return report.WritePollCSV(w, r, opts) },
	}
}
