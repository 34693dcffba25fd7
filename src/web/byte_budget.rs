//! The memory that request bodies may take, all together: a body takes its place before its first byte is read and gives it
//! back when its reader is done with it.
//!
//! Bounds: `MAX_INFLIGHT_BODY_BYTES` for bodies above 64 KiB, of which one client has at most a quarter, or one largest body where
//! that is more; 32 MiB for those below, so that uploads never starve talk, of which one client has a sixteenth. Whoever waits for
//! 2 s in vain is refused.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore, TryAcquireError};

const SMALL_BODY: u64 = 64 * 1024;
/// Of five hundred clients each may have the largest of these under way, and not send it.
const SMALL_BODIES: u64 = 32 << 20;
const LONGEST_WAIT: Duration = Duration::from_secs(2);
/// Permits are counted in these.
const UNIT: u64 = 1024;
/// From so many clients on, those who hold nothing are looked for and forgotten.
const TIDY_FROM: usize = 1024;

/// All the bytes there are for bodies. Found in the application's data.
pub struct ByteBudget {
    small: Pool,
    large: Pool,
}

/// The place of one body; given back when dropped.
pub struct Reservation {
    _of_all: OwnedSemaphorePermit,
    _of_client: OwnedSemaphorePermit,
}

/// There was no place in time.
#[derive(Debug, PartialEq, Eq)]
pub struct NoPlace;

struct Pool {
    /// In units.
    all: usize,
    free: Arc<Semaphore>,
    /// In units: what one client may hold.
    share: u32,
    clients: Mutex<HashMap<IpAddr, Weak<Semaphore>>>,
}

impl ByteBudget {
    /// A budget of so many bytes, for bodies of at most `largest`.
    #[must_use]
    pub fn new(bytes: u64, largest: u64) -> Self {
        let bytes = bytes.max(largest);
        let (small, large) = (SMALL_BODIES / 16, (bytes / 4).max(largest));
        Self { small: Pool::new(SMALL_BODIES, small), large: Pool::new(bytes, large) }
    }

    /// Takes a place for a body of so many bytes, waiting for it if need be.
    ///
    /// # Errors
    /// When there is none in time.
    pub async fn reserve(&self, client: IpAddr, bytes: u64) -> Result<Reservation, NoPlace> {
        let pool = if bytes <= SMALL_BODY { &self.small } else { &self.large };
        let place = tokio::time::timeout(LONGEST_WAIT, pool.take(client, units(bytes)));
        place.await.map_err(|_| NoPlace)?.map_err(|_| NoPlace)
    }

    /// Takes a place for so many bytes, if there is one: who holds a part of what they need must not wait for the rest.
    ///
    /// # Errors
    /// When there is none.
    pub fn reserve_at_once(&self, client: IpAddr, bytes: u64) -> Result<Reservation, NoPlace> {
        let pool = if bytes <= SMALL_BODY { &self.small } else { &self.large };
        pool.take_at_once(client, units(bytes)).map_err(|_| NoPlace)
    }

    /// Whether more than half of what there is for bodies of so many bytes is taken, where that is the reserve for small ones.
    #[must_use]
    pub fn is_short_for(&self, bytes: u64) -> bool {
        bytes <= SMALL_BODY && self.small.held_bytes() > SMALL_BODIES / 2
    }

    /// Bytes taken by bodies of up to 64 KiB, and by larger ones.
    #[must_use]
    pub fn held_bytes(&self) -> (u64, u64) {
        (self.small.held_bytes(), self.large.held_bytes())
    }
}

impl Pool {
    fn held_bytes(&self) -> u64 {
        self.all.saturating_sub(self.free.available_permits()) as u64 * UNIT
    }

    /// Of so many bytes, of which one client may hold this share.
    fn new(bytes: u64, share: u64) -> Self {
        let free =
            usize::try_from(units(bytes)).unwrap_or(Semaphore::MAX_PERMITS).min(Semaphore::MAX_PERMITS);
        let (clients, share) = (Mutex::default(), units(share));
        Self { all: free, free: Arc::new(Semaphore::new(free)), share, clients }
    }

    /// First of the client's own share: those who wait there stand in nobody else's way.
    async fn take(&self, client: IpAddr, units: u32) -> Result<Reservation, AcquireError> {
        let of_client = self.share_of(client).acquire_many_owned(units).await?;
        let of_all = self.free.clone().acquire_many_owned(units).await?;
        Ok(Reservation { _of_all: of_all, _of_client: of_client })
    }

    fn take_at_once(&self, client: IpAddr, units: u32) -> Result<Reservation, TryAcquireError> {
        let of_client = self.share_of(client).try_acquire_many_owned(units)?;
        let of_all = self.free.clone().try_acquire_many_owned(units)?;
        Ok(Reservation { _of_all: of_all, _of_client: of_client })
    }

