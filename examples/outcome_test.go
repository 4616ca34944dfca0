package examples_test

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/herald-campaigns/herald/campaign"
)

var update = flag.Bool("update", false, "write what came out as what is expected")

// outcome is what must come out of an example every time: the facts that
// neither the clock nor the machine can change.
type outcome struct {
	Rows       int64                         `json:"rows"`
	Recipients int64                         `json:"recipients"` // rows that were not skipped
	Accepted   int64                         `json:"accepted"`
	Failed     int64                         `json:"failed"`
	Unknown    int64                         `json:"unknown"`
	Skipped    map[campaign.SkipReason]int64 `json:"skipped"`
	Rejects    []reject                      `json:"rejects"`
	Messages   []received                    `json:"messages"` // the first three the simulator got, in file order
}

type reject struct {
	Line int64  `json:"line"`
	Code string `json:"code"`
}

// received is a message as the simulator's journal has it.
type received struct {
	Chat  string         `json:"chat"`
	Body  string         `json:"body"`
	Media *attachment    `json:"media,omitempty"`
	Poll  *receivedVotes `json:"poll,omitempty"`
}

type attachment struct {
	Type     string `json:"type"`
	URL      string `json:"url,omitempty"`
	Filename string `json:"filename"`
	MIME     string `json:"mimetype"`
	Size     int64  `json:"size"`
}

type receivedVotes struct {
	Options  []string `json:"options"`
	Multiple bool     `json:"multiple"`
}

// TestEveryExampleComesOutAsExpected runs every campaign with the real program
// against the simulator, and compares with the file expected.json beside it.
func TestEveryExampleComesOutAsExpected(t *testing.T) {
	t.Parallel()
	for _, path := range campaignFiles(t) {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			got, _ := send(t, path)
			golden := strings.TrimSuffix(path, filepath.Ext(path)) + ".expected.json"
			if *update {
				writeJSON(t, golden, got)
			}
			var want outcome
			readJSON(t, golden, &want)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s (-expected +now; -update accepts it):\n%s", golden, diff)
			}
		})
	}
}

// send runs an example in a data directory of its own and returns what came
// out, and that directory.
func send(t *testing.T, path string) (outcome, string) {
	t.Helper()
	data := t.TempDir()
	done := herald(t, "run", path, "--data-dir", data, "--now", "--json")
	if done.code != 0 {
		t.Fatalf("exit code %d\n%s", done.code, done.errors)
	}
	lines := strings.Split(strings.TrimSpace(done.out), "\n")
	var summary struct {
		Rows     int64                         `json:"rows"`
		Balanced bool                          `json:"balanced"`
		Balance  map[campaign.Status]int64     `json:"balance"`
		Skipped  map[campaign.SkipReason]int64 `json:"skipped"`
		Rejects  string                        `json:"rejects_file"`
	}
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &summary); err != nil {
		t.Fatalf("the last line is no summary: %v\n%s", err, done.out)
	}
	if !summary.Balanced {
		t.Error("the books do not account for every row")
	}
	o := outcome{Rows: summary.Rows, Skipped: map[campaign.SkipReason]int64{}, Rejects: rejects(t, summary.Rejects)}
	for status, n := range summary.Balance {
		if status != campaign.StatusSkipped {
			o.Recipients += n
		}
		if status.Evident() && status != campaign.StatusFailed {
			o.Accepted += n
		}
	}
	o.Failed, o.Unknown = summary.Balance[campaign.StatusFailed], summary.Balance[campaign.StatusUnknown]
	for reason, n := range summary.Skipped {
		if n > 0 {
			o.Skipped[reason] = n
		}
	}
	o.Messages = firstReceived(t, data, 3)
	return o, data
}

