//! An audio reply from disk, asked for again and again over one kept-alive connection, against nginx.

use std::fs;
use std::time::Instant;

use anyhow::{Result, ensure};
use rusqlite::{Connection, params};

use crate::Bench;
use crate::edge::Ours;
use crate::edge::answer::{ask, request};
use crate::edge::nginx::Nginx;
use crate::edge::stand_in::content_of;
use crate::house::House;
use crate::http::{self, Client};
use crate::table::{Figure, Reach, Row, median, millis};

const BYTES: usize = 50 << 10;

pub fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let house = House::new(bench.path("edge-audio"));
    let ours = Ours::start_house(&house)?;
    let session = http::start_session(ours.address)?;
    let id = put(&house, &session)?;
    let path = format!("/api/v1/voice/audio/{id}");
    let dir = bench.path("edge-audio-nginx");
    fs::create_dir_all(dir.join("files/api/v1/voice/audio"))?;
    fs::write(dir.join("files").join(&path[1..]), content_of(BYTES))?;
    let request = request(&path, "");
    let model = ask(ours.address, &request)?;
    let nginx = Nginx::start(&dir, &model)?;
    model.is_like(&ask(nginx.address, &request)?)?;
    let mut clients = [Client::connect(ours.address)?, Client::connect(nginx.address)?];
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..bench.size(1000, 20) {
        for (client, times) in clients.iter_mut().zip(&mut times) {
            let began = Instant::now();
            let (status, body) = client.ask(&request)?;
            ensure!(status == 200 && body.len() == BYTES, "audio was answered {status}");
            times.push(millis(began.elapsed()));
        }
    }
    let [ours, theirs] = times.map(|times| Figure::millis(median(&times)));
    let what = "audio reply of 50 KiB over one connection, against nginx, median";
    Ok(vec![Row::new(what, ours, Some(theirs), Reach::Above(Figure::millis(1.0)))])
}

/// Puts an audio reply where the server looks for it; returns its id.
fn put(house: &House, session: &str) -> Result<uuid::Uuid> {
    let id = uuid::Uuid::new_v4();
    let session = uuid::Uuid::parse_str(session)?;
    #[expect(clippy::disallowed_methods, reason = "one row beside the server, as its own maintenance has it")]
    let db = Connection::open(house.database())?;
    let sql = "INSERT INTO audio (public_id, session_id, format, bytes, created_at)
        SELECT ?1, id, 'mp3', ?3, created_at FROM sessions WHERE public_id = ?2";
    let rows = db.execute(sql, params![id.as_bytes(), session.as_bytes(), BYTES])?;
    ensure!(rows == 1, "there is no such session");
    fs::write(house.dir.join("audio").join(format!("{id}.mp3")), content_of(BYTES))?;
    Ok(id)
}
