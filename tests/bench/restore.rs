//! A large backup restored and looked through, against the usual tools: `zstd -d` and `cp`, `zstd -d` and the shell's
//! `integrity_check`. Ours also takes the SHA-256, checks references and counts, and flushes.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::Bench;
use crate::house;
use crate::shell;
use crate::snapshot;
use crate::table::{Figure, Reach, Row, median};

pub fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let rounds = bench.size(3, 1);
    let house = snapshot::large(bench, "restore")?;
    // Nobody has talked in it for long, which the clock fuse would take for a clock that is wrong.
    house.maint(&["backup-db", "--force"])?;
    let backup = fs::read_dir(house.dir.join("backups"))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|ending| ending == "zst"))
        .context("no backup was made")?;
    let size = Figure::mebibytes(house.database_bytes());
    let (mut tools, mut restores, mut checks, mut looks) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let (mut restore_peak, mut look_peak) = (0, 0);
    for _ in 0..rounds {
        let (unpacked, took) = unpack(bench, &backup)?;
        let began = Instant::now();
        house::copy(&unpacked, &bench.path("restore-copy.db"))?;
        tools.push((took + began.elapsed()).as_secs_f64());
        fs::remove_file(bench.path("restore-copy.db"))?;
        checks.push((took + shell::run(&unpacked, &["PRAGMA integrity_check"])?).as_secs_f64());
        fs::remove_file(unpacked)?;
        let ran = house.maint(&["restore-db", "latest", "--yes"])?;
        restores.push(ran.took().as_secs_f64());
        restore_peak = restore_peak.max(ran.peak_bytes);
        fs::remove_dir_all(house.dir.join("set-aside"))?;
        let ran = house.maint(&["verify-backups"])?;
        looks.push(ran.took().as_secs_f64());
        look_peak = look_peak.max(ran.peak_bytes);
    }
    house.remove()?;
    let memory = || Reach::AtMost(Figure::mebibytes(128 << 20));
    let against = |times: &[f64]| Some(Figure::seconds(median(times)));
    Ok(vec![
        Row::new(
            format!("restore-db of a database of {size}, median of {rounds}"),
            Figure::seconds(median(&restores)),
            against(&tools),
            Reach::Times(2.0),
        ),
        Row::new("its resident memory", Figure::mebibytes(restore_peak), None, memory()),
        Row::new(
            "verify-backups of the same",
            Figure::seconds(median(&looks)),
            against(&checks),
            Reach::Times(1.5),
        ),
        Row::new("its resident memory", Figure::mebibytes(look_peak), None, memory()),
    ])
}

fn unpack(bench: &Bench, backup: &Path) -> Result<(std::path::PathBuf, Duration)> {
    let to = bench.path("restore-unpacked.db");
    let began = Instant::now();
    let mut command = Command::new("zstd");
    let done = command.args(["-q", "-d", "-f"]).arg(backup).arg("-o").arg(&to).status();
    let done = done.context("zstd cannot be run; it is Debian's package zstd")?;
    ensure!(done.success(), "zstd could not unpack the backup");
    Ok((to, began.elapsed()))
}
