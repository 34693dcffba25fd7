//! How many voice sockets there are.
//!
//! Bounds: `MAX_VOICE_SOCKETS` in all, 8 for each client address; who is one too many is refused.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::app::AppError;

const MOST_OF_CLIENT: usize = 8;

/// The open sockets, by client. Found in the application's data.
#[derive(Clone)]
pub struct VoiceSockets {
    most: usize,
    open: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// The place of one socket; given back when dropped.
pub struct Place {
    sockets: VoiceSockets,
    client: IpAddr,
}

impl VoiceSockets {
    /// At most so many.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { most, open: Arc::default() }
    }

    /// How many there are.
    #[must_use]
    pub fn open(&self) -> usize {
        self.lock().values().sum()
    }

    /// A place for one more of this client.
    ///
    /// # Errors
    /// [`AppError::Busy`] when there is none.
    pub fn enter(&self, client: IpAddr) -> Result<Place, AppError> {
        let mut open = self.lock();
        let all: usize = open.values().sum();
        let of_client = open.entry(client).or_default();
        if all >= self.most || *of_client >= MOST_OF_CLIENT {
            open.retain(|_, sockets| *sockets > 0);
            return Err(AppError::Busy);
        }
        *of_client += 1;
        Ok(Place { sockets: self.clone(), client })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.sockets.lock();
        if let Some(sockets) = open.get_mut(&self.client) {
            *sockets -= 1;
            if *sockets == 0 {
                open.remove(&self.client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_client_has_eight_and_all_together_the_whole() {
        let sockets = VoiceSockets::new(10);
        let client = |last: u8| IpAddr::from([192, 0, 2, last]);
        let mut places: Vec<_> = (0..8).map(|_| sockets.enter(client(1)).ok().unwrap()).collect();
        assert!(sockets.enter(client(1)).is_err());
        places.extend((0..2).map(|_| sockets.enter(client(2)).ok().unwrap()));
        assert!(sockets.enter(client(3)).is_err());
        assert_eq!(sockets.open(), 10);
        drop(places.pop());
        assert!(sockets.enter(client(1)).is_err() && sockets.enter(client(3)).is_ok());
        drop(places);
        assert!(sockets.lock().is_empty(), "nobody is remembered");
    }
}
