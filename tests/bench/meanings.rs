//! What a model in the server costs: the time of one vector, and the memory.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, ensure};
use rusqlite::{Connection, OpenFlags};
use serde_json::json;

use companion::adapters::embedding::LocalModel;
use companion::domain::embedding::{Embedder, Haste};

use crate::house::House;
use crate::http::{self, Client};
use crate::load::rest;
use crate::table::{Figure, Reach, Row, median, millis, quantile};
use crate::{Bench, say};

const TWENTY_WORDS: &str =
    "My sister moved to a small town by the river last winter and works there as a nurse at night";

/// The directory of the model that is measured, if one is named: that of all-MiniLM-L6-v2 is what the figures are for.
pub fn model_dir() -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "where the model lies is no setting of the programs")]
    std::env::var("MINILM_DIR").ok()
}

pub fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let Some(directory) = model_dir() else {
        say("a model in the server is NOT measured: set MINILM_DIR to the directory of all-MiniLM-L6-v2");
        return Ok(Vec::new());
    };
    let took = vectors(&directory, bench.size(200, 10))?;
    let house = House::built(bench.path("meanings"))?;
    let server = house.start()?;
    let without = server.resident_bytes();
    server.stop()?;
    let house = house.with("EMBEDDING_MODEL_DIR", &directory);
    let server = house.start()?;
    let ready_after = server.ready_after;
    let token = http::new_person(server.address)?;
    let mut client = Client::connect(server.address)?;
    let long = TWENTY_WORDS.repeat(20);
    for text in [TWENTY_WORDS, &long] {
        let (status, _) = client.ask(&http::remember(&token, &json!({"text": text})))?;
        ensure!(status == 201, "a memory was answered {status}");
    }
    wait_for_vectors(&house, 2)?;
    let (with, peak) = (server.resident_bytes(), server.peak_bytes());
    server.stop()?;
    house.remove()?;
    let at_most = |mebibytes: u64| Reach::AtMost(Figure::mebibytes(mebibytes << 20));
    Ok(vec![
        Row::new(
            "one vector of a text of 20 words, in the server, on one core, median".to_owned(),
            Figure::millis(median(&took)),
            None,
            Reach::AtMost(Figure::millis(15.0)),
        ),
        Row::new("the same, p99".to_owned(), Figure::millis(quantile(&took, 0.99)), None, Reach::Told),
        Row::new("resident memory with the model".to_owned(), Figure::mebibytes(with), None, at_most(150)),
        Row::new("the most that was ever resident".to_owned(), Figure::mebibytes(peak), None, Reach::Told),
        Row::new("resident memory without it".to_owned(), Figure::mebibytes(without), None, at_most(25)),
        Row::new(
            "start to first 200 with the model".to_owned(),
            Figure::millis(millis(ready_after)),
            None,
            Reach::Told,
        ),
    ])
}

/// The milliseconds that each vector took.
fn vectors(directory: &str, count: usize) -> Result<Vec<f64>> {
    let model = LocalModel::load(Path::new(directory))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut took = Vec::new();
    for _ in 0..count {
        let began = Instant::now();
        let made = runtime.block_on(model.embed(vec![TWENTY_WORDS.to_owned()], Haste::Aside));
        made.map_err(|error| anyhow!("no vector: {error}"))?;
        took.push(millis(began.elapsed()));
    }
    Ok(took)
}

/// Waits until so many memories have their vectors.
pub fn wait_for_vectors(house: &House, count: usize) -> Result<()> {
    #[expect(clippy::disallowed_methods, reason = "the benchmark looks at what is there")]
    let db = Connection::open_with_flags(house.database(), OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let began = Instant::now();
    loop {
        let made: usize = db.query_row("SELECT count(*) FROM memory_vectors", [], |row| row.get(0))?;
        if made >= count {
            return Ok(());
        }
        ensure!(began.elapsed() < Duration::from_secs(600), "only {made} of {count} vectors were made");
        rest(Duration::from_millis(100));
    }
}
