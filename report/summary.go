package report

import (
	"github.com/herald-campaigns/herald/campaign"
)

// Summary is the one object `run --json` ends with (docs/cli-json.md).
type Summary struct {
	SchemaVersion     int                           `json:"schema_version"`
	CampaignID        campaign.ID                   `json:"campaign_id"`
	Name              string                        `json:"name"`
	Mode              campaign.Mode                 `json:"mode"`
	State             campaign.State                `json:"state"`
	Rows              int64                         `json:"rows"`
	Balance           map[campaign.Status]int64     `json:"balance"` // every status, zero or not
	Balanced          bool                          `json:"balanced"`
	Provisional       bool                          `json:"provisional"`
	Skipped           map[campaign.SkipReason]int64 `json:"skipped"`             // every reason, zero or not
	Failed            map[campaign.FailReason]int64 `json:"failed"`              // every reason, zero or not
	RejectsFile       *string                       `json:"rejects_file"`        // null: none
	ReportFile        *string                       `json:"report_file"`         // null: none
	DurationMS        int64                         `json:"duration_ms"`         // started to finished, or to the report
	AcceptedPerSecond float64                       `json:"accepted_per_second"` // 0 when nothing was accepted
}

// Summarize is the report in short. reportFile is where the report was
// written, "" when it was not.
func Summarize(r *Report, reportFile string) Summary {
	s := Summary{
		SchemaVersion: SchemaVersion,
		CampaignID:    r.Header.ID,
		Name:          r.Header.Name,
		Mode:          r.Header.Mode,
		State:         r.Header.State,
		Rows:          r.Rows,
		Balance:       r.Balance.ByStatus,
		Balanced:      r.Balanced,
		Provisional:   r.Provisional,
		Skipped:       r.Skipped.ByReason,
		Failed:        r.Failures.ByReason,
	}
	if r.RejectsFile != "" {
		s.RejectsFile = new(r.RejectsFile)
	}
	if reportFile != "" {
		s.ReportFile = new(reportFile)
	}
	if started := r.Header.StartedAt; !started.IsZero() {
		end := r.Header.FinishedAt
		if end.IsZero() {
			end = r.GeneratedAt
		}
		s.DurationMS = max(end.Sub(started).Milliseconds(), 0)
	}
	switch accepted := r.Funnel[0].Count; {
	case r.Timing != nil:
		s.AcceptedPerSecond = r.Timing.AcceptedPerSecond
	case s.DurationMS > 0:
		s.AcceptedPerSecond = float64(accepted) * 1000 / float64(s.DurationMS)
	}
	return s
}
