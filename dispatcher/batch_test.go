package dispatcher

import (
	"testing"
	"time"

	"github.com/herald-campaigns/herald/campaign"
)

func TestFetchBatch(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		pace campaign.Pace
		want int
	}{
		{campaign.Pace{}, 1},
		{campaign.Pace{Rate: campaign.Rate{Count: 4, Per: time.Minute}, InFlight: 1}, 1},
		{campaign.Pace{Rate: campaign.Rate{Count: 4, Per: time.Minute}, InFlight: 8}, 8},
		{campaign.Pace{Rate: campaign.Rate{Count: 100, Per: time.Second}, InFlight: 8}, 25},
		{campaign.Pace{Rate: campaign.Rate{Count: 10_000, Per: time.Second}, InFlight: 8}, 256},
		{campaign.Pace{Rate: campaign.Rate{Unlimited: true}, InFlight: 1}, 256},
	} {
		if got := fetchBatch(test.pace); got != test.want {
			t.Errorf("fetchBatch(%+v) = %d, want %d", test.pace, got, test.want)
		}
	}
}
