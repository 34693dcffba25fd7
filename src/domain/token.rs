//! A secret that we make up: whoever holds it is let in.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};

/// 256 random bits, shown as 64 hexadecimal digits.
#[derive(Clone, PartialEq, Eq)]
pub struct Token([u8; 32]);

impl Token {
    /// A token of these 32 random bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The token that takes this one's place in one `attempt` to replace it: the same one however often it is asked for. Nobody
    /// gets to it who knows one of the two alone.
    #[must_use]
    pub fn replaced_in(&self, attempt: &Self) -> Self {
        let digest =
            Sha256::new().chain_update("replaced token").chain_update(self.0).chain_update(attempt.0);
        Self(digest.finalize().into())
    }

    /// The token as it is handed out; the only way to see it.
    #[must_use]
    pub fn reveal(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Token(…)")
    }
}

/// The text is not a token; it is not repeated.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not 64 hexadecimal digits")]
pub struct NotAToken;

impl FromStr for Token {
    type Err = NotAToken;

    fn from_str(text: &str) -> Result<Self, NotAToken> {
        if text.len() != 64 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(NotAToken);
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| NotAToken)?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| NotAToken)?;
        }
        Ok(Self(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_back_and_never_debugged() {
        let token = Token::from_bytes([0xab; 32]);
        assert_eq!(token.reveal().parse(), Ok(token.clone()));
        assert!(!format!("{token:?}").contains("ab"));
        assert_eq!("zz".repeat(32).parse::<Token>(), Err(NotAToken));
        assert_eq!("+1".repeat(32).parse::<Token>(), Err(NotAToken));
    }

    #[test]
    fn what_replaces_a_token_hangs_on_it_and_on_the_attempt() {
        let [one, other, third] = [1, 2, 3].map(|byte| Token::from_bytes([byte; 32]));
        assert_eq!(one.replaced_in(&other), one.replaced_in(&other));
        assert_ne!(one.replaced_in(&other), one.replaced_in(&third));
        assert_ne!(one.replaced_in(&other), third.replaced_in(&other));
        assert_ne!(one.replaced_in(&other), other.replaced_in(&one));
    }
}
