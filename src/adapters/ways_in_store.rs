//! SQL for the ways in which further browsers become a person: the tokens of those that have, one-time links, and the
//! recovery code. Of each secret only the SHA-256 is kept.
//!
//! Bounds, of one person: 32 further tokens, one more ends the one not seen for longest; 5 links that are not used yet, one
//! more ends the oldest; one recovery code. Links that have expired go when the next one is made, and with every cleanup.

use rusqlite::{Connection, OptionalExtension, Row, params};
use sha2::{Digest, Sha256};

use crate::adapters::person_store;
use crate::adapters::session_store::timestamp;
use crate::domain::clock::Timestamp;
use crate::domain::person::PersonToken;
use crate::domain::recovery::RecoveryCode;
use crate::domain::token::Token;

/// Further browsers of one person.
pub const MOST_DEVICES: u32 = 32;
/// Links of one person that wait to be used.
pub const MOST_LINKS: u32 = 5;

/// A link as it is found by its secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FoundLink {
    /// Its row.
    pub key: i64,
    /// The row of the person it leads to.
    pub person: i64,
    /// Whether somebody has used it.
    pub used: bool,
}

/// A further browser of a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Device {
    /// When it became one of theirs.
    pub added_at: Timestamp,
    /// When it was last seen, to the hour.
    pub last_seen_at: Timestamp,
}

/// A link that has not expired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Link {
    /// Until when it leads anywhere.
    pub expires_at: Timestamp,
    /// When it was used.
    pub used_at: Option<Timestamp>,
}

/// A person's recovery code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct MadeCode {
    /// When it was made.
    pub made_at: Timestamp,
    /// When it was last used.
    pub used_at: Option<Timestamp>,
}

/// Everything of a person's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WaysIn {
    /// Further browsers, the first first.
    pub devices: Vec<Device>,
    /// Links, the first first.
    pub links: Vec<Link>,
    /// The code.
    pub recovery_code: Option<MadeCode>,
}

fn hash(secret: &Token) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

fn timestamp_or_none(row: &Row<'_>, index: usize) -> rusqlite::Result<Option<Timestamp>> {
    row.get::<_, Option<i64>>(index).map(|at| at.map(Timestamp::from_millis))
}

/// From now on whoever holds `token` is the person, too.
///
/// # Errors
/// What `SQLite` says.
pub fn add_device(
    connection: &Connection,
    person: i64,
    token: &PersonToken,
    at: Timestamp,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "DELETE FROM devices WHERE person_id = ?1 AND id NOT IN
                 (SELECT id FROM devices WHERE person_id = ?1 ORDER BY seen_at DESC, id DESC LIMIT ?2)",
        )?
        .execute(params![person, MOST_DEVICES - 1])?;
    connection
        .prepare_cached(
            "INSERT INTO devices (person_id, token_hash, added_at, seen_at) VALUES (?1, ?2, ?3, ?3)",
        )?
        .execute(params![person, hash(token), at.as_millis()])?;
    Ok(())
}

/// Notes that the browser with this token was seen, if it is a further one.
///
/// # Errors
/// What `SQLite` says.
pub fn touch_device(connection: &Connection, token: &PersonToken, at: Timestamp) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE devices SET seen_at = max(seen_at, ?2) WHERE token_hash = ?1")?
        .execute(params![hash(token), at.as_millis()])?;
    Ok(())
}

/// From now on nobody is the person by this token; all others go on being them. False when nobody was.
///
/// # Errors
/// What `SQLite` says.
pub fn end_token(connection: &Connection, token: &PersonToken) -> rusqlite::Result<bool> {
    let ended = connection.execute("DELETE FROM devices WHERE token_hash = ?1", [hash(token)])?;
    if ended > 0 {
        return Ok(true);
    }
    let Some(person) = person_store::find(connection, token)? else { return Ok(false) };
    // The person's own token is never missing: that of a further browser takes its place, or one that nobody knows.
    let successor =
        "SELECT token_hash FROM devices WHERE person_id = ?1 ORDER BY seen_at DESC, id DESC LIMIT 1";
    let own =
        format!("UPDATE persons SET token_hash = coalesce(({successor}), randomblob(32)) WHERE id = ?1");
    connection.execute(&own, [person.key])?;
    let taken = "DELETE FROM devices WHERE token_hash = (SELECT token_hash FROM persons WHERE id = ?1)";
    connection.execute(taken, [person.key])?;
    Ok(true)
}

/// From now on `token` alone makes somebody the person: all others, links and the recovery code are worth nothing.
///
/// # Errors
/// What `SQLite` says.
pub fn replace_all(connection: &Connection, person: i64, token: &PersonToken) -> rusqlite::Result<()> {
    for table in ["devices", "links", "recovery_codes"] {
        connection.execute(&format!("DELETE FROM {table} WHERE person_id = ?1"), [person])?;
    }
    person_store::replace_token(connection, person, token)
}

