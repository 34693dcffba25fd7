//! All connections together, and how many of them are of one client.
//!
//! Bounds: `MAX_CONNECTIONS` in all (those that wait for a place wait in the kernel); of one client address a quarter of
//! that, at least 64. The proxies in `TRUSTED_PROXIES` are not counted: they come for everybody. Of 16 connections at once
//! what nobody reads is thrown away.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::telemetry::metrics::{ConnectionEnd, Metrics};
use crate::web::proxies::{TrustedProxies, of_one_client};

/// One client may always have so many: a browser opens six to a server, and a household shares an address.
const LEAST_PER_CLIENT: usize = 64;

/// Throwing away what refused clients send is a courtesy, so that they come to reading the answer; not to a flood.
const MOST_EMPTYING: usize = 16;

/// Counts the connections that are open.
pub struct Connections {
    most: usize,
    most_per_client: usize,
    open: AtomicUsize,
    emptying: AtomicUsize,
    of_clients: Mutex<HashMap<IpAddr, usize>>,
    proxies: Arc<TrustedProxies>,
    metrics: Arc<Metrics>,
}

impl Connections {
    /// None so far, and `most` at once.
    #[must_use]
    pub fn new(most: usize, proxies: Arc<TrustedProxies>, metrics: Arc<Metrics>) -> Self {
        let most_per_client = (most / 4).max(LEAST_PER_CLIENT);
        Self {
            most,
            most_per_client,
            open: AtomicUsize::new(0),
            emptying: AtomicUsize::new(0),
            of_clients: Mutex::default(),
            proxies,
            metrics,
        }
    }

    /// A place for a connection from there, given back when dropped. `None` when the client has all it may have.
    #[must_use]
    pub fn place(self: &Arc<Self>, peer: IpAddr) -> Option<Place> {
        let counted = (!self.proxies.are_trusted(peer.to_canonical())).then(|| of_one_client(peer));
        if let Some(client) = counted {
            let mut clients = self.of_clients.lock().unwrap_or_else(PoisonError::into_inner);
            let theirs = clients.entry(client).or_insert(0);
            if *theirs >= self.most_per_client {
                self.metrics.ended_connection(ConnectionEnd::TooMany);
                return None;
            }
            *theirs += 1;
        }
        self.open.fetch_add(1, Ordering::Relaxed);
        self.metrics.connection(true);
        Some(Place { all: self.clone(), counted, emptying: false })
    }

    fn is_crowded(&self) -> bool {
        self.open.load(Ordering::Relaxed) > self.most / 4 * 3
    }
}

/// One connection's place.
pub struct Place {
    all: Arc<Connections>,
    counted: Option<IpAddr>,
    emptying: bool,
}

impl Place {
    /// True while more than three quarters of all places are taken.
    #[must_use]
    pub fn is_crowded(&self) -> bool {
        self.all.is_crowded()
    }

    /// Counts why the server ends this connection.
    pub fn is_ended(&self, why: ConnectionEnd) {
        self.all.metrics.ended_connection(why);
    }

    /// True when what this connection still sends may be read to be thrown away; from then on until it ends.
    pub fn may_be_emptied(&mut self) -> bool {
        let one_more = |emptying: usize| (emptying < MOST_EMPTYING).then_some(emptying + 1);
        self.emptying = self.emptying
            || self.all.emptying.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).is_ok();
        self.emptying
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.all.open.fetch_sub(1, Ordering::Relaxed);
        self.all.metrics.connection(false);
        if self.emptying {
            self.all.emptying.fetch_sub(1, Ordering::Relaxed);
        }
        let Some(client) = self.counted else { return };
        let mut clients = self.all.of_clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(theirs) = clients.get_mut(&client) {
            *theirs -= 1;
            if *theirs == 0 {
                clients.remove(&client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(most: usize) -> Arc<Connections> {
        let proxies = TrustedProxies::new(vec!["10.0.0.0/8".parse().unwrap()]);
        let metrics = Metrics::new("test", 0).unwrap();
        Arc::new(Connections::new(most, Arc::new(proxies), Arc::new(metrics)))
    }

    fn places(all: &Arc<Connections>, peer: &str, tries: usize) -> Vec<Place> {
        let peer = peer.parse().unwrap();
        (0..tries).filter_map(|_| all.place(peer)).collect()
    }

    #[test]
    fn a_client_has_a_quarter_and_gets_it_again() {
        let all = all(400);
        let held = places(&all, "192.0.2.1", 150);
        assert_eq!(held.len(), 100);
        assert_eq!(places(&all, "::ffff:192.0.2.1", 1).len(), 0, "the same one");
        assert_eq!(places(&all, "192.0.2.2", 150).len(), 100);
        let network = [places(&all, "2001:db8::1", 60), places(&all, "2001:db8::2", 60)];
        assert_eq!((network[0].len(), network[1].len()), (60, 40));
        drop(held);
        assert_eq!(places(&all, "192.0.2.1", 150).len(), 100);
        drop(network);
        assert_eq!((all.open.load(Ordering::Relaxed), all.of_clients.lock().unwrap().len()), (0, 0));
    }

    #[test]
    fn a_small_server_has_room_for_a_browser_and_a_proxy_for_all_of_them() {
        assert_eq!(places(&all(10), "192.0.2.1", 100).len(), 64);
        assert_eq!(places(&all(100), "10.1.2.3", 500).len(), 500);
    }

    #[test]
    fn it_is_crowded_beyond_three_quarters() {
        let all = all(400);
        let mut held = places(&all, "10.0.0.1", 300);
        assert!(!all.is_crowded());
        held.extend(places(&all, "10.0.0.1", 1));
        assert!(all.is_crowded());
        held.pop();
        assert!(!all.is_crowded());
    }
    #[test]
    fn a_courtesy_is_for_few_at_once() {
        let all = all(400);
        let mut held = places(&all, "10.0.0.1", MOST_EMPTYING + 1);
        let mut last = held.pop().unwrap();
        assert!(held.iter_mut().all(Place::may_be_emptied));
        assert!(held[0].may_be_emptied() && !last.may_be_emptied());
        held.pop();
        assert!(last.may_be_emptied());
    }
}
