//! Embeds the web client (being written).
fn main() {}
