//! New sessions over HTTP, by `wrk` and one after the other, against the same row put into the same schema by a bare loop. All are
//! on disk when they count.
//!
//! One after the other is told, not held against anything: each waits for four threads to be woken, client, worker, database and
//! back, which the loop does not; where a processor sleeps meanwhile that alone takes as long as the loop's INSERT.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use companion::domain::clock::{Clock, SystemClock};
use rusqlite::{Connection, params};

use crate::Bench;
use crate::edge::Ours;
use crate::edge::answer::{Answer, ask};
use crate::edge::wrk::Load;
use crate::house::House;
use crate::http::{Client, post_with};
use crate::table::{Figure, Reach, Row, median};

/// What `wrk` opens when it is not told how many.
const CONNECTIONS: u32 = 10;

pub fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let bare = House::built(bench.path("edge-bare"))?;
    let bare = open(&bare)?;
    let house = House::new(bench.path("edge-sessions"));
    // Not on one processor: the bare loop is free to run where it likes, too.
    let ours = Ours::start_free(&house)?;
    let first = ask(ours.address, &post_with("/api/v1/session/start", "", "{}"))?;
    let request = post_with("/api/v1/session/start", &format!("Cookie: {}\r\n", cookie(&first)?), "{}");
    let script = bench.path("edge-sessions.lua");
    std::fs::write(&script, posting(&cookie(&first)?))?;
    let seconds = bench.size(2, 1);
    let path = "/api/v1/session/start";
    let load = Load { path, connections: CONNECTIONS, seconds, script: Some(&script), ..Load::default() };
    let each = bench.size(300, 5);
    let (mut loops, mut one_by_one, mut at_once) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..bench.size(5, 1) {
        loops.push(f64::from(each) / bare_loop(&bare, each)?);
        one_by_one.push(f64::from(each) / start(&ours, &request, each)?);
        at_once.push(load.per_second(ours.address)?);
    }
    let against = Some(Figure::per_second(median(&loops)));
    let row = |what: &str, rates: &[f64], reach| {
        let what = format!("`POST /session/start`, {what}, against a bare INSERT, a second");
        Row::new(what, Figure::per_second(median(rates)), against, reach)
    };
    Ok(vec![
        row(&format!("`wrk` with {CONNECTIONS} connections"), &at_once, Reach::TimesAtLeast(0.5)),
        row("one after the other", &one_by_one, Reach::Told),
    ])
}

fn cookie(first: &Answer) -> Result<String> {
    ensure!(first.status == 200, "no session: {}", first.status);
    Ok(first.header("set-cookie")?.split(';').next().context("no cookie")?.to_owned())
}

/// What `wrk` sends.
fn posting(cookie: &str) -> String {
    format!(
        "wrk.method = \"POST\"\nwrk.body = \"{{}}\"\nwrk.headers[\"Content-Type\"] = \"application/json\"\nwrk.headers[\"Cookie\"] = \"{cookie}\"\n"
    )
}

/// A database of the server's own making, with one person in it.
fn open(house: &House) -> Result<Connection> {
    #[expect(
        clippy::disallowed_methods,
        reason = "the bare thing, with what makes it durable and nothing else"
    )]
    let db = Connection::open(house.database())?;
    db.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;")?;
    let at = SystemClock.now().as_millis();
    db.execute(
        "INSERT INTO persons (public_id, token_hash, created_at, last_seen_at) VALUES (randomblob(16), randomblob(32), ?1, ?1)",
        [at],
    )?;
    Ok(db)
}

/// Seconds of so many INSERTs, each its own transaction.
fn bare_loop(db: &Connection, count: u32) -> Result<f64> {
    let mut insert = db.prepare(
        "INSERT INTO sessions (public_id, person_id, title, pinned, remembered, created_at, last_active_at)
         VALUES (?1, 1, NULL, 0, 1, ?2, ?2)",
    )?;
    let began = Instant::now();
    for _ in 0..count {
        insert.execute(params![uuid::Uuid::new_v4().as_bytes(), SystemClock.now().as_millis()])?;
    }
    Ok(began.elapsed().as_secs_f64())
}

fn start(ours: &Ours, request: &[u8], count: u32) -> Result<f64> {
    let mut client = Client::connect(ours.address)?;
    let began = Instant::now();
    for _ in 0..count {
        let (status, _) = client.ask(request)?;
        ensure!(status == 200, "a session was answered {status}");
    }
    Ok(began.elapsed().as_secs_f64())
}