    fn share_of(&self, client: IpAddr) -> Arc<Semaphore> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(share) = clients.get(&client).and_then(Weak::upgrade) {
            return share;
        }
        if clients.len() >= TIDY_FROM {
            clients.retain(|_, share| share.strong_count() > 0);
        }
        let share = Arc::new(Semaphore::new(usize::try_from(self.share).unwrap_or(Semaphore::MAX_PERMITS)));
        clients.insert(client, Arc::downgrade(&share));
        share
    }
}

fn units(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT).max(1)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use futures_util::FutureExt;

    use super::*;

    const MIB: u64 = 1 << 20;

    fn client(number: u32) -> IpAddr {
        Ipv4Addr::from_bits(number).into()
    }

    /// What there is at once, without waiting.
    fn at_once(budget: &ByteBudget, number: u32, bytes: u64) -> Option<Reservation> {
        // Without tokio's turn taking, which would have a busy test wait now and then.
        tokio::task::unconstrained(budget.reserve(client(number), bytes)).now_or_never().and_then(Result::ok)
    }

    #[tokio::test]
    async fn one_client_holds_a_quarter_at_most_and_all_together_the_whole() {
        let budget = ByteBudget::new(40 * MIB, 5 * MIB);
        let mut held: Vec<_> = (0..2).map(|_| at_once(&budget, 1, 5 * MIB).unwrap()).collect();
        assert!(at_once(&budget, 1, SMALL_BODY + 1).is_none(), "its quarter is full");
        held.extend(
            (2..5).flat_map(|number| [number, number]).map(|n| at_once(&budget, n, 5 * MIB).unwrap()),
        );
        assert!(at_once(&budget, 5, SMALL_BODY + 1).is_none(), "the whole is full");
        assert_eq!(budget.held_bytes(), (0, 40 * MIB));
        assert!(at_once(&budget, 1, SMALL_BODY).is_some(), "talk has a place of its own");
        drop(held.pop());
        assert!(at_once(&budget, 5, 5 * MIB).is_some());
        drop(held);
        assert!(at_once(&budget, 1, 5 * MIB).is_some());
    }

    #[tokio::test]
    async fn small_bodies_are_bounded_as_well() {
        let budget = ByteBudget::new(40 * MIB, 5 * MIB);
        let share = u32::try_from(SMALL_BODIES / SMALL_BODY / 16).unwrap();
        let of = |number: u32| (0..share).map(move |_| number);
        let mut held: Vec<_> = of(1).map(|number| at_once(&budget, number, SMALL_BODY).unwrap()).collect();
        assert!(at_once(&budget, 1, 1).is_none());
        assert!(at_once(&budget, 2, 1).is_some());
        held.extend((2..9).flat_map(of).map(|number| at_once(&budget, number, SMALL_BODY).unwrap()));
        assert!(!budget.is_short_for(SMALL_BODY), "half of it is taken");
        held.push(at_once(&budget, 9, 1).unwrap());
        assert!(budget.is_short_for(1) && !budget.is_short_for(SMALL_BODY + 1));
        drop(held);
        assert!(at_once(&budget, 1, 1).is_some() && !budget.is_short_for(1));
    }

    #[tokio::test]
    async fn the_largest_body_always_finds_a_place_when_nobody_else_is_there() {
        let budget = ByteBudget::new(MIB, 3 * MIB);
        assert!(at_once(&budget, 1, 3 * MIB).is_some());
    }

    #[tokio::test]
    async fn whoever_waits_is_served_when_a_place_is_given_back() {
        let budget = ByteBudget::new(4 * MIB, 4 * MIB);
        let held = at_once(&budget, 1, 4 * MIB).unwrap();
        let waiting = budget.reserve(client(2), 4 * MIB);
        tokio::pin!(waiting);
        assert!(waiting.as_mut().now_or_never().is_none());
        drop(held);
        assert!(waiting.await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_waits_in_vain_is_told_in_time() {
        let budget = ByteBudget::new(4 * MIB, 4 * MIB);
        let held = at_once(&budget, 1, 4 * MIB).unwrap();
        let began = tokio::time::Instant::now();
        assert_eq!(budget.reserve(client(2), 4 * MIB).await.err(), Some(NoPlace));
        assert_eq!(began.elapsed(), LONGEST_WAIT);
        drop(held);
        assert!(at_once(&budget, 2, 4 * MIB).is_some(), "who waits no more is in nobody's way");
    }

    #[tokio::test]
    async fn clients_who_hold_nothing_are_forgotten() {
        let budget = ByteBudget::new(4 * MIB, MIB);
        for number in 0..10_000 {
            drop(at_once(&budget, number, MIB).unwrap());
        }
        assert!(budget.large.clients.lock().unwrap().len() <= TIDY_FROM);
    }
}
