//! What a voice socket may hold, for how long it may be silent, and what it tells the metrics.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use serde_json::json;
use tungstenite::Message;

use crate::support::scrape::Scrape;
use crate::support::socket::Socket;
use crate::support::voice::{ESPEAK, Programs, coded, recording, spoken};
use crate::support::{TestApp, wait_for};

const HEARS: &str = "cat \"$1\" > /dev/null; echo heard >> \"$HERE/runs\"; echo 'I feel calm today'";
const KIB: usize = 1024;

/// Bytes set aside for recordings and bodies: from the reserve of the small ones, and from the budget of the large ones.
fn held(app: &TestApp) -> (f64, f64) {
    let told = Scrape::of(app);
    let of = |size: &str| told.value(&format!("companion_inflight_body_bytes{{size=\"{size}\"}}"));
    (of("small"), of("large"))
}

fn refused(app: &TestApp, reason: &str) -> f64 {
    Scrape::of(app).value(&format!("companion_refused_bodies_total{{reason=\"{reason}\"}}"))
}

fn send(socket: &mut Socket, bytes: usize) {
    socket.web.send(Message::binary(vec![0; bytes])).unwrap();
}

/// As a recorder does: in pieces.
fn talk(socket: &mut Socket, bytes: usize) {
    (0..bytes / (10 * KIB)).for_each(|_| send(socket, 10 * KIB));
}

#[test]
fn an_interruption_is_one_of_the_recording_that_waits_as_well() {
    let programs = Programs::new();
    let app = programs.server(HEARS, ESPEAK);
    let talk = app.start_session();
    let mut socket = app.socket(&talk);
    let _never_opened = app.model.hold_next("some", " words");
    socket.speak(&recording("wav"), None);
    socket.until("response_delta");
    assert_eq!(held(&app), (0.0, 0.0), "what was understood is let go");
    socket.speak(&recording("wav"), None);
    socket.speak(&recording("wav"), None);
    assert_eq!(socket.until("error")["code"], "turn_in_progress", "one waits");
    assert_eq!(held(&app), (64.0 * 1024.0, 256.0 * 1024.0));
    socket.interrupt(None);
    let ends = [socket.until("audio_end"), socket.until("audio_end")];
    assert!(ends.iter().all(|end| end["interrupted"] == true), "each of the two has its end: {ends:?}");
    socket.speak(&recording("wav"), None);
    assert_eq!(socket.answer().deltas, "You said: I feel calm today", "the next one is answered");
    assert_eq!(held(&app), (0.0, 0.0), "nobody holds it any more");
    assert_eq!((programs.noted("runs").lines().count(), app.model.begun()), (3, 2), "heard and not answered");
    assert_eq!(app.said(&talk), ["I feel calm today"; 3], "what was said is kept");
}

#[test]
fn so_many_recordings_that_were_interrupted_wait_to_be_heard() {
    let programs = Programs::new();
    let waits = format!("while [ ! -e \"$HERE/go\" ]; do sleep 0.01; done; {HEARS}");
    let app = programs.server(&waits, ESPEAK);
    let talk = app.start_session();
    let mut socket = app.socket(&talk);
    // Each is interrupted by the next one: the first is being heard, eight wait.
    for _ in 0..9 {
        socket.speak(&recording("ogg"), None);
        socket.interrupt(None);
    }
    socket.speak(&recording("ogg"), None);
    assert_eq!(socket.until("error")["code"], "turn_in_progress");
    std::fs::write(programs.path("go"), "").unwrap();
    (0..8).for_each(|_| assert_eq!(socket.until("audio_end")["interrupted"], true));
    socket.speak(&recording("ogg"), None);
    assert_eq!(socket.answer().deltas, "You said: I feel calm today");
    assert_eq!((app.said(&talk).len(), app.model.begun()), (10, 1), "one answer to all of it");
    assert_eq!(app.model.last_history().len(), 9);
}

