//! Sockets that are connected and over which nobody talks.

use std::net::Ipv4Addr;

use anyhow::{Context, Result};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::outside::{Manner, Outside};
use super::serve;
use super::socket::Socket;
use crate::Bench;
use crate::edge::Ours;
use crate::house::memory;
use crate::http;
use crate::table::{Figure, Reach, Row};

/// Each client may have so many.
const OF_CLIENT: u32 = 8;

pub fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let sockets = bench.size(1000, 24);
    allow_files()?;
    let outside = Outside::start(Manner::AtOnce)?;
    let most = (sockets + OF_CLIENT).to_string();
    let server = serve(bench, "speech-idle", &outside, &[("MAX_VOICE_SOCKETS", &most)])?;
    // What the first ones need is there before.
    let first = open(&server, 0..OF_CLIENT)?;
    let before = memory(server.id(), "VmRSS");
    let others = open(&server, OF_CLIENT..OF_CLIENT + sockets)?;
    let each = memory(server.id(), "VmRSS").saturating_sub(before) / u64::from(sockets);
    drop((first, others));
    Ok(vec![Row::new(
        format!("an idle voice socket, of {sockets}"),
        Figure::kibibytes(each),
        None,
        Reach::AtMost(Figure::kibibytes(60 << 10)),
    )])
}

/// Each in a conversation of its own.
fn open(server: &Ours, numbers: std::ops::Range<u32>) -> Result<Vec<Socket>> {
    let open = |number: u32| {
        let from = Ipv4Addr::from(u32::from(Ipv4Addr::new(127, 0, 4, 1)) + number / OF_CLIENT);
        let session = http::start_session(server.address)?;
        Socket::open(from, server.address, &session).with_context(|| format!("socket {number}"))
    };
    numbers.map(open).collect()
}

/// The clients' ends are files of this process.
fn allow_files() -> Result<()> {
    let limit = getrlimit(Resource::Nofile);
    let current = Some(limit.maximum.map_or(4096, |hard| hard.min(4096)));
    Ok(setrlimit(Resource::Nofile, Rlimit { current, maximum: limit.maximum })?)
}