// rejects reads the lines and codes of a rejects file, "" for none.
func rejects(t *testing.T, path string) []reject {
	t.Helper()
	all := []reject{}
	if path == "" {
		return all
	}
	rows := rejectRows(t, path)
	line, code := slices.Index(rows[0], "_line"), slices.Index(rows[0], "_code")
	for _, row := range rows[1:] {
		n, err := strconv.ParseInt(row[line], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, reject{n, row[code]})
	}
	return all
}

// rejectRows reads a rejects file, which has the delimiter of the file it came
// from.
func rejectRows(t *testing.T, path string) [][]string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.TrimPrefix(string(content), "\ufeff")
	r := csv.NewReader(strings.NewReader(text))
	if header, _, _ := strings.Cut(text, "\n"); strings.Contains(header, ";") {
		r.Comma = ';'
	}
	rows, err := r.ReadAll()
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return rows
}

// firstReceived asks the simulator's journal, the one witness that is not
// Herald's own, what it was sent. One sender sends in file order only with one
// call at a time, so the messages are put in the order of the file.
func firstReceived(t *testing.T, data string, most int) []received {
	t.Helper()
	byChat := map[string]received{}
	journal, err := os.Open(filepath.Join(data, "sandbox.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = journal.Close() }()
	lines := bufio.NewScanner(journal)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var line struct {
			Op   string `json:"op"`
			Chat string `json:"chat"`
			Body string `json:"body"`
			More struct {
				Media *attachment `json:"media"`
				Poll  *struct {
					Options []string `json:"pollOptions"`
					Choice  struct {
						Multiple bool `json:"allowMultipleAnswers"`
					} `json:"options"`
				} `json:"poll"`
			} `json:"more"`
		}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			t.Fatal(err)
		}
		if line.Op != "accept" {
			continue
		}
		if _, twice := byChat[line.Chat]; twice {
			t.Errorf("%s got two messages", line.Chat)
		}
		message := received{Chat: line.Chat, Body: line.Body, Media: line.More.Media}
		if poll := line.More.Poll; poll != nil {
			message.Poll = &receivedVotes{poll.Options, poll.Choice.Multiple}
		}
		byChat[line.Chat] = message
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	first := []received{}
	for _, chat := range chatsInOrder(t, data) {
		if message, got := byChat[chat]; got && len(first) < most {
			first = append(first, message)
		}
	}
	return first
}

// chatsInOrder asks the ledger for the recipients in the order of the file.
func chatsInOrder(t *testing.T, data string) []string {
	t.Helper()
	var list []struct {
		ID string `json:"id"`
	}
	decode(t, herald(t, "campaigns", "--data-dir", data, "--json").out, &list)
	if len(list) != 1 {
		t.Fatalf("%d campaigns", len(list))
	}
	var chats []string
	for line := range strings.Lines(herald(t, "recipients", list[0].ID, "--data-dir", data, "--json").out) {
		var row struct {
			Chat   string          `json:"chat_id"`
			Status campaign.Status `json:"status"`
		}
		decode(t, line, &row)
		if row.Status != campaign.StatusSkipped {
			chats = append(chats, row.Chat)
		}
	}
	return chats
}

// TestMessyRejectsCanBeMended checks the rejects file that a person gets, mends
// it as a person would, and feeds it back.
func TestMessyRejectsCanBeMended(t *testing.T) {
	t.Parallel()
	const file = "messy-csv/campaign.yaml"
	before, data := send(t, file)
	found, err := filepath.Glob(filepath.Join(data, "campaigns", "*", "rejects.csv"))
	if err != nil || len(found) != 1 {
		t.Fatalf("rejects files: %v, %v", found, err)
	}
	rows := rejectRows(t, found[0])
	for _, want := range [][]string{
		{"First Name", "Tel. (mobile)", "Credit", "Shop", "Notes", "_line", "_code", "_reason", "_extra"},
		{"Matilda", "9.19999E+11", "83.71", "York", "", "35", "E_CSV_PHONE_SCIENTIFIC", "a spreadsheet stored this number in scientific notation; its last digits are gone; format the column as Text, enter the numbers again and export anew", ""},
		{"Maeve", "447700900247", "81.24", "Hull", "by the harbor", "50", "E_CSV_COLUMNS", "the row has 6 cells, the header 5; put quotes around a cell that holds a semicolon, or add the missing cells", "too many cells: mend the row, then empty this cell"},
	} {
		if !slices.ContainsFunc(rows, func(row []string) bool { return slices.Equal(row, want) }) {
			t.Errorf("the rejects file lacks %q", want)
		}
	}
	if len(rows) != 1+2 { // of duplicates there is nothing to mend
		t.Errorf("the rejects file has %d rows: %q", len(rows)-1, rows)
	}

	mended := filepath.Join(t.TempDir(), "mended.csv")
	out, err := os.Create(mended)
	if err != nil {
		t.Fatal(err)
	}
	w := csv.NewWriter(out)
	w.Comma = ';'
	for _, row := range rows {
		switch row[0] {
		case "Matilda":
			row[1] = "07700 900233"
		case "Maeve":
			row[8] = ""
		}
		if err := w.Write(row); err != nil {
			t.Fatal(err)
		}
	}
	w.Flush()
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	done := herald(t, "run", file, "--delta", mended, "--data-dir", data, "--json")
	if done.code != 0 {
		t.Fatalf("exit code %d\n%s", done.code, done.errors)
	}
	if got, want := len(firstReceived(t, data, 1000)), int(before.Accepted)+2; got != want {
		t.Errorf("%d messages after the rows were mended, want %d", got, want)
	}
}

// TestScheduledStartWaits proves that without --now nothing is sent before the
// start, and that one can stop waiting for it.
func TestScheduledStartWaits(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("no way to send Ctrl-C to a program there")
	}
	data := t.TempDir()
	command := exec.CommandContext(t.Context(), program(t), "run", "scheduled-start/campaign.yaml", "--data-dir", data, "--json")
	command.Env = surroundings()
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	var event struct {
		State campaign.State `json:"state"`
		Start time.Time      `json:"start_at"`
	}
	lines := bufio.NewScanner(out)
	for event.State != campaign.StateScheduled && lines.Scan() {
		decode(t, lines.Text(), &event)
	}
	if got := event.Start.UTC().Format(time.DateTime); got != "2035-10-30 04:30:00" {
		t.Errorf("waits for %s UTC", got)
	}
	if err := command.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	for lines.Scan() { // the summary
	}
	_ = command.Wait() // the exit code says it
	if code := command.ProcessState.ExitCode(); code != 130 {
		t.Errorf("exit code %d, want 130", code)
	}
	if got := firstReceived(t, data, 1000); len(got) != 0 {
		t.Errorf("%d messages were sent before the start", len(got))
	}
}

// TestImageReachesTheOtherEnd compares what the simulator got with the file.
func TestImageReachesTheOtherEnd(t *testing.T) {
	t.Parallel()
	got, _ := send(t, "image-with-caption/campaign.yaml")
	flyer, err := os.Stat("image-with-caption/flyer.png")
	if err != nil {
		t.Fatal(err)
	}
	for _, message := range got.Messages {
		want := attachment{Type: "image", Filename: "flyer.png", MIME: "image/png", Size: flyer.Size()}
		if message.Media == nil || *message.Media != want {
			t.Errorf("got %+v, want %+v", message.Media, want)
		}
		if !strings.HasPrefix(message.Body, "Good morning ") {
			t.Errorf("caption %q", message.Body)
		}
	}
	if len(got.Messages) == 0 {
		t.Error("nothing was sent")
	}
}

func decode(t *testing.T, text string, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), into); err != nil {
		t.Fatalf("%v in %q", err, text)
	}
}

func readJSON(t *testing.T, path string, into any) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	decode(t, string(content), into)
}

func writeJSON(t *testing.T, path string, v any) {
	t.Helper()
	content, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append(content, '\n'), 0o600); err != nil {
		t.Fatal(err)
	}
}
