package sandbox

import (
	"encoding/binary"
	"encoding/hex"
	"strconv"
	"strings"
)

// ids turns a job's sequence number into its public ids and back. The mapping
// is a small cipher keyed by the seed, so a lookup by id needs no index: with
// a million jobs the two maps would weigh more than the jobs.
type ids struct{ key uint64 }

// queueID returns the UUID v4 of job n.
func (k ids) queueID(n uint64) string {
	e := k.scramble(n, 'q')
	check := mix(e ^ k.key)
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], e>>16<<16|0x4000|e>>4&0xfff)
	binary.BigEndian.PutUint64(b[8:], 1<<63|e&0xf<<58|check>>6)
	return formatUUID(b)
}

// queueSeq returns the number behind a queue_id, if it is one of ours.
func (k ids) queueSeq(id string) (uint64, bool) {
	if len(id) != 36 {
		return 0, false
	}
	var b [16]byte
	raw := id[:8] + id[9:13] + id[14:18] + id[19:23] + id[24:]
	if _, err := hex.Decode(b[:], []byte(raw)); err != nil {
		return 0, false
	}
	hi, lo := binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])
	n := k.unscramble(hi>>16<<16|hi&0xfff<<4|lo>>58&0xf, 'q')
	return n, k.queueID(n) == strings.ToLower(id)
}

// uniqueID returns the WhatsApp message id of job n: 3EB0 and hex digits,
// 22 characters in all, or 40 when long.
func (k ids) uniqueID(n uint64, long bool) string {
	e := k.scramble(n, 'u')
	var b [20]byte
	b[0], b[1] = 0x3e, 0xb0
	binary.BigEndian.PutUint64(b[2:], e)
	binary.BigEndian.PutUint64(b[10:], mix(e^k.key))
	binary.BigEndian.PutUint16(b[18:], uint16(mix(e)>>48))
	size := 11
	if long {
		size = 20
	}
	var out [40]byte
	hex.Encode(out[:], b[:size])
	return strings.ToUpper(string(out[:2*size]))
}

// uniqueSeq returns the number behind a unique_id of either length.
func (k ids) uniqueSeq(id string) (uint64, bool) {
	if len(id) != 22 && len(id) != 40 {
		return 0, false
	}
	e, err := strconv.ParseUint(id[4:20], 16, 64)
	if err != nil {
		return 0, false
	}
	n := k.unscramble(e, 'u')
	return n, strings.HasPrefix(k.uniqueID(n, true), strings.ToUpper(id))
}

// seq accepts what callers use to name a message: queue_id, unique_id, or a
// message_id (true_<chat>_<unique>, in groups followed by _<participant>).
func (k ids) seq(id string) (uint64, bool) {
	if n, ok := k.queueSeq(id); ok {
		return n, true
	}
	if parts := strings.Split(id, "_"); len(parts) >= 3 && parts[0] == "true" {
		id = parts[2]
	}
	return k.uniqueSeq(id)
}

// scramble is a four-round Feistel network: a permutation of all uint64.
func (k ids) scramble(n, domain uint64) uint64 {
	l, r := n>>32, n&0xffffffff
	for i := range uint64(4) {
		l, r = r, l^k.round(r, domain, i)
	}
	return l<<32 | r
}

func (k ids) unscramble(e, domain uint64) uint64 {
	l, r := e>>32, e&0xffffffff
	for i := uint64(4); i > 0; i-- {
		l, r = r^k.round(l, domain, i-1), l
	}
	return l<<32 | r
}

func (k ids) round(half, domain, i uint64) uint64 {
	return mix(half^k.key^domain<<40^i<<56) >> 32
}

// newUUID draws a UUID v4 for things that are never looked up by arithmetic:
// trace ids, webhooks, broadcasts.
func newUUID(d draws) string {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], d.next()&^0xf000|0x4000)
	binary.BigEndian.PutUint64(b[8:], d.next()>>2|1<<63)
	return formatUUID(b)
}

func formatUUID(b [16]byte) string {
	var out [36]byte
	hex.Encode(out[0:8], b[0:4])
	hex.Encode(out[9:13], b[4:6])
	hex.Encode(out[14:18], b[6:8])
	hex.Encode(out[19:23], b[8:10])
	hex.Encode(out[24:36], b[10:16])
	out[8], out[13], out[18], out[23] = '-', '-', '-', '-'
	return string(out[:])
}
