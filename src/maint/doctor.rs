//! `doctor`: looks for what is wrong on disk and in the database; with `--repair` it mends what is safe to mend and
//! looks again. A damaged database is never touched.
//!
//! Each check is one function that tells what it finds, and with it how that is mended: what is listed and what is mended
//! cannot differ. Nothing here reads for long but the check of the whole file.

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use serde::Serialize;

use crate::adapters::acting::Acting;
use crate::adapters::data_dir::{DataDir, DataDirError, Lock};
use crate::adapters::set_aside;
use crate::domain::clock::Timestamp;
use crate::domain::maintenance::DOCTOR;
use crate::maint::failures::Failures;
use crate::maint::restore::Fence;
use crate::maint::{MaintError, Outcome, Report, Run, begin_record, end_record, item, millis};

mod audio;
mod backups;
mod checks;
mod copy;
mod database;
mod erasures;
mod files;
mod findings;
mod memories;

use checks::{DATABASE_CHECKS, FILE_CHECKS};
pub use findings::Finding;
use findings::Ledger;

/// What is younger may be on its way in and is left alone.
const GRACE: Duration = Duration::from_secs(60 * 60);

/// How the errors of things that could not be mended begin.
const MENDING: &str = "mending ";

/// What the command line asks for.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// `--repair`.
    pub repair: bool,
}

/// What was found and mended.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Counts {
    /// True when a server runs on the data directory.
    pub server_running: bool,
    /// Checks that were made.
    pub checks: u64,
    /// Things that are wrong; with `--repair` those that are left.
    pub findings_count: u64,
    /// Things that were mended.
    pub repaired_count: u64,
    /// The things that are wrong.
    pub findings: Vec<Finding>,
    /// The things that were mended.
    pub repaired: Vec<Finding>,
}

/// One visit: what the checks work with.
struct Visit<'a> {
    run: &'a Run<'a>,
    now: Timestamp,
    /// What was last changed before this is settled.
    settled: Timestamp,
    dir: DataDir,
    mending: bool,
    check: &'static str,
    checks: u64,
    server_running: bool,
    /// The row of this run in the record of runs.
    record: Option<i64>,
    left: Ledger,
    repaired: Ledger,
    errors: Failures,
    _lock: Lock,
    _acting: Acting,
}

/// All checks: those of the lists, and that of the database itself.
const CHECKS: u64 = 1 + FILE_CHECKS.len() as u64 + DATABASE_CHECKS.len() as u64;

/// Looks, and mends when asked to.
pub fn run(run: &Run<'_>, options: Options) -> Report<Counts> {
    let began = Instant::now();
    let now = run.clock.now();
    let mut report = Report {
        schema: 1,
        job: DOCTOR,
        dry_run: run.dry_run,
        started_at: now,
        duration_ms: 0,
        counts: Counts::default(),
        errors: Vec::new(),
        exit_code: 0,
        begun: false,
    };
    let close = |report: &mut Report<Counts>, outcome: Outcome| {
        report.duration_ms = millis(began.elapsed());
        report.exit_code = outcome.exit_code();
    };
    let mut visit = match Visit::begin(run, options, now) {
        Ok(visit) => visit,
        Err(error) => {
            report.errors.push(item(run.place(), &error));
            close(&mut report, error.outcome());
            return report;
        }
    };
    report.begun = true;
    let mut db = None;
    let ended = visit.everything(options, &mut db);
    report.counts = visit.counts();
    report.errors = std::mem::take(&mut visit.errors).into_list();
    let outcome = match ended {
        Ok(()) if report.counts.findings_count == 0 && report.errors.is_empty() => Outcome::Done,
        Ok(()) => Outcome::Partial,
        Err(error) => {
            report.errors.push(item(DOCTOR.to_owned(), &error));
            error.outcome()
        }
    };
    close(&mut report, outcome);
    log_ended(&report);
    // While the lock is held.
    if let (Some(db), Some(key)) = (db, visit.record) {
        database::hear_nothing(&db);
        end_record(&db, key, now.later_by(began.elapsed()), outcome, &report);
    }
    report
}

fn log_ended(report: &Report<Counts>) {
    tracing::info!(
        event = "doctor_completed",
        checks = report.counts.checks,
        findings = report.counts.findings_count,
        repaired = report.counts.repaired_count,
        exit_code = report.exit_code,
        "The visit is over"
    );
}

impl<'a> Visit<'a> {
    fn begin(run: &'a Run<'a>, options: Options, now: Timestamp) -> Result<Self, MaintError> {
        let (dir, acting) = DataDir::enter(&run.config.storage)?;
        let lock = files::lock(run, &dir, options.repair && !run.dry_run)?;
        Ok(Self {
            run,
            now,
            settled: now.earlier_by(GRACE),
            dir,
            mending: false,
            check: DOCTOR,
            checks: 0,
            server_running: false,
            record: None,
            left: Ledger::default(),
            repaired: Ledger::default(),
            errors: Failures::default(),
            _lock: lock,
            _acting: acting,
        })
    }

    fn counts(&self) -> Counts {
        Counts {
            server_running: self.server_running,
            checks: self.checks,
            findings_count: self.left.count,
            repaired_count: self.repaired.count,
            findings: self.left.list.clone(),
            repaired: self.repaired.list.clone(),
        }
    }

