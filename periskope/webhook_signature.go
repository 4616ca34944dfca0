package periskope

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"
)

// SignatureHeader is the header a webhook delivery is signed in.
const SignatureHeader = "X-Periskope-Signature"

// Fault says what is wrong with a webhook delivery.
type Fault string

// The faults. The first three mean that the delivery may be anybody's.
const (
	FaultNoKey     Fault = "no_key"    // there is no signing key to verify it with
	FaultUnsigned  Fault = "unsigned"  // without a signature, or with what is none
	FaultForged    Fault = "forged"    // not signed with one of the keys, or changed since
	FaultOversize  Fault = "oversize"  // longer than MaxWebhook
	FaultMalformed Fault = "malformed" // not the JSON of an event
)

// WebhookError is a webhook delivery that must change nothing. It carries
// nothing of the delivery.
type WebhookError struct{ Fault Fault }

func (e *WebhookError) Error() string {
	what := "is no event"
	switch e.Fault {
	case FaultNoKey:
		what = "cannot be verified without a signing key"
	case FaultUnsigned:
		what = "has no signature"
	case FaultForged:
		what = "is not signed with one of the signing keys"
	case FaultOversize:
		what = "is longer than 256 KiB"
	case FaultMalformed:
	}
	return "periskope webhook: the delivery " + what
}

// VerifySignature says whether the body of a webhook delivery, exactly as it
// came, was signed with one of the keys: the signing key of the Periskope
// console, and the one before it while they are being exchanged. Empty keys
// count as none, and without a key every delivery is refused. header is the
// value of SignatureHeader: hex HMAC-SHA256, with or without "sha256=" before
// it. The error is a *WebhookError.
//
// Real deliveries are signed over their bytes. The documentation's own sample
// signs what JSON.stringify makes of them, so the body without the blanks
// between its tokens is tried too (dossier §10.4).
func VerifySignature(raw []byte, header string, keys ...Token) error {
	live := make([]Token, 0, 2)
	for _, key := range keys {
		if key != "" {
			live = append(live, key)
		}
	}
	signature, signed := parseSignature(header)
	switch {
	case len(live) == 0:
		return &WebhookError{Fault: FaultNoKey}
	case !signed:
		return &WebhookError{Fault: FaultUnsigned}
	case len(raw) > MaxWebhook:
		return &WebhookError{Fault: FaultOversize}
	case signedBy(raw, signature, live):
		return nil
	}
	var compact bytes.Buffer
	if json.Compact(&compact, raw) == nil && signedBy(compact.Bytes(), signature, live) {
		return nil
	}
	return &WebhookError{Fault: FaultForged}
}

// parseSignature reads the header; ok is false for what no HMAC-SHA256 is
// written like.
func parseSignature(header string) (signature []byte, ok bool) {
	const prefix = "sha256="
	header = strings.TrimSpace(header)
	if len(header) > len(prefix) && strings.EqualFold(header[:len(prefix)], prefix) {
		header = header[len(prefix):]
	}
	if len(header) != hex.EncodedLen(sha256.Size) {
		return nil, false
	}
	signature, err := hex.DecodeString(header)
	return signature, err == nil
}

// signedBy compares with every key, whichever fits, in the same time.
func signedBy(body, signature []byte, keys []Token) bool {
	fits := false
	for _, key := range keys {
		mac := hmac.New(sha256.New, []byte(string(key)))
		_, _ = mac.Write(body) // a hash never fails
		if hmac.Equal(mac.Sum(nil), signature) {
			fits = true
		}
	}
	return fits
}
