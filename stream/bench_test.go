package stream

import (
	"encoding/json"
	"testing"

	"github.com/herald-campaigns/herald/campaign"
)

const benchBatch = 1000 // the feeder's largest window

// BenchmarkPublish is the rate at which tasks get into the stream, confirmed.
func BenchmarkPublish(b *testing.B) {
	for _, storage := range []Storage{StorageMemory, StorageFile} {
		b.Run(string(storage), func(b *testing.B) {
			bundle := setup(b, func(c *Config) { c.Storage = storage })
			id, sender := campaign.NewID(), campaign.NewSenderID()
			batch := tasks(id, sender, benchBatch)
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				for i := range batch {
					batch[i].Gen++
				}
				bundle.publish(b, batch...)
				n += benchBatch
				if n%100_000 == 0 {
					b.StopTimer()
					if err := bundle.conn.Purge(b.Context(), id); err != nil {
						b.Fatal(err)
					}
					b.StartTimer()
				}
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "tasks/s")
		})
	}
}

// BenchmarkFetchAck is the rate at which one sender's tasks come out and are
// acknowledged.
func BenchmarkFetchAck(b *testing.B) {
	for _, storage := range []Storage{StorageMemory, StorageFile} {
		b.Run(string(storage), func(b *testing.B) {
			bundle := setup(b, func(c *Config) { c.Storage = storage })
			id, sender := campaign.NewID(), campaign.NewSenderID()
			consumer := bundle.sender(b, sender, Tuning{InFlight: 256})
			batch := tasks(id, sender, 10*benchBatch)
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				b.StopTimer()
				for i := range batch {
					batch[i].Gen++
				}
				bundle.publish(b, batch...)
				b.StartTimer()
				for left := len(batch); left > 0; {
					got, err := consumer.Fetch(b.Context(), maxBatch)
					if err != nil {
						b.Fatal(err)
					}
					for _, d := range got {
						if err := d.Ack(); err != nil {
							b.Fatal(err)
						}
					}
					left -= len(got)
				}
				n += len(batch)
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "tasks/s")
		})
	}
}

// BenchmarkEncode and BenchmarkDecode are the price of JSON in the two above.
func BenchmarkEncode(b *testing.B) {
	t := task(campaign.NewID(), campaign.NewSenderID(), 1)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := json.Marshal(t); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	data, err := json.Marshal(task(campaign.NewID(), campaign.NewSenderID(), 1))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		var t campaign.Task
		if err := json.Unmarshal(data, &t); err != nil {
			b.Fatal(err)
		}
	}
}
