//! What has happened since a backup was made, and has to stay so: its copy is changed before it takes its place.

use std::path::Path;

use crate::adapters::data_dir::DataDir;
use crate::adapters::sqlite::{self, DbError, During};
use crate::adapters::{audio_store, copy_store, erasure_ledger, import_owners, sign_in_store, ways_in_since};
use crate::maint::MaintError;
use crate::maint::restore::Chosen;

/// Erases who asked to be forgotten, lets go of audio that is deleted, keeps what has become of people's tokens, has the copy of the index
/// of memories begun anew, and ends every link and sign-in. Returns how many were erased.
pub(super) fn make_true(dir: &DataDir, copy: &Path) -> Result<u64, MaintError> {
    let erased = erasure_ledger::apply(dir, copy)?;
    forget_lost_audio(dir, copy)?;
    ways_in_since::keep(dir, copy)?;
    copy_store::mark_restored(copy)?;
    // Last of the changes: it flushes.
    sign_in_store::end_all(copy)?;
    Ok(erased)
}

/// Audio replies are in no backup: what has been deleted since is not referred to any more.
fn forget_lost_audio(dir: &DataDir, copy: &Path) -> Result<(), DbError> {
    let db = sqlite::open_scratch(copy)?;
    let there = |id, format| audio_store::path_of(dir.audio(), id, format).exists();
    audio_store::delete_rows_unless(&db, there).during("forget deleted audio")?;
    db.close().map_err(|(_, error)| error).during("close the copy")
}

/// Where the data directory was lost with its disk, the lists beside the backups still tell who was erased.
pub(super) fn take_lists_along(dir: &DataDir, chosen: &Chosen) -> Result<(), MaintError> {
    let (beside, rights) = (chosen.path.parent().unwrap_or(Path::new(".")), chosen.rights);
    erasure_ledger::take_along(dir, beside, rights)?;
    import_owners::take_along(dir, beside, rights).map_err(Into::into)
}
