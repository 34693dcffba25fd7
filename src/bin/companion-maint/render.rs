//! Reports for people: a few lines each. (As JSON a report is simply itself.)

use companion::maint::cleanup_audio;
use companion::maint::cleanup_sessions;
use companion::maint::doctor::{self, Finding};
use companion::maint::import_langgraph;
use companion::maint::list_backups;
use companion::maint::restore;
use companion::maint::verify_backups::{self, Checked};
use companion::maint::{ItemError, Report};

mod backup;
mod reindex;
mod status;

/// A report that can be read.
pub trait Readable {
    /// The lines that tell what was done, given whether it was only tried.
    fn lines(&self, dry_run: bool) -> Vec<String>;

    /// How it ended, where the usual words do not fit.
    fn verdict(&self, exit_code: u8) -> &'static str {
        verdict(exit_code)
    }

    /// True when the report holds what is never told again, so that it is shown even with `--quiet`.
    fn must_be_told(&self) -> bool {
        false
    }
}

/// The whole report as text.
pub fn text<C: Readable>(report: &Report<C>) -> String {
    let mut lines = Vec::new();
    let failed = !matches!(report.exit_code, 0 | 3) && !report.errors.is_empty();
    let tried = if report.dry_run { " (dry run: nothing was changed)" } else { "" };
    lines.push(format!(
        "{}{tried}: {} in {} ms",
        report.job,
        report.counts.verdict(report.exit_code),
        report.duration_ms
    ));
    // A run that was turned away, at the door or by a fuse, has nothing to count.
    if report.begun && (!failed || report.exit_code == 1) {
        lines.extend(report.counts.lines(report.dry_run));
    }
    lines.extend(report.errors.iter().map(|ItemError { item, error }| format!("  ! {item}: {error}")));
    lines.join("\n")
}

fn verdict(exit_code: u8) -> &'static str {
    match exit_code {
        0 => "done",
        1 => "FAILED",
        2 => "not run, wrong usage",
        3 => "done in part, safe to run again",
        4 => "REFUSED for safety",
        _ => "not run, another run holds the lock",
    }
}

impl Readable for cleanup_sessions::Counts {
    fn lines(&self, dry_run: bool) -> Vec<String> {
        let retention = match (self.retention_days, self.cutoff) {
            (Some(days), Some(cutoff)) => format!("  retention {days} days: idle since before {cutoff}"),
            _ => "  retention off: only unremembered sessions go".to_owned(),
        };
        vec![
            retention,
            format!(
                "  sessions     {} of {} {}, {} remain",
                self.sessions_deleted,
                self.sessions_before,
                deleted(dry_run),
                self.sessions_remaining.map_or("an unknown number".to_owned(), |count| count.to_string())
            ),
            format!(
                "  checkpoints  {} of {} {}",
                self.checkpoints_deleted,
                self.checkpoints_before,
                deleted(dry_run)
            ),
            format!("  audio files  {} {}", self.audio_files_deleted, deleted(dry_run)),
            format!("  memories     {} {}", self.memories_deleted, deleted(dry_run)),
            format!(
                "  people       {} {}",
                self.persons_erased,
                if dry_run { "would be erased" } else { "erased" }
            ),
            format!("  disk         {} given back", bytes(self.bytes_reclaimed)),
        ]
    }
}

impl Readable for cleanup_audio::Counts {
    fn lines(&self, dry_run: bool) -> Vec<String> {
        vec![
            format!(
                "  audio files  {} of {} {} ({})",
                self.files_deleted,
                self.files_scanned,
                deleted(dry_run),
                bytes(self.bytes_reclaimed)
            ),
            format!("  remaining    {} ({})", self.files_remaining, bytes(self.bytes_remaining)),
        ]
    }
}

impl Readable for restore::Counts {
    fn lines(&self, dry_run: bool) -> Vec<String> {
        let Some(path) = &self.path else { return Vec::new() };
        let taken = self.created_at.as_deref().unwrap_or("an unknown time");
        let mut lines = vec![format!("  backup       {path} of {taken}")];
        if self.interrupted_restore_undone {
            lines.push("  before       an interrupted restore was undone".to_owned());
        }
        if self.verified {
            let (verb, size) = (if dry_run { "would hold" } else { "holds" }, bytes(self.database_bytes));
            let holds = rows(self.sessions, self.checkpoints, self.memories);
            lines.push(format!("  {verb:<12} {holds}, {size}, verified"));
        }
        if self.would_expire > 0 {
            lines.push(format!(
                "  expiring     THE NEXT CLEANUP DELETES {} of these sessions: raise SESSION_RETENTION_DAYS before it, or \
                 stop its schedule",
                self.would_expire
            ));
        }
        if self.erased_again > 0 {
            lines.push(format!("  erased again {} people who asked to be forgotten", self.erased_again));
        }
        if let (Some(aside), Some(go_back)) = (&self.set_aside, &self.go_back) {
            lines.push(format!("  set aside    {aside}"));
            lines.push(format!("  to go back   {go_back}"));
        }
        lines
    }
}

fn rows(sessions: u64, checkpoints: u64, memories: u64) -> String {
    format!("{sessions} sessions, {checkpoints} checkpoints, {memories} memories")
}

