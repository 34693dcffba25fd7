//! A recovery code: a secret that people write down, keep, and type in.
//!
//! 130 random bits and a checksum of 20, as thirty letters and digits in six groups of five. I, L, O and U are not among
//! them (Crockford's base 32): they are taken for 1, 1 and 0 when somebody types them, and U is nobody's.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const RANDOM: usize = 26;
const CHECKSUM: usize = 4;
const GROUP: usize = 5;

/// The secret part of a code: so many numbers below 32.
#[derive(Clone, PartialEq, Eq)]
pub struct RecoveryCode([u8; RANDOM]);

impl RecoveryCode {
    /// A code of so many random bytes, of each of which five bits count.
    #[must_use]
    pub fn from_random(bytes: [u8; RANDOM]) -> Self {
        Self(bytes.map(|byte| byte & 31))
    }

    /// What it is known by: nobody gets from this to the code.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.0).into()
    }

    /// The code as it is shown, once; the only way to see it.
    #[must_use]
    pub fn reveal(&self) -> String {
        let letters: Vec<_> = self.0.iter().chain(&self.checksum()).map(|number| letter(*number)).collect();
        let groups: Vec<String> = letters.chunks(GROUP).map(|group| group.iter().collect()).collect();
        groups.join("-")
    }

    fn checksum(&self) -> [u8; CHECKSUM] {
        let digest = Sha256::new().chain_update("recovery code").chain_update(self.0).finalize();
        let mut numbers = [0; CHECKSUM];
        for (number, byte) in numbers.iter_mut().zip(digest) {
            *number = byte & 31;
        }
        numbers
    }
}

fn letter(number: u8) -> char {
    ALPHABET.get(usize::from(number)).map_or('?', |letter| char::from(*letter))
}

fn number(letter: char) -> Option<u8> {
    let letter = match letter.to_ascii_uppercase() {
        'I' | 'L' => '1',
        'O' => '0',
        other => other,
    };
    let at = ALPHABET.iter().position(|known| char::from(*known) == letter)?;
    u8::try_from(at).ok()
}

impl fmt::Debug for RecoveryCode {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("RecoveryCode(…)")
    }
}

/// The text is no recovery code; it is not repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotACode {
    /// It is too short or too long.
    #[error("has to be 30 letters and digits; some are missing, or there are too many")]
    Length,
    /// Something in it is wrong.
    #[error("is mistyped somewhere: compare it with what you have kept, letter by letter")]
    Mistyped,
}

impl FromStr for RecoveryCode {
    type Err = NotACode;

    /// Reads a code as people type it: in any case, with any spaces, dashes and the like between the letters.
    fn from_str(text: &str) -> Result<Self, NotACode> {
        let typed = text.chars().filter(|c| !c.is_whitespace() && !is_dash(*c));
        let mut letters = Vec::with_capacity(RANDOM + CHECKSUM);
        for letter in typed {
            if letters.len() == RANDOM + CHECKSUM {
                return Err(NotACode::Length);
            }
            letters.push(number(letter).ok_or(NotACode::Mistyped)?);
        }
        let (random, checksum) = letters.split_at_checked(RANDOM).ok_or(NotACode::Length)?;
        if checksum.len() != CHECKSUM {
            return Err(NotACode::Length);
        }
        let code = Self(random.try_into().map_err(|_| NotACode::Length)?);
        if code.checksum() == checksum { Ok(code) } else { Err(NotACode::Mistyped) }
    }
}

/// What stands for the dash between groups, by hand and where a program has made it pretty.
fn is_dash(letter: char) -> bool {
    matches!(letter, '-' | '_' | '.' | ',' | '\u{2010}'..='\u{2015}' | '\u{2212}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_code_is_read_back_however_it_is_typed(bytes: [u8; RANDOM]) {
            let code = RecoveryCode::from_random(bytes);
            let shown = code.reveal();
            prop_assert_eq!(shown.len(), 35);
            prop_assert!(shown.split('-').all(|group| group.len() == 5));
            prop_assert!(!shown.contains(['I', 'L', 'O', 'U']));
            let sloppy = shown.to_lowercase().replace('-', " \u{2013} ").replace('0', "o").replace('1', "l");
            for typed in [&shown, &shown.replace('-', ""), &sloppy, &format!("\t{shown}\n")] {
                prop_assert_eq!(typed.parse::<RecoveryCode>(), Ok(code.clone()));
            }
        }

        #[test]
        fn nothing_that_is_typed_is_too_much(text: String) {
            prop_assert!(text.parse::<RecoveryCode>().is_err());
        }
    }

    #[test]
    fn one_wrong_letter_and_two_in_each_others_place_are_noticed() {
        for first in [0, 9, 31] {
            let random = std::array::from_fn(|at| first + 3 * u8::try_from(at).unwrap());
            let shown: Vec<char> =
                RecoveryCode::from_random(random).reveal().replace('-', "").chars().collect();
            for at in 0..shown.len() {
                for by in 1..32 {
                    let mut wrong = shown.clone();
                    wrong[at] = letter((number(shown[at]).unwrap() + by) % 32);
                    let read = wrong.iter().collect::<String>().parse::<RecoveryCode>();
                    assert_eq!(read, Err(NotACode::Mistyped), "letter {at}");
                }
                let mut swapped = shown.clone();
                swapped.swap(at, (at + 1) % shown.len());
                let read = swapped.iter().collect::<String>().parse::<RecoveryCode>();
                assert!(swapped == shown || read == Err(NotACode::Mistyped), "letters from {at} on");
            }
        }
    }

    #[test]
    fn a_mistake_is_told_and_the_code_is_never_debugged() {
        let code = RecoveryCode::from_random([7; RANDOM]);
        let shown = code.reveal();
        assert!(shown.starts_with("77777-77777-77777-77777-77777-7"));
        assert_eq!(shown[..34].parse::<RecoveryCode>(), Err(NotACode::Length));
        assert_eq!(format!("{shown}7").parse::<RecoveryCode>(), Err(NotACode::Length));
        assert_eq!("".parse::<RecoveryCode>(), Err(NotACode::Length));
        assert_eq!(shown.replacen('7', "8", 1).parse::<RecoveryCode>(), Err(NotACode::Mistyped));
        assert_eq!(shown.replacen('7', "U", 1).parse::<RecoveryCode>(), Err(NotACode::Mistyped));
        assert_eq!(format!("{code:?}"), "RecoveryCode(…)");
    }
}
