//! A recording in, a spoken reply out: over HTTP, through real programs.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use companion::config::{Hearing, Speaking};
use serde_json::{Value, json};

use crate::support::voice::{
    ALOUD, ESPEAK, PROCESS, Programs, coded, form, program, recording, recordings, seconds, spoken,
};
use crate::support::{TestApp, wait_for};

/// Hears what the test says it is to hear.
const HEARS: &str = "cat \"$1\" > /dev/null; echo 'I feel calm today'";

#[test]
fn a_recording_is_heard_and_answered_in_words_and_sound() {
    let programs = Programs::new();
    let app = programs.server(HEARS, ESPEAK);
    let talk = app.start_session();
    let answer = app.speak_to(&talk, &recording("webm")).expect(200);
    let body = answer.json();
    assert_eq!(body["transcription"], "I feel calm today");
    assert_eq!(body["text"], "You said: I feel calm today");
    assert_eq!((&body["session_id"], &body["degraded"]), (&json!(talk.session), &json!([])));
    let heard = app.get(body["audio_url"].as_str().unwrap()).expect(200);
    assert_eq!(heard.header("content-type"), "audio/wav");
    let lasts = seconds(&heard.body);
    assert!((1.0..5.0).contains(&lasts), "{lasts} s of sound");
    let told = u32::from_le_bytes(heard.body[4..8].try_into().unwrap()) as usize;
    assert_eq!(told + 8, heard.body.len(), "the head tells the right length");
    let files = app.audio_files();
    assert_eq!(files.len(), 1, "the recording is nowhere: {files:?}");
    assert_eq!(std::fs::metadata(&files[0]).unwrap().permissions().mode() & 0o777, 0o600);
    let page = app.session(&talk, "").json();
    assert_eq!(page["messages"][1]["audio_url"], body["audio_url"]);
}

#[test]
fn the_stages_are_told_in_the_body_and_to_the_developers_tools() {
    let app = Programs::new().server(HEARS, ESPEAK);
    let answer = app.speak_to(&app.start_session(), &recording("wav")).expect(200);
    let timings = answer.json()["timings"].as_object().unwrap().clone();
    let names: Vec<_> = timings.keys().map(String::as_str).collect();
    for name in [
        "audio_validation_ms",
        "stt_ms",
        "workflow_ms",
        "tts_ms",
        "audio_save_ms",
        "total_ms",
        "memory_retrieval_ms",
        "llm_generation_ms",
        "memory_extraction_ms",
    ] {
        assert!(names.contains(&name), "{name}: {names:?}");
    }
    let ms = |name: &str| timings[name].as_f64().unwrap();
    assert!(ms("stt_ms") > 0.0 && ms("tts_ms") > 0.0);
    assert!(ms("total_ms") >= ms("stt_ms") + ms("llm_generation_ms") + ms("tts_ms"), "{timings:?}");
    let header = answer.header("server-timing").to_owned();
    for stage in ["stt;dur=", "llm;dur=", "tts;dur=", "total;dur="] {
        assert!(header.contains(stage), "{header}");
    }
    let counted = app.get("/metrics").expect(200).text();
    assert!(counted.contains("companion_turn_stage_seconds_count{stage=\"heard\"} 1"), "{counted}");
}

#[test]
fn a_recording_that_is_sent_again_under_its_name_is_answered_once() {
    let programs = Programs::new();
    let app = programs.server("echo heard >> \"$HERE/runs\"; echo 'I feel calm today'", ESPEAK);
    let (talk, sound) = (app.start_session(), recording("webm"));
    let send = |turn: &str| {
        let (session, turn) =
            (("session_id", None, talk.session.as_bytes()), ("turn_id", None, turn.as_bytes()));
        app.send_form(PROCESS, &[session, turn, ("audio", Some("blob"), &sound)])
    };
    let first = send("11111111-1111-4111-8111-111111111111").expect(200).json();
    let again = send("11111111-1111-4111-8111-111111111111").expect(200).json();
    for field in ["text", "transcription", "audio_url"] {
        assert_eq!(again[field], first[field], "{field}");
    }
    assert_eq!((app.count("checkpoints"), programs.noted("runs").lines().count()), (1, 1));
    send("22222222-2222-4222-8222-222222222222").expect(200);
    assert_eq!(app.count("checkpoints"), 2);
    let refused = send("the first").refused(400, "validation_error");
    assert_eq!(refused.json()["details"]["field"], "turn_id");
}

