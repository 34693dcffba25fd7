//! The copy that a backup begins with, of a large database that is being written, against the shell's `.backup` of the
//! same file with nobody else there. Both copies are flushed; the file is in memory before each.

use std::fs;
use std::time::Duration;

use anyhow::Result;

use crate::Bench;
use crate::house::House;
use crate::load::{Load, rest};
use crate::seed::{self, DAY, HOUR, Shape};
use crate::shell;
use crate::table::{Figure, Reach, Row, median};

const TURNS_PER_SECOND: u32 = 20;

pub fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let rounds = bench.size(5, 2);
    let house = large(bench, "snapshot")?;
    let bytes = house.database_bytes();
    let (mut shell_times, mut times, mut peak_bytes) = (Vec::new(), Vec::new(), 0);
    for _ in 0..rounds {
        read_through(&house)?;
        shell_times.push(with_shell(bench, &house)?);
        read_through(&house)?;
        let (took, peak) = with_server(&house)?;
        times.push(took);
        peak_bytes = peak.max(peak_bytes);
    }
    house.remove()?;
    let what = format!("snapshot of a database of {}, median of {rounds}", Figure::mebibytes(bytes));
    let against = Some(Figure::seconds(median(&shell_times)));
    let memory = Reach::AtMost(Figure::mebibytes(64 << 20));
    Ok(vec![
        Row::new(what, Figure::seconds(median(&times)), against, Reach::Times(1.3)),
        Row::new("its resident memory, the whole backup", Figure::mebibytes(peak_bytes), None, memory),
    ])
}

/// A house with a database of more than 1 GiB.
pub fn large(bench: &Bench, name: &str) -> Result<House> {
    let house = House::built(bench.path(name))?;
    let age = |number: u32| HOUR + 28 * DAY - i64::from(number) % (28 * DAY);
    let shape =
        Shape { sessions: bench.size(85_000, 200), turns: 10, said: 40..610, answered: 240..1240, age: &age };
    seed::fill(&house, &shape)?;
    Ok(house)
}

fn read_through(house: &House) -> Result<()> {
    std::io::copy(&mut fs::File::open(house.database())?, &mut std::io::sink())?;
    Ok(())
}

fn with_shell(bench: &Bench, house: &House) -> Result<f64> {
    let copy = bench.path("snapshot-copy.db");
    let took = shell::run(&house.database(), &[&format!(".backup '{}'", copy.display())])?;
    fs::remove_file(copy)?;
    Ok(took.as_secs_f64())
}

/// Seconds of the copy, and the most memory of the whole backup. What people say meanwhile stays, a few rows a round.
fn with_server(house: &House) -> Result<(f64, u64)> {
    let server = house.start()?;
    let load = Load::begin(server.address, TURNS_PER_SECOND)?;
    rest(Duration::from_millis(300));
    let ran = house.maint(&["backup-db", "--keep", "1"])?;
    load.end()?;
    server.stop()?;
    Ok((Duration::from_millis(ran.count("snapshot_ms")).as_secs_f64(), ran.peak_bytes))
}
