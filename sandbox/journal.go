package sandbox

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"time"
)

// The operations of the journal.
const (
	opOpen    = "open"    // first line: the key of the ids
	opAccept  = "accept"  // a message, with its fate, so that another configuration replays it alike
	opPhone   = "phone"   // a phone's connection changed
	opPurge   = "purge"   // jobs were purged
	opAdvance = "advance" // the clock was moved
	opReset   = "reset"   // everything was forgotten
	opHook    = "hook"    // a webhook was made or changed
	opUnhook  = "unhook"  // a webhook was deleted
	opSay     = "say"     // somebody wrote, by hand; what people do by themselves follows from the messages
	opVote    = "vote"    // somebody voted, by hand
)

// record is one line of the journal. At is Unix nanoseconds.
type record struct {
	Op        string     `json:"op"`
	At        int64      `json:"at"`
	Key       string     `json:"key,omitempty"`
	Seq       uint64     `json:"seq,omitempty"`
	Phone     string     `json:"phone,omitempty"`
	Chat      string     `json:"chat,omitempty"`
	Body      string     `json:"body,omitempty"`
	More      *extra     `json:"more,omitempty"`
	Ready     int64      `json:"ready,omitempty"`
	Shown     int64      `json:"shown,omitempty"`
	Fate      *fate      `json:"fate,omitempty"`
	State     connection `json:"state,omitempty"`
	Seqs      []uint64   `json:"seqs,omitempty"`
	Broadcast string     `json:"broadcast,omitempty"`
	By        int64      `json:"by,omitempty"`
	Hook      *hook      `json:"hook,omitempty"`
	Made      uint64     `json:"made,omitempty"`
	Said      *inbound   `json:"said,omitempty"`
	Options   []int      `json:"options,omitempty"`
}

// journal is an append-only file of records. Each is one write(2) before the
// caller is answered: what was confirmed survives the death of the process.
// It is not synced, so it may not survive the death of the machine; it is a
// simulator's memory, not a ledger. A nil journal accepts and keeps nothing.
type journal struct {
	file *os.File
	size int64
}

// openJournal replays the file into e and leaves it open for appending. A
// torn last line, left by a killed process, is cut off.
func openJournal(path string, e *engine) (*journal, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	j := &journal{file: file}
	if err := j.replay(e); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	if j.size == 0 {
		err = j.write(record{Op: opOpen, At: e.now(), Key: strconv.FormatUint(e.ids.key, 16)})
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return j, nil
}

func (j *journal) replay(e *engine) error {
	in := bufio.NewReaderSize(j.file, 1<<16)
	for n := 1; ; n++ {
		line, err := in.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			break // whatever line holds has no end: it was never confirmed
		}
		if err != nil {
			return err
		}
		var rec record
		if err := json.Unmarshal(bytes.TrimSpace(line), &rec); err != nil {
			return fmt.Errorf("line %d is damaged: %w; move the file away to start without history", n, err)
		}
		if err := e.replay(&rec); err != nil {
			return fmt.Errorf("line %d: %w; move the file away to start without history", n, err)
		}
		j.size += int64(len(line))
	}
	if err := j.file.Truncate(j.size); err != nil {
		return err
	}
	_, err := j.file.Seek(j.size, io.SeekStart)
	return err
}

// write appends one record, whole or not at all.
func (j *journal) write(rec record) error {
	if j == nil {
		return nil
	}
	line, err := json.Marshal(rec)
	if err != nil {
		return fmt.Errorf("encode journal record: %w", err)
	}
	n, err := j.file.Write(append(line, '\n'))
	if err != nil {
		// A half-written line would glue itself to the next one.
		undo := j.file.Truncate(j.size)
		_, seek := j.file.Seek(j.size, io.SeekStart)
		return fmt.Errorf("append to journal: %w", errors.Join(err, undo, seek))
	}
	j.size += int64(n)
	return nil
}

func (j *journal) close() error {
	if j == nil {
		return nil
	}
	return j.file.Close()
}

// replay applies one record as it was applied when it was written.
func (e *engine) replay(rec *record) error {
	e.latest = max(e.latest, rec.At)
	switch rec.Op {
	case opOpen:
		key, err := strconv.ParseUint(rec.Key, 16, 64)
		if err != nil {
			return fmt.Errorf("key %q is not hexadecimal", rec.Key)
		}
		e.ids.key = key
	case opAccept:
		if rec.Seq != e.jobs.next || rec.Fate == nil {
			return fmt.Errorf("message %d follows number %d", rec.Seq, e.jobs.next)
		}
		l := e.lineOf(rec)
		l.settle(rec.At, e.left)
		e.enqueue(l, rec)
	case opPhone:
		l := e.lineOf(rec)
		l.settle(rec.At, e.left)
		e.turn(l, rec.State, rec.At)
	case opPurge:
		e.purgeRecord(rec)
	case opAdvance:
		e.offset += time.Duration(rec.By)
	case opReset:
		e.clear()
	case opHook, opUnhook:
		if rec.Hook == nil {
			return fmt.Errorf("%s without a webhook", rec.Op)
		}
		if rec.Op == opUnhook {
			e.dropHook(rec.Hook.ID)
			return nil
		}
		e.made = max(e.made, rec.Made)
		e.putHook(*rec.Hook)
	case opSay:
		if rec.Said == nil {
			return errors.New("say without a message")
		}
		e.catchUp(rec.At)
		rec.Said.line, e.wrote = e.lineOf(rec), max(e.wrote, rec.Made)
		e.hear(rec.Said)
	case opVote:
		e.catchUp(rec.At)
		j := e.jobs.at(rec.Seq)
		if j == nil {
			return nil // forgotten under a smaller Config.MaxJobs
		}
		if p := j.poll(); p == nil || slices.ContainsFunc(rec.Options, func(i int) bool { return i < 0 || i >= len(p.Options) }) {
			return fmt.Errorf("a vote for what message %d does not offer", rec.Seq)
		}
		e.castVote(j, rec.Chat, rec.Options, rec.At)
	default:
		return fmt.Errorf("unknown operation %q", rec.Op)
	}
	return nil
}

// lineOf is the phone of a record; one that is no longer configured comes
// back, because its messages do.
func (e *engine) lineOf(rec *record) *line {
	if l, ok := e.byPhone[rec.Phone]; ok {
		return l
	}
	return e.addLine(Phone{Number: rec.Phone}.withDefaults(), rec.At)
}
