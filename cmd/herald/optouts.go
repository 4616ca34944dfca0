package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/herald-campaigns/herald/internal/app"
)

func (t *terminal) optOutsCommand(load loader) *cobra.Command {
	command := &cobra.Command{
		Use:   "optouts",
		Short: "Who must not be written to: list, add, import, export, review",
		Long: `Keep the list of those who do not want messages. It holds for every campaign of
the data directory, from the moment it is kept: what waits for them is not sent.
Whoever answers STOP is on it by himself; docs/optouts.md has the words.

  herald optouts list    [--phone PHONE] [--full]
  herald optouts add     PHONE… [--reason TEXT] [--country IN]
  herald optouts remove  PHONE… --reason TEXT [--country IN] [--yes]
  herald optouts import  FILE.csv [--phone COLUMN] [--country IN] [--dry-run]
  herald optouts export  [--output FILE]
  herald optouts review  [--opt-out ID… | --keep ID…] [--full]

They work through ` + "`herald serve`" + `, while it sends, and without it on a data directory
that nobody is using. Looking works always.`,
		Example: `  herald optouts add "+91 99999 90021" --reason "told us by phone"
  herald optouts import unsubscribed.csv --country IN
  herald optouts review`,
		Args: cobra.ArbitraryArgs, // a wrong word is told what is there
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return unknownCommand(cmd, args[0])
			}
			return cmd.Help()
		},
	}
	command.SuggestionsMinimumDistance = 2
	command.AddCommand(t.optOutsList(load), t.optOutsAdd(load), t.optOutsRemove(load),
		t.optOutsImport(load), t.optOutsExport(load), t.optOutsReview(load))
	return command
}

func (t *terminal) optOutsList(load loader) *cobra.Command {
	var phone, country string
	var full bool
	command := &cobra.Command{
		Use:   "list",
		Short: "List who must not be written to, or one person's history",
		Long: `List the people who must not be written to: number, since when, how it was
learned, why, in answer to which campaign. Numbers are masked unless --full.
--phone shows everything that was decided about one person, the latest first.`,
		Example: `  herald optouts list
  herald optouts list --phone "+91 99999 90021"
  herald optouts list --json | wc -l`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			err := t.reading(cmd, load, func(a *app.App) error {
				if cmd.Flags().Changed("phone") {
					return t.consentHistory(cmd.Context(), a.OptOuts(), phone, country, full)
				}
				return t.listOptOuts(cmd.Context(), a.OptOuts(), full)
			})
			if app.ExitCode(err) == exitNotFound {
				t.say("Nobody has opted out: there is no data directory yet.")
				return nil
			}
			return err
		},
	}
	flags := command.Flags()
	flags.StringVar(&phone, "phone", "", "the history of this `phone` number or chat id")
	flags.BoolVar(&full, "full", false, "show whole numbers")
	countryFlag(command, &country)
	return command
}

func countryFlag(command *cobra.Command, country *string) {
	command.Flags().StringVar(country, "country", "", "`country` of numbers without a country code, such as IN")
}

// listOptOuts is aligned for a person and tab-separated for a program.
func (t *terminal) listOptOuts(ctx context.Context, o *app.OptOuts, full bool) error {
	const format = "%s\t%s\t%s\t%s\t%s\n"
	w := bufio.NewWriter(t.out)
	when := time.RFC3339
	var aligned *tabwriter.Writer
	if isTerminal(t.out) && !t.json {
		aligned = tabwriter.NewWriter(t.out, 0, 0, 2, ' ', 0)
		w, when = bufio.NewWriter(aligned), time.DateTime
	}
	n := 0
	for v, err := range o.All(ctx) {
		if err != nil {
			return err
		}
		if full {
			v = v.Reveal()
		}
		if n++; n == 1 && aligned != nil {
			t.write(w, format, "CHAT", "SINCE", "BY", "REASON", "CAMPAIGN")
		}
		at := v.At
		switch {
		case t.json:
			err = jsonLine(w, v)
		case aligned != nil:
			at = at.Local()
			fallthrough
		default:
			_, err = fmt.Fprintf(w, format, v.Chat, at.Format(when), v.Source, v.Reason, v.Name)
		}
		if err != nil {
			return err
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if n == 0 {
		t.say("Nobody has opted out.")
	}
	if aligned != nil {
		return aligned.Flush()
	}
	return nil
}

func (t *terminal) consentHistory(ctx context.Context, o *app.OptOuts, phone, country string, full bool) error {
	chats, err := o.Chats([]string{phone}, country)
	if err != nil {
		return badFlag(err)
	}
	h, err := o.History(ctx, chats[0])
	if err != nil {
		return err
	}
	if full {
		h.Reveal()
	}
	if t.json {
		return t.printJSON(h)
	}
	switch {
	case h.OptedOut:
		t.say("%s has opted out and is not written to.", h.Chat)
	case len(h.Decisions) == 0:
		t.say("%s has never opted out.", h.Chat)
	default:
		t.say("%s had opted out, and may be written to again.", h.Chat)
	}
	for _, d := range h.Decisions {
		if _, err := fmt.Fprintf(t.out, "%s\t%s\t%s\t%s\t%s\n", d.At.Format(time.RFC3339), d.Wish, d.Source, d.Reason, d.Name); err != nil {
			return err
		}
	}
	return nil
}

func (t *terminal) optOutsAdd(load loader) *cobra.Command {
	var reason, country string
	command := &cobra.Command{
		Use:   "add PHONE…",
		Short: "Keep that these people must not be written to",
		Long: `Keep that these people must not be written to any more, by any campaign of the
data directory. Messages that wait for them are not sent.`,
		Example: `  herald optouts add "+91 99999 90021" --reason "told us by phone"
  herald optouts add 9999990021 9999990022 --country IN`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, phones []string) error {
			return t.optOuts(cmd, load, true, func(o *app.OptOuts) error {
				chats, err := chatsToChange(o, phones, country)
				if err != nil {
					return err
				}
				d, err := o.Add(cmd.Context(), chats, reason)
				if err != nil {
					return err
				}
				return t.optedOut(d)
			})
		},
	}
	command.Flags().StringVar(&reason, "reason", "", "why, for whoever asks later")
	countryFlag(command, &country)
	return command
}

func (t *terminal) optOutsRemove(load loader) *cobra.Command {
	var reason, country string
	var yes bool
	command := &cobra.Command{
		Use:   "remove PHONE…",
		Short: "Let people be written to again who had opted out",
		Long: `Let people be written to again. They had said stop: this is for those who asked
for messages again, and for mistakes. Messages that were skipped meanwhile stay
skipped. Asks in live mode; scripts use --yes.`,
		Example: `  herald optouts remove "+91 99999 90021" --reason "asked for it by phone"`,
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, phones []string) error {
			if strings.TrimSpace(reason) == "" {
				return &usageError{err: errors.New("--reason is missing: why may they be written to again?"), hint: `for instance --reason "asked for it by phone"`}
			}
			return t.optOuts(cmd, load, false, func(o *app.OptOuts) error {
				chats, err := chatsToChange(o, phones, country)
				if err != nil {
					return err
				}
				n, err := o.OptedOut(cmd.Context(), chats)
				if err != nil {
					return err
				}
				if n > 0 {
					t.sayBelow("", fmt.Sprintf("This lets campaigns write to %s who asked not to be written to.", agree(n, "person", "people")))
				}
				live, err := o.Live(cmd.Context())
				if err != nil {
					return err
				}
				if live && !yes && n > 0 {
					if err := t.confirmCount(cmd.Context(), n, "Type the number of people to go on"); err != nil {
						return err
					}
				}
				d, err := o.Remove(cmd.Context(), chats, reason)
				if err != nil {
					return err
				}
				return t.optedIn(d)
			})
		},
	}
	flags := command.Flags()
	flags.StringVar(&reason, "reason", "", "why, for whoever asks later; needed")
	flags.BoolVar(&yes, "yes", false, "do not ask (live mode asks for the number of people)")
	countryFlag(command, &country)
	return command
}

