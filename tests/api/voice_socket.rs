//! The voice socket: what goes over it, how it is interrupted, and what it refuses.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::model::Step;
use crate::support::socket::Socket;
use crate::support::voice::{ESPEAK, Programs, recording, seconds};
use crate::support::{TestApp, wait_for};

const HEARS: &str = "cat \"$1\" > /dev/null; echo 'I feel calm today'";
const TURN: &str = "11111111-1111-4111-8111-111111111111";

#[test]
fn a_conversation_goes_over_one_socket() {
    let app = Programs::new().server(HEARS, ESPEAK);
    let talk = app.start_session();
    let mut socket = app.socket(&talk);
    for round in 1..=2 {
        socket.speak(&recording("webm"), None);
        let answer = socket.answer();
        assert_eq!(answer.transcription.as_deref(), Some("I feel calm today"));
        let response = answer.response.unwrap();
        assert_eq!(
            (&response["text"], &response["degraded"]),
            (&json!("You said: I feel calm today"), &json!([]))
        );
        assert_eq!(
            (answer.deltas.as_str(), answer.interrupted),
            ("You said: I feel calm today", Some(false))
        );
        let (start, sound) = &answer.sentences[0];
        assert_eq!((&start["mime"], &start["index"]), (&json!("audio/wav"), &json!(0)));
        assert_eq!(start["text"], "You said: I feel calm today");
        assert!(seconds(sound) > 1.0);
        assert_eq!(app.count("checkpoints"), round);
    }
    assert_eq!(app.audio_files(), [] as [std::path::PathBuf; 0], "sound that was sent is kept nowhere");
}

#[test]
fn a_reply_names_what_was_remembered_for_it_to_the_person_alone() {
    let app = Programs::new().server("cat \"$1\" > /dev/null; echo 'Where does my sister live'", ESPEAK);
    let talk = app.start_session();
    let headers = [("x-companion-person", talk.token.as_str()), ("content-type", "application/json")];
    let body = json!({"text": "My sister lives in Porto"}).to_string();
    let memory = app.ask("POST", "/api/v1/memories", &headers, body.as_bytes()).expect(201).json();
    let mut socket = app.try_socket(&talk.session, &[("x-companion-person", &talk.token)]).unwrap();
    assert_eq!(socket.text()["type"], "connected");
    socket.speak(&recording("webm"), None);
    let response = socket.answer().response.unwrap();
    assert_eq!(response["memories"], json!([{"id": memory["id"], "text": memory["text"]}]));
    let mut whoever = app.socket(&talk);
    whoever.speak(&recording("webm"), None);
    assert!(whoever.answer().response.unwrap().get("memories").is_none());
}

#[test]
fn every_sentence_is_a_file_of_its_own_and_leaves_while_the_model_writes() {
    let app = Programs::new().server(HEARS, ESPEAK);
    let mut socket = app.socket(&app.start_session());
    let gate = app.model.hold_next("Hello there. How", " are you? Well.");
    socket.speak(&recording("ogg"), None);
    let first = socket.until("audio_start");
    assert_eq!((&first["text"], &first["index"]), (&json!("Hello there."), &json!(0)));
    gate.open();
    let rest = socket.answer_after(first);
    let texts: Vec<_> = rest.sentences.iter().map(|(start, _)| start["text"].as_str().unwrap()).collect();
    assert_eq!(texts, ["Hello there.", "How are you?", "Well."]);
    for (start, sound) in &rest.sentences {
        assert!(seconds(sound) > 0.2, "{start}");
    }
}

#[test]
fn an_interruption_while_it_thinks_drops_the_models_work_within_50_ms() {
    let app = Programs::new().server(HEARS, ESPEAK);
    let talk = app.start_session();
    let mut socket = app.socket(&talk);
    let _never_opened = app.model.hold_next("", "");
    socket.speak(&recording("wav"), None);
    socket.until("transcription");
    wait_for("the model thinks", || app.model.begun() == 1);
    let began = Instant::now();
    socket.interrupt(None);
    assert_eq!(socket.until("audio_end")["interrupted"], true);
    wait_for("its work is dropped", || app.model.dropped() == 1);
    assert!(began.elapsed() < Duration::from_millis(50), "{:?}", began.elapsed());
    wait_for("what was said is kept", || app.count("checkpoints") == 1);
    assert_eq!(app.said(&talk), ["I feel calm today"]);
    assert_eq!(
        app.session(&talk, "").json()["messages"].as_array().unwrap().len(),
        1,
        "nothing was answered"
    );
    for _ in 0..2 {
        socket.speak(&recording("wav"), None);
        assert_eq!(socket.answer().deltas, "You said: I feel calm today", "the next turn is not held up");
        let before = app.model.last_history().remove(0);
        let known = (before.said.as_str(), before.answered.as_str());
        assert_eq!(known, ("I feel calm today", ""), "the model knows what was said");
        // After this the next turn reads anew what was said before.
        socket.interrupt(Some(0.0));
    }
}

