//! Persons: who holds a token, what is kept about them, and forgetting them.

use std::sync::Arc;
use std::time::Duration;

use rusqlite::Connection;

use crate::adapters::backup_store::{self, BackupFile};
use crate::adapters::disk::DiskError;
use crate::adapters::installation::{self, Claim};
use crate::adapters::session_deleting::Deleted;
use crate::adapters::{audio_store, backup_record, erasure_ledger, person_store};
use crate::adapters::{reserve, set_aside, ways_in_store};
use crate::app::sessions::ROWS_AT_ONCE;
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
    /// True when they were not seen with this token within the last hour.
    pub first_for_a_while: bool,
}

/// What an erasure promises.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct Erasure {
    /// When it happened.
    pub erased_at: Timestamp,
    /// The day by which the last backup that still holds the person is gone, at the latest, also when an accident has it
    /// guarded later; `null` when no backup does.
    pub backups_until: Option<String>,
}

fn after(at: Timestamp, days: u64) -> Timestamp {
    at.later_by(DAY * u32::try_from(days).unwrap_or(u32::MAX))
}

/// True when somebody was not seen, or a session not talked in, within the last hour: worth a note, and a cookie that lasts
/// anew.
pub(crate) fn is_first_for_a_while(last_seen_at: Timestamp, now: Timestamp) -> bool {
    now.since(last_seen_at) >= SEEN_EVERY
}