#[test]
fn recordings_on_their_way_are_in_the_budget_of_bodies() {
    let programs = Programs::new();
    let waits = format!("while [ ! -e \"$HERE/go\" ]; do sleep 0.01; done; {HEARS}");
    let app = programs.server_with(&waits, ESPEAK, |config| {
        config.limits.max_request_bytes = 400 * KIB as u64;
        config.limits.max_inflight_body_bytes = 1024 * KIB as u64;
    });
    let mut socket = app.socket(&app.start_session());
    socket.say(&json!({"type": "start_listening"}));
    send(&mut socket, 60 * KIB);
    wait_for("the first piece has its place", || held(&app) == (64.0 * 1024.0, 0.0));
    send(&mut socket, 60 * KIB);
    wait_for("its place has grown", || held(&app) == (64.0 * 1024.0, 256.0 * 1024.0));
    let mut other = app.socket(&app.start_session());
    other.say(&json!({"type": "start_listening"}));
    talk(&mut other, 70 * KIB);
    assert_eq!(other.text()["code"], "server_busy", "one client has its share, over all its sockets");
    assert_eq!((refused(&app, "no_room"), refused(&app, "grew_too_large")), (1.0, 0.0));
    talk(&mut socket, 210 * KIB);
    assert_eq!(socket.text()["code"], "server_busy");
    send(&mut socket, KIB);
    assert_eq!(socket.text()["code"], "validation_error", "that recording has been given up");
    assert_eq!(held(&app), (0.0, 0.0));
    other.speak(&recording("wav"), None);
    std::fs::write(programs.path("go"), "").unwrap();
    assert_eq!(other.until("transcription")["text"], "I feel calm today");
    assert_eq!(held(&app), (0.0, 0.0), "what was understood is let go");
    other.answer();
    socket.say(&json!({"type": "start_listening"}));
    send(&mut socket, 100 * KIB);
    wait_for("there is room again", || held(&app) == (64.0 * 1024.0, 256.0 * 1024.0));
    drop(socket);
    wait_for("who leaves holds nothing", || held(&app) == (0.0, 0.0));
    assert_eq!((refused(&app, "no_room"), refused(&app, "grew_too_large")), (2.0, 0.0));
    let app =
        programs.server_with(&waits, ESPEAK, |config| config.limits.max_request_bytes = 100 * KIB as u64);
    let mut socket = app.socket(&app.start_session());
    socket.say(&json!({"type": "start_listening"}));
    talk(&mut socket, 110 * KIB);
    assert_eq!(socket.text()["code"], "request_too_large");
    assert_eq!((refused(&app, "no_room"), refused(&app, "grew_too_large")), (0.0, 1.0));
}

#[test]
fn what_goes_on_without_its_client_stays_in_the_budget_until_it_was_heard() {
    let programs = Programs::new();
    let waits = format!("touch \"$HERE/hears\"; while [ ! -e \"$HERE/go\" ]; do sleep 0.01; done; {HEARS}");
    let app = programs.server(&waits, ESPEAK);
    let talk = app.start_session();
    let mut socket = app.socket(&talk);
    socket.speak(&recording("wav"), Some("11111111-1111-4111-8111-111111111111"));
    wait_for("it is being heard", || programs.path("hears").exists());
    wait_for("the program alone has it", || held(&app) == (0.0, 0.0));
    socket.speak(&recording("wav"), Some("22222222-2222-4222-8222-222222222222"));
    let one = (64.0 * 1024.0, 256.0 * 1024.0);
    wait_for("the next one waits", || held(&app) == one);
    socket.web.close(None).unwrap();
    while socket.web.read().is_ok() {}
    assert_eq!(held(&app), one, "its client has left, and it is in memory");
    std::fs::write(programs.path("go"), "").unwrap();
    wait_for("both are kept", || app.count("checkpoints") == 2);
    assert_eq!(held(&app), (0.0, 0.0));
}

