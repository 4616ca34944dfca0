package report_test

import (
	"strings"
	"testing"

	"github.com/herald-campaigns/herald/report"
)

// TestUnknownsAreToldApart: what waits for evidence, what waits for a person
// and what was decided are counted and listed apart, and many rows of one kind
// do not hide another.
func TestUnknownsAreToldApart(t *testing.T) {
	t.Parallel()
	r := build(t, unknowns())
	if !r.Balanced {
		t.Fatalf("the books do not balance: %+v", r.Balance.Mismatch)
	}
	u := r.Unknown
	if u.Total != 27 || *u.Unresolved != 2 || *u.Searching != 23 || *u.AssumedSent != 2 {
		t.Errorf("total %d, unresolved %d, searching %d, assumed sent %d", u.Total, *u.Unresolved, *u.Searching, *u.AssumedSent)
	}
	if *u.Unresolved+*u.Searching+*u.AssumedSent != u.Total {
		t.Error("the kinds do not add up")
	}
	if len(u.Rows) != 20 || len(u.UnresolvedRows) != 2 || u.UnresolvedRows[0].Seq != 30 {
		t.Errorf("%d rows, unresolved rows %+v", len(u.Rows), u.UnresolvedRows)
	}
	words := text(t, r, report.TextOptions{})
	unresolved, searching := strings.Index(words, "unresolved:"), strings.Index(words, "being looked for:")
	if unresolved < 0 || searching < unresolved {
		t.Errorf("what asks for a decision does not come first:\n%s", words)
	}
	for _, want := range []string{"herald unknowns " + string(testID), "resolved, 2 rows assumed sent by alice", "and 3 more (being looked for)"} {
		if !strings.Contains(words, want) {
			t.Errorf("%q is missing in\n%s", want, words)
		}
	}
	if strings.Contains(words, "919999990042") {
		t.Error("a detail shows a whole number")
	}

	r = build(t, unknowns(), quick)
	if r.Unknown.Total != 27 || r.Unknown.Unresolved != nil {
		t.Errorf("a quick report claims to know %+v", r.Unknown)
	}
	if words := text(t, r, report.TextOptions{}); !strings.Contains(words, "herald unknowns") {
		t.Errorf("a quick report does not say where to look:\n%s", words)
	}
}
