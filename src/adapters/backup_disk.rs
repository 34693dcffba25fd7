//! The disk of the backups as the server looks at it: one that hangs, a network file system whose server has gone for one,
//! keeps nobody waiting.
//!
//! Bounds: one look at a time, on a thread of its own, which is waited for 1.5 s; while one hangs nobody looks.

use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// A look takes milliseconds.
const LONGEST: Duration = Duration::from_millis(1500);

/// When the look that is being taken began.
type Began = Arc<Mutex<Option<Instant>>>;

/// Clones look at the same disk.
#[derive(Debug, Clone)]
pub struct BackupDisk {
    turn: Arc<Semaphore>,
    began: Began,
}

/// A look that is being taken; it ends when this is dropped, however that comes.
struct Looking {
    began: Began,
    _turn: OwnedSemaphorePermit,
}

impl Drop for Looking {
    fn drop(&mut self) {
        *self.began.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl Default for BackupDisk {
    fn default() -> Self {
        Self { turn: Arc::new(Semaphore::new(1)), began: Began::default() }
    }
}

impl BackupDisk {
    /// What `work` finds there; `None` when the disk hangs. Work that was begun goes on once the disk answers again.
    pub async fn look<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        if self.hangs() {
            return None;
        }
        let looked = async {
            let turn = self.turn.clone().acquire_owned().await.ok()?;
            let (tell, told) = oneshot::channel();
            self.begin(turn, work, move |found| drop(tell.send(found)))?;
            told.await.ok()
        };
        tokio::time::timeout(LONGEST, looked).await.ok().flatten()
    }

    /// The same before anybody is served, for whom this thread could not be spared.
    pub fn look_first<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        let turn = self.turn.clone().try_acquire_owned().ok()?;
        let (tell, told) = sync_channel(1);
        self.begin(turn, work, move |found| drop(tell.send(found)))?;
        told.recv_timeout(LONGEST).ok()
    }

    fn hangs(&self) -> bool {
        let began = *self.began.lock().unwrap_or_else(PoisonError::into_inner);
        began.is_some_and(|at| at.elapsed() >= LONGEST)
    }

    /// `None` when there is no thread to be had.
    fn begin<T: 'static>(
        &self,
        turn: OwnedSemaphorePermit,
        work: impl FnOnce() -> T + Send + 'static,
        tell: impl FnOnce(T) + Send + 'static,
    ) -> Option<()> {
        *self.began.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        let looking = Looking { began: self.began.clone(), _turn: turn };
        let thread = thread::Builder::new().name("backup disk".to_owned());
        let begun = thread.spawn(move || {
            let found = work();
            // Who hears of it may look again at once.
            drop(looking);
            tell(found);
        });
        begun.ok().map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_look_after_the_other_finds_something() {
        let disk = BackupDisk::default();
        for number in 0..1000 {
            assert_eq!(disk.look_first(move || number), Some(number));
        }
    }

    /// With paused time whoever waits for a thread has waited for as long as they would.
    #[tokio::test(start_paused = true)]
    async fn nobody_looks_while_one_hangs_and_everybody_once_it_answers() {
        let disk = BackupDisk::default();
        let (answers, hanging) = std::sync::mpsc::channel::<()>();
        assert_eq!(disk.look(move || hanging.recv().is_ok()).await, None);
        let (looked, looks) = std::sync::mpsc::channel();
        for _ in 0..3 {
            let looked = looked.clone();
            assert_eq!(disk.look(move || looked.send(())).await, None);
        }
        assert!(looks.try_recv().is_err(), "only one hangs");
        *disk.began.lock().unwrap() = Instant::now().checked_sub(LONGEST);
        assert!(disk.hangs());
        drop(answers);
        while disk.hangs() {
            tokio::task::yield_now().await;
        }
        tokio::time::resume();
        assert_eq!(disk.look(|| 7).await, Some(7));
    }
}