#[test]
fn an_interruption_while_it_speaks_kills_the_voice_within_50_ms_and_no_sound_follows() {
    let programs = Programs::new();
    let speaks = "espeak-ng --stdout --stdin | head -c 30000; echo $$ > \"$HERE/self\"; exec sleep 1000";
    // MP3 is sent on as it comes; a sleeping program never ends it.
    let mp3 =
        format!("{} | ffmpeg -nostdin -loglevel error -i - -f mp3 -", speaks.split(';').next().unwrap());
    let app = programs.server(HEARS, &format!("{mp3}; echo $$ > \"$HERE/self\"; exec sleep 1000"));
    let talk = app.start_session();
    let mut socket = app.socket(&talk);
    app.model.next(vec![Step::Piece("One two three. Four five six.".to_owned())]);
    socket.speak(&recording("wav"), None);
    assert_eq!(socket.until("audio_start")["mime"], "audio/mpeg");
    wait_for("it speaks on and on", || programs.noted("self").ends_with('\n'));
    let id = programs.noted("self").trim().to_owned();
    let began = Instant::now();
    socket.interrupt(None);
    assert_eq!(socket.until("audio_end")["interrupted"], true);
    let gone = || !std::path::Path::new(&format!("/proc/{id}/cmdline")).exists();
    wait_for("the voice is killed", gone);
    assert!(began.elapsed() < Duration::from_millis(50), "{:?}", began.elapsed());
    wait_for("it is kept", || app.count("checkpoints") == 1);
    let kept = app.session(&talk, "").json()["messages"][1]["text"].clone();
    assert_eq!(kept, "One two three.", "what was sent of it");
    socket.say(&json!({"type": "nonsense"}));
    assert_eq!(socket.text()["type"], "error", "no sound follows the end");
}

#[test]
fn the_history_keeps_what_was_played() {
    let app = Programs::new().server(HEARS, ESPEAK);
    let talk = app.start_session();
    let mut socket = app.socket(&talk);
    let sentences = ["First I tell you something long. ", "Then I tell you something else. ", "Good bye."];
    app.model.next(vec![Step::Piece(sentences.concat())]);
    socket.speak(&recording("wav"), None);
    let answer = socket.answer();
    let first = seconds(&answer.sentences[0].1);
    let second = seconds(&answer.sentences[1].1);
    // The turn has ended; its sound still plays.
    socket.interrupt(Some((first + second / 2.0) * 1000.0));
    let kept = || app.session(&talk, "").json()["messages"][1]["text"].as_str().unwrap().to_owned();
    wait_for("it is shorter now", || kept().len() < sentences.concat().len());
    let heard = kept();
    assert!(
        heard.starts_with("First I tell you something long. Then I") && !heard.contains("else"),
        "{heard}"
    );
    socket.speak(&recording("wav"), None);
    socket.answer();
    assert_eq!(app.model.last_history()[0].answered, heard, "the model knows it, too");
    socket.interrupt(None);
    socket.speak(&recording("wav"), None);
    socket.answer();
    let second = app.session(&talk, "").json()["messages"][3]["text"].clone();
    assert_eq!(second, "You said: I feel calm today", "all of it was sent");
}

#[test]
fn who_leaves_takes_the_work_along_unless_the_turn_has_a_name() {
    let app = Programs::new().server(HEARS, ESPEAK);
    let talk = app.start_session();
    let mut socket = app.socket(&talk);
    let _never_opened = app.model.hold_next("some", " words");
    socket.speak(&recording("wav"), None);
    socket.until("response_delta");
    drop(socket);
    wait_for("its work is dropped", || app.model.dropped() == 1);
    assert_eq!(app.count("checkpoints"), 0);
    let mut socket = app.socket(&talk);
    let gate = app.model.hold_next("some", " words");
    socket.speak(&recording("wav"), Some(TURN));
    socket.until("response_delta");
    drop(socket);
    let mut again = app.socket(&talk);
    again.speak(b"", Some(TURN));
    gate.open();
    let answer = again.answer();
    assert_eq!(answer.transcription.as_deref(), Some("I feel calm today"));
    assert_eq!((answer.response.unwrap()["text"].clone(), app.model.begun()), (json!("some words"), 2));
    assert!(seconds(&answer.sentences[0].1) > 0.3, "it is spoken again");
    again.speak(&recording("wav"), Some(TURN));
    assert_eq!(again.answer().deltas, "some words");
    assert_eq!((app.count("checkpoints"), app.model.begun()), (1, 2));
    again.speak(b"", Some("22222222-2222-4222-8222-222222222222"));
    assert_eq!(again.text()["code"], "validation_error", "nobody said that before");
}

