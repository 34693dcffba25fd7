//! Whose `X-Forwarded-*` is believed.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};

use actix_web::dev::ServiceRequest;
use actix_web::http::header;
use actix_web::{HttpRequest, web};
use ipnet::IpNet;

use crate::web::middleware::request_id::log_span;

/// The proxies named by `TRUSTED_PROXIES`.
#[derive(Debug, Default)]
pub struct TrustedProxies {
    networks: Vec<IpNet>,
    warned: AtomicBool,
}

impl TrustedProxies {
    /// Believes the proxies in these networks.
    #[must_use]
    pub fn new(networks: Vec<IpNet>) -> Self {
        Self { networks, warned: AtomicBool::new(false) }
    }

    /// True when a trusted proxy says that the request came to it over TLS.
    #[must_use]
    pub fn came_over_tls(&self, request: &ServiceRequest) -> bool {
        let Some(scheme) = request.headers().get(header::X_FORWARDED_PROTO) else { return false };
        let peer = request.peer_addr().map(|peer| canonical(peer.ip()));
        if !peer.is_some_and(|peer| self.are_trusted(peer)) {
            self.warn_once(request.request());
            return false;
        }
        // Each proxy appends its own word; the last is that of the proxy that talks to us.
        let last = scheme.to_str().ok().and_then(|text| text.rsplit(',').next());
        last.is_some_and(|scheme| scheme.trim().eq_ignore_ascii_case("https"))
    }

    /// Whom a trusted proxy asks for: the last address of `X-Forwarded-For` that is no trusted proxy's own; the peer when
    /// that is none, or does not say.
    #[must_use]
    pub fn client(&self, request: &HttpRequest) -> Option<IpAddr> {
        let peer = canonical(request.peer_addr()?.ip());
        if !request.headers().contains_key(header::X_FORWARDED_FOR) {
            return Some(peer);
        }
        let forwarded: Vec<_> = request.headers().get_all(header::X_FORWARDED_FOR).collect();
        if !self.are_trusted(peer) {
            self.warn_once(request);
            return Some(peer);
        }
        let mut client = peer;
        // Each proxy appends whom it heard from; what comes before an address that is not trusted anyone may have written.
        for value in forwarded.into_iter().rev() {
            for part in value.to_str().unwrap_or_default().rsplit(',') {
                let Some(address) = address_in(part) else { return Some(client) };
                client = address;
                if !self.are_trusted(client) {
                    return Some(client);
                }
            }
        }
        Some(client)
    }

    /// True when this is the address of one of them.
    #[must_use]
    pub fn are_trusted(&self, peer: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(&peer))
    }

    fn warn_once(&self, request: &HttpRequest) {
        if !self.warned.swap(true, Ordering::Relaxed) {
            let _in_its_span = log_span(request).entered();
            tracing::warn!(
                event = "untrusted_proxy",
                "A forwarded request came from a peer that is not in TRUSTED_PROXIES; its X-Forwarded-* headers are ignored"
            );
        }
    }
}

/// What a proxy adds to a request that it passes on.
const FORWARDED: [&str; 6] =
    ["forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip"];

/// True when a program on this machine sent the request itself: a proxy here has everybody's requests come from here.
#[must_use]
pub fn is_from_this_machine(request: &HttpRequest) -> bool {
    let here = request.peer_addr().is_some_and(|peer| canonical(peer.ip()).is_loopback());
    here && !FORWARDED.iter().any(|name| request.headers().contains_key(*name))
}

/// A listener for both families sees IPv4 peers as mapped IPv6 addresses.
fn canonical(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

/// The address that stands for whoever sent the request: that of an IPv4 client, the /64 of an IPv6 one.
#[must_use]
pub fn client_of(request: &HttpRequest) -> Option<IpAddr> {
    let proxies = request.app_data::<web::Data<TrustedProxies>>();
    let address = proxies.and_then(|proxies| proxies.client(request)).or(Some(request.peer_addr()?.ip()))?;
    Some(of_one_client(address))
}

/// Whoever has one IPv6 address has 2^64 of them (RFC 6177).
#[must_use]
pub fn of_one_client(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
        address @ IpAddr::V4(_) => address,
    }
}

