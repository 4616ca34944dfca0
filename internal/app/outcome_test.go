package app

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"testing"

	"github.com/herald-campaigns/herald/campaign"
)

// TestEveryCodeHasAnExitCode reads the codes from their source, so that a new
// one cannot be forgotten.
func TestEveryCodeHasAnExitCode(t *testing.T) {
	t.Parallel()
	file, err := parser.ParseFile(token.NewFileSet(), "../../campaign/errors.go", nil, 0)
	check(t, err)
	codes := 0
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if typ, ok := spec.Type.(*ast.Ident); !ok || typ.Name != "Code" {
			return true
		}
		literal, ok := spec.Values[0].(*ast.BasicLit)
		if !ok {
			return true
		}
		value, err := strconv.Unquote(literal.Value)
		check(t, err)
		codes++
		if exit, ok := exitCodes[campaign.Code(value)]; !ok || exit < 1 {
			t.Errorf("code %s has exit code %d", value, exit)
		}
		return true
	})
	if codes != len(exitCodes) || codes < 8 {
		t.Errorf("%d codes in the source, %d in the table", codes, len(exitCodes))
	}
}

func TestExitCodeLooksThroughWrapping(t *testing.T) {
	t.Parallel()
	unauthorized := &campaign.Error{Code: campaign.CodeUnauthorized, What: "no", Hint: "do this"}
	for _, test := range []struct {
		err  error
		want int
	}{
		{nil, 0},
		{errors.New("plain"), 1},
		{campaign.Reject(), 3},
		{fmt.Errorf("sender: %w", unauthorized), 5},
		{errors.Join(fmt.Errorf("run: %w", unauthorized), errors.New("close")), 5},
		{&campaign.Error{Code: "of tomorrow"}, 1},
	} {
		if got := ExitCode(test.err); got != test.want {
			t.Errorf("ExitCode(%v) = %d, want %d", test.err, got, test.want)
		}
	}
	for reason, want := range map[campaign.PauseReason]int{
		campaign.PauseRefused: 5, campaign.PauseUnavailable: 4, campaign.PauseDisconnected: 4, campaign.PauseDiskFull: 4, campaign.PauseOperator: 6,
	} {
		if got := ExitCode(pausedError(campaign.Campaign{Reason: reason})); got != want {
			t.Errorf("paused for %s exits with %d, want %d", reason, got, want)
		}
	}
}
