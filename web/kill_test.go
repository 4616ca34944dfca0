package web_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/herald-campaigns/herald/internal/faults"
	"github.com/herald-campaigns/herald/web"
)

// childEnv makes the test binary a receiver on the ledger in the folder it
// names, until it is killed.
const childEnv = "HERALD_TEST_WEB_LEDGER"

// runChild is the child. It says whether this process is one.
func runChild() bool {
	dir := os.Getenv(childEnv)
	if dir == "" {
		return false
	}
	inbox, err := openLedger(context.Background(), dir)
	if err == nil {
		server := web.New(config(inbox))
		if err = server.Start("127.0.0.1:0"); err == nil {
			fmt.Println(server.Addr()) //nolint:forbidigo // the parent reads it
			select {}
		}
	}
	fmt.Fprintln(os.Stderr, "child:", err)
	os.Exit(1) //nolint:forbidigo // this is a main function
	return true
}

// TestKilledReceiverKeepsWhatItAnswered is K10: a receiver is killed under load
// again and again, and whatever it answered 200 is in the ledger.
func TestKilledReceiverKeepsWhatItAnswered(t *testing.T) {
	t.Parallel()
	rounds := 6
	if testing.Short() {
		rounds = 2
	}
	killer := faults.NewKiller(0)
	dir := t.TempDir()
	var mu sync.Mutex
	answered := make(map[string]bool)
	var next atomic.Int64
	for round := range rounds {
		address, working := make(chan string, 1), make(chan struct{})
		command := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^$")
		command.Env = append(os.Environ(), childEnv+"="+dir)
		command.Stderr = os.Stderr
		stdout, err := command.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			line, _ := bufio.NewReader(stdout).ReadString('\n')
			address <- line
			io.Copy(io.Discard, stdout)
		}()
		var senders sync.WaitGroup
		senders.Go(func() {
			url := "http://" + (<-address)
			url = url[:len(url)-1] + web.WebhookPath
			client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}}
			defer client.CloseIdleConnections()
			var once sync.Once
			var posting sync.WaitGroup
			for range 16 {
				posting.Go(func() {
					for {
						body := ack(int(next.Add(1)))
						status, _, err := post(client, url, body, sign(testKey, body))
						if err != nil {
							return // killed
						}
						if status == http.StatusOK {
							mu.Lock()
							answered[keyOf(t, body)] = true
							mu.Unlock()
							once.Do(func() { close(working) })
						}
					}
				})
			}
			posting.Wait()
		})
		if ended, err := killer.Strike(t.Context(), command, faults.Strike{Working: working, Within: 150 * time.Millisecond}); err != nil || ended {
			t.Fatalf("round %d, %s: ended %v, %v", round, killer, ended, err)
		}
		senders.Wait()
	}
	kept := keysIn(t, ledger(t, dir))
	for key := range answered {
		if !kept[key] {
			t.Errorf("%s: a delivery that was answered 200 is not in the ledger", killer)
		}
	}
	if len(answered) < rounds {
		t.Errorf("%d deliveries were answered in %d rounds: the test proved nothing", len(answered), rounds)
	}
	t.Logf("%d answered 200 over %d kills, %d in the ledger", len(answered), rounds, len(kept))
}
