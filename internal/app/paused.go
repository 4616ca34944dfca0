package app

import (
	"fmt"
	"strings"
	"time"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/report"
)

// pausedError says why a campaign stopped, and what to do.
func pausedError(c campaign.Campaign) error { return pausedErrorBy(c, again) }

// pausedErrorBy is pausedError with another way to go on.
func pausedErrorBy(c campaign.Campaign, goOn string) error {
	e := &campaign.Error{
		Code: campaign.CodeConflict,
		What: fmt.Sprintf("campaign %q is paused: %s", c.Name, report.PauseWord(c.Reason)),
		Hint: pauseNext(c.Reason, fileOf(c.Spec.Path), goOn),
	}
	switch {
	case c.Reason == campaign.PauseOperator:
		e.What = fmt.Sprintf("campaign %q: %s", c.Name, byOperator(c.Detail))
	case c.Detail != "" && c.Reason != campaign.PauseInterrupted: // which says how to go on, as the hint does
		e.What += " (" + c.Detail + ")"
	}
	switch c.Reason {
	case campaign.PauseRefused:
		e.Code = campaign.CodeUnauthorized
	case campaign.PauseFailureRate, campaign.PauseMedia:
		e.Code = campaign.CodeInvalid
	case campaign.PauseUnavailable, campaign.PauseDisconnected, campaign.PauseDiskFull:
		e.Code = campaign.CodeUnavailable
	default:
	}
	if c.Reason != campaign.PauseFailureRate && c.Reason != campaign.PauseMissedStart {
		e.Hint += "; nobody was marked failed for it"
	}
	return e
}

const again = "run the same file again to go on"

// resumeIt is how a campaign goes on that a service has.
func resumeIt(name string) string { return fmt.Sprintf("`herald resume %q` goes on", name) }

// pauseNext is the next step after a pause, for the reason, of the campaign
// made from the file; goOn says how to go on then.
func pauseNext(reason campaign.PauseReason, file, goOn string) string {
	switch reason {
	case campaign.PauseOperator, campaign.PauseInterrupted:
		return goOn
	case campaign.PauseRefused:
		return "check the API token (HERALD_PERISKOPE_TOKEN or periskope.token_file) and that it may use the sender's number, then " + goOn
	case campaign.PauseDisconnected:
		return "connect the phone in the Periskope console (scan the QR code), then " + goOn
	case campaign.PauseUnavailable:
		return "wait until the API is well, then " + goOn
	case campaign.PauseFailureRate:
		return "look at the message with `herald preview`. The rows already rejected are failed. Running the same file again tries the others " +
			"with the same message: if it is still bad, up to 21 more people fail. A mended message is another campaign: " +
			"`herald report NAME --format csv` tells the rows that are failed or waiting, send it to them under another name"
	case campaign.PauseMedia:
		return "put the file back into the media folder of the data directory, then " + goOn
	case campaign.PauseMissedStart:
		if goOn != again {
			return "nothing was sent; " + goOn + " and starts it now"
		}
		return fmt.Sprintf("nothing was sent; `herald run %s --now` starts it now, a new schedule.start in the file makes it wait for that", file)
	case campaign.PauseOptOutRate:
		return "look at what they wrote with `herald report`, and at whom you write to; if you still mean it, " + goOn
	case campaign.PauseRestored:
		return "`herald resume --after-restore`, then " + goOn
	default:
		return "mend the cause and " + goOn
	}
}

