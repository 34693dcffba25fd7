//! The backups that lie in a directory, and which of them stay once one more is made.

use std::path::Path;

use crate::adapters::backup_store::{self, BackupFile};
use crate::adapters::disk::DiskError;
use crate::domain::backup::{
    BackupName, FROM_THE_FUTURE, GUARDED_FOR, KeepRules, has_halved, is_from_the_future,
};
use crate::domain::clock::Timestamp;
use crate::maint::backup::{Clock, Counts, Kept};
use crate::maint::{ItemError, Job};

/// Backups of a directory, newest first.
pub(super) struct Shelf<'d> {
    dir: &'d Path,
    now: Timestamp,
    entries: Vec<Entry>,
}

struct Entry {
    name: BackupName,
    /// `None` for the one that a dry run would make.
    file: Option<BackupFile>,
    /// Why it stays, apart from the rules.
    made: Option<&'static str>,
}

impl<'d> Shelf<'d> {
    /// What lies in `dir`; nothing when it is still to be made.
    pub(super) fn look(dir: &'d Path, now: Timestamp) -> Result<Self, DiskError> {
        let files = if dir.is_dir() { backup_store::list(dir)? } else { Vec::new() };
        let entry = |file: BackupFile| Entry { name: file.name, file: Some(file), made: None };
        Ok(Self { dir, now, entries: files.into_iter().map(entry).collect() })
    }

    /// Those with more than twice as many rows as `rows`, newest first: all are compared, so that a loss in small steps
    /// is seen, too. Those from the future are not, and not those that were told of once. But the newest of all always
    /// is: nothing was made since it was told of.
    pub(super) fn richer(&self, rows: u64) -> Vec<BackupFile> {
        let past = self.entries.iter().filter(|entry| !is_from_the_future(entry.name, self.now));
        let asked = past.enumerate().filter_map(|(place, entry)| {
            let file = entry.file.as_ref()?;
            let told = place > 0 && file.manifest.guarded_until().is_some();
            (!told && has_halved(file.manifest.contents().rows(), rows)).then(|| file.clone())
        });
        asked.collect()
    }

    /// Marks the one that was made just now.
    pub(super) fn with_made(mut self, path: &Path) -> Self {
        let made = |entry: &&mut Entry| entry.file.as_ref().is_some_and(|file| file.path == path);
        if let Some(entry) = self.entries.iter_mut().find(made) {
            entry.made = Some("just made and verified");
        }
        self
    }

    /// With the one that would be made now.
    pub(super) fn with_one_more(mut self, encrypted: bool) -> Result<Self, DiskError> {
        let name = if self.dir.is_dir() {
            backup_store::next_name(self.dir, self.now, encrypted)?
        } else {
            BackupName { taken: self.now.whole_second(), number: 1, encrypted }
        };
        self.entries.push(Entry { name, file: None, made: Some("would be made and verified") });
        self.entries.sort_by_key(|entry| std::cmp::Reverse(entry.name));
        Ok(self)
    }

    /// The longest that what is here now can stay, in days: by the rules and at this pace, and from the day on that the
    /// last one names.
    pub(super) fn longest_days(&self, rules: KeepRules) -> u64 {
        let names: Vec<_> = self.entries.iter().map(|entry| entry.name).collect();
        rules.longest_days(&names, self.now)
    }

    /// When those that count for the rules were taken.
    fn past(&self) -> Vec<Timestamp> {
        let past = self.entries.iter().filter(|entry| !is_from_the_future(entry.name, self.now));
        past.map(|entry| entry.name.taken).collect()
    }

    /// The newest one that was not taken in the future.
    pub(super) fn last(&self) -> Option<&BackupFile> {
        let past = self.entries.iter().find(|entry| !is_from_the_future(entry.name, self.now));
        past.and_then(|entry| entry.file.as_ref())
    }

    /// All of them stay.
    pub(super) fn keep_all(self, reason: &str, counts: &mut Counts) {
        let kept = |entry: Entry| Kept { file: entry.name.to_string(), reasons: vec![reason.to_owned()] };
        counts.kept = self.entries.into_iter().map(kept).collect();
    }

    /// An accident must not rotate away what undoes it: all stay, and whoever reads it is told what to do.
    pub(super) fn tell_of_loss(self, job: &mut Job<'_>, before: &BackupFile, counts: &mut Counts) {
        let reason = format!("more than half of the rows have gone since {}", before.name);
        let until = self.now.later_by(GUARDED_FOR).day();
        self.keep_all(&reason, counts);
        job.errors.push(ItemError {
            item: before.name.to_string(),
            error: format!(
                "{reason}: no backup was removed, and this one stays until {until}. If that was an accident, stop the \
                 schedule of backup-db before its next run, which removes the others by the keep rules, and restore \
                 this one; if it was meant, there is nothing to do. deploy/README.md, \"Most rows have gone\""
            ),
        });
    }

    /// Removes the backups that no rule keeps; never the one just made, never one that is guarded or from the future.
    pub(super) fn rotate(self, job: &mut Job<'_>, (rules, clock): (KeepRules, Clock), counts: &mut Counts) {
        let mut by_rule = rules.reasons(&self.past()).into_iter();
        for entry in self.entries {
            let mut reasons = if is_from_the_future(entry.name, self.now) {
                vec![FROM_THE_FUTURE.to_owned()]
            } else {
                by_rule.next().unwrap_or_default()
            };
            reasons.extend(entry.made.map(str::to_owned));
            if let Some(until) = entry.file.as_ref().and_then(|file| guarded(job, file, clock)) {
                let until = until.day();
                reasons.push(format!(
                    "the last one before more than half of the rows went, or before a takeover; stays until {until}"
                ));
            }
            let file = entry.name.to_string();
            if reasons.is_empty() {
                remove(job, entry, counts);
            } else {
                counts.kept.push(Kept { file, reasons });
            }
        }
    }
}

fn remove(job: &mut Job<'_>, entry: Entry, counts: &mut Counts) {
    let name = entry.name.to_string();
    match entry.file.filter(|_| !job.run.dry_run).map(|file| backup_store::remove(&file)) {
        Some(Err(error)) => job.failed(name, &error),
        Some(Ok(())) | None => counts.removed.push(name),
    }
}

/// Until when it is guarded. A clock that is doubted ends no guard: it may be a year ahead.
fn guarded(job: &Job<'_>, file: &BackupFile, clock: Clock) -> Option<Timestamp> {
    file.manifest.guarded_until().filter(|until| *until > job.now || clock == Clock::Doubted)
}