#[test]
fn an_answer_that_is_told_again_is_interrupted_as_the_first_time() {
    let programs = Programs::new();
    let endless = "espeak-ng --stdout | ffmpeg -nostdin -loglevel error -i - -f mp3 -; echo $$ > \"$HERE/self\"; exec sleep 1000";
    let app = programs.server(HEARS, &format!("[ -e \"$HERE/endless\" ] || {ESPEAK}; {endless}"));
    let talk = app.start_session();
    let kept = || app.session(&talk, "").json()["messages"][1]["text"].as_str().unwrap().to_owned();
    let whole = "First I tell you something long. Then I tell you something else. Good bye.";
    app.model.next(vec![Step::Piece(whole.to_owned())]);
    let mut socket = app.socket(&talk);
    socket.speak(&recording("wav"), Some(TURN));
    socket.answer();
    drop(socket);
    let mut socket = app.socket(&talk);
    socket.speak(b"", Some(TURN));
    let told = socket.answer().sentences;
    socket.interrupt(Some((seconds(&told[0].1) + seconds(&told[1].1) / 2.0) * 1000.0));
    wait_for("it is shorter now", || kept() != whole);
    let heard = kept();
    assert!(
        heard.starts_with("First I tell you something long. Then I") && whole.starts_with(&heard),
        "{heard}"
    );
    std::fs::write(programs.path("endless"), "").unwrap();
    socket.speak(b"", Some(TURN));
    socket.until("audio_start");
    wait_for("it speaks on and on", || programs.noted("self").ends_with('\n'));
    let id = programs.noted("self").trim().to_owned();
    socket.interrupt(None);
    assert_eq!(socket.until("audio_end")["interrupted"], true);
    let gone = || !std::path::Path::new(&format!("/proc/{id}/cmdline")).exists();
    wait_for("the voice is killed", gone);
    wait_for("it is shorter still", || kept() != heard);
    assert_eq!(kept(), "First I tell you something long.", "what was sent of it");
}

#[test]
fn a_recording_that_comes_while_it_speaks_is_answered_afterwards() {
    let app = Programs::new().server(HEARS, ESPEAK);
    let mut socket = app.socket(&app.start_session());
    let gate = app.model.hold_next("First.", "");
    socket.speak(&recording("wav"), None);
    socket.until("response_delta");
    socket.speak(&recording("wav"), None);
    socket.speak(&recording("wav"), None);
    assert_eq!(socket.until("error")["code"], "turn_in_progress", "one waits, no more");
    gate.open();
    socket.until("audio_end");
    assert_eq!(socket.answer().deltas, "You said: I feel calm today");
    assert_eq!(app.count("checkpoints"), 2);
}

#[test]
fn silence_over_a_socket_gets_a_gentle_word_and_then_none() {
    let app = Programs::new().server("exit 0", ESPEAK);
    let mut socket = app.socket(&app.start_session());
    socket.speak(&recording("wav"), None);
    let gentle = socket.answer();
    assert_eq!(gentle.transcription.as_deref(), Some(""));
    assert!(!gentle.response.unwrap()["text"].as_str().unwrap().is_empty());
    assert!(seconds(&gentle.sentences[0].1) > 1.0);
    socket.speak(&recording("wav"), None);
    let peace = socket.answer();
    assert_eq!((&peace.response.unwrap()["text"], peace.sentences.len()), (&json!(""), 0));
    assert_eq!(app.count("checkpoints"), 0);
}

