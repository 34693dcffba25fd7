//! Bodies: far too large ones from many clients at once, and bodies that stall.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::io::AsyncWriteExt;

use crate::support::{Flooded, MIB, Wire, address_of, come_in_turn};

const CLIENTS: usize = 300;
const EACH: u64 = 200 * MIB;
/// `MAX_INFLIGHT_BODY_BYTES`.
const BUDGET: u64 = 64 * MIB;

#[test]
fn with_three_hundred_clients_of_200_mib_each_talk_goes_on_within_250_ms_and_memory_is_bounded() {
    let flooded = Flooded::start(&[]);
    flooded.warm_up();
    let before = flooded.resident();
    let chats = flooded.chats();
    let clients = (0..CLIENTS).map(|number| flooded.runtime.spawn(send(flooded.address, number)));
    let clients: Vec<_> = clients.collect();
    let answers = flooded.runtime.block_on(join_all(clients));
    for (number, answer) in answers.into_iter().enumerate() {
        let status = answer.unwrap();
        // Whoever does not tell how much it is may have to wait for room, in vain.
        let fits = if is_declared(number) { [413, 413] } else { [413, 503] };
        assert!(
            status.is_none_or(|status| fits.contains(&status)),
            "client {number} was answered {status:?}"
        );
    }
    let p99 = chats.went_on(&flooded);
    assert!(p99 <= Duration::from_millis(250), "99 of 100 turns took up to {p99:?}");
    let grown = flooded.peak().saturating_sub(before);
    println!("memory grew by {} MiB", grown / MIB);
    assert!(grown <= BUDGET + 64 * MIB, "memory grew by {} MiB", grown / MIB);
}

const fn is_declared(number: usize) -> bool {
    number.is_multiple_of(2)
}

/// Sends until all is sent or the server wants no more; the status of its answer if that could be read.
async fn send(to: std::net::SocketAddr, number: usize) -> Option<u16> {
    // Each from an address of its own: one client has a quarter of the room.
    let from = format!("127.0.{}.{}", 3 + number / 250, number % 250 + 1);
    let mut wire = Wire::connect(&from, to).await;
    let declared = is_declared(number);
    let framing =
        if declared { format!("Content-Length: {EACH}") } else { "Transfer-Encoding: chunked".to_owned() };
    let head = format!(
        "POST /api/v1/chat HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{framing}\r\n\r\n"
    );
    wire.send(head.as_bytes()).await;
    let data = vec![b' '; 64 * 1024];
    let piece = if declared { data } else { [b"10000\r\n", &data[..], b"\r\n"].concat() };
    let mut sent = 0;
    while sent < EACH && wire.stream.write_all(&piece).await.is_ok() {
        sent += 64 * 1024;
    }
    assert!(sent < EACH, "it took all of it");
    let rest = wire.rest().await;
    let first = String::from_utf8_lossy(&rest);
    first.split(' ').nth(1).and_then(|status| status.parse().ok())
}

#[test]
fn five_hundred_bodies_that_stall_are_given_up_and_talk_goes_on() {
    let flooded = Flooded::start(&[("BODY_IDLE_TIMEOUT_SECONDS", "4")]);
    let chats = flooded.chats();
    let began = Instant::now();
    stall(&flooded, 1000, address_of);
    let took = began.elapsed();
    assert!(took >= Duration::from_secs(4) && took < Duration::from_secs(12), "{took:?}");
    chats.went_on(&flooded);
}

#[test]
fn talk_goes_on_though_five_hundred_clients_stall_with_the_largest_small_body_each() {
    let flooded = Flooded::start(&[]);
    let chats = flooded.chats();
    let began = Instant::now();
    stall(&flooded, 64 * 1024, |number| format!("127.0.{}.{}", 6 + number / 250, number % 250 + 1));
    let took = began.elapsed();
    assert!(took < Duration::from_secs(30), "{took:?}");
    chats.went_on(&flooded);
}

/// Five hundred clients announce a body of so many bytes, send its first one and no more; all are told so.
fn stall(flooded: &Flooded, bytes: usize, address_of: fn(usize) -> String) {
    let stalled = (0..500).map(|number| {
        let to = flooded.address;
        flooded.runtime.spawn(async move {
            come_in_turn(number).await;
            let mut wire = Wire::connect(&address_of(number), to).await;
            let head = "POST /api/v1/chat HTTP/1.1\r\nHost: x\r\nContent-Type: application/json";
            wire.send(format!("{head}\r\nContent-Length: {bytes}\r\n\r\n{{").as_bytes()).await;
            String::from_utf8(wire.rest().await).unwrap()
        })
    });
    let stalled: Vec<_> = stalled.collect();
    for told in flooded.runtime.block_on(join_all(stalled)) {
        let told = told.unwrap();
        assert!(told.starts_with("HTTP/1.1 408 ") && told.contains("request_timeout"), "{told}");
    }
}
