package campaign

import "slices"

// State is where a campaign stands (design §3).
type State string

// The states. A campaign moves only along the arrows of CanBecome.
const (
	StateDraft     State = "draft"     // being imported; cannot start
	StateScheduled State = "scheduled" // imported, waits for its start
	StateRunning   State = "running"   // being fed and sent
	StatePaused    State = "paused"    // stopped for a PauseReason
	StateTracking  State = "tracking"  // everything is submitted, evidence still arrives
	StateCompleted State = "completed" // every row is final, or the tracking window is over
	StateCanceled  State = "canceled"  // stopped for good by an operator
)

// States lists every state in the order of a campaign's life.
func States() []State {
	return []State{StateDraft, StateScheduled, StateRunning, StatePaused, StateTracking, StateCompleted, StateCanceled}
}

var successors = map[State][]State{
	StateDraft:     {StateScheduled, StateRunning, StateCanceled},
	StateScheduled: {StateRunning, StatePaused, StateCanceled},
	StateRunning:   {StatePaused, StateTracking, StateCanceled},
	StatePaused:    {StateRunning, StateScheduled, StateTracking, StateCanceled},
	// A delta of mended rows reopens a campaign that had sent everything
	// (docs/adr: delta imports). Unknown rows that wait again pause it: whoever
	// runs it next sends them.
	StateTracking:  {StateRunning, StatePaused, StateCompleted, StateCanceled},
	StateCompleted: {StateRunning, StatePaused},
	StateCanceled:  {},
}

// CanBecome says whether a campaign may move from s to next.
func (s State) CanBecome(next State) bool { return slices.Contains(successors[s], next) }

// Over says whether nothing more will be sent or awaited.
func (s State) Over() bool { return s == StateCompleted || s == StateCanceled }

// PauseReason says why a campaign or a sender is paused. A paused campaign
// always has one.
type PauseReason string

// The reasons (design §3).
const (
	PauseOperator     PauseReason = "operator"
	PauseInterrupted  PauseReason = "interrupted" // the process that sent it was stopped
	PauseDisconnected PauseReason = "sender_disconnected"
	PauseRefused      PauseReason = "credentials_refused"
	PauseUnavailable  PauseReason = "api_unavailable"
	PauseFailureRate  PauseReason = "failure_rate"
	PauseOptOutRate   PauseReason = "opt_out_rate"
	PauseCanary       PauseReason = "canary_gate"
	PauseMissedStart  PauseReason = "missed_schedule"
	PauseDiskFull     PauseReason = "disk_full"
	PauseMedia        PauseReason = "media_missing" // a file of the campaign cannot be read any more
	PauseRestored     PauseReason = "restored_database"
)
