//! Browsers that have signed in: to the companion with `ACCESS_TOKEN`, to the admin page with `ADMIN_TOKEN`.
//!
//! Each holds a cookie of 256 random bits. The database keeps the SHA-256 of the token and the cookie together, so that
//! signing out (the row goes), 90 days, a restore of the database (all rows go) or another token (no cookie fits any more) end it for good, whoever has copied the cookie meanwhile.
//!
//! Bounds: 1000 at once of each kind; one more ends the oldest.

use std::time::Duration;

use rusqlite::Connection;

use crate::adapters::sign_in_store;
pub use crate::adapters::sign_in_store::Door;
use crate::app::{App, AppError};
use crate::domain::secret::Secret;
use crate::domain::token::Token;

/// How long a browser stays signed in.
pub const DAYS: u32 = 90;
const LIFE: Duration = Duration::from_secs(DAYS as u64 * 24 * 60 * 60);

impl App {
    /// Signs a browser in that has shown the door's token; returns what its cookie is to hold.
    ///
    /// # Errors
    /// What the database says.
    pub async fn sign_in(&self, door: Door, right: &Secret) -> Result<Token, AppError> {
        let (cookie, now) = (Self::new_token()?, self.clock.now());
        let hash = right.seal(cookie.as_bytes());
        let until = now.later_by(LIFE);
        let sign_in = move |db: &Connection| sign_in_store::insert(db, door, hash, (now, until));
        self.database.write("sign a browser in", sign_in).await?;
        tracing::info!(event = "signed_in", door = ?door, "A browser has signed in");
        Ok(cookie)
    }

    /// True while the browser that holds the cookie is signed in.
    ///
    /// # Errors
    /// What the database says.
    pub async fn is_signed_in(&self, door: Door, right: &Secret, cookie: &Token) -> Result<bool, AppError> {
        let (hash, now) = (right.seal(cookie.as_bytes()), self.clock.now());
        let look = move |db: &Connection| sign_in_store::is_valid(db, door, hash, now);
        Ok(self.database.read("look for a sign-in", look).await?)
    }

    /// Signs the browser out; the cookie is worth nothing from then on.
    ///
    /// # Errors
    /// What the database says; then it may still be signed in.
    pub async fn sign_out(&self, right: &Secret, cookie: &Token) -> Result<(), AppError> {
        let hash = right.seal(cookie.as_bytes());
        self.database.write("sign a browser out", move |db| sign_in_store::delete(db, hash)).await?;
        tracing::info!(event = "signed_out", "A browser has signed out");
        Ok(())
    }
}
