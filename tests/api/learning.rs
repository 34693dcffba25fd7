//! What a person tells in conversation is learned beside the reply, helps later ones, and is forgotten when they say so.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::memories::remember;
use crate::support::voice::{ESPEAK, PROCESS, Programs, recording};
use crate::support::{Talk, TestApp, files_below, wait_for};

const TURN: &str = "11111111-1111-4111-8111-111111111111";

/// All that is remembered, the newest first: what, and whether it still counts.
pub fn remembered(app: &TestApp, talk: &Talk) -> Vec<(String, bool)> {
    let body = app.get_as(&talk.token, "/api/v1/memories?limit=100").expect(200).json();
    let told =
        |memory: &Value| (memory["text"].as_str().unwrap().to_owned(), memory.get("superseded_at").is_none());
    body["memories"].as_array().unwrap().iter().map(told).collect()
}

/// Their texts.
pub fn texts(app: &TestApp, talk: &Talk) -> Vec<String> {
    remembered(app, talk).into_iter().map(|(text, _)| text).collect()
}

/// Says it, and waits until all that can be learned from it is.
fn tell(app: &TestApp, talk: &Talk, message: &str) -> Value {
    let reply = app.tell(talk, message).expect(200).json();
    learned(app);
    app.clock.advance(std::time::Duration::from_secs(60));
    reply
}

fn learned(app: &TestApp) {
    wait_for("it is learned", || app.count("to_learn") == 0);
}

fn holding(app: &TestApp, word: &str) -> Vec<String> {
    let holds = |file: &std::path::PathBuf| {
        String::from_utf8_lossy(&std::fs::read(file).unwrap_or_default()).contains(word)
    };
    files_below(&app.data_dir())
        .iter()
        .filter(|file| holds(file))
        .map(|file| file.display().to_string())
        .collect()
}

