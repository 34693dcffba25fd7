//! Memories are found by what they mean, too, where a service makes vectors; and by their words when it does not.

use companion::domain::embedding::Vector;
use serde_json::{Value, json};

use crate::support::llm::{ask_at, says};
use crate::support::meaning::{meaning, of_model, sent, service, vector_of, vectors, wait_for_vectors};
use crate::support::outside::{Outside, Part, refusal, whole};
use crate::support::scrape::Scrape;
use crate::support::{Talk, TestApp, files_below, wait_for};

const PATH: &str = "/api/v1/memories";

fn add(app: &TestApp, talk: &Talk, text: &str) -> String {
    let body = json!({"text": text});
    let added = app.post(PATH, &[("x-companion-person", &talk.token)], &body).expect(201).json();
    added["id"].as_str().unwrap().to_owned()
}

fn found(app: &TestApp, talk: &Talk, asked: &str) -> Vec<String> {
    let body = app.get_as(&talk.token, &format!("{PATH}?q={}", asked.replace(' ', "+"))).expect(200).json();
    let text = |memory: &Value| memory["text"].as_str().unwrap().to_owned();
    body["memories"].as_array().unwrap().iter().map(text).collect()
}

/// Exactly this is found by what it means. What is asked has a vector in time or is looked for by its words: then it is asked anew.
#[track_caller]
fn means(app: &TestApp, talk: &Talk, asked: &str, told: &[&str]) {
    wait_for("it is found by what it means", || found(app, talk, asked) == told);
}

/// Somebody who has told three things, of which each has its vector.
fn somebody(app: &TestApp) -> Talk {
    let talk = app.start_session();
    for text in ["My home is in Porto", "I like tea", "Bruno barks at night"] {
        add(app, &talk, text);
    }
    wait_for_vectors(app, 3);
    talk
}

#[test]
fn what_means_the_same_is_found_and_given_to_the_reply() {
    let outside = service();
    let app = meaning(&outside, |_| {});
    let talk = somebody(&app);
    means(&app, &talk, "Which town is it?", &["My home is in Porto"]);
    means(&app, &talk, "thirsty", &["I like tea"]);
    let reply = || app.tell(&talk, "Do you know my pet?").expect(200).json();
    wait_for("it has a vector in time", || reply()["degraded"] == json!([]));
    assert_eq!(app.model.last_memories(), ["Bruno barks at night"]);
    let asked = &outside.requests("/v1/embeddings")[0];
    assert_eq!(asked.header("authorization"), Some("Bearer sk-very-secret"));
    assert_eq!(
        (&asked.json()["model"], &asked.json()["encoding_format"]),
        (&json!("meanings"), &json!("float"))
    );
    // Words count as before, beside what is meant.
    assert_eq!(found(&app, &talk, "who barks"), ["Bruno barks at night"]);
}

#[test]
fn nothing_is_sent_for_whom_nothing_is_remembered() {
    let outside = service();
    let app = meaning(&outside, |_| {});
    let new = app.start_session();
    app.tell(&new, "What do you know of me, who is new").expect(200);
    let talk = somebody(&app);
    // The session's id alone, somebody else's token, and a session that is not remembered.
    app.say(&talk, "a town alone").expect(200);
    app.tell(&Talk { token: new.token.clone(), ..talk.clone() }, "a town of another").expect(200);
    let unremembered = app.start(&[("x-companion-person", &talk.token)], &json!({"remember": false}));
    app.tell(&Talk { token: talk.token.clone(), ..unremembered }, "a town off the record").expect(200);
    let all = sent(&outside);
    assert_eq!(all.len(), 3, "{all:?}");
    wait_for("it is sent", || {
        app.tell(&talk, "a town").expect(200);
        sent(&outside).last().unwrap() == "a town"
    });
}

