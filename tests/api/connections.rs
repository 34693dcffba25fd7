//! How many may be connected, how long a header and an answer may take, and when an idle connection ends.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::model::{Gate, Step, pieces};
use crate::support::scrape::Scrape;
use crate::support::wire::Wire;
use crate::support::{TestApp, wait_for};

const SHORT: Duration = Duration::from_millis(400);
/// Who asks for something meanwhile, on a machine that does much else, has its own header out by then.
const WHILE_ASKED: Duration = Duration::from_secs(3);
const LONG: Duration = Duration::from_secs(60);
const LIVEZ: &str = "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n";
/// The most bytes of a header.
const HEADER: usize = 32 * 1024;

/// A connection that was used and is kept open.
fn kept(app: &TestApp) -> Wire {
    let mut wire = app.wire();
    wire.send(LIVEZ);
    wire.answer().expect(200);
    wire
}

fn is_served(wire: &mut Wire) -> bool {
    wire.try_send(LIVEZ.as_bytes()) && wire.broken_or_status() == Some(200)
}

#[test]
fn a_header_that_is_not_whole_in_time_ends_the_connection_be_it_the_first_or_a_later_one() {
    let app = TestApp::spawn_with(|config| config.limits.header = WHILE_ASKED);
    let ends = |make: fn(&TestApp) -> Wire| {
        let began = Instant::now();
        let mut wire = make(&app);
        wire.send("GET /livez HTTP/1.1\r\nHost: x\r\nX: y");
        let answer = wire.answer().expect(408);
        assert_eq!((answer.header("connection"), answer.header("content-length")), ("close", "0"));
        assert_eq!(wire.rest(), b"");
        assert!(began.elapsed() >= WHILE_ASKED, "{:?}", began.elapsed());
    };
    std::thread::scope(|scope| {
        scope.spawn(|| ends(TestApp::wire));
        ends(kept);
    });
    app.get("/livez").expect(200);
}

#[test]
fn a_header_that_comes_in_pieces_is_one() {
    let app = TestApp::spawn();
    let mut wire = app.wire();
    for _ in 0..2 {
        for piece in LIVEZ.as_bytes().chunks(3) {
            wire.send(piece);
        }
        wire.answer().expect(200);
    }
}

#[test]
fn a_header_of_32_kib_is_read_and_a_larger_one_refused() {
    let app = TestApp::spawn();
    let sized = |bytes: usize| {
        let (begin, end) = ("GET /livez HTTP/1.1\r\nHost: x\r\nX-Long: ", "\r\n\r\n");
        format!("{begin}{}{end}", "y".repeat(bytes - begin.len() - end.len()))
    };
    let line = |bytes: usize| format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "y".repeat(bytes));
    let mut wire = app.wire();
    for _ in 0..2 {
        wire.send(sized(HEADER));
        wire.answer().expect(200);
    }
    for mut wire in [app.wire(), wire] {
        wire.try_send(sized(HEADER + 1).as_bytes());
        assert_eq!(wire.answer().expect(431).header("connection"), "close");
    }
    for endless in
        [line(HEADER), "X: y\r\n".repeat(HEADER), format!("GET / HTTP/1.1\r\n{}", "a: b\r\n".repeat(97))]
    {
        let mut wire = app.wire();
        wire.try_send(endless.as_bytes());
        let status = wire.broken_or_status();
        assert!(matches!(status, Some(400 | 431)), "{status:?}");
    }
    app.get("/livez").expect(200);
}

#[test]
fn a_request_has_96_header_fields_and_no_more() {
    let app = TestApp::spawn();
    for (fields, status) in [(96, 200), (97, 431)] {
        let rest = "a: b\r\n".repeat(fields - 1);
        let answer = app.raw(format!("GET /livez HTTP/1.1\r\nHost: x\r\n{rest}\r\n"));
        assert_eq!(answer.status, status, "{fields}");
    }
}

