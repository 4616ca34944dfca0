package campaign

import (
	"crypto/sha256"
	"encoding/binary"
	"math"
)

// Split shares recipients out between the variants of a campaign and its
// holdout. The choice hangs on the seed and the chat alone: neither the order
// of the file, nor other rows, nor a second import can change it.
type Split struct {
	Seed     string // the campaign's name
	Variants []Variant
	Holdout  float64 // share that gets nothing, 0 to 0.5
}

// Split is how the campaign shares out its recipients.
func (s Spec) Split() Split { return Split{Seed: s.Name, Variants: s.Variants, Holdout: s.Holdout} }

// Variant is the name of the chat's variant, whether it is held out or not; ""
// without variants.
func (s Split) Variant(chat ChatID) string { return VariantFor(s.Seed, chat, s.Variants) }

// HeldOut says whether the chat gets nothing. Each variant loses the same share
// to the holdout.
func (s Split) HeldOut(chat ChatID) bool {
	if s.Holdout <= 0 {
		return false
	}
	return float64(lot("holdout", s.Seed, chat)) < s.Holdout*math.Ldexp(1, 64)
}

// VariantFor is the name of the variant that the chat gets, by weight; "" when
// there are none. Of two campaigns with different seeds the choices are
// independent of each other.
func VariantFor(seed string, chat ChatID, variants []Variant) string {
	var weights uint64
	for _, v := range variants {
		weights += weightOf(v)
	}
	if weights == 0 {
		return ""
	}
	at := lot("variant", seed, chat) % weights
	for _, v := range variants {
		if at < weightOf(v) {
			return v.Name
		}
		at -= weightOf(v)
	}
	return "" // not reached: at is less than all weights together
}

func weightOf(v Variant) uint64 {
	return uint64(max(v.Weight, 1)) // #nosec G115 -- at least 1
}

// lot draws a number for a chat, evenly over all there are. The salt keeps
// draws for different purposes apart.
func lot(salt, seed string, chat ChatID) uint64 {
	sum := sha256.Sum256([]byte("herald/" + salt + "\x00" + seed + "\x00" + string(chat)))
	return binary.BigEndian.Uint64(sum[:8])
}
