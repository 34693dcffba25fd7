//! What is wrong on disk beside the database: leftovers, permissions, the reserve, free space.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::adapters::acting;
use crate::adapters::data_dir::{DataDir, Lock, TEMPORARY_PREFIX};
use crate::adapters::disk::{self, DiskError, Naming};
use crate::adapters::private_files::{self, Exposed};
use crate::adapters::reserve::{self, RESERVE_BYTES};
use crate::adapters::{audio_store, import_owners, installation, release_assets, scratch, set_aside};
use crate::domain::backup::BackupName;
use crate::domain::clock::Timestamp;
use crate::domain::maintenance::{BACKUP_DB, CLEANUP_AUDIO, CLEANUP_SESSIONS, DOCTOR, VERIFY_BACKUPS};
use crate::maint::doctor::{Visit, backups};
use crate::maint::verify_backups::BENCH;
use crate::maint::{MaintError, Run};

/// A regular file.
#[derive(Debug, Clone)]
pub struct Entry {
    pub name: String,
    pub path: PathBuf,
    pub written_at: Timestamp,
}

/// The regular files of a directory, by name; links are left out, and a directory that is not there has none.
pub fn entries(dir: &Path) -> Result<Vec<Entry>, DiskError> {
    let listing = match fs::read_dir(dir).naming("list", dir) {
        Err(error) if error.is_missing() => return Ok(Vec::new()),
        other => other?,
    };
    let mut found = Vec::new();
    for entry in listing {
        let entry = entry.naming("list", dir)?;
        // Not `metadata()` of the path: that would follow a link. What has gone meanwhile is left out.
        let Ok(meta) = entry.metadata() else { continue };
        let Ok(modified) = meta.modified() else { continue };
        if meta.is_file() {
            let name = entry.file_name().to_string_lossy().into_owned();
            found.push(Entry { name, path: entry.path(), written_at: Timestamp::from_system(modified) });
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

fn database_dir<'a>(visit: &'a Visit<'_>) -> &'a Path {
    visit.dir.database().parent().unwrap_or(visit.dir.root())
}

/// What a look through the backups that was killed had unpacked: whole databases. Once they lay beside the backups.
fn bench(visit: &mut Visit<'_>, place: &Path) -> Result<(), MaintError> {
    let path = place.join(BENCH);
    if !is_real_dir(&path) {
        return Ok(());
    }
    visit.while_idle(&[VERIFY_BACKUPS], |visit| {
        if is_real_dir(&path) {
            let found = "left by a verify-backups that was interrupted".to_owned();
            visit.mendable(shown(visit, &path), found, "delete it", |_| {
                fs::remove_dir_all(&path).naming("remove", &path)?;
                Ok(())
            });
        }
        Ok(())
    })
}

/// Not a link to one.
fn is_real_dir(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|meta| meta.is_dir())
}

pub fn leftovers(visit: &mut Visit<'_>) -> Result<(), MaintError> {
    let places = [visit.dir.root(), database_dir(visit), visit.dir.audio(), visit.dir.backups()];
    let mut places: BTreeSet<PathBuf> = places.into_iter().map(Path::to_owned).collect();
    places.insert(scratch::own_place(&visit.dir));
    if !backups::are_ours(visit) {
        places.remove(visit.dir.backups());
    }
    for place in &places {
        bench(visit, place)?;
    }
    for left in unless_denied(release_assets::temporary(&visit.dir))? {
        let settled = visit.settled;
        let is_old =
            |meta: fs::Metadata| meta.modified().is_ok_and(|at| Timestamp::from_system(at) < settled);
        if fs::symlink_metadata(&left).is_ok_and(is_old) {
            let found = "left by a start of the server that was interrupted".to_owned();
            visit.mendable(shown(visit, &left), found, "delete it", |_| {
                fs::remove_dir_all(&left).naming("remove", &left)?;
                Ok(())
            });
        }
    }
    let mut old = Vec::new();
    for place in places {
        let all = entries(&place)?.into_iter();
        old.extend(all.filter(|e| e.name.starts_with(TEMPORARY_PREFIX) && e.written_at < visit.settled));
    }
    if old.is_empty() {
        return Ok(());
    }
    // A large backup may write nothing for long while its copy is checked.
    visit.while_idle(&[BACKUP_DB], |visit| {
        for entry in old {
            if !entry.path.exists() {
                continue;
            }
            let found = "left by a write that was interrupted".to_owned();
            visit.mendable(shown(visit, &entry.path), found, "delete it", |_| {
                disk::remove_if_there(&entry.path)?;
                Ok(())
            });
        }
        Ok(())
    })
}

/// A path as it is shown: within the data directory, or whole.
fn shown(visit: &Visit<'_>, path: &Path) -> String {
    let within = path.strip_prefix(visit.dir.root()).unwrap_or(path);
    if within.as_os_str().is_empty() { "data directory".to_owned() } else { within.display().to_string() }
}

pub fn permissions(visit: &mut Visit<'_>) -> Result<(), MaintError> {
    // What lies in a directory can be listed once that is the owner's.
    let places = private_places(visit)?;
    look_at(visit, places)?;
    let files = private_files(visit)?;
    look_at(visit, files)
}

fn look_at(visit: &mut Visit<'_>, paths: Vec<Private>) -> Result<(), MaintError> {
    for Private { base, path, name } in paths {
        visit.run.check_stop()?;
        let owner = visit.dir.owner();
        let exposed = private_files::look(&base, &path, owner).unwrap_or_else(|error| {
            visit.failed(name.clone(), &error.into());
            None
        });
        let Some(exposed) = exposed else { continue };
        let (found, repair) = describe(exposed, owner.ids().0);
        visit.mendable(name, found, &repair, |_| {
            private_files::mend(&base, &path, owner)?;
            Ok(())
        });
    }
    Ok(())
}

/// Something of ours.
struct Private {
    /// From here on no link is followed.
    base: PathBuf,
    path: PathBuf,
    /// What it is called in the report.
    name: String,
}

impl Private {
    fn at(visit: &Visit<'_>, path: PathBuf) -> Self {
        let name = shown(visit, &path);
        let dir = &visit.dir;
        let bases = [dir.root(), database_dir(visit), dir.audio(), dir.backups()];
        let base = bases.into_iter().find(|base| path.starts_with(base)).unwrap_or(&path).to_owned();
        Self { base, path, name }
    }
}

/// The directories that are ours. What an operator put beside them is not looked at, and a directory outside may have been
/// made for others too.
fn private_places(visit: &Visit<'_>) -> Result<Vec<Private>, MaintError> {
    let dir = &visit.dir;
    // The data directory itself may be a link that the operator made; nothing below it.
    let mut found = vec![dir.root().to_owned()];
    let locks = dir.locks();
    let inside =
        [dir.audio(), dir.backups(), &locks].into_iter().filter(|place| place.starts_with(dir.root()));
    found.extend(inside.map(Path::to_owned));
    let aside = set_aside::place(dir);
    found.extend(unless_denied(set_aside::list(dir))?.into_iter().map(|(name, _)| aside.join(name)));
    found.push(aside);
    found.push(release_assets::place(dir));
    found.extend(unless_denied(release_assets::all_directories(dir))?);
    Ok(found.into_iter().map(|path| Private::at(visit, path)).collect())
}

/// The files that are ours.
fn private_files(visit: &Visit<'_>) -> Result<Vec<Private>, MaintError> {
    let dir = &visit.dir;
    let mut found = vec![dir.erasures(), import_owners::path(dir), installation::path(dir)];
    found.extend(dir.reserves());
    for ending in ["", "-wal", "-shm"] {
        let mut name = dir.database().as_os_str().to_owned();
        name.push(ending);
        found.push(name.into());
    }
    let aside = set_aside::place(dir);
    for (name, _) in unless_denied(set_aside::list(dir))? {
        found.extend(unless_denied(entries(&aside.join(&name)))?.into_iter().map(|e| e.path));
    }
    found.extend(unless_denied(release_assets::all_files(dir))?);
    let locks = unless_denied(entries(&dir.locks()))?.into_iter();
    found.extend(locks.filter(|e| e.name.ends_with(".lock")).map(|e| e.path));
    if backups::are_ours(visit) {
        let backups = unless_denied(entries(dir.backups()))?.into_iter();
        found.extend(backups.filter(|e| is_backup(&e.name)).map(|e| e.path));
        found.push(installation::marker(dir.backups()));
    }
    let mut found: Vec<_> = found.into_iter().map(|path| Private::at(visit, path)).collect();
    if dir.audio().is_dir() {
        for file in unless_denied(audio_store::list(dir.audio()))? {
            let shown = file.shown();
            let named = Private::at(visit, file.path);
            found.push(Private { name: shown, ..named });
        }
    }
    Ok(found)
}

/// What a directory holds; nothing where it may not be looked into: that it is somebody else's is told then.
fn unless_denied<T>(listed: Result<Vec<T>, DiskError>) -> Result<Vec<T>, DiskError> {
    match listed {
        Err(error) if error.source.kind() == ErrorKind::PermissionDenied => Ok(Vec::new()),
        other => other,
    }
}

/// Takes the doctor's lock; `mending`, also where the locks are somebody else's, which are given to the owner then: without
/// them not even a doctor gets in.
pub fn lock(run: &Run<'_>, dir: &DataDir, mending: bool) -> Result<Lock, MaintError> {
    match run.lock(dir, DOCTOR) {
        Err(error) if mending && acting::hint(&error).is_some() => {}
        other => return other,
    }
    private_files::mend(dir.root(), &dir.locks(), dir.owner())?;
    for lock in entries(&dir.locks())? {
        private_files::mend(dir.root(), &lock.path, dir.owner())?;
    }
    run.lock(dir, DOCTOR)
}

fn is_backup(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default();
    BackupName::parse(&format!("{stem}.db.zst")).is_some()
}

fn describe(exposed: Exposed, owner: u32) -> (String, String) {
    let mut found = Vec::new();
    let mut repair = Vec::new();
    if let Some(mode) = exposed.mode {
        found.push(format!("mode {mode:04o}: others than its owner may use it"));
        repair.push(format!("make it {:04o}", exposed.right_mode));
    }
    if let Some(wrong) = exposed.owner {
        found.push(format!("belongs to user {wrong}, the data directory to {owner}"));
        repair.push(format!("give it to user {owner} (only root can)"));
    }
    (found.join("; "), repair.join("; "))
}

/// What has the name of a database that was set aside, and is none.
pub fn strangers_set_aside(visit: &mut Visit<'_>) -> Result<(), MaintError> {
    for name in set_aside::strangers(&visit.dir)? {
        let item = shown(visit, &set_aside::place(&visit.dir).join(name));
        let found = "has the name of a database that was set aside, and is no directory".to_owned();
        visit.finding(&item, found, "nothing of ours makes it, and nothing removes it: move it away");
    }
    Ok(())
}

pub fn reserve(visit: &mut Visit<'_>) -> Result<(), MaintError> {
    let paths = visit.dir.reserves();
    if let Some(anothers) = paths.iter().find(|path| reserve::is_anothers(path)) {
        let found = "another file has the name of the reserve; nothing is kept back".to_owned();
        visit.finding(
            &shown(visit, anothers),
            found,
            "move it away; the next start or cleanup makes the reserve",
        );
        return Ok(());
    }
    let wrong = || paths.iter().find_map(|path| wrong_reserve(path));
    if wrong().is_none() {
        return Ok(());
    }
    // They lend it.
    visit.while_idle(&[CLEANUP_SESSIONS, CLEANUP_AUDIO], |visit| {
        if let Some(found) = wrong() {
            visit.mendable("reserve".to_owned(), found, "make it whole", |visit| {
                reserve::release(&visit.dir)?;
                reserve::restore(&visit.dir).map_err(Into::into)
            });
        }
        Ok(())
    })
}

fn wrong_reserve(path: &Path) -> Option<String> {
    match fs::symlink_metadata(path).map(|meta| meta.len()).ok() {
        None => Some("is missing: cleanup may not work on a full disk".to_owned()),
        Some(RESERVE_BYTES) if disk::allocated_bytes(path) >= RESERVE_BYTES => None,
        Some(bytes) => Some(format!("is {bytes} bytes, should be {RESERVE_BYTES} that are really there")),
    }
}

pub fn free_space(visit: &mut Visit<'_>) -> Result<(), MaintError> {
    let needed = visit.dir.min_free_bytes();
    let mut places = vec![("database", database_dir(visit).to_owned())];
    let backups = visit.dir.backups().to_owned();
    if backups.is_dir() && !disk::same_file_system(&places[0].1, &backups) {
        places.push(("backups", backups));
    }
    for (item, place) in places {
        let free = disk::free_bytes(&place)?;
        if free < needed {
            let found = format!("{free} bytes are free, MIN_FREE_DISK_BYTES is {needed}");
            let repair =
                "make room; companion-maint cleanup-audio and cleanup-sessions free what has expired";
            visit.finding(item, found, repair);
        }
    }
    if let Some(kind) = disk::network_file_system(visit.dir.database()).ok().flatten() {
        let repair = "move it to a local disk and set SHORT_TERM_MEMORY_DB_PATH";
        visit.finding("database", format!("is on a network file system ({kind})"), repair);
    }
    Ok(())
}