#[test]
fn a_service_that_fails_costs_the_meaning_alone_and_what_it_missed_is_made_later() {
    let outside = service();
    let app = meaning(&outside, |config| config.outside.breaker.threshold = 1000);
    let talk = somebody(&app);
    outside.usually(refusal(500, &[], "broken"));
    let reply = app.tell(&talk, "Is there tea in town?").expect(200).json();
    assert_eq!(reply["degraded"], json!(["memory"]));
    assert_eq!(app.model.last_memories(), ["I like tea"], "by its words alone");
    assert_eq!(found(&app, &talk, "tea"), ["I like tea"]);
    for garbage in [json!({"data": []}), json!({"data": [{"index": 0, "embedding": [0.0]}]}), json!(["?"])] {
        outside.usually(whole(200, &[], &garbage));
        assert_eq!(app.tell(&talk, "tea?").expect(200).json()["degraded"], json!(["memory"]), "{garbage}");
    }
    let cat = "My cat is old";
    add(&app, &talk, cat);
    assert_eq!(found(&app, &talk, "old"), [cat]);
    wait_for("it was asked about", || sent(&outside).contains(&cat.to_owned()));
    outside.answers(vectors);
    wait_for_vectors(&app, 4);
    wait_for("both are found by what they mean", || found(&app, &talk, "pet").len() == 2);
}

#[test]
fn what_is_kept_of_a_deleted_conversation_has_its_vector_at_once() {
    let (outside, models) = (service(), Outside::new(Vec::new()));
    models.answers(
        |seen| if seen.json()["model"] == "small" { vec![Part::UntilGone] } else { says(&["well"]) },
    );
    let url = models.url.clone();
    let app = meaning(&outside, move |config| ask_at(config, &url));
    let talk = app.start_session();
    app.tell(&talk, "I live in Porto").expect(200);
    app.delete(&talk, "?keep_memories=true").expect(204);
    wait_for_vectors(&app, 1);
    means(&app, &talk, "Which town is it?", &["I live in Porto"]);
}

#[test]
fn a_service_that_hangs_is_waited_for_once_and_then_not_at_all() {
    let outside = service();
    let app = meaning(&outside, |config| config.outside.breaker.threshold = 3);
    let talk = somebody(&app);
    outside.usually(vec![Part::UntilGone]);
    let asked_before = sent(&outside).len();
    for _ in 0..6 {
        let reply = app.tell(&talk, "tea?").expect(200).json();
        assert_eq!(reply["degraded"], json!(["memory"]));
        assert_eq!(app.model.last_memories(), ["I like tea"]);
        let took = reply["timings"]["memory_retrieval_ms"].as_f64().unwrap();
        assert!(took < 10_000.0, "it is not waited for as long as a service may take: {took}");
    }
    let told = Scrape::of(&app);
    let calls = |end: &str| {
        told.value(&format!("companion_upstream_calls_total{{upstream=\"embedding\",end=\"{end}\"}}"))
    };
    assert_eq!((calls("timed_out"), calls("circuit_open")), (3.0, 3.0), "it is left alone");
    wait_for("what hangs is dropped", || !outside.gone().is_empty());
    assert!(outside.gone().len() <= 3 && sent(&outside).len() <= asked_before + 3);
}

#[test]
fn so_many_texts_are_sent_at_once_and_so_much_of_each() {
    let outside = service();
    let app = TestApp::spawn();
    let talk = app.start_session();
    for number in 0..17 {
        add(&app, &talk, &format!("Tea number {number}"));
    }
    let embedding = of_model(&outside, "meanings");
    let app = app.restart_with(|config| config.embedding = Some(embedding));
    wait_for_vectors(&app, 17);
    let inputs = || {
        let asked = outside.requests("/v1/embeddings");
        asked.iter().map(|asked| asked.json()["input"].as_array().unwrap().clone()).collect::<Vec<_>>()
    };
    let lengths: Vec<_> = inputs().iter().map(Vec::len).collect();
    assert_eq!(lengths, [16, 1]);
    wait_for("it is sent", || {
        app.tell(&talk, &"tea and ".repeat(500)).expect(200);
        inputs().len() > 2
    });
    let asked = inputs().last().unwrap()[0].as_str().unwrap().to_owned();
    assert_eq!(asked.chars().count(), 2000);
}

