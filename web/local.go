package web

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// localOnly keeps the control API from everybody who is not on this machine and
// does not mean to call it: a page in the browser (by another origin, or by a
// name that was made to point here), and what a proxy or a tunnel passes on.
func localOnly(next http.Handler) http.Handler {
	return http.NewCrossOriginProtection().Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !isLoopback(r.Host) || passedOn(r.Header) {
			problem(w, http.StatusForbidden, "not_local", "the control API is for this machine only")
			return
		}
		next.ServeHTTP(w, r)
	}))
}

// isLoopback says whether a Host header names this machine in a way that no
// other name can.
func isLoopback(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// passedOn says whether a proxy has had the request.
func passedOn(header http.Header) bool {
	for _, name := range []string{"Forwarded", "Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-Ip", "Cf-Connecting-Ip"} {
		if header.Get(name) != "" {
			return true
		}
	}
	return false
}
