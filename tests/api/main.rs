//! The production server on a port of its own, asked over HTTP: every rule of the contract that a client can notice.
#![expect(clippy::unwrap_used, reason = "a failed expectation fails the test, with its place")]

mod access;
mod admin;
mod audio;
mod body_budget;
mod caching;
mod chat;
mod deleting;
mod disk;
mod earlier_assets;
mod every_response;
mod health;
mod logs;
mod me;
mod metrics;
mod openapi;
mod origins;
mod persons;
mod rate_limits;
mod request_size;
mod sessions;
mod stopping;
mod support;
mod turns;
mod turns_of_a_person;
mod voice;
mod voice_replies;
mod voice_socket;
