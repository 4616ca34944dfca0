package status_test

import (
	"log/slog"
	"testing"
	"time"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/status"
)

// echo is our own message as a webhook shows it, sent now.
func echo(id string, chat campaign.ChatID, text string) campaign.Candidate {
	return entry(campaign.EvidenceWebhook, id, chat, text, 0).Candidate
}

// offer offers echoes and wants so many adopted.
func (l *lab) offer(want int, echoes ...campaign.Candidate) {
	l.t.Helper()
	if l.r == nil {
		l.r = status.NewReconciler(l.book, l.shelf, l.book, free{}, slog.New(slog.DiscardHandler), l.cfg)
	}
	adopted, err := l.r.Offer(l.t.Context(), "snd_1", echoes)
	check(l.t, err)
	if adopted != want {
		l.t.Errorf("%d were adopted, want %d", adopted, want)
	}
}

// TestAnEchoSettlesAnUnknownRow at once, without any request.
func TestAnEchoSettlesAnUnknownRow(t *testing.T) {
	t.Parallel()
	simulate(t, func(l *lab) {
		row := l.lose(1, asha, "Hi Asha")
		l.offer(0, echo("2", asha, "Hi Anna"), echo("3", witnessChat, "Hi Asha"))
		l.offer(1, echo("1", asha, "Hi Asha"), echo("4", asha, "Hi Asha"))
		if len(l.found) != 1 || l.requests > 0 {
			t.Fatalf("%d found in %d requests", len(l.found), l.requests)
		}
		o := l.found[0].Observation
		if o.Source != campaign.EvidenceWebhook || o.UniqueID != "3EB01" || o.Seq != row.Seq || !o.NextPoll.After(l.start) {
			t.Errorf("observation %+v", o)
		}
		l.offer(0, echo("1", asha, "Hi Asha")) // nobody is left who wants it
	})
}

// TestAnEchoIsForOneRow: one message settles one row, and none that has a row
// already settles any.
func TestAnEchoIsForOneRow(t *testing.T) {
	t.Parallel()
	simulate(t, func(l *lab) {
		l.lose(1, asha, "Hi Asha")
		l.lose(2, asha, "Hi Asha")
		l.bound[asha] = []string{"3EB0old"}
		l.offer(0, echo("old", asha, "Hi Asha"))
		l.offer(1, echo("1", asha, "Hi Asha"))
		l.offer(0, echo("1", asha, "Hi Asha"))
		l.offer(1, echo("1", asha, "Hi Asha"), echo("2", asha, "Hi Asha"))
		late := echo("3", asha, "Hi Asha")
		late.At = time.Now().Add(time.Hour)
		l.lose(3, asha, "Hi Asha")
		l.offer(0, late)
	})
}

// TestAnEchoKeepsARowFromBeingSentAgain: late evidence wins over the decision.
func TestAnEchoKeepsARowFromBeingSentAgain(t *testing.T) {
	t.Parallel()
	simulate(t, func(l *lab) {
		row := l.lose(1, asha, "Hi Asha")
		l.unknown, l.waiting = nil, []campaign.UnknownRow{row}
		l.offer(1, echo("1", asha, "Hi Asha"))
		if len(l.found) != 1 || l.found[0].seq != 1 {
			t.Errorf("found: %+v", l.found)
		}
	})
}

// TestAnEchoReachesItsRowThroughTheInbox: the whole way, on the real ledger.
func TestAnEchoReachesItsRowThroughTheInbox(t *testing.T) {
	t.Parallel()
	m := openMail(t, 1)
	row, claim := m.claim(1)
	lost := m.seeded.Accepted(row, claim)
	lost.Outcome = campaign.Outcome{Kind: campaign.OutcomeUnknown, Detail: "no answer"}
	lost.To = campaign.StatusUnknown
	_, err := m.ledger.Settle(t.Context(), lost)
	check(t, err)
	m.reconcile()
	m.deliver("message.created", m.own(1, map[string]any{"body": "Hi somebody else", "unique_id": "other", "message_id": "other"}))
	m.deliver("message.ack.updated", m.own(1, map[string]any{"ack": "3"}))
	m.deliver("message.created", m.own(1, nil))
	m.sort()
	m.later(time.Second)
	m.wantStatus(1, campaign.StatusDelivered)
	m.wantParked(1)
	if r := m.row(1); r.UniqueID != unique(1) {
		t.Errorf("the row has unique id %q", r.UniqueID)
	}
	if got := m.inbox.Stats(); got.Adopted != 1 || got.Found != 2 {
		t.Errorf("counters: %+v", got)
	}
}
