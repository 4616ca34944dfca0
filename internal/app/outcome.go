package app

import (
	"errors"

	"github.com/herald-campaigns/herald/campaign"
)

// InputError is what a broken input file gives; the command line prints its
// problems one by one.
type InputError = campaign.InputError

// CampaignID names a campaign.
type CampaignID = campaign.ID

// SenderID names a sender.
type SenderID = campaign.SenderID

// ImportSummary is what an import came to.
type ImportSummary = campaign.ImportSummary

// Plan says how long a campaign takes, and which limit decides that.
type Plan = campaign.Plan

// exitCodes is the one table from a kind of failure to an exit code
// (design §9). A test proves that it covers every code.
var exitCodes = map[campaign.Code]int{ //nolint:gochecknoglobals // a table
	campaign.CodeInternal:     1,
	campaign.CodeInvalid:      3,
	campaign.CodeUnavailable:  4,
	campaign.CodeThrottled:    4,
	campaign.CodeUnauthorized: 5,
	campaign.CodeNotFound:     6,
	campaign.CodeConflict:     6,
	campaign.CodeUnconfirmed:  8,
}

// ExitCode is the exit code an error deserves; 0 for none.
func ExitCode(err error) int {
	if err == nil {
		return 0
	}
	if code, ok := exitCodes[campaign.CodeOf(err)]; ok {
		return code
	}
	return 1
}

// Hints are the next steps an error names.
func Hints(err error) []string { return campaign.HintsOf(err) }

// Nearest is the candidate a typing mistake most likely meant, or "".
func Nearest(name string, candidates []string) string { return campaign.Nearest(name, candidates) }

// Problems is the broken input behind an error; nil if it is another kind.
func Problems(err error) *InputError {
	if rejected, ok := errors.AsType[*campaign.InputError](err); ok {
		return rejected
	}
	return nil
}
