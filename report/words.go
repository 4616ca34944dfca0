package report

import "github.com/herald-campaigns/herald/campaign"

// Word is what a code of the domain means to a person. Every writer takes its
// wording from here.
type Word struct {
	Label   string // short, lower case
	Meaning string // one clause, no full stop
	Advice  string // what to do about it; "" when there is nothing to do
}

// waiting stands for pending and staged, which users see as one.
const waiting = "waiting"

var statusWords = map[campaign.Status]Word{
	campaign.StatusPending:    {Label: waiting, Meaning: "not sent yet"},
	campaign.StatusStaged:     {Label: waiting, Meaning: "not sent yet"},
	campaign.StatusSubmitting: {Label: "sending", Meaning: "the send call is under way"},
	campaign.StatusUnknown:    {Label: "unknown", Meaning: "may have been taken; never resent blindly", Advice: "herald unknowns lists these rows, and what to do about each"},
	campaign.StatusQueued:     {Label: "queued", Meaning: "taken by the provider, not sent yet"},
	campaign.StatusProcessing: {Label: "processing", Meaning: "the provider works on it"},
	campaign.StatusSent:       {Label: "sent", Meaning: "on WhatsApp's servers, not known as delivered"},
	campaign.StatusDelivered:  {Label: "delivered", Meaning: "on the device, not known as read"},
	campaign.StatusRead:       {Label: "read", Meaning: "seen by the recipient"},
	campaign.StatusFailed:     {Label: "failed", Meaning: "will not arrive; reasons below"},
	campaign.StatusSkipped:    {Label: "skipped", Meaning: "not sent to; reasons below"},
	campaign.StatusCanceled:   {Label: "canceled", Meaning: "canceled before they went out"},
}

var skipWords = map[campaign.SkipReason]Word{
	campaign.SkipMalformed:        {Label: "malformed row", Meaning: "the cells do not fit the header", Advice: "mend the quotes or delimiters of these rows"},
	campaign.SkipInvalidPhone:     {Label: "invalid phone", Meaning: "no number that can exist", Advice: "mend the numbers and import these rows again"},
	campaign.SkipDuplicate:        {Label: "duplicate", Meaning: "an earlier row has the same chat"},
	campaign.SkipOptedOut:         {Label: "opted out", Meaning: "asked not to be written to"},
	campaign.SkipTemplateError:    {Label: "template error", Meaning: "the message cannot be made for this row", Advice: "fill the empty cells, or give the template a default"},
	campaign.SkipNotOnWhatsApp:    {Label: "not on WhatsApp", Meaning: "the number has no WhatsApp account"},
	campaign.SkipExcluded:         {Label: "excluded", Meaning: "left out by the campaign file"},
	campaign.SkipDuplicateContent: {Label: "same content", Meaning: "got the same message lately"},
	campaign.SkipHoldout:          {Label: "held out", Meaning: "chosen by lot to get nothing, to compare with"},
	campaign.SkipExpired:          {Label: "expired", Meaning: "the message's time was over before its turn"},
}

var failWords = map[campaign.FailReason]Word{
	campaign.FailRejected:  {Label: "rejected", Meaning: "the API refused this recipient or message for good", Advice: "mend the number or the message; trying again as it is cannot help"},
	campaign.FailTooLarge:  {Label: "too large", Meaning: "the message does not fit through the stream or the API", Advice: "shorten the text, or give the file as a URL instead of sending it along"},
	campaign.FailProvider:  {Label: "provider gave up", Meaning: "accepted, then the provider or WhatsApp gave up", Advice: "the detail says why: what was wrong with the sender or the provider can be tried again, what is wrong with the number cannot"},
	campaign.FailExhausted: {Label: "attempts used up", Meaning: "every attempt met an API that did not take it", Advice: "the recipient is not to blame: try again when the API is well"},
	campaign.FailPoison:    {Label: "no outcome", Meaning: "handed over ten times without an outcome", Advice: "this is for an engineer: look for the row in the log, then try again"},
}

var pauseWords = map[campaign.PauseReason]string{
	campaign.PauseOperator:     "by an operator",
	campaign.PauseInterrupted:  "the process that sent it was stopped",
	campaign.PauseDisconnected: "the sender's phone is disconnected",
	campaign.PauseRefused:      "the API refused the credentials",
	campaign.PauseUnavailable:  "the API is not available",
	campaign.PauseFailureRate:  "too many failures",
	campaign.PauseOptOutRate:   "too many opt-outs",
	campaign.PauseCanary:       "the first messages wait for your word",
	campaign.PauseMissedStart:  "its start was missed",
	campaign.PauseDiskFull:     "the disk is full",
	campaign.PauseMedia:        "its media file cannot be read",
	campaign.PauseRestored:     "the database was restored from a backup",
}

// StatusWord is the wording of a status. A status this version does not know
// speaks for itself.
func StatusWord(s campaign.Status) Word {
	if w, ok := statusWords[s]; ok {
		return w
	}
	return Word{Label: string(s)}
}

// SkipWord is the wording of a skip reason.
func SkipWord(r campaign.SkipReason) Word {
	if w, ok := skipWords[r]; ok {
		return w
	}
	return Word{Label: string(r)}
}

// FailWord is the wording of a fail reason.
func FailWord(r campaign.FailReason) Word {
	if w, ok := failWords[r]; ok {
		return w
	}
	return Word{Label: string(r)}
}

// PauseWord is the wording of a pause reason.
func PauseWord(r campaign.PauseReason) string {
	if w, ok := pauseWords[r]; ok {
		return w
	}
	return string(r)
}

// statusCode is the status as the round-trip CSV writes it: the ledger's own
// word, with pending and staged as one.
func statusCode(s campaign.Status) string {
	if s.Waiting() {
		return waiting
	}
	return string(s)
}
