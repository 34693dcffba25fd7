//! The memory that one body is read into. A large one has a mapping of its own, which goes back to the system with it: among all
//! else that is allocated it would leave gaps that nothing fits into, and bodies one after the other would hold far more memory
//! than their budget.

use std::ops::Deref;

use memmap2::MmapMut;

use crate::app::AppError;
use crate::web::error::ApiError;

/// So much is taken at first.
const FIRST: usize = 8 * 1024;
/// From here on a body has a mapping of its own.
const LARGE: usize = 64 * 1024;

/// What has come of a body.
pub(super) struct BodyRoom {
    most: usize,
    small: Vec<u8>,
    /// Its memory is there as far as it was written.
    large: Option<MmapMut>,
    bytes: usize,
}

impl BodyRoom {
    /// For a body of at most so many bytes.
    pub(super) fn new(most: usize) -> Self {
        Self { most, small: Vec::with_capacity(most.min(FIRST)), large: None, bytes: 0 }
    }

    /// Puts the next piece in.
    ///
    /// # Errors
    /// It is more than there is to be, or the system has no memory.
    pub(super) fn put(&mut self, piece: &[u8]) -> Result<(), ApiError> {
        let end = self.bytes + piece.len();
        if end > self.most {
            return Err(ApiError::BrokenBody);
        }
        if self.large.is_none() && end > self.small.capacity() {
            self.grow()?;
        }
        match &mut self.large {
            Some(large) => large[self.bytes..end].copy_from_slice(piece),
            None => self.small.extend_from_slice(piece),
        }
        self.bytes = end;
        Ok(())
    }

    /// To all that may come: not twice as much and again with every doubling.
    fn grow(&mut self) -> Result<(), ApiError> {
        if self.most <= LARGE {
            self.small.reserve_exact(self.most - self.small.len());
            return Ok(());
        }
        let mut large = MmapMut::map_anon(self.most).map_err(|_| ApiError::from(AppError::Busy))?;
        let small = std::mem::take(&mut self.small);
        large[..small.len()].copy_from_slice(&small);
        self.large = Some(large);
        Ok(())
    }
}

impl Deref for BodyRoom {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.large.as_ref().map_or(&self.small, |large| &large[..self.bytes])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_what_has_come_however_large_it_is_and_no_more_than_was_announced() {
        for most in [0, 1, FIRST, FIRST + 1, LARGE, LARGE + 1, 10 << 20] {
            for piece in [1, 1000, FIRST, 100_000] {
                let sent: Vec<u8> =
                    (0..most.min(300_000)).map(|at| u8::try_from(at % 251).unwrap()).collect();
                let mut room = BodyRoom::new(most);
                sent.chunks(piece).for_each(|piece| room.put(piece).unwrap());
                assert!(*room == sent[..], "{most} in pieces of {piece}");
                assert_eq!(room.large.is_some(), sent.len() > LARGE);
            }
        }
        let mut room = BodyRoom::new(10);
        room.put(b"0123456789").unwrap();
        assert!(room.put(b"x").is_err());
        assert_eq!(&*room, b"0123456789");
    }
}
