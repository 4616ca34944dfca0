package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/herald-campaigns/herald/internal/app"
)

// anyNumber of recipients is expected.
const anyNumber = -1

// sendFlags are what run needs to know beside the file.
type sendFlags struct {
	yes         bool
	expect      int64
	wait        string
	waitTimeout time.Duration
	now         bool
	maxFailed   int64
	quiet       bool
	webhooks    string
	prepare     app.PrepareOptions

	file string // as it was named
	demo bool   // the demo says itself what to do next
}

func (t *terminal) runCommand(load loader) *cobra.Command {
	var f sendFlags
	command := &cobra.Command{
		Use:   "run FILE",
		Short: "Send a campaign; run it again to go on after a stop",
		Long: `Send a campaign: read the file and its recipients, check everything, send one
message to each, follow what becomes of them, and write the reports.

Running the same file again goes on where the last run stopped and never sends
to anyone twice. A file whose message or recipients have changed is refused:
--delta adds mended or new rows to the campaign, --as-new starts another one.`,
		Example: `  herald run campaign.yaml
  herald run campaign.yaml --yes --expect-recipients 5   in a script
  herald run campaign.yaml --delta rejects.csv           mended rows
  herald run campaign.yaml --json | tail -1 | jq .balance`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := load(cmd)
			if err != nil {
				return err
			}
			return t.runCampaign(cmd.Context(), cfg, args[0], f)
		},
	}
	flags := command.Flags()
	flags.BoolVar(&f.yes, "yes", false, "do not ask (live mode asks for the number of recipients)")
	flags.Int64Var(&f.expect, "expect-recipients", anyNumber, "refuse unless the campaign sends to exactly `n` recipients")
	flags.StringVar(&f.wait, "wait", string(app.WaitSent), "return when every message is "+strings.Join(app.Waits(), ", "))
	flags.DurationVar(&f.waitTimeout, "wait-timeout", 10*time.Minute, "most time to wait after the last message was submitted")
	flags.BoolVar(&f.now, "now", false, "start at once, whatever schedule.start says, also when that was missed")
	flags.Lookup("expect-recipients").DefValue = "0" // help need not show what stands for "any"
	flags.Int64Var(&f.maxFailed, "max-failed", 0, "exit with 7 if more recipients than this failed or are unknown")
	flags.BoolVar(&f.quiet, "quiet", false, "only errors, and the campaign's id on standard output")
	flags.BoolVar(&f.prepare.SkipInvalid, "skip-invalid", false, "go on although more than 5 % of the rows are bad")
	flags.BoolVar(&f.prepare.AsNew, "as-new", false, "start another campaign although one of this name exists; it sends to everyone, also to those who got it already")
	flags.StringVar(&f.prepare.Delta, "delta", "", "add the rows of `file` to the campaign; people it has already are not repeated")
	flags.StringVar(&f.webhooks, "webhooks", "", "receive webhooks at this `address` while it runs, e.g. 127.0.0.1:8484 (docs/webhooks.md)")
	command.MarkFlagsMutuallyExclusive("as-new", "delta")
	return command
}

func (t *terminal) runCampaign(ctx context.Context, cfg app.Config, file string, f sendFlags) error {
	if !validWait(f.wait) {
		return &usageError{err: fmt.Errorf("--wait %q is not possible", f.wait), hint: "it is one of " + strings.Join(app.Waits(), ", ")}
	}
	engine, err := t.open(ctx, cfg, func(ctx context.Context) (*app.App, error) { return app.Open(ctx, cfg, t.logger(cfg)) })
	if err != nil {
		return err
	}
	err = t.send(ctx, engine, file, f)
	return errors.Join(err, engine.Close())
}

