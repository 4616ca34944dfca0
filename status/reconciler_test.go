package status_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/status"
)

func failing(code campaign.Code) error { return &campaign.Error{Code: code, Err: errors.New("no")} }

// simulate runs a test in virtual time.
func simulate(t *testing.T, test func(*lab)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(newLab(t)) })
}

func TestLostAnswerFoundAmongJobs(t *testing.T) {
	t.Parallel()
	simulate(t, func(l *lab) {
		l.lose(1, asha, "Hi Asha")
		l.job("1", asha, "Hi Asha", 0)
		l.run(10 * time.Minute)
		l.want([]int{0}, nil, nil, 0)
		o := l.found[0].Observation
		if o.Source != campaign.EvidenceJobs || o.QueueID != "q1" || o.UniqueID != "3EB01" || o.Status != campaign.StatusSent ||
			!o.NextPoll.After(l.start) || o.SentAt.IsZero() {
			t.Errorf("observation %+v", o)
		}
	})
}

func TestLostAnswerFoundAmongMessages(t *testing.T) {
	t.Parallel()
	simulate(t, func(l *lab) {
		l.lose(1, asha, "Hi Asha")
		l.message("1", asha, "Hi Asha")
		l.run(10 * time.Minute)
		l.want([]int{0}, nil, nil, 0)
		if source := l.found[0].Source; source != campaign.EvidenceMessages {
			t.Errorf("found among %s", source)
		}
	})
}

// TestAbsentRowIsReturnedOnce: after the settle window and two passes half a
// minute apart, not earlier and not again.
func TestAbsentRowIsReturnedOnce(t *testing.T) {
	t.Parallel()
	simulate(t, func(l *lab) {
		l.lose(1, asha, "Hi Asha")
		l.run(time.Minute)
		l.want(nil, nil, nil, 1)
		l.run(10 * time.Minute)
		l.want(nil, []int{90}, nil, 0)
		if detail := l.returned[0].detail; !strings.Contains(detail, "not taken") {
			t.Errorf("detail %q", detail)
		}
	})
}

// TestSettleWindowFollowsTheLag: three times the longest lag beyond the call's
// time-out.
func TestSettleWindowFollowsTheLag(t *testing.T) {
	t.Parallel()
	simulate(t, func(l *lab) {
		l.lag = 40 * time.Second
		l.lose(1, asha, "Hi Asha")
		l.run(10 * time.Minute)
		l.want(nil, []int{180}, nil, 0)
	})
}

// TestLateCommitIsNeverReturned: whenever the provider gets round to showing
// the message before the second pass.
func TestLateCommitIsNeverReturned(t *testing.T) {
	t.Parallel()
	for _, after := range []time.Duration{time.Second, 29 * time.Second, 59 * time.Second, 61 * time.Second, 89 * time.Second} {
		simulate(t, func(l *lab) {
			l.lose(1, asha, "Hi Asha")
			l.job("1", asha, "Hi Asha", after)
			l.run(10 * time.Minute)
			if len(l.found) != 1 || len(l.returned) != 0 {
				t.Errorf("visible after %s: found %d times, returned %d times", after, len(l.found), len(l.returned))
			}
		})
	}
}

// TestAbsenceAtOnceWouldRepeatMessages is fact M3 of the reliability page:
// without the settle window a slow commit is taken for absence, and somebody
// gets the message twice. With it nobody does.
func TestAbsenceAtOnceWouldRepeatMessages(t *testing.T) {
	t.Parallel()
	const commit = 800 * time.Millisecond
	repeated := func(hasty bool) (n int) {
		simulate(t, func(l *lab) {
			if hasty {
				l.pace = 1000
				l.cfg.SettleFloor, l.cfg.CallTimeout, l.cfg.PassGap, l.cfg.Idle = 1, 1, 1, 50*time.Millisecond
			}
			l.lose(1, asha, "Hi Asha")
			l.job("1", asha, "Hi Asha", commit)
			l.run(10 * time.Minute)
			n = len(l.returned)
		})
		return n
	}
	if repeated(true) != 1 {
		t.Error("a reconciler without a settle window passes: the test proves nothing")
	}
	if repeated(false) != 0 {
		t.Error("an accepted message would be sent again")
	}
}

