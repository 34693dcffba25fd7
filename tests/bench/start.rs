//! From nothing to the first 200 on `/readyz`, and what an idle server holds in memory.

use std::time::Duration;

use anyhow::Result;

use crate::Bench;
use crate::house::House;
use crate::load::rest;
use crate::table::{Figure, Reach, Row, median, millis};

pub fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let rounds = bench.size(15, 2);
    let (mut fresh, mut again) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        let house = House::new(bench.path(&format!("start-{round}")));
        for times in [&mut fresh, &mut again] {
            let server = house.start()?;
            times.push(millis(server.ready_after));
            server.stop()?;
        }
        house.remove()?;
    }
    let reach = Reach::AtMost(Figure::millis(100.0));
    let row = |what: &str, times: &[f64]| {
        let what = format!("start to first 200 on `/readyz`, {what}, median of {rounds}");
        Row::new(what, Figure::millis(median(times)), None, reach)
    };
    Ok(vec![row("new data directory", &fresh), row("existing one", &again), idle(bench)?])
}

fn idle(bench: &Bench) -> Result<Row> {
    let house = House::new(bench.path("idle"));
    let server = house.start()?;
    rest(Duration::from_millis(bench.size(2000, 100)));
    let bytes = server.resident_bytes();
    server.stop()?;
    house.remove()?;
    let reach = Reach::AtMost(Figure::mebibytes(20 << 20));
    Ok(Row::new("resident memory, idle", Figure::mebibytes(bytes), None, reach))
}
