//! The data directory and the database are put in order before anyone is served.

use std::path::Path;
use std::sync::Arc;

use rusqlite::Connection;

use crate::adapters::backup_disk::BackupDisk;
use crate::adapters::backup_writer::{self, BackupError};
use crate::adapters::data_dir::DataDir;
use crate::adapters::database::Prepare;
use crate::adapters::installation::{self, Claim};
use crate::adapters::leftovers::remove_leftovers;
use crate::adapters::release_assets::{self, Keeping};
use crate::adapters::sqlite::{self, Access, DbError};
use crate::adapters::{erasure_ledger, import_owners, reserve, scratch};
use crate::domain::clock::Clock;
use crate::startup::StartupError;
use crate::web::assets;
use crate::web::earlier_assets::EarlierAssets;

/// Tells the log where our database lies when the setting names the predecessor's, and how to bring that in.
pub(super) fn import_command(dir: &DataDir) -> Option<String> {
    let named = dir.predecessor()?;
    let quoted = |path: &Path| {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        format!("'{}'", path.display().to_string().replace('\'', "'\\''"))
    };
    let (source, root) = (quoted(named), quoted(dir.root()));
    let command = format!(
        "SHORT_TERM_MEMORY_DB_PATH={source} companion-maint --data-dir {root} import-langgraph {source}"
    );
    tracing::warn!(
        event = "predecessor_database_found",
        database = %dir.database().display(),
        command,
        "SHORT_TERM_MEMORY_DB_PATH names a predecessor's database: ours lies beside it. The command brings its conversations in"
    );
    Some(command)
}

pub(super) fn clean_up(dir: &DataDir) -> Result<(), StartupError> {
    let database_dir = dir.database().parent().unwrap_or(dir.root());
    for place in [dir.root(), database_dir] {
        for leftover in remove_leftovers(place)? {
            tracing::info!(path = %leftover.display(), "Removed what an interrupted write had left");
        }
    }
    // Whoever holds the lock is writing there now and cleans up after itself.
    if let Ok(_lock) = dir.lock("backup-db") {
        for leftover in scratch::clear_own_place(dir)? {
            tracing::info!(path = %leftover.display(), "Removed the copy that an interrupted backup had left");
        }
    }
    if let Err(error) = reserve::restore(dir) {
        tracing::warn!(error = %error, "The reserve cannot be made; cleanup may not work on a full disk");
    }
    Ok(())
}

/// Makes the directory of backups and removes what an interrupted one has left there. A disk that hangs is told, and not
/// waited for.
pub(super) fn clean_up_backups(dir: &DataDir, disk: &BackupDisk) {
    let place = dir.clone();
    let looked = disk.look_first(move || {
        place.make_place_of_backups();
        place.backups().is_dir()
            && matches!(installation::claim(&place, place.backups()), Ok(Claim::Ours | Claim::Nobodys))
    });
    let place = dir.clone();
    // The lock only now: whoever hangs would keep it from backups that go elsewhere.
    let cleared = looked
        .and_then(|is_ours| if is_ours { disk.look_first(move || clear_backups(&place)) } else { Some(()) });
    if cleared.is_none() {
        tracing::warn!(
            event = "backup_disk_hangs",
            path = %dir.backups().display(),
            "The disk of the backups does not answer; the server starts without it"
        );
    }
}

fn clear_backups(dir: &DataDir) {
    // Whoever holds the lock is writing there now and cleans up after itself.
    let Ok(_lock) = dir.lock("backup-db") else { return };
    if let Err(error) = remove_leftovers(dir.backups()) {
        tracing::warn!(error = %error, "What an interrupted backup had left could not be removed");
    }
}

/// What a page that was cached before an upgrade may still ask for; `None`, which is told, when it cannot be looked for.
pub(super) fn earlier_assets(dir: &DataDir) -> Option<EarlierAssets> {
    let found = release_assets::earlier(dir, assets::RELEASE).inspect_err(|error| {
        tracing::warn!(
            event = "server_assets_not_found",
            error = %error,
            "The pages of earlier releases will miss their files, and so will this one's after an upgrade"
        );
    });
    let found = EarlierAssets::new(found.ok()?);
    // Before this start writes its own: a server that never lived long enough would leave more each time.
    if let Err(error) = release_assets::remove_interrupted(dir) {
        tracing::warn!(error = %error, "What an interrupted start had left of the page's files could not be removed");
    }
    Some(found)
}

