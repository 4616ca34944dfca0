package periskope

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// DefaultBaseURL is the production API (api-reference, "send message").
const DefaultBaseURL = "https://api.periskope.app/v1"

// Config says how to reach the API. Only Token has no usable zero value.
type Config struct {
	// BaseURL is the absolute URL that every path is appended to; empty means
	// DefaultBaseURL. Plain http is accepted for loopback hosts only.
	BaseURL string
	// Token is the API key; required.
	Token Token
	// AllowInsecure accepts plain http to any host: the token then travels in
	// clear.
	AllowInsecure bool

	// Transport carries the requests; nil means one tuned for this API, to
	// which MaxConns and HeaderTimeout apply. Another one must not retry and
	// must report its connections through net/http/httptrace; as far as it does
	// not, failed calls count as possibly sent.
	Transport http.RoundTripper
	// MaxConns is the number of connections kept and opened at most, and should
	// be the number of calls under way at once; 0 means 64.
	MaxConns int
	// Timeout bounds a call from its start to the last byte of the answer; 0
	// means 30 s. A call that carries a file gets another second for each
	// 256 KiB of it.
	Timeout time.Duration
	// HeaderTimeout bounds the wait for an answer to begin once the request is
	// written; 0 means 15 s.
	HeaderTimeout time.Duration
	// MaxListAnswer is how many bytes of an answer other than that to a send are
	// read; 0 means 32 MiB.
	MaxListAnswer int64
	// UserAgent names the program; empty means "herald".
	UserAgent string
}

const (
	dialTimeout = 5 * time.Second
	// idleTimeout is below the 5 s after which Node's HTTP server, which the
	// API's Keep-Alive headers point to, closes an idle connection. A request
	// that meets that close half way may have been sent for all we can tell, so
	// each such race would leave a recipient unknown.
	idleTimeout = 4 * time.Second
)

func (c Config) withDefaults() Config {
	if c.BaseURL == "" {
		c.BaseURL = DefaultBaseURL
	}
	if c.MaxConns == 0 {
		c.MaxConns = 64
	}
	if c.Timeout == 0 {
		c.Timeout = 30 * time.Second
	}
	if c.HeaderTimeout == 0 {
		c.HeaderTimeout = 15 * time.Second
	}
	if c.MaxListAnswer == 0 {
		c.MaxListAnswer = 32 << 20
	}
	if c.UserAgent == "" {
		c.UserAgent = "herald"
	}
	return c
}

// validate returns the parsed base URL without a trailing slash. No message
// repeats the URL: it may hold a password.
func (c Config) validate() (*url.URL, error) {
	if err := c.Token.validate(); err != nil {
		return nil, err
	}
	for _, r := range c.UserAgent {
		if r < ' ' || r >= 0x7f {
			return nil, fmt.Errorf("user_agent: only printable ASCII is allowed")
		}
	}
	switch {
	case c.MaxConns < 0:
		return nil, fmt.Errorf("max_conns: must not be negative")
	case c.Timeout < 0:
		return nil, fmt.Errorf("timeout: must not be negative")
	case c.HeaderTimeout < 0:
		return nil, fmt.Errorf("header_timeout: must not be negative")
	case c.MaxListAnswer < 0:
		return nil, fmt.Errorf("max_list_answer: must not be negative")
	}
	u, err := parseBaseURL(c.BaseURL, c.AllowInsecure)
	if err != nil {
		return nil, fmt.Errorf("base_url: %w", err)
	}
	return u, nil
}

// CheckBaseURL says what is wrong with a text as Config.BaseURL, in words that
// go on after its name; nil: nothing is.
func CheckBaseURL(text string) error {
	_, err := parseBaseURL(cmp.Or(text, DefaultBaseURL), false)
	return err
}

func parseBaseURL(text string, insecure bool) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return nil, fmt.Errorf("is not a URL; it looks like %s", DefaultBaseURL)
	case u.Scheme != "https" && u.Scheme != "http", u.Hostname() == "":
		return nil, fmt.Errorf("must be absolute, like %s", DefaultBaseURL)
	case u.User != nil:
		return nil, errors.New("must not hold a user name or password; the token has its own setting")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return nil, errors.New("must not have a query or fragment")
	case u.Scheme == "http" && !insecure && !loopback(u.Hostname()):
		return nil, errors.New("is plain http: the token would travel in clear; use https")
	}
	u.Path = strings.TrimRight(u.Path, "/")
	u.RawPath = strings.TrimRight(u.RawPath, "/")
	return u, nil
}

func loopback(host string) bool {
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// newTransport is tuned for many small requests to one host: two idle
// connections per host, the default, would open and close one for nearly
// every call.
func newTransport(c Config) *http.Transport {
	dialer := &net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second}
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            dialer.DialContext,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    dialTimeout,
		ForceAttemptHTTP2:      true, // custom dialer and TLS settings would switch it off
		MaxIdleConns:           c.MaxConns,
		MaxIdleConnsPerHost:    c.MaxConns,
		MaxConnsPerHost:        c.MaxConns,
		IdleConnTimeout:        idleTimeout,
		ResponseHeaderTimeout:  c.HeaderTimeout,
		MaxResponseHeaderBytes: 64 << 10,
		DisableCompression:     true,
		// Without pings a dead HTTP/2 connection takes every call until its
		// last stream has timed out, and each of them becomes unknown.
		HTTP2: &http.HTTP2Config{SendPingTimeout: 10 * time.Second, PingTimeout: 5 * time.Second},
	}
}
