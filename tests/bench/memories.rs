//! How fast memories are added, durably, also where there is no room for more, and found among many.

use std::net::SocketAddr;
use std::time::Instant;

use anyhow::{Result, anyhow, ensure};
use serde_json::json;

use crate::Bench;
use crate::house::House;
use crate::http::{self, Client};
use crate::table::{Figure, Reach, Row, median, millis, quantile};

const CLIENTS: usize = 64;
const WORDS: [&str; 40] = [
    "garden", "sister", "river", "walk", "piano", "lesson", "doctor", "winter", "letter", "harbour", "bread",
    "train", "mountain", "friend", "exam", "holiday", "kitchen", "window", "music", "market", "cousin",
    "bicycle", "museum", "storm", "novel", "teacher", "coffee", "island", "birthday", "concert", "painting",
    "bridge", "village", "dentist", "recipe", "camera", "puzzle", "library", "orchard", "lantern",
];

pub fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let (few, many) = (bench.size(1000, 100), bench.size(10_000, 500));
    let house = House::built(bench.path("memories"))?.with("MAX_MEMORIES_PER_PERSON", &many.to_string());
    let server = house.start()?;
    let address = server.address;
    // Everybody together has ten times what the one has who is asked for.
    let of_many = http::new_person(address)?;
    let before = server.resident_bytes();
    let began = Instant::now();
    add(address, &of_many, many)?;
    let per_second = as_float(many) / began.elapsed().as_secs_f64();
    let grown = server.resident_bytes().saturating_sub(before);
    let of_few = http::new_person(address)?;
    add(address, &of_few, few)?;
    for _ in 0..9 {
        add(address, &http::new_person(address)?, many - few / 9)?;
    }
    let questions = bench.size(500, 50);
    let (among_few, among_many) = (ask(address, &of_few, questions)?, ask(address, &of_many, questions)?);
    let began = Instant::now();
    add(address, &of_many, few)?;
    let per_second_at_the_bound = as_float(few) / began.elapsed().as_secs_f64();
    server.stop()?;
    house.remove()?;
    let at_most = |most| Reach::AtMost(Figure::millis(most));
    let found = |among: usize, took: &[f64], most| {
        let what = format!("recall among {among} memories of one person ({} in all), median", many * 10);
        [
            Row::new(what, Figure::millis(median(took)), None, at_most(most)),
            Row::new("the same, p99", Figure::millis(quantile(took, 0.99)), None, Reach::Told),
        ]
    };
    let what = format!("adding {many} memories through the API, {CLIENTS} clients, on disk");
    let mut rows = vec![
        Row::new(what, Figure::per_second(per_second), None, Reach::AtLeast(Figure::per_second(2000.0))),
        Row::new("its growth of resident memory", Figure::mebibytes(grown), None, Reach::Told),
    ];
    let what = format!("adding at the bound of {many}, where for each one another goes");
    rows.push(Row::new(what, Figure::per_second(per_second_at_the_bound), None, Reach::Told));
    rows.extend(found(few, &among_few, 1.0));
    rows.extend(found(many, &among_many, 5.0));
    Ok(rows)
}

/// Twenty words, of which those of the question are some.
fn text(number: usize) -> String {
    let word = |place: usize| WORDS[(number * 7 + place * (number % 11 + 3)) % WORDS.len()];
    let words: Vec<_> = (0..12).map(word).collect();
    format!("On day {number} I told you about the {}", words.join(" and "))
}

fn add(address: SocketAddr, token: &str, count: usize) -> Result<()> {
    let adding: Vec<_> = (0..CLIENTS)
        .map(|first| {
            let token = token.to_owned();
            std::thread::spawn(move || -> Result<()> {
                let mut client = Client::connect(address)?;
                for number in (first..count).step_by(CLIENTS) {
                    let (status, _) = client.ask(&http::remember(&token, &json!({"text": text(number)})))?;
                    ensure!(status == 201, "a memory was answered {status}");
                }
                Ok(())
            })
        })
        .collect();
    adding.into_iter().try_for_each(|added| added.join().map_err(|_| anyhow!("a client panicked"))?)
}

/// The milliseconds that each question took.
fn ask(address: SocketAddr, token: &str, questions: usize) -> Result<Vec<f64>> {
    let mut client = Client::connect(address)?;
    let mut took = Vec::new();
    for number in 0..questions {
        let words = (WORDS[number % WORDS.len()], WORDS[(number * 3 + 1) % WORDS.len()]);
        let question = http::recall(
            token,
            &format!("What did I tell you about the {} and the {}?", words.0, words.1),
            5,
        );
        let began = Instant::now();
        let (status, _) = client.ask(&question)?;
        ensure!(status == 200, "a question was answered {status}");
        took.push(millis(began.elapsed()));
    }
    Ok(took)
}

#[expect(clippy::cast_precision_loss, reason = "a count of memories")]
fn as_float(count: usize) -> f64 {
    count as f64
}
