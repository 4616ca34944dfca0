package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/herald-campaigns/herald/internal/app"
)

// run executes one command line and returns its exit code.
func (t *terminal) run(ctx context.Context, args []string) int {
	root := t.rootCommand() //nolint:contextcheck // cobra hands ctx to the commands
	root.SetArgs(args)
	root.SetIn(t.in)
	root.SetOut(t.out)
	root.SetErr(t.err)
	command, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitOK
	}
	var usage *usageError
	if !t.called && !errors.As(err, &usage) {
		err = aboutFlags(command, err)
	}
	return t.fail(err)
}

// settings are the flags every command has.
type settings struct {
	config  string
	dataDir string
	mode    string
	log     string
}

func (t *terminal) rootCommand() *cobra.Command {
	var s settings
	root := &cobra.Command{
		Use:   "herald",
		Short: "Send each row of a CSV its own WhatsApp message, and know what became of it",
		Example: `  herald demo                         see it work: no account, nothing to set up
  herald check campaign.yaml          read and render every row, send nothing
  herald run campaign.yaml            send it; run it again to go on after a stop`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return unknownCommand(cmd, args[0])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	flags := root.PersistentFlags()
	flags.StringVar(&s.config, "config", "", "configuration `file` (default: herald.yaml, if there is one)")
	flags.StringVar(&s.dataDir, "data-dir", "", "data `folder` (default: herald-data)")
	flags.StringVar(&s.mode, "mode", "", "sandbox or live (default: sandbox)")
	flags.StringVar(&s.log, "log-level", "", "debug, info, warn or error (default: warn)")
	flags.BoolVar(&t.json, "json", false, "print JSON on standard output, and nothing else there")
	flags.BoolVar(&t.noColor, "no-color", false, "never color the output")
	root.InitDefaultHelpFlag()
	root.Flags().Lookup("help").Hidden = true // whoever reads this has found it
	root.SetFlagErrorFunc(flagError)
	root.SuggestionsMinimumDistance = 2
	root.SetUsageTemplate(usageTemplate)
	root.SetHelpCommand(helpCommand(root))

	root.AddGroup(
		&cobra.Group{ID: "start", Title: "Start here:"},
		&cobra.Group{ID: "send", Title: "Campaigns:"},
		&cobra.Group{ID: "look", Title: "What became of them:"},
		&cobra.Group{ID: "more", Title: "More:"},
	)
	root.SetHelpCommandGroupID("more")
	root.SetCompletionCommandGroupID("more")
	add := func(group string, commands ...*cobra.Command) {
		for _, command := range commands {
			command.GroupID = group
			t.watchCalls(command)
			root.AddCommand(command)
		}
	}
	load := func(cmd *cobra.Command) (app.Config, error) { return t.config(cmd, s) }
	add("start", t.demoCommand(load), t.initCommand())
	add("send", t.checkCommand(load), t.previewCommand(load), t.runCommand(load),
		t.serveCommand(load), t.pauseCommand(load), t.resumeCommand(load), t.cancelCommand(load), t.retryCommand(load), t.followUpCommand(load))
	add("look", t.campaignsCommand(load), t.statusCommand(load), t.recipientsCommand(load), t.unknownsCommand(load), t.reportCommand(load),
		t.optOutsCommand(load), t.sendersCommand(load))
	add("more", t.backupCommand(load), t.listenCommand(load), t.sandboxCommand(load), t.schemaCommand(), t.versionCommand(), t.webhooksCommand(load))
	root.AddCommand(topics()...)
	addCompletion(root)
	return root
}

// watchCalls notes that a command or one below it began, and marks complaints
// about their arguments.
func (t *terminal) watchCalls(command *cobra.Command) {
	if run := command.RunE; run != nil {
		command.RunE = func(cmd *cobra.Command, args []string) error {
			t.called = true
			return run(cmd, args)
		}
	}
	if command.Args != nil {
		command.Args = asUsage(command.Args)
	}
	for _, below := range command.Commands() {
		t.watchCalls(below)
	}
}

// loader reads the configuration a command was called with.
type loader func(cmd *cobra.Command) (app.Config, error)

func (t *terminal) config(cmd *cobra.Command, s settings) (app.Config, error) {
	for name, values := range map[string][]string{
		"mode": {"sandbox", "live"}, "log-level": {"debug", "info", "warn", "error"},
	} {
		if flag := cmd.Flags().Lookup(name); flag.Changed && !slices.Contains(values, flag.Value.String()) {
			return app.Config{}, &usageError{
				err: fmt.Errorf("--%s %q is not possible", name, flag.Value), hint: "it is one of " + strings.Join(values, ", "),
			}
		}
	}
	flags := map[string]any{}
	for name, set := range map[string]struct {
		key   string
		value string
	}{
		"data-dir":  {"data_dir", s.dataDir},
		"mode":      {"mode", s.mode},
		"log-level": {"log.level", s.log},
	} {
		if cmd.Flags().Changed(name) {
			flags[set.key] = set.value
		}
	}
	t.given = givenFlags(cmd)
	return app.LoadConfig(app.ConfigSource{File: s.config, Environ: t.environ, Flags: flags})
}

// givenFlags are the global flags of this call that a next command must have
// as well: without them it would find another ledger, or none, and send to
// everybody again.
func givenFlags(cmd *cobra.Command) string {
	var b strings.Builder
	for _, name := range []string{"config", "data-dir", "mode"} {
		if flag := cmd.Flags().Lookup(name); flag != nil && flag.Changed {
			b.WriteString(" --" + name + " " + shellWord(flag.Value.String()))
		}
	}
	return b.String()
}

// next is a command to type after this one, for the same ledger and mode.
func (t *terminal) next(command, argument string) string {
	return "herald " + command + t.given + " " + shellWord(argument)
}

// namedCommand is a command of ours in a sentence that works on a ledger or a
// configuration.
var namedCommand = regexp.MustCompile("`herald (?:run|check|preview|campaigns|status|recipients|unknowns|report|backup|resume|pause|cancel|serve|followup|retry|optouts|senders|webhooks|listen)\\b")

// complete adds the global flags to the commands that a hint names.
func (t *terminal) complete(hint string) string {
	return namedCommand.ReplaceAllStringFunc(hint, func(command string) string { return command + t.given })
}

// asUsage turns a complaint about arguments into a usage error in our words.
func asUsage(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		err := check(cmd, args)
		var usage *usageError
		if err == nil || errors.As(err, &usage) {
			return err
		}
		return wrongArguments(cmd, args)
	}
}

