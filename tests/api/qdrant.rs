//! Memories are also found in Qdrant, where one is set up: nobody waits for one that does not answer, and what it missed is carried
//! later.

use std::collections::HashMap;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use companion::adapters::qdrant::Qdrant;
use companion::adapters::upstream::BreakerSettings;
use companion::config::{QdrantConfig, ServerConfig};
use companion::domain::memory::copy::{Edition, MemoryCopy};
use companion::domain::secret::{ApiKey, Secret};
use companion::domain::session::PublicId;
use qdrant_client::qdrant::{
    CreateCollection, Distance, Modifier, SparseVectorConfig, SparseVectorParams, VectorParams,
    VectorParamsMap, VectorsConfig, vectors_config,
};
use serde_json::{Value, json};

use crate::memories::{remember, texts};
use crate::qdrant_server::{Bridge, State};
use crate::refusing::Refusing;
use crate::support::meaning::{meaning, of_model, service, vectors, wait_for_vectors};
use crate::support::outside::{Outside, Part, Seen, refusal, whole};
use crate::support::{Talk, TestApp, wait_for};

const STATUS: &str = "/api/v1/admin/memory/status";

pub fn config(url: &str, collection: &str) -> QdrantConfig {
    QdrantConfig { base: url.parse().unwrap(), key: None, collection: collection.to_owned() }
}

pub fn asks(url: &str, config: &mut ServerConfig) {
    asks_for(self::config(url, "tests"), config);
}

pub fn asks_for(qdrant: QdrantConfig, config: &mut ServerConfig) {
    config.access.admin_token = Some(Secret::new("the-operator"));
    config.outside.qdrant = Some(qdrant);
    config.outside.breaker.recovery = Duration::from_secs(1);
}

fn with_qdrant(url: &str) -> TestApp {
    TestApp::spawn_with(|config| asks(url, config))
}

pub fn status(app: &TestApp) -> Value {
    app.get_with(STATUS, &[("authorization", "Bearer the-operator")]).expect(200).json()
}

fn state_of_it(app: &TestApp) -> String {
    let health = app.get("/api/v1/health").expect(200).json();
    health["services"]["qdrant"].as_str().unwrap().to_owned()
}

