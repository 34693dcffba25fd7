//! From the model's first full sentence to its first sound at the client, over voice sockets.

use std::net::Ipv4Addr;
use std::sync::Barrier;
use std::time::Instant;

use anyhow::{Context, Result, anyhow, ensure};

use super::outside::{Manner, Outside, Seen};
use super::socket::Socket;
use super::{recording, serve};
use crate::Bench;
use crate::http;
use crate::table::{Figure, Reach, Row, median, millis, quantile};

/// Rounds that are not counted: connections are made.
const WARM_UP: usize = 3;

pub fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (at_once, rounds) in [(1, bench.size(500, 3)), (16, bench.size(100, 3))] {
        let times = times(bench, at_once, rounds)?;
        let row = |what: &str, value: f64, reach| {
            let what =
                format!("first sound after the model's first full sentence, {what}, {at_once} at once");
            Row::new(what, Figure::millis(value), None, reach)
        };
        rows.push(row("median", median(&times), Reach::Told));
        rows.push(row("p99", quantile(&times, 0.99), Reach::AtMost(Figure::millis(5.0))));
    }
    Ok(rows)
}

fn times(bench: &Bench, at_once: u8, rounds: usize) -> Result<Vec<f64>> {
    let outside = Outside::start(Manner::InTwo)?;
    let server = serve(bench, &format!("speech-{at_once}"), &outside, &[])?;
    let together = Barrier::new(usize::from(at_once));
    let heard = std::thread::scope(|scope| {
        let talkers: Vec<_> = (0..at_once)
            .map(|number| {
                let (server, together) = (&server, &together);
                scope.spawn(move || -> Result<Vec<Instant>> {
                    // As many as a client may have, from each address.
                    let from = Ipv4Addr::new(127, 0, 3, number / 8 + 1);
                    let session = http::start_session(server.address)?;
                    let mut socket = Socket::open(from, server.address, &session)?;
                    let recording = recording(0.5, number);
                    let mut heard = Vec::new();
                    for _ in 0..WARM_UP + rounds {
                        together.wait();
                        socket.speak(&recording)?;
                        heard.push(socket.first_sound()?);
                        socket.end()?;
                    }
                    Ok(heard)
                })
            })
            .collect();
        let joined =
            talkers.into_iter().map(|talker| talker.join().map_err(|_| anyhow!("a talker panicked"))?);
        joined.collect::<Result<Vec<_>>>()
    })?;
    drop(server);
    let mut written = vec![Vec::new(); usize::from(at_once)];
    for seen in outside.seen.try_iter() {
        if let Seen::Sentence { number, at } = seen {
            written.get_mut(usize::from(number)).context("nobody has this number")?.push(at);
        }
    }
    ensure!(written.iter().all(|of_one| of_one.len() == WARM_UP + rounds), "not every turn was written");
    let rounds =
        written.iter().zip(&heard).flat_map(|(written, heard)| written.iter().zip(heard).skip(WARM_UP));
    Ok(rounds.map(|(written, heard)| millis(*heard - *written)).collect())
}