#[test]
fn every_format_reaches_the_program_as_what_it_is_in_a_file_of_its_own() {
    let programs = Programs::new();
    let notes = "echo \"$(stat -c %a \"$1\") ${1##*.} $(stat -c %s \"$1\")\"";
    let app = programs.server(notes, ESPEAK);
    let talk = app.start_session();
    for (format, bytes) in recordings() {
        for (name, bytes) in
            [("blob", &bytes[..]), ("notes.txt", &bytes), ("cut.mp3", &bytes[..bytes.len() / 2])]
        {
            let fields = [("session_id", None, talk.session.as_bytes()), ("audio", Some(name), bytes)];
            let heard = app.send_form(PROCESS, &fields).expect(200).json()["transcription"].clone();
            assert_eq!(heard, format!("600 {format} {}", bytes.len()), "{name}");
        }
    }
    assert!(app.files().iter().all(|file| !file.to_string_lossy().contains(".companion-tmp-")));
}

#[test]
fn what_is_no_recording_is_refused_and_reaches_nobody() {
    let programs = Programs::new();
    let app = programs.server("echo heard >> \"$HERE/runs\"; echo hello", ESPEAK);
    let talk = app.start_session();
    app.speak_to(&talk, b"").refused(400, "validation_error");
    let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";
    for other in [&b"RIFF"[..], b"I am audio, believe me", b"<html>", b"\0\0\0\0", png, &[0xFF; 100]] {
        app.speak_to(&talk, other).refused(415, "unsupported_media_type");
    }
    let short = coded(&recording("wav"), &["-t", "0.05", "-f", "wav"]);
    assert_eq!(app.speak_to(&talk, &short).expect(200).json()["transcription"], "", "nobody speaks so fast");
    assert_eq!((programs.noted("runs").as_str(), app.count("checkpoints")), ("", 0));
    let tenth = coded(&recording("wav"), &["-t", "0.1", "-f", "wav"]);
    assert_eq!(app.speak_to(&talk, &tenth).expect(200).json()["transcription"], "hello");
}

#[test]
fn a_form_that_is_none_is_refused() {
    let app = Programs::new().server(HEARS, ESPEAK);
    let (talk, sound) = (app.start_session(), recording("mp3"));
    let session = ("session_id", None, talk.session.as_bytes());
    let audio = ("audio", Some("a.mp3"), &sound[..]);
    app.send_form(PROCESS, &[session]).refused(422, "validation_error");
    let missing = app.send_form(PROCESS, &[audio]).refused(422, "validation_error");
    assert_eq!(missing.json()["details"]["field"], "session_id");
    app.send_form(PROCESS, &[]).refused(422, "validation_error");
    app.send_form(PROCESS, &[session, session, audio]).refused(400, "validation_error");
    app.send_form(PROCESS, &[("session_id", None, b"\xff"), audio]).refused(400, "validation_error");
    for unknown in [&b"nonsense"[..], b"00000000-0000-4000-8000-000000000000", b""] {
        let answer = app.send_form(PROCESS, &[("session_id", None, unknown), audio]);
        answer.refused(404, "session_not_found");
    }
    let whole = form(&[session, audio]);
    app.send_raw_form(PROCESS, &whole[..whole.len() - 20]).refused(400, "validation_error");
    app.send_raw_form(PROCESS, b"no form at all").refused(400, "validation_error");
    let many: Vec<_> = (0..40).map(|_| ("other", None, &b"x"[..])).collect();
    app.send_form(PROCESS, &many).refused(400, "validation_error");
    let other = [("x", None, &b"y"[..]), session, audio, ("z", Some("z.exe"), b"MZ")];
    app.send_form(PROCESS, &other).expect(200);
    for kind in ["application/json", "text/plain", "", "multipart/mixed; boundary=a-boundary"] {
        app.ask("POST", PROCESS, &[("content-type", kind)], &whole).refused(415, "unsupported_media_type");
    }
    app.ask("POST", PROCESS, &[("content-type", "multipart/form-data")], &whole)
        .refused(400, "validation_error");
}