#[test]
fn what_is_told_is_known_in_the_next_conversation_and_the_reply_says_so() {
    let app = TestApp::spawn();
    let talk = app.start_session();
    let first = tell(&app, &talk, "Hi, my name is Anna and I live in Porto. What do you think?");
    assert!(first.get("memories").is_none(), "nothing was known: {first}");
    assert_eq!(texts(&app, &talk).len(), 2);
    let next = app.start_session_of(&talk.token);
    let reply = tell(&app, &next, "Do you know which town I live in?");
    assert_eq!(app.model.last_memories(), ["I live in Porto", "My name is Anna"]);
    let said: Vec<_> = reply["memories"].as_array().unwrap().iter().map(|m| m["text"].clone()).collect();
    assert_eq!(said, ["I live in Porto", "My name is Anna"]);
    let listed = app.get_as(&talk.token, "/api/v1/memories?q=porto").expect(200).json();
    assert_eq!(listed["memories"][0]["id"], reply["memories"][0]["id"]);
    assert_eq!(listed["memories"][0]["session_id"], talk.session);
    let history =
        || app.get_as(&talk.token, &format!("/api/v1/sessions/{}", next.session)).expect(200).json();
    let exported = || app.get_as(&talk.token, "/api/v1/me/export").expect(200).json()["sessions"][0].clone();
    for told in [history(), exported()] {
        assert!(told["messages"][0].get("memories").is_none(), "{told}");
        assert_eq!(told["messages"][1]["memories"], reply["memories"], "it is told later, too");
    }
    let one = |n: usize| format!("/api/v1/memories/{}", reply["memories"][n]["id"].as_str().unwrap());
    let ask = |method: &str, path: &str, body: &str| {
        let headers = [("x-companion-person", talk.token.as_str()), ("content-type", "application/json")];
        app.ask(method, path, &headers, body.as_bytes())
    };
    ask("PATCH", &one(0), r#"{"text": "I live in Braga"}"#).expect(200);
    ask("DELETE", &one(1), "").expect(204);
    let told = history()["messages"][1]["memories"].clone();
    assert_eq!(told, json!([{"id": reply["memories"][0]["id"], "text": "I live in Braga"}]), "as it is now");
    ask("DELETE", "/api/v1/memories", "").expect(204);
    assert!(history()["messages"][1].get("memories").is_none());
    assert!(reply["timings"]["memory_retrieval_ms"].as_f64().unwrap() >= 0.0);
}

#[test]
fn an_answer_that_is_told_again_says_what_was_remembered_for_it_to_whose_it_is() {
    let app = TestApp::spawn();
    let talk = app.start_session();
    remember(&app, &talk.token, "I live in Porto");
    let body = json!({"session_id": talk.session, "message": "Which town do I live in?", "turn_id": TURN});
    let ask = |headers: &[(&str, &str)]| app.post("/api/v1/chat", headers, &body).expect(200).json();
    let mine = [("x-companion-person", talk.token.as_str())];
    let first = ask(&mine);
    assert_eq!(first["memories"][0]["text"], "I live in Porto");
    let again = ask(&mine);
    assert_eq!(again["checkpoint_id"], first["checkpoint_id"]);
    assert_eq!(again["memories"], first["memories"]);
    let other = app.start_session().token;
    for headers in [&[][..], &[("x-companion-person", other.as_str())]] {
        assert!(ask(headers).get("memories").is_none(), "a session's id alone reads nobody's memories");
    }
}

#[test]
fn what_is_said_aloud_is_learned_and_recalled_as_what_is_typed() {
    let hears = "cat \"$1\" > /dev/null; echo 'I live in Porto'";
    let app = Programs::new().server(hears, ESPEAK);
    let talk = app.start_session();
    let (sound, session) = (recording("wav"), talk.session.clone());
    let fields = [("session_id", None, session.as_bytes()), ("audio", Some("blob"), &sound[..])];
    app.send_form(PROCESS, &fields).expect(200);
    learned(&app);
    assert_eq!(texts(&app, &talk), [] as [String; 0], "without the token nothing is learned");
    app.send_form_as(&talk.token, PROCESS, &fields).expect(200);
    learned(&app);
    assert_eq!(texts(&app, &talk), ["I live in Porto"]);
    let mut socket = app.try_socket(&talk.session, &[("x-companion-person", &talk.token)]).unwrap();
    socket.until("connected");
    socket.speak(&sound, None);
    socket.answer();
    assert_eq!(app.model.last_memories(), ["I live in Porto"]);
    let mut stranger = app.socket(&talk);
    stranger.speak(&sound, None);
    stranger.answer();
    assert_eq!(app.model.last_memories(), [] as [String; 0]);
}

#[test]
fn a_reply_is_given_so_many_memories_and_no_more() {
    let app = TestApp::spawn_with(|config| config.limits.memory_top_k = 2);
    let talk = app.start_session();
    for drink in ["green tea", "mint tea", "black tea", "iced tea"] {
        tell(&app, &talk, &format!("I like {drink}"));
    }
    tell(&app, &talk, "Which tea?");
    assert_eq!(app.model.last_memories().len(), 2);
}

#[test]
fn a_session_id_alone_and_an_unremembered_session_neither_read_nor_write() {
    let app = TestApp::spawn();
    let talk = app.start_session();
    tell(&app, &talk, "I live in Porto");
    assert_eq!(texts(&app, &talk), ["I live in Porto"]);
    // The capability without its person's token, and with another person's.
    let stranger = app.start_session();
    app.say(&talk, "I like Porto wine").expect(200);
    app.tell(&Talk { token: stranger.token.clone(), ..talk.clone() }, "I like Porto wine").expect(200);
    app.say(&talk, "Forget that I live in Porto").expect(200);
    assert!(app.model.last_memories().is_empty());
    let unremembered = app.start(&[("x-companion-person", &talk.token)], &json!({"remember": false}));
    let unremembered = Talk { token: talk.token.clone(), ..unremembered };
    app.tell(&unremembered, "I love Porto wine, and my name is Anna").expect(200);
    assert!(app.model.last_memories().is_empty());
    assert_eq!(app.count("to_learn"), 0);
    assert_eq!(texts(&app, &talk), ["I live in Porto"]);
    assert!(texts(&app, &stranger).is_empty());
}

#[test]
fn what_is_said_again_is_kept_once_and_a_contradiction_takes_its_place() {
    let app = TestApp::spawn();
    let talk = app.start_session();
    tell(&app, &talk, "I live in Lisbon");
    tell(&app, &talk, "I live in LISBON!");
    assert_eq!(remembered(&app, &talk), [("I live in LISBON".to_owned(), true)]);
    tell(&app, &talk, "I moved to Porto");
    assert_eq!(
        remembered(&app, &talk),
        [("I moved to Porto".to_owned(), true), ("I live in LISBON".to_owned(), false)]
    );
    tell(&app, &talk, "I like coffee. My sister lives in Lisbon.");
    tell(&app, &talk, "I don't like coffee anymore");
    let now: Vec<_> =
        remembered(&app, &talk).into_iter().filter(|(_, counts)| *counts).map(|(text, _)| text).collect();
    assert_eq!(now.len(), 3, "{now:?}");
    assert!(
        now.contains(&"I don't like coffee anymore".to_owned()) && !now.contains(&"I like coffee".to_owned())
    );
    tell(&app, &talk, "What do you know of Lisbon and coffee?");
    let told = app.model.last_memories();
    assert!(
        !told.contains(&"I live in LISBON".to_owned()) && !told.contains(&"I like coffee".to_owned()),
        "{told:?}"
    );
    // Also what the person had written down themselves.
    let body = json!({"text": "My job is nursing"});
    app.post("/api/v1/memories", &[("x-companion-person", &talk.token)], &body).expect(201);
    tell(&app, &talk, "I work as a baker");
    assert!(remembered(&app, &talk).contains(&("My job is nursing".to_owned(), false)));
}

#[test]
fn a_denial_takes_the_place_of_what_it_denies_and_of_nothing_else() {
    let app = TestApp::spawn();
    for (said, denial) in [
        ("I moved to Porto", "I don't live in Porto any more"),
        ("I play the violin", "I don't play the violin any more"),
        ("My sister lives in Braga", "My sister no longer lives in Braga"),
        ("I live in Porto", "We moved to Lisbon"),
    ] {
        let talk = app.start_session();
        tell(&app, &talk, "I live with two cats");
        tell(&app, &talk, said);
        tell(&app, &talk, denial);
        let known = [(denial, true), (said, false), ("I live with two cats", true)];
        assert_eq!(remembered(&app, &talk), known.map(|(text, counts)| (text.to_owned(), counts)));
        // Who moves back says so.
        tell(&app, &talk, said);
        assert_eq!(remembered(&app, &talk)[..2], [(said.to_owned(), true), (denial.to_owned(), false)]);
    }
    let talk = app.start_session();
    for said in [
        "I live in Lisbon",
        "I don't live in Porto any more",
        "My friend is called Tom",
        "My friend is called Ann",
    ] {
        tell(&app, &talk, said);
    }
    assert!(remembered(&app, &talk).iter().all(|(_, counts)| *counts), "{:?}", remembered(&app, &talk));
}

#[test]
fn what_may_be_true_together_stays_true() {
    let app = TestApp::spawn();
    let talk = app.start_session();
    let all = [
        ["I work as a nurse", "I work at night", "I work in Porto"],
        ["I was born in Porto", "I was born in 1980", "I was born in May"],
        ["I love coffee", "I drink coffee", "I live in Porto"],
        ["I live with my mother", "I live with two cats", "I live in a small flat"],
        ["I work as hard as I can", "My job is to look after the children's ward", "My name is Anna"],
        ["I moved to Rome when I was five", "Call me old-fashioned, but I adore letters", "Call me hopeless"],
    ];
    for said in all.as_flattened() {
        tell(&app, &talk, said);
    }
    let known = remembered(&app, &talk);
    assert!(known.len() == 18 && known.iter().all(|(_, counts)| *counts), "{known:?}");
}

#[test]
fn another_fact_of_the_same_words_takes_nobodys_place() {
    let app = TestApp::spawn();
    let talk = app.start_session();
    let all = [
        ["I work for my brother", "My brother works for me"],
        ["My brother is older than my sister", "My sister is older than my brother"],
        ["My mother was a teacher", "My mother is a teacher"],
    ];
    for said in all.as_flattened() {
        tell(&app, &talk, said);
    }
    let known: Vec<_> = all.as_flattened().iter().rev().map(|said| ((*said).to_owned(), true)).collect();
    assert_eq!(remembered(&app, &talk), known);
    // The one is still said again, and the other left alone.
    tell(&app, &talk, "My brother works for ME!");
    assert_eq!(texts(&app, &talk).len(), known.len());
    tell(&app, &talk, "Forget that I work for my brother");
    let left = texts(&app, &talk);
    assert!(
        left.len() == 5 && left.contains(&"My brother works for ME".to_owned()),
        "what was named is forgotten, and nothing else: {left:?}"
    );
}

#[test]
fn forget_that_forgets_what_the_turn_before_told() {
    let app = TestApp::spawn();
    let talk = app.start_session();
    tell(&app, &talk, "I like tea");
    tell(&app, &talk, "My sister lives in Unmistakable-town");
    assert_eq!(texts(&app, &talk).len(), 2);
    app.tell(&talk, "Forget that.").expect(200);
    assert_eq!(texts(&app, &talk), ["I like tea"]);
    app.delete(&talk, "?keep_memories=true").expect(204);
    wait_for("the words are gone", || holding(&app, "Unmistakable").is_empty());
    let talk = app.start_session_of(&talk.token);
    tell(&app, &talk, "Don't remember this. My brother is called Bruno.");
    tell(&app, &talk, "I have a dog called Bruno");
    tell(&app, &talk, "Forget that I like tea");
    assert_eq!(texts(&app, &talk), ["I have a dog called Bruno"]);
    tell(&app, &talk, "Forget that I have a dog");
    assert_eq!(texts(&app, &talk), [""; 0], "also where the statement goes on");
}

#[test]
fn forget_that_is_meant_of_what_is_said_with_it_and_what_follows_is_learned() {
    let app = TestApp::spawn();
    let talk = app.start_session();
    tell(&app, &talk, "My name is Anna");
    app.model.leave_it_to_the_offline_companion();
    let told = tell(&app, &talk, "I like jazz. Forget that.")["text"].as_str().unwrap().to_owned();
    assert!(["no note", "note nothing"].iter().any(|word| told.contains(word)), "{told}");
    assert_eq!(texts(&app, &talk), ["My name is Anna"], "what was told before stays");
    tell(&app, &talk, "I live in Porto");
    tell(&app, &talk, "Forget that. I live in Lisbon now.");
    assert_eq!(texts(&app, &talk), ["I live in Lisbon now", "My name is Anna"]);
    tell(&app, &talk, "Forget that I live in Lisbon. I like tea.");
    assert_eq!(texts(&app, &talk), ["I like tea", "My name is Anna"]);
    tell(&app, &talk, "I like tea. Forget that.");
    assert_eq!(texts(&app, &talk), ["My name is Anna"], "what was known already goes, too");
    tell(&app, &talk, "I live in Lisbon. Forget my name.");
    assert_eq!(texts(&app, &talk), ["I live in Lisbon"], "what is said before a wish is learned, too");
}

#[test]
fn every_wish_of_a_message_is_fulfilled() {
    let app = TestApp::spawn();
    let talk = app.start_session();
    for said in [
        "Forget that I live in Porto. Forget that I like tea.",
        "Forget that I live in Porto and that I like tea.",
    ] {
        tell(&app, &talk, "I live in Porto. I like tea. I play chess.");
        tell(&app, &talk, said);
        assert_eq!(texts(&app, &talk), ["I play chess"], "{said}");
    }
    tell(&app, &talk, "My sister lives in Rome");
    tell(&app, &talk, "Forget that. And forget that I play chess.");
    assert_eq!(texts(&app, &talk), [""; 0]);
}

#[test]
fn a_named_wish_takes_nothing_along_that_only_shares_its_words() {
    let app = TestApp::spawn();
    let talk = app.start_session();
    for said in ["I live in Porto", "My sister lives in Porto", "My name is Anna", "My dog's name is Bruno"] {
        tell(&app, &talk, said);
    }
    let body = json!({"text": "The name of my doctor is Silva"});
    app.post("/api/v1/memories", &[("x-companion-person", &talk.token)], &body).expect(201);
    tell(&app, &talk, "Call me Ann");
    tell(&app, &talk, "Forget that I live in Porto");
    tell(&app, &talk, "Forget my name");
    let mut left = texts(&app, &talk);
    left.sort_unstable();
    assert_eq!(
        left,
        ["My dog's name is Bruno", "My sister lives in Porto", "The name of my doctor is Silva"]
    );
}

#[test]
fn whoever_wants_something_forgotten_is_told_that_it_is_done_where_it_is() {
    let app = TestApp::spawn();
    let talk = app.start_session();
    tell(&app, &talk, "I live in Unmistakable-town");
    app.model.leave_it_to_the_offline_companion();
    let answer =
        |reply: crate::support::wire::Answer| reply.expect(200).json()["text"].as_str().unwrap().to_owned();
    let told = answer(app.tell(&talk, "Forget that I live in Unmistakable-town"));
    assert!(["are deleted", "no note", "have deleted"].iter().any(|word| told.contains(word)), "{told}");
    assert!(!told.contains("Unmistakable"), "{told}");
    assert_eq!(texts(&app, &talk), [""; 0]);
    tell(&app, &talk, "My sister lives in Braga");
    for wish in ["Forget that my sister's home is Braga", "Forget that I live in Unmistakable-town"] {
        let told = answer(app.tell(&talk, wish));
        let none = ["nothing to delete", "nothing is deleted", "have not noted"];
        assert!(none.iter().any(|words| told.contains(words)), "{wish}: {told}");
    }
    assert_eq!(texts(&app, &talk), ["My sister lives in Braga"]);
    // One thing may be known by several names: what is said of them is one answer, and of several things as well.
    for (wish, says) in [
        ("Forget where I live", ["are deleted", "no note of mine says that", "have deleted"]),
        (
            "Forget that I live in Porto and that my brother is called Bruno",
            ["of the rest I find none", "the rest I had not noted so", "no note that says the rest"],
        ),
    ] {
        app.tell(&talk, "I live in Porto").expect(200);
        let told = answer(app.tell(&talk, wish));
        let others = ["nothing to delete", "nothing is deleted", "have not noted that"];
        assert!(says.iter().any(|words| told.contains(words)), "{wish}: {told}");
        assert!(!others.iter().any(|words| told.contains(words)), "{wish}: {told}");
    }
    learned(&app);
    assert_eq!(texts(&app, &talk), ["My sister lives in Braga"]);
    let told = answer(app.tell(&talk, "Don't remember this. My brother is called Bruno."));
    let kept = ["no note", "note nothing"];
    assert!(kept.iter().any(|word| told.contains(word)), "{told}");
    // Without the person's own token nothing of theirs is touched, and nothing is promised.
    let told = answer(app.say(&talk, "Forget that I live in Unmistakable-town"));
    assert!(["deleted", "note", "gone"].iter().all(|word| !told.contains(word)), "{told}");
}

#[test]
fn a_wish_to_forget_is_heard_in_ordinary_words() {
    let app = TestApp::spawn();
    let talk = app.start_session();
    for wish in [
        "I want you to forget that.",
        "Please delete that",
        "Don't remember what I just said",
        "Never remember that",
        "Forget that, I was joking.",
        "It's a secret. Forget that.",
        "I don't want you to remember this.",
        "Forget where I live",
        "I'd rather you forgot that",
        "Remove that from your memory, please",
    ] {
        tell(&app, &talk, "I live in Porto");
        tell(&app, &talk, wish);
        assert_eq!(texts(&app, &talk), [""; 0], "{wish}");
    }
    for wish in ["Forget that my dog's ill", "Delete everything you know about my dog"] {
        tell(&app, &talk, "My dog is ill");
        tell(&app, &talk, wish);
        assert_eq!(texts(&app, &talk), [""; 0], "{wish}");
    }
    tell(&app, &talk, "I live in Porto");
    for none in [
        "You will forget that I live in Porto.",
        "Forget that I live in Porto? I would never.",
        "They want me to say: please forget that I live in Porto",
        "I will never forget that day",
        "Don't forget that I live in Porto",
        "Forget it, let's talk of the sea",
        "Forget what I told you yesterday",
        "Forget about Porto",
    ] {
        tell(&app, &talk, none);
        assert_eq!(texts(&app, &talk), ["I live in Porto"], "{none}");
    }
}

#[test]
fn whoever_wants_everything_forgotten_is_told_where_it_is_done_and_loses_nothing_at_a_word() {
    let app = TestApp::spawn();
    let talk = app.start_session();
    tell(&app, &talk, "I live in Porto. I like tea.");
    app.model.leave_it_to_the_offline_companion();
    for wish in [
        "Forget everything.",
        "Forget everything you know about me",
        "I have a dog. Forget everything I told you.",
    ] {
        let told = tell(&app, &talk, wish)["text"].as_str().unwrap().to_owned();
        assert!(told.contains("“What I remember”") && told.contains("“Forget everything”"), "{told}");
        let mut left = texts(&app, &talk);
        left.sort_unstable();
        assert_eq!(left, ["I like tea", "I live in Porto"], "{wish}");
    }
}

#[test]
fn what_is_no_longer_true_is_forgotten_too_and_however_much_says_it() {
    let app = TestApp::spawn();
    let talk = app.start_session();
    tell(&app, &talk, "I live in Unmistakable-town");
    tell(&app, &talk, "I moved to Porto");
    assert_eq!(remembered(&app, &talk).iter().filter(|(_, counts)| !counts).count(), 1);
    tell(&app, &talk, "Please forget that I live in Unmistakable-town, thank you.");
    assert_eq!(texts(&app, &talk), ["I moved to Porto"]);
    // The words said in the conversation are kept with it.
    app.delete(&talk, "?keep_memories=true").expect(204);
    wait_for("the words are gone", || holding(&app, "Unmistakable").is_empty());
    let headers = [("x-companion-person", talk.token.as_str())];
    for number in 0..60 {
        let body = json!({"text": format!("My neighbour Otto has told me of boat number {number}")});
        app.post("/api/v1/memories", &headers, &body).expect(201);
    }
    let talk = app.start_session_of(&talk.token);
    tell(&app, &talk, "Forget about my neighbour Otto");
    assert_eq!(texts(&app, &talk), ["I moved to Porto"]);
}

#[test]
fn many_wishes_about_many_memories_hold_nobody_up_a_turn_beside_them_is_answered_within_400_ms() {
    let app = TestApp::spawn();
    let (talk, other) = (app.start_session(), app.start_session());
    // What is no longer true is not in the index: all of it is looked at for each wish.
    let long = "we say that my sister lives in Braga and in Faro and has gone to live in Porto ".repeat(25);
    let many = format!(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)
            INSERT INTO memories (public_id, person_id, text, said_at, created_at, changed_at, superseded_at)
            SELECT randomblob(16), (SELECT min(id) FROM persons), iif(i % 2, 'I live in Porto', 'Note {long}'),
                i, i, i, i FROM n"
    );
    app.db().execute_batch(&many).unwrap();
    let towns =
        ["Porto", "Lisbon", "Braga", "Faro", "Coimbra", "Evora", "Aveiro", "Viseu", "Leiria", "Tomar"];
    let wishes = towns.map(|town| format!("Forget that I live in {town}.")).join(" ");
    let longest = std::thread::scope(|scope| {
        let wished = scope.spawn(|| app.tell(&talk, &wishes).expect(200));
        let mut longest = Duration::ZERO;
        while !wished.is_finished() {
            let began = Instant::now();
            app.say(&other, "hello").expect(200);
            longest = longest.max(began.elapsed());
        }
        longest
    });
    assert!(longest < Duration::from_millis(400), "{longest:?}");
    assert_eq!(app.count("memories"), 250, "what was named is gone when it is answered, and nothing else");
    assert!(texts(&app, &talk).iter().all(|text| text.starts_with("Note ")));
}

