//! Where there is a language model its small one decides what is kept of what somebody told, and rules do when it cannot.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use companion::config::ServerConfig;
use serde_json::{Value, json};

use crate::learning::{remembered, texts};
use crate::support::llm::{asked, asking_with, says};
use crate::support::outside::{Outside, Part, Seen, refusal, whole};
use crate::support::{Talk, TestApp, tricks, wait_for};

/// A companion whose model answers everything with "well", and whose small one answers to what a person has said.
fn finding(finds: impl Fn(&str) -> Vec<Part> + Send + Sync + 'static) -> (Outside, TestApp) {
    let outside = Outside::new(Vec::new());
    answers(&outside, finds);
    let app = asking_with(&outside, patient);
    (outside, app)
}

fn answers(outside: &Outside, finds: impl Fn(&str) -> Vec<Part> + Send + Sync + 'static) {
    outside.answers(move |seen: &Seen| {
        let body = seen.json();
        if body["model"] != "small" {
            return says(&["well"]);
        }
        // Of summaries there is nothing to be found.
        let told = body["messages"][1]["content"].as_str().unwrap();
        told.split_once("<person>\n").map_or_else(|| says(&["well"]), |(_, person)| finds(person))
    });
}

fn patient(config: &mut ServerConfig) {
    config.outside.breaker.threshold = 1000;
}

fn memories(texts: &[(&str, &[usize])]) -> Vec<Part> {
    let memories: Vec<_> =
        texts.iter().map(|(text, replaces)| json!({"text": text, "replaces": replaces})).collect();
    says(&[&json!({"memories": memories}).to_string()])
}

/// Holds answers back while it is closed.
#[derive(Clone, Default)]
struct Gate(Arc<AtomicBool>);