// argumentWords are what our commands take, as their first line of use has it.
var argumentWords = map[string]string{ //nolint:gochecknoglobals // a table
	"FILE": "file", "PHONE…": "phone number", "[FOLDER]": "folder",
}

// wrongArguments says what a command takes that was called with less or more.
func wrongArguments(cmd *cobra.Command, args []string) error {
	_, takes, _ := strings.Cut(cmd.Use, " ")
	takes, _, _ = strings.Cut(takes, " ")
	if takes == "CAMPAIGN" {
		return oneCampaign(args)
	}
	hint := "usage: " + cmd.UseLine()
	switch word := argumentWords[takes]; {
	case word == "" && cmd.HasSubCommands():
		return unknownCommand(cmd, args[0])
	case word == "":
		return &usageError{err: fmt.Errorf("%s takes only flags, and got %q", cmd.CommandPath(), strings.Join(args, " ")), hint: hint}
	case len(args) == 0:
		return &usageError{err: fmt.Errorf("which %s?", word), hint: hint}
	default:
		return &usageError{
			err:  fmt.Errorf("one %s at a time, not %q", word, args),
			hint: "put quotes around a name with blanks: " + shellWord(strings.Join(args, " ")),
		}
	}
}

// What cobra says of flags that do not go together, or are missing.
var (
	exclusiveFlags = regexp.MustCompile(`none of the others can be; \[(.*)\] were all set$`)
	requiredFlags  = regexp.MustCompile(`^required flag\(s\) (.*) not set$`)
)

// aboutFlags is a complaint of cobra's about flags in our words.
func aboutFlags(cmd *cobra.Command, err error) error {
	dashed := func(names string) string {
		words := strings.FieldsFunc(names, func(r rune) bool { return strings.ContainsRune(`", `, r) })
		return "--" + strings.Join(words, " and --")
	}
	text := err.Error()
	if found := exclusiveFlags.FindStringSubmatch(text); found != nil {
		return &usageError{err: fmt.Errorf("%s exclude each other", dashed(found[1])), hint: "leave out all but one"}
	}
	if found := requiredFlags.FindStringSubmatch(text); found != nil {
		return &usageError{err: fmt.Errorf("%s is missing", dashed(found[1])), hint: "usage: " + cmd.UseLine()}
	}
	return &usageError{err: err}
}