#[test]
fn a_body_that_comes_with_its_header_is_none_of_it() {
    let app = TestApp::spawn();
    let talk = app.start_session();
    let mut body = json!({"session_id": talk.session, "message": "hello"}).to_string().into_bytes();
    body.resize(4 * HEADER, b' ');
    let mut wire = app.wire();
    for _ in 0..2 {
        let head = format!(
            "POST /api/v1/chat HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        wire.send([head.as_bytes(), &body].concat());
        wire.answer().expect(200);
    }
}

#[test]
fn what_follows_a_request_is_read_after_its_answer_and_timed() {
    let app = TestApp::spawn_with(|config| config.limits.header = WHILE_ASKED);
    let mut wire = app.wire();
    wire.send(format!("{LIVEZ}{LIVEZ}{}", &LIVEZ[..20]));
    wire.answer().expect(200);
    wire.answer().expect(200);
    wire.send(&LIVEZ[20..21]);
    wire.answer().expect(408);
    assert_eq!(wire.rest(), b"");
}

#[test]
fn requests_that_are_sent_without_waiting_are_answered_in_their_order() {
    let app = TestApp::spawn();
    let mut wire = app.wire();
    let many = |range: std::ops::Range<usize>| -> String {
        range
            .map(|number| format!("GET /livez HTTP/1.1\r\nHost: x\r\nX-Request-ID: r-{number}\r\n\r\n"))
            .collect()
    };
    wire.send(many(0..100));
    wire.send(many(100..200));
    for number in 0..200 {
        assert_eq!(wire.answer().expect(200).header("x-request-id"), format!("r-{number}"));
    }
}

#[test]
fn what_is_sent_during_an_answer_is_read_as_far_as_there_is_room_and_the_rest_after_it() {
    let app = TestApp::spawn();
    let talk = app.start_session();
    let gate = app.model.hold_next("well", "!");
    let body = json!({"session_id": talk.session, "message": "hello"}).to_string();
    let mut wire = app.wire();
    wire.send(format!(
        "POST /api/v1/chat HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    ));
    wait_for("it is being answered", || app.model.begun() == 1);
    let next = format!("GET /livez HTTP/1.1\r\nHost: x\r\nX-Long: {}\r\n\r\n", "y".repeat(HEADER / 2));
    let many = next.repeat((64 << 20) / next.len());
    let taken = wire.send_while_taken(many.as_bytes(), SHORT);
    // 128 KiB, and what the kernel holds on both sides.
    assert!(taken < 32 << 20, "{taken} bytes were taken");
    gate.open();
    wire.answer().expect(200);
    for _ in 0..taken / next.len() {
        wire.answer().expect(200);
    }
}

#[test]
fn a_connection_on_which_nothing_is_under_way_ends() {
    let app = TestApp::spawn_with(|config| config.limits.idle = 2 * SHORT);
    let mut wire = kept(&app);
    assert_eq!(wire.rest(), b"");
    assert!(is_served(&mut app.wire()));
}

#[test]
fn a_connection_whose_answer_takes_its_time_is_not_idle() {
    let app = TestApp::spawn_with(|config| {
        (config.limits.idle, config.limits.header) = (WHILE_ASKED + SHORT, WHILE_ASKED);
    });
    let talk = app.start_session();
    let gate = app.model.hold_next("well", "!");
    let mut streamed = app.stream(&json!({"session_id": talk.session, "message": "hello"}));
    assert_eq!(streamed.event().unwrap().name, "token");
    let mut beside = kept(&app);
    assert_eq!(beside.rest(), b"", "that one was idle");
    gate.open();
    assert_eq!(streamed.events().last().unwrap().name, "done");
}

#[test]
fn who_does_not_read_an_answer_is_given_up_and_who_reads_gets_all_of_it() {
    let app = TestApp::spawn_with(|config| config.limits.unread_answer = 5 * SHORT);
    let talk = app.start_session();
    let piece = "word ".repeat(200);
    let body = json!({"session_id": talk.session, "message": "hello"});
    let mut steps = pieces(&vec![piece.as_str(); 40_000]);
    steps.push(Step::Wait(Gate::new()));
    app.model.next(steps);
    let unread = app.stream(&body);
    wait_for("the model's work was dropped", || app.model.dropped() == 1);
    assert!(!unread.broken().contains("event: done"));
    app.model.next(pieces(&vec![piece.as_str(); 4000]));
    let events = app.stream(&body).events();
    assert_eq!(events.last().unwrap().name, "done");
    assert_eq!(events.last().unwrap().data["text"].as_str().unwrap().len(), piece.len() * 4000);
}

#[test]
fn beyond_the_most_connections_one_waits_until_another_ends() {
    let app = TestApp::spawn_with(|config| {
        config.limits.max_connections = 4;
        config.limits.header = LONG;
    });
    wait_for("the first ones have ended", || {
        let mut held: Vec<_> = (0..4).map(|_| app.wire()).collect();
        held.iter_mut().all(|wire| {
            wire.send(LIVEZ);
            !wire.is_silent_for(Duration::from_secs(2))
        })
    });
    let workers = std::thread::available_parallelism().unwrap().get();
    let mut held: Vec<_> = (0..4_usize.next_multiple_of(workers)).map(|_| kept(&app)).collect();
    let mut waiting = app.wire();
    waiting.send(LIVEZ);
    assert!(waiting.is_silent_for(SHORT), "there is no place");
    held.pop();
    waiting.answer().expect(200);
}

#[test]
fn one_client_has_a_quarter_of_the_connections_and_others_theirs() {
    let app = TestApp::spawn_with(|config| config.limits.max_connections = 400);
    let mut held = Vec::new();
    wait_for("all of the client's are in use", || {
        let mut one_more = app.wire();
        let served = is_served(&mut one_more);
        if served {
            held.push(one_more);
        }
        !served
    });
    assert_eq!(held.len(), 100);
    let mut other = Wire::connect_from(Ipv4Addr::new(127, 0, 0, 2), &app.url);
    assert!(is_served(&mut other));
    held.pop();
    let refused = "companion_ended_connections_total{reason=\"too_many\"}";
    wait_for("there is one for it again", || is_served(&mut app.wire()));
    assert!(held.iter_mut().all(is_served), "nobody else noticed");
    assert!(Scrape::of(&app).value(refused) >= 1.0);
}

#[test]
fn a_trusted_proxy_comes_for_everybody() {
    let app = TestApp::spawn_with(|config| {
        config.limits.max_connections = 400;
        config.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    });
    let held: Vec<_> = (0..200).map(|_| kept(&app)).collect();
    assert_eq!(held.len(), 200);
}

#[test]
fn while_most_places_are_taken_idle_connections_end_sooner() {
    let of_eight = || {
        TestApp::spawn_with(|config| {
            config.limits.max_connections = 8;
            config.limits.header = WHILE_ASKED;
        })
    };
    // Both at a time, as each takes that long.
    let (crowded, roomy) = (of_eight(), of_eight());
    let mut most: Vec<_> = (0..7).map(|_| kept(&crowded)).collect();
    let mut few: Vec<_> = (0..4).map(|_| kept(&roomy)).collect();
    assert!(few[3].is_silent_for(WHILE_ASKED + SHORT), "none of them ends: there is room");
    assert!(few.iter_mut().all(is_served));
    wait_for("one of them has ended", || {
        most.iter_mut().any(|wire| !wire.is_silent_for(Duration::from_millis(1)))
    });
    assert!(is_served(&mut crowded.wire()));
}

#[test]
fn connections_and_why_they_were_ended_are_counted() {
    let app = TestApp::spawn_with(|config| {
        config.limits.max_connections = 64;
        (config.limits.header, config.limits.idle) = (WHILE_ASKED, WHILE_ASKED);
        config.limits.unread_answer = 5 * SHORT;
    });
    let ended =
        |why: &str| Scrape::of(&app).value(&format!("companion_ended_connections_total{{reason=\"{why}\"}}"));
    let open = || Scrape::of(&app).value("companion_open_connections");
    wait_for("the asking one is alone", || open() == 1.0);
    let mut wire = kept(&app);
    // The place of whoever asked before is given back by another thread.
    wait_for("the kept one is counted", || open() == 2.0);
    let talk = app.start_session();
    app.model.next(pieces(&vec!["word ".repeat(200).as_str(); 40_000]));
    let _unread = app.stream(&json!({"session_id": talk.session, "message": "hello"}));
    assert_eq!(wire.rest(), b"");
    assert_eq!((ended("idle"), ended("slow_header")), (1.0, 0.0));
    app.wire().answer().expect(408);
    let mut wire = app.wire();
    wire.try_send(&[b'x'; HEADER + 1]);
    assert_eq!(wire.broken_or_status(), Some(431));
    assert_eq!((ended("slow_header"), ended("large_header")), (1.0, 1.0));
    wait_for("the unread answer was ended", || ended("unread_answer") == 1.0);
    assert_eq!(ended("too_many"), 0.0);
}
