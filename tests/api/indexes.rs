//! One suite for every index that memories are found by: the embedded one, Qdrant's own local engine, the server's engine as a library
//! (Qdrant Edge), and a Qdrant server where `QDRANT_TEST_URL` names one. The same is found, in the same order where it is clear, and nobody's but one's own.

use std::time::Duration;

use companion::config::ServerConfig;
use serde_json::{Value, json};

use crate::memories::{add, ask, listed, remember, texts};
use crate::qdrant::{asks_for, carried, config, searches};
use crate::qdrant_server::Bridge;
use crate::support::meaning::{of_model, service, wait_for_vectors};
use crate::support::scrape::Scrape;
use crate::support::{TestApp, wait_for};

/// A server whose memories are found by one of the indexes.
struct Indexed {
    name: &'static str,
    app: TestApp,
    _bridge: Option<Bridge>,
    _lent: Option<Lent>,
}

/// A collection of a server that is not the test's, which is to be as it was afterwards.
struct Lent {
    url: String,
    collection: String,
}

impl Drop for Lent {
    fn drop(&mut self) {
        let server = qdrant_client::Qdrant::from_url(&self.url).build().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let gone = runtime.block_on(server.delete_collection(&self.collection));
        assert!(gone.is_ok() || std::thread::panicking(), "{} is left: {gone:?}", self.collection);
    }
}

impl Indexed {
    fn new(name: &'static str, change: impl FnOnce(&mut ServerConfig), bridge: Option<Bridge>) -> Self {
        Self { name, app: TestApp::spawn_with(change), _bridge: bridge, _lent: None }
    }

    fn all() -> Vec<Self> {
        Self::all_with(&|_| {})
    }

    /// All, each with these settings.
    fn all_with(also: &dyn Fn(&mut ServerConfig)) -> Vec<Self> {
        let copied = |name, qdrant, bridge| {
            let change = |settings: &mut ServerConfig| {
                asks_for(qdrant, settings);
                also(settings);
            };
            Self::new(name, change, bridge)
        };
        let mut all = vec![Self::new("embedded", also, None)];
        for (name, options) in [("local engine", &[][..]), ("Edge", &["--edge"][..])] {
            let bridge = Bridge::start_with(options);
            all.push(copied(name, config(&bridge.url(), "tests"), Some(bridge)));
        }
        #[expect(clippy::disallowed_methods, reason = "a real server is named from outside")]
        if let Ok(url) = std::env::var("QDRANT_TEST_URL") {
            let collection = format!("tests-{}", uuid::Uuid::new_v4());
            let server = copied("server", config(&url, &collection), None);
            all.push(Self { _lent: Some(Lent { url, collection }), ..server });
        }
        all
    }

    /// All that was changed by now is in the index.
    fn settle(&self) {
        if self.is_copy() {
            carried(&self.app);
        }
    }

    fn is_copy(&self) -> bool {
        self.name != "embedded"
    }

    /// What this index itself finds: what it is too late for the embedded one answers, and then it is asked anew.
    fn finds(&self, token: &str, asked: &str) -> Ranking {
        let searched = || if self.is_copy() { searches(&self.app) } else { 0 };
        let mut found = Ranking::new();
        wait_for("it has searched", || {
            let before = searched();
            found = self.found(token, asked);
            !self.is_copy() || searched() == before + 1
        });
        found
    }

    /// The same by what it means, too: what has no vector in time is looked for by its words.
    fn finds_meant(&self, token: &str, asked: &str) -> Ranking {
        let answered = "companion_upstream_calls_total{upstream=\"embedding\",end=\"answered\"}";
        let made = || Scrape::of(&self.app).value(answered);
        let mut found = Ranking::new();
        wait_for("it has a vector in time", || {
            let before = made();
            found = self.finds(token, asked);
            made() >= before + 1.0
        });
        found
    }

    fn found(&self, token: &str, asked: &str) -> Ranking {
        let query = format!("?limit=10&q={}", asked.replace(' ', "+"));
        let of =
            |memory: &Value| (memory["text"].as_str().unwrap().to_owned(), memory["score"].as_f64().unwrap());
        listed(&self.app, token, &query).iter().map(of).collect()
    }
}

/// What was found, the best first, and how well it fits.
type Ranking = Vec<(String, f64)>;

