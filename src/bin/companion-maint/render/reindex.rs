//! The report of `reindex-memories` for people.

use companion::maint::reindex_memories;

use super::Readable;

impl Readable for reindex_memories::Counts {
    fn lines(&self, dry_run: bool) -> Vec<String> {
        let would = if dry_run { "would be " } else { "" };
        let mut lines = vec![format!(
            "  embedded     {} of {} memories {would}indexed, {} strays {would}cleared",
            self.indexed, self.memories, self.cleared
        )];
        if let Some(place) = &self.copy {
            let by = if self.copied_by_server { " by the server" } else { "" };
            lines.push(format!("  Qdrant       {} memories {would}copied{by} to {place}", self.copied));
        }
        lines
    }
}
