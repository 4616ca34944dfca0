package campaign

// Status is what is known of one recipient (design §3).
type Status string

// The statuses, in the order a message lives through them.
const (
	StatusSkipped    Status = "skipped"    // will not be sent; has a SkipReason
	StatusPending    Status = "pending"    // waits in the ledger
	StatusStaged     Status = "staged"     // its task is in the stream
	StatusSubmitting Status = "submitting" // the intent is durable, the call may be under way
	StatusUnknown    Status = "unknown"    // the call may have been taken; never blindly resent
	StatusQueued     Status = "queued"     // Periskope took it
	StatusProcessing Status = "processing" // Periskope works on it
	StatusSent       Status = "sent"       // on WhatsApp's servers
	StatusDelivered  Status = "delivered"  // on the recipient's device
	StatusRead       Status = "read"       // seen, where read receipts are on
	StatusFailed     Status = "failed"     // has a FailReason
	StatusCanceled   Status = "canceled"   // its campaign was canceled, or its person opted out, before it went out
)

// Statuses lists every status in the order reports show them.
func Statuses() []Status {
	return []Status{
		StatusPending, StatusStaged, StatusSubmitting, StatusUnknown, StatusQueued, StatusProcessing,
		StatusSent, StatusDelivered, StatusRead, StatusFailed, StatusSkipped, StatusCanceled,
	}
}

// rank orders statuses by how much they prove. Merging takes the higher rank,
// so evidence may arrive in any order and any number of times. Failed stands
// between processing and sent: a provider's failure ends waiting, but later
// proof that the message went out wins over it.
var rank = map[Status]int{
	StatusSkipped: 0, StatusPending: 0, StatusStaged: 0, StatusSubmitting: 0, StatusUnknown: 0, StatusCanceled: 0,
	StatusQueued: 1, StatusProcessing: 2, StatusFailed: 3, StatusSent: 4, StatusDelivered: 5, StatusRead: 6,
}

// Merge is the status after evidence for next has been seen. It is
// commutative, associative and idempotent over evidence statuses (queued …
// read, failed); anything a status before queued says gives way to evidence.
func (s Status) Merge(next Status) Status {
	if rank[next] > rank[s] {
		return next
	}
	return s
}

// Evident says whether the status can only be had from the provider.
func (s Status) Evident() bool { return rank[s] > 0 }

// Out says whether the status proves that the message went out.
func (s Status) Out() bool { return rank[s] >= rank[StatusSent] }

// TakenBack says whether a row of this status with this queue id had been
// accepted, and its message was then taken back out of the provider's queue: its
// campaign was canceled, or its person opted out.
func (s Status) TakenBack(queueID string) bool { return s == StatusCanceled && queueID != "" }

// Waiting says whether the recipient still waits for its send. Users see the
// two statuses as one.
func (s Status) Waiting() bool { return s == StatusPending || s == StatusStaged }

// Settled says whether nothing further is expected: read, failed, skipped,
// canceled. Delivered may still become read.
func (s Status) Settled() bool {
	return s == StatusRead || s == StatusFailed || s == StatusSkipped || s == StatusCanceled
}

// SkipReason says why a recipient will not be sent to (design §3).
type SkipReason string

// The reasons. SkipMalformed is a record whose cells do not fit the header.
const (
	SkipMalformed        SkipReason = "malformed_row"
	SkipInvalidPhone     SkipReason = "invalid_phone"
	SkipDuplicate        SkipReason = "duplicate"
	SkipOptedOut         SkipReason = "opted_out"
	SkipTemplateError    SkipReason = "template_error"
	SkipNotOnWhatsApp    SkipReason = "not_on_whatsapp"
	SkipExcluded         SkipReason = "excluded"
	SkipDuplicateContent SkipReason = "duplicate_content"
	SkipExpired          SkipReason = "expired"
	SkipHoldout          SkipReason = "holdout" // chosen by lot to get nothing, to compare with
)

// SkipReasons lists every reason in the order reports show them.
func SkipReasons() []SkipReason {
	return []SkipReason{
		SkipMalformed, SkipInvalidPhone, SkipDuplicate, SkipOptedOut, SkipTemplateError,
		SkipNotOnWhatsApp, SkipExcluded, SkipDuplicateContent, SkipExpired, SkipHoldout,
	}
}

// Bad says whether the reason is a row a person can mend (it counts towards
// the 5 % of bad rows an import accepts); a duplicate is none.
func (r SkipReason) Bad() bool {
	return r == SkipMalformed || r == SkipInvalidPhone || r == SkipTemplateError
}

// FailReason groups failures for the report.
type FailReason string

// The reasons.
const (
	FailRejected FailReason = "rejected"  // the API refused this recipient or message for good
	FailTooLarge FailReason = "too_large" // the message does not fit through the stream or the API
	FailProvider FailReason = "provider"  // accepted, then the provider or WhatsApp gave up
	// No row gets the last two any more: an API that is away and a ledger that
	// cannot write a row pause the campaign and blame nobody. They stay for
	// whoever reads the JSON, in which fields are only added.
	FailExhausted FailReason = "exhausted" // our attempts ran out
	FailPoison    FailReason = "poison"    // delivered ten times by the stream without an outcome
)

// FailReasons lists every reason in the order reports show them.
func FailReasons() []FailReason {
	return []FailReason{FailRejected, FailTooLarge, FailProvider, FailExhausted, FailPoison}
}

// FailClass says whether trying again later can help.
type FailClass string

// The classes.
const (
	FailPermanent FailClass = "permanent"
	FailTransient FailClass = "transient"
)
