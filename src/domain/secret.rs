//! Secrets: those an operator has chosen, which are only ever compared, and those of services outside, which are sent.

use std::fmt;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// Only the SHA-256 of the secret is kept. Comparing takes the same time whatever is presented and however much of it is
/// right, its length included.
#[derive(Clone)]
pub struct Secret([u8; 32]);

impl Secret {
    /// The secret that this text is.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(Sha256::digest(text).into())
    }

    /// True when `presented` is the secret.
    #[must_use]
    pub fn is(&self, presented: &str) -> bool {
        *self == Self::new(presented)
    }

    /// A hash of something, in which this secret has a part: with another secret it is another one.
    #[must_use]
    pub fn seal(&self, thing: &[u8; 32]) -> [u8; 32] {
        Sha256::new().chain_update(self.0).chain_update(thing).finalize().into()
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Secret(…)")
    }
}

/// A key that is sent to a service outside, to nobody else, and never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey(String);

impl ApiKey {
    /// The key that this text is.
    #[must_use]
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    /// The key itself, to be sent to whom it belongs.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("ApiKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_secret_is_it_and_it_is_never_debugged() {
        let secret = Secret::new("open sesame");
        assert!(secret.is("open sesame"));
        for wrong in ["", "open", "open sesame ", "Open sesame", "open sesame!"] {
            assert!(!secret.is(wrong), "{wrong}");
        }
        assert_eq!(format!("{secret:?}"), "Secret(…)");
        assert_eq!(format!("{:?}", ApiKey::new("open sesame".to_owned())), "ApiKey(…)");
    }

    #[test]
    fn what_another_secret_has_sealed_is_something_else() {
        let (one, other) = (Secret::new("one"), Secret::new("other"));
        assert_eq!(one.seal(&[7; 32]), one.seal(&[7; 32]));
        assert_ne!(one.seal(&[7; 32]), other.seal(&[7; 32]));
        assert_ne!(one.seal(&[7; 32]), one.seal(&[8; 32]));
    }
}
