package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/herald-campaigns/herald/internal/app"
)

// usageTemplate is cobra's with what people look for first in front: examples,
// then how to call it, then the flags.
const usageTemplate = `{{if .HasExample}}Examples:
{{.Example}}

{{end}}{{if .Runnable}}{{if not .HasAvailableSubCommands}}Usage:
  {{.UseLine}}

{{end}}{{end}}{{if .HasAvailableSubCommands}}{{$commands := .Commands}}{{range $group := .Groups}}{{.Title}}
{{range $commands}}{{if and (eq .GroupID $group.ID) .IsAvailableCommand}}  {{rpad .Name .NamePadding}} {{.Short}}
{{end}}{{end}}{{end}}{{if not .Groups}}Commands:
{{range $commands}}{{if .IsAvailableCommand}}  {{rpad .Name .NamePadding}} {{.Short}}
{{end}}{{end}}{{end}}
{{end}}{{if .HasAvailableLocalFlags}}Flags:
{{.LocalFlags.FlagUsages | trimTrailingWhitespaces}}
{{end}}{{if .HasAvailableInheritedFlags}}
Flags of every command:
{{.InheritedFlags.FlagUsages | trimTrailingWhitespaces}}
{{end}}{{if .HasHelpSubCommands}}
More help: herald COMMAND --help; herald help with one of{{range .Commands}}{{if .IsAdditionalHelpTopicCommand}} {{.Name}}{{end}}{{end}}
{{end}}`

// topics are help texts without a command: `herald help exit-codes`.
func topics() []*cobra.Command {
	return []*cobra.Command{
		{Use: "exit-codes", Short: "What the exit codes mean", Long: "Exit codes:\n\n" + exitCodesHelp},
		{Use: "environment", Short: "The environment variables", Long: app.EnvironmentHelp()},
		{Use: "magic-numbers", Short: "Numbers that make the sandbox misbehave", Long: app.SandboxHelp()},
	}
}

// addCompletion adds cobra's own command, which on its own would take a
// mistyped shell for a wish for help.
func addCompletion(root *cobra.Command) {
	root.InitDefaultCompletionCmd()
	for _, command := range root.Commands() {
		if command.Name() == "completion" {
			command.Short = "Print the completion script of your shell"
			command.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
		}
	}
}

// helpCommand is `herald help`; asking for what is not there is a mistake.
func helpCommand(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:    "help [COMMAND or TOPIC]",
		Short:  "Help about a command or a topic",
		Hidden: true, // whoever reads the list has found it
		RunE: func(_ *cobra.Command, args []string) error {
			found, rest, err := root.Find(args)
			if err != nil || len(rest) > 0 {
				return unknownCommand(root, strings.Join(args, " "))
			}
			found.InitDefaultHelpFlag()
			return found.Help()
		},
	}
}

// unknownCommand names the command that was probably meant.
func unknownCommand(root *cobra.Command, typed string) error {
	e := &usageError{err: fmt.Errorf("there is no command %q", typed)}
	if near := root.SuggestionsFor(typed); len(near) > 0 {
		path := root.CommandPath() + " "
		e.hint = fmt.Sprintf("did you mean `%s`?", path+strings.Join(near, "` or `"+path))
	}
	return e
}

// valueWords say what the value of a flag looks like, by its type.
var valueWords = map[string]string{ //nolint:gochecknoglobals // a table
	"int": "a whole number, such as 17", "int64": "a whole number, such as 17", "uint64": "a whole number, such as 17",
	"float64": "a number, such as 1.5", "bool": "true or false", "duration": "a time, such as 30s, 10m or 2h",
}

// flagError names the flag that was probably meant, and what its value looks
// like.
func flagError(cmd *cobra.Command, err error) error {
	e := &usageError{err: err, hint: fmt.Sprintf("`%s --help` lists the flags", cmd.CommandPath())}
	if lacking, ok := errors.AsType[*pflag.ValueRequiredError](err); ok {
		e.err = fmt.Errorf("--%s needs a value", lacking.GetFlag().Name)
	}
	if invalid, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
		e.err = fmt.Errorf("--%s %q: %w", invalid.GetFlag().Name, invalid.GetValue(), invalid.Unwrap())
		if looks := valueWords[invalid.GetFlag().Value.Type()]; looks != "" {
			e.err = fmt.Errorf("--%s %q: it is %s", invalid.GetFlag().Name, invalid.GetValue(), looks)
		}
	}
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) {
		return e
	}
	var names []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	if near := app.Nearest(unknown.GetSpecifiedName(), names); near != "" {
		e.hint = fmt.Sprintf("did you mean --%s?", near)
	}
	return e
}
