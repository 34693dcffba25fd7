//! Replies that are spoken: sentence by sentence while the model still writes, or as one file; and any text aloud.

use serde_json::{Value, json};

use crate::support::model::pieces;
use crate::support::voice::{ALOUD, ESPEAK, PROCESS, Programs, coded, recording, seconds, spoken};
use crate::support::{Talk, TestApp, wait_for};

const TURN: &str = "11111111-1111-4111-8111-111111111111";

fn server() -> TestApp {
    Programs::new().server("exit 1", ESPEAK)
}

fn spoken_turn(talk: &Talk, message: &str) -> serde_json::Value {
    json!({"session_id": talk.session, "message": message, "speak": true})
}

#[test]
fn the_first_sentence_is_heard_while_the_model_still_writes() {
    let programs = Programs::new();
    let app = programs.server("exit 1", ESPEAK);
    let talk = app.start_session();
    let gate = app.model.hold_next("Hello there. How", " are you? Tell me more.");
    let mut streamed = app.stream(&spoken_turn(&talk, "hello"));
    assert_eq!(streamed.event().unwrap().data["text"], "Hello there. How");
    let first = streamed.event().unwrap();
    assert_eq!((first.name.as_str(), &first.data["index"]), ("audio", &json!(0)), "the model has not ended");
    let sound = app.get(first.data["audio_url"].as_str().unwrap()).expect(200);
    assert_eq!(sound.header("content-type"), "audio/wav");
    assert!(seconds(&sound.body) > 0.4);
    gate.open();
    let events = streamed.events();
    let audio: Vec<_> = events.iter().filter(|event| event.name == "audio").collect();
    assert_eq!(audio.iter().map(|event| event.data["index"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 2]);
    let parts = std::iter::once(&first)
        .chain(audio)
        .map(|event| seconds(&app.get(event.data["audio_url"].as_str().unwrap()).expect(200).body));
    let together: f64 = parts.sum();
    let done = events.last().unwrap();
    assert_eq!((done.name.as_str(), &done.data["degraded"]), ("done", &json!([])));
    let whole = seconds(&app.get(done.data["audio_url"].as_str().unwrap()).expect(200).body);
    assert!((whole - together).abs() < 0.05, "{whole} s is not {together} s");
    let kept = app.session(&talk, "").json()["messages"][1].clone();
    assert_eq!(kept["audio_url"], done.data["audio_url"]);
    assert_eq!(kept["text"], "Hello there. How are you? Tell me more.");
}

#[test]
fn a_reply_that_comes_whole_is_spoken_as_one_file() {
    let app = server();
    let talk = app.start_session();
    let answer = app.chat(&spoken_turn(&talk, "hello")).expect(200);
    for stage in ["memory;dur=", "llm;dur=", "tts;dur=", "save;dur=", "commit;dur=", "total;dur="] {
        assert!(answer.header("server-timing").contains(stage), "{}", answer.header("server-timing"));
    }
    let body = answer.json();
    assert_eq!((&body["degraded"], &body["text"]), (&json!([]), &json!("You said: hello")));
    assert!(seconds(&app.get(body["audio_url"].as_str().unwrap()).expect(200).body) > 0.5);
    assert_eq!((app.audio_files().len(), app.count("audio")), (1, 1));
    let unspoken = app.say(&talk, "in silence").expect(200).json();
    assert!(unspoken.get("audio_url").is_none(), "{unspoken}");
}

#[test]
fn a_reply_whose_sound_is_too_long_comes_as_text_and_the_next_one_is_spoken() {
    let programs = Programs::new();
    let speaks = "if [ -e \"$HERE/long.wav\" ]; then cat > /dev/null; exec cat \"$HERE/long.wav\"; fi; exec espeak-ng --stdout";
    let app = programs.server("exit 1", speaks);
    let talk = app.start_session();
    let said = |message: &str| app.chat(&spoken_turn(&talk, message)).expect(200).json();
    // More than one reply may have, and more than any text.
    for minutes in [8, 15] {
        let apad = format!("apad=whole_dur={}", minutes * 60);
        let long = coded(&spoken("On and on."), &["-af", &apad, "-f", "wav"]);
        assert!(long.len() > 16 << 20);
        std::fs::write(programs.path("long.wav"), long).unwrap();
        let reply = said("at length");
        assert_eq!((&reply["text"], &reply["degraded"]), (&json!("You said: at length"), &json!(["speech"])));
        assert_eq!((&reply["audio_url"], app.audio_files().len()), (&Value::Null, 0), "{minutes} minutes");
    }
    std::fs::remove_file(programs.path("long.wav")).unwrap();
    let reply = said("in short");
    assert_eq!(reply["degraded"], json!([]));
    assert!(seconds(&app.get(reply["audio_url"].as_str().unwrap()).expect(200).body) > 0.5);
}

#[test]
fn where_there_is_no_room_for_more_sound_a_reply_comes_as_text() {
    let programs = Programs::new();
    let until_told = "while [ ! -e \"$HERE/go\" ]; do sleep 0.01; done";
    let long = format!("*long*) cat \"$HERE/long.wav\"; {until_told};;");
    let speaks = format!("said=$(cat); case \"$said\" in {long} *) exec espeak-ng --stdout \"$said\";; esac");
    // One client has two of the four places where a program speaks: each of them is another.
    let app = programs.server_with("exit 1", &speaks, |config| {
        config.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    });
    let chat = |client: usize, body: &Value| {
        let address = format!("192.0.2.{client}");
        app.post("/api/v1/chat", &[("x-forwarded-for", address.as_str())], body).expect(200).json()
    };
    let minute = coded(&spoken("On and on."), &["-af", "apad=whole_dur=60", "-f", "wav"]);
    assert!(minute.len() > 2 << 20);
    std::fs::write(programs.path("long.wav"), minute).unwrap();
    let first = app.start_session();
    let talks = [app.start_session_of(&first.token), app.start_session_of(&first.token), first];
    std::thread::scope(|scope| {
        let (tell, told) = std::sync::mpsc::channel();
        for (client, talk) in talks.iter().enumerate() {
            let (tell, chat) = (tell.clone(), &chat);
            scope.spawn(move || tell.send(chat(client, &spoken_turn(talk, "a long one"))));
        }
        let mut reply = None;
        wait_for("one finds no room", || {
            reply = told.try_recv().ok();
            reply.is_some()
        });
        let reply = reply.unwrap();
        assert_eq!(
            (&reply["text"], &reply["degraded"]),
            (&json!("You said: a long one"), &json!(["speech"]))
        );
        assert_eq!((&reply["audio_url"], app.audio_files().len()), (&Value::Null, 0));
        let short = chat(4, &spoken_turn(&app.start_session(), "hello"));
        assert_eq!(short["degraded"], json!([]), "what is short has its room");
        std::fs::write(programs.path("go"), "").unwrap();
        let others = [told.recv().unwrap(), told.recv().unwrap()];
        assert!(others.iter().all(|reply| reply["degraded"] == json!([])), "{others:?}");
    });
    let again = app.chat(&spoken_turn(&talks[0], "a long one")).expect(200).json();
    assert_eq!(again["degraded"], json!([]), "there is room again");
}

#[test]
fn a_turn_that_fails_leaves_no_sound() {
    let app = server();
    let talk = app.start_session();
    let mut steps = pieces(&["Hello there. How", " are you? "]);
    steps.push(crate::support::model::Step::Unavailable);
    app.model.next(steps);
    let mut streamed = app.stream(&spoken_turn(&talk, "hello"));
    assert_eq!(streamed.events().last().unwrap().name, "error");
    wait_for("the files are gone", || app.audio_files().is_empty());
    assert_eq!((app.count("audio"), app.count("checkpoints")), (0, 0));
}

#[test]
fn a_conversation_that_is_deleted_takes_its_sound_along() {
    let app = server();
    let (talk, other) = (app.start_session(), app.start_session());
    app.stream(&spoken_turn(&talk, "One sentence. Another one.")).events();
    app.stream(&spoken_turn(&other, "hello")).events();
    wait_for("all is there", || app.audio_files().len() == 3 + 2);
    app.delete(&talk, "").expect(204);
    assert_eq!(app.audio_files().len(), 2, "those of the other conversation");
    app.erase(&other.token).expect(200);
    assert_eq!(app.audio_files().len(), 0);
}

#[test]
fn who_leaves_a_spoken_reply_takes_the_voice_along() {
    let programs = Programs::new();
    let app = programs.server("exit 1", "echo $$ > \"$HERE/self\"; exec sleep 1000");
    let talk = app.start_session();
    let _never_opened = app.model.hold_next("Hello there. How", " are you?");
    let mut streamed = app.stream(&spoken_turn(&talk, "hello"));
    assert_eq!(streamed.event().unwrap().name, "token");
    wait_for("it speaks", || programs.noted("self").ends_with('\n'));
    drop(streamed);
    let id = programs.noted("self");
    wait_for("it is gone", || !std::path::Path::new(&format!("/proc/{}/cmdline", id.trim())).exists());
    wait_for("the model's work is dropped", || app.model.dropped() == 1);
}

#[test]
fn a_part_of_a_reply_that_was_left_is_not_given_as_its_sound() {
    let app = server();
    let talk = app.start_session();
    let mut named = spoken_turn(&talk, "hello");
    named["turn_id"] = json!(TURN);
    let gate = app.model.hold_next("Hello there. How", " are you? Tell me more.");
    let mut streamed = app.stream(&named);
    while streamed.event().unwrap().name != "audio" {}
    drop(streamed);
    // Someone without a turn id leaves later: once that was noticed, so was this.
    let _never_opened = app.model.hold_next("other", "");
    let elsewhere = app.start_session();
    let mut other = app.stream(&json!({"session_id": elsewhere.session, "message": "not kept"}));
    assert_eq!(other.event().unwrap().data["text"], "other");
    drop(other);
    wait_for("that one's work is dropped", || app.model.dropped() == 1);
    gate.open();
    wait_for("the turn is kept", || app.count("checkpoints") == 1);
    let again = app.chat(&named).expect(200).json();
    assert_eq!(again["text"], "Hello there. How are you? Tell me more.");
    assert_eq!((again.get("audio_url"), &again["degraded"]), (None, &json!(["speech"])));
    assert!(app.session(&talk, "").json()["messages"][1].get("audio_url").is_none());
}

#[test]
fn who_wants_to_hear_a_reply_that_was_kept_without_sound_is_told_that_there_is_none() {
    let app = Programs::new().server("echo hello", ESPEAK);
    let talk = app.start_session();
    let mut socket = app.socket(&talk);
    socket.speak(&recording("wav"), Some(TURN));
    socket.answer();
    let sound = recording("wav");
    let fields: [(&str, Option<&str>, &[u8]); 3] = [
        ("audio", Some("blob"), &sound),
        ("session_id", None, talk.session.as_bytes()),
        ("turn_id", None, TURN.as_bytes()),
    ];
    let mut named = spoken_turn(&talk, "hello");
    named["turn_id"] = json!(TURN);
    for again in [app.send_form(PROCESS, &fields), app.chat(&named)] {
        let again = again.expect(200).json();
        assert_eq!((&again["text"], &again["degraded"]), (&json!("You said: hello"), &json!(["speech"])));
        assert!(again["audio_url"].is_null());
    }
    named["speak"] = json!(false);
    assert_eq!(app.chat(&named).expect(200).json()["degraded"], json!([]), "nobody wants to hear it");
}

#[test]
fn any_text_is_spoken_aloud_for_who_is_in_a_conversation() {
    let app = server();
    let talk = app.start_session();
    let session = ("session_id", None, talk.session.as_bytes());
    let text = |text: &'static str| ("text", None, text.as_bytes());
    let sound = app.send_form(ALOUD, &[session, text("Good morning to you")]).expect(200);
    assert_eq!(sound.header("content-type"), "audio/wav");
    // A head that is sent before the sound is made cannot know its length; players go by what comes.
    let samples = coded(&sound.body, &["-ac", "1", "-ar", "8000", "-f", "s16le"]);
    assert!(samples.len() > 11_000, "{} samples", samples.len() / 2);
    let encoded = format!("session_id={}&text=Good+morning%20to+you", talk.session);
    let kind = [("content-type", "application/x-www-form-urlencoded")];
    assert_eq!(app.ask("POST", ALOUD, &kind, encoded.as_bytes()).expect(200).body.len(), sound.body.len());
    let pairs = |body: &str| app.ask("POST", ALOUD, &kind, body.as_bytes());
    pairs(&format!("{encoded}{}", "&other=x".repeat(14))).expect(200);
    pairs(&format!("{encoded}{}", "&other=x".repeat(15))).refused(400, "validation_error");
    pairs(&format!("{encoded}&text=once+more")).refused(400, "validation_error");
    app.send_form(ALOUD, &[session]).refused(422, "validation_error");
    app.send_form(ALOUD, &[text("hello")]).refused(422, "validation_error");
    for nothing in ["", "  ", "...", "\u{1f600}"] {
        app.send_form(ALOUD, &[session, ("text", None, nothing.as_bytes())]).refused(400, "validation_error");
    }
    let long = "word ".repeat(1601);
    app.send_form(ALOUD, &[session, ("text", None, long.as_bytes())]).refused(400, "validation_error");
    let nobody = [("session_id", None, &b"00000000-0000-4000-8000-000000000000"[..]), text("hello")];
    app.send_form(ALOUD, &nobody).refused(404, "session_not_found");
    assert_eq!((app.audio_files().len(), app.count("checkpoints")), (0, 0), "nothing of it is kept");
    let mute = TestApp::spawn();
    let mute_session = mute.start_session();
    let session = ("session_id", None, mute_session.session.as_bytes());
    mute.send_form(ALOUD, &[session, text("hello")]).refused(503, "service_unavailable");
}

#[test]
fn sound_whose_head_tells_no_length_is_heard_to_its_end() {
    let zeros = "espeak-ng --stdout | { head -c 4; head -c 4 > /dev/null; printf '\\0\\0\\0\\0'; head -c 32; \
                 head -c 4 > /dev/null; printf '\\0\\0\\0\\0'; cat; }";
    let app = Programs::new().server("echo hello", zeros);
    let talk = app.start_session();
    let body = app.chat(&spoken_turn(&talk, "hello to you")).expect(200).json();
    assert!(seconds(&app.get(body["audio_url"].as_str().unwrap()).expect(200).body) > 0.5);
    let session = ("session_id", None, talk.session.as_bytes());
    let sound = app.send_form(ALOUD, &[session, ("text", None, b"hello to you")]).expect(200);
    assert_eq!(sound.body[4..8], [0xFF; 4], "no player takes the first piece for all of it");
    assert!(sound.body.len() > 16_000, "{}", sound.body.len());
}

#[test]
fn a_voice_that_is_slower_than_the_model_takes_nothing_of_the_text() {
    let app = Programs::new().server_with("exit 1", "sleep 3; exit 1", |config| {
        config.outside.workflow = std::time::Duration::from_secs(1);
    });
    let text = "I hear you. ".repeat(200);
    app.model.next(pieces(&[&text]));
    let talk = app.start_session();
    let events = app.stream(&spoken_turn(&talk, "hello")).events();
    let done = events.last().unwrap();
    assert_eq!((done.name.as_str(), &done.data["text"]), ("done", &json!(text)));
    assert_eq!((&done.data["degraded"], app.said(&talk)), (&json!(["speech"]), vec!["hello".to_owned()]));
}