// TestWhatProvesNothing: whatever the doubt is, the row is held, looked for
// now and then, and not counted as open any more.
func TestWhatProvesNothing(t *testing.T) {
	t.Parallel()
	for name, doubt := range map[string]func(*lab){
		"rewritten text":               func(l *lab) { l.job("1", asha, "Hi Asha, sent by us", 0) },
		"same text, another time":      func(l *lab) { l.message("1", asha, "Hi Asha"); l.messages[0].At = l.start.Add(time.Hour) },
		"same text, chat by no number": func(l *lab) { l.job("1", "231412345678901@lid", "Hi Asha", 0) },
		"same text, alike number":      func(l *lab) { l.job("1", "12015550191@c.us", "Hi Asha", 0) },
		"no job list":                  func(l *lab) { l.jobsErr = failing(campaign.CodeNotFound) },
		"no message list":              func(l *lab) { l.chatsErr = failing(campaign.CodeNotFound) },
		"chat refused":                 func(l *lab) { l.chatsErr = failing(campaign.CodeInvalid) },
		"lag never measured":           func(l *lab) { l.measured = false },
		"no witness":                   func(l *lab) { l.witnesses = nil },
		"witness too young":            func(l *lab) { l.witnesses[0].QueuedAt = l.start.Add(time.Hour) },
		"witness missing":              func(l *lab) { l.witness("w2", time.Minute) },
		"text not known":               func(l *lab) { delete(l.texts, 1) },
		"another text than sent":       func(l *lab) { l.texts[1] = campaign.Message{Text: "changed"} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			simulate(t, func(l *lab) {
				l.lose(1, asha, "Hi Asha")
				doubt(l)
				l.run(89 * time.Second)
				l.want(nil, nil, nil, 1)
				l.run(3 * time.Minute)
				l.want(nil, nil, nil, 0)
				if n := strings.Count(l.log.String(), "stay unknown"); n != 1 {
					t.Errorf("said %d times that the row is held", n)
				}
				asked := l.requests
				l.run(20 * time.Minute)
				if n := l.requests - asked; n < 3 || n > 12 {
					t.Errorf("%d requests in 20 minutes of looking now and then", n)
				}
				// Late evidence wins all the same.
				l.set(func(s *shelf) { s.jobsErr, s.chatsErr = nil, nil })
				l.texts[1] = campaign.Message{Text: "Hi Asha"}
				queued := entry(campaign.EvidenceJobs, "late", asha, "Hi Asha", 0)
				queued.At = l.start
				l.set(func(s *shelf) { s.jobs = append(s.jobs, queued) })
				l.run(31 * time.Minute)
				if name == "another text than sent" {
					return // what it said is settled: it cannot be recognized
				}
				if len(l.found) != 1 || len(l.returned) != 0 {
					t.Errorf("found %d times, returned %d times after late evidence\n%s", len(l.found), len(l.returned), l.log.String())
				}
			})
		})
	}
}

// TestHeldRowIsReturnedWhenTheDoubtIsOver: the lag is measured later.
func TestHeldRowIsReturnedWhenTheDoubtIsOver(t *testing.T) {
	t.Parallel()
	simulate(t, func(l *lab) {
		l.measured = false
		l.lose(1, asha, "Hi Asha")
		l.run(4 * time.Minute)
		l.want(nil, nil, nil, 0)
		l.job("new", witnessChat, "Hi", 0)
		l.r.Accepted(campaign.Tracked{Sender: campaign.Sender{ID: "snd_1"}, QueueID: "qnew"})
		l.run(10 * time.Minute)
		l.want(nil, []int{420}, nil, 0)
	})
}

// TestJobsThatAreDoneLeaveTheList: the witnesses are then looked for in their
// chats. That proves something only once the queue has passed the row, and only
// if the provider knows the row's chat by the number that we know.
func TestJobsThatAreDoneLeaveTheList(t *testing.T) {
	t.Parallel()
	simulate(t, func(l *lab) {
		l.jobs, l.witnesses = nil, l.witnesses[:1]
		l.message("w0", witnessChat, "Hi witness")
		l.message("old", asha, "Welcome")
		l.messages[1].At = l.start.Add(-24 * time.Hour)
		l.lose(1, asha, "Hi Asha")
		l.run(10 * time.Minute)
		l.want(nil, nil, nil, 0) // an older message was sent; ours may wait, unseen
		l.witness("w2", -time.Second)
		l.message("w2", witnessChat, "Hi witness")
		l.run(time.Hour)
		if len(l.returned) != 1 {
			t.Errorf("returned %d times, although a later message was sent\n%s", len(l.returned), l.log.String())
		}
	})
	simulate(t, func(l *lab) { // delivered, to the number as WhatsApp knows it
		l.jobs = nil
		const given, known = campaign.ChatID("5511987654321@c.us"), campaign.ChatID("551187654321@c.us")
		l.lose(1, given, "Hi Asha")
		l.message("1", known, "Hi Asha")
		l.message("w0", witnessChat, "Hi witness")
		l.message("w1", witnessChat, "Hi witness")
		l.run(time.Hour)
		l.want(nil, nil, nil, 0)
	})
}

