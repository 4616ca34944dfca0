package sandbox

import "math"

// draws is a stream of reproducible random numbers (splitmix64). Each decision
// of the simulator has its own stream, started from the seed and the names of
// what is being decided, so decisions do not shift one another.
type draws struct{ state uint64 }

func newDraws(seed uint64, name, phone, chat string, n uint64) draws {
	h := seed ^ 0x9e3779b97f4a7c15
	h = hashString(h, name)
	h = hashString(h, phone)
	h = hashString(h, chat)
	return draws{state: mix(h ^ n*0xff51afd7ed558ccd)}
}

func (d *draws) next() uint64 {
	d.state += 0x9e3779b97f4a7c15
	return mix(d.state)
}

// unit returns a number in [0, 1).
func (d *draws) unit() float64 { return float64(d.next()>>11) / (1 << 53) }

// between returns a number spread evenly over [lo, hi).
func (d *draws) between(lo, hi float64) float64 { return lo + (hi-lo)*d.unit() }

// tail returns a number in [lo, hi) whose logarithm is spread evenly: mostly
// near lo, sometimes far out, the way people read messages.
func (d *draws) tail(lo, hi float64) float64 { return lo * math.Pow(hi/lo, d.unit()) }

func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// hashString continues the FNV-1a hash h over s and a separator.
func hashString(h uint64, s string) uint64 {
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 0x100000001b3
	}
	return (h ^ 0xff) * 0x100000001b3
}
