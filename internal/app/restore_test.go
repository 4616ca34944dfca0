package app

import (
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/herald-campaigns/herald/campaign"
)

// TestMostIn: what a pace lets go in a time bounds what a restored copy may send
// again.
func TestMostIn(t *testing.T) {
	t.Parallel()
	perMinute := campaign.Pace{Rate: campaign.Rate{Count: 4, Per: time.Minute}, Burst: 1}
	capped := perMinute
	capped.Hourly = 10
	for name, test := range map[string]struct {
		pace   campaign.Pace
		passed time.Duration
		want   int64
	}{
		"at once":                {perMinute, 0, 2}, // the one due now, and one of a burst
		"a quarter of a minute":  {perMinute, 15 * time.Second, 3},
		"an hour":                {perMinute, time.Hour, 242},
		"an hour under a cap":    {capped, time.Hour - time.Second, 11},
		"longer than it takes":   {perMinute, 1000 * time.Hour, 1001},
		"the clock was set back": {perMinute, -time.Hour, 1},
		"without a limit":        {campaign.Pace{Rate: campaign.Rate{Unlimited: true}, Burst: 1}, 0, 1001},
	} {
		if got := mostIn(test.pace, test.passed, 1000); got != test.want {
			t.Errorf("%s: %d, want %d", name, got, test.want)
		}
	}
}

// TestRestoredCountsWhateverWaits: rows of a draft, too, whose import may have
// ended and been sent since the copy was made.
func TestRestoredCountsWhateverWaits(t *testing.T) {
	t.Parallel()
	th := newTheater(t, nil)
	a := th.open()
	_, err := a.Prepare(t.Context(), th.text(20, ""), PrepareOptions{})
	check(t, err)
	check(t, a.Close())
	copied := filepath.Join(th.dir, "copy")
	_, err = Backup(t.Context(), th.cfg, slog.New(slog.DiscardHandler), copied)
	check(t, err)
	th.cfg.DataDir = copied
	a, err = OpenRestored(t.Context(), th.cfg, slog.New(slog.DiscardHandler))
	check(t, err)
	found, err := a.Restored(t.Context())
	check(t, err)
	if len(found.Campaigns) != 1 || found.Campaigns[0].State != campaign.StateDraft || found.Waiting != 20 {
		t.Errorf("%d rows wait in %+v, want the 20 of the draft", found.Waiting, found.Campaigns)
	}
	check(t, a.Close())
}
