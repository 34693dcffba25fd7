//! `LoCoMo` (Maharana et al. 2024): long conversations, and questions with the turns that answer them. The data may not be
//! copied into the project; `LOCOMO_JSON` names the file, `locomo10.json` or its beginning.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context, Result};
use serde_json::Value;
use time::PrimitiveDateTime;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;

/// One turn, which is remembered.
pub struct Turn {
    pub id: String,
    /// Which of the sittings it belongs to.
    pub sitting: String,
    /// RFC 3339.
    pub said_at: String,
    /// As a reader sees it: when, who, what, and what the picture shows.
    pub text: String,
}

/// One question of the categories 1 to 4; the fifth asks for what was never said.
pub struct Question {
    pub text: String,
    /// The ids of the turns that answer it.
    pub evidence: BTreeSet<String>,
}

pub struct Conversation {
    pub turns: Vec<Turn>,
    pub questions: Vec<Question>,
}

pub fn load(path: &str) -> Result<Vec<Conversation>> {
    let text = fs::read_to_string(path).with_context(|| format!("LOCOMO_JSON={path}"))?;
    let samples: Vec<Value> = serde_json::from_str(&text)?;
    samples.iter().map(conversation).collect()
}

fn conversation(sample: &Value) -> Result<Conversation> {
    let spoken = sample["conversation"].as_object().context("no conversation")?;
    let mut turns = Vec::new();
    for number in 1.. {
        let sitting = format!("session_{number}");
        // Some are announced with a time and never took place.
        let Some(date) = spoken.get(&format!("{sitting}_date_time")) else { break };
        for turn in spoken.get(&sitting).and_then(Value::as_array).into_iter().flatten() {
            turns.push(read_turn(turn, &sitting, date.as_str().unwrap_or_default())?);
        }
    }
    let known: BTreeSet<_> = turns.iter().map(|turn| turn.id.as_str()).collect();
    let asked = sample["qa"].as_array().context("no questions")?.iter();
    let asked = asked.filter(|question| question["category"] != 5);
    let questions = asked.map(|question| Question {
        text: text_of(question, "question"),
        evidence: evidence(question).into_iter().filter(|id| known.contains(id.as_str())).collect(),
    });
    let questions = questions.filter(|question| !question.evidence.is_empty()).collect();
    Ok(Conversation { turns, questions })
}

fn text_of(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_default().trim().to_owned()
}

fn read_turn(turn: &Value, sitting: &str, date: &str) -> Result<Turn> {
    let form = format_description!(
        "[hour padding:none repr:12]:[minute] [period case:lower] on [day padding:none] [month repr:long], [year]"
    );
    let said_at = PrimitiveDateTime::parse(date, form).with_context(|| format!("the time {date}"))?;
    let mut text = format!("({date}) {}: {}", text_of(turn, "speaker"), text_of(turn, "text"));
    let caption = text_of(turn, "blip_caption");
    if !caption.is_empty() {
        text.push_str(&format!(" [shares {caption}]"));
    }
    Ok(Turn {
        id: text_of(turn, "dia_id"),
        sitting: sitting.to_owned(),
        said_at: said_at.assume_utc().format(&Rfc3339)?,
        text,
    })
}

/// `"D8:6; D9:17"`, `"D:11:26"`, `"D30:05"`: every pair of numbers with a colon between them names a turn.
fn evidence(question: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for item in question["evidence"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        let parts: Vec<&str> = item.split(|c: char| !c.is_ascii_digit() && c != ':').collect();
        for part in parts {
            let numbers: Vec<u32> = part.split(':').filter_map(|number| number.parse().ok()).collect();
            found.extend(numbers.chunks_exact(2).map(|pair| format!("D{}:{}", pair[0], pair[1])));
        }
    }
    found
}
