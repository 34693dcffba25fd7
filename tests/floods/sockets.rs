//! Voice sockets over which messages come in as many pieces as there can be, or are never whole.

use std::time::Duration;

use futures_util::future::join_all;

use crate::support::{Flooded, MIB, Wire};

/// Eight for each client address.
const EACH: usize = 8;
/// `MAX_INFLIGHT_BODY_BYTES`.
const BUDGET: u64 = 64 * MIB;

async fn open(from: &str, flooded: &Flooded, session: &str) -> Wire {
    let mut wire = Wire::connect(from, flooded.address).await;
    let key = "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket";
    let head = format!(
        "GET /api/v1/voice/ws?session_id={session} HTTP/1.1\r\nHost: x\r\n{upgrade}\r\n{key}\r\n\r\n"
    );
    wire.send(head.as_bytes()).await;
    wire
}

/// What every socket of 32 addresses sends, until it is closed.
fn flood(flooded: &Flooded, first: &[u8], then: &[u8], times: usize) -> u64 {
    flooded.warm_up();
    let before = flooded.resident();
    let chats = flooded.chats();
    let held = flooded.runtime.block_on(async {
        let mut wire = Wire::connect("127.0.9.200", flooded.address).await;
        let session = wire.start_session().await;
        let mut held = Vec::new();
        for number in 0..32 * EACH {
            held.push(open(&format!("127.0.9.{}", number / EACH + 1), flooded, &session).await);
        }
        let flooding = held.iter_mut().map(async |wire| {
            wire.send(first).await;
            for _ in 0..times {
                if wire.try_send(then).await.is_err() {
                    break;
                }
            }
        });
        join_all(flooding).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        held
    });
    chats.go_on();
    drop(held);
    chats.went_on(flooded);
    flooded.peak().saturating_sub(before)
}

#[test]
fn the_smallest_fragments_with_pings_between_them_take_no_more_than_the_budget() {
    let flooded = Flooded::start(&[]);
    let fragment = b"\x00\x81\0\0\0\0x";
    let ping = b"\x89\x80\0\0\0\0";
    let block = [&fragment.repeat(20_000)[..], ping].concat();
    let grown = flood(&flooded, b"\x02\x81\0\0\0\0x", &block, 3);
    println!("memory grew by {} MiB", grown / MIB);
    assert!(grown <= BUDGET + 64 * MIB, "memory grew by {} MiB", grown / MIB);
}

#[test]
fn messages_that_are_never_whole_take_no_more_than_the_budget() {
    let flooded = Flooded::start(&[]);
    let length = (MIB - 10).to_be_bytes();
    let first = [&b"\x82\xff"[..], &length, &[0; 4]].concat();
    let grown = flood(&flooded, &first, &vec![b'x'; 64 << 10], 15);
    println!("memory grew by {} MiB", grown / MIB);
    assert!(grown <= BUDGET + 64 * MIB, "memory grew by {} MiB", grown / MIB);
}
