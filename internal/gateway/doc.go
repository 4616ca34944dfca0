// Package gateway stands between the domain and the wire: it makes a send
// request of a task, and an outcome of whatever came back.
//
// What comes before it: package dispatcher, which has written the intent. What
// comes after it: package periskope, which makes the one request.
//
// Promises:
//   - Every call ends as one of the outcomes, and the table that says which is
//     classify in outcome.go, nowhere else.
//   - "Accepted" needs a job id, "rejected" needs the provider's own words about
//     the request, "unavailable" needs the certainty that nothing was sent.
//     Whatever is less than that is "unknown".
//   - Refused credentials, throttling, outages and a disconnected phone are
//     never the recipient's fault.
//   - No outcome and no error carries the token, a full phone number or the
//     text of a message.
//   - A webhook, the list of messages and a message asked for by itself say the
//     same in the same words: campaign.News.
//
// Start reading at outcome.go, then gateway.go; for what comes back, at news.go.
package gateway