#[test]
fn what_is_not_to_be_remembered_may_be_said_in_the_same_breath() {
    let app = TestApp::spawn();
    let talk = app.start_session();
    tell(&app, &talk, "I like tea");
    tell(&app, &talk, "My boss is called Tom, please don't remember that");
    tell(&app, &talk, "Do not store this! My sister lives in Rome.");
    tell(&app, &talk, "Don't save what I'm about to say. My sister lives in Rome.");
    tell(&app, &talk, "My sister lives in Rome. No need to remember that.");
    assert_eq!(texts(&app, &talk), ["I like tea"]);
}

#[test]
fn what_is_told_with_one_message_does_not_contradict_itself() {
    let app = TestApp::spawn();
    let talk = app.start_session();
    tell(&app, &talk, "My name is Alexandra. Call me Alex.");
    tell(&app, &talk, "I work as a nurse and I work at the old hospital");
    assert!(remembered(&app, &talk).iter().all(|(_, counts)| *counts), "{:?}", remembered(&app, &talk));
    assert_eq!(texts(&app, &talk).len(), 4);
    tell(&app, &talk, "My name is Maria");
    let known = remembered(&app, &talk);
    assert_eq!(known.iter().filter(|(_, counts)| !counts).count(), 2, "{known:?}");
}