const DIARY: [&str; 12] = [
    "Today I planted tomatoes and basil behind the house",
    "The rain drowned the basil, the tomatoes are fine",
    "My neighbour Rosa lent me her wheelbarrow",
    "I brought the wheelbarrow back with a jar of honey",
    "Rosa says that her bees had a good summer",
    "I want to keep bees myself, next to the apple trees",
    "The apple trees are older than the house",
    "Grandfather planted them when my mother was born",
    "My mother never liked apples, she likes pears",
    "We baked a pear cake for her seventieth birthday",
    "Everybody came, even my cousin from Braga",
    "He drove all night and slept in the garden chair",
];
const WORK: [&str; 8] = [
    "I started as a nurse at the hospital of Porto",
    "The night shifts are long, I read between the rounds",
    "Doctor Almeida lent me a novel about whales",
    "The novel about whales is better than I thought",
    "I was offered the children's ward",
    "The children's ward has no night shifts",
    "I said yes to the children's ward",
    "On the first day a boy gave me a drawing of a whale",
];
const ALONE: [&str; 6] = [
    "I am allergic to peanuts",
    "My favourite colour is the green of old bottles",
    "I live in Porto, near the river",
    "My sister lives in Lisbon",
    "My sister plays the cello",
    "I do not eat meat",
];
/// A question, and what has to be found first; `None` where the indexes only have to agree roughly.
const QUESTIONS: [(&str, Option<&str>); 14] = [
    ("What am I allergic to?", Some("I am allergic to peanuts")),
    ("Where does my sister live?", Some("My sister lives in Lisbon")),
    ("what instrument does my sister play", Some("My sister plays the cello")),
    ("which colour do I like best", Some("My favourite colour is the green of old bottles")),
    ("who lent me the wheelbarrow", None),
    ("the novel about whales", None),
    ("who planted the apple trees", None),
    ("basil and tomatoes", None),
    ("bees", None),
    ("children's ward", None),
    ("night shifts", None),
    ("cake for a birthday", None),
    ("eating meat", Some("I do not eat meat")),
    ("my cousin in the garden chair", None),
];

fn corpus(index: &Indexed, token: &str) {
    let app = &index.app;
    for (source, lines) in [(Some("diary"), &DIARY[..]), (Some("work"), &WORK), (None, &ALONE)] {
        for (day, text) in lines.iter().enumerate() {
            let said_at = format!("2026-0{}-{:02}T08:00:00Z", 1 + day / 28, 1 + day % 28);
            add(app, token, &json!({"text": text, "source": source, "said_at": said_at}));
        }
    }
    index.settle();
}

#[test]
fn the_same_is_found_in_the_same_order() {
    let all = Indexed::all();
    let mut rankings: Vec<(&str, Vec<Ranking>)> = Vec::new();
    for index in &all {
        let token = index.app.start_session().token;
        corpus(index, &token);
        let found = QUESTIONS.map(|(asked, _)| index.found(&token, asked));
        for ((asked, first), found) in QUESTIONS.iter().zip(&found) {
            assert!(!found.is_empty(), "{}: {asked}", index.name);
            if let Some(first) = first {
                assert_eq!(&found[0].0, first, "{}: {asked}: {found:?}", index.name);
            }
            assert!(found.iter().all(|(_, score)| *score > 0.0 && *score <= 1.0), "{asked}: {found:?}");
            assert!(found.is_sorted_by(|a, b| a.1 >= b.1), "{asked}: {found:?}");
        }
        rankings.push((index.name, found.into()));
    }
    assert_all_alike(&rankings);
}

/// Each index as the first one.
fn assert_all_alike(rankings: &[(&str, Vec<Ranking>)]) {
    let (_, embedded) = &rankings[0];
    for (name, others) in &rankings[1..] {
        for (at, (ours, theirs)) in embedded.iter().zip(others).enumerate() {
            assert_alike(&format!("{name}: question {at}"), ours, theirs);
        }
    }
}

const MEANT: [&str; 8] = [
    "My home is in Porto",
    "I like tea in the morning",
    "Bruno barks at night",
    "I earn my money with bread in a bakery",
    "My cat sleeps beside the dog",
    "The street is loud",
    "Whoever is thirsty may have coffee",
    "The rain fell all day",
];
/// By meaning alone, by both, and by words that tell nothing.
const MEANINGS: [&str; 8] = [
    "In which town is it?",
    "Do you drink something?",
    "a pet",
    "my job",
    "a loud pet in the street",
    "rain in town",
    "Where do I live?",
    "what was that?",
];