// sender brings a campaign file to its recipients.
type sender interface {
	Campaign(ctx context.Context, idOrName string) (app.CampaignView, error)
	Prepare(ctx context.Context, path string, options app.PrepareOptions) (*app.Prepared, error)
	HoldMissed(ctx context.Context, p *app.Prepared) error
	Discard(ctx context.Context, p *app.Prepared) error
	Run(ctx context.Context, p *app.Prepared, opts app.RunOptions) (app.RunResult, error)
	WriteReports(ctx context.Context, id app.CampaignID) (*app.Reports, error)
	Close() error
}

func (t *terminal) send(ctx context.Context, engine sender, file string, f sendFlags) error {
	f.file, f.prepare.Stdin, f.prepare.Now = file, t.in, f.now
	prepared, err := engine.Prepare(ctx, file, f.prepare)
	if err != nil {
		return err
	}
	if !f.now {
		if err := engine.HoldMissed(ctx, prepared); err != nil { // before anybody is asked for anything
			ctx = context.WithoutCancel(ctx)
			return errors.Join(err, engine.Discard(ctx, prepared), t.stopped(ctx, engine, prepared))
		}
	}
	if !f.quiet {
		t.announce(prepared)
	}
	if err := t.confirm(ctx, prepared, f); err != nil {
		return errors.Join(err, engine.Discard(context.WithoutCancel(ctx), prepared))
	}
	view := t.newProgressView(f.quiet)
	result, err := engine.Run(ctx, prepared, app.RunOptions{
		Wait: app.Wait(f.wait), WaitTimeout: f.waitTimeout, Now: f.now,
		Progress: view.show, Control: view.control, Webhooks: f.webhooks,
	})
	view.close()
	ctx = context.WithoutCancel(ctx)
	if err != nil {
		return errors.Join(err, t.stopped(ctx, engine, prepared))
	}
	return t.finish(ctx, engine, prepared, result, f)
}

// stopped leaves the reports, and the summary for a program, of a campaign
// that an error stopped. A person is told the error, and how to go on.
func (t *terminal) stopped(ctx context.Context, engine sender, p *app.Prepared) error {
	written, err := engine.WriteReports(ctx, p.Campaign.ID)
	if err != nil {
		return err
	}
	if t.json {
		return t.printLine(written.Summary())
	}
	return nil
}

// announce says what is about to happen.
func (t *terminal) announce(p *app.Prepared) {
	c := p.Campaign
	t.say("%s  %s", strings.ToUpper(string(c.Mode)), c.Name)
	t.say("campaign %s", c.ID)
	if p.Imported != nil {
		t.say("")
		t.importSummary(p.Imported, p.RejectsFile)
	}
	switch {
	case c.State.Over():
		t.say("Nothing left to send: this campaign is %s.", c.State)
	case p.Plan.Messages == 0:
		t.say("Nothing left to send; following what became of the messages.")
	case p.Resumed:
		t.say("Going on: %s of %s recipients still to send.", comma(p.Plan.Messages), comma(p.Sendable))
	}
	if p.Plan.Messages > 0 {
		t.plan(p.Plan)
		t.warnOfStart(p)
		t.warnOfResend(p)
	}
	t.say("")
}

// warnOfResend warns of a policy under which some people may get the message
// twice.
func (t *terminal) warnOfResend(p *app.Prepared) {
	if n := p.ResendRisk(); n > 0 {
		t.sayBelow("warning: ", app.ResendWarning(n))
	}
}