#[test]
fn what_was_written_down_by_hand_outlives_a_conversation_it_was_said_again_in() {
    let app = TestApp::spawn();
    let talk = app.start_session();
    let headers = [("x-companion-person", talk.token.as_str())];
    app.post("/api/v1/memories", &headers, &json!({"text": "I like green tea"})).expect(201);
    app.clock.advance(std::time::Duration::from_secs(60));
    tell(&app, &talk, "I like green TEA");
    tell(&app, &talk, "I play chess");
    app.delete(&talk, "").expect(204);
    assert_eq!(texts(&app, &talk), ["I like green TEA"]);
    let talk = app.start_session_of(&talk.token);
    tell(&app, &talk, "I like green tea");
    tell(&app, &talk, "Forget that.");
    assert_eq!(texts(&app, &talk), [] as [String; 0], "it was the turn before that told it");
}

#[test]
fn what_is_still_to_be_learned_is_forgotten_with_the_rest() {
    let app = TestApp::spawn();
    let talk = app.start_session();
    app.say(&talk, "I live in Porto").expect(200);
    // The server learns nothing while the disk is low, and notes that it is to.
    let app = app.restart_with(|config| config.storage.min_free_disk_bytes = u64::MAX);
    app.db().execute("INSERT INTO to_learn (checkpoint_id) SELECT id FROM checkpoints", []).unwrap();
    let headers = [("x-companion-person", talk.token.as_str())];
    app.ask("DELETE", "/api/v1/memories", &headers, b"").expect(204);
    assert_eq!(app.count("to_learn"), 0);
    let app = app.restart_with(|_| {});
    tell(&app, &talk, "I like tea");
    assert_eq!(texts(&app, &talk), ["I like tea"]);
}

