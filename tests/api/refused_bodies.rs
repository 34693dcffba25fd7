//! What becomes of a body that was refused and is sent all the same: some of it is thrown away, so that its sender comes to reading
//! why, and no more than that.

use std::time::Duration;

use crate::support::wire::Wire;
use crate::support::{TestApp, wait_for};

const MIB: usize = 1 << 20;
const LONG: Duration = Duration::from_secs(60);

fn app() -> TestApp {
    TestApp::spawn_with(|config| {
        config.limits.max_request_bytes = 64 * 1024;
        // Whatever ends a connection here, it is not this.
        (config.limits.header, config.limits.idle) = (LONG, LONG);
    })
}

/// A client that has read why its body is refused.
fn refused(app: &TestApp, length: usize) -> Wire {
    let mut wire = app.wire();
    wire.send(format!(
        "POST /api/v1/chat HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    ));
    assert_eq!(wire.answer().refused(413, "request_too_large").header("connection"), "close");
    wire
}

#[test]
fn of_one_body_there_is_an_end() {
    let app = app();
    let mut wire = refused(&app, 256 * MIB);
    let taken = wire.send_while_taken(&vec![0; 256 * MIB], LONG);
    // 16 MiB, and what the kernel holds on both sides.
    assert!(taken < 64 * MIB, "{taken} bytes were taken");
    wait_for("another one's is thrown away", || refused(&app, 8 * MIB).try_send(&vec![0; 8 * MIB]));
}

#[test]
fn who_drips_it_is_not_waited_for() {
    let app = app();
    let mut wire = refused(&app, MIB);
    wait_for("the server listens no more", || !wire.try_send(b" "));
    refused(&app, MIB);
}

#[test]
fn it_is_thrown_away_of_sixteen_at_once_and_of_the_next_ones_when_those_have_gone() {
    let app = app();
    let is_taken = || refused(&app, 8 * MIB).try_send(&vec![0; 8 * MIB]);
    wait_for("that of one more is not read", || {
        let _sixteen: Vec<_> = (0..16).map(|_| refused(&app, 8 * MIB)).collect();
        !is_taken()
    });
    wait_for("it is again", is_taken);
}
