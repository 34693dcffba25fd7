//! A secret of the operator's: never shown, compared in constant time.

use std::fmt;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// A token that a client has to send.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The secret in `text`, `None` unless it can be sent in a header: visible ASCII characters, at least one.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let visible = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        visible.then(|| Self(text.to_owned()))
    }

    /// True when this is what was sent. How long it takes tells nothing of the secret, not even its length.
    #[must_use]
    pub fn is(&self, sent: &[u8]) -> bool {
        Sha256::digest(self.0.as_bytes()).ct_eq(&Sha256::digest(sent)).into()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_only_itself_and_never_shown() {
        let secret = Secret::new("s3cret").unwrap();
        assert!(secret.is(b"s3cret"));
        for other in ["", "s3cre", "s3cret ", "S3cret", "s3cret0"] {
            assert!(!secret.is(other.as_bytes()), "{other}");
        }
        assert!(!format!("{secret:?}").contains("s3cret"));
        for unsendable in ["", "two words", "tab\t", "ä"] {
            assert_eq!(Secret::new(unsendable), None, "{unsendable}");
        }
    }
}
