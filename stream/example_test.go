package stream_test

import (
	"context"
	"fmt"
	"os"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/internal/natsd"
	"github.com/herald-campaigns/herald/stream"
)

func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "herald-example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()

	server, err := natsd.Start(ctx, natsd.Config{StoreDir: dir})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close()
	conn, err := stream.Connect(ctx, stream.Config{InProcess: server})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = conn.Close(ctx) }()

	sender := campaign.NewSenderID()
	consumer, err := conn.Sender(ctx, sender, stream.Tuning{PerSecond: 5, InFlight: 2})
	if err != nil {
		fmt.Println(err)
		return
	}
	failed, err := conn.Publish(ctx, []campaign.Task{{
		Campaign: campaign.NewID(), Seq: 1, Gen: 1, Sender: sender,
		Chat:    campaign.PersonChat("12015550123"),
		Message: campaign.Message{Text: "Hi Asha"},
	}})
	fmt.Println("failed:", len(failed), err)

	deliveries, err := consumer.Fetch(ctx, 1)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, d := range deliveries {
		fmt.Println(d.Task.Chat, d.Task.Message)
		if err := d.Ack(); err != nil {
			fmt.Println(err)
		}
	}
	// Output:
	// failed: 0 <nil>
	// 12*****0123@c.us text message, 7 bytes of text
}