/// Some proxies add the port: `192.0.2.1:4711`, `[2001:db8::1]:4711`.
fn address_in(part: &str) -> Option<IpAddr> {
    let part = part.trim();
    let bare = part.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(part);
    let with_port = || part.parse::<SocketAddr>().ok().map(|address| address.ip());
    bare.parse().ok().or_else(with_port).map(canonical)
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn client(peer: &str, forwarded: &[&str]) -> String {
        let proxies = TrustedProxies::new(vec!["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()]);
        let mut request = TestRequest::default().peer_addr(format!("{peer}:1000").parse().unwrap());
        for value in forwarded {
            request = request.append_header(("x-forwarded-for", *value));
        }
        proxies.client(&request.to_http_request()).unwrap().to_string()
    }

    #[test]
    fn a_trusted_proxy_tells_who_the_client_is() {
        assert_eq!(client("10.0.0.1", &["192.0.2.1"]), "192.0.2.1");
        assert_eq!(client("10.0.0.1", &["192.0.2.1, 10.0.0.2"]), "192.0.2.1");
        assert_eq!(client("10.0.0.1", &["192.0.2.1", "10.0.0.2"]), "192.0.2.1");
        assert_eq!(client("[fd00::1]", &["[2001:db8::1]:4711"]), "2001:db8::1");
        assert_eq!(client("10.0.0.1", &["192.0.2.1:4711"]), "192.0.2.1");
        assert_eq!(client("10.0.0.1", &["10.0.0.3, 10.0.0.2"]), "10.0.0.3", "one of the house");
        assert_eq!(client("10.0.0.1", &[]), "10.0.0.1");
    }

    #[test]
    fn what_a_client_writes_itself_is_not_believed() {
        assert_eq!(client("192.0.2.9", &["192.0.2.1"]), "192.0.2.9");
        assert_eq!(client("10.0.0.1", &["198.51.100.1, 192.0.2.1"]), "192.0.2.1");
        assert_eq!(client("10.0.0.1", &["198.51.100.1, nonsense, 10.0.0.2"]), "10.0.0.2");
        assert_eq!(client("10.0.0.1", &["unknown"]), "10.0.0.1");
    }

    #[test]
    fn who_sits_at_the_machine_is_told_from_who_comes_through_a_proxy_on_it() {
        let here = |peer: &str, header: Option<&str>| {
            let request = TestRequest::default().peer_addr(format!("{peer}:1000").parse().unwrap());
            let request = header.into_iter().fold(request, |it, name| it.append_header((name, "x")));
            is_from_this_machine(&request.to_http_request())
        };
        for peer in ["127.0.0.1", "127.8.9.10", "[::1]", "[::ffff:127.0.0.1]"] {
            assert!(here(peer, None), "{peer}");
            assert!(FORWARDED.iter().all(|name| !here(peer, Some(name))), "{peer}");
        }
        for peer in ["192.0.2.1", "10.0.0.1", "[2001:db8::1]", "[::ffff:192.0.2.1]"] {
            assert!(!here(peer, None), "{peer}");
        }
    }

    #[test]
    fn one_client_is_one_however_it_spells_its_address() {
        let address = |text: &str| of_one_client(text.parse().unwrap());
        assert_eq!(address("2001:db8:1:2::1"), address("2001:db8:1:2:ffff::9"));
        assert_ne!(address("2001:db8:1:2::1"), address("2001:db8:1:3::1"));
        assert_eq!(address("::ffff:192.0.2.7"), address("192.0.2.7"));
        assert_ne!(address("192.0.2.7"), address("192.0.2.8"));
    }
}
