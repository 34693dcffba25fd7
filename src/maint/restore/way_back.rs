//! How to go back to the database that a restore set aside.

use std::path::{Path, absolute};

use crate::adapters::data_dir::DataDir;
use crate::adapters::set_aside;
use crate::adapters::shell_word::shell_word;

/// Shell commands that put the database from before back. Whoever runs them, the jobs have to be able to remove the
/// directory they make once its time is over.
pub(super) fn commands(dir: &DataDir, aside: &Path) -> String {
    let whole = |path: &Path| absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut undone = whole(aside).into_os_string();
    undone.push(set_aside::UNDONE);
    let undone = shell_word(Path::new(&undone));
    let (database, aside) = (shell_word(&whole(dir.database())), shell_word(&whole(aside)));
    let home = shell_word(&whole(dir.database().parent().unwrap_or(dir.root())));
    format!(
        "stop the server, then: mkdir -m 700 {undone} && chown --reference={home} {undone} && \
         for part in '' -wal -shm -journal; do [ ! -e {database}$part ] || mv {database}$part {undone}/; \
         done && mv {aside}/* {home}/"
    )
}
