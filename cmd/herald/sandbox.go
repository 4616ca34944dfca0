package main

import (
	"github.com/spf13/cobra"

	"github.com/herald-campaigns/herald/internal/app"
)

func (t *terminal) sandboxCommand(load loader) *cobra.Command {
	options := app.SandboxOptions{}
	var faults []string
	command := &cobra.Command{
		Use:   "sandbox",
		Short: "Run the simulator of the Periskope API as a server",
		Long:  app.SandboxHelp(),
		Example: `  herald sandbox
  HERALD_MODE=live HERALD_PERISKOPE_TOKEN=test \
    HERALD_PERISKOPE_BASE_URL=http://127.0.0.1:8080/v1 \
    herald run campaign.yaml --yes
  herald sandbox --fault '{"kind":"status","status":429,"rate":0.02}'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := load(cmd)
			if err != nil {
				return err
			}
			options.Faults = faults
			sim, err := app.StartSandbox(cfg, t.logger(cfg), options)
			if err != nil {
				return badFlag(err)
			}
			if t.json {
				if err := t.printLine(map[string]string{"base_url": sim.BaseURL()}); err != nil {
					return err
				}
			}
			t.say("The simulator listens at %s (speed ×%g, seed %d). Ctrl-C ends it.", sim.BaseURL(), options.Speed, sim.Seed())
			t.say("The chats as the recipients see them: http://%s/_sim/", sim.Addr())
			<-cmd.Context().Done()
			return sim.Close()
		},
	}
	flags := command.Flags()
	flags.StringVar(&options.Listen, "listen", "127.0.0.1:8080", "`address` to listen at; loopback only")
	flags.Float64Var(&options.Speed, "speed", 10, "times faster than life; 1 is about 3 s a message")
	flags.Uint64Var(&options.Seed, "seed", 0, "same seed, same run, same queue ids; 0 draws one")
	flags.StringVar(&options.Journal, "journal", "", "`file` that keeps accepted messages over restarts")
	flags.StringSliceVar(&options.Tokens, "token", nil, "accept only this `token` (default: any; repeatable)")
	flags.IntVar(&options.RateLimit, "rate-limit", 0, "answer 429 above this many requests a second; 0 is no limit")
	flags.DurationVar(&options.Latency, "latency", 0, "wait this long before each answer")
	flags.StringVar(&options.WebhookKeyFile, "webhook-key-file", "", "sign webhooks with the key in this `file` (default: unsigned)")
	flags.StringVar(&options.WebhookNames, "webhook-names", "ack", "names of status events: ack, spec or both")
	flags.StringVar(&options.Envelope, "envelope", "real", "form of webhooks: real, as seen in traffic, or docs")
	flags.Float64Var(&options.Loss, "loss", 0, "lose this share of webhook events, 0 to 1")
	flags.Float64Var(&options.Duplicate, "duplicate", 0, "deliver this share of webhook events twice, 0 to 1")
	flags.StringArrayVar(&faults, "fault", nil, "arm a fault, as `JSON` (repeatable; see above)")
	return command
}
