package periskope_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"

	"github.com/herald-campaigns/herald/periskope"
)

// A send has four endings, and only one of them says that nothing is known.
func ExampleClient_Send() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusUnprocessableEntity)
		_, _ = io.WriteString(w, `{"code":"VALIDATION_ERROR","message":"chat_id 447700900123 is not valid"}`)
	}))
	defer server.Close()
	client, err := periskope.New(periskope.Config{BaseURL: server.URL, Token: "secret"})
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = client.Send(context.Background(), "12015550100", periskope.SendRequest{ChatID: "447700900123@c.us", Message: "Hi"})
	var (
		refused   *periskope.APIError
		unusable  *periskope.ResponseError
		transport *periskope.TransportError
	)
	switch {
	case err == nil:
		fmt.Println("taken")
	case errors.As(err, &refused):
		fmt.Println("refused:", refused)
	case errors.As(err, &transport) && transport.Stage == periskope.StageNotSent:
		fmt.Println("not sent:", transport)
	case errors.As(err, &transport), errors.As(err, &unusable):
		fmt.Println("may have been taken:", err)
	}
	// Output: refused: periskope send: HTTP 422 VALIDATION_ERROR: chat_id 44********23 is not valid
}
