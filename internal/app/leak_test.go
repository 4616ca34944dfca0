package app

import (
	"fmt"
	"strings"
	"testing"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/sandbox"
)

// TestNothingLeaks runs through trouble of every kind at debug level, and
// looks for the token, numbers and texts in logs and errors.
func TestNothingLeaks(t *testing.T) {
	t.Parallel()
	echo := func(kind sandbox.FaultKind, status int) sandbox.Fault {
		return sandbox.Fault{Kind: kind, Status: status, RateLimitReset: "0", Next: 1}
	}
	th := newTheater(t, func(c *sandbox.Config) {
		c.Faults = []sandbox.Fault{
			echo(sandbox.FaultStatus, 422),
			echo(sandbox.FaultStatus, 429),
			echo(sandbox.FaultStatus, 500),
			{Kind: sandbox.FaultMalformed, Next: 1},
			{Kind: sandbox.FaultReset, Next: 1},
			{Kind: sandbox.FaultNoQueueID, Next: 1},
			{Kind: sandbox.FaultCutBody, Size: 30, Next: 1},
			{Kind: sandbox.FaultStatus, Status: 404, Route: sandbox.RouteQueues},
			{Kind: sandbox.FaultStatus, Status: 404, Route: sandbox.RouteMessages}, // unknown rows stay unknown
		}
	})
	file := th.text(40, "")
	var said strings.Builder
	say := func(err error) {
		if err == nil {
			t.Error("this should have gone wrong")
		}
		fmt.Fprintf(&said, "%v %+v %#v %v\n", err, err, err, Hints(err))
		if bad := Problems(err); bad != nil {
			fmt.Fprintf(&said, "%+v\n", bad.Problems)
		}
	}
	a := th.open()
	result, err := runIn(t.Context(), a, file, PrepareOptions{}, RunOptions{})
	check(t, err)
	if result.Totals.ByStatus[campaign.StatusUnknown] < 4 || result.Totals.ByStatus[campaign.StatusFailed] != 1 {
		t.Errorf("the faults did not strike: %v", result.Totals.ByStatus)
	}
	views, err := a.Recipients(t.Context(), result.Campaign.ID, RecipientFilter{Statuses: []string{"unknown", "failed"}})
	check(t, err)
	for view, err := range views {
		check(t, err)
		said.WriteString(view.Detail + "\n")
	}

	check(t, th.sim.AddFault(sandbox.Fault{Kind: sandbox.FaultStatus, Status: 401, Route: sandbox.RouteAny}))
	_, err = runIn(t.Context(), a, file, PrepareOptions{AsNew: true}, RunOptions{})
	say(err)
	th.sim.ClearFaults()
	th.api.down()
	_, err = runIn(t.Context(), a, file, PrepareOptions{AsNew: true}, RunOptions{})
	say(err)
	th.write("recipients.csv", rows(1, 3)+"+"+number(9)+",\"open quote\n")
	_, err = a.Prepare(t.Context(), file, PrepareOptions{AsNew: true})
	say(err)
	th.write("recipients.csv", "phone,name\n"+strings.Repeat(number(7)+number(8)+",Asha\n", 5))
	_, err = a.Prepare(t.Context(), file, PrepareOptions{AsNew: true})
	say(err)
	_, err = a.Campaign(t.Context(), "no such campaign")
	say(err)
	check(t, a.Close())

	fmt.Fprintf(&said, "%v %+v %#v\n", th.cfg, th.cfg, th.cfg.Periskope)
	everything := th.log.String() + said.String()
	secrets := []string{testToken, testSender, "marzipan", number(7) + number(8)}
	for i := 1; i <= 40; i++ {
		secrets = append(secrets, number(i))
	}
	for _, secret := range secrets {
		if before, _, ok := strings.Cut(everything, secret); ok {
			line := everything[strings.LastIndex(before, "\n")+1:]
			t.Errorf("%q is shown: %.300s", secret, line)
		}
	}
	if len(th.log.String()) < 5000 {
		t.Errorf("only %d bytes of log: this test looks at nothing", len(th.log.String()))
	}
}
