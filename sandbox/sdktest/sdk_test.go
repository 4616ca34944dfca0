package sdktest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/herald-campaigns/herald/sandbox"
)

const phone = "919999990001"

// sdkAddr is where the SDK's environment "local" expects the API.
const sdkAddr = "localhost:8080"

// seen is what conformance.js prints: the SDK's view of the sandbox.
type seen struct {
	Text, Media, Poll sendReply
	Message, Again    map[string]any
	Jobs              []map[string]any
	AllJobs           []map[string]any `json:"all_jobs"`
	Queue             map[string]any
	Phone             map[string]any
	Phones            []map[string]any
	Hook              map[string]any
	Hooks             []map[string]any
	HooksAfter        []map[string]any `json:"hooks_after"`
	Refused           struct {
		Status        int
		Code, Message string
	}
}

type sendReply struct {
	Status        string
	QueueID       string `json:"queue_id"`
	UniqueID      string `json:"unique_id"`
	QueuePosition int    `json:"queue_position"`
}

func TestOfficialSDK(t *testing.T) {
	t.Parallel()
	dir := install(t)
	server, err := sandbox.New(sandbox.Config{
		Seed: 1, Instant: true, Tokens: []string{"test"}, Phones: []sandbox.Phone{{Number: phone, Name: "Support"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := server.Start(sdkAddr); err != nil {
		absent(t, "the SDK knows only "+sdkAddr+": "+err.Error())
	}

	var got seen
	if err := json.Unmarshal(run(t, dir, "node", "conformance.js", phone), &got); err != nil {
		t.Fatalf("read what the SDK saw: %v", err)
	}
	for name, s := range map[string]sendReply{"text": got.Text, "media": got.Media, "poll": got.Poll} {
		if s.Status != "queued" || len(s.QueueID) != 36 || !strings.HasPrefix(s.UniqueID, "3EB0") {
			t.Errorf("%s: answer %+v", name, s)
		}
	}
	want := map[string]any{
		"message_id": "true_12015550001@c.us_" + got.Text.UniqueID, "sent_message_id": got.Text.QueueID,
		"body": "Hi *Asha* & <co>", "ack": "4", "message_type": "chat", "from_me": true, "org_phone": phone + "@c.us",
	}
	for key, value := range want {
		if diff := cmp.Diff(value, got.Message[key]); diff != "" {
			t.Errorf("message %s (-want +got):\n%s", key, diff)
		}
	}
	if diff := cmp.Diff(got.Message, got.Again); diff != "" {
		t.Errorf("by queue_id and by message_id (-first +second):\n%s", diff)
	}
	if len(got.Jobs) != 1 || got.Jobs[0]["id"] != got.Poll.QueueID || got.Jobs[0]["status"] != "completed" {
		t.Errorf("job of the poll: %v", got.Jobs)
	}
	if len(got.AllJobs) != 3 || got.Queue["completed"] != 3.0 || got.Queue["is_running"] != true {
		t.Errorf("%d jobs, queue %v", len(got.AllJobs), got.Queue)
	}
	if len(got.Phones) != 1 || got.Phone["wa_state"] != "CONNECTED" || got.Phone["is_ready"] != true || got.Phone["phone_name"] != "Support" {
		t.Errorf("phone %v of %d", got.Phone, len(got.Phones))
	}
	if got.Hook["integration_name"] != "message.created" || len(got.Hooks) != 1 || got.Hooks[0]["id"] != got.Hook["id"] || len(got.HooksAfter) != 0 {
		t.Errorf("webhook %v, listed %v, after deleting %v", got.Hook, got.Hooks, got.HooksAfter)
	}
	if got.Refused.Status != 422 || got.Refused.Code != "VALIDATION_ERROR" || got.Refused.Message == "" {
		t.Errorf("a send without content: %+v", got.Refused)
	}

	var accepted []string
	for _, a := range server.Acceptances() {
		accepted = append(accepted, strings.Join([]string{a.QueueID, a.ChatID, a.Type, a.Body, a.PollID, a.Filename}, " | "))
	}
	wantAccepted := []string{
		got.Text.QueueID + " | 12015550001@c.us | chat | Hi *Asha* & <co> |  | ",
		got.Media.QueueID + " | 12015550101@c.us | document | caption |  | a.pdf",
		got.Poll.QueueID + " | 12015550102@c.us | poll_creation | Friday? | cmp:v1 | ",
	}
	if diff := cmp.Diff(wantAccepted, accepted); diff != "" {
		t.Errorf("what the sandbox accepted (-want +got):\n%s", diff)
	}
}

// The lock file must not tie anybody to one machine's registry.
func TestLockFileNamesNoPrivateRegistry(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("package-lock.json")
	if err != nil {
		t.Fatal(err)
	}
	var lock struct {
		Packages map[string]struct{ Version, Resolved, Integrity string }
	}
	if err := json.Unmarshal(text, &lock); err != nil {
		t.Fatal(err)
	}
	for name, p := range lock.Packages {
		if p.Resolved != "" && !strings.HasPrefix(p.Resolved, "https://registry.npmjs.org/") {
			t.Errorf("%s is resolved to %s", name, p.Resolved)
		}
		if name != "" && p.Integrity == "" {
			t.Errorf("%s has no checksum", name)
		}
	}
	const sdk = "node_modules/@periskope/periskope-client"
	if v := lock.Packages[sdk].Version; v != "1.1.3" {
		t.Errorf("the SDK is locked to %q, want 1.1.3", v)
	}
}

// install puts the SDK into a temporary folder.
func install(t *testing.T) string {
	t.Helper()
	for _, tool := range []string{"node", "npm"} {
		if _, err := exec.LookPath(tool); err != nil {
			absent(t, tool+" is not installed")
		}
	}
	dir := t.TempDir()
	for _, name := range []string{"package.json", "package-lock.json", "conformance.js"} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := tool(t, dir, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"); err != nil {
		absent(t, "the SDK cannot be installed: "+err.Error())
	}
	return dir
}

// absent skips the test, or fails it where node is required.
func absent(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("HERALD_REQUIRE_NODE") == "1" {
		t.Fatalf("HERALD_REQUIRE_NODE=1, but %s", why)
	}
	t.Skipf("SDK conformance not checked: %s", why)
}

func run(t *testing.T, dir, name string, args ...string) []byte {
	t.Helper()
	out, err := tool(t, dir, name, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// tool runs a program and returns its output; the error has what it complained.
func tool(t *testing.T, dir, name string, args ...string) ([]byte, error) {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(t.Context(), 5*time.Minute, fmt.Errorf("%s took more than five minutes", name))
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %s", name, err, strings.TrimSpace(complaint.String()))
	}
	return out, nil
}
