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

    /// Puts the next piece in. Should more come than was announced there is room for it; the size limit ends it.
    ///
    /// # Errors
    /// The system has no memory.
    pub(super) fn put(&mut self, piece: &[u8]) -> Result<(), ApiError> {
        let end = self.bytes + piece.len();
        let is_longer = end > self.most;
        if is_longer {
            self.most = end.saturating_mul(2);
        }
        if end > self.small.capacity() && (self.large.is_none() || is_longer) {
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
        large[..self.bytes].copy_from_slice(self);
        (self.small, self.large) = (Vec::new(), Some(large));
        Ok(())
    }
}

impl AsRef<[u8]> for BodyRoom {
    fn as_ref(&self) -> &[u8] {
        self
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
    fn a_body_is_what_has_come_however_large_it_is_and_whatever_was_announced() {
        for bytes in [0, 1, FIRST, FIRST + 1, LARGE, LARGE + 1, 300_000] {
            let sent: Vec<u8> = (0..bytes).map(|at| u8::try_from(at % 251).unwrap()).collect();
            for (most, piece) in [(bytes, 1), (bytes, 1000), (bytes, 100_000), (10 << 20, 100_000), (5, 1000)]
            {
                let mut room = BodyRoom::new(most);
                sent.chunks(piece).for_each(|piece| room.put(piece).unwrap());
                assert!(*room == sent[..], "{bytes} of {most} in pieces of {piece}");
                assert!(room.large.is_some() || bytes <= LARGE, "{bytes} of {most} in pieces of {piece}");
            }
        }
    }
}
