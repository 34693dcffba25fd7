//! What `backup-db` made and removed, for people.

use companion::maint::backup::Counts;

use super::{Readable, bytes, rows, verdict};

impl Readable for Counts {
    fn lines(&self, dry_run: bool) -> Vec<String> {
        let mut lines = Vec::new();
        if let Some(path) = &self.path {
            lines.push(format!("  backup       {path} ({}), verified", bytes(self.bytes)));
            lines.push(format!("  sha256       {}", self.sha256.as_deref().unwrap_or_default()));
            let holds = rows(self.sessions, self.checkpoints, self.memories);
            lines.push(format!("  holds        {holds}, {} uncompressed", bytes(self.database_bytes)));
        }
        lines.extend(
            self.kept.iter().map(|kept| format!("  keep         {}: {}", kept.file, kept.reasons.join(", "))),
        );
        let verb = if dry_run { "would remove" } else { "removed" };
        lines.extend(self.removed.iter().map(|file| format!("  {verb:<12} {file}")));
        lines.extend(
            self.set_aside_removed
                .iter()
                .map(|name| format!("  {verb:<12} set-aside/{name}, its time is over")),
        );
        lines
    }

    fn verdict(&self, exit_code: u8) -> &'static str {
        match (exit_code, &self.most_rows_gone_since) {
            (3, Some(_)) => "MOST ROWS HAVE GONE, look before it runs again",
            (other, _) => verdict(other),
        }
    }
}
