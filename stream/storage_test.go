package stream

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/internal/natsd"
)

// machine is a server whose disk can be meddled with while it is down.
type machine struct {
	dir string

	mu     sync.Mutex
	server *natsd.Server
}

func (m *machine) InProcessConn() (net.Conn, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.server.InProcessConn()
}

func (m *machine) start(t *testing.T) {
	t.Helper()
	server, err := natsd.Start(t.Context(), natsd.Config{StoreDir: m.dir, File: true})
	if err != nil {
		t.Fatalf("start server: %v", err)
	}
	t.Cleanup(server.Close)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.server = server
}

func (m *machine) stop() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.server.Close()
}

// A file store may lose, keep or resurrect what it held; whatever it does, the
// stream works afterwards, and says so when it is another one.
func TestDamagedStore(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		harm      func(t *testing.T, dir, backup string)
		recreated bool // must be announced; else it may be
	}{
		"untouched": {func(*testing.T, string, string) {}, false},
		"wiped": {func(t *testing.T, dir, _ string) {
			t.Helper()
			if err := os.RemoveAll(dir); err != nil {
				t.Fatal(err)
			}
		}, true},
		"rolled back": {func(t *testing.T, dir, backup string) {
			t.Helper()
			if err := os.RemoveAll(dir); err != nil {
				t.Fatal(err)
			}
			if err := os.CopyFS(dir, os.DirFS(backup)); err != nil {
				t.Fatal(err)
			}
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := &machine{dir: filepath.Join(t.TempDir(), "nats")}
			m.start(t)
			conn := connect(t, Config{InProcess: m, Storage: StorageFile, FetchWait: 200 * time.Millisecond})
			b := &testBundle{conn: conn}
			id, sender := campaign.NewID(), campaign.NewSenderID()
			c := b.sender(t, sender, Tuning{InFlight: 100})
			b.publish(t, tasks(id, sender, 50)...)

			m.stop()
			backup := t.TempDir()
			if err := os.CopyFS(backup, os.DirFS(m.dir)); err != nil {
				t.Fatal(err)
			}
			m.start(t)
			settled := 0
			for settled < 20 {
				ds, err := c.Fetch(t.Context(), 20-settled)
				if err != nil && !errors.Is(err, ErrUnavailable) {
					t.Fatal(err)
				}
				for _, d := range ds {
					if err := d.Ack(); err != nil {
						t.Error(err)
					}
					settled++
				}
			}

			m.stop()
			tc.harm(t, m.dir, backup)
			m.start(t)
			again := task(id, sender, 1000)
			announced, stale := drainUntil(t, b, c, again)
			if tc.recreated && !announced {
				t.Error("a new stream was not announced by ErrRecreated")
			}
			t.Logf("announced %v, %d tasks came back", announced, stale)
			if name == "untouched" && (announced || stale < 30) {
				t.Errorf("announced %v, %d tasks came back; want the 30 not settled", announced, stale)
			}
		})
	}
}

// drainUntil publishes a task until that works, and fetches until it comes.
func drainUntil(t *testing.T, b *testBundle, c *Consumer, want campaign.Task) (announced bool, others int) {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(t.Context(), 60*time.Second, errors.New("the task did not come"))
	defer cancel()
	stored := false
	for {
		if !stored {
			failed, err := b.conn.Publish(ctx, []campaign.Task{want})
			if err != nil {
				t.Fatalf("publish: %v", err)
			}
			stored = len(failed) == 0
		}
		got, err := c.Fetch(ctx, 50)
		switch {
		case errors.Is(err, ErrRecreated):
			announced, stored = true, false // as the ledger would
			want.Gen++
		case err != nil && !errors.Is(err, ErrUnavailable):
			t.Fatalf("fetch: %v", err)
		}
		for _, d := range got {
			if err := d.Ack(); err != nil {
				t.Error(err)
			}
			if d.Task.Seq == want.Seq {
				return announced, others
			}
			others++
		}
	}
}