impl Gate {
    fn open(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    fn close(&self) {
        self.0.store(false, Ordering::SeqCst);
    }
}

/// What the small model was asked, oldest first.
fn asked_small(outside: &Outside) -> Vec<String> {
    let small = asked(outside).into_iter().filter(|body| body["model"] == "small");
    small.map(|body| body["messages"][1]["content"].as_str().unwrap().to_owned()).collect()
}

fn tell(app: &TestApp, talk: &Talk, message: &str) {
    app.tell(talk, message).expect(200);
    wait_for("it is learned", || app.count("to_learn") == 0);
    app.clock.advance(Duration::from_secs(60));
}

#[test]
fn the_small_model_words_what_is_kept_and_knows_what_is_known() {
    let (outside, app) = finding(|told| match told {
        told if told.contains("by the river in Porto") => memories(&[("I live by the river in Porto", &[])]),
        told if told.contains("Lisbon now") => memories(&[("I live in Lisbon", &[1])]),
        _ => memories(&[]),
    });
    let talk = app.start_session();
    tell(&app, &talk, "well you know, after all these years it is still by the river in Porto where I sleep");
    assert_eq!(remembered(&app, &talk), [("I live by the river in Porto".to_owned(), true)]);
    let said = &asked_small(&outside)[0];
    assert!(said.contains("<known>\n</known>") && !said.contains("<companion>"), "{said}");
    tell(&app, &talk, "How are you?");
    tell(&app, &talk, "they call Lisbon now my place");
    let said = &asked_small(&outside)[2];
    assert!(
        said.contains("\n1. I live by the river in Porto\n") && said.contains("<companion>\n- well\n"),
        "{said}"
    );
    // It is said that the other one is no longer true, in the list and in the export.
    let both = [("I live in Lisbon".to_owned(), true), ("I live by the river in Porto".to_owned(), false)];
    assert_eq!(remembered(&app, &talk), both);
    let export = app.export(&talk.token).expect(200).json();
    assert!(export["memories"][1]["superseded_at"].is_string(), "{export}");
    tell(&app, &talk, "and what do you think");
    let said = asked_small(&outside).pop().unwrap();
    assert!(
        said.contains("1. I live in Lisbon") && !said.contains("Porto"),
        "what is no longer true is not known: {said}"
    );
    // The instructions are ours alone, and nothing tells who it is.
    let body = asked(&outside).into_iter().rfind(|body| body["model"] == "small").unwrap();
    assert_eq!(body["messages"].as_array().unwrap().len(), 2);
    assert!(!body.to_string().contains(&talk.session) && !body.to_string().contains(&talk.token));
}

/// What the small model was asked, oldest first: whether for a shape.
fn asked_for_a_shape(outside: &Outside) -> Vec<bool> {
    asked_for_a_shape_about(outside, "")
}

/// The same of what has these words.
fn asked_for_a_shape_about(outside: &Outside, words: &str) -> Vec<bool> {
    let small = asked(outside).into_iter().filter(|body| body["model"] == "small");
    let about = small.filter(|body| body["messages"][1]["content"].as_str().unwrap().contains(words));
    about.map(|body| body.get("response_format").is_some()).collect()
}

/// What was said tells the same, whoever is asked in words alone; with a shape it is refused.
fn refusing_shapes(status: u16) -> Outside {
    let outside = Outside::new(Vec::new());
    outside.answers(move |seen: &Seen| match seen.json() {
        body if body["model"] != "small" => says(&["well"]),
        body if body.get("response_format").is_some() => refusal(status, &[], "unsupported_parameter"),
        _ => memories(&[("I like tea", &[])]),
    });
    outside
}

#[test]
fn the_small_model_is_asked_for_the_shape_of_its_answer() {
    let (outside, app) = finding(|_| memories(&[("I like tea", &[])]));
    let talk = app.start_session();
    tell(&app, &talk, "the leaves in hot water");
    let memory = json!({
        "type": "object",
        "properties": {
            "text": {"type": "string"},
            "replaces": {"type": "array", "items": {"type": "integer"}},
        },
        "required": ["text", "replaces"],
        "additionalProperties": false,
    });
    let schema = json!({
        "type": "object",
        "properties": {"memories": {"type": "array", "items": memory}},
        "required": ["memories"],
        "additionalProperties": false,
    });
    let format = json!({
        "type": "json_schema",
        "json_schema": {"name": "memories", "strict": true, "schema": schema},
    });
    for body in asked(&outside) {
        let of_it = (body["model"] == "small").then_some(&format);
        assert_eq!(body.get("response_format"), of_it, "a reply has no shape: {body}");
    }
    assert_eq!(texts(&app, &talk), ["I like tea"]);
}

#[test]
fn a_server_that_refuses_the_shape_is_asked_in_words_alone_from_then_on() {
    for status in [400, 422] {
        let outside = refusing_shapes(status);
        // It is no failure that it does not know something.
        let app = asking_with(&outside, |config| config.outside.breaker.threshold = 1);
        let talk = app.start_session();
        tell(&app, &talk, "the leaves in hot water");
        assert_eq!(texts(&app, &talk), ["I like tea"]);
        assert_eq!(asked_for_a_shape(&outside), [true, false], "at once");
        tell(&app, &talk, "a cup of them, of tea");
        assert_eq!(asked_for_a_shape(&outside), [true, false, false]);
    }
}

#[test]
fn what_the_small_model_does_not_replace_stays_true() {
    let (_, app) = finding(|told| match told {
        told if told.contains("first") => memories(&[("My name is Alexandra", &[])]),
        _ => memories(&[("Call me Alex", &[])]),
    });
    let talk = app.start_session();
    tell(&app, &talk, "first");
    tell(&app, &talk, "Alex");
    let both = [("Call me Alex".to_owned(), true), ("My name is Alexandra".to_owned(), true)];
    assert_eq!(remembered(&app, &talk), both);
}

#[test]
fn what_is_said_again_in_other_words_is_kept_once() {
    let (_, app) = finding(|told| match told {
        told if told.contains("first") => {
            memories(&[("I work as a night nurse at the old hospital in Porto", &[])])
        }
        told if told.contains("hospital") => {
            memories(&[("I work as a night nurse at the hospital in old Porto", &[])])
        }
        // As small models do, it repeats what it was given, whatever was said.
        _ => memories(&[("I work as a night nurse at the hospital in old Porto", &[])]),
    });
    let talk = app.start_session();
    tell(&app, &talk, "first");
    tell(&app, &talk, "the hospital again");
    assert_eq!(texts(&app, &talk), ["I work as a night nurse at the hospital in old Porto"]);
    let listed = || app.get_as(&talk.token, "/api/v1/memories").expect(200).json()["memories"][0].clone();
    let before = listed();
    tell(&app, &talk, "what a day");
    assert_eq!(listed(), before, "what was only repeated from the notes was not said again");
    app.tell(&talk, "Forget that.").expect(200);
    assert_eq!(texts(&app, &talk).len(), 1);
}

/// What a model may answer that is no answer to what it was asked.
fn no_answers() -> Vec<Vec<Part>> {
    vec![
        says(&["I would keep that they live in Porto."]),
        says(&[r#"{"memories": [{"text": "I live in Porto", "replaces": [7]}]}"#]),
        says(&[r#"{"memories": [{"note": "I live in Porto"}]}"#]),
        says(&[]),
        says(&["<think>", "Do they live in Porto?", "</think>"]),
        whole(200, &[], &json!({"answer": "I live in Porto"})),
        refusal(400, &[], "context_length_exceeded"),
    ]
}

#[test]
fn an_answer_that_is_none_is_asked_for_three_times_then_the_rules_decide_and_nobody_else_is_held_up() {
    let answers = no_answers();
    let kinds = answers.len();
    let (outside, app) = finding(move |told| {
        let wrong = (0..kinds).find(|kind| told.contains(&format!("kind {kind}")));
        wrong.map_or_else(|| memories(&[("I live in Lisbon", &[])]), |kind| answers[kind].clone())
    });
    let talks: Vec<_> = (0..=kinds).map(|_| app.start_session()).collect();
    let began = std::time::Instant::now();
    for (kind, talk) in talks[..kinds].iter().enumerate() {
        app.tell(talk, &format!("I live in Braga and it is raining. It is of kind {kind}")).expect(200);
    }
    let other = &talks[kinds];
    app.tell(other, "Lisbon is my place").expect(200);
    // Four of them at once, each for as long as its pauses are.
    for left in (0..talks.len() as u64).rev() {
        wait_for("one more is learned from", || app.count("to_learn") <= left);
    }
    assert!(began.elapsed() >= Duration::from_secs(3), "there is a pause after each: {:?}", began.elapsed());
    assert_eq!(texts(&app, other), ["I live in Lisbon"]);
    for (kind, talk) in talks[..kinds].iter().enumerate() {
        assert_eq!(texts(&app, talk), ["I live in Braga and it is raining"], "{kind}");
        let shapes = asked_for_a_shape_about(&outside, &format!("kind {kind}"));
        // What is refused without the shape, too, is not refused for that.
        let each = if kind == kinds - 1 { &[true, false][..] } else { &[true] };
        assert_eq!(shapes, each.repeat(3), "{kind}");
    }
}

#[test]
fn a_model_that_is_down_loses_nothing_and_is_not_waited_for_for_ever() {
    let (outside, app) = finding(|_| refusal(503, &[], "overloaded"));
    let talk = app.start_session();
    app.tell(&talk, "the river is where I sleep").expect(200);
    wait_for("it was asked", || !asked_small(&outside).is_empty());
    assert_eq!(app.count("to_learn"), 1, "the turn waits");
    assert!(texts(&app, &talk).is_empty());
    // Also for a server that is started anew.
    let url = outside.url.clone();
    answers(&outside, |_| memories(&[("I sleep by the river", &[])]));
    let app = app.restart_with(|config| {
        crate::support::llm::ask_at(config, &url);
        patient(config);
    });
    wait_for("it is learned", || app.count("to_learn") == 0);
    assert_eq!(texts(&app, &talk), ["I sleep by the river"]);
    // What has waited for long the rules decide.
    answers(&outside, |_| refusal(503, &[], "overloaded"));
    app.tell(&talk, "I like tea").expect(200);
    app.tell(&talk, "how are you").expect(200);
    app.clock.advance(Duration::from_secs(6 * 60));
    wait_for("the rules decide", || app.count("to_learn") == 0);
    assert_eq!(texts(&app, &talk), ["I like tea", "I sleep by the river"]);
}

#[test]
fn a_reply_never_waits_for_what_is_learned() {
    let (outside, app) = finding(|_| vec![Part::UntilGone]);
    let talk = app.start_session();
    let began = std::time::Instant::now();
    for said in ["I like tea", "I like jazz", "I like Porto"] {
        app.tell(&talk, said).expect(200);
    }
    // The model may be silent for 20 s.
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    wait_for("it is asked", || asked_small(&outside).len() == 1);
    assert_eq!(app.count("to_learn"), 3);
    app.finish();
}

#[test]
fn four_people_are_learned_from_side_by_side_and_each_in_order() {
    let gate = Gate::default();
    let held = gate.0.clone();
    let (outside, app) = finding(move |told| {
        let facts = match told {
            told if told.contains("Lisbon now") => memories(&[("I live in Lisbon", &[1])]),
            _ => memories(&[("I live by the river in Porto", &[])]),
        };
        [vec![Part::Await(held.clone())], facts].concat()
    });
    let talks: Vec<_> = (0..4).map(|_| app.start_session()).collect();
    app.tell(&talks[0], "the river in Porto is where I sleep").expect(200);
    app.tell(&talks[0], "they call Lisbon now my place").expect(200);
    for talk in &talks[1..] {
        app.tell(talk, "the river in Porto is where I sleep").expect(200);
    }
    wait_for("four are asked about while none is answered", || asked_small(&outside).len() == 4);
    assert!(!asked_small(&outside).concat().contains("Lisbon now"), "it is that one's second turn");
    gate.open();
    wait_for("it is learned", || app.count("to_learn") == 0);
    let mut moved = remembered(&app, &talks[0]);
    moved.sort_unstable();
    let both = [("I live by the river in Porto".to_owned(), false), ("I live in Lisbon".to_owned(), true)];
    assert_eq!(moved, both, "the second turn knows what the first one told");
    for talk in &talks[1..] {
        assert_eq!(texts(&app, talk), ["I live by the river in Porto"]);
    }
    assert_eq!(asked_small(&outside).len(), 5, "each turn once");
}

#[test]
fn no_more_than_four_people_are_learned_from_at_once_and_a_stop_loses_and_repeats_nothing() {
    let (outside, app) = finding(|_| vec![Part::UntilGone]);
    let talks: Vec<_> = (0..5).map(|_| app.start_session()).collect();
    app.tell(&talks[0], "tea, as ever").expect(200);
    for (number, talk) in talks.iter().enumerate() {
        app.tell(talk, &format!("person {number}")).expect(200);
    }
    wait_for("four are asked about", || asked_small(&outside).len() == 4);
    std::thread::park_timeout(Duration::from_millis(300));
    let asked = asked_small(&outside).concat();
    let said = ["tea, as ever", "person 1", "person 2", "person 3"];
    assert!(said.into_iter().all(|said| asked.contains(said)), "nobody twice: {asked}");
    assert_eq!((asked_small(&outside).len(), app.count("to_learn")), (4, 6));
    let url = outside.url.clone();
    answers(&outside, |told| match told {
        told if told.contains("tea") => memories(&[("I like tea", &[])]),
        told => memories(&[(told.trim_start_matches("- ").lines().next().unwrap(), &[])]),
    });
    let app = app.restart_with(|config| crate::support::llm::ask_at(config, &url));
    wait_for("it is learned", || app.count("to_learn") == 0);
    let mut told = texts(&app, &talks[0]);
    told.sort_unstable();
    assert_eq!(told, ["I like tea", "person 0"]);
    for (number, talk) in talks.iter().enumerate().skip(1) {
        assert_eq!(texts(&app, talk), [format!("person {number}")]);
    }
    assert_eq!(asked_small(&outside).len(), 4 + 6, "each turn once more");
}

#[test]
fn a_person_who_cannot_be_learned_from_now_holds_up_nobody_else() {
    let (outside, app) = finding(|told| match told {
        told if told.contains("tea") => refusal(503, &[], "overloaded"),
        _ => memories(&[("I live in Lisbon", &[])]),
    });
    let (waits, other) = (app.start_session(), app.start_session());
    app.tell(&waits, "tea, as ever").expect(200);
    app.tell(&waits, "Lisbon is my place").expect(200);
    wait_for("it was asked", || !asked_small(&outside).is_empty());
    app.tell(&other, "Lisbon is my place").expect(200);
    wait_for("the other is learned from", || !texts(&app, &other).is_empty());
    assert_eq!(app.count("to_learn"), 2, "what was said later waits with what was said first");
    assert!(texts(&app, &waits).is_empty());
}

#[test]
fn what_is_not_to_be_remembered_is_never_sent() {
    let (outside, app) = finding(|_| memories(&[("I like tea", &[])]));
    let talk = app.start_session();
    app.say(&talk, "the id alone").expect(200);
    let unremembered = app.start(&[("x-companion-person", &talk.token)], &json!({"remember": false}));
    app.tell(&Talk { token: talk.token.clone(), ..unremembered }, "not remembered").expect(200);
    app.tell(&talk, "Off the record, my sister is ill").expect(200);
    app.tell(&talk, "Don't remember this. I drink").expect(200);
    tell(&app, &talk, "I like tea");
    let sent = asked_small(&outside);
    assert_eq!(sent.len(), 1, "{sent:?}");
    assert_eq!(texts(&app, &talk), ["I like tea"]);
}

#[test]
fn a_wish_acts_before_the_model_has_answered() {
    let gate = Gate::default();
    let held = {
        let gate = gate.clone();
        move |answer: Vec<Part>| [vec![Part::Await(gate.0.clone())], answer].concat()
    };
    // "Forget that" while it thinks of what is to be forgotten.
    let (outside, app) = finding(move |told| match told {
        told if told.contains("sister") => held(memories(&[("My sister is ill", &[])])),
        told if told.contains("bridge") => held(memories(&[("My home is in Porto", &[])])),
        told if told.contains("nurse") => held(memories(&[("I work as a nurse", &[])])),
        told if told.contains("town") => held(memories(&[("I live in Porto", &[]), ("I fear spiders", &[])])),
        _ => memories(&[]),
    });
    let well = |talk: &Talk| {
        gate.open();
        tell(&app, talk, "well");
        gate.close();
    };
    let talk = app.start_session();
    app.tell(&talk, "the sister again").expect(200);
    wait_for("it is asked", || asked_small(&outside).len() == 1);
    app.tell(&talk, "Forget that.").expect(200);
    well(&talk);
    assert!(texts(&app, &talk).is_empty());
    // One thing of two.
    app.tell(&talk, "that town, and the animals").expect(200);
    app.tell(&talk, "Forget that I live in Porto").expect(200);
    well(&talk);
    assert_eq!(texts(&app, &talk), ["I fear spiders"]);
    // One that the model words otherwise, and one that no rule knows.
    for (said, wish) in [
        ("I live in Porto, near the bridge", "Forget that I live in Porto"),
        ("I'm a nurse.", "Forget that I'm a nurse."),
    ] {
        app.tell(&talk, said).expect(200);
        app.tell(&talk, wish).expect(200);
        let large = asked(&outside).into_iter().rfind(|body| body["model"] == "large").unwrap().to_string();
        assert!(large.contains("in their words are deleted"), "it waited to be learned: {large}");
        well(&talk);
        assert_eq!(texts(&app, &talk), ["I fear spiders"], "{said}");
    }
    // All of it, with the conversation.
    app.tell(&talk, "the sister once more").expect(200);
    app.delete(&talk, "").expect(204);
    let other = app.start_session_of(&talk.token);
    well(&other);
    assert!(texts(&app, &other).is_empty());
    // Kept, though the conversation goes before the model has answered.
    app.tell(&other, "that sister. I like tea").expect(200);
    app.delete(&other, "?keep_memories=true").expect(204);
    assert_eq!(texts(&app, &other), ["I like tea"]);
    gate.open();
}

/// A turn that says a thing again, held by the model while the person puts a hand to what is known.
#[test]
fn what_is_forgotten_or_corrected_by_hand_does_not_come_back_from_a_turn_that_waits() {
    let gate = Gate::default();
    let held = gate.0.clone();
    let (outside, app) = finding(move |told| {
        let facts = memories(&[("I live in Porto", &[]), ("I fear spiders", &[])]);
        if told.contains("again") { [vec![Part::Await(held.clone())], facts].concat() } else { facts }
    });
    for (method, body, left) in [
        ("DELETE", String::new(), vec!["I fear spiders"]),
        ("PATCH", json!({"text": "I live in Braga"}).to_string(), vec!["I fear spiders", "I live in Braga"]),
    ] {
        let talk = app.start_session();
        tell(&app, &talk, "Porto and spiders");
        let asked_before = asked_small(&outside).len();
        app.tell(&talk, "Porto and spiders again").expect(200);
        wait_for("it is asked", || asked_small(&outside).len() > asked_before);
        let listed = app.get_as(&talk.token, "/api/v1/memories").expect(200).json();
        let known = listed["memories"].as_array().unwrap();
        let porto = known.iter().find(|memory| memory["text"] == "I live in Porto").unwrap();
        let path = format!("/api/v1/memories/{}", porto["id"].as_str().unwrap());
        let headers = [("x-companion-person", talk.token.as_str()), ("content-type", "application/json")];
        assert!(app.ask(method, &path, &headers, body.as_bytes()).status < 300);
        assert_eq!(app.count("to_learn"), 1, "the turn still waits");
        gate.open();
        wait_for("it is learned", || app.count("to_learn") == 0);
        gate.close();
        let mut now = texts(&app, &talk);
        now.sort_unstable();
        assert_eq!(now, left, "{method}");
    }
}

#[test]
fn a_wish_is_held_against_a_turn_once_and_where_there_is_too_much_nothing_is_learned_from_it() {
    // The turn waits for as long as the model is down.
    let (_, app) = finding(|_| refusal(503, &[], "overloaded"));
    let (talk, other) = (app.start_session(), app.start_session());
    for told in [&talk, &other] {
        app.tell(told, "I live in Porto").expect(200);
    }
    let long = "down a road ".repeat(300);
    for _ in 0..6 {
        app.tell(&talk, &format!("Forget that I live {long}")).expect(200);
    }
    assert_eq!(app.count("to_learn"), 2, "said six times it is noted once");
    for number in 0..6 {
        app.tell(&talk, &format!("Forget that I live {long}{number}")).expect(200);
    }
    assert_eq!(app.count("to_learn"), 1, "the other's turn still waits");
    app.delete(&other, "?keep_memories=true").expect(204);
    assert_eq!((app.count("to_learn"), texts(&app, &other)), (0, vec!["I live in Porto".to_owned()]));
    assert!(texts(&app, &talk).is_empty());
}

#[test]
fn what_is_added_by_hand_after_a_wish_stays_when_an_earlier_turn_is_learned() {
    let gate = Gate::default();
    let held = [vec![Part::Await(gate.0.clone())], memories(&[("I like tea", &[])])].concat();
    let (outside, app) = finding(move |_| held.clone());
    let talk = app.start_session();
    app.tell(&talk, "the leaves in hot water").expect(200);
    wait_for("it is asked", || !asked_small(&outside).is_empty());
    app.tell(&talk, "Forget that I like tea").expect(200);
    let headers = [("x-companion-person", talk.token.as_str())];
    let added =
        app.post("/api/v1/memories", &headers, &json!({"text": "I like tea"})).expect(201).json()["id"]
            .clone();
    gate.open();
    wait_for("it is learned", || app.count("to_learn") == 0);
    let listed = app.get_as(&talk.token, "/api/v1/memories").expect(200).json();
    assert_eq!(listed["memories"].as_array().unwrap().len(), 1);
    assert_eq!(listed["memories"][0]["id"], added);
}

#[test]
fn what_somebody_says_cannot_pose_as_instructions_to_the_small_model() {
    let (outside, app) = finding(|_| memories(&[]));
    let talk = app.start_session();
    for trick in tricks::ALL {
        let body = json!({"text": trick});
        app.post("/api/v1/memories", &[("x-companion-person", &talk.token)], &body).expect(201);
        tell(&app, &talk, trick);
    }
    // The others are of summaries.
    let of_memory = |body: &Value| body["messages"][1]["content"].as_str().unwrap().starts_with("<known>");
    for body in asked(&outside).into_iter().filter(|body| body["model"] == "small" && of_memory(body)) {
        let messages = body["messages"].as_array().unwrap();
        assert_eq!(messages.len(), 2);
        assert_eq!(messages[0]["role"], "system");
        assert!(tricks::ALL.iter().all(|trick| !messages[0]["content"].as_str().unwrap().contains(trick)));
        tricks::assert_bounded(messages[1]["content"].as_str().unwrap(), &["known", "companion", "person"]);
    }
}
