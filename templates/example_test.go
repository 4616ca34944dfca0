package templates_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/templates"
)

func ExampleCompile() {
	ctx := context.Background()
	tpl, err := templates.Compile(ctx, campaign.Template{
		Text: `Hi {{ first_name | default: "there" }}, your order {{ order_id }} ships today.{% if amount > 500 %} Delivery is free.{% endif %}`,
	}, templates.Config{Variables: []string{"mobile", "first_name", "order_id", "amount"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	for i, cells := range []map[string]string{
		{"first_name": "Asha", "order_id": "0042", "amount": "1,250.00"},
		{"first_name": "", "order_id": "0043", "amount": "99"},
	} {
		m, err := tpl.Render(ctx, campaign.Row{Seq: int64(i) + 1, Fields: cells})
		fmt.Println(m.Text, err)
	}
	// Output:
	// Hi Asha, your order 0042 ships today. Delivery is free. <nil>
	// Hi there, your order 0043 ships today. <nil>
}

func ExampleCaret() {
	message := campaign.Template{Text: "Hello,\nHi {{ frist_name }}, welcome!"}
	_, err := templates.Compile(context.Background(), message, templates.Config{
		Variables: []string{"first_name", "city"},
		Headers:   map[string]string{"first_name": "First Name"},
	})
	if input, ok := errors.AsType[*campaign.InputError](err); ok {
		for _, p := range input.Problems {
			fmt.Printf("%s, line %d: %s\n", p.Field, p.Line, p.What)
			fmt.Println(templates.Caret(templates.Source(message, p.Field), int(p.Line), p.Column))
			fmt.Println(p.Fix)
		}
	}
	// Output:
	// message.text, line 2: there is no column “frist_name”
	// Hi {{ frist_name }}, welcome!
	//       ^
	// did you mean first_name (“First Name”)? available: first_name, city
}

func ExamplePreview() {
	fmt.Print(templates.Preview(campaign.Message{
		Text:  "Hi *Asha*, here is your invoice.",
		Media: &campaign.Media{Type: campaign.MediaDocument, Filename: "invoice-0042.pdf"},
	}).Terminal(40, false))
	// Output:
	// ╭──────────────────────────────────╮
	// │ 📎 invoice-0042.pdf (document)   │
	// │                                  │
	// │ Hi *Asha*, here is your invoice. │
	// ╰──────────────────────────────────╯
}

func ExampleTemplate_Lint() {
	tpl, err := templates.Compile(context.Background(), campaign.Template{Text: "**Sale** today, [name]!"}, templates.Config{Variables: []string{"name"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, w := range tpl.Lint() {
		fmt.Printf("%d:%d %s: %s\n", w.Line, w.Column, w.What, w.Fix)
	}
	// Output:
	// 1:1 WhatsApp shows two asterisks as they stand: bold is one on each side: *bold*
	// 1:17 “[name]” names a column but is sent as it stands: write {{ name }}
}
