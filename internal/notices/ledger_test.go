package notices

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/storage"
)

// TestFromTheLedger moves a campaign in the real ledger, restarts between the
// moves, and lets the receiver refuse once: every move arrives, and what was
// refused arrives again with the same id.
func TestFromTheLedger(t *testing.T) {
	t.Parallel()
	verifier, err := NewListener(testSecret, func(Heard) int { return http.StatusNoContent })
	if err != nil {
		t.Fatal(err)
	}
	refuse := make(chan struct{}, 1)
	there := newReceiver(t, func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-refuse:
			w.WriteHeader(http.StatusServiceUnavailable)
		default:
			verifier.ServeHTTP(w, r)
		}
	})
	path := filepath.Join(t.TempDir(), "herald.db")
	id := campaign.NewID()
	used := func(use func(*storage.Store) error) {
		t.Helper()
		store, err := storage.Open(t.Context(), storage.Config{Path: path})
		if err == nil {
			err = use(store)
		}
		if err == nil {
			err = store.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	used(func(store *storage.Store) error {
		return store.CreateCampaign(t.Context(), campaign.Campaign{
			ID: id, Name: "Offer", Mode: campaign.ModeSandbox, State: campaign.StateDraft,
			Spec: campaign.Spec{Name: "Offer", Message: campaign.Template{Text: "Hi"}, Senders: []string{"12015550123"}, Notify: &campaign.Notify{URL: there.URL}},
		})
	})
	for _, move := range []campaign.State{campaign.StateRunning, campaign.StatePaused, campaign.StateCanceled} {
		if move == campaign.StatePaused {
			refuse <- struct{}{}
		}
		used(func(store *storage.Store) error {
			_, err := store.Transition(t.Context(), id, move, reasonOf(move), "")
			return err
		})
		used(func(store *storage.Store) error { // another process
			s := newSender(t, Config{Outbox: store, Marks: store, Speed: 100})
			stop := running(t, s)
			defer stop()
			if !s.Drain(t.Context(), 20*time.Second) {
				return fmt.Errorf("%s was not delivered", move)
			}
			return nil
		})
	}
	seen := there.seen()
	if len(seen) != 4 || seen[1] != seen[2] || seen[0] == seen[1] || seen[2] == seen[3] || !strings.HasPrefix(seen[0], "msg_") {
		t.Errorf("ids as they came: %s; want three, the second twice", words(seen))
	}
	used(func(store *storage.Store) error {
		got, err := store.Notices(context.Background(), id)
		if diff := cmp.Diff(campaign.NoticeCounts{Delivered: 3}, got); diff != "" {
			t.Errorf("in the ledger (-want +got):\n%s", diff)
		}
		return err
	})
}

func reasonOf(move campaign.State) campaign.PauseReason {
	if move == campaign.StatePaused {
		return campaign.PauseOperator
	}
	return ""
}
