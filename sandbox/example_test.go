package sandbox_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/herald-campaigns/herald/sandbox"
)

// A message to …555 0502 is taken, although the answer says otherwise: the
// case in which a careless client sends twice.
func Example() {
	s, err := sandbox.New(sandbox.Config{Seed: 1, Instant: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = s.Close() }()
	if err := s.Start(""); err != nil {
		fmt.Println(err)
		return
	}
	body := strings.NewReader(`{"chat_id":"12015550502","message":"Hello"}`)
	req, _ := http.NewRequestWithContext(context.Background(), http.MethodPost, s.BaseURL()+"/message/send", body)
	req.Header.Set("Authorization", "Bearer anything")
	req.Header.Set("X-Phone", sandbox.DefaultPhones()[0].Number)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = resp.Body.Close()
	fmt.Println(resp.StatusCode, len(s.Acceptances()), "accepted")
	// Output: 502 1 accepted
}
