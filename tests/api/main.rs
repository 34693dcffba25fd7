//! The production server on a port of its own, asked over HTTP: every rule of the contract that a client can notice.
#![expect(clippy::unwrap_used, reason = "a failed expectation fails the test, with its place")]

mod access;
mod admin;
mod answer_budget;
mod audio;
mod body_budget;
mod caching;
mod chat;
mod connections;
mod deleting;
mod disk;
mod earlier_assets;
mod every_response;
mod expectations;
mod extraction;
mod health;
mod hostile_requests;
mod indexes;
mod injections;
mod learning;
#[cfg(feature = "local-embeddings")]
mod local_model;
mod logs;
mod me;
mod meanings;
mod memories;
mod metrics;
mod model;
mod openapi;
mod origins;
mod persons;
mod programs;
mod qdrant;
#[path = "../qdrant/server.rs"]
mod qdrant_server;
mod rate_limits;
mod real_model_server;
mod refused_bodies;
#[path = "../ports/refusing.rs"]
mod refusing;
mod request_size;
mod sessions;
mod speech_services;
mod stopping;
mod summaries;
mod support;
mod turns;
mod turns_of_a_person;
mod upstream;
mod voice;
mod voice_bounds;
mod voice_interruptions;
mod voice_reconnects;
mod voice_replies;
mod voice_socket;
mod ways_in;
