package faults

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"time"
)

// Killer starts processes and ends them at random instants. The same seed
// draws the same instants; what a process is doing then is up to the machine.
// It is for one goroutine.
type Killer struct {
	seed uint64
	dice *rand.Rand
}

// NewKiller makes a Killer; a seed of 0 draws one.
func NewKiller(seed uint64) *Killer {
	if seed == 0 {
		seed = rand.Uint64() //nolint:gosec // dice of a test
	}
	return &Killer{seed: seed, dice: rand.New(rand.NewPCG(seed, 0))} //nolint:gosec // dice of a test
}

// String tells the seed, for the failure that has to be seen again.
func (k *Killer) String() string { return fmt.Sprintf("seed %d", k.seed) }

// Below draws a duration from 0 to d.
func (k *Killer) Below(d time.Duration) time.Duration {
	return time.Duration(k.dice.Int64N(int64(d) + 1))
}

// Number draws a number from 0 to n-1.
func (k *Killer) Number(n int) int { return k.dice.IntN(n) }

// Strike is what is done to a process.
type Strike struct {
	// Working is received from once before the time runs; nil: it runs from
	// the start of the process.
	Working <-chan struct{}
	Within  time.Duration // the kill comes up to this long after that
	// Freeze stops the process that long, at the instant drawn, and lets it go
	// on for another time within Within before it is killed; 0: it is killed.
	Freeze time.Duration
	// Patience bounds the wait for Working; a minute if 0.
	Patience time.Duration
}

// ErrIdle says that a process did not begin to work within its Patience.
var ErrIdle = errors.New("the process does not work")

// Strike starts the command and kills it. ended says that it came to its end
// before that, with exit code 0; any other end of its own is an error.
func (k *Killer) Strike(ctx context.Context, command *exec.Cmd, s Strike) (ended bool, err error) {
	if s.Patience == 0 {
		s.Patience = time.Minute
	}
	if err := command.Start(); err != nil {
		return false, fmt.Errorf("start the process to be killed: %w", err)
	}
	over := make(chan error, 1)
	go func() { over <- command.Wait() }()

	ended, err = k.await(ctx, s, over)
	if ended || err == nil && s.Freeze == 0 {
		return finish(command, over, ended, err)
	}
	if err == nil {
		if err = freeze(command.Process); err == nil {
			wait(ctx, s.Freeze)
			err = thaw(command.Process)
		}
		if err == nil {
			ended, err = k.pause(ctx, k.Below(s.Within), over)
		}
	}
	return finish(command, over, ended, err)
}

// await waits until the process works, then for the instant drawn.
func (k *Killer) await(ctx context.Context, s Strike, over chan error) (ended bool, err error) {
	within := k.Below(s.Within)
	if s.Working != nil {
		patience := time.NewTimer(s.Patience)
		defer patience.Stop()
		select {
		case <-s.Working:
		case err := <-over:
			return true, err
		case <-patience.C:
			return false, fmt.Errorf("%w after %s", ErrIdle, s.Patience)
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
	return k.pause(ctx, within, over)
}

func (k *Killer) pause(ctx context.Context, d time.Duration, over chan error) (ended bool, err error) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return false, nil
	case err := <-over:
		return true, err
	case <-ctx.Done():
		return false, ctx.Err()
	}
}

// finish leaves no process behind.
func finish(command *exec.Cmd, over chan error, ended bool, err error) (bool, error) {
	if ended {
		if err != nil {
			return true, fmt.Errorf("the process ended by itself: %w", err)
		}
		return true, nil
	}
	_ = command.Process.Kill() // it may have ended in this moment
	return <-over == nil, err
}
