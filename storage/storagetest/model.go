package storagetest

import (
	"maps"
	"slices"

	"pgregory.net/rapid"

	"github.com/herald-campaigns/herald/campaign"
)

// model is what the ledger should hold of one campaign: the plain rules of
// design §3 and of the reliability page §4, without a database.
type model struct {
	state campaign.State
	epoch int64 // of the lease
	rows  map[int64]*modelRow
	owner map[string]int64 // queue id → row
}

type modelRow struct {
	status     campaign.Status
	resolution campaign.Resolution
	gen, epoch int64 // of the latest hand-over, and of the latest claim
	attempt    int
	queueID    string
	calls      []modelCall // every call that was begun
}

// modelCall is one granted claim. Its outcome may come at any time.
type modelCall struct {
	gen, epoch int64
	attempt    int
}

func newModel(rows, epoch int64) model {
	m := model{state: campaign.StateRunning, epoch: epoch, rows: map[int64]*modelRow{}, owner: map[string]int64{}}
	for seq := int64(1); seq <= rows; seq++ {
		m.rows[seq] = &modelRow{status: campaign.StatusPending}
	}
	return m
}

// waiting is where a row goes that is to be sent.
func (m *model) waiting() campaign.Status {
	if m.state == campaign.StateCanceled {
		return campaign.StatusCanceled
	}
	return campaign.StatusPending
}

func (m *model) byStatus() map[campaign.Status]int64 {
	counts := map[campaign.Status]int64{}
	for _, r := range m.rows {
		counts[r.status]++
	}
	return counts
}

// become moves a row. A resolution belongs to unknown rows alone.
func (r *modelRow) become(status campaign.Status) {
	if r.status = status; status != campaign.StatusUnknown {
		r.resolution = campaign.ResolutionNone
	}
}

func (r *modelRow) is(statuses ...campaign.Status) bool { return slices.Contains(statuses, r.status) }

// sweep moves every row that is in one of the statuses, and counts them.
func (m *model) sweep(to campaign.Status, from ...campaign.Status) (n int64) {
	for _, r := range m.rows {
		if r.is(from...) {
			r.become(to)
			n++
		}
	}
	return n
}

func (m *model) stage(seq int64) bool {
	r := m.rows[seq]
	if m.state != campaign.StateRunning || r.status != campaign.StatusPending {
		return false
	}
	r.become(campaign.StatusStaged)
	r.gen++
	return true
}

// claim is the reason a claim is refused for.
func (m *model) claim(seq, gen, epoch int64) campaign.Refusal {
	r := m.rows[seq]
	switch {
	case r.status == campaign.StatusSkipped:
		return campaign.RefusedOptOut
	case r.status != campaign.StatusStaged, r.gen != gen:
		return campaign.RefusedStale
	case m.state != campaign.StateRunning:
		return campaign.RefusedCampaign
	case epoch != m.epoch:
		return campaign.RefusedLease
	}
	r.become(campaign.StatusSubmitting)
	r.attempt++
	r.epoch = epoch
	r.calls = append(r.calls, modelCall{gen, epoch, r.attempt})
	return campaign.RefusedNot
}

func (m *model) giveBack(seq int64, call modelCall) {
	if r := m.rows[seq]; r.status == campaign.StatusSubmitting && r.gen == call.gen && r.epoch == call.epoch {
		r.become(m.waiting())
		r.attempt--
	}
}

// settle is what an outcome comes to; "" is a conflict.
func (m *model) settle(seq int64, call modelCall, st campaign.Settlement) campaign.Status {
	r := m.rows[seq]
	to := st.To
	owner, taken := m.owner[st.Outcome.QueueID]
	repeated := to == campaign.StatusQueued && taken && owner != seq
	if repeated {
		to = campaign.StatusUnknown
	}
	accepted := to == campaign.StatusQueued
	claimed := r.gen == call.gen && r.epoch == call.epoch
	switch {
	case r.status.Evident() && claimed:
		if repeated {
			return campaign.StatusUnknown
		}
		if accepted {
			m.bind(seq, st.Outcome.QueueID)
		}
		return r.status
	case claimed && r.is(campaign.StatusSubmitting, campaign.StatusUnknown),
		accepted && !r.status.Evident() && r.status != campaign.StatusSubmitting:
	default:
		return ""
	}
	switch to { //nolint:exhaustive // what a call can end as
	case campaign.StatusQueued:
		m.bind(seq, st.Outcome.QueueID)
	case campaign.StatusPending:
		if to = m.waiting(); st.Refund {
			r.attempt = max(0, r.attempt-1)
		}
	}
	r.become(to)
	return to
}

func (m *model) bind(seq int64, queueID string) {
	if r := m.rows[seq]; r.queueID == "" && queueID != "" {
		r.queueID = queueID
		m.owner[queueID] = seq
	}
}

func (m *model) observe(seq int64, status campaign.Status, queueID string) {
	r := m.rows[seq]
	if len(r.calls) == 0 {
		return // forged
	}
	if owner, taken := m.owner[queueID]; queueID != "" && r.queueID == "" && taken && owner != seq {
		return // about another row's message
	}
	m.bind(seq, queueID)
	r.become(r.status.Merge(status))
}

func (m *model) skip(seq int64) {
	if r := m.rows[seq]; r.is(campaign.StatusPending, campaign.StatusStaged) {
		r.become(campaign.StatusSkipped)
	}
}

func (m *model) returnUnknown(seq, gen int64) bool {
	r := m.rows[seq]
	if r.status != campaign.StatusUnknown || r.gen != gen {
		return false
	}
	r.become(m.waiting())
	return true
}

func (m *model) assumeSent(seq, gen int64) bool {
	r := m.rows[seq]
	if r.status != campaign.StatusUnknown || r.gen != gen || r.resolution != campaign.ResolutionNone {
		return false
	}
	r.resolution = campaign.ResolutionAssumedSent
	return true
}

// recoverFenced moves the calls of older epochs.
func (m *model) recoverFenced() (n int64) {
	for _, r := range m.rows {
		if r.status == campaign.StatusSubmitting && r.epoch < m.epoch {
			r.become(campaign.StatusUnknown)
			n++
		}
	}
	return n
}

// anyQueueID draws a queue id that some row has, or "".
func (m *model) anyQueueID(rt *rapid.T) string {
	if len(m.owner) == 0 {
		return ""
	}
	return rapid.SampledFrom(slices.Sorted(maps.Keys(m.owner))).Draw(rt, "queue id")
}
