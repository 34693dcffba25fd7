//! One turn, whole and streamed: what comes back, what is refused, what fails.

use serde_json::{Value, json};

use crate::support::model::{Step, pieces};
use crate::support::wire::Event;
use crate::support::{Talk, TestApp};

const CHAT: &str = "/api/v1/chat";

fn turn(talk: &Talk, message: &str) -> Value {
    json!({"session_id": talk.session, "message": message})
}

fn assert_reply(reply: &Value, talk: &Talk, text: &str) {
    assert_eq!(reply["session_id"], talk.session.as_str());
    assert_eq!(reply["text"], text);
    assert_eq!(reply["degraded"], json!([]));
    uuid::Uuid::parse_str(reply["checkpoint_id"].as_str().unwrap()).unwrap();
    for name in ["first_token_ms", "llm_generation_ms", "commit_ms", "total_ms"] {
        assert!(reply["timings"][name].as_f64().unwrap() >= 0.0, "{name}");
    }
    let names: Vec<_> = reply.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(names, ["checkpoint_id", "degraded", "session_id", "text", "timings"]);
}

#[test]
fn a_whole_turn_answers_and_is_kept() {
    let app = TestApp::spawn();
    let talk = app.start_session();
    app.model.next(pieces(&["Good ", "", "evening", "!\n\u{1f319}"]));
    let answer = app.say(&talk, "hello").expect(200);
    assert_reply(&answer.json(), &talk, "Good evening!\n\u{1f319}");
    let messages = app.session(&talk, "").json()["messages"].clone();
    assert_eq!(messages[0]["text"], "hello");
    assert_eq!(messages[1]["text"], "Good evening!\n\u{1f319}");
}

#[test]
fn a_streamed_turn_is_its_pieces_and_then_the_whole() {
    let app = TestApp::spawn();
    let talk = app.start_session();
    app.model.next(pieces(&["Good ", "evening", "\n\n", "event: done\ndata: {}", "\u{1f319}"]));
    let mut streamed = app.stream(&turn(&talk, "hello"));
    assert_eq!((streamed.head.status, streamed.head.header("content-type")), (200, "text/event-stream"));
    let mut events = streamed.events();
    let done = events.pop().unwrap();
    assert_eq!(done.name, "done");
    assert!(events.iter().all(|event| event.name == "token" && event.data.as_object().unwrap().len() == 1));
    let together: String = events.iter().map(|event| event.data["text"].as_str().unwrap()).collect();
    assert_reply(&done.data, &talk, &together);
    assert_eq!(app.session(&talk, "").json()["messages"][1]["text"], together.as_str());
}

#[test]
fn the_first_word_leaves_by_itself_and_what_waits_behind_it_together() {
    let app = TestApp::spawn();
    let talk = app.start_session();
    app.model.next(pieces(&["One ", "two ", "three."]));
    let mut streamed = app.stream(&turn(&talk, "hello"));
    let words = |packet: &str| packet.matches("event: token").count();
    assert_eq!(words(&streamed.packet()), 1);
    assert_eq!(words(&streamed.packet()), 2);
}

#[test]
fn a_piece_is_seen_before_the_next_one_is_made() {
    let app = TestApp::spawn();
    let talk = app.start_session();
    let gate = app.model.hold_next("first", " second");
    let mut streamed = app.stream(&turn(&talk, "hello"));
    let token = |text: &str| Some(Event { name: "token".to_owned(), data: json!({"text": text}) });
    assert_eq!(streamed.event(), token("first"));
    assert_eq!(app.count("checkpoints"), 0, "nothing is kept before the end");
    gate.open();
    assert_eq!(streamed.event(), token(" second"));
    assert_eq!(streamed.event().unwrap().name, "done");
    assert_eq!(streamed.event(), None);
}

#[test]
fn the_stream_is_chosen_by_the_accept_header() {
    let app = TestApp::spawn();
    let talk = app.start_session();
    for (accept, kind) in [
        ("text/event-stream", "text/event-stream"),
        ("application/json, text/event-stream;q=0.5", "text/event-stream"),
        ("Text/Event-Stream", "text/event-stream"),
        ("application/json", "application/json"),
        ("*/*", "application/json"),
        ("text/event-streams", "application/json"),
        ("application/json, text/event-stream;q=0", "application/json"),
    ] {
        let answer = app.post(CHAT, &[("accept", accept)], &turn(&talk, "hello")).expect(200);
        assert_eq!(answer.header("content-type"), kind, "{accept}");
    }
}