#[test]
fn a_form_has_16_fields_and_no_more() {
    let app = Programs::new().server(HEARS, ESPEAK);
    let (talk, sound) = (app.start_session(), recording("mp3"));
    for (others, status) in [(14, 200), (15, 400), (14, 200)] {
        let mut fields = vec![("other", None, &b"x"[..]); others];
        fields.extend([("session_id", None, talk.session.as_bytes()), ("audio", Some("a.mp3"), &sound[..])]);
        assert_eq!(app.send_form(PROCESS, &fields).status, status, "{others} others");
        let pairs = format!("{}session_id={}&text=hello", "other=x&".repeat(others), talk.session);
        let kind = [("content-type", "application/x-www-form-urlencoded")];
        assert_eq!(app.ask("POST", ALOUD, &kind, pairs.as_bytes()).status, status, "{others} others");
    }
}

#[test]
fn silence_gets_a_gentle_answer_another_one_each_time_and_then_peace() {
    let programs = Programs::new();
    let app = programs.server("cat \"$HERE/said\" 2> /dev/null; exit 0", ESPEAK);
    let (talk, sound) = (app.start_session(), recording("wav"));
    let mut answers = Vec::new();
    for _ in 0..3 {
        let gentle = app.speak_to(&talk, &sound).expect(200).json();
        assert_eq!((&gentle["transcription"], &gentle["degraded"]), (&json!(""), &json!([])));
        assert!(seconds(&app.get(gentle["audio_url"].as_str().unwrap()).expect(200).body) > 1.0);
        answers.push(gentle["text"].as_str().unwrap().to_owned());
        let silent = app.speak_to(&talk, &sound).expect(200).json();
        assert_eq!((&silent["text"], &silent["audio_url"]), (&json!(""), &Value::Null));
        std::fs::write(programs.path("said"), "[BLANK_AUDIO]").unwrap();
        assert_eq!(app.speak_to(&talk, &sound).expect(200).json()["text"], "", "nobody said that");
        std::fs::write(programs.path("said"), "I am back").unwrap();
        assert_eq!(app.speak_to(&talk, &sound).expect(200).json()["text"], "You said: I am back");
        std::fs::remove_file(programs.path("said")).unwrap();
    }
    answers.sort();
    answers.dedup();
    assert_eq!((answers.len(), app.said(&talk)), (3, vec!["I am back".to_owned(); 3]));
}

#[test]
fn hearing_that_is_down_is_told_within_two_seconds_and_nothing_is_kept() {
    let programs = Programs::new();
    let sound = recording("wav");
    let refused = |app: &TestApp| {
        let began = Instant::now();
        let answer = app.speak_to(&app.start_session(), &sound).refused(503, "service_unavailable");
        assert!(began.elapsed() < Duration::from_secs(2), "at once");
        assert_eq!((app.count("checkpoints"), app.model.begun(), answer.header("retry-after")), (0, 0, "2"));
    };
    let nobody = TestApp::spawn();
    refused(&nobody);
    assert_eq!(nobody.get("/api/v1/health").json()["services"]["stt"], "not_configured");
    // A shell's word for a program that it does not find; another status would speak of the recording.
    for broken in ["exit 127", "kill -9 $$", "head -c 1000000 /dev/zero", "printf '\\377\\376'"] {
        refused(&programs.server(broken, ESPEAK));
    }
    let app = programs.server(HEARS, ESPEAK);
    let talk = app.start_session();
    std::fs::remove_file(programs.path("hears")).unwrap();
    for _ in 0..5 {
        refused(&app);
    }
    let health = app.get("/api/v1/health").json();
    assert_eq!((&health["status"], &health["services"]["stt"]), (&json!("degraded"), &json!("disconnected")));
    app.say(&talk, "writing works").expect(200);
}

