//! Sound that is heard once: the sentences of a reply that streams, and answers to silence. Each is a file for a while and
//! belongs to no kept turn; a conversation that is deleted takes its own along.
//!
//! Bounds: 10 minutes from the end of its turn, or until the server stops; 10,000 files, beyond which nothing is spoken this way.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::adapters::audio_store;
use crate::domain::audio::{AudioFormat, AudioId};
use crate::domain::session::SessionId;

/// So long it can be heard after its turn.
const KEPT_FOR: Duration = Duration::from_secs(10 * 60);
const MOST: usize = 10_000;

type Known = Arc<Mutex<HashMap<AudioId, Entry>>>;

struct Entry {
    format: AudioFormat,
    session: SessionId,
    person: i64,
    path: PathBuf,
}

/// All that passes.
#[derive(Clone, Default)]
pub(crate) struct PassingAudio {
    known: Known,
    stopping: CancellationToken,
}

/// What one turn has added; gone when dropped.
pub(crate) struct OfTurn {
    all: PassingAudio,
    ids: Vec<AudioId>,
}

impl PassingAudio {
    /// A place for the sound of one turn.
    pub(crate) fn of_turn(&self) -> OfTurn {
        OfTurn { all: self.clone(), ids: Vec::new() }
    }

    /// The format of one that can still be heard.
    pub(crate) fn format_of(&self, id: AudioId) -> Option<AudioFormat> {
        self.lock().get(&id).map(|entry| entry.format)
    }

    pub(crate) fn is_full(&self) -> bool {
        self.lock().len() >= MOST
    }

    /// Removes what belongs to the session.
    pub(crate) fn forget(&self, session: SessionId) {
        self.forget_where(|entry| entry.session == session);
    }

    /// Removes what belongs to the person.
    pub(crate) fn forget_person(&self, person: i64) {
        self.forget_where(|entry| entry.person == person);
    }

    /// Removes everything, now and when it comes.
    pub(crate) fn stop(&self) {
        self.stopping.cancel();
        self.forget_where(|_| true);
    }

    fn forget_where(&self, is_meant: impl Fn(&Entry) -> bool) {
        let mut known = self.lock();
        let gone: Vec<_> = known.extract_if(|_, entry| is_meant(entry)).collect();
        drop(known);
        gone.iter().for_each(|(id, entry)| entry.remove(*id));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<AudioId, Entry>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    fn remove(&self, id: AudioId) {
        if let Err(error) = audio_store::remove_file(&self.path) {
            tracing::error!(audio = id.short(), error = %error.source, "A spoken sentence could not be removed");
        }
    }
}

impl OfTurn {
    /// Adds a file that is there.
    pub(crate) fn add(
        &mut self,
        (id, format): (AudioId, AudioFormat),
        session: SessionId,
        person: i64,
        path: PathBuf,
    ) {
        self.all.lock().insert(id, Entry { format, session, person, path });
        self.ids.push(id);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Lets it be heard for a while.
    pub(crate) async fn rest(self) {
        let stopping = self.all.stopping.clone();
        drop(tokio::time::timeout(KEPT_FOR, stopping.cancelled()).await);
    }
}

impl Drop for OfTurn {
    fn drop(&mut self) {
        for id in &self.ids {
            let entry = self.all.lock().remove(id);
            if let Some(entry) = entry {
                entry.remove(*id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_is_there_for_a_while_and_goes_with_its_turn_its_session_or_the_server() {
        let dir = tempfile::tempdir().unwrap();
        let passing = PassingAudio::default();
        let session = SessionId::random();
        let add = |of_turn: &mut OfTurn, person| {
            let (id, path) = (AudioId::random(), dir.path().join(AudioId::random().to_string()));
            std::fs::write(&path, "sound").unwrap();
            of_turn.add((id, AudioFormat::Wav), session, person, path);
            id
        };
        let files = || std::fs::read_dir(dir.path()).unwrap().count();
        let mut turn = passing.of_turn();
        let (one, other) = (add(&mut turn, 1), add(&mut turn, 2));
        passing.forget_person(1);
        assert_eq!((passing.format_of(one), passing.format_of(other)), (None, Some(AudioFormat::Wav)));
        passing.forget(session);
        assert_eq!(files(), 0);
        add(&mut turn, 1);
        drop(turn);
        assert_eq!(files(), 0, "a turn that fails leaves nothing");
        let mut turn = passing.of_turn();
        add(&mut turn, 1);
        turn.rest().await;
        assert_eq!(files(), 0, "after ten minutes");
        let mut turn = passing.of_turn();
        add(&mut turn, 1);
        passing.stop();
        turn.rest().await;
        assert_eq!((files(), passing.lock().len()), (0, 0));
    }

    #[test]
    fn there_are_so_many_and_no_more_until_some_have_gone() {
        let (passing, session) = (PassingAudio::default(), SessionId::random());
        let mut turn = passing.of_turn();
        let add = |turn: &mut OfTurn| {
            turn.add((AudioId::random(), AudioFormat::Wav), session, 1, PathBuf::from("no/such/file"));
        };
        (1..MOST).for_each(|_| add(&mut turn));
        assert!(!passing.is_full());
        let mut last = passing.of_turn();
        add(&mut last);
        assert!(passing.is_full());
        drop(last);
        assert!(!passing.is_full());
    }
}
