package status_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/periskope"
	"github.com/herald-campaigns/herald/storage/storagetest"
)

// list adds a message to what the provider shows.
func (m *mailroom) list(message map[string]any) { m.messages = append(m.messages, message) }

// sweepUntil looks until a time, as often as is looked: every three minutes.
// Over more than a day one look an hour does.
func (m *mailroom) sweepUntil(until time.Time) {
	m.t.Helper()
	step := 3 * time.Minute
	if until.Sub(m.now) > 24*time.Hour {
		step = time.Hour
	}
	for m.now.Before(until) {
		m.now = m.now.Add(min(step, until.Sub(m.now)))
		m.sweep()
	}
}

// TestAStopThatAPhoneBringsLate is seen in the look after the phone is back,
// however long it was away, and whether or not Herald was there meanwhile.
func TestAStopThatAPhoneBringsLate(t *testing.T) {
	t.Parallel()
	for _, away := range []time.Duration{20 * time.Minute, 9 * time.Hour, 100 * time.Hour} {
		for _, restart := range []string{"", "while it is away", "when it is back"} {
			t.Run(fmt.Sprint(away, " ", restart), func(t *testing.T) {
				t.Parallel()
				m := openMail(t, 2)
				m.send(1, 2)
				m.list(theirs(2, "r1", "Hello", mailTime.Add(time.Minute), nil))
				m.sweepUntil(mailTime.Add(2 * time.Hour))
				m.list(m.own(2, map[string]any{"unique_id": "later", "timestamp": stampOf(m.now)}))
				left := m.now
				m.sweepUntil(left.Add(away / 2))
				if restart == "while it is away" {
					m.reopen()
				}
				m.sweepUntil(left.Add(away))
				if restart == "when it is back" {
					m.reopen()
				}
				m.list(theirs(1, "r2", "STOP", left.Add(8*time.Minute), nil))
				m.sweepUntil(m.now.Add(3 * time.Minute))
				if !m.suppressed(storagetest.Chat(1)) {
					t.Error("the STOP was not seen")
				}
			})
		}
	}
}

// TestAPhoneThatIsBackTakesItsTime: it brings what is new first, and a STOP of
// the time before a while later.
func TestAPhoneThatIsBackTakesItsTime(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ takes, seen time.Duration }{
		"minutes": {takes: 25 * time.Minute, seen: 3 * time.Minute},
		"hours":   {takes: 5 * time.Hour, seen: 3 * time.Hour},
	} {
		for _, restart := range []bool{false, true} {
			t.Run(fmt.Sprint(name, " restart ", restart), func(t *testing.T) {
				t.Parallel()
				m := openMail(t, 2)
				m.send(1, 2)
				m.list(theirs(2, "r1", "Hello", mailTime.Add(time.Minute), nil))
				m.sweepUntil(mailTime.Add(8 * time.Hour))
				back := m.now
				for m.now.Before(back.Add(test.takes)) { // it is in use
					m.list(theirs(2, fmt.Sprint("fresh", m.now.Unix()), "Hello", m.now, nil))
					m.sweepUntil(m.now.Add(10 * time.Minute))
				}
				if restart {
					m.reopen()
				}
				m.list(theirs(1, "r2", "STOP", back.Add(-time.Hour), nil))
				m.sweepUntil(m.now.Add(test.seen))
				if !m.suppressed(storagetest.Chat(1)) {
					t.Error("the STOP was not seen")
				}
			})
		}
	}
}

