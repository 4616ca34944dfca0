// Package periskope is the wire: a client of the Periskope REST API that says
// exactly what came back and never does anything twice.
//
// What comes before it: internal/gateway turns a task of the domain into a
// SendRequest and the answer into an outcome. What comes after it: the network.
// The package imports nothing but the standard library and knows nothing of
// campaigns.
//
// Promises:
//   - One call is at most one request on the wire for everything that changes
//     something. No redirect is followed, nothing is retried, and the request
//     is built so that Go's transport cannot replay it (client.go, newRequest).
//   - A failed call says whether the request may have reached the provider
//     (TransportError.Stage). "Not sent" is only said when it is certain.
//   - Everything the provider's documentation contradicts itself about is
//     accepted (flex.go, status.go, job.go); one odd field never costs the
//     whole answer.
//   - What is read from the network is bounded, and no error or log line
//     carries the token, a full phone number or the text of a message.
//
// Start reading at client.go, then send.go and errors.go. What the provider
// says unasked is read in webhook.go and believed only after
// webhook_signature.go; receiving it is the caller's.
package periskope
