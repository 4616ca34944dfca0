package main

import (
	"bufio"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/herald-campaigns/herald/internal/app"
)

func (t *terminal) webhooksCommand(load loader) *cobra.Command {
	command := &cobra.Command{
		Use:   "webhooks",
		Short: "Register, list and try out the webhooks of the API",
		Long: `Herald follows its messages without webhooks too. With them it learns of
deliveries, replies and opt-outs at once, and spends fewer requests.

Deliveries arrive at /webhooks/periskope of ` + "`herald serve`" + `, or of
` + "`herald run --webhooks ADDRESS`" + `. They are taken only if they are signed with the
key of the Periskope console (HERALD_PERISKOPE_WEBHOOK_KEY).`,
		Example: `  herald webhooks test --url https://example.com/webhooks/periskope
  herald webhooks register --url https://example.com/webhooks/periskope
  herald webhooks list`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	command.SuggestionsMinimumDistance = 2
	for _, sub := range []*cobra.Command{t.webhooksRegister(load), t.webhooksList(load), t.webhooksTest(load)} {
		sub.Args = cobra.NoArgs
		command.AddCommand(sub)
	}
	return command
}

// urlFlag is the address of an endpoint, which is never guessed.
func urlFlag(command *cobra.Command, value *string) {
	command.Flags().StringVar(value, "url", "", "the public `address` of the endpoint: https://…/webhooks/periskope")
	_ = command.MarkFlagRequired("url") // the flag is there
}

func (t *terminal) webhooksRegister(load loader) *cobra.Command {
	var url string
	command := &cobra.Command{
		Use:   "register --url URL",
		Short: "Subscribe an endpoint to what Herald needs, nothing twice",
		Example: `  herald webhooks register --url https://example.com/webhooks/periskope
  herald webhooks register --url https://example.com/webhooks/periskope --json`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := load(cmd)
			if err != nil {
				return err
			}
			done, err := app.RegisterWebhooks(cmd.Context(), cfg, url)
			if t.json && err == nil {
				return t.printJSON(done)
			}
			for _, part := range []struct {
				what   string
				events []string
			}{
				{"subscribed", done.Made},
				{"switched on again", done.Resumed},
				{"there already", done.Kept},
				{"not known to the API (nothing is lacking)", done.Refused},
			} {
				if len(part.events) > 0 {
					t.sayBelow("  ", part.what+": "+strings.Join(part.events, ", "))
				}
			}
			if err == nil && !done.Key {
				t.sayBelow("", "There is no signing key yet, so nothing is taken: generate one in the Periskope console and set HERALD_PERISKOPE_WEBHOOK_KEY.")
			}
			return err
		},
	}
	urlFlag(command, &url)
	return command
}

func (t *terminal) webhooksList(load loader) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the webhooks of the organization",
		Example: `  herald webhooks list
  herald webhooks list --json | jq '.[] | select(.on | not)'`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := load(cmd)
			if err != nil {
				return err
			}
			list, err := app.Webhooks(cmd.Context(), cfg)
			switch {
			case err != nil:
				return err
			case t.json:
				return t.printJSON(list)
			}
			return t.webhookTable(list)
		},
	}
}

// webhookTable is aligned for a person and tab-separated for a program.
func (t *terminal) webhookTable(list []app.WebhookView) error {
	if len(list) == 0 {
		t.say("The organization has no webhooks: `herald webhooks register` subscribes to what Herald needs.")
		return nil
	}
	const format = "%s\t%s\t%s\t%s\n"
	w := bufio.NewWriter(t.out)
	var aligned *tabwriter.Writer
	if isTerminal(t.out) {
		aligned = tabwriter.NewWriter(t.out, 0, 0, 2, ' ', 0)
		w = bufio.NewWriter(aligned)
		t.write(w, format, "EVENT", "STATE", "URL", "ID")
	}
	for _, hook := range list {
		state := "on"
		if !hook.On {
			state = "off"
		}
		t.write(w, format, hook.Event, state, hook.URL, hook.ID)
	}
	if err := w.Flush(); err != nil || aligned == nil {
		return err
	}
	return aligned.Flush()
}

func (t *terminal) webhooksTest(load loader) *cobra.Command {
	var url string
	command := &cobra.Command{
		Use:   "test --url URL",
		Short: "Deliver a signed and a forged event, and see the answers",
		Long: `Deliver two events to the endpoint as the provider does: one signed with the
key (HERALD_PERISKOPE_WEBHOOK_KEY), which it must answer with 200, and one
signed with another, which it must refuse with 401. The event is one that
nobody follows: it is counted there and changes nothing.`,
		Example: `  herald webhooks test --url https://example.com/webhooks/periskope`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := load(cmd)
			if err != nil {
				return err
			}
			probe, err := app.ProbeWebhooks(cmd.Context(), cfg, url)
			if t.json && probe.Genuine != 0 {
				if printErr := t.printJSON(probe); printErr != nil {
					return printErr
				}
			}
			if probe.Genuine != 0 {
				t.say("signed: %d (should be 200)", probe.Genuine)
			}
			if probe.Forged != 0 {
				t.say("forged: %d (should be 401)", probe.Forged)
			}
			if probe.OK {
				t.say("The endpoint works.")
			}
			return err
		},
	}
	urlFlag(command, &url)
	return command
}