// TestListsOfOneSide: a list that may be cut off at either end proves nothing,
// unless somebody's jobs at both sides of the row, or the provider's own
// counters, say that it is not.
func TestListsOfOneSide(t *testing.T) {
	t.Parallel()
	foreign := func(l *lab, after time.Duration) {
		l.job("x", "12015550888@c.us", "of another program", 0)
		l.jobs[len(l.jobs)-1].At = l.start.Add(after)
	}
	earlier := func(l *lab) { l.witnesses, l.jobs = l.witnesses[:1], l.jobs[:1] }
	later := func(l *lab) { l.witnesses, l.jobs = l.witnesses[1:], l.jobs[1:] }
	for name, test := range map[string]struct {
		see    func(*lab)
		proves bool
	}{
		"nothing before":                  {later, false},
		"nothing after":                   {earlier, false},
		"nothing before, all counted":     {func(l *lab) { later(l); l.count = -1 }, true},
		"nothing after, all counted":      {func(l *lab) { earlier(l); l.count = -1 }, true},
		"nothing before, more counted":    {func(l *lab) { later(l); l.count = 2 }, false},
		"no counters":                     {func(l *lab) { later(l); l.count, l.countErr = 1, failing(campaign.CodeNotFound) }, false},
		"counters away":                   {func(l *lab) { later(l); l.count, l.countErr = 1, failing(campaign.CodeUnavailable) }, false},
		"an older job of somebody's":      {func(l *lab) { later(l); foreign(l, -2*time.Minute) }, true},
		"one that may be younger":         {func(l *lab) { later(l); foreign(l, -30*time.Second) }, false},
		"a later job of somebody's":       {func(l *lab) { earlier(l); foreign(l, 2*time.Minute) }, true},
		"all counted, but a witness lost": {func(l *lab) { later(l); l.count = -1; l.witness("w2", -2*time.Millisecond) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			simulate(t, func(l *lab) {
				l.lose(1, asha, "Hi Asha")
				test.see(l)
				l.run(time.Hour)
				if got := len(l.returned) == 1; got != test.proves {
					t.Errorf("returned %d times\n%s", len(l.returned), l.log.String())
				}
			})
		})
	}
}

// TestClocksThatDisagree: what the lists say of times is by the provider's
// clock.
func TestClocksThatDisagree(t *testing.T) {
	t.Parallel()
	simulate(t, func(l *lab) { // the message looks too old, and its job is gone
		l.lose(1, asha, "Hi Asha")
		l.message("1", asha, "Hi Asha")
		l.messages[0].At = l.start.Add(-2 * time.Minute)
		l.run(time.Hour)
		l.want(nil, nil, nil, 0)
	})
	for _, ahead := range []time.Duration{2 * time.Minute, -2 * time.Minute} {
		simulate(t, func(l *lab) {
			l.lose(1, asha, "Hi Asha")
			for i := range l.jobs {
				l.jobs[i].At = l.jobs[i].At.Add(ahead)
			}
			l.run(time.Hour)
			l.want(nil, nil, nil, 0)
		})
	}
}

// TestAttemptsAreLimited: nobody but a person has a row sent a fourth time, and
// the policy resend sends without proof once.
func TestAttemptsAreLimited(t *testing.T) {
	t.Parallel()
	unlisted := func(l *lab) { l.jobsErr = failing(campaign.CodeNotFound) }
	for name, test := range map[string]struct {
		attempt int
		policy  campaign.UnknownPolicy
		see     func(*lab)
		again   int
	}{
		"second, absent":           {2, campaign.PolicyHold, func(*lab) {}, 1},
		"third, absent":            {3, campaign.PolicyHold, func(*lab) {}, 0},
		"later, absent":            {7, campaign.PolicyHold, func(*lab) {}, 0},
		"resend, first, unlisted":  {1, campaign.PolicyResend, unlisted, 1},
		"resend, second, unlisted": {2, campaign.PolicyResend, unlisted, 0},
		"resend, second, absent":   {2, campaign.PolicyResend, func(*lab) {}, 1},
		"resend, third, absent":    {3, campaign.PolicyResend, func(*lab) {}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			simulate(t, func(l *lab) {
				l.policy(test.policy)
				l.lose(1, asha, "Hi Asha")
				l.unknown[0].Attempt = test.attempt
				test.see(l)
				l.run(time.Hour)
				if len(l.returned) != test.again || l.open(l.r) != 0 {
					t.Errorf("returned %d times, open %d\n%s", len(l.returned), l.open(l.r), l.log.String())
				}
			})
		})
	}
}

