package app

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/internal/natsd"
	"github.com/herald-campaigns/herald/sandbox"
)

// TestStreamIsDisposable is P7: whatever happens to the stream's folder, its
// contents or its server in the middle of a campaign, nobody is lost, nobody
// gets two messages, and it goes on: by being looked after, for what the stream
// itself would do about it comes too late here.
func TestStreamIsDisposable(t *testing.T) {
	t.Parallel()
	// The time to notice with the product's own values.
	if worst := healthFailures*(healthEvery+healthTimeout) + connectTimeout + lostAfter + lostEvery + fetchWait; worst >= time.Minute {
		t.Fatalf("noticing and mending may take %s", worst)
	}
	for name, harm := range map[string]func(ctx context.Context, dir string, broker *natsd.Server) error{
		"folder deleted": func(_ context.Context, dir string, _ *natsd.Server) error { return os.RemoveAll(dir) },
		"folder deleted, server restarted": func(ctx context.Context, dir string, broker *natsd.Server) error {
			broker.Stop()
			return errors.Join(os.RemoveAll(dir), broker.Restart(ctx))
		},
		"older copy restored": func(ctx context.Context, dir string, broker *natsd.Server) error {
			broker.Stop()
			return errors.Join(os.RemoveAll(dir), os.Rename(dir+".older", dir), broker.Restart(ctx))
		},
		"purged": func(ctx context.Context, _ string, broker *natsd.Server) error {
			return withStream(broker, func(js jetstream.JetStream) error {
				stream, err := js.Stream(ctx, "HERALD")
				if err != nil {
					return err
				}
				return stream.Purge(ctx)
			})
		},
		"tasks delivered to nobody": func(ctx context.Context, _ string, broker *natsd.Server) error {
			return withStream(broker, func(js jetstream.JetStream) error { return takeAndVanish(ctx, js) })
		},
		"server stopped": func(_ context.Context, _ string, broker *natsd.Server) error {
			broker.Stop()
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			th := newTheater(t, nil)
			th.cfg.NATS.Storage = "file"
			th.tuning.healthEvery, th.tuning.lostAfter, th.tuning.ackWait = 300*time.Millisecond, 2*time.Second, time.Hour
			var broker *natsd.Server
			th.tuning.started = func(b *natsd.Server, _ *sandbox.Server) { broker = b }
			dir := filepath.Join(th.dir, "data", "nats")
			copied, harmed := false, false
			progress := func(p Progress) {
				switch {
				case !copied && p.Accepted() > 30:
					copied = true
					check(t, copyFolder(dir+".older", dir))
				case copied && !harmed && p.Accepted() > 100:
					harmed = true
					check(t, harm(t.Context(), dir, broker))
				}
			}
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
			defer cancel()
			result, err := th.run(ctx, th.text(600, "pace: { rate: 200/s, in_flight: 4 }\n"), PrepareOptions{}, RunOptions{Progress: progress})
			check(t, err)
			wantTotals(t, result.Totals, map[campaign.Status]int64{campaign.StatusQueued: 600})
			if !harmed {
				t.Error("no harm was done")
			}
			if name == "server stopped" && th.log.lines(slog.LevelWarn, "restarting it") != 1 {
				t.Errorf("the restart was told %d times", th.log.lines(slog.LevelWarn, "restarting it"))
			}
		})
	}
}

// takeAndVanish takes as many tasks as a consumer hands out before some are
// settled, so that it hands out none to anybody.
func takeAndVanish(ctx context.Context, js jetstream.JetStream) error {
	stream, err := js.Stream(ctx, "HERALD")
	if err != nil {
		return err
	}
	for name := range stream.ConsumerNames(ctx).Name() {
		consumer, err := stream.Consumer(ctx, name)
		if err != nil {
			return err
		}
		for taken := 0; taken < consumer.CachedInfo().Config.MaxAckPending; {
			batch, err := consumer.Fetch(1)
			if err != nil {
				return err
			}
			for range batch.Messages() {
				taken++
			}
			if err := batch.Error(); err != nil {
				return err
			}
		}
	}
	return nil
}

func withStream(broker *natsd.Server, do func(jetstream.JetStream) error) error {
	conn, err := nats.Connect("", nats.InProcessServer(broker))
	if err != nil {
		return err
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		return err
	}
	return do(js)
}

// copyFolder copies the files of a folder that is written to meanwhile: what
// is gone when its turn comes is not copied.
func copyFolder(to, from string) error {
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		inside, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, inside)
		if entry.IsDir() {
			return os.MkdirAll(target, 0o700)
		}
		content, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		return os.WriteFile(target, content, 0o600)
	})
}