// confirm asks a person for the number of recipients before anything is sent
// to people.
func (t *terminal) confirm(ctx context.Context, p *app.Prepared, f sendFlags) error {
	if count, what := expected(p); f.expect >= 0 && f.expect != count && p.Plan.Messages > 0 {
		return app.Unconfirmed(
			fmt.Sprintf("%s %s, --expect-recipients says %s", comma(count), what, comma(f.expect)),
			"nothing was sent; `herald check` shows what is in the file")
	}
	if f.yes || !p.Live() || p.Plan.Messages == 0 {
		return nil
	}
	if !t.interactive() {
		count, _ := expected(p)
		return app.Unconfirmed("a live campaign needs a confirmation, and nobody is at this terminal",
			fmt.Sprintf("nothing was sent; add --yes --expect-recipients %d", count))
	}
	t.firstMessage(ctx, p, f)
	t.warnOfPace(p)
	if f.quiet { // else the announcement has it
		t.warnOfResend(p)
	}
	t.say("This sends real messages to %s people from %s.", comma(p.Plan.Messages), strings.Join(p.SenderNames(), ", "))
	t.write(t.err, "Type the number of recipients to go on: ")
	answer, err := t.answer(ctx)
	switch {
	case ctx.Err() != nil:
		t.say("") // below the question
		t.say("Nothing was sent.")
		return ctx.Err()
	case err != nil && answer == "":
		return app.Unconfirmed("not confirmed", "nothing was sent")
	}
	typed, err := strconv.ParseInt(strings.ReplaceAll(strings.TrimSpace(answer), ",", ""), 10, 64)
	if err != nil || typed != p.Plan.Messages {
		return app.Unconfirmed("not confirmed", "nothing was sent; the number asked for was "+comma(p.Plan.Messages))
	}
	return nil
}

// firstMessage shows what is about to be sent, for the last look. Where it
// cannot be told (standard input was read already, the first row is skipped)
// the question stands alone.
func (t *terminal) firstMessage(ctx context.Context, p *app.Prepared, f sendFlags) {
	if p.Resumed || p.Campaign.Spec.Recipients.CSV == "-" {
		return
	}
	sample, err := app.Preview(ctx, f.file, nil, app.Choice{Row: 1})
	if err != nil {
		return
	}
	t.say("The first message, to %s:", sample.To)
	t.say("%s", strings.TrimRight(sample.Terminal(t.width(t.err), t.color(t.err)), "\n"))
	t.say("")
}

// ordinaryPerMinute is the default pace, which an ordinary number stands.
const ordinaryPerMinute = 4

// warnOfPace warns of a rate above the default. The plan names the one that
// the senders' limits leave of the campaign's, unless a cap decides.
func (t *terminal) warnOfPace(p *app.Prepared) {
	text, decides := strings.CutPrefix(p.Plan.BoundBy, "rate ")
	pace := p.Campaign.Spec.Pace.Rate
	if !decides || pace.UnmarshalText([]byte(text)) != nil {
		return
	}
	switch perMinute := pace.PerSecond() * 60; {
	case pace.Unlimited:
		t.say("warning: this is as fast as it goes from one number; ordinary numbers are blocked for less")
	case perMinute > ordinaryPerMinute+1e-9:
		t.say("warning: this is %s a minute from one number; ordinary numbers are blocked for less", humanize.Ftoa(math.Round(perMinute*10)/10))
	}
}

// expected is the number that --expect-recipients is compared with, and what
// it counts. A script that goes on after a stop says the same number as the
// first time, whatever was sent since.
func expected(p *app.Prepared) (int64, string) {
	if p.Resumed && p.Imported == nil {
		return p.Sendable, "recipients are in the campaign"
	}
	return p.Plan.Messages, "recipients would be sent to"
}

