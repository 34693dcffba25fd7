//! The real server in a process of its own, met by more than it has room for: bounded in count and time, on this machine's
//! own addresses alone.
#![expect(clippy::unwrap_used, reason = "a failed expectation fails the test, with its place")]
#![expect(clippy::print_stdout, reason = "what was measured is told, also when it is good")]

mod bodies;
mod headers;
mod idle;
mod open_files;
mod replies;
mod sockets;
mod support;
