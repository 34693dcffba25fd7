//! A body that is declared too large: how soon it is refused. Not a byte of it is ever sent, so none can have been read.

use std::time::Instant;

use anyhow::{Result, ensure};

use crate::Bench;
use crate::edge::Ours;
use crate::house::House;
use crate::http::Client;
use crate::table::{Figure, Reach, Row, median, millis, quantile};

pub fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let house = House::new(bench.path("edge-oversize"));
    let ours = Ours::start_house(&house)?;
    let head = format!(
        "POST /api/v1/chat HTTP/1.1\r\nHost: companion\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        1_u64 << 30
    );
    let mut times = Vec::new();
    for _ in 0..bench.size(1000, 20) {
        // Refused, a connection ends.
        let mut client = Client::connect(ours.address)?;
        let began = Instant::now();
        let (status, _) = client.ask(head.as_bytes())?;
        times.push(millis(began.elapsed()));
        ensure!(status == 413, "a body of 1 GiB was answered {status}");
    }
    let row = |what: &str, value: f64, reach| {
        Row::new(
            format!("413 for a declared 1 GiB, before its first byte, {what}"),
            Figure::millis(value),
            None,
            reach,
        )
    };
    Ok(vec![
        row("median", median(&times), Reach::AtMost(Figure::millis(1.0))),
        row("p99", quantile(&times, 0.99), Reach::Told),
    ])
}
