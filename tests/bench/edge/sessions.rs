//! A new session over HTTP, against the same row put into the same schema by a bare loop. Both are on disk when they count.

use std::time::Instant;

use anyhow::{Context, Result, anyhow, ensure};
use companion::domain::clock::{Clock, SystemClock};
use rusqlite::{Connection, params};

use crate::Bench;
use crate::edge::Ours;
use crate::edge::answer::{Answer, ask};
use crate::house::House;
use crate::http::{Client, post_with};
use crate::table::{Figure, Reach, Row, median};

const AT_ONCE: u32 = 16;

pub fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let bare = House::built(bench.path("edge-bare"))?;
    let bare = open(&bare)?;
    let house = House::new(bench.path("edge-sessions"));
    // Not on one processor: the bare loop is free to run where it likes, too.
    let ours = Ours::start_free(&house)?;
    let first = ask(ours.address, &post_with("/api/v1/session/start", "", "{}"))?;
    let request = post_with("/api/v1/session/start", &cookie(&first)?, "{}");
    let each = bench.size(300, 5);
    let (mut loops, mut one_by_one, mut at_once) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..bench.size(5, 1) {
        loops.push(f64::from(each) / bare_loop(&bare, each)?);
        one_by_one.push(f64::from(each) / start(&ours, &request, each)?);
        at_once.push(f64::from(AT_ONCE * each) / together(&ours, &request, each)?);
    }
    let against = Some(Figure::per_second(median(&loops)));
    let row = |what: &str, rates: &[f64], reach| {
        let what = format!("`POST /session/start`, {what}, against a bare INSERT, a second");
        Row::new(what, Figure::per_second(median(rates)), against, reach)
    };
    Ok(vec![
        row("one after the other", &one_by_one, Reach::TimesAtLeast(0.5)),
        row(&format!("{AT_ONCE} at once"), &at_once, Reach::Told),
    ])
}

fn cookie(first: &Answer) -> Result<String> {
    ensure!(first.status == 200, "no session: {}", first.status);
    Ok(format!("Cookie: {}\r\n", first.header("set-cookie")?.split(';').next().context("no cookie")?))
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

fn together(ours: &Ours, request: &[u8], each: u32) -> Result<f64> {
    let began = Instant::now();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(|| start(ours, request, each))).collect();
        threads.into_iter().try_for_each(|thread| {
            thread.join().map_err(|_| anyhow!("a client panicked"))??;
            anyhow::Ok(())
        })
    })?;
    Ok(began.elapsed().as_secs_f64())
}
