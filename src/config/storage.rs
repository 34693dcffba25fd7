//! Where things lie on disk; a database that would lie where another file of ours does is refused.

use std::fs;
use std::path::{Path, PathBuf, absolute};

use crate::config::StorageConfig;
use crate::config::read::Reader;

const DATABASE: &str = "SHORT_TERM_MEMORY_DB_PATH";

/// What else lies in the data directory under a name of its own. The lists lie beside the backups, too.
const OURS: [&str; 8] = [
    "reserve",
    "erasures",
    "import-owners",
    "installation",
    "restore.pending",
    "locks",
    "assets",
    "set-aside",
];
/// Those of them that are directories: all in them is ours.
const OUR_DIRECTORIES: [&str; 3] = ["locks", "assets", "set-aside"];
/// How names of ours begin wherever they lie.
const OUR_PREFIX: &str = ".companion-";

pub(super) fn read(reader: &mut Reader) -> StorageConfig {
    let data_dir = reader.path("DATA_DIR", PathBuf::from("data"));
    let storage = StorageConfig {
        database: file_here(reader.path(DATABASE, data_dir.join("companion.db"))),
        audio_dir: reader.path("AUDIO_DIR", data_dir.join("audio")),
        backup_dir: reader.path("BACKUP_DIR", data_dir.join("backups")),
        backup_recipient: reader.recipient("BACKUP_AGE_RECIPIENT"),
        min_free_disk_bytes: reader.number("MIN_FREE_DISK_BYTES", 100 * 1024 * 1024, 0..=u64::MAX),
        data_dir,
    };
    if let Some((value, origin)) = reader.value(DATABASE)
        && is_taken(&storage)
    {
        let must = "another file of ours has this name, or a name that we give to files; must be a name of its own, as \
                    DATA_DIR/companion.db is";
        reader.problems.add_value(DATABASE, &value, &origin, must);
    }
    storage
}

/// Of a file that is named without a directory, the same name in `.`: where it lies has a name, too.
fn file_here(path: PathBuf) -> PathBuf {
    let alone = path.parent().is_some_and(|around| around.as_os_str().is_empty());
    if alone { Path::new(".").join(path) } else { path }
}

/// True when the database's path is that of something else of ours.
fn is_taken(storage: &StorageConfig) -> bool {
    let database = &storage.database;
    let name = database.file_name().unwrap_or_default().to_string_lossy();
    let around = database.parent().unwrap_or(database);
    let root = &storage.data_dir;
    let beside_ours = is_same(around, root) || absolute_of(around) == absolute_of(&storage.backup_dir);
    name.starts_with(OUR_PREFIX)
        || beside_ours && OURS.contains(&name.as_ref())
        || around.ancestors().any(|place| OUR_DIRECTORIES.iter().any(|ours| is_same(place, &root.join(ours))))
}

/// Also where a link leads to it. The directory of backups is not looked at: its disk may hang.
fn is_same(a: &Path, b: &Path) -> bool {
    let real = |path: &Path| fs::canonicalize(path).ok();
    absolute_of(a) == absolute_of(b) || real(a).is_some_and(|a| real(b) == Some(a))
}

fn absolute_of(path: &Path) -> PathBuf {
    absolute(path).unwrap_or_else(|_| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(database: &str) -> bool {
        is_taken(&StorageConfig {
            data_dir: "data".into(),
            database: file_here(database.into()),
            audio_dir: "data/audio".into(),
            backup_dir: "far/backups".into(),
            backup_recipient: None,
            min_free_disk_bytes: 0,
        })
    }

    #[test]
    fn a_name_of_ours_is_no_name_for_the_database() {
        for ours in [
            "data/reserve",
            "data/./erasures",
            "data/locks/server.lock",
            "data/locks",
            "data/set-aside/20260101T000000Z/companion.db",
            "far/backups/erasures",
            "elsewhere/.companion-reserve",
            ".companion-tmp-1",
        ] {
            assert!(taken(ours), "{ours}");
        }
        for free in
            ["data/companion.db", "memory.db", "elsewhere/reserve", "data/db/locks", "far/backups/my.db"]
        {
            assert!(!taken(free), "{free}");
        }
    }
}
