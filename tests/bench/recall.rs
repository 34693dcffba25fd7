//! How much of what answers a question is found among the first 5, 10 and 25 memories, through the API of the real server:
//! every turn of `LoCoMo` is added with `POST /memories`, every question asked with `GET /memories?q=`.

use std::collections::HashMap;
use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::house::House;
use crate::http::{self, Client};
use crate::locomo::{self, Conversation};
use crate::table::{Figure, Reach, Row};
use crate::{Bench, meanings, say};

/// So many are looked at, and what share of the evidence has to be among them, in percent: by words, and by meaning, too.
const REACH: [(usize, f64, f64); 3] = [(5, 66.0, 69.0), (10, 75.0, 78.0), (25, 83.0, 86.0)];

pub fn measure(bench: &Bench) -> Result<Vec<Row>> {
    #[expect(clippy::disallowed_methods, reason = "where the data lies is no setting of the programs")]
    let Ok(path) = std::env::var("LOCOMO_JSON") else {
        say("recall is NOT measured: set LOCOMO_JSON to the file locomo10.json, which may not be kept here");
        return Ok(Vec::new());
    };
    let mut conversations = locomo::load(&path)?;
    conversations.truncate(bench.size(usize::MAX, 1));
    let mut rows = evidence(House::built(bench.path("recall"))?, &conversations, false)?;
    if let Some(model) = meanings::model_dir() {
        let house = House::built(bench.path("recall by meaning"))?.with("EMBEDDING_MODEL_DIR", &model);
        rows.extend(evidence(house, &conversations, true)?);
    }
    Ok(rows)
}

fn evidence(house: House, conversations: &[Conversation], by_meaning: bool) -> Result<Vec<Row>> {
    let server = house.start()?;
    let address = server.address;
    let told: Vec<_> =
        conversations.iter().map(|conversation| tell(address, conversation)).collect::<Result<_>>()?;
    if by_meaning {
        meanings::wait_for_vectors(&house, told.iter().map(|told| told.turns.len()).sum())?;
    }
    let mut shares = Vec::new();
    for (conversation, told) in conversations.iter().zip(&told) {
        shares.extend(asked(address, conversation, told)?);
    }
    server.stop()?;
    house.remove()?;
    let questions = shares.len();
    let also = if by_meaning { ", by meaning, too" } else { "" };
    let row = |(place, (among, words, meaning)): (usize, (usize, f64, f64))| {
        let found = shares.iter().map(|share| share[place]).sum::<f64>() / as_float(questions) * 100.0;
        let what = format!("evidence for {questions} questions of LoCoMo among the first {among}{also}");
        let least = Figure::percent(if by_meaning { meaning } else { words });
        Row::new(what, Figure::percent(found), None, Reach::AtLeast(least))
    };
    Ok(REACH.into_iter().enumerate().map(row).collect())
}

/// Who was told a conversation, and which memory is which turn.
struct Told {
    token: String,
    turns: HashMap<String, String>,
}

fn tell(address: SocketAddr, conversation: &Conversation) -> Result<Told> {
    let token = http::new_person(address)?;
    let mut client = Client::connect(address)?;
    let mut turns = HashMap::new();
    for turn in &conversation.turns {
        let body = json!({"text": turn.text, "said_at": turn.said_at, "source": turn.sitting});
        let (status, answer) = client.ask(&http::remember(&token, &body))?;
        ensure!(status == 201, "a memory was answered {status}");
        let added: Value = serde_json::from_slice(answer)?;
        turns.insert(added["id"].as_str().context("no id")?.to_owned(), turn.id.clone());
    }
    Ok(Told { token, turns })
}

/// For each question, how much of its evidence is among so many.
fn asked(address: SocketAddr, conversation: &Conversation, told: &Told) -> Result<Vec<[f64; 3]>> {
    let mut client = Client::connect(address)?;
    let mut shares = Vec::new();
    for question in &conversation.questions {
        let (status, answer) = client.ask(&http::recall(&told.token, &question.text, 25))?;
        ensure!(status == 200, "a question was answered {status}");
        let found: Value = serde_json::from_slice(answer)?;
        let found = found["memories"].as_array().context("no memories")?.iter();
        let found: Vec<_> =
            found.map(|memory| &told.turns[memory["id"].as_str().unwrap_or_default()]).collect();
        shares.push(REACH.map(|(among, ..)| {
            let there = found.iter().take(among).filter(|id| question.evidence.contains(**id)).count();
            as_float(there) / as_float(question.evidence.len())
        }));
    }
    Ok(shares)
}

#[expect(clippy::cast_precision_loss, reason = "counts of questions and turns")]
fn as_float(count: usize) -> f64 {
    count as f64
}
