//! A person: whoever holds a token.

use crate::domain::clock::Timestamp;
use crate::domain::session::PublicId;
use crate::domain::token::Token;

/// Names a person in the erasure ledger; random, never shown to anyone.
pub type PersonId = PublicId;

/// The secret that makes someone a person.
pub type PersonToken = Token;

/// A person as the store knows them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Person {
    /// The row in the database; grows with time and never leaves the server.
    pub key: i64,
    /// The id in the erasure ledger.
    pub id: PersonId,
    /// When they first came.
    pub created_at: Timestamp,
    /// When they were last seen, to the hour.
    pub last_seen_at: Timestamp,
}
