package app

import (
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/herald-campaigns/herald/internal/faults"
)

// TestCampaignBehindAFaultyTransport runs a small campaign behind each way in
// which calls of the send API go wrong (reliability page §3.4). Two of its calls
// are struck. Whatever was not taken is sent again, whatever was taken is found,
// and in the end everybody has got one message.
func TestCampaignBehindAFaultyTransport(t *testing.T) {
	t.Parallel()
	const recipients, strikes = 30, 2
	header := func(name, value string) http.Header { return http.Header{name: {value}} }
	for name, test := range map[string]struct {
		rule faults.Rule

		found, returned int64 // rows in doubt: settled by evidence, sent again after proof
		failed          int64
		exit            int  // of the first run; another one goes on
		told            bool // an alarm in the log
		orFewer         bool // were sent again after proof, the others at once
	}{
		"no connection": {rule: faults.Rule{Kind: faults.Refuse}},
		// Certainly not sent, if the reset came before the message was asked for.
		"reset before a byte":     {rule: faults.Rule{Kind: faults.ResetBefore}, returned: strikes, orFewer: true},
		"cut before the header":   {rule: faults.Rule{Kind: faults.Cut, Bytes: 1}, returned: strikes},
		"cut in the header":       {rule: faults.Rule{Kind: faults.Cut, Bytes: 120}, returned: strikes},
		"cut in the body":         {rule: faults.Rule{Kind: faults.Cut, Bytes: 290}, returned: strikes},
		"reset after it was sent": {rule: faults.Rule{Kind: faults.ResetAfter}, found: strikes},
		"no answer":               {rule: faults.Rule{Kind: faults.Hang}, found: strikes},
		"a slow answer":           {rule: faults.Rule{Kind: faults.Delay, Wait: 300 * time.Millisecond}},
		"an answer too slow":      {rule: faults.Rule{Kind: faults.Delay, Wait: 15 * time.Second}, found: strikes},
		"a web page":              {rule: faults.Rule{Kind: faults.HTML}, found: strikes},
		"no JSON":                 {rule: faults.Rule{Kind: faults.WrongBody, Body: `{"queue_id":`}, found: strikes},
		"an empty body":           {rule: faults.Rule{Kind: faults.WrongBody}, found: strikes},
		"no queue id":             {rule: faults.Rule{Kind: faults.WrongBody, Body: `{"track_by":"x"}`}, found: strikes},
		"a body without an end":   {rule: faults.Rule{Kind: faults.HugeBody, Bytes: 1 << 30}, found: strikes},
		// Settled by evidence as well; but the call itself had a good answer, and
		// by the attempts the judge counts.
		"an id given before": {rule: faults.Rule{Kind: faults.RepeatID}, told: true},
		"302":                {rule: faults.Rule{Kind: faults.Status, Status: 302, Header: header("Location", "/v1/elsewhere")}, found: strikes},
		"500, not taken":     {rule: faults.Rule{Kind: faults.RefuseStatus, Status: 500}, returned: strikes},
		"502 in HTML, taken": {rule: faults.Rule{Kind: faults.Status, Status: 502, Body: "<html>Bad Gateway</html>"}, found: strikes},
		"408, not taken":     {rule: faults.Rule{Kind: faults.RefuseStatus, Status: 408}, returned: strikes},
		"429":                {rule: faults.Rule{Kind: faults.RefuseStatus, Status: 429, Header: header("Retry-After", "1"), Body: `{"message":"Too many requests"}`}},
		"400":                {rule: faults.Rule{Kind: faults.RefuseStatus, Status: 400, Body: `{"code":"VALIDATION_ERROR","message":"Invalid body"}`}, failed: strikes},
		"413":                {rule: faults.Rule{Kind: faults.RefuseStatus, Status: 413, Body: `{"code":"PAYLOAD_TOO_LARGE","message":"Request entity too large"}`}, failed: strikes},
		"401":                {rule: faults.Rule{Kind: faults.RefuseStatus, Status: 401, Body: `{"code":"UNAUTHORIZED","message":"Unauthorized"}`}, exit: 5},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			th := newTheater(t, nil)
			wire := &http.Transport{MaxConnsPerHost: 8, DisableCompression: true, IdleConnTimeout: 2 * time.Second}
			rule := test.rule
			rule.Nth = []int{3, 12}
			transport := faults.NewTransport(wire, 1, rule)
			th.tuning.transport, th.tuning.callTimeout, th.tuning.firstRetry = transport, 5*time.Second, 50*time.Millisecond
			file := th.text(recipients, "pace: { rate: 100/s, in_flight: 2 }\n")
			for range strikes * min(test.exit, 1) { // each strike ends a run
				if _, err := th.run(t.Context(), file, PrepareOptions{}, RunOptions{}); ExitCode(err) != test.exit {
					t.Fatalf("run = %v, exit code %d, want %d", err, ExitCode(err), test.exit)
				}
			}
			th.mustRun(file, PrepareOptions{})
			a := th.open()
			defer func() { check(t, a.Close()) }()
			found := th.audit(a)
			if hits := transport.Hits()[0]; hits != strikes {
				t.Errorf("%d calls went wrong, want %d", hits, strikes)
			}
			returned := found.Returned == test.returned || test.orFewer && found.Returned < test.returned
			if found.Found != test.found || !returned || found.Failed != test.failed ||
				found.Known != recipients-test.failed || found.Accepted != found.Known {
				t.Errorf("want %d by evidence, %d sent again, %d failed: %s", test.found, test.returned, test.failed, found)
			}
			if told := th.log.lines(slog.LevelError, "queue id belongs to another row"); test.told != (told > 0) {
				t.Errorf("told %d times of an id that was given before", told)
			}
		})
	}
}
