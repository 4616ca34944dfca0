package periskope

import (
	"strings"
)

// Status is the canonical word for where a message stands at the provider
// (dossier §4.4).
type Status string

// The statuses, in the order a message lives through them.
const (
	StatusUnknown   Status = "" // nothing that can be told
	StatusQueued    Status = "queued"
	StatusSending   Status = "sending"
	StatusSent      Status = "sent"      // on WhatsApp's servers
	StatusDelivered Status = "delivered" // on the recipient's device
	StatusRead      Status = "read"
	StatusFailed    Status = "failed"
)

// NormalizeStatus makes one of many words, of three generations of the API,
// into a Status. A known word wins over the ack number, which two pages of the
// documentation explain differently; without one the ack decides.
func NormalizeStatus(word string, ack FlexInt) Status {
	switch strings.ToLower(strings.TrimSpace(word)) {
	case "queued", "waiting", "pending", "delayed", "scheduled", "paused":
		return StatusQueued
	case "sending", "processing", "active":
		return StatusSending
	case "sent", "completed", "success":
		return StatusSent
	case "delivered":
		return StatusDelivered
	case "read", "played":
		return StatusRead
	case "failed", "error":
		return StatusFailed
	}
	return statusOfAck(ack)
}

// statusOfAck follows the current delivery-status page: 2 is WhatsApp's
// servers, 3 the devices, 4 read, 5 played (dossier §7.2).
func statusOfAck(ack FlexInt) Status {
	switch {
	case !ack.Set:
		return StatusUnknown
	case ack.V < 0:
		return StatusFailed
	case ack.V == 0:
		return StatusQueued
	case ack.V <= 2:
		return StatusSent
	case ack.V == 3:
		return StatusDelivered
	default:
		return StatusRead
	}
}

// UniqueOf is the unique part of a message id, which comes bare
// ("3EB0A0A8F90A01259C81A3") or full ("true_<chat id>_3EB0A0A8F90A01259C81A3",
// in groups with "_<participant>" after it).
func UniqueOf(id string) string {
	parts := strings.Split(id, "_")
	if len(parts) >= 3 && (parts[0] == "true" || parts[0] == "false") {
		return parts[2]
	}
	return id
}
