package stream

import (
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/herald-campaigns/herald/campaign"
)

// Delivery is a task as it came from the stream. Until it is settled, by
// exactly one of Ack, Nak and Term, it is delivered again after every AckWait.
//
// Settling does not wait for the server. When it gets lost the task comes
// again, loses its claim and is settled once more.
type Delivery struct {
	Task         campaign.Task
	NumDelivered int // how often it was delivered; 1 is the first time

	msg jetstream.Msg
}

// Ack removes the task from the stream. The ledger has its outcome, or it is
// of no more use.
func (d Delivery) Ack() error { return d.settle("ack", d.msg.Ack()) }

// Nak gives the task back, to be delivered again after the delay; 0 is at
// once. It goes on counting as handed out meanwhile, and enough of them block
// the sender: longer waits belong into the ledger.
func (d Delivery) Nak(delay time.Duration) error {
	if delay <= 0 {
		return d.settle("nak", d.msg.Nak())
	}
	return d.settle("nak", d.msg.NakWithDelay(delay))
}

// InProgress restarts the AckWait of a task that takes longer.
func (d Delivery) InProgress() error { return d.settle("extend", d.msg.InProgress()) }

// Term removes a task that can never be sent. The reason is for operators, who
// see it in the server's advisories.
func (d Delivery) Term(reason string) error {
	return d.settle("terminate", d.msg.TermWithReason(reason))
}

func (d Delivery) settle(what string, err error) error {
	if err != nil {
		return fmt.Errorf("%s task %s: %w", what, msgID(d.Task), err)
	}
	return nil
}
