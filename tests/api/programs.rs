//! Programs that hear and speak, and do it ill: what is told to whom, and how little others notice.

use std::time::{Duration, Instant};

use companion::config::ServerConfig;
use serde_json::{Value, json};

use crate::support::scrape::Scrape;
use crate::support::voice::{ESPEAK, FORM, PROCESS, Programs, coded, form, recording, spoken};
use crate::support::wire::Wire;
use crate::support::{Talk, TestApp, wait_for};

const HEARS: &str = "cat \"$1\" > /dev/null; echo 'I feel calm today'";
/// As real ones do, it decodes the recording first.
const DECODES: &str = "ffmpeg -nostdin -loglevel error -i \"$1\" -f null - && echo 'I feel calm today'";
/// Until the test says that it works.
const HANGS: &str = "[ -e \"$HERE/works\" ] || exec sleep 1000";
const PATIENCE: Duration = Duration::from_secs(1);
const RUNNING_VOICES: &str = "companion_upstream_connections{upstream=\"tts\"}";
const ONE: &str = "192.0.2.1";
const OTHER: &str = "192.0.2.2";

fn service(app: &TestApp, name: &str) -> Value {
    app.get("/api/v1/health").expect(200).json()["services"][name].clone()
}

fn calls(app: &TestApp, name: &str, end: &str) -> f64 {
    Scrape::of(app).value(&format!("companion_upstream_calls_total{{upstream=\"{name}\",end=\"{end}\"}}"))
}

fn is_open(app: &TestApp, name: &str) -> bool {
    let circuit = format!("companion_upstream_circuit{{upstream=\"{name}\",state=\"open\"}}");
    Scrape::of(app).value(&circuit) > 0.0
}

fn behind_a_proxy(config: &mut ServerConfig) {
    config.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
}

fn impatient(config: &mut ServerConfig) {
    behind_a_proxy(config);
    (config.speech.hearing_timeout, config.speech.speaking_timeout) = (PATIENCE, PATIENCE);
    config.outside.breaker.threshold = 2;
    config.outside.breaker.recovery = 3 * PATIENCE;
}

#[test]
fn a_damaged_recording_is_its_senders_affair_and_hearing_is_not_down() {
    let app = Programs::new().server_with(DECODES, ESPEAK, |config| config.outside.breaker.threshold = 3);
    let (whole, talk) = (recording("ogg"), app.start_session());
    for _ in 0..6 {
        app.speak_to(&talk, &whole[..4000]).refused(400, "validation_error");
    }
    assert_eq!(service(&app, "stt"), "connected");
    app.speak_to(&app.start_session(), &whole).expect(200);
    assert_eq!((calls(&app, "stt", "refused"), calls(&app, "stt", "answered")), (6.0, 1.0));
}

#[test]
fn hearing_that_makes_nothing_of_anybodys_recordings_shows_in_health() {
    let programs = Programs::new();
    let hears = format!("[ -e \"$HERE/works\" ] || exit 1; {HEARS}");
    let app = programs.server_with(&hears, ESPEAK, behind_a_proxy);
    for _ in 0..5 {
        // As one who has made somebody of themselves each time.
        app.speak_from(ONE, &app.start_session(), &recording("wav")).refused(400, "validation_error");
    }
    assert_eq!(service(&app, "stt"), "connected", "they may all be broken");
    let talk = app.start_session();
    app.speak_from(OTHER, &talk, &recording("wav")).refused(400, "validation_error");
    assert_eq!(service(&app, "stt"), "disconnected");
    std::fs::write(programs.path("works"), "").unwrap();
    app.speak_from(ONE, &talk, &recording("wav")).expect(200);
    assert_eq!(service(&app, "stt"), "connected");
}

#[test]
fn hearing_that_hangs_is_not_waited_for_again_and_again_but_refused_within_a_second() {
    let programs = Programs::new();
    let app = programs.server_with(&format!("{HANGS}; {HEARS}"), ESPEAK, impatient);
    let talk = app.start_session();
    for client in [ONE, OTHER] {
        app.speak_from(client, &talk, &recording("wav")).refused(504, "upstream_timeout");
    }
    let began = Instant::now();
    let refused = app.speak_to(&talk, &recording("wav")).refused(503, "service_unavailable");
    assert!(began.elapsed() < PATIENCE, "at once: {:?}", began.elapsed());
    assert!((1..=3).contains(&refused.header("retry-after").parse::<u64>().unwrap()));
    assert!(is_open(&app, "stt") && service(&app, "stt") == "disconnected");
    assert_eq!((calls(&app, "stt", "timed_out"), calls(&app, "stt", "circuit_open")), (2.0, 1.0));
    std::fs::write(programs.path("works"), "").unwrap();
    wait_for("it is tried again", || app.speak_to(&talk, &recording("wav")).status == 200);
    assert!(!is_open(&app, "stt") && service(&app, "stt") == "connected");
}

