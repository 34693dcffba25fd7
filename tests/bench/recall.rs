//! How much of what answers a question is found among the first 5, 10 and 25 memories, through the API of the real server:
//! every turn of `LoCoMo` is added with `POST /memories`, every question asked with `GET /memories?q=`.

use std::collections::HashMap;
use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::house::House;
use crate::http::{self, Client};
use crate::locomo::{self, Conversation};
use crate::qdrant::{self, Qdrant};
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
    let model = meanings::model_dir();
    let (words, mut rows) = embedded(bench, "recall", None, &conversations)?;
    rows.extend(in_qdrant(bench, "recall in Qdrant", None, (&conversations[..], words))?);
    if let Some(model) = model.as_deref() {
        let (meaning, also) = embedded(bench, "recall by meaning", Some(model), &conversations)?;
        rows.extend(also);
        let by_meaning = (&conversations[..], meaning);
        rows.extend(in_qdrant(bench, "recall in Qdrant by meaning", Some(model), by_meaning)?);
    }
    Ok(rows)
}

/// What share of the evidence is among so many, in percent, as in [`REACH`].
type Found = [f64; 3];

fn house(bench: &Bench, name: &str, model: Option<&str>) -> Result<House> {
    let house = House::built(bench.path(name))?;
    Ok(match model {
        Some(model) => house.with("EMBEDDING_MODEL_DIR", model),
        None => house,
    })
}

fn embedded(
    bench: &Bench,
    name: &str,
    model: Option<&str>,
    conversations: &[Conversation],
) -> Result<(Found, Vec<Row>)> {
    let house = house(bench, name, model)?;
    let found = evidence(&house, conversations, model.is_some(), false)?;
    house.remove()?;
    let least = REACH.map(|(_, words, meaning)| if model.is_some() { meaning } else { words });
    Ok((found, rows("", model.is_some(), (conversations, found), least)))
}

/// The same, where Qdrant finds: at most one point less than the embedded index has found.
fn in_qdrant(
    bench: &Bench,
    name: &str,
    model: Option<&str>,
    (conversations, embedded): (&[Conversation], Found),
) -> Result<Vec<Row>> {
    let (all, least) = (Qdrant::all()?, embedded.map(|found| found - 1.0));
    if all.is_empty() {
        say(
            "recall in Qdrant is NOT measured: set QDRANT_TEST_URL, or run tests/run, which installs Qdrant Edge",
        );
    }
    let mut told = Vec::new();
    for qdrant in all {
        let house = qdrant.finds_for(house(bench, &format!("{name}, {}", qdrant.name), model)?);
        let found = evidence(&house, conversations, model.is_some(), true)?;
        house.remove()?;
        let place = format!(", in {}", qdrant.name);
        told.extend(rows(&place, model.is_some(), (conversations, found), least));
    }
    Ok(told)
}

fn rows(
    place: &str,
    by_meaning: bool,
    (conversations, found): (&[Conversation], Found),
    least: [f64; 3],
) -> Vec<Row> {
    let questions: usize = conversations.iter().map(|conversation| conversation.questions.len()).sum();
    let also = if by_meaning { ", by meaning, too" } else { "" };
    let row = |at: usize| {
        let among = REACH[at].0;
        let what =
            format!("evidence for {questions} questions of LoCoMo among the first {among}{also}{place}");
        Row::new(what, Figure::percent(found[at]), None, Reach::AtLeast(Figure::percent(least[at])))
    };
    (0..REACH.len()).map(row).collect()
}

fn evidence(
    house: &House,
    conversations: &[Conversation],
    by_meaning: bool,
    in_qdrant: bool,
) -> Result<Found> {
    let server = house.start()?;
    let address = server.address;
    let told: Vec<_> =
        conversations.iter().map(|conversation| tell(address, conversation)).collect::<Result<_>>()?;
    if by_meaning {
        meanings::wait_for_vectors(house, told.iter().map(|told| told.turns.len()).sum())?;
    }
    if in_qdrant {
        qdrant::wait_until_carried(house)?;
    }
    let mut shares = Vec::new();
    for (conversation, told) in conversations.iter().zip(&told) {
        shares.extend(asked(address, conversation, told, in_qdrant)?);
    }
    server.stop()?;
    let share = |place: usize| {
        shares.iter().map(|share: &Found| share[place]).sum::<f64>() / as_float(shares.len()) * 100.0
    };
    Ok([share(0), share(1), share(2)])
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
fn asked(
    address: SocketAddr,
    conversation: &Conversation,
    told: &Told,
    in_qdrant: bool,
) -> Result<Vec<Found>> {
    let mut client = Client::connect(address)?;
    let mut shares = Vec::new();
    for question in &conversation.questions {
        let mut ask = || -> Result<Value> {
            let (status, answer) = client.ask(&http::recall(&told.token, &question.text, 25))?;
            ensure!(status == 200, "a question was answered {status}");
            Ok(serde_json::from_slice(answer)?)
        };
        let found = if in_qdrant { qdrant::answered_by_it(address, ask)? } else { ask()? };
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