// TestAPhoneThatWasAwayForDays brings a STOP of the first day hours after it is
// back, when the mark has moved on, in one go or in several.
func TestAPhoneThatWasAwayForDays(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		ran   time.Duration // before the phone was away
		brief bool          // it is there for a moment in between
		takes time.Duration
		down  bool // Herald is not there for the first day it is back
	}{
		"an hour and a half":       {ran: 2 * time.Hour, takes: 90 * time.Minute},
		"a day":                    {ran: 2 * time.Hour, takes: 20 * time.Hour},
		"in two goes":              {ran: 2 * time.Hour, brief: true, takes: 90 * time.Minute},
		"soon after the beginning": {ran: 4 * time.Minute, takes: 90 * time.Minute},
		"over a stop":              {ran: 2 * time.Hour, takes: 90 * time.Minute, down: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := openMail(t, 2)
			m.send(1, 2)
			m.list(theirs(2, "r1", "Hello", mailTime.Add(time.Minute), nil))
			m.sweepUntil(mailTime.Add(test.ran))
			m.sweepUntil(mailTime.Add(40 * time.Hour))
			if test.brief {
				m.list(theirs(2, "r3", "Hello", mailTime.Add(20*time.Hour), nil))
			}
			m.sweepUntil(mailTime.Add(42 * time.Hour))
			back := m.now
			for m.now.Before(back.Add(test.takes)) { // it is in use
				m.list(theirs(2, fmt.Sprint("fresh", m.now.Unix()), "Hello", m.now, nil))
				m.sweepUntil(m.now.Add(20 * time.Minute))
			}
			m.reopen()
			if test.down {
				m.now = m.now.Add(24 * time.Hour)
				m.list(theirs(2, "fresh", "Hello", m.now, nil))
			}
			m.list(theirs(1, "r2", "STOP", mailTime.Add(8*time.Hour), nil))
			m.sweepUntil(m.now.Add(3 * time.Hour))
			if !m.suppressed(storagetest.Chat(1)) {
				t.Error("the STOP was not seen")
			}
		})
	}
}

// TestAClockThatIsWrongLosesNoStop: the provider dates messages by its own.
func TestAClockThatIsWrongLosesNoStop(t *testing.T) {
	t.Parallel()
	for _, ahead := range []time.Duration{-time.Hour, -10 * time.Minute, 6 * time.Minute, 30 * time.Minute, time.Hour} {
		t.Run(ahead.String(), func(t *testing.T) {
			t.Parallel()
			m := openMail(t, 2)
			m.send(1, 2)
			m.now = mailTime.Add(ahead)
			m.list(theirs(2, "r1", "Hello", mailTime.Add(-time.Minute), nil))
			m.sweep()
			for i := range 6 { // whenever it is written between two looks
				m.sweepUntil(m.now.Add(10 * time.Minute))
				m.list(theirs(2, fmt.Sprint("fresh", i), "Hello", m.now.Add(-ahead-30*time.Second), nil))
			}
			m.now = m.now.Add(time.Minute)
			m.sweep()
			m.list(theirs(1, "r2", "STOP", m.now.Add(-ahead), nil))
			m.sweepUntil(m.now.Add(3 * time.Minute))
			if !m.suppressed(storagetest.Chat(1)) {
				t.Error("the STOP was not seen")
			}
		})
	}
}

// TestLooksStayShort: neither a phone that is quiet for weeks nor one that is
// always busy is asked about more and more.
func TestLooksStayShort(t *testing.T) {
	t.Parallel()
	t.Run("quiet", func(t *testing.T) {
		t.Parallel()
		m := openMail(t, 1)
		m.list(theirs(1, "r1", "Hello", mailTime, nil))
		m.sweep()
		for day := range 40 {
			m.now = mailTime.Add(time.Duration(day) * 24 * time.Hour)
			m.requests("/")
			m.sweep()
			if n := m.requests("/chats/messages"); n > 4 {
				t.Errorf("%d requests on day %d", n, day)
			}
		}
		m.reopen()
		m.now = m.now.Add(time.Hour)
		m.sweep()
		if n := m.requests("/chats/messages"); n > 6 {
			t.Errorf("%d requests after a restart", n)
		}
	})
	t.Run("busy", func(t *testing.T) {
		t.Parallel()
		m := openMail(t, 1)
		far, looks := 0, 0
		for i := range 24 * 20 {
			m.now = m.now.Add(3 * time.Minute)
			if i%4 == 0 {
				m.list(theirs(1, fmt.Sprint("r", i), "Hello", m.now, nil))
			}
			m.asked = nil
			m.sweep()
			looks++
			from, _, _ := strings.Cut(strings.TrimPrefix(m.asked[0], "/chats/messages?"), "…")
			if back := m.now.Sub(periskope.ParseTime(from)); back > 90*time.Minute {
				far++
			}
			m.messages = slices.DeleteFunc(m.messages, func(message map[string]any) bool { // or else this takes long
				return m.now.Sub(periskope.ParseTime(message["timestamp"].(string))) > 3*time.Hour //nolint:forcetypeassert // written above
			})
		}
		if far < 8 || far > 14 { // one in two hours
			t.Errorf("%d of %d looks go far back", far, looks)
		}
	})
}

