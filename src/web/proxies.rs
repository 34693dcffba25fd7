//! Whose `X-Forwarded-*` is believed.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};

use actix_web::dev::ServiceRequest;
use ipnet::IpNet;

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
        let Some(scheme) = request.headers().get("x-forwarded-proto") else { return false };
        let peer = request.peer_addr().map(|peer| canonical(peer.ip()));
        if !peer.is_some_and(|peer| self.networks.iter().any(|network| network.contains(&peer))) {
            self.warn_once();
            return false;
        }
        // Each proxy appends its own word; the last is that of the proxy that talks to us.
        let last = scheme.to_str().ok().and_then(|text| text.rsplit(',').next());
        last.is_some_and(|scheme| scheme.trim().eq_ignore_ascii_case("https"))
    }

    fn warn_once(&self) {
        if !self.warned.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                event = "untrusted_proxy",
                "A forwarded request came from a peer that is not in TRUSTED_PROXIES; its X-Forwarded-* headers are ignored"
            );
        }
    }
}

/// A listener for both families sees IPv4 peers as mapped IPv6 addresses.
fn canonical(address: IpAddr) -> IpAddr {
    address.to_canonical()
}