/// Waits until all that was remembered by now is in Qdrant.
#[track_caller]
pub fn carried(app: &TestApp) {
    let mut last = Value::Null;
    let whole = |last: &mut Value| {
        *last = status(app);
        last["qdrant"]["whole"] == true
            && last["qdrant"]["state"] == "connected"
            && last["outbox"]["changes"] == 0
    };
    let began = Instant::now();
    while !whole(&mut last) {
        assert!(began.elapsed() < Duration::from_secs(60), "waited in vain until the copy is whole: {last}");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

fn forget(app: &TestApp, token: &str, id: &str) {
    app.ask("DELETE", &format!("/api/v1/memories/{id}"), &[("x-companion-person", token)], b"").expect(204);
}

/// How many searches Qdrant has answered.
pub fn searches(app: &TestApp) -> u64 {
    status(app)["qdrant"]["calls"]["answered"].as_u64().unwrap()
}

/// Asks Qdrant so many times. What it is too late for the embedded index answers, which takes as long as it does anywhere: then
/// it is asked anew.
#[track_caller]
fn asks_qdrant(app: &TestApp, times: u64, ask: impl Fn()) {
    wait_for("Qdrant was asked", || {
        let before = searches(app);
        ask();
        searches(app) == before + times
    });
}

#[test]
fn what_is_remembered_is_found_in_qdrant_and_what_is_forgotten_leaves_it() {
    let dir = tempfile::TempDir::new().unwrap();
    let put_off = dir.path().join("put-off");
    let qdrant = Bridge::start_with(&["--put-off", put_off.to_str().unwrap()]);
    let app = with_qdrant(&qdrant.url());
    let token = app.start_session().token;
    let id = remember(&app, &token, "My sister lives in Porto");
    remember(&app, &token, "I am allergic to peanuts");
    carried(&app);
    asks_qdrant(&app, 1, || {
        assert_eq!(texts(&app, &token, "?q=where+does+my+sister+live"), ["My sister lives in Porto"]);
    });
    forget(&app, &token, &id);
    assert!(texts(&app, &token, "?q=sister").is_empty(), "at once, whatever Qdrant still holds");
    carried(&app);
    assert!(texts(&app, &token, "?q=sister").is_empty());
    // That search may have come too late, and it is told so until Qdrant was seen to answer again.
    carried(&app);
    assert_eq!(state_of_it(&app), "connected");
    let told = status(&app);
    assert_eq!((&told["index"], &told["memories"]), (&"qdrant".into(), &1.into()));
    assert_eq!(told["qdrant"]["circuit"], "closed");
    assert_eq!(told["qdrant"]["problem"], Value::Null);
    let all = app.get_with("/api/v1/admin/status", &[("authorization", "Bearer the-operator")]).json();
    assert!(all["upstreams"].as_array().unwrap().iter().any(|upstream| upstream["name"] == "qdrant"));

    // What it only takes note of waits until it is carried out.
    std::fs::write(&put_off, "").unwrap();
    remember(&app, &token, "I keep bees");
    let mut told = Value::Null;
    wait_for("it is told", || {
        told = status(&app);
        told["qdrant"]["problem"].as_str().is_some_and(|problem| problem.contains("did not confirm a change"))
    });
    assert_eq!(told["outbox"]["changes"], 1, "{told}");
    assert_eq!(texts(&app, &token, "?q=bees"), ["I keep bees"], "the embedded index finds it");
    std::fs::remove_file(&put_off).unwrap();
    carried(&app);
    asks_qdrant(&app, 1, || assert_eq!(texts(&app, &token, "?q=bees"), ["I keep bees"]));
}

#[test]
fn no_word_of_anybody_goes_to_qdrant() {
    let qdrant = Bridge::start();
    let line = qdrant.line();
    let app = with_qdrant(&line.url());
    let talk = app.start_session();
    app.tell(&talk, "My sister lives in Unmistakable-Porto").expect(200);
    let id = remember(&app, &talk.token, "I keep Unmistakable-bees");
    carried(&app);
    texts(&app, &talk.token, "?q=unmistakable");
    assert!(line.was_sent(id.as_bytes()), "the line sees what is sent");
    for word in ["Unmistakable", "unmistakable", "unmistak", &talk.token, &talk.session] {
        assert!(!line.was_sent(word.as_bytes()), "{word}");
    }
}

#[test]
fn what_qdrant_misses_waits_and_is_carried_when_it_is_back() {
    let qdrant = Bridge::start();
    let line = qdrant.line();
    let app = with_qdrant(&line.url());
    let talk = app.start_session();
    let (stays, goes) =
        (remember(&app, &talk.token, "The first is about tea"), remember(&app, &talk.token, "About milk"));
    carried(&app);
    line.set(State::Down);
    forget(&app, &talk.token, &goes);
    remember(&app, &talk.token, "The third is about sugar");
    let path = format!("/api/v1/memories/{stays}");
    let headers = [("x-companion-person", talk.token.as_str()), ("content-type", "application/json")];
    app.ask("PATCH", &path, &headers, br#"{"text": "The first is about coffee"}"#).expect(200);
    wait_for("it is seen", || state_of_it(&app) == "disconnected");
    assert_eq!(texts(&app, &talk.token, "?q=sugar"), ["The third is about sugar"]);
    let reply = app.tell(&talk, "what about coffee?").expect(200).json();
    assert_eq!(reply["degraded"], json!(["memory"]));
    assert_eq!(app.model.last_memories(), ["The first is about coffee"], "the embedded index finds it");
    let waiting = status(&app);
    assert!(waiting["outbox"]["changes"].as_u64().unwrap() >= 3, "{waiting}");
    assert!(waiting["qdrant"]["problem"].as_str().unwrap().contains("cannot be reached"), "{waiting}");
    let metrics = app.get("/metrics").expect(200).text();
    assert!(metrics.contains("companion_memory_outbox_changes ") && metrics.contains("upstream=\"qdrant\""));
    line.set(State::Up);
    carried(&app);
    asks_qdrant(&app, 3, || {
        assert_eq!(texts(&app, &talk.token, "?q=coffee"), ["The first is about coffee"]);
        assert!(
            texts(&app, &talk.token, "?q=milk").is_empty() && texts(&app, &talk.token, "?q=tea").is_empty()
        );
    });
    wait_for("nothing is missing", || {
        app.tell(&talk, "what about coffee?").expect(200).json()["degraded"] == json!([])
    });
}

#[test]
fn one_that_is_not_there_at_the_start_keeps_nobody_waiting_it_is_looked_for_within_a_second() {
    let qdrant = Bridge::start();
    let line = qdrant.line();
    for (away, collection) in [(State::Down, "down"), (State::Hung, "hung")] {
        line.set(away);
        let url = line.url();
        let app = TestApp::spawn_with(|settings| asks_for(config(&url, collection), settings));
        let talk = app.start_session();
        remember(&app, &talk.token, "My sister lives in Porto");
        let reply = app.tell(&talk, "where is my sister?").expect(200).json();
        let looked = &reply["timings"]["memory_retrieval_ms"];
        assert!(looked.as_f64().unwrap() < 1000.0, "{away:?}: {looked} ms");
        assert_eq!(reply["degraded"], json!(["memory"]));
        assert_eq!(reply["memories"][0]["text"], "My sister lives in Porto");
        line.set(State::Up);
        carried(&app);
        assert_eq!(texts(&app, &talk.token, "?q=sister"), ["My sister lives in Porto"]);
        // Its connections would keep the next server's line from being its own.
        drop(app);
    }
}

/// What each turn took, of so many people at once who say so many things.
fn turns(app: &TestApp, talks: &[Talk], each: usize) -> Vec<Duration> {
    let mut took: Vec<Duration> = std::thread::scope(|scope| {
        let people: Vec<_> = talks
            .iter()
            .map(|talk| {
                scope.spawn(move || {
                    let say = |number: usize| {
                        let began = Instant::now();
                        app.tell(talk, &format!("what about my sister {number}?")).expect(200);
                        began.elapsed()
                    };
                    (0..each).map(say).collect::<Vec<_>>()
                })
            })
            .collect();
        people.into_iter().flat_map(|person| person.join().unwrap()).collect()
    });
    took.sort_unstable();
    took
}

fn p99(took: &[Duration]) -> Duration {
    took[(took.len() * 99).div_ceil(100) - 1]
}

#[test]
fn a_hung_qdrant_costs_fifty_conversations_one_wait_within_its_patience_and_then_none() {
    const RECALL: Duration = Duration::from_secs(1);
    let qdrant = Bridge::start();
    let line = qdrant.line();
    let app = with_qdrant(&line.url());
    let talks: Vec<Talk> = (0..50).map(|_| app.start_session()).collect();
    talks.iter().for_each(|talk| drop(remember(&app, &talk.token, "My sister lives in Porto")));
    carried(&app);
    let usual = p99(&turns(&app, &talks, 4));
    carried(&app);
    line.set(State::Hung);
    let first = p99(&turns(&app, &talks, 1));
    let then = turns(&app, &talks, 4);
    // What else the machine does is no part of what is promised.
    let slack = usual.max(Duration::from_millis(500));
    assert!(first < usual + RECALL + slack, "usually {usual:?}, at first {first:?}");
    let later = p99(&then);
    assert!(later < usual + slack, "usually {usual:?}, later {later:?}: nobody waits a second time");
    // What waits for Qdrant waits each time.
    let looks: [Duration; 3] = std::array::from_fn(|_| {
        let began = Instant::now();
        app.get("/").expect(200);
        assert_eq!(state_of_it(&app), "disconnected");
        began.elapsed()
    });
    assert!(looks.iter().all(|took| *took < Duration::from_millis(500)), "page and health: {looks:?}");
    let finding = app.tell(&talks[0], "where is my sister?").expect(200).json();
    assert_eq!(finding["degraded"], json!(["memory"]));
    assert_eq!(finding["memories"][0]["text"], "My sister lives in Porto");
    line.set(State::Up);
    carried(&app);
}

#[test]
fn searches_that_hang_while_all_else_answers_cost_one_turn_once_and_the_others_find_within_900_ms() {
    let dir = tempfile::TempDir::new().unwrap();
    let hang = dir.path().join("hang");
    let qdrant = Bridge::start_with(&["--hang-searches", hang.to_str().unwrap()]);
    let app = with_qdrant(&qdrant.url());
    let talk = app.start_session();
    remember(&app, &talk.token, "My sister lives in Porto");
    carried(&app);
    std::fs::write(&hang, "").unwrap();
    let began = Instant::now();
    let mut slow = 0;
    while began.elapsed() < Duration::from_secs(8) {
        let reply = app.tell(&talk, "where is my sister?").expect(200).json();
        assert_eq!(reply["memories"][0]["text"], "My sister lives in Porto", "the embedded index finds it");
        slow += u32::from(reply["timings"]["memory_retrieval_ms"].as_f64().unwrap() > 900.0);
        std::thread::park_timeout(Duration::from_millis(300));
    }
    assert_eq!(slow, 1, "turns that waited");
    assert_eq!(state_of_it(&app), "disconnected");
    std::fs::remove_file(&hang).unwrap();
    wait_for("it is asked again", || {
        app.tell(&talk, "where is my sister?").expect(200).json()["degraded"] == json!([])
    });
}

#[test]
fn five_hundred_at_once_share_few_connections() {
    let qdrant = Bridge::start();
    let line = qdrant.line();
    let app = with_qdrant(&line.url());
    let talk = app.start_session();
    (0..20).for_each(|number| drop(remember(&app, &talk.token, &format!("My sister number {number}"))));
    carried(&app);
    let found = |asked: usize| {
        let found = texts(&app, &talk.token, &format!("?q=sister+{asked}&limit=3"));
        assert_eq!(found.len(), 3);
    };
    std::thread::scope(|scope| {
        (0..500).for_each(|asked| drop(scope.spawn(move || found(asked % 20))));
    });
    assert!(line.most_open() <= 16, "all share them");
    // Who carries takes another one when a call of its own has failed.
    let calls = &status(&app)["qdrant"]["calls"];
    let failed = calls["timed_out"].as_u64().unwrap() + calls["unreachable"].as_u64().unwrap();
    let taken = line.taken() as u64;
    assert!(taken <= 1 + failed, "{taken} connections, {failed} failures: one is enough while it holds");
    carried(&app);
    line.set(State::Down);
    line.set(State::Up);
    std::thread::scope(|scope| {
        (0..500).for_each(|asked| drop(scope.spawn(move || found(asked % 20))));
    });
    let most = line.most_open();
    assert!(most <= 16, "{most} connections after a break");
    carried(&app);
}

/// What is told once that holds this: before, one that is slow may be told to have timed out.
#[track_caller]
fn told(app: &TestApp, part: &str) -> String {
    let mut last = String::new();
    wait_for(&format!("{part:?} is told"), || {
        last = status(app)["qdrant"]["problem"].as_str().unwrap_or_default().to_owned();
        last.contains(part)
    });
    assert_eq!(last.lines().count(), 1, "{last}");
    last
}

/// What is said of one that cannot be used, in one line that holds this.
#[track_caller]
fn problem(qdrant: QdrantConfig, part: &str) -> String {
    let app = TestApp::spawn_with(|config| asks_for(qdrant, config));
    let talk = app.start_session();
    remember(&app, &talk.token, "My sister lives in Porto");
    assert_eq!(
        texts(&app, &talk.token, "?q=sister"),
        ["My sister lives in Porto"],
        "the embedded index does"
    );
    let told = told(&app, part);
    assert_eq!(state_of_it(&app), "disconnected");
    told
}

fn settings() -> BreakerSettings {
    BreakerSettings { threshold: 100, recovery: Duration::from_secs(1) }
}

/// A collection of a store, whose vectors of meanings have so many dimensions.
fn collection_of(owner: [u8; 16], url: &str, collection: &str, new: Edition) {
    let copy = Qdrant::new(&config(url, collection), settings()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(copy.begin(owner, new, true)).unwrap();
}

/// A collection with these marks and 384 dimensions, without an index of whose each point is.
fn collection_made(url: &str, marks: ([u8; 16], [u8; 16]), modifier: Modifier, distance: Distance) {
    let sparse = SparseVectorParams { modifier: Some(modifier.into()), ..SparseVectorParams::default() };
    let sparse = ["alone", "around"].map(|name| (name.to_owned(), sparse));
    let dense = VectorParams { size: 384, distance: distance.into(), ..VectorParams::default() };
    let dense = VectorParamsMap { map: HashMap::from([("dense".to_owned(), dense)]) };
    let mark = |bytes| PublicId::from_bytes(bytes).to_string().into();
    let metadata = [("companion_owner", mark(marks.0)), ("companion_copy", mark(marks.1))];
    let wanted = CreateCollection {
        collection_name: "tests".to_owned(),
        vectors_config: Some(VectorsConfig { config: Some(vectors_config::Config::ParamsMap(dense)) }),
        sparse_vectors_config: Some(SparseVectorConfig { map: HashMap::from(sparse) }),
        metadata: metadata.map(|(name, mark)| (name.to_owned(), mark)).into(),
        ..CreateCollection::default()
    };
    asking(url, async |server| {
        server.delete_collection("tests").await.unwrap();
        server.create_collection(wanted).await.unwrap();
    });
}

/// What the test itself asks of Qdrant.
fn asking<T>(url: &str, ask: impl AsyncFnOnce(qdrant_client::Qdrant) -> T) -> T {
    let server = qdrant_client::Qdrant::from_url(url).skip_compatibility_check().build().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(ask(server))
}

/// Who answers every connection with these bytes.
fn answering(answer: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let _ = std::io::Read::read(&mut &stream, &mut [0; 4096]);
            let _ = std::io::Write::write_all(&mut &stream, answer);
        }
    });
    url
}

#[test]
fn what_cannot_be_used_is_told_in_one_clear_line() {
    let closed = Bridge::start_with(&["--key", "open-sesame"]);
    problem(config(&closed.url(), "tests"), "QDRANT_API_KEY");
    let key = |key: &str| Some(ApiKey::new(key.to_owned()));
    let wrong = QdrantConfig { key: key("very-secret"), ..config(&closed.url(), "tests") };
    let told = problem(wrong, "refuses the key");
    assert!(!told.contains("very-secret"), "{told}");
    let right = QdrantConfig { key: key("open-sesame"), ..config(&closed.url(), "tests") };
    let app = TestApp::spawn_with(|config| asks_for(right, config));
    carried(&app);
    drop(app);

    let old = Bridge::start_with(&["--version", "1.18.9"]);
    let told = problem(config(&old.url(), "tests"), "1.18.9 is too old");
    assert!(told.contains("1.19"), "{told}");

    let rest = answering(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    let told = problem(config(&rest, "tests"), "not Qdrant's gRPC port");
    assert!(told.contains("6334"), "{told}");

    let qdrant = Bridge::start();
    let edition = Edition { generation: [1; 16], dimensions: None };
    collection_of([9; 16], &qdrant.url(), "anothers", edition);
    let told = problem(config(&qdrant.url(), "anothers"), "QDRANT_COLLECTION");
    assert!(told.contains("anothers"), "{told}");

    let unused = Refusing::new();
    let told = problem(config(&format!("http://{unused}"), "tests"), "cannot be reached");
    assert!(told.contains("refused"), "{told}");

    // As a server does that calms whoever takes back too much: SETTINGS, then GOAWAY with ENHANCE_YOUR_CALM (RFC 9113, 6.8 and 7).
    let calms = answering(b"\0\0\0\x04\0\0\0\0\0\0\0\x08\x07\0\0\0\0\0\0\0\0\0\0\0\0\x0b");
    problem(config(&calms, "tests"), "cannot be reached");

    let told = problem(config(&rest.replace("http:", "https:"), "tests"), "does not speak TLS");
    assert!(!told.contains("Error"), "{told}");
    let told = problem(config("http://no-such-host.invalid:6334", "tests"), "cannot be reached");
    assert!(!told.contains("Error"), "{told}");
}

#[test]
fn a_circuit_that_opens_is_told_in_the_status_and_the_metrics() {
    let qdrant = Bridge::start();
    let line = qdrant.line();
    let app = TestApp::spawn_with(|config| {
        asks(&line.url(), config);
        config.outside.breaker.threshold = 1;
    });
    let token = app.start_session().token;
    remember(&app, &token, "I keep bees");
    carried(&app);
    let told = || app.get("/metrics").expect(200).text();
    let state =
        |state: &str| format!("companion_upstream_circuit{{upstream=\"qdrant\",state=\"{state}\"}} 1");
    assert!(told().contains(&state("closed")));
    line.set(State::Down);
    remember(&app, &token, "I drink tea");
    wait_for("it is open", || status(&app)["qdrant"]["circuit"] == "open" && told().contains(&state("open")));
    assert_eq!(texts(&app, &token, "?q=tea"), ["I drink tea"], "the embedded index finds it");
    line.set(State::Up);
    carried(&app);
    assert_eq!(status(&app)["qdrant"]["circuit"], "closed");
}

/// This is said of a collection of this store that cannot hold what is made now, with what to do.
#[track_caller]
fn problem_with_shape(app: &TestApp, part: &str) {
    let told = told(app, part);
    assert!(told.contains("reindex-memories"), "{told}");
}

#[test]
fn a_collection_of_another_shape_is_told_with_what_to_do() {
    let qdrant = Bridge::start();
    let app = with_qdrant(&qdrant.url());
    carried(&app);
    let marks = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
    let (owner, generation) =
        app.db().query_row("SELECT owner, generation FROM memory_copy", [], marks).unwrap();
    collection_of(owner, &qdrant.url(), "tests", Edition { generation, dimensions: Some(384) });
    let app = app.restart_with(|config| asks(&qdrant.url(), config));
    problem_with_shape(&app, "384 dimensions");
    assert!(told(&app, "384 dimensions").contains("have no"));

    app.db().execute("UPDATE memory_copy SET model = 1, dimensions = 384", []).unwrap();
    // Made while no server runs, which would begin its own in between.
    let with = |app: TestApp, modifier, distance| {
        app.restart_with(|config| {
            collection_made(&qdrant.url(), (owner, generation), modifier, distance);
            asks(&qdrant.url(), config);
        })
    };
    let app = with(app, Modifier::None, Distance::Cosine);
    problem_with_shape(&app, "does not count the rarity of words");
    let app = with(app, Modifier::Idf, Distance::Euclid);
    problem_with_shape(&app, "does not measure by the cosine");

    let app = with(app, Modifier::Idf, Distance::Cosine);
    carried(&app);
    let seen = asking(&qdrant.url(), async |server| server.collection_info("tests").await.unwrap());
    let indexed: Vec<_> = seen.result.unwrap().payload_schema.into_keys().collect();
    assert_eq!(indexed, ["person"], "what lacks only the index is given it");
}

/// A service whose vectors all have these numbers.
fn always(numbers: &'static [f32]) -> impl Fn(&Seen) -> Vec<Part> {
    move |seen| {
        let texts = seen.json()["input"].as_array().unwrap().len();
        let data: Vec<_> = (0..texts).map(|index| json!({"index": index, "embedding": numbers})).collect();
        whole(200, &[], &json!({"data": data}))
    }
}

#[test]
fn what_memories_mean_is_carried_when_it_is_known_and_anew_for_another_model() {
    let (qdrant, outside) = (Bridge::start(), service());
    outside.usually(refusal(500, &[], "broken"));
    let app = meaning(&outside, |config| {
        asks(&qdrant.url(), config);
        config.outside.breaker.threshold = 1000;
    });
    let talk = app.start_session();
    for text in ["My home is in Porto", "I like tea", "Bruno barks at night"] {
        remember(&app, &talk.token, text);
    }
    carried(&app);
    assert!(texts(&app, &talk.token, "?q=thirsty").is_empty(), "its vector is not made");
    outside.answers(vectors);
    wait_for_vectors(&app, 3);
    carried(&app);
    // What has no vector in time is looked for by its words, and is not found.
    let means = |q: &str, told: &str| texts(&app, &talk.token, q) == [told];
    wait_for("all three are found by their meaning, in Qdrant", || {
        let before = searches(&app);
        let found =
            means("?q=thirsty", "I like tea") && means("?q=where+is+it+in+town", "My home is in Porto");
        let reply = app.tell(&talk, "Do you know my pet?").expect(200).json();
        let told = app.model.last_memories() == ["Bruno barks at night"] && reply["degraded"] == json!([]);
        found && told && searches(&app) == before + 3
    });

    let other = Outside::new(Vec::new());
    other.answers(always(&[1.0, 2.0]));
    let to_others = |config: &mut ServerConfig| {
        asks(&qdrant.url(), config);
        config.embedding = Some(of_model(&other, "others"));
    };
    let app = app.restart_with(to_others);
    let made = "memory_vectors WHERE model = (SELECT max(id) FROM embedding_models)";
    wait_for("they are made anew", || app.count("embedding_models") == 2 && app.count(made) == 3);
    carried(&app);
    wait_for("it knows no difference, in Qdrant", || {
        let before = searches(&app);
        texts(&app, &talk.token, "?q=thirsty").len() == 3 && searches(&app) == before + 1
    });

    // A service that says more all at once, and still calls itself the same.
    other.answers(always(&[1.0, 2.0, 3.0]));
    remember(&app, &talk.token, "My cat is old");
    wait_for_vectors(&app, 4);
    let app = app.restart_with(to_others);
    problem_with_shape(&app, "with 2 dimensions, those made now have 3");
    assert_eq!(texts(&app, &talk.token, "?q=old"), ["My cat is old"], "the embedded index does");
}

#[test]
fn a_collection_that_was_lost_is_made_again() {
    let url;
    let dir = {
        let qdrant = Bridge::start();
        url = qdrant.url();
        let app = with_qdrant(&url);
        let token = app.start_session().token;
        (0..30).for_each(|number| drop(remember(&app, &token, &format!("Number {number} is about tea"))));
        carried(&app);
        (app, token)
    };
    let (app, token) = dir;
    wait_for("it is seen", || {
        texts(&app, &token, "?q=tea");
        state_of_it(&app) == "disconnected"
    });
    let qdrant = Bridge::start();
    let app = app.restart_with(|config| asks(&qdrant.url(), config));
    carried(&app);
    asks_qdrant(&app, 1, || assert_eq!(texts(&app, &token, "?q=tea&limit=30").len(), 30));
}

#[test]
fn all_that_is_forgotten_at_once_leaves_it_too() {
    let qdrant = Bridge::start();
    let line = qdrant.line();
    let app = with_qdrant(&line.url());
    let (gone, all, stays) =
        (app.start_session().token, app.start_session().token, app.start_session().token);
    for token in [&gone, &all, &stays] {
        (0..5).for_each(|number| drop(remember(&app, token, &format!("Number {number} is about tea"))));
    }
    carried(&app);
    line.set(State::Down);
    app.erase(&gone).expect(200);
    app.ask("DELETE", "/api/v1/memories", &[("x-companion-person", &all)], b"").expect(204);
    line.set(State::Up);
    carried(&app);
    let copy = Qdrant::new(&config(&qdrant.url(), "tests"), settings()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (held, next) = runtime.block_on(copy.page(None, 100)).unwrap();
    assert_eq!((held.len(), next), (5, None));
    assert_eq!(texts(&app, &stays, "?q=tea").len(), 5);
}

#[test]
fn without_the_setting_nothing_is_written_down_for_it() {
    let app = TestApp::spawn();
    let token = app.start_session().token;
    let id = remember(&app, &token, "My sister lives in Porto");
    forget(&app, &token, &id);
    assert_eq!(app.count("memory_outbox"), 0);
    remember(&app, &token, "I keep bees");
    let qdrant = Bridge::start();
    let line = qdrant.line();
    let app = app.restart_with(|config| asks(&line.url(), config));
    carried(&app);
    assert_eq!(texts(&app, &token, "?q=bees"), ["I keep bees"], "what was there before is copied");
    line.set(State::Down);
    remember(&app, &token, "I drink tea");
    assert!(app.count("memory_outbox") > 0);
    let app = app.restart_with(|_| {});
    wait_for("the outbox is closed", || app.count("memory_outbox") == 0);
    remember(&app, &token, "I drink milk");
    assert_eq!(app.count("memory_outbox"), 0);
    line.set(State::Up);
    let app = app.restart_with(|config| asks(&line.url(), config));
    carried(&app);
    assert_eq!(texts(&app, &token, "?q=drink").len(), 2);
}

#[test]
fn when_too_much_waits_a_new_copy_is_made_instead() {
    let qdrant = Bridge::start();
    let line = qdrant.line();
    let app = with_qdrant(&line.url());
    let token = app.start_session().token;
    let id = remember(&app, &token, "I keep bees");
    carried(&app);
    line.set(State::Down);
    forget(&app, &token, &id);
    remember(&app, &token, "I drink tea");
    wait_for("it is seen", || state_of_it(&app) == "disconnected");
    let many = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)
        INSERT INTO memory_outbox (person_id, thread, said_at, memory_id, public_id)
        SELECT 1, 0, 0, 0, randomblob(16) FROM n";
    app.db().execute(many, []).unwrap();
    assert!(app.count("memory_outbox") < 100_000, "it was let go");
    line.set(State::Up);
    carried(&app);
    assert_eq!(texts(&app, &token, "?q=drink"), ["I drink tea"]);
    assert!(texts(&app, &token, "?q=bees").is_empty());
}