#[test]
fn a_program_that_hangs_is_killed_with_all_it_has_started() {
    let programs = Programs::new();
    let hangs = "sleep 1000 & echo $! > \"$HERE/child\"; echo $$ > \"$HERE/self\"; wait";
    let app = programs.server_with(hangs, ESPEAK, |config| {
        config.speech.hearing_timeout = Duration::from_secs(4);
    });
    app.speak_to(&app.start_session(), &recording("wav")).refused(504, "upstream_timeout");
    for name in ["child", "self"] {
        let id = programs.noted(name);
        assert_ne!(id, "", "{name}");
        wait_for("it is gone", || !alive(id.trim()));
    }
    assert!(app.files().iter().all(|file| !file.to_string_lossy().contains(".companion-tmp-")));
}

#[test]
fn who_leaves_takes_the_program_along() {
    let programs = Programs::new();
    let hangs = "echo $$ > \"$HERE/self\"; exec sleep 1000";
    let app = programs.server(hangs, ESPEAK);
    let talk = app.start_session();
    let body =
        form(&[("audio", Some("a"), &recording("wav")), ("session_id", None, talk.session.as_bytes())]);
    let mut wire = app.wire();
    wire.send(format!(
        "POST {PROCESS} HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=a-boundary\r\nContent-Length: {}\r\n\r\n",
        body.len()
    ));
    wire.send(&body);
    wait_for("it hears", || programs.noted("self").ends_with('\n'));
    drop(wire);
    wait_for("it is gone", || !alive(programs.noted("self").trim()));
    wait_for("the recording is gone", || {
        app.files().iter().all(|file| !file.to_string_lossy().contains(".companion-tmp-"))
    });
    assert_eq!(app.count("checkpoints"), 0);
}

/// A process that is there and no zombie.
fn alive(id: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with('Z'))
}

#[test]
fn speech_that_is_down_leaves_the_text() {
    let programs = Programs::new();
    let text = |app: &TestApp, degraded: &Value| {
        let body = app.speak_to(&app.start_session(), &recording("ogg")).expect(200).json();
        assert_eq!(body["text"], "You said: I feel calm today");
        assert_eq!((&body["degraded"], &body["audio_url"]), (degraded, &Value::Null));
        assert_eq!((app.count("checkpoints"), app.audio_files().len()), (1, 0));
    };
    let down = json!(["speech"]);
    for broken in ["exit 1", "echo 'no sound'", "exit 0", "espeak-ng --stdout; exit 1"] {
        text(&programs.server(HEARS, broken), &down);
    }
    text(&programs.server_with(HEARS, ESPEAK, |config| config.speech.speaking = None), &down);
    let slow = programs.server_with(HEARS, "exec sleep 1000", |config| {
        config.speech.speaking_timeout = Duration::from_millis(200);
    });
    text(&slow, &down);
    text(&programs.server_with(HEARS, ESPEAK, |config| config.retention.audio_max_total_bytes = 1000), &down);
}

#[test]
fn a_turn_grows_the_database_by_its_text_and_not_by_its_sound() {
    let app = Programs::new().server(HEARS, ESPEAK);
    let (talk, sound) = (app.start_session(), recording("wav"));
    let bytes = || -> u64 {
        let pages = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size";
        app.db().query_row(pages, [], |row| row.get(0)).unwrap()
    };
    app.speak_to(&talk, &sound).expect(200);
    let before = bytes();
    for _ in 0..40 {
        app.speak_to(&talk, &sound).expect(200);
    }
    let grown = bytes() - before;
    assert!(sound.len() > 50_000 && grown < 40 * 1000, "{grown} bytes for 40 turns of {}", sound.len());
}

#[test]
fn beyond_the_budget_the_oldest_sound_goes() {
    let app = Programs::new().server_with(HEARS, ESPEAK, |config| {
        config.retention.audio_max_total_bytes = 300_000;
    });
    let (talk, sound) = (app.start_session(), recording("flac"));
    let urls: Vec<_> = (0..6)
        .map(|_| app.speak_to(&talk, &sound).expect(200).json()["audio_url"].as_str().unwrap().to_owned())
        .collect();
    let bytes: u64 = app.audio_files().iter().map(|file| file.metadata().unwrap().len()).sum();
    assert!(bytes <= 300_000, "{bytes}");
    app.get(&urls[0]).refused(404, "audio_not_found");
    app.get(&urls[5]).expect(200);
    assert_eq!(app.count("audio"), app.audio_files().len() as u64, "rows go with their files");
    assert_eq!(app.count("checkpoints"), 6, "the words stay");
}

