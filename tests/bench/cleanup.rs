//! Half of a large database expires: how long cleanup takes and how small the file gets, against `DELETE` and `VACUUM`
//! in the shell, and what people who talk meanwhile notice of it, beside what the disk itself takes.
//!
//! The shell deletes the same rows with its own defaults (foreign keys off, so it checks nothing) and nobody else there.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use companion::domain::clock::{Clock, SystemClock};

use crate::Bench;
use crate::flushes::Flushes;
use crate::house::{House, Ran};
use crate::load::{Load, Sample, between, rest};
use crate::seed::{self, DAY, HOUR, Shape};
use crate::shell;
use crate::table::{Figure, Reach, Row, median, quantile};

const TURNS_PER_SECOND: u32 = 100;
/// Around the cleanup, turns belong to neither side.
const MARGIN: Duration = Duration::from_millis(250);

#[derive(Default)]
struct Measured {
    shell_seconds: Vec<f64>,
    seconds: Vec<f64>,
    talking_seconds: Vec<f64>,
    shell_bytes: u64,
    bytes: u64,
    peak_bytes: u64,
    quiet: Vec<f64>,
    disturbed: Vec<f64>,
    quiet_disk: Vec<f64>,
    disturbed_disk: Vec<f64>,
}

pub fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let sessions = bench.size(100_000, 400);
    let house = House::built(bench.path("cleanup"))?;
    let age = |number| age(number, sessions);
    seed::fill(&house, &Shape { sessions, turns: 10, said: 40..310, answered: 120..440, age: &age })?;
    let mut measured = Measured::default();
    for round in 0..bench.size(3, 1) {
        crate::say(&format!("  round {}", round + 1));
        with_shell(bench, &house, &mut measured)?;
        alone(bench, &house, sessions, &mut measured)?;
        with_people(bench, &house, sessions, &mut measured)?;
    }
    house.remove()?;
    Ok(rows(sessions, &measured))
}

/// The older half is 31 to 60 days old, the younger one at most 29.
fn age(number: u32, sessions: u32) -> i64 {
    let half = sessions / 2;
    let within = |place: u32| 29 * DAY * i64::from(half - place) / i64::from(half);
    if number < half { 31 * DAY + within(number) } else { HOUR + within(number - half) }
}

fn with_shell(bench: &Bench, house: &House, measured: &mut Measured) -> Result<()> {
    let copy = house.copied(bench.path("cleanup-shell"))?;
    let before = SystemClock.now().as_millis() - 30 * DAY;
    let took = shell::run(
        &copy.database(),
        &[
            &format!(
                "DELETE FROM checkpoints WHERE session_id IN
                 (SELECT id FROM sessions WHERE pinned = 0 AND last_active_at < {before});"
            ),
            &format!("DELETE FROM sessions WHERE pinned = 0 AND last_active_at < {before};"),
            "VACUUM;",
        ],
    )?;
    measured.shell_seconds.push(took.as_secs_f64());
    measured.shell_bytes = copy.database_bytes();
    copy.remove()
}

fn alone(bench: &Bench, house: &House, sessions: u32, measured: &mut Measured) -> Result<()> {
    let copy = house.copied(bench.path("cleanup-alone"))?;
    let server = copy.start()?;
    let ran = clean_up(&copy, sessions)?;
    measured.seconds.push(ran.took().as_secs_f64());
    measured.peak_bytes = measured.peak_bytes.max(ran.peak_bytes);
    measured.bytes = copy.database_bytes();
    server.stop()?;
    copy.remove()
}

fn clean_up(house: &House, sessions: u32) -> Result<Ran> {
    let ran = house.maint(&["cleanup-sessions"])?;
    let deleted = ran.count("sessions_deleted");
    ensure!(deleted == u64::from(sessions / 2), "{deleted} sessions were deleted");
    Ok(ran)
}

fn with_people(bench: &Bench, house: &House, sessions: u32, measured: &mut Measured) -> Result<()> {
    let copy = house.copied(bench.path("cleanup-people"))?;
    let server = copy.start()?;
    let quiet = Duration::from_millis(bench.size(10_000, 500));
    let load = Load::begin(server.address, TURNS_PER_SECOND)?;
    let flushes = Flushes::begin(&bench.path("cleanup-flushes"))?;
    rest(quiet);
    let ran = clean_up(&copy, sessions)?;
    rest(quiet / 2);
    sort(&flushes.end()?, &ran, &mut measured.quiet_disk, &mut measured.disturbed_disk);
    sort(&load.end()?, &ran, &mut measured.quiet, &mut measured.disturbed);
    measured.talking_seconds.push(ran.took().as_secs_f64());
    measured.peak_bytes = measured.peak_bytes.max(ran.peak_bytes);
    server.stop()?;
    copy.remove()
}

/// The first second warms the server up and counts nowhere.
fn sort(samples: &[Sample], ran: &Ran, quiet: &mut Vec<f64>, disturbed: &mut Vec<f64>) {
    let first = samples.iter().map(|sample| sample.due).min().unwrap_or(ran.began);
    let last = ran.ended + Duration::from_secs(60);
    let warm = (first + Duration::from_secs(1)).min(ran.began);
    quiet.extend(between(samples, warm, before(ran.began)));
    quiet.extend(between(samples, ran.ended + MARGIN, last));
    disturbed.extend(between(samples, before(ran.began), ran.ended));
}

/// A turn that is due just before the cleanup may be held up by it.
fn before(moment: Instant) -> Instant {
    moment.checked_sub(MARGIN / 10).unwrap_or(moment)
}

fn rows(sessions: u32, measured: &Measured) -> Vec<Row> {
    let seconds = |times: &[f64]| Figure::seconds(median(times));
    let shell = seconds(&measured.shell_seconds);
    let p99 = |times: &[f64]| Figure::millis(quantile(times, 0.99));
    let most = |times: &[f64]| Figure::millis(quantile(times, 1.0));
    let size = (Figure::mebibytes(measured.bytes), Figure::mebibytes(measured.shell_bytes));
    let memory = Figure::mebibytes(measured.peak_bytes);
    let what = format!("cleanup of {} sessions of {sessions}", sessions / 2);
    vec![
        Row::new(format!("{what}: time"), seconds(&measured.seconds), Some(shell), Reach::Times(1.5)),
        Row::new("the same while people talk", seconds(&measured.talking_seconds), Some(shell), Reach::Told),
        Row::new("its final file", size.0, Some(size.1), Reach::Times(1.15)),
        Row::new("its resident memory", memory, None, Reach::AtMost(Figure::mebibytes(64 << 20))),
        Row::new(
            format!("chat p99 during it, {TURNS_PER_SECOND} turns/s"),
            p99(&measured.disturbed),
            Some(p99(&measured.quiet)),
            Reach::Times(3.0),
        ),
        Row::new(
            "longest turn during it (against the longest without)",
            most(&measured.disturbed),
            Some(most(&measured.quiet)),
            Reach::AtMost(Figure::millis(100.0)),
        ),
        Row::new(
            "a bare flush of 4 KiB during it, p99",
            p99(&measured.disturbed_disk),
            Some(p99(&measured.quiet_disk)),
            Reach::Told,
        ),
        Row::new(
            "the longest such flush (against the longest without)",
            most(&measured.disturbed_disk),
            Some(most(&measured.quiet_disk)),
            Reach::Told,
        ),
    ]
}