// TestNothingIsDecidedWithoutTheProvider: an outage, and each kind of refusal,
// leaves everything as it is for as long as it lasts.
func TestNothingIsDecidedWithoutTheProvider(t *testing.T) {
	t.Parallel()
	for name, set := range map[string]func(*shelf, error){
		"phone":    func(s *shelf, err error) { s.checkErr = err },
		"jobs":     func(s *shelf, err error) { s.jobsErr = err },
		"messages": func(s *shelf, err error) { s.chatsErr = err },
	} {
		for _, code := range []campaign.Code{campaign.CodeUnavailable, campaign.CodeThrottled, campaign.CodeUnauthorized} {
			for _, policy := range campaign.UnknownPolicies() {
				t.Run(name+" "+string(code)+" "+string(policy), func(t *testing.T) {
					t.Parallel()
					simulate(t, func(l *lab) {
						l.policy(policy)
						l.lose(1, asha, "Hi Asha")
						l.set(func(s *shelf) { set(s, failing(code)) })
						l.run(time.Hour)
						l.want(nil, nil, nil, 1)
						if n := strings.Count(l.log.String(), "WARN"); n > 1 {
							t.Errorf("%d warnings about one outage", n)
						}
						l.set(func(s *shelf) { set(s, nil) })
						l.run(10 * time.Minute)
						if len(l.returned)+len(l.assumed) != 1 {
							t.Errorf("returned %d times, assumed sent %d times after the outage", len(l.returned), len(l.assumed))
						}
					})
				})
			}
		}
	}
}

// TestDisconnectionBetweenTwoPasses: what was seen before it counts no more.
func TestDisconnectionBetweenTwoPasses(t *testing.T) {
	t.Parallel()
	simulate(t, func(l *lab) {
		l.lose(1, asha, "Hi Asha")
		l.run(70 * time.Second)
		l.set(func(s *shelf) { s.checkErr = failing(campaign.CodeUnavailable) })
		l.run(30 * time.Second)
		l.set(func(s *shelf) { s.checkErr = nil })
		l.run(10 * time.Minute)
		l.want(nil, []int{130}, nil, 0)
	})
}

func TestPolicies(t *testing.T) {
	t.Parallel()
	ambiguous := func(l *lab) { l.job("1", asha, "Hi Asha!", 0) }
	absent := func(*lab) {}
	unlisted := func(l *lab) { l.jobsErr = failing(campaign.CodeNotFound) }
	for name, test := range map[string]struct {
		policy            campaign.UnknownPolicy
		see               func(*lab)
		returned, assumed []int
		detail            string
	}{
		"hold, absent":             {campaign.PolicyHold, absent, []int{90}, nil, "not taken"},
		"hold, ambiguous":          {campaign.PolicyHold, ambiguous, nil, nil, ""},
		"hold, no list":            {campaign.PolicyHold, unlisted, nil, nil, ""},
		"assume sent, absent":      {campaign.PolicyAssumeSent, absent, []int{90}, nil, "not taken"},
		"assume sent, ambiguous":   {campaign.PolicyAssumeSent, ambiguous, nil, []int{90}, "assume_sent"},
		"assume sent, no list":     {campaign.PolicyAssumeSent, unlisted, nil, []int{90}, "assume_sent"},
		"resend, absent":           {campaign.PolicyResend, absent, []int{90}, nil, "not taken"},
		"resend, ambiguous":        {campaign.PolicyResend, ambiguous, []int{90}, nil, "may be a duplicate"},
		"resend, no list":          {campaign.PolicyResend, unlisted, []int{90}, nil, "may be a duplicate"},
		"resend, lag not measured": {campaign.PolicyResend, func(l *lab) { l.measured = false }, []int{90}, nil, "may be a duplicate"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			simulate(t, func(l *lab) {
				l.policy(test.policy)
				l.lose(1, asha, "Hi Asha")
				test.see(l)
				l.run(10 * time.Minute)
				l.want(nil, test.returned, test.assumed, 0)
				if risked := test.detail == "may be a duplicate"; (l.unproven > 0) != risked {
					t.Errorf("%d rows sent again without proof", l.unproven)
				}
				for _, e := range append(l.returned, l.assumed...) {
					if !strings.Contains(e.detail, test.detail) {
						t.Errorf("detail %q, want %q in it", e.detail, test.detail)
					}
				}
			})
		})
	}
}

