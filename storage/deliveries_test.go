package storage_test

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/storage"
)

// TestParkedDeliveriesHaveABound: beyond it the oldest go, and no other.
func TestParkedDeliveriesHaveABound(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		rows, bytes, want int64
	}{
		"rows": {rows: 4, want: 4}, "bytes": {bytes: 350, want: 3}, "exactly": {rows: 10, bytes: 1000, want: 10}, "as it is": {want: 10},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := storage.Open(t.Context(), storage.Config{
				Path: filepath.Join(t.TempDir(), "herald.db"), ParkedRows: test.rows, ParkedBytes: test.bytes,
			})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			var list []campaign.Delivery
			for i := range 12 {
				list = append(list, campaign.Delivery{Key: fmt.Sprint(i), Name: "message.created", Body: make([]byte, 100)})
			}
			if _, err := s.Receive(t.Context(), list); err != nil {
				t.Fatal(err)
			}
			fresh, err := s.Deliveries(t.Context(), 10)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range fresh { // two stay fresh, and count for nothing
				if _, err := s.Fold(t.Context(), []campaign.Folding{{Delivery: d.N, Park: true}}); err != nil {
					t.Fatal(err)
				}
			}
			dropped, err := s.ForgetDeliveries(t.Context(), time.Now())
			if err != nil || dropped != 10-test.want {
				t.Errorf("dropped %d, want %d (%v)", dropped, 10-test.want, err)
			}
			left, err := s.Parked(t.Context(), 100, 0)
			if err != nil || int64(len(left)) != test.want || left[len(left)-1].Key != "9" {
				t.Errorf("%d are parked, want the last %d (%v)", len(left), test.want, err)
			}
			if unread, err := s.Deliveries(t.Context(), 100); err != nil || len(unread) != 2 {
				t.Errorf("%d are fresh, want 2 (%v)", len(unread), err)
			}
		})
	}
}