#[test]
fn what_the_persona_says_often_is_spoken_once_and_a_reply_never_kept() {
    let programs = Programs::new();
    let counts = "echo run >> \"$HERE/runs\"; exec espeak-ng --stdout";
    let app = programs.server_with("exit 0", counts, |config| config.persona.silence.truncate(1));
    let sound = recording("wav");
    let runs = || programs.noted("runs").lines().count();
    for session in 1..4 {
        let talk = app.start_session();
        let answer = app.speak_to(&talk, &sound).expect(200).json();
        assert!(seconds(&app.get(answer["audio_url"].as_str().unwrap()).expect(200).body) > 1.0);
        assert_eq!(runs(), 1, "session {session}");
    }
    let phrases = |app: &TestApp| {
        let files = app.audio_files();
        files.iter().filter(|file| file.to_string_lossy().contains("phrase-")).count()
    };
    assert_eq!(phrases(&app), 1);
    for _ in 0..2 {
        let body = json!({"session_id": app.start_session().session, "message": "hello", "speak": true});
        app.chat(&body).expect(200);
    }
    assert_eq!((runs(), phrases(&app)), (3, 1));
}

#[test]
fn real_speech_is_understood_by_a_real_recogniser() {
    let programs = Programs::new();
    std::fs::write(programs.path("words.jsgf"), GRAMMAR).unwrap();
    let app = programs.server(POCKETSPHINX, ESPEAK);
    let talk = app.start_session();
    for said in ["i had a strange dream last night", "my mother is ill", "one two three four five"] {
        let webm = coded(&spoken(said), &["-c:a", "libopus", "-f", "webm"]);
        let body = app.speak_to(&talk, &webm).expect(200).json();
        assert_eq!(
            (&body["transcription"], &body["text"]),
            (&json!(said), &json!(format!("You said: {said}")))
        );
    }
}

/// What the recogniser has to choose from.
const GRAMMAR: &str = "#JSGF V1.0;\ngrammar talk;\npublic <said> = i had a strange dream last night | my mother is ill \
    | one two three four five | good morning | i feel calm today | what should i do | my boss shouts at me;\n";
const POCKETSPHINX: &str = "set -e\nffmpeg -nostdin -loglevel error -y -i \"$1\" -ar 16000 -ac 1 \"$HERE/16k.wav\"\n\
    pocketsphinx_continuous -jsgf \"$HERE/words.jsgf\" -infile \"$HERE/16k.wav\" -logfn /dev/null";

#[test]
fn a_program_that_is_not_there_is_told_before_anybody_needs_it_and_is_used_once_it_is() {
    let programs = Programs::new();
    let missing = programs.path("speaks");
    let app = TestApp::spawn_with(|config| {
        config.speech.hearing = Some(Hearing::Command(program(Path::new("no-such-program-at-all"))));
        config.speech.speaking = Some(Speaking::Command(program(&missing)));
    });
    let service = |name: &str| app.get("/api/v1/health").expect(200).json()["services"][name].clone();
    assert_eq!((service("stt"), service("tts")), (json!("disconnected"), json!("disconnected")));
    let talk = app.start_session();
    app.speak_to(&talk, &recording("wav")).refused(503, "service_unavailable");
    let say = || {
        let body = json!({"session_id": talk.session, "message": "hello", "speak": true});
        app.chat(&body).expect(200).json()["degraded"].clone()
    };
    assert_eq!(say(), json!(["speech"]));
    programs.script("speaks", ESPEAK);
    assert_eq!((say(), service("tts")), (json!([]), json!("connected")));
    std::fs::remove_file(&missing).unwrap();
    assert_eq!((say(), service("tts")), (json!(["speech"]), json!("disconnected")));
}