#[test]
fn a_message_that_is_announced_as_endless_is_not_kept_until_its_end() {
    let app = TestApp::spawn();
    let mut socket = app.socket(&app.start_session());
    // Its head: one frame of 1 TiB. What follows is as much as is ever read of a message, which passes that with the head.
    let head = [&[0x82, 0xff][..], &(1_u64 << 40).to_be_bytes(), &[0; 4]].concat();
    let stream = socket.web.get_mut();
    stream.write_all(&head).unwrap();
    stream.write_all(&vec![0; (1024 + 256) * KIB]).unwrap();
    assert_eq!(socket.closed(), Some(1009));
    let mut socket = app.socket(&app.start_session());
    send(&mut socket, 1024 * KIB);
    assert_eq!(socket.until("error")["message"], "audio: send start_listening first", "the largest is read");
}

/// A program that speaks for minutes, in a moment.
fn at_length(programs: &Programs, minutes: u32) -> String {
    let long = ["-af", &format!("apad=whole_dur={}", minutes * 60), "-f", "wav"];
    std::fs::write(programs.path("long.wav"), coded(&spoken("On and on."), &long)).unwrap();
    "cat > /dev/null; cat \"$HERE/long.wav\"".to_owned()
}

#[test]
fn who_does_not_read_what_is_spoken_keeps_nobody_elses_from_being_spoken() {
    let programs = Programs::new();
    let app = programs.server(HEARS, &at_length(&programs, 4));
    let unread: Vec<_> = (0..6).map(|_| app.begin_aloud(&app.start_session(), "all+of+it")).collect();
    std::thread::park_timeout(Duration::from_millis(500));
    let began = Instant::now();
    let mut wire = app.begin_aloud(&app.start_session(), "mine");
    assert_eq!(wire.head().status, 200);
    // They have thirty before they are ended.
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    drop(unread);
}

#[test]
fn what_is_spoken_and_not_read_has_an_end_and_the_next_one_is_spoken_when_it_is() {
    let programs = Programs::new();
    // Two of these are nearly all that may be unread.
    let app = programs.server(HEARS, &at_length(&programs, 12));
    let unread: Vec<_> = (0..3).map(|_| app.begin_aloud(&app.start_session(), "all+of+it")).collect();
    wait_for("there is no room for one more", || {
        app.begin_aloud(&app.start_session(), "mine").is_silent_for(Duration::from_secs(1))
    });
    let mut mine = app.begin_aloud(&app.start_session(), "mine");
    drop(unread);
    assert_eq!(mine.head().status, 200);
    assert!(mine.chunk().is_some());
}

#[test]
fn of_a_text_that_is_spoken_without_end_so_much_is_heard() {
    let programs = Programs::new();
    let without_end = format!("{}; exec cat /dev/zero", at_length(&programs, 1));
    let app = programs.server(HEARS, &without_end);
    let mut wire = app.begin_aloud(&app.start_session(), "all+of+it");
    assert_eq!(wire.head().status, 200);
    // The pieces are chunks with their lengths.
    let heard = wire.rest();
    assert!((31 * KIB * KIB..33 * KIB * KIB).contains(&heard.len()), "{} bytes", heard.len());
    assert!(!heard.ends_with(b"0\r\n\r\n"), "it was broken off");
    app.say(&app.start_session(), "hello").expect(200);
}

#[test]
fn of_many_recordings_four_are_heard_at_once_and_the_next_ones_after_them() {
    let programs = Programs::new();
    let waits = "echo begun >> \"$HERE/begun\"; while [ ! -e \"$HERE/go\" ]; do sleep 0.01; done; echo hello";
    let app = programs.server_with(waits, "exit 1", |config| {
        config.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    });
    let begun = || programs.noted("begun").lines().count();
    std::thread::scope(|scope| {
        let app = &app;
        let asked: Vec<_> = (0..7)
            .map(|number| {
                // One client has two places.
                let client = format!("192.0.2.{number}");
                scope.spawn(move || app.speak_from(&client, &app.start_session(), &recording("ogg")).status)
            })
            .collect();
        wait_for("all have come", || Scrape::of(app).value("companion_inflight_turns") == 7.0);
        wait_for("some are heard", || begun() >= 4);
        std::thread::park_timeout(Duration::from_millis(300));
        assert_eq!(begun(), 4);
        std::fs::write(programs.path("go"), "").unwrap();
        assert!(asked.into_iter().all(|asked| asked.join().unwrap() == 200));
    });
    assert_eq!(begun(), 7);
}

