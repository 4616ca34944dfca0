package templates

import (
	"testing"

	"github.com/herald-campaigns/herald/campaign"
)

const benchText = `Hi {{ first_name | default: "there" }}, your order {{ order_id }} of {{ amount }} ships to {{ city }} today.`

func benchRow() campaign.Row {
	return row(map[string]string{"first_name": "Asha", "order_id": "A-1042", "amount": "1,234.50", "city": "Pune"})
}

// Target: 10 µs (performance page §2), so that a million rows take seconds.
func BenchmarkRender(b *testing.B) {
	tpl := mustCompile(b, campaign.Template{Text: benchText}, config())
	r := benchRow()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := tpl.Render(b.Context(), r); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRenderCondition(b *testing.B) {
	tpl := mustCompile(b, campaign.Template{Text: benchText + `{% if amount > 1000 %} It is free of charge.{% endif %}`}, config())
	r := benchRow()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := tpl.Render(b.Context(), r); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkStats(b *testing.B) {
	tpl := mustCompile(b, campaign.Template{Text: benchText}, config())
	r := benchRow()
	m, err := tpl.Render(b.Context(), r)
	stats := tpl.NewStats()
	b.ReportAllocs()
	for b.Loop() {
		r.Seq++
		stats.Add(r, m, err)
	}
}

func BenchmarkCompile(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		mustCompile(b, campaign.Template{Text: benchText}, config())
	}
}

func BenchmarkHTML(b *testing.B) {
	bubble := Preview(campaign.Message{Text: "Hi *Asha*,\n\n- one\n- _two_\n\nsee https://example.com/x"})
	b.ReportAllocs()
	for b.Loop() {
		bubble.HTML()
	}
}
