package app

import (
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/web"
)

// TestControlAPIStaysInside serves at an address that other machines reach: the
// control API is not there, and commands of this machine work all the same.
func TestControlAPIStaysInside(t *testing.T) {
	t.Parallel()
	th := newTheater(t, nil)
	th.cfg.Listen, th.cfg.Periskope.WebhookKey = "0.0.0.0:0", testWebhookKey
	s := th.serve()
	defer s.end()
	_, port, err := net.SplitHostPort(strings.TrimPrefix(s.info.URL, "http://"))
	check(t, err)
	outer := "http://127.0.0.1:" + port
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for path, want := range map[string]int{
		web.LocalPath + "v1/hello": http.StatusNotFound, web.LocalPath: http.StatusNotFound, "/livez": http.StatusOK, "/readyz": http.StatusOK,
	} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, outer+path, nil)
		check(t, err)
		request.Header.Set("Authorization", "Bearer "+s.remote.at.Key)
		response, err := client.Do(request)
		check(t, err)
		check(t, response.Body.Close())
		if response.StatusCode != want {
			t.Errorf("GET %s: status %d, want %d", path, response.StatusCode, want)
		}
	}
	event := []byte(`{"event":"org.phone.connected","data":{}}`)
	if status, err := deliver(t.Context(), outer+web.WebhookPath, event, testWebhookKey); status != http.StatusOK || err != nil {
		t.Errorf("a signed event: status %d, %v", status, err)
	}
	if !strings.HasPrefix(s.remote.at.URL, "http://127.0.0.1:") || strings.HasPrefix(s.remote.at.URL, outer+"/") {
		t.Errorf("commands are sent to %s, the service listens at %s", s.remote.at.URL, s.info.URL)
	}
	s.until(s.start(th.campaign("inside", 1, 5, "pace: { rate: 100/s }\n")), isIn(campaign.StateCompleted))
}

// TestOutsideNeedsAKey has nothing to tell who sends, also beside the simulator,
// which signs with a key of its own.
func TestOutsideNeedsAKey(t *testing.T) {
	t.Parallel()
	for _, mode := range []campaign.Mode{campaign.ModeSandbox, campaign.ModeLive} {
		th := newTheater(t, nil)
		th.cfg.Mode, th.cfg.Listen = mode, "0.0.0.0:0"
		a := th.open()
		err := a.Serve(t.Context(), ServeOptions{})
		if campaign.CodeOf(err) != campaign.CodeInvalid || !strings.Contains(err.Error(), "signing key") {
			t.Errorf("%s: %v", mode, err)
		}
		check(t, a.Close())
	}
}