/// Makes a link that leads to the person until `expires_at`.
///
/// # Errors
/// What `SQLite` says.
pub fn add_link(
    connection: &Connection,
    person: i64,
    secret: &Token,
    (now, expires_at): (Timestamp, Timestamp),
) -> rusqlite::Result<()> {
    forget_expired_links(connection, now)?;
    connection.execute(
        "DELETE FROM links WHERE person_id = ?1 AND used_at IS NULL AND id NOT IN
             (SELECT id FROM links WHERE person_id = ?1 AND used_at IS NULL ORDER BY id DESC LIMIT ?2)",
        params![person, MOST_LINKS - 1],
    )?;
    connection.execute(
        "INSERT INTO links (person_id, secret_hash, expires_at) VALUES (?1, ?2, ?3)",
        params![person, hash(secret), expires_at.as_millis()],
    )?;
    Ok(())
}

/// The link with this secret, unless it has expired.
///
/// # Errors
/// What `SQLite` says.
pub fn find_link(
    connection: &Connection,
    secret: &Token,
    now: Timestamp,
) -> rusqlite::Result<Option<FoundLink>> {
    let found = |row: &Row<'_>| Ok(FoundLink { key: row.get(0)?, person: row.get(1)?, used: row.get(2)? });
    connection
        .prepare_cached(
            "SELECT id, person_id, used_at IS NOT NULL FROM links WHERE secret_hash = ?1 AND expires_at > ?2",
        )?
        .query_row(params![hash(secret), now.as_millis()], found)
        .optional()
}

/// Marks a link as used: it leads nowhere from then on.
///
/// # Errors
/// What `SQLite` says.
pub fn use_link(connection: &Connection, link: i64, now: Timestamp) -> rusqlite::Result<()> {
    connection.execute("UPDATE links SET used_at = ?2 WHERE id = ?1", params![link, now.as_millis()])?;
    Ok(())
}

/// Forgets the links that have expired; says how many.
///
/// # Errors
/// What `SQLite` says.
pub fn forget_expired_links(connection: &Connection, now: Timestamp) -> rusqlite::Result<usize> {
    connection.execute("DELETE FROM links WHERE expires_at <= ?1", [now.as_millis()])
}

/// Makes this the person's recovery code, in the place of one from before.
///
/// # Errors
/// What `SQLite` says.
pub fn set_code(
    connection: &Connection,
    person: i64,
    code: &RecoveryCode,
    now: Timestamp,
) -> rusqlite::Result<()> {
    connection.execute(
        "INSERT OR REPLACE INTO recovery_codes (person_id, code_hash, made_at) VALUES (?1, ?2, ?3)",
        params![person, code.hash(), now.as_millis()],
    )?;
    Ok(())
}

/// The row of the person whose recovery code this is.
///
/// # Errors
/// What `SQLite` says.
pub fn find_code(connection: &Connection, code: &RecoveryCode) -> rusqlite::Result<Option<i64>> {
    connection
        .prepare_cached("SELECT person_id FROM recovery_codes WHERE code_hash = ?1")?
        .query_row([code.hash()], |row| row.get(0))
        .optional()
}

/// Notes that the person's recovery code was used.
///
/// # Errors
/// What `SQLite` says.
pub fn note_code(connection: &Connection, person: i64, now: Timestamp) -> rusqlite::Result<()> {
    connection.execute(
        "UPDATE recovery_codes SET used_at = ?2 WHERE person_id = ?1",
        params![person, now.as_millis()],
    )?;
    Ok(())
}

/// All ways in of a person.
///
/// # Errors
/// What `SQLite` says.
pub fn of(connection: &Connection, person: i64, now: Timestamp) -> rusqlite::Result<WaysIn> {
    let device =
        |row: &Row<'_>| Ok(Device { added_at: timestamp(row, 0)?, last_seen_at: timestamp(row, 1)? });
    let devices = connection
        .prepare_cached("SELECT added_at, seen_at FROM devices WHERE person_id = ?1 ORDER BY id")?
        .query_map([person], device)?
        .collect::<rusqlite::Result<_>>()?;
    let link =
        |row: &Row<'_>| Ok(Link { expires_at: timestamp(row, 0)?, used_at: timestamp_or_none(row, 1)? });
    let links = connection
        .prepare_cached(
            "SELECT expires_at, used_at FROM links WHERE person_id = ?1 AND expires_at > ?2 ORDER BY id",
        )?
        .query_map(params![person, now.as_millis()], link)?
        .collect::<rusqlite::Result<_>>()?;
    let code =
        |row: &Row<'_>| Ok(MadeCode { made_at: timestamp(row, 0)?, used_at: timestamp_or_none(row, 1)? });
    let recovery_code = connection
        .prepare_cached("SELECT made_at, used_at FROM recovery_codes WHERE person_id = ?1")?
        .query_row([person], code)
        .optional()?;
    Ok(WaysIn { devices, links, recovery_code })
}
