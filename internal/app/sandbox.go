package app

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/sandbox"
)

// SandboxOptions are the flags of `herald sandbox`.
type SandboxOptions struct {
	Listen    string
	Speed     float64
	Seed      uint64
	Journal   string
	Tokens    []string
	RateLimit int // requests a second; 0 is no limit
	Latency   time.Duration
	Faults    []string // JSON, as sandbox.ParseFault reads it

	WebhookKeyFile string // holds what webhooks are signed with; empty leaves them unsigned
	WebhookNames   string // ack, spec or both
	Envelope       string // real or docs
	Loss           float64
	Duplicate      float64
}

// StartSandbox runs the simulator as a server of its own.
func StartSandbox(_ Config, log *slog.Logger, o SandboxOptions) (*sandbox.Server, error) {
	if err := loopbackOnly(o.Listen); err != nil {
		return nil, err
	}
	if err := o.checkWebhooks(); err != nil {
		return nil, err
	}
	config := sandbox.Config{
		Seed: o.Seed, Speed: o.Speed, AnyPhone: true, Tokens: o.Tokens, Control: true,
		RateLimit: sandbox.RateLimit{PerWindow: o.RateLimit, Window: time.Second},
		Latency:   sandbox.Range{Min: o.Latency, Max: o.Latency},
		Webhooks: sandbox.Webhooks{
			Names: sandbox.EventNames(o.WebhookNames), Envelope: sandbox.Envelope(o.Envelope),
		},
		WebhookFaults: sandbox.WebhookFaults{Loss: o.Loss, Duplicate: o.Duplicate},
		Journal:       o.Journal, Logger: log,
	}
	if err := o.readWebhookKey(&config.Webhooks); err != nil {
		return nil, err
	}
	for _, text := range o.Faults {
		fault, err := sandbox.ParseFault([]byte(text))
		if err != nil {
			return nil, &campaign.Error{Code: campaign.CodeInvalid, What: "read --fault", Hint: "`herald help magic-numbers` lists the kinds", Err: err}
		}
		config.Faults = append(config.Faults, fault)
	}
	sim, err := sandbox.New(config)
	if err != nil {
		return nil, &campaign.Error{Code: campaign.CodeInvalid, What: "start the sandbox", Err: err}
	}
	if err := sim.Start(o.Listen); err != nil {
		return nil, errors.Join(&campaign.Error{
			Code: campaign.CodeUnavailable, What: "start the sandbox", Hint: "--listen 127.0.0.1:0 takes any free port", Err: err,
		}, sim.Close())
	}
	return sim, nil
}

// checkWebhooks refuses what the simulator would refuse, in terms of the flags.
func (o SandboxOptions) checkWebhooks() error {
	for _, flag := range []struct {
		name, value string
		possible    []string
	}{
		{"--webhook-names", o.WebhookNames, []string{string(sandbox.NamesAck), string(sandbox.NamesSpec), string(sandbox.NamesBoth)}},
		{"--envelope", o.Envelope, []string{string(sandbox.EnvelopeReal), string(sandbox.EnvelopeDocs)}},
	} {
		if flag.value != "" && !slices.Contains(flag.possible, flag.value) {
			return &campaign.Error{
				Code: campaign.CodeInvalid, What: fmt.Sprintf("%s %q is not possible", flag.name, flag.value),
				Hint: "it is one of " + strings.Join(flag.possible, ", "),
			}
		}
	}
	for _, flag := range []struct {
		name  string
		share float64
	}{{"--loss", o.Loss}, {"--duplicate", o.Duplicate}} {
		if !(flag.share >= 0 && flag.share <= 1) {
			return &campaign.Error{
				Code: campaign.CodeInvalid, What: fmt.Sprintf("%s %g is not possible", flag.name, flag.share), Hint: "it is a share from 0 to 1, e.g. 0.5",
			}
		}
	}
	return nil
}

// readWebhookKey takes the signing key from its file: a flag's value would be
// seen by everybody on the machine.
func (o SandboxOptions) readWebhookKey(w *sandbox.Webhooks) error {
	if o.WebhookKeyFile == "" {
		return nil
	}
	content, err := os.ReadFile(o.WebhookKeyFile)
	if err != nil {
		return &campaign.Error{Code: campaign.CodeInvalid, What: "read --webhook-key-file", Err: err}
	}
	if w.Key = strings.TrimSpace(string(content)); w.Key == "" {
		return &campaign.Error{
			Code: campaign.CodeInvalid, What: "--webhook-key-file holds no key", Hint: "`openssl rand -hex 32` makes one; the receiver needs the same",
		}
	}
	return nil
}

// loopbackOnly refuses to open the simulator, which asks nobody who they are,
// to the network.
func loopbackOnly(address string) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return &campaign.Error{Code: campaign.CodeInvalid, What: fmt.Sprintf("--listen %s", address), Hint: "host:port, e.g. 127.0.0.1:8080", Err: err}
	}
	if ip := net.ParseIP(host); host == "localhost" || ip != nil && ip.IsLoopback() {
		return nil
	}
	return &campaign.Error{
		Code: campaign.CodeInvalid, What: fmt.Sprintf("--listen %s is not a loopback address", address),
		Hint: "the simulator asks nobody who they are; use 127.0.0.1",
	}
}
