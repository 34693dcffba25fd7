//! How a run went, for Prometheus: what goes into the textfile of `--metrics-file`.

use std::fmt::Write;
use std::path::{Path, absolute};

use serde::Serialize;
use serde_json::Value;

use crate::adapters::acting::Acting;
use crate::adapters::data_dir::DataDir;
use crate::adapters::disk::{self, DiskError};
use crate::adapters::{metrics_file, run_store, set_aside};
use crate::config::StorageConfig;
use crate::domain::clock::Timestamp;
use crate::domain::maintenance::{DOCTOR, JOBS};
use crate::maint::{Report, Schema, open_database};

const LAST_RUN: &str = "companion_job_last_run_timestamp_seconds";
const LAST_SUCCESS: &str = "companion_job_last_success_timestamp_seconds";

/// What `status` tells about the whole house: metric, place in the report, help.
const HOUSE: [(&str, &str, &str); 9] = [
    ("companion_disk_free_bytes", "/disk/free_bytes", "Free bytes where the database lies."),
    ("companion_database_bytes", "/disk/database_bytes", "Bytes the database takes on disk."),
    ("companion_log_bytes", "/disk/log_bytes", "Bytes the write-ahead log takes on disk."),
    ("companion_audio_bytes", "/disk/audio_bytes", "Bytes of audio replies."),
    ("companion_backup_bytes", "/disk/backup_bytes", "Bytes of backups."),
    (
        "companion_backup_disk_free_bytes",
        "/disk/backups_free_bytes",
        "Free bytes where the backups lie, if that is a disk of its own.",
    ),
    ("companion_sessions", "/sessions", "Sessions there are."),
    ("companion_checkpoints", "/checkpoints", "Checkpoints there are."),
    ("companion_memories", "/memories", "Memories there are."),
];

/// Of the report, what is no count or has a metric of its own.
const NO_COUNTS: [&str; 3] = ["schema", "duration_ms", "exit_code"];

/// Replaces the textfile at `path` by what `report` says. `storage` is `None` when the settings could not be read.
///
/// # Errors
/// When the file cannot be written; then the old one is still there, whole.
pub fn write<C: Serialize>(
    path: &Path,
    storage: Option<&StorageConfig>,
    report: &Report<C>,
) -> Result<(), DiskError> {
    let label = format!("job_name=\"{}\"", report.job);
    let carried = |name: &str| at_home(path, storage, || metrics_file::value_of(path, &series(name, &label)));
    let last_run =
        if report.dry_run { carried(LAST_RUN) } else { Some(seconds(report.started_at.as_millis())) };
    let last_success = if report.exit_code == 0 && !report.dry_run {
        Some(seconds(report.started_at.as_millis()))
    } else {
        recorded_success(storage, report.job)
            .map(|at| seconds(at.as_millis()))
            .or_else(|| carried(LAST_SUCCESS))
    };
    let mut text = String::new();
    let mut one = |name: &str, help: &str, value: Option<String>| {
        family(
            &mut text,
            name,
            help,
            &value.map(|value| (label.clone(), value)).into_iter().collect::<Vec<_>>(),
        );
    };
    one(LAST_RUN, "When the job last ran, whatever became of it.", last_run);
    one(LAST_SUCCESS, "When the job's last run that succeeded began.", last_success);
    let code = Some(report.exit_code.to_string());
    one("companion_job_exit_code", "The exit code of the job's last run.", code);
    let took = seconds(i64::try_from(report.duration_ms).unwrap_or(i64::MAX));
    one("companion_job_duration_seconds", "How long the job's last run took.", Some(took));
    add_report(&mut text, &label, &serde_json::to_value(report).unwrap_or_default());
    at_home(path, storage, || metrics_file::replace(path, &text, report.started_at))
}

/// Does `work` with the rights of whoever owns the directory of the file; in the data directory, of its owner: there they may
/// have put links.
fn at_home<T>(path: &Path, storage: Option<&StorageConfig>, work: impl FnOnce() -> T) -> T {
    let inside = storage.filter(|storage| {
        matches!((absolute(path), absolute(&storage.data_dir)), (Ok(path), Ok(dir)) if path.starts_with(&dir))
    });
    let _acting = match inside {
        Some(storage) => DataDir::act_as_owner(storage).ok(),
        None => {
            let owner = disk::owner_of(metrics_file::directory_of(path));
            owner.ok().and_then(|(user, group)| Acting::take_up(user, group).ok())
        }
    };
    work()
}

fn add_report(text: &mut String, label: &str, report: &Value) {
    let mut counts = Vec::new();
    for (name, value) in report.as_object().into_iter().flatten() {
        if !NO_COUNTS.contains(&name.as_str()) {
            collect(name, value, &mut counts);
        }
    }
    let counts: Vec<_> =
        counts.into_iter().map(|(name, value)| (format!("{label},count=\"{name}\""), value)).collect();
    family(text, "companion_job_report", "The counts of the job's last report.", &counts);
    // What could not be looked at is not told as zero.
    if report["job"] == "status" && report["exit_code"] == 0 {
        for (name, place, help) in HOUSE {
            if let Some(Value::Number(value)) = report.pointer(place) {
                family(text, name, help, &[(String::new(), value.to_string())]);
            }
        }
    }
}

/// The numbers in `value`, those of inner objects under joined names.
fn collect(name: &str, value: &Value, counts: &mut Vec<(String, String)>) {
    match value {
        Value::Number(number) => counts.push((name.to_owned(), number.to_string())),
        Value::Object(inner) => {
            inner.iter().for_each(|(part, value)| collect(&format!("{name}_{part}"), value, counts));
        }
        Value::Null | Value::Bool(_) | Value::String(_) | Value::Array(_) => {}
    }
}

fn family(text: &mut String, name: &str, help: &str, samples: &[(String, String)]) {
    if samples.is_empty() {
        return;
    }
    // Writing to a string cannot fail.
    let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} gauge\n");
    for (labels, value) in samples {
        let _ = writeln!(text, "{} {value}", series(name, labels));
    }
}

fn series(name: &str, labels: &str) -> String {
    if labels.is_empty() { name.to_owned() } else { format!("{name}{{{labels}}}") }
}

fn seconds(millis: i64) -> String {
    format!("{}.{:03}", millis / 1000, (millis % 1000).abs())
}

/// When the job last succeeded, as the database knows.
fn recorded_success(storage: Option<&StorageConfig>, job: &str) -> Option<Timestamp> {
    // The record of the others does not say more than the file does.
    // Doctor does not open a database that is damaged, so neither is it opened here.
    if !JOBS.contains(&job) || job == DOCTOR {
        return None;
    }
    let (dir, _acting) = DataDir::enter(storage?).ok()?;
    set_aside::refuse_pending(&dir).ok()?;
    let db = open_database(&dir, Schema::CurrentOrOlder).ok()?;
    run_store::last_success(&db, job).ok()?
}
