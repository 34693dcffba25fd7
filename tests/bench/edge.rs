//! The server's edge against the usual tools: the page's files, audio and 304 against nginx, a new session against the bare
//! INSERT, `/livez` against bare actix-web; and a body that is too large.
//!
//! Each of two servers has one worker, on a processor of its own; the load comes from the others. Both answer with the same
//! headers, which is checked. What counts is how many requests a second of the server's own processor time carries: that
//! depends little on who else works on the machine. Rounds alternate between the two, and medians are compared.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::Command;

use anyhow::{Context, Result};

use crate::Bench;
use crate::edge::answer::Answer;
use crate::edge::pinned::Pinned;
use crate::house::House;
use crate::http::Client;
use crate::table::Row;

mod answer;
mod audio;
mod files;
mod livez;
mod nginx;
mod oversize;
pub mod pinned;
mod sessions;
pub mod stand_in;
mod wrk;

pub fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let mut rows = files::measure(bench)?;
    rows.extend(audio::measure(bench)?);
    rows.extend(sessions::measure(bench)?);
    rows.extend(oversize::measure(bench)?);
    rows.extend(livez::measure(bench)?);
    Ok(rows)
}

/// One of our programs, serving.
pub struct Ours {
    pub address: SocketAddr,
    process: Pinned,
}

impl Ours {
    /// Starts a program that tells where it listens, and waits until it can be used.
    pub fn start(program: &mut Command) -> Result<Self> {
        let mut process = Pinned::start(program)?;
        let mut line = String::new();
        BufReader::new(process.child().stdout.take().context("no output")?).read_line(&mut line)?;
        let address =
            line.trim().strip_prefix("Listening on http://").context("a server did not start")?.parse()?;
        let mut client = Client::connect(address)?;
        // The bare ones have no such address.
        while client.ask(&crate::http::get("/readyz"))?.0 == 503 {}
        Ok(Self { address, process })
    }

    /// Starts the real server in a house. Everybody's requests are counted, and nobody's are too many.
    fn start_house(house: &House) -> Result<Self> {
        Self::start_in(house, pinned::on_one(env!("CARGO_BIN_EXE_companion"))?)
    }

    /// The same on all processors.
    fn start_free(house: &House) -> Result<Self> {
        Self::start_in(house, Command::new(env!("CARGO_BIN_EXE_companion")))
    }

    /// Starts bare actix-web, which answers `path` as `model` is and does nothing else.
    fn start_bare(model: &Answer, path: &str) -> Result<Self> {
        let mut program = pinned::on_one(std::env::current_exe()?)?;
        Self::start(program.args(["serve", "bare", &model.for_bare(path)]))
    }

    fn start_in(house: &House, mut program: Command) -> Result<Self> {
        house.move_in(&mut program);
        Self::start(program.env("RATE_LIMIT_ENABLED", "true").env("RATE_LIMIT_PER_MINUTE", "1000000"))
    }

    pub fn id(&self) -> u32 {
        self.process.id()
    }
}
