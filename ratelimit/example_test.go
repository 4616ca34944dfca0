package ratelimit_test

import (
	"context"
	"fmt"
	"time"

	"github.com/herald-campaigns/herald/ratelimit"
)

func Example() {
	limiter := ratelimit.New(ratelimit.Config{PerSecond: 50})
	ctx := context.Background()

	start := time.Now()
	for range 6 {
		if err := limiter.Wait(ctx); err != nil {
			fmt.Println(err)
			return
		}
		// write the intent, call the API …
	}
	// The first goes at once, five gaps of 20 ms follow.
	fmt.Println("at least 100 ms:", time.Since(start) >= 100*time.Millisecond)

	// The API answers 429 and asks for half a minute of silence.
	limiter.Throttled(30 * time.Second)
	state := limiter.State()
	fmt.Println(state.Reason, state.Effective)
	// Output:
	// at least 100 ms: true
	// throttled 25
}
