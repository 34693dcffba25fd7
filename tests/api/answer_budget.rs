//! Large answers whose readers take their time: how many there may be, and what whoever asks for one more is told.

use std::net::Ipv4Addr;

use crate::support::scrape::Scrape;
use crate::support::wire::Wire;
use crate::support::{Talk, TestApp, once_answered, wait_for};

/// A person with a conversation of 10 MB, more than lies on its way to who does not read.
fn much_to_tell(app: &TestApp) -> Talk {
    let talk = app.start_session();
    for _ in 0..50 {
        app.say(&talk, "hello").expect(200);
    }
    app.db().execute("UPDATE checkpoints SET said = hex(zeroblob(100000))", []).unwrap();
    talk
}

/// Asks and reads no more than the head of the answer; its status.
fn asked(mut wire: Wire, talk: &Talk, path: &str) -> (Wire, u16) {
    wire.send(format!("GET {path} HTTP/1.1\r\nHost: x\r\nX-Companion-Person: {}\r\n\r\n", talk.token));
    let status = wire.head().status;
    (wire, status)
}

#[test]
fn pages_that_are_not_read_have_a_quarter_of_the_memory_for_each_client() {
    let app = TestApp::spawn();
    let talk = much_to_tell(&app);
    let page = format!("/api/v1/sessions/{}?limit=100", talk.session);
    let (held, status) = asked(app.wire(), &talk, &page);
    assert_eq!(status, 200);
    let refused = app.get_as(&talk.token, &page).refused(503, "server_busy");
    assert_eq!(refused.header("retry-after"), "2");
    app.sessions(&talk.token, "").expect(200);
    let in_memory = || Scrape::of(&app).value("companion_inflight_answer_bytes");
    assert!((10e6..=16.0 * 1024.0 * 1024.0).contains(&in_memory()), "{}", in_memory());
    let other = Wire::connect_from(Ipv4Addr::new(127, 0, 0, 2), &app.url);
    let (other, status) = asked(other, &talk, &page);
    assert_eq!(status, 200, "each has their own");
    drop((held, other));
    // This one's place, too, is given back a moment later than it is read.
    let whole = once_answered("its place is given back", || app.get_as(&talk.token, &page)).json();
    assert_eq!(whole["messages"].as_array().unwrap().len(), 100, "and who reads has all of it");
    wait_for("nothing is held for it", || in_memory() == 0.0);
}

#[test]
fn so_many_exports_of_one_client_are_read_ahead_and_no_more() {
    let app = TestApp::spawn();
    let talk = much_to_tell(&app);
    let export = "/api/v1/me/export";
    let mut held = Vec::new();
    for _ in 0..16 {
        let (wire, status) = asked(app.wire(), &talk, export);
        assert_eq!(status, 200);
        held.push(wire);
    }
    app.export(&talk.token).refused(503, "server_busy");
    held.pop();
    let whole = once_answered("a place is given back", || app.export(&talk.token)).json();
    assert_eq!(whole["sessions"][0]["messages"].as_array().unwrap().len(), 100);
}
