//! A recording that comes in pieces, in the budget of request bodies.
//!
//! Nobody can tell beforehand how long somebody will talk, and a place for the longest recording would leave room for a few
//! people only: the place grows with the recording. Nobody waits while they hold a part of it, so that there is no deadlock;
//! where there is no room to grow the recording is given up.

use std::net::IpAddr;

use bytes::Bytes;

use crate::app::AppError;
use crate::web::byte_budget::{ByteBudget, Reservation};
use crate::web::error::ApiError;

/// The first place; it is one of the reserve for small bodies.
const FIRST: u64 = 64 * 1024;
const STEP: u64 = 256 * 1024;

/// What has come of a recording.
#[derive(Default)]
pub(super) struct Collected {
    bytes: Vec<u8>,
    places: Vec<Reservation>,
    held: u64,
}

/// A whole recording with its places, which end with the last that holds its bytes.
struct Placed {
    bytes: Vec<u8>,
    _places: Vec<Reservation>,
}

impl AsRef<[u8]> for Placed {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Collected {
    /// Adds a piece.
    ///
    /// # Errors
    /// When it becomes longer than `most`, or there is no room for it.
    pub(super) fn add(
        &mut self,
        piece: &Bytes,
        budget: &ByteBudget,
        client: IpAddr,
        most: u64,
    ) -> Result<(), ApiError> {
        let length = (self.bytes.len() + piece.len()) as u64;
        if length > most {
            return Err(ApiError::TooLarge { max_bytes: most });
        }
        while self.held < length {
            let step = if self.held == 0 { FIRST } else { STEP };
            self.places.push(budget.reserve_at_once(client, step).map_err(|_| AppError::Busy)?);
            self.held += step;
        }
        if length > self.bytes.capacity() as u64 {
            // No more than there is a place for.
            let room = usize::try_from(self.held.min(most)).unwrap_or(usize::MAX);
            self.bytes.reserve_exact(room.saturating_sub(self.bytes.len()));
        }
        self.bytes.extend_from_slice(piece);
        Ok(())
    }

    /// All of it, with its places.
    pub(super) fn finish(self) -> Bytes {
        Bytes::from_owner(Placed { bytes: self.bytes, _places: self.places })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_place_grows_with_it_and_ends_with_its_bytes() {
        let (budget, client) = (ByteBudget::new(4 << 20, 1 << 20), IpAddr::from([192, 0, 2, 1]));
        let mut recording = Collected::default();
        let piece = Bytes::from(vec![1; 50_000]);
        recording.add(&piece, &budget, client, 1 << 20).unwrap();
        assert_eq!(budget.held_bytes(), (FIRST, 0));
        recording.add(&piece, &budget, client, 1 << 20).unwrap();
        assert_eq!(budget.held_bytes(), (FIRST, STEP));
        for _ in 0..18 {
            recording.add(&piece, &budget, client, 1 << 20).unwrap();
        }
        assert!(matches!(recording.add(&piece, &budget, client, 1 << 20), Err(ApiError::TooLarge { .. })));
        let mut other = Collected::default();
        other.add(&piece, &budget, client, 1 << 20).unwrap();
        let refused = other.add(&Bytes::from(vec![1; 500_000]), &budget, client, 1 << 20);
        assert!(matches!(refused, Err(ApiError::App(AppError::Busy))), "one client has a quarter");
        let bytes = recording.finish();
        assert_eq!(bytes.len(), 1_000_000);
        let held_on = bytes.slice(..10);
        drop((bytes, other));
        assert_ne!(budget.held_bytes(), (0, 0), "somebody holds it still");
        drop(held_on);
        assert_eq!(budget.held_bytes(), (0, 0));
    }
}