#[test]
fn who_listens_for_longer_hears_all_of_what_is_spoken_within_its_time() {
    let programs = Programs::new();
    let speaks = at_length(&programs, 4);
    let app = programs
        .server_with(HEARS, &speaks, |config| config.speech.speaking_timeout = Duration::from_secs(5));
    let mut wire = app.begin_aloud(&app.start_session(), "all+of+it");
    assert_eq!(wire.head().status, 200);
    std::thread::park_timeout(Duration::from_secs(6));
    let mut bytes = 0;
    while let Some(chunk) = wire.chunk() {
        bytes += chunk.len();
    }
    assert_eq!(bytes as u64, std::fs::metadata(programs.path("long.wav")).unwrap().len());
}

/// A frame as a client sends it, masked with nothing.
fn frame(head: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    [&[head, 0xfe][..], &length, &[0; 4], content].concat()
}

const TEXT: u8 = 0x01;
const BINARY: u8 = 0x02;
const MORE: u8 = 0x00;
const LAST: u8 = 0x80;
const PING: u8 = 0x89;

fn raw(socket: &mut Socket, frames: &[Vec<u8>]) {
    try_raw(socket, frames).unwrap();
}

/// The same, when the server may have closed the socket.
fn try_raw(socket: &mut Socket, frames: &[Vec<u8>]) -> std::io::Result<()> {
    socket.web.get_mut().write_all(&frames.concat())
}

#[test]
fn a_message_in_fragments_is_one_message() {
    let app = TestApp::spawn();
    let mut socket = app.socket(&app.start_session());
    let ping = [&[PING, 0x80][..], &[0; 4]].concat();
    raw(&mut socket, &[frame(TEXT, b"{\"type\": \"start_"), ping.clone(), frame(LAST, b"listening\"}")]);
    let first = frame(BINARY, &[1; 100]);
    raw(&mut socket, &[first, frame(MORE, b""), ping, frame(MORE, &[2; 100]), frame(LAST, &[3; 100])]);
    wait_for("it is collected", || held(&app) == (64.0 * 1024.0, 0.0));
    raw(&mut socket, &[frame(TEXT, b"{\"type\": \"non"), frame(LAST, b"sense\"}")]);
    assert_eq!(socket.text()["code"], "validation_error");
    let mut other = app.socket(&app.start_session());
    raw(&mut other, &[frame(TEXT, b"{"), frame(0x82, b"a message within another")]);
    assert_eq!(other.closed(), Some(1002));
    let mut other = app.socket(&app.start_session());
    raw(&mut other, &[frame(TEXT, &[0xff]), frame(LAST, b"")]);
    assert_eq!(other.closed(), Some(1007), "no UTF-8");
}

#[test]
fn what_has_come_of_a_message_is_in_the_budget_of_bodies() {
    let app = TestApp::spawn_with(|config| {
        config.limits.max_request_bytes = 512 * KIB as u64;
        config.limits.max_inflight_body_bytes = 1024 * KIB as u64;
    });
    let mut socket = app.socket(&app.start_session());
    let fragments =
        |first: u8| [vec![frame(first, &[0; 60_000])], vec![frame(MORE, &[0; 60_000]); 4]].concat();
    raw(&mut socket, &fragments(BINARY));
    wait_for("they have their place", || held(&app) == (16.0 * 1024.0, 512.0 * 1024.0));
    let mut other = app.socket(&app.start_session());
    drop(try_raw(&mut other, &fragments(BINARY)));
    assert_eq!(other.closed(), Some(1013), "one client has its share, over all its sockets");
    assert_eq!((refused(&app, "no_room"), refused(&app, "grew_too_large")), (1.0, 0.0));
    raw(&mut socket, &[frame(LAST, b"")]);
    assert_eq!(socket.text()["message"], "audio: send start_listening first");
    assert_eq!(held(&app), (0.0, 0.0), "it is whole");
    // Pings between them are no new beginning.
    let ping = [&[PING, 0x80][..], &[0; 4]].concat();
    raw(&mut socket, &[frame(BINARY, b"x")]);
    for _ in 0..18 {
        drop(try_raw(&mut socket, &[ping.clone(), frame(MORE, &[0; 30_000])]));
    }
    assert_eq!(socket.closed(), Some(1009));
    wait_for("it holds nothing", || held(&app) == (0.0, 0.0));
    assert_eq!((refused(&app, "no_room"), refused(&app, "grew_too_large")), (1.0, 1.0));
}