// answer is the line a person types, unless they interrupt instead. A read of
// a terminal cannot be called off: the one under way ends with the process.
func (t *terminal) answer(ctx context.Context) (string, error) {
	type line struct {
		text string
		err  error
	}
	typed := make(chan line, 1)
	go func() {
		text, err := bufio.NewReader(t.in).ReadString('\n')
		typed <- line{text, err}
	}()
	select {
	case got := <-typed:
		return got.text, got.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// finish writes the reports, prints what came out, and turns it into an exit
// code.
func (t *terminal) finish(ctx context.Context, engine sender, p *app.Prepared, result app.RunResult, f sendFlags) error {
	if result.Detached && !t.json {
		t.detached(p)
		return &exitError{exitInterrupted}
	}
	if result.Left && !t.json {
		t.left(f)
		return &exitError{exitInterrupted}
	}
	written, err := engine.WriteReports(ctx, result.Campaign.ID)
	if err != nil {
		return err
	}
	if result.TimedOut && !f.quiet {
		t.stoppedWaiting(result, f)
	}
	switch {
	case t.json:
		if err := t.printLine(written.Summary()); err != nil {
			return err
		}
	case f.quiet:
		t.print("%s\n", result.Campaign.ID)
	default:
		if t.live() {
			t.say("") // the last frame of the progress stays above
		}
		if err := written.Brief(t.out, t.width(t.out), t.color(t.out)); err != nil {
			return err
		}
		t.say("")
		t.say("The whole report:    %s", written.TextFile())
		t.say("  for a browser:     %s", written.HTMLFile())
		t.say("Every row's result:  %s", written.ResultsFile())
		t.whatNext(p, result, written, f)
	}
	if !written.Balanced() {
		return app.Unbalanced(result.Campaign.ID)
	}
	if result.Interrupted || result.Detached || result.Left {
		return &exitError{exitInterrupted}
	}
	if written.Missed() > f.maxFailed {
		return &exitError{exitPartial}
	}
	return nil
}

// detached says that the campaign goes on without this command, and how to see
// or stop it.
func (t *terminal) detached(p *app.Prepared) {
	t.say("")
	t.say("The service goes on with it. To watch, or to stop it:")
	t.say("  %s --watch", t.next("status", p.Campaign.Name))
	t.say("  %s", t.next("pause", p.Campaign.Name))
}

// left says that the service was stopped that sent the campaign.
func (t *terminal) left(f sendFlags) {
	t.say("")
	t.say("The service was stopped. Nothing is lost: the campaign waits. To go on, start the service again, or run the file:")
	t.say("  herald serve%s", t.given)
	t.say("  %s", t.next("run", f.file))
}

// stoppedWaiting says what the run was still waiting for.
func (t *terminal) stoppedWaiting(result app.RunResult, f sendFlags) {
	var missing []string
	if n := result.Behind; n > 0 {
		missing = append(missing, fmt.Sprintf("%s of %s %s not %s yet", comma(n), comma(result.Sendable()), are(n), f.wait))
	}
	if n := result.Unclear; n > 0 {
		missing = append(missing, fmt.Sprintf("%s unknown, still being looked for", agree(n, "row is", "rows are")))
	}
	t.say("%s; stopped waiting after %s", strings.Join(missing, ", "), f.waitTimeout)
}

func are(n int64) string {
	if n == 1 {
		return "is"
	}
	return "are"
}

// whatNext tells the next step, if there is one.
func (t *terminal) whatNext(p *app.Prepared, result app.RunResult, written *app.Reports, f sendFlags) {
	again := t.next("run", f.file)
	switch {
	case result.Interrupted:
		t.say("Stopped. Nothing is lost. To go on:")
		t.say("  %s", again)
	case f.demo:
	case result.TimedOut:
		t.say("Some statuses are still to come. To go on following them:")
		t.say("  %s", again)
	}
	if n := written.UnknownOpen(); n > 0 && !f.demo {
		t.say("%s. What to do about each:", agree(n, "row is unknown", "rows are unknown"))
		t.say("  %s", t.next("unknowns", result.Campaign.Name))
	}
	if p.Imported != nil && p.Imported.Bad() > 0 && p.RejectsFile != "" && !f.demo && !result.Interrupted {
		t.say("To send to the rows that were skipped, mend them, then:")
		t.say("  %s --delta %s", again, shellWord(written.RejectsFile))
	}
}

// shellWord quotes a word for a shell when it has to be.
func shellWord(word string) string {
	if word != "" && !strings.ContainsFunc(word, func(r rune) bool {
		return !strings.ContainsRune("/._-+=:,@%", r) && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	}) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

func validWait(wait string) bool { return slices.Contains(app.Waits(), wait) }

func comma(n int64) string { return humanize.Comma(n) }