#[test]
fn the_model_is_given_what_was_said_before() {
    let app = TestApp::spawn();
    let talk = app.start_session();
    let other = app.start_session_of(&talk.token);
    app.say(&other, "elsewhere").expect(200);
    for number in 0..22 {
        app.say(&talk, &format!("turn {number}")).expect(200);
    }
    let history = app.model.last_history();
    let said: Vec<_> = history.iter().map(|exchange| exchange.said.clone()).collect();
    assert_eq!(said, (1..21).map(|number| format!("turn {number}")).collect::<Vec<_>>());
    assert_eq!(history[0].answered, "You said: turn 1");
}

#[test]
fn turns_that_came_from_elsewhere_are_known_after_one_more() {
    let app = TestApp::spawn();
    let talk = app.start_session();
    app.say(&talk, "one").expect(200);
    app.say(&talk, "two").expect(200);
    let add = "INSERT INTO checkpoints (session_id, public_id, said, answered, said_at, answered_at)
               SELECT id, randomblob(16), 'imported', 'well', 1, 1 FROM sessions";
    app.db().execute(add, []).unwrap();
    let count =
        "UPDATE sessions SET checkpoints = checkpoints + 1; UPDATE totals SET checkpoints = checkpoints + 1";
    app.db().execute_batch(count).unwrap();
    app.say(&talk, "three").expect(200);
    app.say(&talk, "four").expect(200);
    let said: Vec<_> = app.model.last_history().into_iter().map(|exchange| exchange.said).collect();
    assert_eq!(said, ["one", "two", "imported", "three"]);
}

#[test]
fn a_conversation_goes_on_after_a_turn_that_failed_and_ends_with_its_deletion() {
    let app = TestApp::spawn();
    let talk = app.start_session();
    app.say(&talk, "one").expect(200);
    app.model.next(vec![Step::Unavailable]);
    app.say(&talk, "lost").expect(503);
    app.say(&talk, "two").expect(200);
    app.say(&talk, "three").expect(200);
    let said: Vec<_> = app.model.last_history().into_iter().map(|exchange| exchange.said).collect();
    assert_eq!(said, ["one", "two"]);
    app.delete(&talk, "").expect(204);
    app.say(&talk, "four").expect(404);
}

#[test]
fn whoever_asks_for_speech_gets_the_text_and_is_told() {
    let app = TestApp::spawn();
    let talk = app.start_session();
    let mut body = turn(&talk, "hello");
    body["speak"] = json!(true);
    assert_eq!(app.chat(&body).expect(200).json()["degraded"], json!(["speech"]));
    let done = app.stream(&body).events().pop().unwrap();
    assert_eq!(done.data["degraded"], json!(["speech"]));
}

#[test]
fn a_message_as_long_as_is_allowed_passes_and_no_longer_one() {
    let app = TestApp::spawn();
    let talk = app.start_session();
    let longest = "\u{1f319}".repeat(8000);
    app.say(&talk, &longest).expect(200);
    let refused = app.say(&talk, &format!("{longest}x")).refused(400, "validation_error");
    assert_eq!(refused.json()["message"], "message: must have at most 8000 characters");
    assert_eq!(app.said(&talk), [longest]);
}

