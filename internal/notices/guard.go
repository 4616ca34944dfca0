package notices

import (
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
	"time"
)

// reach is which addresses a URL may lead to.
type reach int

const (
	reachPublic reach = iota // the Internet only
	reachSelf                // this machine only: the URL says so
	reachAll                 // the private networks too: the configuration says so
)

// reachOf says which addresses the URL may lead to. Without encryption nothing
// leaves the machine.
func reachOf(u *url.URL, allowPrivate bool) (reach, error) {
	switch {
	case u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http":
		return 0, errors.New("the URL is not an https URL")
	case namesSelf(u.Hostname()):
		return reachSelf, nil
	case u.Scheme != "https":
		return 0, errors.New("the URL must begin with https, for everybody between could read and change the notice")
	case allowPrivate:
		return reachAll, nil
	}
	return reachPublic, nil
}

// namesSelf says whether the host of a URL is this machine whatever a name
// server says.
func namesSelf(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// permits says whether an address may be dialed.
func (r reach) permits(ip netip.Addr) bool {
	ip = ip.Unmap()
	switch r {
	case reachSelf:
		return ip.IsLoopback()
	case reachAll:
		return ip.IsLoopback() || ip.IsPrivate() || isPublic(ip)
	default:
		return isPublic(ip)
	}
}

// isPublic says whether an address is one of the Internet's. Link-local
// addresses, where clouds keep their machines' credentials, are nobody's reach.
func isPublic(ip netip.Addr) bool {
	if !ip.IsGlobalUnicast() || ip.IsPrivate() {
		return false
	}
	for _, special := range specialNetworks() {
		if special.Contains(ip) {
			return false
		}
	}
	return ip.Is4() || netip.MustParsePrefix("2000::/3").Contains(ip)
}

// specialNetworks are those of the IANA registries that are not global, or lead
// to an IPv4 address that is written in them.
func specialNetworks() []netip.Prefix {
	var networks []netip.Prefix
	for _, network := range []string{
		"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15",
		"198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4",
		"2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20",
	} {
		networks = append(networks, netip.MustParsePrefix(network))
	}
	return networks
}

// forbiddenError is an address that must not be dialed.
type forbiddenError struct{ reach reach }

func (e *forbiddenError) Error() string {
	switch e.reach {
	case reachSelf:
		return "the name does not lead to this machine"
	case reachAll:
		return "the name leads to an address that no receiver has"
	default:
		return "the name leads into a private network, which the configuration does not allow"
	}
}

// transport dials what r permits and nothing else. The check is made on the
// address that is about to be connected to, after every look-up. A proxy would
// get around it, so there is none.
func (r reach) transport(resolver *net.Resolver) *http.Transport {
	dialer := &net.Dialer{
		Timeout: 5 * time.Second, Resolver: resolver,
		Control: func(_, address string, _ syscall.RawConn) error {
			at, err := netip.ParseAddrPort(address)
			if err != nil || !r.permits(at.Addr()) {
				return &forbiddenError{reach: r}
			}
			return nil
		},
	}
	return &http.Transport{
		DialContext: dialer.DialContext, ForceAttemptHTTP2: true, TLSHandshakeTimeout: 5 * time.Second,
		MaxIdleConnsPerHost: 4, IdleConnTimeout: time.Minute, MaxResponseHeaderBytes: 64 << 10,
	}
}