#[test]
fn a_vector_goes_with_what_it_tells_of() {
    let outside = service();
    let app = meaning(&outside, |_| {});
    let talk = somebody(&app);
    let id = add(&app, &talk, "My cat, my dog and my pet live in Porto");
    let packed = Vector::of(vector_of("My cat, my dog and my pet live in Porto")).unwrap().packed();
    wait_for_vectors(&app, 4);
    let held = || {
        let holds = |file: &std::path::PathBuf| {
            std::fs::read(file).is_ok_and(|bytes| bytes.windows(packed.len()).any(|some| some == packed))
        };
        files_below(&app.data_dir()).iter().any(holds)
    };
    assert!(held());
    // What is said anew has another one, and nothing of the one before.
    let headers = [("x-companion-person", talk.token.as_str()), ("content-type", "application/json")];
    let path = format!("{PATH}/{id}");
    app.ask("PATCH", &path, &headers, json!({"text": "I work in a bakery"}).to_string().as_bytes())
        .expect(200);
    wait_for("nothing of it is left", || !held());
    wait_for_vectors(&app, 4);
    means(&app, &talk, "How do I earn a living", &["I work in a bakery"]);
    assert!(!found(&app, &talk, "pet").contains(&"I work in a bakery".to_owned()));
    app.ask("DELETE", &path, &headers, b"").expect(204);
    assert_eq!(app.count("memory_vectors"), 3);
    // What is no longer true is no longer found.
    app.tell(&talk, "I don't like tea").expect(200);
    wait_for("it is learned", || app.count("to_learn") == 0 && app.count("memory_vectors") == 3);
    means(&app, &talk, "thirsty", &["I don't like tea"]);
    app.ask("DELETE", PATH, &headers, b"").expect(204);
    assert_eq!(app.count("memory_vectors"), 0);
}

#[test]
fn another_model_makes_all_vectors_anew_and_only_its_own_count() {
    let outside = service();
    let app = meaning(&outside, |_| {});
    let talk = somebody(&app);
    // The next one knows other things, in other numbers.
    let other = Outside::new(Vec::new());
    other.answers(|seen| {
        let texts = seen.json()["input"].as_array().unwrap().len();
        let data: Vec<_> = (0..texts).map(|index| json!({"index": index, "embedding": [1.0, 2.0]})).collect();
        whole(200, &[], &json!({"data": data}))
    });
    other.next(refusal(500, &[], "broken"));
    other.next(refusal(500, &[], "broken"));
    other.next(refusal(500, &[], "broken"));
    let embedding = of_model(&other, "others");
    let app = app.restart_with(|config| config.embedding = Some(embedding));
    assert!(found(&app, &talk, "pet").len() != 1, "the vectors of the other model do not count");
    let of_model = |app: &TestApp, name: &str| {
        app.count(&format!(
            "memory_vectors v JOIN embedding_models m ON m.id = v.model WHERE m.name = '{name}'"
        ))
    };
    wait_for("they are made anew", || of_model(&app, "others") == 3);
    assert_eq!(app.count("memory_vectors"), 3);
    // As a server leaves it that was killed before a vector was kept.
    let embedding = self::of_model(&outside, "meanings");
    let app = app.restart_with(|config| config.embedding = Some(embedding));
    wait_for("and again", || of_model(&app, "meanings") == 3);
    means(&app, &talk, "pet", &["Bruno barks at night"]);
    let app = app.restart_with(|_| {});
    assert!(found(&app, &talk, "pet").is_empty(), "without a service words count alone");
    assert_eq!(app.tell(&talk, "pet").expect(200).json()["degraded"], json!([]));
}

#[test]
fn a_text_that_is_refused_is_found_by_its_words_and_holds_up_no_other() {
    let outside = service();
    outside.answers(|seen| {
        let refused =
            seen.json()["input"].as_array().unwrap().iter().any(|text| text == "An unspeakable cat");
        if refused { refusal(400, &[], "content_filter") } else { vectors(seen) }
    });
    let app = meaning(&outside, |config| config.outside.breaker.threshold = 1000);
    let talk = app.start_session();
    for text in ["I like tea", "An unspeakable cat", "My home is in Porto"] {
        add(&app, &talk, text);
    }
    wait_for_vectors(&app, 2);
    wait_for("it is no longer asked about", || app.count("memories WHERE embedded = 0") == 0);
    assert_eq!(found(&app, &talk, "unspeakable"), ["An unspeakable cat"]);
    means(&app, &talk, "thirsty", &["I like tea"]);
    // A service that refuses everything has not refused a text: it is asked again.
    outside.usually(refusal(400, &[], "invalid_model"));
    let before = sent(&outside).len();
    add(&app, &talk, "I work in a bakery");
    wait_for("it is asked", || sent(&outside).len() > before + 2);
    outside.answers(vectors);
    wait_for_vectors(&app, 3);
}
