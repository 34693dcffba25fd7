//! Browsers that have signed in with `ACCESS_TOKEN`.
//!
//! Each holds a cookie of 256 random bits. The database keeps the SHA-256 of the token and the cookie together, so that
//! signing out (the row goes), 90 days, a restore of the database (all rows go) or another `ACCESS_TOKEN` (no cookie fits any
//! more) end it for good, whoever has copied the cookie meanwhile.
//!
//! Bounds: 1000 at once; one more ends the oldest.

use std::time::Duration;

use rusqlite::Connection;

use crate::adapters::sign_in_store;
use crate::app::{App, AppError};
use crate::domain::secret::Secret;
use crate::domain::token::Token;

/// How long a browser stays signed in.
pub const DAYS: u32 = 90;
const LIFE: Duration = Duration::from_secs(DAYS as u64 * 24 * 60 * 60);

impl App {
    /// Signs a browser in that has shown the access token; returns what its cookie is to hold.
    ///
    /// # Errors
    /// What the database says.
    pub async fn sign_in(&self, access: &Secret) -> Result<Token, AppError> {
        let (cookie, now) = (Self::new_token()?, self.clock.now());
        let hash = access.seal(cookie.as_bytes());
        let sign_in = move |db: &Connection| sign_in_store::insert(db, hash, now, now.later_by(LIFE));
        self.database.write("sign a browser in", sign_in).await?;
        tracing::info!(event = "signed_in", "A browser has signed in");
        Ok(cookie)
    }

    /// True while the browser that holds the cookie is signed in.
    ///
    /// # Errors
    /// What the database says.
    pub async fn is_signed_in(&self, access: &Secret, cookie: &Token) -> Result<bool, AppError> {
        let (hash, now) = (access.seal(cookie.as_bytes()), self.clock.now());
        let look = move |db: &Connection| sign_in_store::is_valid(db, hash, now);
        Ok(self.database.read("look for a sign-in", look).await?)
    }

    /// Signs the browser out; the cookie is worth nothing from then on.
    ///
    /// # Errors
    /// What the database says; then it may still be signed in.
    pub async fn sign_out(&self, access: &Secret, cookie: &Token) -> Result<(), AppError> {
        let hash = access.seal(cookie.as_bytes());
        self.database.write("sign a browser out", move |db| sign_in_store::delete(db, hash)).await?;
        tracing::info!(event = "signed_out", "A browser has signed out");
        Ok(())
    }
}
