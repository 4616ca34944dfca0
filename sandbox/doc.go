// Package sandbox simulates the Periskope send API, so that a campaign can be
// tried from end to end without an account, a phone or a person at the other
// end. It runs inside herald (demo, run, tests) and alone, as `herald sandbox`.
//
// In the flow it stands where Periskope stands: package periskope sends it
// requests, status polls come back to it, and its webhooks go to our receiver.
// Nothing of ours is behind it.
//
// It is an independent witness. It imports no other package of ours and
// declares the wire format a second time, from the API's documentation, so a
// misreading in our client cannot be repeated here unnoticed. What it accepted
// (Server.Acceptances) is therefore the judge in every test that asks "did
// anybody get two messages, was anybody lost".
//
// # Promises
//
//   - Nothing is sent to anybody. A webhook is delivered to this machine only:
//     a URL elsewhere may be registered and gets nothing.
//   - No idempotency, as in the real API: the same POST twice is two messages.
//   - The same seed and the same requests at the same times give the same
//     answers, ids, failures and delays. What happens to a message depends on
//     the seed, the phone, the number and how many messages that number got
//     from that phone before, not on how requests interleave.
//   - No goroutine and no timer per message. A message's fate is drawn when it
//     is accepted; where it stands is computed from the clock when somebody
//     asks. A million messages are a million small structs. Only while a
//     webhook is registered does one goroutine follow the clock, and a few for
//     each URL deliver.
//   - What goes wrong with an event on its way depends on the seed and on what
//     the event is about, so a run of webhooks repeats as well; and a larger
//     share of loss loses what a smaller one loses, and more.
//   - With Config.Journal, a process killed at any instant leaves a file from
//     which the next one knows every message it had confirmed.
//
// # Magic numbers
//
// Some numbers always behave in a certain way; MagicNumbers lists them. They
// are recognized by their last seven digits, 555 and a four-digit code, in
// any country: +1 201 555 0404, +91 999 555 0404, +44 770 555 0404. Seven
// digits and not four, for three reasons. Four would match one row in ten
// thousand of a real customer list per code, and seven hardly ever do. Four
// would collide with the numbers reserved for fiction and used in our tests:
// +44 7700 900xxx ends in 0000 to 0999 and 9199999900xx in 0000 to 0099. And
// an exchange that may not begin with 0 or 1 keeps the number valid in North
// America, where 555 itself is the exchange of fiction. Codes 0100 to 0199 are
// not used because +1 xxx 555 01xx is the range reserved for examples, where
// tests expect ordinary people.
//
// # Reading
//
// Start with config.go (what can be set), then job.go and line.go (a message's
// life and a phone's queue), conduct.go and inbox.go (what people do with it),
// agenda.go (when), engine.go (all of it under one lock), http.go (what every
// request goes through), and the routes_*.go files. Webhooks go from
// announcer.go (what happened) to courier.go (how it is delivered).
package sandbox
