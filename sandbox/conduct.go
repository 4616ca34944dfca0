package sandbox

import (
	"strings"
	"time"
)

// People are probabilities, 0 to 1, for what ordinary recipients do with a
// message that reached them. The zero value: nothing, as nobody is magic.
type People struct {
	Reply float64 // answers with some text
	Stop  float64 // answers with a word that means STOP
	Vote  float64 // votes, if it is a poll
}

// conduct is what a recipient does with one message, drawn on acceptance like
// the rest of its fate.
type conduct struct {
	Acts []act `json:"acts"`
	// ReadFirst announces the reading before the delivery.
	ReadFirst bool `json:"read_first,omitempty"`
}

// act is one thing a recipient does.
type act struct {
	Kind  actKind `json:"kind"`
	Early bool    `json:"early,omitempty"` // counted from sending and not from delivery
	After int64   `json:"after"`           // ns, already divided by Config.Speed
	Text  string  `json:"text,omitempty"`  // of a reply
	Quote Quote   `json:"quote,omitempty"` // of a reply
	// Options are the indexes voted for; none withdraws the vote.
	Options []int `json:"options,omitempty"`
}

type actKind string

const (
	actReply actKind = "reply"
	actVote  actKind = "vote"
)

// Quote is how a reply names the message it answers.
type Quote string

// The forms of quoted_message_id that were seen.
const (
	QuoteNone Quote = ""     // answers without quoting
	QuoteBare Quote = "bare" // the bare unique id
	QuoteFull Quote = "full" // the whole message_id
)

func says(text string, after time.Duration) act {
	return act{Kind: actReply, Text: text, After: int64(after)}
}

func quotes(how Quote, text string) act {
	return act{Kind: actReply, Text: text, Quote: how, After: int64(10 * time.Second)}
}

func votes(after time.Duration, options ...int) act {
	return act{Kind: actVote, Options: options, After: int64(after)}
}

// Texts of ordinary people.
var (
	smallTalk = []string{"Thanks!", "Ok 👍", "Who is this?", "धन्यवाद", "Can you call me tomorrow?", "Yes please"}
	stopWords = []string{"STOP", "stop.", "Unsubscribe", "रोको", "बंद करो"}
)

// drawConduct decides what the recipient does, or nil for nothing.
func drawConduct(cfg *Config, phone, chat string, nth uint32, more *extra) *conduct {
	scale := cfg.scale()
	isPoll := more != nil && more.Poll != nil
	if m, ok := magicFor(chat); ok {
		if m.conduct == nil {
			return nil
		}
		out := conduct{ReadFirst: m.conduct.ReadFirst}
		for _, a := range m.conduct.Acts {
			if a.Kind == actVote && !isPoll {
				continue
			}
			a.After = int64(float64(a.After) * scale)
			out.Acts = append(out.Acts, a)
		}
		return &out
	}
	odds := cfg.People
	if odds == (People{}) || !strings.HasSuffix(chat, "@c.us") {
		return nil
	}
	d := newDraws(cfg.Seed, "conduct", phone, chat, uint64(nth))
	after := func() int64 { return int64(d.tail(5, 1800) * float64(time.Second) * scale) }
	// All are drawn, so that one odds does not shift what another decides.
	reply, stop, vote := d.unit() < odds.Reply, d.unit() < odds.Stop, d.unit() < odds.Vote
	text, word, option := d.next(), d.next(), d.next()
	replyAfter, stopAfter, voteAfter := after(), after(), after()
	quoted := []Quote{QuoteNone, QuoteBare, QuoteFull}[d.next()%3]
	var out conduct
	if reply {
		out.Acts = append(out.Acts, act{Kind: actReply, Text: smallTalk[text%uint64(len(smallTalk))], Quote: quoted, After: replyAfter})
	}
	if stop {
		out.Acts = append(out.Acts, act{Kind: actReply, Text: stopWords[word%uint64(len(stopWords))], After: stopAfter})
	}
	if vote && isPoll {
		n := uint64(len(more.Poll.Options))
		out.Acts = append(out.Acts, act{Kind: actVote, Options: []int{int(option % n)}, After: voteAfter}) //nolint:gosec // at most 12
	}
	if len(out.Acts) == 0 {
		return nil
	}
	return &out
}
