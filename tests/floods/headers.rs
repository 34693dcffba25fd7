//! Headers that come one byte a second, as a connection's first and as a later one.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::io::AsyncWriteExt;

use crate::support::{Flooded, Wire, address_of, come_in_turn};

const CONNECTIONS: usize = 2000;
/// A header's time, and what a busy machine may add to it.
const HEADER: Duration = Duration::from_secs(5);
const LATE: Duration = Duration::from_secs(3);

#[test]
fn two_thousand_dripping_first_headers_end_within_8_seconds_and_talk_goes_on() {
    dripping(false);
}

#[test]
fn two_thousand_dripping_later_headers_end_within_8_seconds_and_talk_goes_on() {
    dripping(true);
}

fn dripping(later: bool) {
    let flooded = Flooded::start(&[]);
    let chats = flooded.chats();
    let clients = (0..CONNECTIONS).map(|number| flooded.runtime.spawn(drip(flooded.address, number, later)));
    let clients: Vec<_> = clients.collect();
    for ended in flooded.runtime.block_on(join_all(clients)) {
        let (had, after, told) = ended.unwrap();
        assert!(had >= HEADER && after < HEADER + LATE, "had {had:?}, ended {after:?} after its first byte");
        // A byte that was under way when the connection was closed can cost the client the answer.
        assert!(told.is_empty() || told.starts_with("HTTP/1.1 408 "), "{told}");
    }
    chats.went_on(&flooded);
}

/// How long its header had, how long after its first byte the connection was closed, and with what answer. A first header
/// has its time from when the connection is made.
async fn drip(to: SocketAddr, number: usize, later: bool) -> (Duration, Duration, String) {
    come_in_turn(number).await;
    let connects = Instant::now();
    let mut wire = Wire::connect(&address_of(number), to).await;
    if later {
        wire.send(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").await;
        assert_eq!(wire.answer().await.0, 200);
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let began = Instant::now();
    for byte in b"GET /livez HTTP/1.1\r\nHost: x\r\nX: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy" {
        if wire.stream.write_all(&[*byte]).await.is_err() {
            break;
        }
        tokio::select! {
            read = wire.stream.readable() => { drop(read); break }
            () = tokio::time::sleep(Duration::from_secs(1)) => {}
        }
    }
    let after = began.elapsed();
    let had = if later { after } else { connects.elapsed() };
    (had, after, String::from_utf8(wire.rest().await).unwrap())
}
