//! The places where programs of one kind run.
//!
//! Bounds: 4 at once, for one client 2; who finds none waits for it.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// So many run at once.
pub(super) const AT_ONCE: usize = 4;
/// So many for one client, who may be as many people as they like: whatever hangs on what they send leaves the others a place.
const OF_A_CLIENT: usize = 2;

/// Who waits for a place, and who has one.
pub(super) struct Places {
    all: Arc<Semaphore>,
    /// Of those who wait or have one; nobody else's is kept.
    clients: Mutex<HashMap<IpAddr, Weak<Semaphore>>>,
}

/// A place, until it is dropped.
pub(super) struct Place {
    _of_all: OwnedSemaphorePermit,
    _of_client: Option<OwnedSemaphorePermit>,
}

impl Places {
    pub(super) fn new() -> Self {
        Self { all: Arc::new(Semaphore::new(AT_ONCE)), clients: Mutex::default() }
    }

    /// Waits for a place to work for `client`. `None`: there will be none any more.
    pub(super) async fn take(&self, client: Option<IpAddr>) -> Option<Place> {
        let of_client = match client {
            // First: while they wait for their own, others may have what is free.
            Some(client) => Some(self.of(client).acquire_owned().await.ok()?),
            None => None,
        };
        let of_all = self.all.clone().acquire_owned().await.ok()?;
        Some(Place { _of_all: of_all, _of_client: of_client })
    }

    fn of(&self, client: IpAddr) -> Arc<Semaphore> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        clients.retain(|_, places| places.strong_count() > 0);
        if let Some(places) = clients.get(&client).and_then(Weak::upgrade) {
            return places;
        }
        let places = Arc::new(Semaphore::new(OF_A_CLIENT));
        clients.insert(client, Arc::downgrade(&places));
        places
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn one_client_has_two_places_and_nothing_is_kept_of_who_has_none() {
        let places = Places::new();
        let take = |client: Option<u8>| {
            let client = client.map(|client| IpAddr::from([192, 0, 2, client]));
            places.take(client).now_or_never().flatten()
        };
        let first = [take(Some(1)).unwrap(), take(Some(1)).unwrap()];
        assert!(take(Some(1)).is_none(), "a third");
        let others = [take(Some(2)).unwrap(), take(None).unwrap()];
        assert!(take(Some(3)).is_none(), "a fifth");
        drop(others);
        assert!(take(Some(1)).is_none(), "still a third");
        drop(first);
        assert!(take(Some(4)).is_some());
        assert_eq!(places.clients.lock().unwrap().len(), 1);
    }
}
