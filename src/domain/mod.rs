//! The rules, pure: no I/O, no async runtime, nothing of HTTP or SQL.

pub mod audio;
pub mod backup;
pub mod chat;
pub mod clock;
pub mod heard;
pub mod maintenance;
pub mod person;
pub mod retention;
pub mod secret;
pub mod sentences;
pub mod session;
pub mod span;
pub mod speech;
pub mod token;
pub mod transcript;