#[test]
fn whose_recordings_kill_what_hears_turns_hearing_off_for_nobody() {
    let kills = "case \"$1\" in *.ogg) kill -9 $$;; esac";
    let app = Programs::new().server_with(&format!("{kills}; {HEARS}"), ESPEAK, |config| {
        impatient(config);
        config.speech.hearing_timeout = 60 * PATIENCE;
        config.outside.breaker.recovery = 60 * PATIENCE;
    });
    let talk = app.start_session();
    for _ in 0..6 {
        app.speak_from(ONE, &app.start_session(), &recording("ogg")).refused(503, "service_unavailable");
    }
    assert!(!is_open(&app, "stt") && service(&app, "stt") == "connected");
    app.speak_from(OTHER, &talk, &recording("wav")).expect(200);
    app.speak_from(ONE, &talk, &recording("ogg")).refused(503, "service_unavailable");
    app.speak_from(OTHER, &talk, &recording("ogg")).refused(503, "service_unavailable");
    assert!(
        is_open(&app, "stt") && service(&app, "stt") == "disconnected",
        "it dies of what others send, too"
    );
}

#[test]
fn a_voice_that_hangs_is_not_waited_for_again_and_again_the_text_is_there_within_a_second() {
    let programs = Programs::new();
    let app = programs.server_with(HEARS, &format!("{HANGS}; {ESPEAK}"), impatient);
    let talk = app.start_session();
    let body = json!({"session_id": talk.session, "message": "hello", "speak": true});
    let say = |client| {
        app.post("/api/v1/chat", &[("x-forwarded-for", client)], &body).expect(200).json()["degraded"].clone()
    };
    assert_eq!((say(ONE), say(OTHER)), (json!(["speech"]), json!(["speech"])));
    let began = Instant::now();
    assert_eq!(say(ONE), json!(["speech"]));
    assert!(began.elapsed() < PATIENCE, "at once: {:?}", began.elapsed());
    assert!(is_open(&app, "tts") && service(&app, "tts") == "disconnected");
    assert_eq!((calls(&app, "tts", "timed_out"), calls(&app, "tts", "circuit_open")), (2.0, 1.0));
    std::fs::write(programs.path("works"), "").unwrap();
    wait_for("it is tried again", || say(ONE) == json!([]));
    assert!(!is_open(&app, "tts") && service(&app, "tts") == "connected");
}

/// Fails until the test says that it works; then it gives sound until nobody listens any more.
const GOES_ON: &str =
    "[ -e \"$HERE/works\" ] || exit 1; while :; do cat \"$HERE/hello.mp3\"; sleep 0.05; done";

#[test]
fn a_voice_that_was_interrupted_while_it_gave_sound_had_not_failed() {
    let programs = Programs::new();
    let hello = coded(&spoken("On and on."), &["-b:a", "64k", "-f", "mp3"]);
    std::fs::write(programs.path("hello.mp3"), hello).unwrap();
    let app = programs.server_with(HEARS, GOES_ON, |config| {
        behind_a_proxy(config);
        config.outside.breaker.threshold = 5;
    });
    let talk = app.start_session();
    let body = json!({"session_id": talk.session, "message": "hello", "speak": true});
    let fails = |clients: &[&str]| {
        for client in clients {
            let told = app.post("/api/v1/chat", &[("x-forwarded-for", client)], &body).expect(200).json();
            assert_eq!(told["degraded"], json!(["speech"]));
        }
    };
    fails(&[ONE, OTHER, ONE, OTHER]);
    std::fs::write(programs.path("works"), "").unwrap();
    let mut socket = app.socket(&talk);
    // Twice: one that has to wait for the machine may look silent.
    for _ in 0..2 {
        socket.speak(&recording("wav"), None);
        socket.until("audio_start");
        socket.interrupt(None);
        assert_eq!(socket.until("audio_end")["interrupted"], true);
    }
    wait_for("it has ended", || Scrape::of(&app).value(RUNNING_VOICES) == 0.0);
    std::fs::remove_file(programs.path("works")).unwrap();
    fails(&[ONE, OTHER, ONE, OTHER]);
    assert!(!is_open(&app, "tts") && service(&app, "tts") == "connected", "four in a row are not five");
    fails(&[ONE]);
    assert!(is_open(&app, "tts") && service(&app, "tts") == "disconnected");
}

/// Sends a recording and does not wait for what becomes of it.
fn begin_speaking(app: &TestApp, address: &str, talk: &Talk, sound: &[u8]) -> Wire {
    let body = form(&[("audio", Some("a"), sound), ("session_id", None, talk.session.as_bytes())]);
    let head = format!("Host: x\r\nX-Forwarded-For: {address}\r\nContent-Type: {FORM}");
    let head = format!("{head}\r\nContent-Length: {}", body.len());
    let mut wire = app.wire();
    wire.send(format!("POST {PROCESS} HTTP/1.1\r\n{head}\r\n\r\n"));
    wire.send(&body);
    wire
}

#[test]
fn whose_recordings_hang_leaves_others_a_place() {
    let programs = Programs::new();
    let hangs = "case \"$1\" in *.ogg) echo x >> \"$HERE/hangs\"; exec sleep 1000;; esac";
    let app = programs.server_with(&format!("{hangs}; {HEARS}"), ESPEAK, behind_a_proxy);
    // As many people as they like.
    let hanging = [(); 6].map(|()| begin_speaking(&app, ONE, &app.start_session(), &recording("ogg")));
    let hang = || programs.noted("hangs").lines().count();
    wait_for("they hang", || hang() >= 2);
    std::thread::park_timeout(Duration::from_millis(500));
    let began = Instant::now();
    app.speak_from(OTHER, &app.start_session(), &recording("wav")).expect(200);
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    assert_eq!(hang(), 2);
    drop(hanging);
    let talk = app.start_session();
    wait_for("there is a place again", || app.speak_from(ONE, &talk, &recording("wav")).status == 200);
}
