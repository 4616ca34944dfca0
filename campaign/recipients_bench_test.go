package campaign

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
)

// benchmarkList is a clean list of n numbers in random order.
func benchmarkList(n int, form string) []byte {
	var b bytes.Buffer
	b.WriteString("phone,name,order_id,city,amount,note\n")
	for _, i := range rand.New(rand.NewPCG(1, 2)).Perm(n) { // #nosec G404 -- repeatable
		fmt.Fprintf(&b, form+",Ann Example,ORD-%06d,Pune,%d.50,\"ships today, early\"\n", i, i, i%1000)
	}
	return b.Bytes()
}

func BenchmarkImport(b *testing.B) {
	for name, form := range map[string]string{"plain": "+9199999%05d", "national": "99999%05d", "spaced": "+91 99999 %05d", "foreign": "+44 7700 9%05d"} {
		b.Run(name, func(b *testing.B) {
			const rows = 100_000
			list := benchmarkList(rows, form)
			parser := mustParser(b, "IN", AddressPhone)
			b.SetBytes(int64(len(list)))
			b.ReportAllocs()
			for b.Loop() {
				r, err := OpenSource(Source{CSV: "-"}, "", bytes.NewReader(list), Limits{})
				if err != nil {
					b.Fatal(err)
				}
				s, err := ImportRecipients(b.Context(), r, parser, func([]Recipient) error { return nil }, ImportOptions{})
				if err != nil || s.Good != rows {
					b.Fatalf("%d good: %v", s.Good, err)
				}
			}
			b.ReportMetric(float64(rows*b.N)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}

func BenchmarkAddress(b *testing.B) {
	parser := mustParser(b, "IN", AddressPhone)
	for name, cell := range map[string]string{"plain": "+919999990001", "own": "919999990001", "national": "9999990001", "spaced": "+91 99999 90001", "chat": "919999990001@c.us"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, problem := parser.Parse(cell); problem != nil {
					b.Fatal(problem)
				}
			}
		})
	}
}