/// Notes that a person was seen with this token.
pub(crate) fn note_visit(
    db: &Connection,
    person: i64,
    token: &PersonToken,
    now: Timestamp,
) -> rusqlite::Result<()> {
    person_store::touch(db, person, now)?;
    ways_in_store::touch_device(db, token, now)
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
        let presented = token.clone();
        let find = move |db: &Connection| person_store::find_with_visit(db, &presented);
        let found = self.database.read("find a person", find).await?;
        let (mut person, last_seen_at) = found.ok_or(AppError::Unauthorized)?;
        let now = self.clock.now();
        let first_for_a_while = is_first_for_a_while(last_seen_at, now);
        if first_for_a_while {
            let note = move |db: &Connection| note_visit(db, person.key, &token, now);
            match self.database.write("note a visit", note).await {
                Ok(()) => person.last_seen_at = person.last_seen_at.max(now),
                // On a full disk the visit goes unnoted; that must not turn the person away.
                Err(error) => tracing::warn!(error = %error, "A visit could not be noted"),
            }
        }
        Ok(Visit { person, first_for_a_while })
    }

    /// Erases a person everywhere: ledger first, then every row in portions, then files and the log. Once
    /// begun it goes on to the end, whether or not anyone waits for it: after a kill, at the next start.
    ///
    /// # Errors
    /// When something could not be erased; then it is safe to ask again.
    pub async fn erase(self: &Arc<Self>, person: Person) -> Result<Erasure, AppError> {
        let app = self.clone();
        self.turns.to_its_end(async move { app.erase_everywhere(person).await }).await
    }

    async fn erase_everywhere(&self, person: Person) -> Result<Erasure, AppError> {
        let erased_at = self.clock.now();
        self.enter_in_ledger(person, erased_at).await?;
        let erase = move |db: &Connection| {
            let mut deleted = Deleted::default();
            // The same erasure, sent twice, may come second.
            let is_gone = !person_store::is_there(db, person)?
                || person_store::erase_some(db, person.key, ROWS_AT_ONCE, &mut deleted)?;
            Ok((deleted, is_gone))
        };
        let deleted = self.delete_all("erase a person", erase).await;
        self.recent.forget_all();
        self.passing.forget_person(person.key);
        let deleted = deleted?;
        self.forget_files(deleted).await?;
        let backups_until = self.held_until(erased_at).await.unwrap_or_else(|error| {
            // They are erased; that must not look as if it had failed.
            tracing::error!(error = %error, "Where there are copies of the database could not be found out");
            Some(after(erased_at, self.retention.keep_rules().longest_days(&[], erased_at)))
        });
        let backups_until = backups_until.map(Timestamp::day);
        tracing::info!(event = "person_erased", "A person was erased");
        Ok(Erasure { erased_at, backups_until })
    }

    /// On a full disk with the reserve's space, which the deletion that follows may need, too.
    async fn enter_in_ledger(&self, person: Person, at: Timestamp) -> Result<(), AppError> {
        let dir = self.data_dir.clone();
        let entered = self.blocking(move || {
            let enter = || erasure_ledger::enter(&dir, &[person.id], at);
            match enter() {
                Err(error) if error.is_full() => reserve::release(&dir).and_then(|_| enter()),
                other => other,
            }
        });
        entered.await??;
        let dir = self.data_dir.clone();
        let beside = move || erasure_ledger::enter_beside_backups(&dir, &[person.id], at);
        if self.backup_disk.look(beside).await.is_none() {
            erasure_ledger::tell_waiting(&"their disk does not answer");
        }
        Ok(())
    }

    /// When the last copy of the database as it was until `at` goes. Ordinary backups go by the rules of the last
    /// `backup-db` that wrote where they lie, where no report of it is left by those of the settings; guarded ones and databases set aside by a restore with the first `backup-db`
    /// after their own time, which is a day more.
    async fn held_until(&self, at: Timestamp) -> Result<Option<Timestamp>, AppError> {
        let written = self.database.read("read where backups went", backup_record::places).await?;
        let rules = self.retention.keep_rules();
        let dir = self.data_dir.clone();
        let aside = self.blocking(move || set_aside::list(&dir)).await??;
        let backups = self.backups_of_ours().await?;
        let is_known = written.iter().any(|known| known.into == self.data_dir.backups());
        // On a disk that does not answer there may be some.
        let unknown = !is_known && backups.as_ref().is_none_or(|backups| !backups.is_empty());
        let backups = backups.unwrap_or_default();
        let names: Vec<_> = backups.iter().map(|backup| backup.name).collect();
        let by_settings = rules.longest_days(&names, at);
        let known = written.iter().map(|place| after(at, place.kept_at_most_days.unwrap_or(by_settings)));
        let unknown = unknown.then(|| after(at, by_settings));
        let guarded = backups.iter().filter_map(|backup| backup.manifest.guarded_until());
        let aside = aside.into_iter().map(|(_, taken)| taken.later_by(DAY * rules.newest.get()));
        let own_time = guarded.chain(aside).map(|until| until.later_by(DAY));
        Ok(own_time.chain(known).chain(unknown).max())
    }

    /// The backups where they go by the settings, as far as they are this installation's; `None` when their disk does not answer.
    async fn backups_of_ours(&self) -> Result<Option<Vec<BackupFile>>, DiskError> {
        let dir = self.data_dir.clone();
        let look = move || {
            let place = dir.backups();
            // Nobody of ours is in another installation's.
            let ours = place.is_dir() && installation::claim(&dir, place)? != Claim::Anothers;
            if ours { backup_store::list(place) } else { Ok(Vec::new()) }
        };
        self.backup_disk.look(look).await.transpose()
    }

    /// Removes the files of deleted rows, and the deleted words from the database's log; then the reserve can be whole again.
    pub(crate) async fn forget_files(&self, deleted: Deleted) -> Result<(), AppError> {
        let dir = self.data_dir.audio().to_owned();
        let removing = move || {
            for (id, format) in deleted.audio {
                if let Err(error) = audio_store::remove_file(&audio_store::path_of(&dir, id, format)) {
                    // Nobody can ask for it any more; `cleanup-audio` tries again when it is old enough.
                    tracing::error!(audio = id.short(), error = %error.source, "An audio file could not be removed");
                }
            }
        };
        self.blocking(removing).await?;
        // A reader in the way is gone in milliseconds; after that the database goes on trying by itself.
        for _ in 0..20 {
            if self.database.scrub().await? {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // What the deletion took of it on a full disk lay in the log.
        self.make_reserve_whole().await
    }

    /// Runs `work`, which waits for the disk, off the threads that serve requests.
    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, AppError> {
        tokio::task::spawn_blocking(work).await.map_err(|error| AppError::Internal(Box::new(error)))
    }
}
