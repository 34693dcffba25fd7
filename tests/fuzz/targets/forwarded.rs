//! `X-Forwarded-Proto` in the second line, `X-Forwarded-For` in each further one; the first byte says who sends them.
//! Nobody but a trusted proxy is believed, and what such a one has not heard itself is not believed either.

use std::net::{IpAddr, SocketAddr};

use actix_web::http::header::{HeaderValue, X_FORWARDED_FOR, X_FORWARDED_PROTO};
use actix_web::test::TestRequest;
use actix_web::web;
use companion::web::proxies::{TrustedProxies, client_of, is_from_this_machine};

use super::{header, lines, with};

const PEERS: [&str; 6] = ["10.0.0.1", "192.0.2.9", "127.0.0.1", "fd00::1", "2001:db8::9", "::ffff:10.0.0.1"];

pub fn target(data: &[u8]) {
    let Some((first, rest)) = data.split_first() else { return };
    let peer: IpAddr = PEERS[usize::from(*first) % PEERS.len()].parse().unwrap();
    let mut lines = lines(rest);
    let scheme = header(&mut lines);
    let chain: Vec<_> = lines.take(8).filter_map(|line| HeaderValue::from_bytes(line).ok()).collect();
    let proxies = || TrustedProxies::new(vec!["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()]);
    let request =
        TestRequest::get().peer_addr(SocketAddr::new(peer, 1000)).app_data(web::Data::new(proxies()));
    let request = with(request, X_FORWARDED_PROTO, scheme.as_ref());
    let request =
        chain.iter().fold(request, |request, value| request.append_header((X_FORWARDED_FOR, value.clone())));
    let request = request.to_srv_request();
    let over_tls = proxies().came_over_tls(&request);
    let client = proxies().client(request.request()).unwrap();
    let of_network = client_of(request.request()).unwrap();
    let here = is_from_this_machine(request.request());
    assert_eq!(here, peer.is_loopback() && chain.is_empty() && scheme.is_none());
    if let IpAddr::V6(address) = of_network {
        assert_eq!(address.to_bits() & u128::from(u64::MAX), 0, "a client has a whole /64");
    }
    if !is_trusted(peer) {
        assert_eq!((client, over_tls), (peer, false), "anyone could have written that");
        return;
    }
    assert!(
        !over_tls
            || scheme.is_some_and(
                |scheme| scheme.as_bytes().to_ascii_lowercase().ends_with(b"https") || ends_so(&scheme)
            )
    );
    if client != peer.to_canonical() {
        assert!(was_heard(&chain, client), "{client} was not told by a trusted proxy: {chain:?}");
    }
}

fn ends_so(scheme: &HeaderValue) -> bool {
    scheme.to_str().is_ok_and(|text| text.trim_end().to_ascii_lowercase().ends_with("https"))
}

fn is_trusted(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => address.octets()[0] == 10,
        IpAddr::V6(address) => address.octets()[0] == 0xfd,
    }
}

/// Whether the address stands in the chain with nothing but trusted ones behind it.
fn was_heard(chain: &[HeaderValue], client: IpAddr) -> bool {
    let parts: Vec<_> =
        chain.iter().rev().flat_map(|value| value.to_str().unwrap_or_default().rsplit(',')).collect();
    for part in parts {
        let part = part.trim();
        let bare = part.trim_start_matches('[').split(']').next().unwrap_or_default();
        let address =
            part.parse::<SocketAddr>().map(|address| address.ip()).or_else(|_| bare.parse::<IpAddr>());
        let Ok(address) = address.map(|address| address.to_canonical()) else { return false };
        if address == client {
            return true;
        }
        if !is_trusted(address) {
            return false;
        }
    }
    false
}