#[test]
fn what_was_not_yet_learned_when_the_server_ended_is_learned_by_the_next_one_once() {
    let app = TestApp::spawn();
    let talk = app.start_session();
    app.say(&talk, "I live in Porto").expect(200);
    app.say(&talk, "I like tea").expect(200);
    // As a server leaves it that was killed between a turn and what it tells; this one learns nothing while the disk is low.
    let app = app.restart_with(|config| config.storage.min_free_disk_bytes = u64::MAX);
    app.db().execute("INSERT INTO to_learn (checkpoint_id) SELECT id FROM checkpoints", []).unwrap();
    assert!(texts(&app, &talk).is_empty());
    let app = app.restart_with(|_| {});
    learned(&app);
    let mut known = texts(&app, &talk);
    known.sort_unstable();
    assert_eq!(known, ["I like tea", "I live in Porto"]);
    let app = app.restart_with(|_| {});
    learned(&app);
    assert_eq!(texts(&app, &talk).len(), 2);
}

#[test]
fn a_deleted_conversation_takes_what_was_learned_in_it_unless_that_is_kept() {
    let app = TestApp::spawn();
    let kept = app.start_session();
    tell(&app, &kept, "I live in Porto");
    let other = app.start_session_of(&kept.token);
    tell(&app, &other, "My dog is called Unmistakable");
    assert_eq!(texts(&app, &kept).len(), 2);
    app.delete(&kept, "?keep_memories=true").expect(204);
    app.delete(&other, "").expect(204);
    assert_eq!(texts(&app, &kept), ["I live in Porto"]);
    let listed = app.get_as(&kept.token, "/api/v1/memories").expect(200).json();
    assert_eq!(listed["memories"][0]["session_id"], Value::Null);
    wait_for("the words are gone", || holding(&app, "Unmistakable").is_empty());
}

