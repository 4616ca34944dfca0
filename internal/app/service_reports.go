package app

import (
	"cmp"
	"context"
	"time"
)

const (
	// reportsEvery is how often the reports of a service are brought up to date.
	reportsEvery = time.Minute
	// reportsShare bounds the time that is spent on it: a report of a million rows
	// takes seconds.
	reportsShare = 20
)

// keepReports writes the reports again of campaigns to which something happened,
// also after their end: receipts, replies and votes come for days.
func (s *Service) keepReports(ctx context.Context) {
	every := cmp.Or(s.app.tuning.reportsEvery, reportsEvery)
	timer := time.NewTimer(every)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		began := time.Now()
		s.refreshReports(ctx)
		timer.Reset(max(every, reportsShare*time.Since(began)))
	}
}

func (s *Service) refreshReports(ctx context.Context) {
	campaigns, err := s.app.store.Campaigns(ctx)
	if err != nil {
		s.app.log.WarnContext(ctx, "reports not refreshed", "err", err)
		return
	}
	for _, c := range campaigns {
		if c.StartedAt.IsZero() || c.State.Over() && time.Since(c.FinishedAt) > afterwards {
			continue
		}
		if _, err := s.app.RefreshReports(ctx, c.ID); err != nil && ctx.Err() == nil {
			s.app.log.WarnContext(ctx, "report not refreshed", "campaign_id", c.ID, "err", err)
		}
	}
}