// TestClocksApartAreTold once, and again when it is over.
func TestClocksApartAreTold(t *testing.T) {
	t.Parallel()
	m := openMail(t, 1)
	theirs := m.now.Add(-90 * time.Second)
	m.date = func() string { return theirs.Format(http.TimeFormat) }
	for range 5 {
		m.sweepUntil(m.now.Add(3 * time.Minute))
		theirs = theirs.Add(3 * time.Minute)
	}
	if n := strings.Count(m.log.String(), "clock and the provider's are apart"); n != 1 {
		t.Errorf("said %d times:\n%s", n, m.log)
	}
	theirs = m.now.Add(2 * time.Minute)
	m.sweepUntil(m.now.Add(3 * time.Minute))
	if n := strings.Count(m.log.String(), "agree again"); n != 1 {
		t.Errorf("said %d times that it is over:\n%s", n, m.log)
	}
}

// TestALookThatIsCutShortGoesOn where it was, and the mark does not move before
// it has come to its end.
func TestALookThatIsCutShortGoesOn(t *testing.T) {
	t.Parallel()
	m := openMail(t, 1)
	var froms []time.Time
	away := false
	lists := &scripted{each: func(from, to time.Time, show func(campaign.News)) error {
		froms = append(froms, from)
		if to.IsZero() && away {
			return &campaign.Error{Code: campaign.CodeUnavailable, What: "no"}
		}
		if !from.After(mailTime) {
			show(campaign.News{Inbound: &campaign.Inbound{ID: "r1", Chat: storagetest.Chat(1), Text: "Hello", At: mailTime}})
		}
		return nil
	}}
	m.sweepBy(lists, free{})
	m.sweep()
	m.now, away, froms = mailTime.Add(100*time.Hour), true, nil
	m.sweep()
	m.now, away = m.now.Add(time.Minute), false
	m.sweep()
	m.now = m.now.Add(3 * time.Minute)
	m.sweep()
	begin := mailTime.Add(-5 * time.Minute)
	if want := []time.Time{begin, begin.Add(96 * time.Hour), begin.Add(96 * time.Hour), begin}; !slices.EqualFunc(want, froms, time.Time.Equal) {
		t.Errorf("looked from %v, want %v", froms, want)
	}
}