    /// Every check; with `--repair` once mending and then once more looking. `db` becomes the database, if it is whole.
    fn everything(&mut self, options: Options, db: &mut Option<Connection>) -> Result<(), MaintError> {
        self.server_running = matches!(self.dir.lock("server"), Err(DataDirError::Locked { .. }));
        if !self.is_settled(options)? {
            return Ok(());
        }
        *db = database::open_if_whole(self)?;
        if options.repair && !self.run.dry_run {
            self.record = db.as_ref().and_then(|db| begin_record(db, DOCTOR, self.now));
            let (left, errors) = (self.left.clone(), self.errors.clone());
            self.mending = true;
            self.all_checks(db.as_ref())?;
            self.mending = false;
            // What is wrong with the database itself stays; all else is looked at again.
            self.left = left;
            self.errors.retain(|error| errors.contains(error) || error.item.starts_with(MENDING));
            if db.is_none() && self.repaired.count > 0 {
                // What kept it from being opened may be mended.
                self.left = Ledger::default();
                self.errors.retain(|error| error.item.starts_with(MENDING));
                *db = database::open_if_whole(self)?;
                self.record = db.as_ref().and_then(|db| begin_record(db, DOCTOR, self.now));
            }
        }
        self.all_checks(db.as_ref())
    }

    /// Whether there is a database to look at, and not a restore that was interrupted; mending goes back to what was
    /// there before it.
    fn is_settled(&mut self, options: Options) -> Result<bool, MaintError> {
        self.check = "restore";
        match set_aside::refuse_pending(&self.dir) {
            Ok(()) => return Ok(true),
            Err(DataDirError::RestoreUnknown { path, aside }) => {
                self.tell_unknown_restore(&path, &aside);
                return Ok(false);
            }
            Err(_) => {}
        }
        self.mending = options.repair && !self.run.dry_run;
        let found = "a restore is under way, or was interrupted".to_owned();
        let repair = "go back to the database from before it; or run `companion-maint restore-db` again";
        self.mendable("restore.pending".to_owned(), found, repair, |visit| {
            let _fence = Fence::around(visit.run, &visit.dir, DOCTOR)?;
            set_aside::undo(&visit.dir)?;
            Ok(())
        });
        self.mending = false;
        Ok(set_aside::refuse_pending(&self.dir).is_ok())
    }

    fn tell_unknown_restore(&mut self, marker: &Path, aside: &Path) {
        let found = "is damaged, so that an interrupted restore cannot be undone".to_owned();
        let repair = format!(
            "mv '{0}' '{0}.damaged' and run `companion-maint restore-db` again; the database from before is still in its \
             place, or in the newest directory of {1}",
            marker.display(),
            aside.display()
        );
        self.finding("restore.pending", found, &repair);
    }

    fn all_checks(&mut self, db: Option<&Connection>) -> Result<(), MaintError> {
        self.checks = 1;
        for (name, work) in FILE_CHECKS {
            self.one_check(name, work)?;
        }
        for (name, work) in DATABASE_CHECKS {
            if let Some(db) = db {
                self.one_check(name, |visit| work(visit, db))?;
            }
        }
        Ok(())
    }

    /// One check that fails does not keep the others from being made.
    fn one_check(
        &mut self,
        name: &'static str,
        work: impl FnOnce(&mut Self) -> Result<(), MaintError>,
    ) -> Result<(), MaintError> {
        self.run.check_stop()?;
        self.check = name;
        let done = work(self);
        // Its failure may be nothing but the wish to stop.
        self.run.check_stop()?;
        if let Err(error) = done {
            self.errors.push(item(format!("check {name}"), &error));
        }
        self.checks += 1;
        self.left.end_check(name);
        self.repaired.end_check(name);
        self.run.progress.advance("checks made", self.checks, CHECKS);
        Ok(())
    }

    /// Something that only people can mend.
    fn finding(&mut self, item: &str, found: String, repair: &str) {
        let (check, item, repair) = (self.check, item.to_owned(), repair.to_owned());
        self.left.add(Finding { check, item, found, repair, mendable: false });
    }

    /// Something that `mend` mends.
    fn mendable(
        &mut self,
        item: String,
        found: String,
        repair: &str,
        mend: impl FnOnce(&Self) -> Result<(), MaintError>,
    ) {
        let finding = Finding { check: self.check, item, found, repair: repair.to_owned(), mendable: true };
        if !self.mending {
            return self.left.add(finding);
        }
        match mend(self) {
            Ok(()) => self.repaired.add(finding),
            Err(error) => self.failed(format!("{MENDING}{}", finding.item), &error),
        }
    }

    /// Remembers that something failed. Without the path, which may be the name of an audio reply.
    fn failed(&mut self, what: String, error: &MaintError) {
        let told =
            if let MaintError::Disk(error) = error { item(what, &error.source) } else { item(what, error) };
        self.errors.push(told);
    }

    /// Does `work` while no run of `jobs` is under way, nothing while one is: it may be the one that did it.
    fn while_idle(
        &mut self,
        jobs: &[&str],
        work: impl FnOnce(&mut Self) -> Result<(), MaintError>,
    ) -> Result<(), MaintError> {
        let mut held = Vec::new();
        for job in jobs {
            match self.dir.lock(job) {
                Ok(lock) => held.push(lock),
                Err(DataDirError::Locked { .. }) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
        work(self)
    }
}
