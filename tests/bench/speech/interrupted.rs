//! From an interruption, sent while the reply is written and spoken, to the last byte that is read of either outside.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::outside::{Manner, Outside, Seen};
use super::socket::Socket;
use super::{recording, serve};
use crate::Bench;
use crate::http;
use crate::table::{Figure, Reach, Row, median, millis, quantile};

const PATIENCE: Duration = Duration::from_secs(5);

pub fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let outside = Outside::start(Manner::Endless)?;
    let server = serve(bench, "speech-interrupted", &outside, &[])?;
    let session = http::start_session(server.address)?;
    let mut socket = Socket::open(Ipv4Addr::LOCALHOST, server.address, &session)?;
    let recording = recording(0.5, 0);
    let mut times = Vec::new();
    for _ in 0..bench.size(300, 3) {
        socket.speak(&recording)?;
        socket.first_sound()?;
        let began = Instant::now();
        socket.interrupt()?;
        ensure!(socket.end()?, "it was not interrupted");
        // Of who writes and who speaks.
        let last = left(&outside)?.max(left(&outside)?);
        times.push(millis(last.saturating_duration_since(began)));
    }
    let row = |what: &str, value: f64, reach| {
        let what = format!("interruption of a voice socket -> the services outside are left, {what}");
        Row::new(what, Figure::millis(value), None, reach)
    };
    Ok(vec![
        row("median", median(&times), Reach::Told),
        row("p99", quantile(&times, 0.99), Reach::AtMost(Figure::millis(50.0))),
    ])
}

/// When one of them was left.
fn left(outside: &Outside) -> Result<Instant> {
    loop {
        if let Seen::Left { at } = outside.seen.recv_timeout(PATIENCE)? {
            return Ok(at);
        }
    }
}
