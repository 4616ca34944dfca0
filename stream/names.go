package stream

import (
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"

	"github.com/herald-campaigns/herald/campaign"
)

// shard is one of the streams that the senders are spread over.
type shard struct {
	stream string // HERALD, or HERALD_0 …
	root   string // first token of its subjects: herald, or herald_0 …
}

func shards(name string, n int) []shard {
	upper, lower := strings.ToUpper(name), strings.ToLower(name)
	if n == 1 {
		return []shard{{upper, lower}}
	}
	all := make([]shard, n)
	for i := range all {
		suffix := "_" + strconv.Itoa(i)
		all[i] = shard{upper + suffix, lower + suffix}
	}
	return all
}

// subjects are all that a shard's stream takes.
func (s shard) subjects() []string { return []string{s.root + ".send.>", s.canary()} }

// canary is where health checks publish.
func (s shard) canary() string { return s.root + ".canary" }

// task is the subject of a task. Recipients are not in it: a million subjects
// would cost ten times the memory.
func (s shard) task(sender campaign.SenderID, id campaign.ID) string {
	return s.root + ".send." + string(sender) + "." + string(id)
}

// ofSender are all tasks of a sender.
func (s shard) ofSender(sender campaign.SenderID) string {
	return s.root + ".send." + string(sender) + ".>"
}

// ofCampaign are all tasks of a campaign.
func (s shard) ofCampaign(id campaign.ID) string { return s.root + ".send.*." + string(id) }

// pick is the shard of a sender.
func pick(all []shard, sender campaign.SenderID) shard {
	if len(all) == 1 {
		return all[0]
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(sender))              // never fails
	return all[int(h.Sum32()%uint32(len(all)))] //nolint:gosec // few shards
}

// msgID names one hand-over of one recipient. It lets the server drop repeats
// for two minutes, which is a convenience: the guard is the ledger's claim.
func msgID(t campaign.Task) string {
	b := make([]byte, 0, len(t.Campaign)+24)
	b = append(b, t.Campaign...)
	b = append(b, ':')
	b = strconv.AppendInt(b, t.Seq, 10)
	b = append(b, ':')
	b = strconv.AppendInt(b, t.Gen, 10)
	return string(b)
}

// checkToken refuses an id that would change a subject's meaning.
func checkToken(what, id string) error {
	other := func(r rune) bool { return !isAlphanumeric(r) && r != '_' && r != '-' }
	if id == "" || strings.ContainsFunc(id, other) {
		return &campaign.Error{Code: campaign.CodeInvalid, What: fmt.Sprintf("%s id is empty or has characters other than letters, digits, _ and -", what)}
	}
	return nil
}

func isAlphanumeric(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
}