#[test]
fn a_turn_that_cannot_be_understood_is_refused_and_reaches_no_model() {
    let app = TestApp::spawn();
    let id = app.start_session().session;
    let deep = "[".repeat(200_000);
    let bodies: [Vec<u8>; 19] = [
        Vec::new(),
        b"null".to_vec(),
        b"{}".to_vec(),
        deep.clone().into_bytes(),
        format!(r#"{{"session_id":"{id}","message":{deep}"#).into_bytes(),
        format!(r#"{{"session_id":"{id}","x":{deep}"#).into_bytes(),
        format!(r#"["{id}","hello",false,null]"#).into_bytes(),
        format!(r#"{{"session_id":"{id}"}}"#).into_bytes(),
        format!(r#"{{"session_id":"{id}","message":""}}"#).into_bytes(),
        format!(r#"{{"session_id":"{id}","message":" \n\t"}}"#).into_bytes(),
        format!(r#"{{"session_id":"{id}","message":7}}"#).into_bytes(),
        format!(r#"{{"session_id":"{id}","message":null}}"#).into_bytes(),
        format!(r#"{{"session_id":"{id}","message":"\ud800"}}"#).into_bytes(),
        format!(r#"{{"session_id":"{id}","message":"x"}} x"#).into_bytes(),
        format!(r#"{{"session_id":"{id}","session_id":"{id}","message":"x"}}"#).into_bytes(),
        format!(r#"{{"session_id":"{}","message":"x"}}"#, id.replace('-', "")).into_bytes(),
        format!(r#"{{"session_id":"{id}","message":"x","turn_id":"x"}}"#).into_bytes(),
        format!(r#"{{"session_id":"{id}","message":"x","speak":"yes"}}"#).into_bytes(),
        [format!(r#"{{"session_id":"{id}","message":""#).as_bytes(), b"\xff\xfe\"}"].concat(),
    ];
    for body in bodies {
        for accept in ["*/*", "text/event-stream"] {
            let headers = [("content-type", "application/json"), ("accept", accept)];
            app.ask("POST", CHAT, &headers, &body).refused(400, "validation_error");
        }
    }
    assert_eq!((app.model.begun(), app.count("checkpoints")), (0, 0));
}

#[test]
fn a_body_that_is_not_called_json_is_refused() {
    let app = TestApp::spawn();
    let talk = app.start_session();
    let body = turn(&talk, "hello").to_string();
    for kind in ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", ""] {
        let answer = app.ask("POST", CHAT, &[("content-type", kind)], body.as_bytes());
        answer.refused(415, "unsupported_media_type");
    }
    for kind in ["application/json; charset=utf-8", "Application/JSON"] {
        app.ask("POST", CHAT, &[("content-type", kind)], body.as_bytes()).expect(200);
    }
}

#[test]
fn an_unknown_session_is_told_before_anything_streams() {
    let app = TestApp::spawn();
    let body = json!({"session_id": "00000000-0000-4000-8000-000000000000", "message": "hello"});
    app.chat(&body).refused(404, "session_not_found");
    let streamed = app.stream(&body).head;
    assert_eq!((streamed.status, streamed.header("content-type")), (404, "application/json"));
}

#[test]
fn a_model_that_fails_leaves_nothing_half_done() {
    let app = TestApp::spawn();
    let talk = app.start_session();
    for (failure, status, code) in
        [(Step::Unavailable, 503, "service_unavailable"), (Step::TimedOut, 504, "upstream_timeout")]
    {
        let mut steps = pieces(&["half an "]);
        steps.push(failure);
        app.model.next(steps);
        let answer = app.say(&talk, "hello").refused(status, code);
        assert_eq!(answer.header("retry-after").is_empty(), status != 503);
        assert!(!answer.text().contains("secret") && !answer.text().contains("half"));
    }
    assert_eq!(app.said(&talk), [""; 0]);
    app.say(&talk, "again").expect(200);
    assert_eq!(app.said(&talk), ["again"]);
}

#[test]
fn a_stream_that_fails_ends_with_one_error_event() {
    let app = TestApp::spawn();
    let talk = app.start_session();
    app.model.next(vec![Step::Piece("half an ".to_owned()), Step::Unavailable]);
    let events = app.stream(&turn(&talk, "hello")).events();
    let error = json!({
        "error": "service_unavailable", "request_id": "streamed",
        "message": "The companion cannot answer now; please try again in a moment",
    });
    assert_eq!(
        events,
        [
            Event { name: "token".to_owned(), data: json!({"text": "half an "}) },
            Event { name: "error".to_owned(), data: error },
        ]
    );
    assert_eq!(app.said(&talk), [""; 0]);
}

#[test]
fn words_of_any_script_come_back_as_they_were_said() {
    let app = TestApp::spawn();
    let talk = app.start_session();
    let said = [
        "na\u{ef}ve \u{65e5}\u{672c}\u{8a9e} \u{1f468}\u{200d}\u{1f469}",
        "a\u{0}b",
        "'; DROP TABLE sessions; --",
        "<b>\"&amp;",
    ];
    for message in said {
        assert_eq!(app.say(&talk, message).expect(200).json()["text"], format!("You said: {message}"));
    }
    assert_eq!(app.said(&talk), said);
}
