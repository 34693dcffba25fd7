//! The rules, pure: no I/O, no async runtime, nothing of HTTP or SQL.

pub mod address;
pub mod audio;
pub mod backup;
pub mod chat;
pub mod clock;
pub mod crisis;
pub mod embedding;
pub mod heard;
pub mod maintenance;
pub mod memory;
pub(crate) mod patterns;
pub mod person;
pub mod persona;
pub(crate) mod plain;
pub mod prompt;
pub mod retention;
pub mod secret;
pub mod sentences;
pub mod session;
pub mod span;
pub mod speech;
pub mod summary;
pub mod token;
pub mod transcript;
pub mod upstream;