#[test]
fn what_goes_wrong_is_told_and_the_socket_stays() {
    let programs = Programs::new();
    let app = programs.server_with(HEARS, "exit 1", |config| config.limits.max_request_bytes = 100_000);
    let talk = app.start_session();
    let mut socket = app.socket(&talk);
    let told = |socket: &mut Socket| socket.text()["code"].as_str().unwrap().to_owned();
    socket.say(&json!({"type": "stop_listening"}));
    assert_eq!(told(&mut socket), "validation_error");
    socket.web.send(tungstenite::Message::binary(vec![1, 2, 3])).unwrap();
    assert_eq!(told(&mut socket), "validation_error");
    socket.say(&json!("not even an object"));
    assert_eq!(told(&mut socket), "validation_error");
    socket.speak(b"no sound at all", None);
    assert_eq!(told(&mut socket), "unsupported_media_type");
    socket.speak(b"", None);
    assert_eq!(told(&mut socket), "validation_error");
    socket.speak(&vec![0; 99_999], None);
    assert_eq!(told(&mut socket), "unsupported_media_type");
    socket.say(&json!({"type": "start_listening"}));
    (0..2).for_each(|_| socket.web.send(tungstenite::Message::binary(vec![0; 60_000])).unwrap());
    assert_eq!(told(&mut socket), "request_too_large");
    app.model.next(vec![Step::Unavailable]);
    socket.speak(&recording("mp3"), None);
    assert_eq!(socket.until("error")["code"], "service_unavailable");
    socket.speak(&recording("mp3"), None);
    let answer = socket.answer();
    assert_eq!(answer.response.unwrap()["degraded"], json!(["speech"]), "the text is there");
    app.delete(&talk, "").expect(204);
    socket.speak(&recording("mp3"), None);
    assert_eq!(socket.until("error")["code"], "session_not_found");
    // It may be closed before all of it is sent.
    drop(socket.web.send(tungstenite::Message::binary(vec![0; 200_000])));
    assert_eq!(socket.closed(), Some(1009), "a message larger than a recording may be");
}

#[test]
fn who_may_not_open_a_socket_is_refused_before_it_opens() {
    let app = TestApp::spawn_with(|config| config.speech.max_sockets = 10);
    let talk = app.start_session();
    let refused =
        |session: &str, headers: &[(&'static str, &str)]| app.try_socket(session, headers).err().unwrap();
    let unknown = "00000000-0000-4000-8000-000000000000";
    assert_eq!(refused(unknown, &[]), (404, "session_not_found".to_owned()));
    assert_eq!(refused("nonsense", &[]), (404, "session_not_found".to_owned()));
    for origin in ["https://evil.example", "null"] {
        assert_eq!(refused(&talk.session, &[("origin", origin)]), (403, "foreign_origin".to_owned()));
    }
    assert!(app.try_socket(&talk.session, &[("origin", &app.url.clone())]).is_ok());
    let path = format!("/api/v1/voice/ws?session_id={}", talk.session);
    app.get(&path).refused(400, "validation_error");
    app.get("/api/v1/voice/ws").refused(400, "validation_error");
    wait_for("the first one is gone", || sockets(&app) == 0);
    let mut open: Vec<_> = (0..8).map(|_| app.socket(&talk)).collect();
    assert_eq!(refused(&talk.session, &[]), (503, "server_busy".to_owned()), "eight for each address");
    drop(open.pop());
    wait_for("it is gone", || sockets(&app) == 7);
    open.push(app.socket(&talk));
}

fn sockets(app: &TestApp) -> u64 {
    let told = app.get("/metrics").expect(200).text();
    let line = told.lines().find(|line| line.starts_with("companion_voice_sockets ")).unwrap();
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

#[test]
fn a_server_that_stops_lets_a_turn_end_and_closes_its_sockets() {
    let mut app = Programs::new().server(HEARS, ESPEAK);
    let (idle, mut busy) = (app.socket(&app.start_session()), app.socket(&app.start_session()));
    let gate = app.model.hold_next("some", " words");
    busy.speak(&recording("wav"), None);
    busy.until("response_delta");
    app.begin_to_stop();
    assert_eq!(idle.closed(), Some(1001));
    gate.open();
    assert_eq!(busy.answer().deltas, " words");
    assert_eq!(busy.closed(), Some(1001));
}

#[test]
fn turns_over_a_socket_are_counted_among_those_of_its_client() {
    let app = Programs::new().server_with(HEARS, ESPEAK, |config| {
        config.limits.turns_per_minute = std::num::NonZeroU32::new(2);
    });
    let mut socket = app.socket(&app.start_session());
    for _ in 0..2 {
        socket.speak(&recording("wav"), None);
        socket.answer();
    }
    socket.speak(&recording("wav"), None);
    assert_eq!(socket.text()["code"], "rate_limited");
}
