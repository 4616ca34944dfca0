// Package ratelimit keeps one sender's pace: a call to Wait returns when the
// next message may go.
//
// Before it in the flow: package dispatcher took a task from the stream. After
// it: the dispatcher writes the intent and calls the send API.
//
// It promises, for a rate R in messages a second and no jitter:
//
//   - the mean is R, as long as callers come in time: a wake-up that the
//     machine delivers late is made up for, 20 ms at most;
//   - no second holds more than R messages, no minute more than 60 R, no
//     100 ms more than twice the fair share and one;
//   - idle time earns nothing beyond Burst;
//   - a 429 blocks everyone until its time is over, halves the rate, and
//     accepted messages win it back bit by bit.
//
// Jitter moves each message at random inside its own interval. The mean stays,
// the gaps spread; a second or a minute may then hold one message more,
// because a pace that never exceeds and never falls behind has no room for
// chance.
//
// Hourly and daily caps are not kept here: the ledger refuses the intent and
// says when the cap is free, the dispatcher passes that on to BlockUntil.
//
// Start reading at limiter.go (waiting), then lattice.go (when the next
// message is due) and penalty.go (what a 429 does).
package ratelimit
