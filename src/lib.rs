//! A self-hosted companion and the tool that keeps its house.
//!
//! Two binaries share this crate: `companion` (the server) and `companion-maint` (maintenance). The modules, from the
//! outside in (`tests/architecture.rs` enforces who may import whom):
//!
//! - [`startup`] — builds everything once, binds, runs, drains
//! - [`web`] — HTTP only: shapes, status codes, headers
//! - [`app`] — the use cases: the order of steps, what is fatal, what degrades
//! - [`maint`] — one maintenance operation per file
//! - [`adapters`] — one outside thing per file: `SQLite`, files, the offline companion, services over the network
//! - [`config`] — what was given, and what it means
//! - [`telemetry`] — logs and metrics
//! - [`domain`] — the rules, pure

pub mod adapters;
pub mod app;
pub mod config;
pub mod domain;
pub mod maint;
pub mod startup;
pub mod telemetry;
pub mod web;