// chatsToChange are the people whose consent a command changes.
func chatsToChange(o *app.OptOuts, phones []string, country string) ([]app.Chat, error) {
	chats, err := o.Chats(phones, country)
	if err != nil {
		return nil, badFlag(fmt.Errorf("%w; nothing was changed", err))
	}
	return chats, nil
}

// optOuts runs a command that changes who may be written to, by the service's
// hand, or here. create lets it make a data directory that is not there.
func (t *terminal) optOuts(cmd *cobra.Command, load loader, create bool, do func(*app.OptOuts) error) error {
	ctx := cmd.Context()
	cfg, err := load(cmd)
	if err != nil {
		return err
	}
	remote, err := app.Through(ctx, cfg, t.logger(cfg))
	switch {
	case err != nil:
		return err
	case remote != nil:
		return errors.Join(do(remote.OptOuts()), remote.Close())
	}
	var a *app.App
	made := false
	if create {
		a, made, err = app.OpenToOptOut(ctx, cfg, t.logger(cfg))
	} else {
		a, err = app.OpenToConsent(ctx, cfg, t.logger(cfg))
	}
	if err != nil {
		return err
	}
	if made {
		t.say("%s is new; the opt-outs hold for campaigns that are run with it.", cfg.DataDir)
	}
	return errors.Join(do(a.OptOuts()), a.Close())
}

// optedOut says what opt-outs came to.
func (t *terminal) optedOut(d app.Decided) error {
	if t.json {
		return t.printJSON(d)
	}
	words := agree(d.Changed, "person is opted out now", "people are opted out now")
	if d.Already > 0 {
		words += fmt.Sprintf(", %s before", agree(d.Already, "was", "were"))
	}
	if d.Overruled > 0 {
		words += fmt.Sprintf(", %s", overruled(d.Overruled))
	}
	t.say("%s.", words)
	t.effect(d.Skipped, d.Queued, d.Purging)
	return nil
}

func overruled(n int64) string {
	return agree(n, "has opted in again later and stays in", "have opted in again later and stay in")
}

// effect says what opt-outs changed at once.
func (t *terminal) effect(skipped, queued int64, purging bool) {
	if skipped == 0 && queued == 0 {
		t.say("No message was waiting for them.")
		return
	}
	words := agree(skipped, "waiting message will not be sent", "waiting messages will not be sent")
	if queued > 0 {
		words += fmt.Sprintf(", %s in Periskope's queue; ", comma(queued))
		if purging {
			words += "Herald takes " + agreeWord(queued, "it", "them") + " out of there"
		} else {
			words += agreeWord(queued, "it", "they") + " may still arrive"
		}
	}
	t.say("%s.", words)
}

func (t *terminal) optedIn(d app.Decided) error {
	if t.json {
		return t.printJSON(d)
	}
	if d.Changed == 0 && d.Overruled == 0 {
		t.say("%s not opted out; nothing changes for them.", agree(d.Already, "person had", "people had"))
		return nil
	}
	words := agree(d.Changed, "person may be written to again", "people may be written to again")
	if d.Already > 0 {
		words += fmt.Sprintf(", %s had not opted out", comma(d.Already))
	}
	if d.Overruled > 0 {
		words += fmt.Sprintf(", %s opted out again meanwhile", agree(d.Overruled, "has", "have"))
	}
	t.say("%s. What was skipped stays skipped.", words)
	return nil
}
