//! A secret that its operator has chosen, and that is only ever compared.

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
    }

    #[test]
    fn what_another_secret_has_sealed_is_something_else() {
        let (one, other) = (Secret::new("one"), Secret::new("other"));
        assert_eq!(one.seal(&[7; 32]), one.seal(&[7; 32]));
        assert_ne!(one.seal(&[7; 32]), other.seal(&[7; 32]));
        assert_ne!(one.seal(&[7; 32]), one.seal(&[8; 32]));
    }
}