// TestAssumedSentRowIsStillFound: late evidence wins over a decision.
func TestAssumedSentRowIsStillFound(t *testing.T) {
	t.Parallel()
	simulate(t, func(l *lab) {
		l.policy(campaign.PolicyAssumeSent)
		l.lose(1, asha, "Hi Asha")
		l.job("1", asha, "Hi Asha", 3*time.Minute)
		l.measured = false // so that its absence until then proves nothing
		l.run(time.Hour)
		if len(l.assumed) != 1 || len(l.found) != 1 || len(l.returned) != 0 {
			t.Errorf("assumed %d, found %d, returned %d", len(l.assumed), len(l.found), len(l.returned))
		}
	})
}

// TestOldRows: after a day a row is looked for once, and never sent again,
// whatever the policy.
func TestOldRows(t *testing.T) {
	t.Parallel()
	for _, policy := range campaign.UnknownPolicies() {
		simulate(t, func(l *lab) {
			l.policy(policy)
			for seq, chat := range []campaign.ChatID{asha, "12015550132@c.us"} {
				row := l.lose(int64(seq), chat, "Hi Asha")
				l.unknown[seq].ClaimedAt, l.unknown[seq].EndedAt = row.ClaimedAt.Add(-25*time.Hour), row.EndedAt.Add(-25*time.Hour)
			}
			found := entry(campaign.EvidenceMessages, "1", asha, "Hi Asha", 0)
			found.At = found.At.Add(-25 * time.Hour)
			l.set(func(s *shelf) { s.messages = append(s.messages, found) })
			l.run(time.Hour)
			l.want([]int{0}, nil, nil, 0)
			if l.requests > 8 {
				t.Errorf("%d requests for old rows", l.requests)
			}
		})
	}
	t.Run("old meanwhile", func(t *testing.T) {
		t.Parallel()
		simulate(t, func(l *lab) {
			l.lose(1, asha, "Hi Asha")
			l.set(func(s *shelf) { s.checkErr = failing(campaign.CodeUnavailable) })
			l.run(25 * time.Hour)
			l.set(func(s *shelf) { s.checkErr = nil })
			l.run(2 * time.Hour)
			l.want(nil, nil, nil, 0)
		})
	})
}

// TestSameTextOfTwoCampaigns: one message was taken, so one of the two rows has
// it, and the other is sent again.
func TestSameTextOfTwoCampaigns(t *testing.T) {
	t.Parallel()
	simulate(t, func(l *lab) {
		l.lose(1, asha, "Hi Asha")
		l.lose(2, asha, "Hi Asha")
		l.unknown[1].Campaign = "cmp_2"
		l.job("1", asha, "Hi Asha", 0)
		l.run(10 * time.Minute)
		if len(l.found) != 1 || len(l.returned) != 1 || l.found[0].seq == l.returned[0].seq {
			t.Errorf("found %d, returned %d", len(l.found), len(l.returned))
		}
	})
	simulate(t, func(l *lab) { // the message is bound to a row that was accepted
		l.lose(2, asha, "Hi Asha")
		l.job("1", asha, "Hi Asha", 0)
		l.bound[asha] = []string{"q1"}
		l.run(10 * time.Minute)
		l.want(nil, []int{90}, nil, 0)
	})
}

