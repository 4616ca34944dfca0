package app

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
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
}

// StartSandbox runs the simulator as a server of its own.
func StartSandbox(_ Config, log *slog.Logger, o SandboxOptions) (*sandbox.Server, error) {
	if err := loopbackOnly(o.Listen); err != nil {
		return nil, err
	}
	config := sandbox.Config{
		Seed: o.Seed, Speed: o.Speed, AnyPhone: true, Tokens: o.Tokens, Control: true,
		RateLimit: sandbox.RateLimit{PerWindow: o.RateLimit, Window: time.Second},
		Latency:   sandbox.Range{Min: o.Latency, Max: o.Latency},
		Journal:   o.Journal, Logger: log,
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