#[test]
fn a_long_conversation_leaves_all_that_was_learned_in_it_and_all_that_waits_to_be() {
    let app = TestApp::spawn();
    let talk = app.start_session();
    app.say(&talk, "hello").expect(200);
    let db = app.db();
    // More than is changed, and than is learned from, in a few transactions; the server does not know that turns wait.
    let long = "
        WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 450)
            INSERT INTO memories (public_id, person_id, session_id, text, said_at, created_at, changed_at, superseded_at)
            SELECT randomblob(16), s.person_id, s.id, 'boat ' || i, i, i, i, i FROM n, sessions s;
        WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 90)
            INSERT INTO checkpoints (session_id, public_id, said, answered, said_at, answered_at)
            SELECT s.id, randomblob(16), iif(i < 90, 'hm', 'I live in Porto'), '', i, i FROM n, sessions s;
        INSERT INTO to_learn (checkpoint_id) SELECT id FROM checkpoints WHERE said <> 'hello';
        UPDATE sessions SET checkpoints = 91; UPDATE totals SET checkpoints = 91";
    db.execute_batch(long).unwrap();
    app.delete(&talk, "?keep_memories=true").expect(204);
    app.session(&talk, "").refused(404, "session_not_found");
    assert_eq!((app.count("memories"), app.count("checkpoints"), app.count("to_learn")), (451, 0, 0));
    let left = "SELECT count(*) FROM memories WHERE text LIKE '%Porto' AND session_id IS NULL";
    assert_eq!(db.query_row(left, [], |row| row.get::<_, u64>(0)).unwrap(), 1);
}