// TestRowOfAProcessThatDied has no end of its call, which may have been under
// way until just now: it gets the whole settle window from when it is first
// seen, however old its intent is by a clock that may have been set.
func TestRowOfAProcessThatDied(t *testing.T) {
	t.Parallel()
	for _, age := range []time.Duration{0, 40 * time.Second, time.Hour, -time.Hour} {
		simulate(t, func(l *lab) {
			l.lose(1, asha, "Hi Asha")
			l.unknown[0].ClaimedAt, l.unknown[0].EndedAt = l.start.Add(-age), time.Time{}
			l.set(func(s *shelf) { s.count = -1 }) // counts what it lists, which nothing is after
			l.run(10 * time.Minute)
			l.want(nil, []int{90}, nil, 0)
		})
	}
	simulate(t, func(l *lab) { // killed at the end of a long call
		l.lose(1, asha, "Hi Asha")
		l.unknown[0].ClaimedAt, l.unknown[0].EndedAt = l.start.Add(-85*time.Second), time.Time{}
		l.job("1", asha, "Hi Asha", 45*time.Second)
		l.run(time.Hour)
		l.want([]int{60}, nil, nil, 0)
	})
}

// TestUploadKilled: a call that carries a file may last minutes, and its message
// be queued at the end of it.
func TestUploadKilled(t *testing.T) {
	t.Parallel()
	for _, shown := range []bool{true, false} {
		simulate(t, func(l *lab) {
			message := campaign.Message{Text: "Look", Media: &campaign.Media{Type: campaign.MediaVideo, Hash: "abc", Size: 64 << 20}}
			l.put(campaign.UnknownRow{
				Campaign: "cmp_1", Seq: 1, Gen: 1, Attempt: 1, Sender: campaign.Sender{ID: "snd_1"}, Chat: asha, BodyHash: message.Hash(),
				ClaimedAt: l.start.Add(-5 * time.Minute),
			}, message)
			if shown {
				l.job("1", asha, "Look", 45*time.Second)
				l.jobs[2].At, l.jobs[2].Kind = l.start, campaign.KindMedia
			}
			l.run(time.Hour)
			if len(l.returned) != 0 || shown != (len(l.found) == 1) {
				t.Errorf("shown %t: found %d times, returned %d times", shown, len(l.found), len(l.returned))
			}
		})
	}
}

// TestManyRowsOfOneSender are looked for in turns, and all settled.
func TestManyRowsOfOneSender(t *testing.T) {
	t.Parallel()
	simulate(t, func(l *lab) {
		for seq := range int64(200) {
			l.lose(seq, campaign.PersonChat(nine(seq)), "Hi")
			if seq%2 == 0 {
				l.job(nine(seq), campaign.PersonChat(nine(seq)), "Hi", 0)
			}
		}
		l.run(20 * time.Minute)
		// A number that is one digit off may be the same person's, but for its
		// message being another row's.
		if len(l.found) != 100 || len(l.returned) != 100 || l.open(l.r) != 0 {
			t.Errorf("found %d, returned %d, open %d", len(l.found), len(l.returned), l.open(l.r))
		}
		for _, e := range l.returned {
			if e.seq%2 == 0 {
				t.Errorf("row %d was accepted and would be sent again", e.seq)
			}
		}
	})
}

func nine(seq int64) string {
	return "9199999900" + string(rune('0'+seq/100)) + string(rune('0'+seq/10%10)) + string(rune('0'+seq%10))
}

// TestThrottledReconcilerWaits as long as it was asked to.
func TestThrottledReconcilerWaits(t *testing.T) {
	t.Parallel()
	simulate(t, func(l *lab) {
		l.lose(1, asha, "Hi Asha")
		l.set(func(s *shelf) { s.jobsErr = throttled{failing(campaign.CodeThrottled)} })
		l.run(5 * time.Minute)
		if l.requests > 12 { // two a look
			t.Errorf("%d requests in 5 minutes, asked to wait a minute each time", l.requests)
		}
	})
}

type throttled struct{ error }

func (throttled) RetryAfter() time.Duration { return time.Minute }

func (t throttled) Unwrap() error { return t.error }