#[test]
fn what_means_the_same_is_found_in_the_same_order() {
    let outside = service();
    let mut rankings: Vec<(&str, Vec<Ranking>)> = Vec::new();
    for index in &Indexed::all_with(&|config| config.embedding = Some(of_model(&outside, "meanings"))) {
        let app = &index.app;
        let (mine, theirs) = (app.start_session().token, app.start_session().token);
        for text in MEANT {
            add(app, &mine, &json!({"text": text, "source": "diary"}));
            add(app, &theirs, &json!({"text": format!("{text} as they say"), "source": "diary"}));
        }
        wait_for_vectors(app, 2 * MEANT.len() as u64);
        index.settle();
        let found = MEANINGS.map(|asked| index.finds_meant(&mine, asked));
        for (asked, first) in [(0, MEANT[5]), (1, MEANT[1]), (3, MEANT[3]), (7, MEANT[7])] {
            assert_eq!(found[asked][0].0, first, "{}: {}: {found:?}", index.name, MEANINGS[asked]);
        }
        let all = found.iter().flatten();
        assert!(all.clone().all(|(text, _)| !text.ends_with("as they say")), "{}: {found:?}", index.name);
        assert!(all.clone().all(|(_, score)| *score > 0.0 && *score <= 1.0), "{}: {found:?}", index.name);
        rankings.push((index.name, found.into()));
    }
    assert_all_alike(&rankings);
}

/// Found by both, with about the same scores; who is clearly better here is not worse there.
fn assert_alike(what: &str, ours: &[(String, f64)], theirs: &[(String, f64)]) {
    const NEAR: f64 = 0.08;
    for (text, score) in ours {
        // What is just at the end of one list may be just behind that of the other.
        let last = theirs.last().map_or(0.0, |(_, score)| *score);
        let there = theirs.iter().find(|(other, _)| other == text).map_or(last, |(_, score)| *score);
        assert!((score - there).abs() < NEAR, "{what}: {text}: {score} and {there}\n{ours:?}\n{theirs:?}");
    }
    for (text, score) in theirs {
        let last = if ours.len() < 10 { 0.0 } else { ours.last().unwrap().1 };
        let here = ours.iter().find(|(other, _)| other == text).map_or(last, |(_, score)| *score);
        assert!((score - here).abs() < NEAR, "{what}: {text}: {here} and {score}");
    }
}

#[test]
fn what_changes_is_found_as_it_is_now() {
    for index in Indexed::all() {
        let app = &index.app;
        let token = app.start_session().token;
        corpus(&index, &token);
        let id = remember(app, &token, "I have a parrot called Ada");
        let found = |asked: &str| index.found(&token, asked).first().map(|(text, _)| text.clone());
        index.settle();
        assert_eq!(found("parrot").as_deref(), Some("I have a parrot called Ada"), "{}", index.name);
        let path = format!("/api/v1/memories/{id}");
        let change = json!({"text": "I have a tortoise called Ada", "source": "zoo"});
        ask(app, &token, "PATCH", &path, &change).expect(200);
        index.settle();
        assert_eq!(found("parrot"), None, "{}", index.name);
        assert_eq!(found("tortoise").as_deref(), Some("I have a tortoise called Ada"), "{}", index.name);
        let beside = add(app, &token, &json!({"text": "It eats dandelions", "source": "zoo"}));
        index.settle();
        assert_eq!(
            index.found(&token, "tortoise").len(),
            2,
            "{}: its neighbour is found with it",
            index.name
        );
        ask(app, &token, "DELETE", &path, &Value::Null).expect(204);
        index.settle();
        assert_eq!(found("tortoise"), None, "{}: nor is it found by who is gone", index.name);
        let path = format!("/api/v1/memories/{}", beside["id"].as_str().unwrap());
        ask(app, &token, "DELETE", &path, &Value::Null).expect(204);
        index.settle();
        assert_eq!(found("dandelions"), None, "{}", index.name);
    }
}

#[test]
fn what_is_no_longer_true_is_not_found() {
    for index in Indexed::all() {
        let app = &index.app;
        let talk = app.start_session();
        app.tell(&talk, "I live in Porto").expect(200);
        app.tell(&talk, "I moved to Lisbon").expect(200);
        wait_for("it is learned", || texts(app, &talk.token, "").len() == 2);
        index.settle();
        let found = index.found(&talk.token, "Porto");
        assert!(found.iter().all(|(text, _)| text.contains("Lisbon")), "{}: {found:?}", index.name);
        assert_eq!(index.found(&talk.token, "Lisbon").len(), 1, "{}", index.name);
    }
}