#[test]
fn what_is_said_again_or_corrected_by_hand_does_not_go_with_that_conversation() {
    let app = TestApp::spawn();
    let first = app.start_session();
    tell(&app, &first, "I like green tea");
    let other = app.start_session_of(&first.token);
    tell(&app, &other, "I like green TEA");
    app.delete(&other, "").expect(204);
    assert_eq!(texts(&app, &first), ["I like green TEA"], "it was said in the other one first");
    let listed = app.get_as(&first.token, "/api/v1/memories").expect(200).json()["memories"][0].clone();
    assert_eq!(listed["session_id"], first.session);
    let third = app.start_session_of(&first.token);
    tell(&app, &third, "I live in Porto");
    let headers = [("x-companion-person", first.token.as_str()), ("content-type", "application/json")];
    let path = format!("/api/v1/memories/{}", listed["id"].as_str().unwrap());
    let corrected =
        app.ask("PATCH", &path, &headers, br#"{"text": "I like green tea, from Uji"}"#).expect(200);
    assert_eq!(corrected.json()["session_id"], Value::Null);
    app.delete(&first, "").expect(204);
    assert!(texts(&app, &third).contains(&"I like green tea, from Uji".to_owned()));
    let fourth = app.start_session_of(&first.token);
    tell(&app, &fourth, "I live in PORTO");
    tell(&app, &fourth, "Forget that.");
    assert_eq!(
        texts(&app, &third),
        ["I like green tea, from Uji"],
        "what was said again is forgotten wherever it was first"
    );
}

#[test]
fn what_is_no_longer_true_and_is_corrected_is_found_again() {
    let app = TestApp::spawn();
    let talk = app.start_session();
    tell(&app, &talk, "I live in Porto");
    tell(&app, &talk, "I moved to Lisbon");
    let listed = app.get_as(&talk.token, "/api/v1/memories").expect(200).json();
    assert!(listed["memories"][1]["superseded_at"].is_string());
    let headers = [("x-companion-person", talk.token.as_str()), ("content-type", "application/json")];
    let path = format!("/api/v1/memories/{}", listed["memories"][1]["id"].as_str().unwrap());
    let same = app.ask("PATCH", &path, &headers, br#"{"source": "diary"}"#).expect(200).json();
    assert!(same["superseded_at"].is_string(), "it says what it said");
    let other = app.ask("PATCH", &path, &headers, br#"{"text": "My cat is called Mia"}"#).expect(200).json();
    assert!(other.get("superseded_at").is_none(), "{other}");
    let found = app.get_as(&talk.token, "/api/v1/memories?q=cat").expect(200).json();
    assert_eq!(found["memories"][0]["text"], "My cat is called Mia");
}

/// Nobody has said that it is; whoever wants it to be says so.
#[test]
fn what_is_no_longer_true_stays_so_when_what_took_its_place_goes_until_its_person_says_otherwise() {
    let app = TestApp::spawn();
    for way in ["forgotten by hand", "forgotten by wish", "corrected", "gone with its conversation"] {
        let talk = app.start_session();
        tell(&app, &talk, "I live in Lisbon");
        let other = app.start_session_of(&talk.token);
        tell(&app, &other, "I moved to Porto");
        let listed = app.get_as(&talk.token, "/api/v1/memories").expect(200).json();
        let path = |n: usize| format!("/api/v1/memories/{}", listed["memories"][n]["id"].as_str().unwrap());
        let headers = [("x-companion-person", talk.token.as_str()), ("content-type", "application/json")];
        let correct = |n: usize, text: &str| {
            app.ask("PATCH", &path(n), &headers, json!({"text": text}).to_string().as_bytes()).expect(200)
        };
        match way {
            "forgotten by hand" => drop(app.ask("DELETE", &path(0), &headers, b"").expect(204)),
            "forgotten by wish" => drop(tell(&app, &talk, "Forget that I moved to Porto")),
            "corrected" => drop(correct(0, "I like port wine")),
            _ => drop(app.delete(&other, "").expect(204)),
        }
        let found = |asked: &str| {
            let path = format!("/api/v1/memories?q={asked}");
            app.get_as(&talk.token, &path).expect(200).json()["memories"].as_array().unwrap().len()
        };
        let lisbon = ("I live in Lisbon".to_owned(), false);
        let now = remembered(&app, &talk);
        assert!(
            now.last() == Some(&lisbon) && now.iter().all(|(text, _)| text != "I moved to Porto"),
            "{way}"
        );
        assert_eq!(found("Lisbon"), 0, "{way}");
        if way == "corrected" {
            correct(1, "My home is Lisbon");
            assert_eq!(remembered(&app, &talk)[1], ("My home is Lisbon".to_owned(), true));
        } else {
            tell(&app, &talk, "I live in Lisbon");
            assert_eq!(remembered(&app, &talk), [("I live in Lisbon".to_owned(), true), lisbon], "{way}");
        }
        assert_eq!(found("Lisbon"), 1, "{way}");
    }
}

#[test]
fn what_has_helped_stays_when_there_is_no_room_for_more() {
    let app = TestApp::spawn_with(|config| config.limits.max_memories_per_person = 3);
    let talk = app.start_session();
    for told in ["I like tea", "I adore jazz", "My dog is called Bruno"] {
        tell(&app, &app.start_session_of(&talk.token), told);
    }
    tell(&app, &talk, "Is there tea?");
    assert_eq!(app.model.last_memories(), ["I like tea"]);
    tell(&app, &talk, "I play chess");
    let mut known = texts(&app, &talk);
    known.sort_unstable();
    assert_eq!(
        known,
        ["I like tea", "I play chess", "My dog is called Bruno"],
        "jazz is the oldest that never helped"
    );
}

#[test]
fn what_is_new_has_its_time_to_help_before_it_has_to_go() {
    let app = TestApp::spawn_with(|config| config.limits.max_memories_per_person = 3);
    let talk = app.start_session();
    for (told, asked) in [
        ("I like tea", "Is there tea?"),
        ("I adore jazz", "Is there jazz?"),
        ("My dog is called Bruno", "Where is the dog?"),
    ] {
        tell(&app, &app.start_session_of(&talk.token), told);
        tell(&app, &talk, asked);
        assert_eq!(app.model.last_memories(), [told], "it has helped");
    }
    app.clock.advance(Duration::from_secs(40 * 24 * 60 * 60));
    tell(&app, &talk, "I play chess");
    tell(&app, &talk, "I live in Porto");
    let mut known = texts(&app, &talk);
    known.sort_unstable();
    assert_eq!(known, ["I live in Porto", "I play chess", "My dog is called Bruno"]);
}

#[test]
fn what_is_no_longer_true_goes_first_when_there_is_no_room_for_more() {
    let app = TestApp::spawn_with(|config| config.limits.max_memories_per_person = 3);
    let talk = app.start_session();
    for told in ["I like tea", "I live in Lisbon", "I moved to Porto", "I play chess"] {
        tell(&app, &talk, told);
    }
    assert_eq!(texts(&app, &talk), ["I play chess", "I moved to Porto", "I like tea"]);
    let export = app.export(&talk.token).expect(200).json();
    assert_eq!(export["memories_dropped"].as_array().unwrap().len(), 1);
}

#[test]
fn a_search_that_fails_costs_the_memories_alone_and_is_told() {
    let app = TestApp::spawn();
    let talk = app.start_session();
    tell(&app, &talk, "I like tea");
    app.db().execute_batch("ALTER TABLE memory_words RENAME TO elsewhere").unwrap();
    let reply = app.tell(&talk, "Is there tea?").expect(200).json();
    assert_eq!((&reply["degraded"], reply.get("memories")), (&json!(["memory"]), None));
    assert!(app.model.last_memories().is_empty());
    app.get_as(&talk.token, "/api/v1/memories?q=tea").refused(500, "internal_error");
    // What is told meanwhile is learned all the same.
    app.tell(&talk, "I play chess").expect(200);
    app.db().execute_batch("ALTER TABLE elsewhere RENAME TO memory_words").unwrap();
    learned(&app);
    assert_eq!(texts(&app, &talk), ["I play chess", "I like tea"]);
    let reply = app.tell(&talk, "Is there tea?").expect(200).json();
    assert_eq!((&reply["degraded"], &reply["memories"][0]["text"]), (&json!([]), &json!("I like tea")));
    assert_eq!(app.said(&talk).len(), 4, "the turn is kept all the same");
}

#[test]
fn a_search_that_fails_keeps_no_wish_from_being_fulfilled() {
    let app = TestApp::spawn();
    let talk = app.start_session();
    tell(&app, &talk, "I like tea");
    tell(&app, &talk, "I play chess");
    // An index that names a memory there is none of.
    let lost =
        "INSERT INTO memory_words SELECT w.person_id, w.thread, w.said_at, 4711, w.words FROM memory_words w
        JOIN memories m ON m.id = w.memory_id WHERE m.text = 'I play chess'";
    app.db().execute(lost, []).unwrap();
    app.model.leave_it_to_the_offline_companion();
    let reply = app.tell(&talk, "Forget that I like tea. Is there chess?").expect(200).json();
    assert_eq!(reply["degraded"], json!(["memory"]));
    let told = reply["text"].as_str().unwrap();
    assert!(["are deleted", "no note", "have deleted"].iter().any(|word| told.contains(word)), "{told}");
    assert_eq!(texts(&app, &talk), ["I play chess"]);
    app.db().execute("DELETE FROM memory_words WHERE memory_id = 4711", []).unwrap();
}