/// Leaves this release's files for those after it. That it cannot is no reason not to serve.
pub(super) fn keep_assets(dir: &DataDir) {
    let release = assets::RELEASE;
    match release_assets::keep(dir, release, assets::to_keep()) {
        Ok(Keeping::Known) => {}
        Ok(Keeping::Written) => {
            tracing::info!(
                event = "server_assets_kept",
                release,
                "The page's files were left for later releases"
            );
        }
        Ok(Keeping::NoRoom) => tracing::warn!(
            event = "server_assets_not_kept",
            release,
            "The disk is low: the page's files were not left for later releases"
        ),
        Err(error) => tracing::warn!(
            event = "server_assets_not_kept",
            release,
            error = %error,
            "The page's files could not be left for later releases"
        ),
    }
}

/// A database that was put back by hand must not bring back who asked to be forgotten since.
pub(super) fn forget_again(dir: &DataDir) -> Result<(), StartupError> {
    let erased = erasure_ledger::apply_in_place(dir)?;
    if erased > 0 {
        tracing::warn!(
            event = "persons_erased_again",
            erased,
            "The database still held people who had asked to be forgotten; they were erased again"
        );
    }
    Ok(())
}

/// On a disk with no byte free the database cannot even be opened; the reserve is there for that.
pub(super) fn open_despite_full_disk(
    dir: &DataDir,
    clock: &Arc<dyn Clock>,
) -> Result<Option<Prepare>, StartupError> {
    let opened = open_database(dir, clock.clone());
    if opened.is_ok() || !dir.has_no_room() || !reserve::release(dir)? {
        return opened;
    }
    tracing::warn!(
        "The disk is full: the reserve was released so that the server can start; run cleanup-sessions"
    );
    open_database(dir, clock.clone())
}

/// Makes the database if there is none, and says what has to be done to it before it can be used, if anything.
fn open_database(dir: &DataDir, clock: Arc<dyn Clock>) -> Result<Option<Prepare>, StartupError> {
    if !dir.database().exists() {
        sqlite::create(dir)?;
    }
    let path = dir.database().to_owned();
    let (db, found) = sqlite::open(&path, Access::ReadWrite)?;
    let known = sqlite::schema_version();
    if found > known {
        return Err(DbError::Newer { path, found, known }.into());
    }
    if found == known {
        if let Err(error) = import_owners::note_made(dir, &db) {
            tracing::warn!(error = %error, "Whom conversations were imported for could not be noted in import-owners");
        }
        return Ok(None);
    }
    let dir = dir.clone();
    Ok(Some(Box::new(move |connection| upgrade(connection, &dir, clock.as_ref(), found))))
}

/// Takes a verified backup, then brings the schema up to date.
fn upgrade(connection: &mut Connection, dir: &DataDir, clock: &dyn Clock, found: i64) -> Result<(), DbError> {
    tracing::info!(
        event = "migration_started",
        from = found,
        to = sqlite::schema_version(),
        "Backing up, then upgrading the database"
    );
    let backup = back_up(dir, dir.backups(), clock)
        .map_err(|error| DbError::BackupFirst { source: Box::new(error) })?;
    sqlite::migrate(connection)?;
    tracing::info!(event = "migration_completed", backup = %backup.display(), "The database is upgraded");
    Ok(())
}

fn back_up(dir: &DataDir, into: &Path, clock: &dyn Clock) -> Result<std::path::PathBuf, BackupError> {
    let _lock = dir.lock("backup-db")?;
    dir.owner().create_dir(into)?;
    backup_writer::claim(dir, into, false)?;
    let go_on = &mut |_, _, _| std::ops::ControlFlow::Continue(());
    let proven = backup_writer::prove(dir, into, go_on, || false)?;
    Ok(backup_writer::keep(proven, dir, into, clock.now(), go_on)?.path)
}
