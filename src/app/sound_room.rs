//! Room in memory for the sound of replies, from its first piece until it is saved or sent.
//!
//! Nobody waits for more of what others who wait hold as well: what is long takes a place for the most that one may have.
//!
//! Bounds: 64 MiB for replies of up to 2 MiB of sound each, and places for 4 with more, of one person's 2; each waits for 5 s, then it is
//! not spoken on.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::app::person_turns::{PersonTurn, PersonTurns};

/// What is taken at a time.
const STEP: usize = 64 << 10;
const STEPS: usize = 64 << 20 >> 16;
/// What has more is long.
const SHORT: usize = 2 << 20;
const LONG_AT_ONCE: usize = 4;
const LONG_OF_A_PERSON: usize = 2;
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// The room for all.
pub(crate) struct SoundRoom {
    short: Arc<Semaphore>,
    long: Arc<Semaphore>,
    long_of_persons: PersonTurns,
}

/// The room that one reply has of it; given back when dropped.
#[derive(Default)]
pub(crate) struct HeldRoom {
    short: Option<OwnedSemaphorePermit>,
    long: Option<(OwnedSemaphorePermit, PersonTurn)>,
}

impl Default for SoundRoom {
    fn default() -> Self {
        Self {
            short: Arc::new(Semaphore::new(STEPS)),
            long: Arc::new(Semaphore::new(LONG_AT_ONCE)),
            long_of_persons: PersonTurns::new(LONG_OF_A_PERSON),
        }
    }
}

impl SoundRoom {
    /// Makes `held` large enough for so many bytes of a reply to this person; `None` when there is no room in time.
    pub(crate) async fn make(&self, held: &mut HeldRoom, bytes: usize, person: i64) -> Option<()> {
        if held.long.is_some() {
            return Some(());
        }
        if bytes > SHORT {
            let of_person = self.long_of_persons.begin(person).ok()?;
            held.long = Some((in_time(&self.long, 1).await?, of_person));
            held.short = None;
            return Some(());
        }
        let has = held.short.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let more = bytes.div_ceil(STEP).saturating_sub(has);
        if more > 0 {
            let more = in_time(&self.short, u32::try_from(more).ok()?).await?;
            match &mut held.short {
                Some(short) => short.merge(more),
                none => *none = Some(more),
            }
        }
        Some(())
    }
}

async fn in_time(room: &Arc<Semaphore>, places: u32) -> Option<OwnedSemaphorePermit> {
    let place = room.clone().acquire_many_owned(places);
    tokio::time::timeout(LONGEST_WAIT, place).await.ok()?.ok()
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn as_much_is_held_as_there_is_room_for_and_who_waits_in_vain_is_told_in_time() {
        let room = SoundRoom::default();
        let mut held = Vec::new();
        for person in 0..32 {
            let mut one = HeldRoom::default();
            // In pieces, as it comes.
            for bytes in [1, SHORT / 2, SHORT] {
                room.make(&mut one, bytes, person).now_or_never().flatten().unwrap();
            }
            held.push(one);
        }
        let (mut other, began) = (HeldRoom::default(), tokio::time::Instant::now());
        assert_eq!(room.make(&mut other, 1, 1).await, None);
        assert_eq!(began.elapsed(), LONGEST_WAIT);
        // What becomes long makes room for those that are short.
        room.make(&mut held[0], SHORT + 1, 0).now_or_never().flatten().unwrap();
        room.make(&mut other, SHORT, 1).now_or_never().flatten().unwrap();
        held.pop();
        room.make(&mut HeldRoom::default(), SHORT, 1).now_or_never().flatten().unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn four_are_long_at_once_and_who_has_two_waits_for_no_third() {
        let room = SoundRoom::default();
        let mut held: [HeldRoom; 5] = Default::default();
        let long = async |held: &mut HeldRoom, person| room.make(held, SHORT + 1, person).await;
        for (one, person) in held[..4].iter_mut().zip([1, 1, 2, 2]) {
            assert_eq!(long(one, person).now_or_never(), Some(Some(())));
            assert_eq!(long(one, person).now_or_never(), Some(Some(())), "it has its place");
        }
        assert_eq!(long(&mut held[4], 1).now_or_never(), Some(None), "not to be waited for");
        assert_eq!(long(&mut held[4], 3).await, None, "in 5 s");
        held[0] = HeldRoom::default();
        assert_eq!(long(&mut held[4], 3).now_or_never(), Some(Some(())));
    }
}
