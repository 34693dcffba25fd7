//! Something that is kept for each client address.
//!
//! Bounds: 16,384 clients are remembered; the one not seen for longest is forgotten for a new one, and begins anew.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use hashlink::LruCache;

/// How many clients are remembered.
pub const MOST_CLIENTS: usize = 16_384;

/// One `T` for each client.
pub struct PerClient<T>(Mutex<LruCache<IpAddr, T>>);

impl<T> Default for PerClient<T> {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(MOST_CLIENTS)))
    }
}

impl<T> PerClient<T> {
    /// What `look` makes of that of the client, who is the last one seen from now on; a new client is given a `fresh` one.
    pub fn with<R>(&self, client: IpAddr, fresh: impl FnOnce() -> T, look: impl FnOnce(&mut T) -> R) -> R {
        let mut clients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(theirs) = clients.get_mut(&client) {
            return look(theirs);
        }
        let mut theirs = fresh();
        let made_of_it = look(&mut theirs);
        clients.insert(client, theirs);
        made_of_it
    }

    /// The same, if the client is known.
    pub fn look<R>(&self, client: IpAddr, look: impl FnOnce(&mut T) -> R) -> Option<R> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_mut(&client).map(look)
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}