// TestLagIsMeasured from what is accepted, now and then, and kept.
func TestLagIsMeasured(t *testing.T) {
	t.Parallel()
	accept := func(l *lab, id string, visible time.Duration) {
		l.job(id, asha, "Hi", visible)
		l.r.Accepted(campaign.Tracked{Sender: campaign.Sender{ID: "snd_1"}, QueueID: "q" + id})
	}
	t.Run("at once", func(t *testing.T) {
		t.Parallel()
		simulate(t, func(l *lab) {
			l.measured = false
			l.run(time.Millisecond)
			accept(l, "1", 0)
			l.run(time.Second)
			if !l.measured || l.lag != 0 {
				t.Errorf("lag %s, measured %v", l.lag, l.measured)
			}
		})
	})
	t.Run("the longest", func(t *testing.T) {
		t.Parallel()
		simulate(t, func(l *lab) {
			l.measured = false
			l.run(time.Millisecond)
			for i, visible := range []time.Duration{time.Second, 3 * time.Second, 0} {
				accept(l, string(rune('a'+i)), visible)
				l.run(10 * time.Second)
			}
			if l.lag < 3*time.Second || l.lag > 7*time.Second {
				t.Errorf("lag %s, want at least the 3 s of the slowest, and not much more", l.lag)
			}
		})
	})
	t.Run("few of many", func(t *testing.T) {
		t.Parallel()
		simulate(t, func(l *lab) {
			l.run(time.Millisecond)
			for range 100 {
				accept(l, "x", 0)
			}
			l.run(time.Second)
			if l.requests != 1 {
				t.Errorf("%d requests", l.requests)
			}
		})
	})
	t.Run("never visible", func(t *testing.T) {
		t.Parallel()
		simulate(t, func(l *lab) {
			l.lose(1, asha, "Hi Asha")
			l.run(time.Millisecond)
			accept(l, "1", 24*time.Hour)
			l.run(30 * time.Minute)
			l.want(nil, []int{90}, nil, 0) // returned while nothing was known against it
			l.lose(2, asha, "Hi Asha")
			l.run(30 * time.Minute)
			l.want(nil, []int{90}, nil, 0)
		})
	})
}

// TestBlindnessOutlivesTheProcess: messages that do not appear in the lists
// are a reason for doubt until one is seen to appear.
func TestBlindnessOutlivesTheProcess(t *testing.T) {
	t.Parallel()
	simulate(t, func(l *lab) {
		l.run(time.Millisecond)
		l.r.Accepted(campaign.Tracked{Sender: campaign.Sender{ID: "snd_1"}, QueueID: "qnever"})
		l.run(5 * time.Minute)
		l.r = nil
		l.lose(1, asha, "Hi Asha")
		l.job("1", asha, "Hi Asha", 3*time.Minute)
		l.run(time.Hour)
		if len(l.found) != 1 || len(l.returned) != 0 {
			t.Errorf("found %d times, returned %d times", len(l.found), len(l.returned))
		}
	})
}

// TestDecidedCountsWhatIsThere: a row that was held and is found counts no more
// for another that is not decided about.
func TestDecidedCountsWhatIsThere(t *testing.T) {
	t.Parallel()
	simulate(t, func(l *lab) {
		l.jobsErr = failing(campaign.CodeNotFound)
		l.lose(1, asha, "Hi Asha")
		l.run(4 * time.Minute)
		l.lose(2, "12015550150@c.us", "Hi Bob")
		late := entry(campaign.EvidenceJobs, "late", asha, "Hi Asha", 0)
		late.At = l.start
		l.set(func(s *shelf) { s.jobsErr, s.jobs = nil, append(s.jobs, late) })
		check(l.t, l.r.Round(l.t.Context()))
		if len(l.found) != 1 || l.r.Decided("cmp_1") != 0 {
			t.Errorf("found %d, decided %d, want the one found not to count", len(l.found), l.r.Decided("cmp_1"))
		}
	})
}

// TestRowsToBeSentAgainAreLookedForOnceMore: evidence wins that came since it
// was decided, and nothing else follows from looking.
func TestRowsToBeSentAgainAreLookedForOnceMore(t *testing.T) {
	t.Parallel()
	for name, see := range map[string]func(*lab){
		"jobs":     func(l *lab) { l.job("1", asha, "Hi Asha", 0) },
		"messages": func(l *lab) { l.message("1", asha, "Hi Asha") },
		"nothing":  func(*lab) {},
		"trouble":  func(l *lab) { l.jobsErr = failing(campaign.CodeUnavailable) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			simulate(t, func(l *lab) {
				l.lose(1, asha, "Hi Asha")
				l.waiting, l.unknown = l.unknown, nil
				see(l)
				l.run(time.Millisecond)
				err := l.r.Revisit(l.t.Context(), "cmp_1")
				found := name == "jobs" || name == "messages"
				if (err != nil) != (name == "trouble") || (len(l.found) == 1) != found || len(l.returned)+len(l.assumed) != 0 {
					t.Errorf("%v; found %d, returned %d, assumed %d", err, len(l.found), len(l.returned), len(l.assumed))
				}
			})
		})
	}
}