#[test]
fn texts_of_every_kind_can_be_kept_and_questions_of_every_kind_asked() {
    for index in Indexed::all() {
        let app = &index.app;
        let token = app.start_session().token;
        let long = "tea ".repeat(499);
        for text in
            ["...", "\u{1f600}", &long, "我住在北京市", "Ольга живёт в Киеве", "a' OR 1=1 --", "\u{0}x"]
        {
            add(app, &token, &json!({"text": text, "source": "{\"must\": []}"}));
        }
        index.settle();
        let first = |asked: &str| {
            let query = format!("?q={asked}");
            listed(app, &token, &query).first().map(|memory| memory["text"].as_str().unwrap().to_owned())
        };
        assert_eq!(first("%E5%8C%97%E4%BA%AC").as_deref(), Some("我住在北京市"), "{}", index.name);
        assert_eq!(first("%D0%9A%D0%B8%D0%B5%D0%B2%D0%B5").as_deref(), Some("Ольга живёт в Киеве"));
        assert_eq!(first("tea").as_deref(), Some(long.as_str()), "{}", index.name);
        assert_eq!(first("what+is+it"), None, "{}: words that tell nothing", index.name);
        assert_eq!(first("%F0%9F%98%80"), None, "{}", index.name);
        let words: Vec<String> = (0..200).map(|number| format!("w{number}")).collect();
        assert_eq!(first(&words.join("+")), None, "{}", index.name);
    }
}

#[test]
fn nobody_finds_what_is_anothers_nor_is_moved_by_it() {
    for index in Indexed::all() {
        let app = &index.app;
        let (mine, theirs) = (app.start_session().token, app.start_session().token);
        corpus(&index, &mine);
        let before = QUESTIONS.map(|(asked, _)| index.finds(&mine, asked));
        // The same words, the same sources, and much of them; sources that would be filters, ids or wildcards elsewhere.
        for source in ["diary", "work", "*", "person", "') OR ('1'='1", "{\"key\": \"person\"}"] {
            for text in DIARY.iter().chain(&WORK) {
                add(app, &theirs, &json!({"text": format!("{text} as they say"), "source": source}));
            }
        }
        index.settle();
        for ((asked, _), before) in QUESTIONS.iter().zip(&before) {
            let found = index.finds(&mine, asked);
            assert!(
                found.iter().all(|(text, _)| !text.ends_with("as they say")),
                "{}: {found:?}",
                index.name
            );
            let texts =
                |found: &[(String, f64)]| found.iter().map(|(text, _)| text.clone()).collect::<Vec<_>>();
            assert_eq!(texts(&found), texts(before), "{}: {asked}", index.name);
            let moved = found.iter().zip(before).map(|((_, now), (_, then))| (now - then).abs());
            assert!(moved.fold(0.0, f64::max) < 1e-5, "{}: others' words move nothing: {asked}", index.name);
            let other = index.found(&theirs, asked);
            assert!(other.iter().all(|(text, _)| text.ends_with("as they say")), "{}: {other:?}", index.name);
        }
        let stranger = app.start_session().token;
        assert!(index.found(&stranger, "bees").is_empty(), "{}", index.name);
        for hostile in ["person", "*", "null", "00000000-0000-0000-0000-000000000000", "must_not person"] {
            let found = index.found(&stranger, hostile);
            assert!(found.is_empty(), "{}: {hostile}: {found:?}", index.name);
        }
        let one = &listed(app, &mine, "?limit=1")[0]["id"];
        let (all, found) = (texts(app, &mine, "?limit=100"), index.found(&mine, "bees"));
        for id in
            [one.as_str().unwrap(), "*", "person", "%27%20OR%201=1", "%7B%22must%22%3A%5B%5D%7D", "..%2F"]
        {
            let path = format!("/api/v1/memories/{id}");
            ask(app, &stranger, "PATCH", &path, &json!({"text": "x"})).refused(404, "memory_not_found");
            ask(app, &stranger, "DELETE", &path, &Value::Null).refused(404, "memory_not_found");
        }
        index.settle();
        assert_eq!(texts(app, &mine, "?limit=100"), all, "{}: an id moves nothing of mine", index.name);
        assert_eq!(index.found(&mine, "bees").len(), found.len(), "{}", index.name);
    }
}

#[test]
fn what_is_old_counts_less_and_never_less_than_half() {
    for index in Indexed::all() {
        let app = &index.app;
        let token = app.start_session().token;
        let old = json!({"text": "I was in Venice by train", "said_at": "1990-01-01T00:00:00Z"});
        add(app, &token, &old);
        app.clock.advance(Duration::from_secs(60));
        remember(app, &token, "I was in Venice by ship");
        index.settle();
        let found = index.found(&token, "Venice");
        assert_eq!(found[0].0, "I was in Venice by ship", "{}", index.name);
        let share = found[1].1 / found[0].1;
        assert!((0.49..0.52).contains(&share), "{}: {share}", index.name);
    }
}
