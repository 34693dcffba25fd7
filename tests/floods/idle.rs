//! Many who are connected and say nothing.

use futures_util::future::join_all;

use crate::support::{Flooded, KIB, Wire, address_of};

const CONNECTIONS: usize = 5000;

#[test]
fn five_thousand_idle_connections_take_40_kib_each_at_most() {
    let flooded = Flooded::start(&[]);
    flooded.warm_up();
    let before = flooded.resident();
    let mut held: Vec<Wire> = Vec::new();
    for first in (0..CONNECTIONS).step_by(500) {
        let to = flooded.address;
        let some = (first..first + 500).map(|number| async move {
            let mut wire = Wire::connect(&address_of(number), to).await;
            ask(&mut wire).await;
            wire
        });
        held.extend(flooded.runtime.block_on(join_all(some)));
    }
    let each = flooded.resident().saturating_sub(before) / CONNECTIONS as u64;
    println!("{each} bytes each");
    assert!(each <= 40 * KIB, "{each} bytes each");
    // They are all still there.
    flooded.runtime.block_on(async {
        join_all(held.iter_mut().map(ask)).await;
    });
    let chats = flooded.chats();
    chats.go_on();
    chats.went_on(&flooded);
}

async fn ask(wire: &mut Wire) {
    wire.send(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert_eq!(wire.answer().await.0, 200);
}