// TestOtherCampaignsAreOnlyFound: nobody would send what is returned of them.
func TestOtherCampaignsAreOnlyFound(t *testing.T) {
	t.Parallel()
	for _, policy := range campaign.UnknownPolicies() {
		simulate(t, func(l *lab) {
			l.policy(policy)
			l.cfg.Attention["cmp_1"] = status.Attention{Policy: policy, FoundOnly: true}
			delete(l.cfg.Attention, "cmp_2")
			l.lose(1, asha, "Hi Asha")
			l.lose(2, "12015550150@c.us", "Hi Bob")
			l.job("2", "12015550150@c.us", "Hi Bob", 10*time.Minute)
			l.run(time.Hour)
			if len(l.found) != 1 || len(l.returned) != 0 || len(l.assumed) != 0 {
				t.Errorf("%s: found %d, returned %d, assumed %d", policy, len(l.found), len(l.returned), len(l.assumed))
			}
			l.unknown = nil // settled by hand
			l.run(time.Minute)
			asked := l.listed
			l.run(time.Minute)
			if asked == 0 || l.listed != asked {
				t.Errorf("asked %d times for unknown rows of a campaign that has none", l.listed-asked)
			}
		})
	}
}

// TestCallsUnderWayKeepTheAttention: a campaign is stopped while a call of it
// hangs, and what came of the call is found when it has ended at last.
func TestCallsUnderWayKeepTheAttention(t *testing.T) {
	t.Parallel()
	simulate(t, func(l *lab) {
		l.cfg.Attention = map[campaign.ID]status.Attention{"cmp_1": {FoundOnly: true}}
		l.calls = 1
		l.job("1", asha, "Hi Asha", 0)
		l.run(30 * time.Second)
		l.lose(1, asha, "Hi Asha")
		l.calls = 0
		l.run(10 * time.Second)
		l.want([]int{30}, nil, nil, 0)
		asked := l.listed
		l.run(time.Minute)
		if l.listed != asked {
			t.Errorf("asked %d times for unknown rows when the call was settled", l.listed-asked)
		}
	})
}

// TestAttentionAskedForMeanwhile is not taken back for what was counted before:
// the campaign went on, and was stopped again in the middle of a call.
func TestAttentionAskedForMeanwhile(t *testing.T) {
	t.Parallel()
	simulate(t, func(l *lab) {
		l.cfg.Attention = map[campaign.ID]status.Attention{"cmp_1": {FoundOnly: true}}
		l.job("1", asha, "Hi Asha", 0)
		l.counting = func() {
			l.counting = nil
			l.r.Attend("cmp_1", status.Attention{FoundOnly: true})
			l.lose(1, asha, "Hi Asha")
		}
		l.run(10 * time.Second)
		l.want([]int{0}, nil, nil, 0)
	})
}

// TestRoundEndsWithItsContext: nothing is decided on the way out.
func TestRoundEndsWithItsContext(t *testing.T) {
	t.Parallel()
	simulate(t, func(l *lab) {
		l.lose(1, asha, "Hi Asha")
		l.run(80 * time.Second)
		ctx, cancel := context.WithCancel(l.t.Context())
		cancel()
		if err := l.r.Round(ctx); err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("round: %v", err)
		}
		l.want(nil, nil, nil, 1)
	})
}

// TestDoubtBetweenTwoPasses: passes agree only when nothing else is between
// them.
func TestDoubtBetweenTwoPasses(t *testing.T) {
	t.Parallel()
	simulate(t, func(l *lab) {
		l.lose(1, asha, "Hi Asha")
		l.run(70 * time.Second)
		l.witness("w2", time.Minute)
		l.run(30 * time.Second)
		l.job("w2", witnessChat, "Hi witness", 0)
		l.jobs[2].At = l.witnesses[2].QueuedAt
		l.run(10 * time.Minute)
		l.want(nil, []int{150}, nil, 0)
	})
}

// TestMessagesAloneProveNothing: without a job list nobody sees what waits.
func TestMessagesAloneProveNothing(t *testing.T) {
	t.Parallel()
	simulate(t, func(l *lab) {
		l.lose(1, asha, "Hi Asha")
		l.witness("w2", -time.Second)
		l.message("w1", witnessChat, "Hi witness")
		l.message("w2", witnessChat, "Hi witness")
		l.jobsErr = failing(campaign.CodeNotFound)
		l.run(time.Hour)
		l.want(nil, nil, nil, 0)
	})
}