// Why says in words why the campaign does not go on, and Next what to do about
// it; both are empty when it does.
func (v CampaignView) Why() string {
	switch {
	case v.State == campaign.StateCanceled:
		return canceledBy(v.Detail) + ", " + atTime(v.EndedAt)
	case v.HeldBack():
		return "this data directory is a restored copy, and sends nothing before that is confirmed"
	case v.Unattended():
		return "it is to start at " + atTime(v.StartAt) + ", and nobody waits for that"
	case !v.StoppedAt.IsZero():
		return "the service that sent it was stopped at " + atTime(v.StoppedAt) + "; nothing is lost"
	case v.Interrupted:
		return "the process that sent it is gone without a word"
	case len(v.Held) > 0:
		return v.Held[0].Word() + ": " + report.Tidy(v.Held[0].Detail)
	case v.Reason == "":
		return ""
	case v.Reason == campaign.PauseOperator:
		return byOperator(v.Detail)
	case v.Detail == "", v.Reason == campaign.PauseInterrupted: // which says how to go on, as Next does
		return report.PauseWord(v.Reason)
	default:
		return report.PauseWord(v.Reason) + ": " + report.Tidy(v.Detail)
	}
}

// Unattended says that a campaign that is scheduled has nobody who would start
// it, whether the process that waited was stopped or is gone.
func (v CampaignView) Unattended() bool {
	return v.Interrupted && v.State == campaign.StateScheduled
}

// HeldBack says that a campaign that should be running is in a restored copy
// that nobody has confirmed.
func (v CampaignView) HeldBack() bool { return v.Interrupted && v.restored }

func atTime(t time.Time) string { return t.Local().Format("2006-01-02 15:04 MST") }

// canceledBy says who canceled a campaign: the ledger has "by maya".
func canceledBy(detail string) string {
	return strings.TrimSpace("canceled " + report.Tidy(detail))
}

// canceledError says of a campaign that somebody else canceled what was not sent.
func canceledError(c campaign.Campaign, t campaign.Totals) error {
	lost := t.Unsubmitted() + t.ByStatus[campaign.StatusCanceled]
	rows := fmt.Sprintf("%d rows were not sent", lost)
	if lost == 1 {
		rows = "1 row was not sent"
	}
	if n := inQueue(t); n > 0 {
		rows += fmt.Sprintf(", and %d in Periskope's queue are taken out of there as far as that can be done", n)
	}
	return &campaign.Error{
		Code: campaign.CodeConflict, What: fmt.Sprintf("campaign %q was %s: %s", c.Name, canceledBy(c.Detail), rows),
		Hint: fmt.Sprintf("`herald status %s` shows where it stands", c.ID),
	}
}

// byOperator says who paused a campaign: the ledger has "by maya", or what was
// done.
func byOperator(detail string) string {
	detail = report.Tidy(detail)
	switch {
	case detail == "":
		return "paused by an operator"
	case strings.HasPrefix(detail, "by "):
		return "paused " + detail
	default:
		return detail
	}
}

// Next is the next step when there is a Why; "" when there is none.
func (v CampaignView) Next() string {
	next := v.next()
	if v.restored && next != "" && v.Reason != campaign.PauseRestored { // whose next step says so
		return "`herald resume --after-restore` first; then " + next
	}
	return next
}

func (v CampaignView) next() string {
	switch {
	case v.Unattended() && startMissed(v.StartAt, time.Now()):
		return pauseNext(campaign.PauseMissedStart, v.file, again)
	case v.Unattended():
		return fmt.Sprintf("`herald run %s` waits for it, and so does `herald serve`", v.file)
	case !v.StoppedAt.IsZero() && !v.restored:
		return fmt.Sprintf("`herald serve` goes on with it, and so does `herald run %s`", v.file)
	case v.Interrupted:
		return again
	case len(v.Held) > 0 && v.Held[0].Reason == campaign.PauseDiskFull:
		return "free some space; it goes on by itself"
	case len(v.Held) > 0:
		return "connect the phone in the Periskope console (scan the QR code); it goes on by itself"
	case v.Reason == "":
		return ""
	default:
		goOn := again
		switch {
		case v.served:
			goOn = resumeIt(v.Name)
		case v.attended && v.Reason == campaign.PauseOperator:
			goOn = "press r where it runs, or " + again
		}
		return pauseNext(v.Reason, v.file, goOn)
	}
}
