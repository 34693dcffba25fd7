//! Persons: who holds a token, what is kept about them, and forgetting them.

use std::time::Duration;

use rusqlite::Connection;

use crate::adapters::session_store::Deleted;
use crate::adapters::{audio_store, backup_store, erasure_ledger, person_store};
use crate::app::{App, AppError};
use crate::domain::clock::Timestamp;
use crate::domain::person::{Person, PersonToken};

/// A person's last visit is noted at most this often.
const SEEN_EVERY: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A person who came with their token.
#[derive(Debug, Clone, Copy)]
pub struct Visit {
    /// Who it is.
    pub person: Person,
    /// True when they were not seen within the last hour.
    pub first_for_a_while: bool,
}

/// What an erasure promises.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Erasure {
    /// When it happened.
    pub erased_at: Timestamp,
    /// The day the last backup that still holds the person is rotated away; `null` when no backup does.
    pub backups_until: Option<String>,
}

/// True when the person was not seen within the last hour: worth a note, and a cookie that lasts anew.
pub(crate) fn is_first_for_a_while(person: Person, now: Timestamp) -> bool {
    now.since(person.last_seen_at) >= SEEN_EVERY
}

impl App {
    /// A new random token.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub(crate) fn new_token() -> Result<PersonToken, AppError> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(|error| AppError::Internal(Box::new(error)))?;
        Ok(PersonToken::from_bytes(bytes))
    }

    /// Who holds `token`, noting that they were seen.
    ///
    /// # Errors
    /// [`AppError::Unauthorized`] when nobody does.
    pub async fn person(&self, token: PersonToken) -> Result<Visit, AppError> {
        let found = self.database.read("find a person", move |db| person_store::find(db, &token)).await?;
        let person = found.ok_or(AppError::Unauthorized)?;
        let now = self.clock.now();
        let first_for_a_while = is_first_for_a_while(person, now);
        if first_for_a_while {
            let noted =
                self.database.write("note a visit", move |db| person_store::touch(db, person.key, now));
            // On a full disk the visit goes unnoted; that must not turn the person away.
            if let Err(error) = noted.await {
                tracing::warn!(error = %error, "A visit could not be noted");
            }
        }
        Ok(Visit { person, first_for_a_while })
    }

    /// Erases a person everywhere: ledger first, then every row in one transaction, then files and the log.
    ///
    /// # Errors
    /// When something could not be erased; then it is safe to ask again.
    pub async fn erase(&self, person: Person) -> Result<Erasure, AppError> {
        let erased_at = self.clock.now();
        let dir = self.data_dir.clone();
        self.blocking(move || erasure_ledger::append(&dir, &[person.id], erased_at)).await??;
        let erase = move |db: &Connection| {
            // The same erasure, sent twice, may come second.
            if person_store::is_there(db, person)? {
                person_store::erase(db, person.key)
            } else {
                Ok(Deleted::default())
            }
        };
        let deleted = self.delete_rows("erase a person", erase).await?;
        self.forget_files(deleted).await?;
        let backups = self.data_dir.backups().to_owned();
        let held = self.blocking(move || backup_store::list(&backups)).await??;
        let kept = DAY * self.retention.backup_keep.get();
        let backups_until = (!held.is_empty()).then(|| erased_at.later_by(kept).day());
        tracing::info!(event = "person_erased", "A person was erased");
        Ok(Erasure { erased_at, backups_until })
    }

    /// Removes the files of deleted rows, and the deleted words from the database's log.
    pub(crate) async fn forget_files(&self, deleted: Deleted) -> Result<(), AppError> {
        let dir = self.data_dir.audio().to_owned();
        let removed = self.blocking(move || {
            deleted.audio.into_iter().try_for_each(|(id, format)| {
                audio_store::remove_file(&audio_store::path_of(&dir, id, format)).map(|_| ())
            })
        });
        removed.await??;
        // A reader in the way is gone in milliseconds; what is left after that goes with the next deletion.
        for _ in 0..20 {
            if self.database.scrub().await? {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }

    /// Runs `work`, which waits for the disk, off the threads that serve requests.
    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, AppError> {
        tokio::task::spawn_blocking(work).await.map_err(|error| AppError::Internal(Box::new(error)))
    }
}