// TestAClockThatIsSetRight is not waited for: what was put off by the wrong one
// is due, after a restart as well.
func TestAClockThatIsSetRight(t *testing.T) {
	t.Parallel()
	ahead := func(t *testing.T, rows int) *mailroom {
		t.Helper()
		m := openMail(t, rows)
		m.send(1)
		m.now = mailTime.Add(10 * time.Hour)
		m.list(theirs(2, "r1", "Hello", mailTime, nil))
		return m
	}
	for name, right := range map[string]func(*mailroom){"in one process": func(*mailroom) {}, "over a restart": (*mailroom).reopen} {
		t.Run("replies "+name, func(t *testing.T) {
			t.Parallel()
			m := ahead(t, 2)
			m.sweep()
			m.now = mailTime.Add(time.Minute)
			right(m)
			m.list(theirs(1, "r2", "STOP", mailTime.Add(30*time.Second), nil))
			m.sweepUntil(m.now.Add(3 * time.Minute))
			if !m.suppressed(storagetest.Chat(1)) {
				t.Error("the STOP was not seen")
			}
		})
		t.Run("settling "+name, func(t *testing.T) {
			t.Parallel()
			m := ahead(t, 2)
			m.sweep()
			m.now = mailTime.Add(time.Minute)
			right(m)
			for i := range 9 {
				m.sweepUntil(m.now.Add(10 * time.Minute))
				m.list(theirs(2, fmt.Sprint("fresh", i), "Hello", m.now, nil))
			}
			m.sweepUntil(m.now.Add(3 * time.Minute)) // the far look
			m.asked = nil
			m.sweepUntil(m.now.Add(3 * time.Minute))
			if from, _, _ := strings.Cut(strings.TrimPrefix(m.asked[0], "/chats/messages?"), "…"); m.now.Sub(periskope.ParseTime(from)) > 75*time.Minute {
				t.Errorf("the mark does not move: asked for %v at %s", m.asked, m.now)
			}
		})
		t.Run("votes "+name, func(t *testing.T) {
			t.Parallel()
			m := ahead(t, 2)
			m.watch(1)
			m.sweep()
			m.now = mailTime.Add(time.Minute)
			right(m)
			m.list(m.voted(1, mailTime.Add(30*time.Second), "No"))
			m.asked = nil
			m.sweep()
			if n := m.requests("/message/"); n != 1 {
				t.Errorf("%d requests for the votes", n)
			}
		})
	}
	t.Run("trouble", func(t *testing.T) {
		t.Parallel()
		m := ahead(t, 2)
		lists := &scripted{each: func(time.Time, time.Time, func(campaign.News)) error {
			return &campaign.Error{Code: campaign.CodeUnavailable, What: "no"}
		}}
		m.sweepBy(lists, free{})
		m.sweep()
		m.now = mailTime.Add(time.Minute)
		m.sweep()
		if lists.looks != 2 {
			t.Errorf("%d looks", lists.looks)
		}
	})
}

// TestALookThatWasCutShortSettlesAsLong as any other: what it listed last was
// not the newest when it began.
func TestALookThatWasCutShortSettlesAsLong(t *testing.T) {
	t.Parallel()
	m := openMail(t, 2)
	m.send(1, 2)
	var all []campaign.Inbound
	failing := false
	lists := &scripted{each: func(from, to time.Time, show func(campaign.News)) error {
		if failing && to.IsZero() {
			return &campaign.Error{Code: campaign.CodeUnavailable, What: "no"}
		}
		for _, one := range all {
			if !one.At.Before(from) && (to.IsZero() || one.At.Before(to)) {
				show(campaign.News{Inbound: &one})
			}
		}
		return nil
	}}
	write := func(seq int64, id, text string, at time.Time) {
		all = append(all, campaign.Inbound{ID: id, Chat: storagetest.Chat(seq), Text: text, At: at})
	}
	write(2, "r1", "Hello", mailTime)
	m.sweepBy(lists, free{})
	m.sweepUntil(mailTime.Add(2 * time.Hour))
	left := m.now
	m.sweepUntil(left.Add(72 * time.Hour)) // the phone is away
	m.sweepBy(lists, free{})               // Herald is restarted: it looks in parts again
	m.now, failing = m.now.Add(40*time.Minute), true
	m.sweepUntil(m.now.Add(time.Hour)) // and the provider is away for the last of them
	failing = false
	back := m.now
	write(2, "fresh", "Hello", back)
	m.sweepUntil(back.Add(8 * time.Minute))
	write(1, "r2", "STOP", left.Add(time.Hour)) // it takes its time
	m.sweepUntil(back.Add(15 * time.Minute))
	if !m.suppressed(storagetest.Chat(1)) {
		t.Error("the STOP was not seen")
	}
}