impl Readable for list_backups::Counts {
    fn lines(&self, _: bool) -> Vec<String> {
        let mut lines =
            vec![format!("  {} backups in {}, {}", self.backups.len(), self.directory, bytes(self.bytes))];
        for backup in &self.backups {
            let key = if backup.encrypted { ", encrypted" } else { "" };
            let guard = backup.guarded_until.as_ref().map_or_else(String::new, |until| {
                format!(", stays until {until}: the last one before most rows went, or before a takeover")
            });
            lines.push(format!(
                "  {}  {}, {}, schema {}{key}{guard}",
                backup.file,
                rows(backup.sessions, backup.checkpoints, backup.memories),
                bytes(backup.bytes),
                backup.schema_version
            ));
        }
        lines.extend(
            self.without_manifest
                .iter()
                .map(|file| format!("  {file}  has no manifest: not ours, or damaged")),
        );
        lines
    }
}

impl Readable for verify_backups::Counts {
    fn lines(&self, _: bool) -> Vec<String> {
        let mut lines = vec![format!("  {} of {} backups verify", self.verified.len(), self.backups)];
        for backup in &self.verified {
            let how = match backup.checked {
                Checked::Content => "content",
                Checked::Sha256 => "SHA-256 only: no --identity was given",
            };
            lines.push(format!(
                "  {}  {} sessions, {} checkpoints ({how})",
                backup.file, backup.sessions, backup.checkpoints
            ));
        }
        if let Some(drill) = &self.drill {
            lines.push(format!(
                "  drill        {} was restored in {} ms: {}",
                drill.file,
                drill.duration_ms,
                rows(drill.sessions, drill.checkpoints, drill.memories)
            ));
        }
        lines
    }
}

impl Readable for doctor::Counts {
    fn lines(&self, _: bool) -> Vec<String> {
        let server = if self.server_running { "the server is running" } else { "no server is running" };
        let told = |sign: &str, by: &str, findings: &[Finding]| -> Vec<String> {
            let line = |f: &Finding| {
                let by = if f.mendable { by } else { "" };
                format!("  {sign} {}: {}: {} -> {by}{}", f.check, f.item, f.found, f.repair)
            };
            findings.iter().map(line).collect()
        };
        let mut lines = vec![format!(
            "  {} checks, {} mended, {} to do; {server}",
            self.checks, self.repaired_count, self.findings_count
        )];
        lines.extend(told("+ mended:", "", &self.repaired));
        lines.extend(told("- to do:", "doctor --repair: ", &self.findings));
        lines
    }

    fn verdict(&self, exit_code: u8) -> &'static str {
        match exit_code {
            0 => "all is well",
            3 => "NOT ALL IS WELL",
            other => verdict(other),
        }
    }
}

impl Readable for import_langgraph::Told {
    fn lines(&self, dry_run: bool) -> Vec<String> {
        let counts = &self.counts;
        let skipped = &counts.messages_skipped;
        let verb = if dry_run { "would be imported" } else { "imported" };
        let mut lines = vec![
            format!(
                "  source       {} threads, {} checkpoints read",
                counts.threads_found, counts.checkpoints_read
            ),
            format!(
                "  sessions     {} {verb}, {} with more turns, {} unchanged, {} deleted here since",
                counts.sessions_imported,
                counts.sessions_updated,
                counts.sessions_unchanged,
                counts.sessions_deleted_since
            ),
            format!(
                "  turns        {} {verb}, {} answered since, {} were there",
                counts.turns_imported, counts.turns_completed, counts.turns_already_there
            ),
            format!(
                "  left out     {} system and {} tool messages, {} without words, {} others, {} parts that are no text",
                skipped.system, skipped.tool, skipped.without_words, skipped.other, counts.parts_skipped
            ),
        ];
        if counts.checkpoints_unreadable > 0 {
            lines.push(format!("  unreadable   {} checkpoints", counts.checkpoints_unreadable));
        }
        if counts.would_expire > 0 {
            lines.push(format!(
                "  expiring     THE NEXT CLEANUP DELETES {} of these sessions; --pin keeps them",
                counts.would_expire
            ));
        }
        if let (Some(token), Some(purpose)) = (&self.person_token, self.person_token_use) {
            lines.push(format!("  person       {token}"));
            lines.push(format!("               {purpose}"));
        }
        lines
    }

    fn must_be_told(&self) -> bool {
        self.person_token.is_some()
    }
}

fn deleted(dry_run: bool) -> &'static str {
    if dry_run { "would be deleted" } else { "deleted" }
}

#[expect(clippy::cast_precision_loss, reason = "shown with one decimal")]
fn bytes(count: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    let mut amount = count as f64 / 1024.0;
    let mut unit = 0;
    while amount >= 1024.0 && unit + 1 < UNITS.len() {
        amount /= 1024.0;
        unit += 1;
    }
    format!("{amount:.1} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::bytes;

    #[test]
    fn sizes_are_readable() {
        assert_eq!(bytes(0), "0 B");
        assert_eq!(bytes(1023), "1023 B");
        assert_eq!(bytes(10_485_760), "10.0 MiB");
        assert_eq!(bytes(u64::MAX), "16777216.0 TiB");
    }
}
