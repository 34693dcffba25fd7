//! What `status` tells.

use companion::adapters::inventory::{Inventory, LastRun};
use companion::domain::clock::Timestamp;

use super::{Readable, bytes, rows};

impl Readable for Inventory {
    fn lines(&self, _: bool) -> Vec<String> {
        let disk = &self.disk;
        let [free, reserve] = [disk.free_bytes, disk.reserve_bytes].map(bytes);
        let aside = bytes(disk.set_aside_bytes);
        let page = disk.asset_bytes.map_or_else(|| "unknown bytes".to_owned(), bytes);
        let place = if disk.backups_are_anothers {
            ", BACKUP_DIR IS ANOTHER INSTALLATION'S: none is ours, run doctor"
        } else if disk.backups_share_the_databases_disk {
            ", ON THE SAME DISK as the database"
        } else {
            ""
        };
        let mut lines = vec![
            format!("  database     {} and {} of log", bytes(disk.database_bytes), bytes(disk.log_bytes)),
            format!("  audio        {} in {} files", bytes(disk.audio_bytes), disk.audio_files),
            format!("  backups      {} in {} files{place}", bytes(disk.backup_bytes), disk.backups),
            format!("  set aside    {aside} by restores"),
            format!("  page files   {page} of the last releases"),
            format!("  newest       {}", self.newest_backup.as_deref().unwrap_or("no backup")),
            format!("  disk         {free} free, {reserve} kept in reserve"),
        ];
        if let Some(free) = disk.backups_free_bytes {
            lines.push(format!("  backups' disk {} free", bytes(free)));
        }
        if self.database_read {
            lines.insert(
                1,
                format!("  holds        {}", rows(self.sessions, self.checkpoints, self.memories)),
            );
            let next = &self.next;
            lines.push(format!(
                "  next cleanup {} sessions, {} checkpoints, {} memories, {} people, {} audio files",
                next.next_cleanup_sessions,
                next.next_cleanup_checkpoints,
                next.next_cleanup_memories,
                next.next_cleanup_persons,
                self.next_cleanup_audio_files
            ));
        }
        lines.extend(self.last_runs.iter().map(last_run));
        lines
    }
}

fn last_run(run: &LastRun) -> String {
    let at = |time: Option<Timestamp>| time.map_or("never".to_owned(), |at| at.to_string());
    match run.started_at {
        None => format!("  {:<17} never ran", run.job),
        Some(_) => format!(
            "  {:<17} {} at {}, last success {}",
            run.job,
            run.outcome,
            at(run.started_at),
            at(run.last_success)
        ),
    }
}