#[test]
fn who_does_not_answer_for_a_minute_is_let_go_and_who_answers_stays() {
    let app = TestApp::spawn();
    let talk = app.start_session();
    let began = Instant::now();
    let (mut there, mut gone) = (app.socket(&talk), app.socket(&talk));
    let patience = Some(Duration::from_secs(90));
    there.web.get_ref().set_read_timeout(patience).unwrap();
    let answering = std::thread::spawn(move || {
        let mut pings = 0;
        while pings < 3 {
            // Reading a ping answers it.
            pings += u32::from(matches!(there.web.read().unwrap(), Message::Ping(_)));
            there.web.flush().unwrap();
        }
        there
    });
    // Its machine takes what comes, but nobody is there to read it as messages, and answer.
    let mut came = Vec::new();
    gone.web.get_mut().set_read_timeout(patience).unwrap();
    let mut piece = [0; 64];
    loop {
        let length = gone.web.get_mut().read(&mut piece).unwrap();
        came.extend_from_slice(&piece[..length]);
        if length == 0 {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(80), "asked again and again: {came:?}");
    }
    let after = began.elapsed().as_secs_f64();
    assert!((59.0..70.0).contains(&after), "let go after {after} s");
    let (ping, close) = ([0x89, 0], [0x88, 2, 0x03, 0xE9]);
    assert_eq!(came, [&ping[..], &ping, &close].concat(), "two pings, then 1001");
    let mut there = answering.join().unwrap();
    there.say(&json!({"type": "nonsense"}));
    assert_eq!(there.text()["code"], "validation_error", "who has answered is still there");
    wait_for("only they are", || Scrape::of(&app).value("companion_voice_sockets") == 1.0);
}

#[test]
fn when_an_answer_is_heard_is_counted_once_as_the_client_tells_it() {
    let app = Programs::new().server(HEARS, ESPEAK);
    let mut socket = app.socket(&app.start_session());
    let first_sound = |ms: f64| json!({"type": "first_sound", "after_ms": ms});
    let told = |app: &TestApp, series: &str| {
        Scrape::of(app).value(&format!("companion_first_sound_seconds{series}"))
    };
    assert_eq!(told(&app, "_count"), 0.0, "it is there from the beginning");
    socket.say(&first_sound(100.0));
    socket.speak(&recording("wav"), None);
    socket.answer();
    assert_eq!(told(&app, "_count"), 0.0, "nothing had been answered that could be heard");
    socket.say(&first_sound(412.5));
    socket.say(&first_sound(1.0));
    socket.say(&json!({"type": "first_sound", "after_ms": "soon"}));
    assert_eq!(socket.text()["code"], "validation_error");
    let counted = ["_count", "_bucket{le=\"0.3\"}", "_bucket{le=\"0.5\"}"].map(|series| told(&app, series));
    assert_eq!((counted, told(&app, "_sum")), ([1.0, 0.0, 1.0], 0.4125));
    socket.speak(&recording("wav"), None);
    socket.answer();
    socket.say(&first_sound(90.0));
    wait_for("the next answer counts, too", || told(&app, "_count") == 2.0);
}
