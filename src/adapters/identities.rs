//! The secret keys that open encrypted backups, read from a file that the operator names.
//!
//! Bounds: 1 MiB a file.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use age::{Identity, IdentityFile};

use crate::adapters::acting::as_operator;

/// Thousands of keys.
const MOST_BYTES: u64 = 1 << 20;

/// Why an identity file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The file is not there, or is not one.
    #[error("the identity file {path} cannot be used: {why}", path = path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// Why. Never what is in it.
        why: String,
    },
}

/// Secret keys that open encrypted backups.
#[derive(Default)]
pub struct Identities(pub(super) Vec<Box<dyn Identity>>);

impl Identities {
    /// Reads a file as `age-keygen` writes it, with the rights of the operator, who names it.
    ///
    /// # Errors
    /// When it cannot be read or holds no key.
    pub fn read(path: &Path) -> Result<Self, IdentityError> {
        let unusable = |why: String| IdentityError::Unusable { path: path.to_owned(), why };
        let read = as_operator(|| File::open(path)).and_then(|file| {
            let mut bytes = Vec::new();
            file.take(MOST_BYTES + 1).read_to_end(&mut bytes).map(|_| bytes)
        });
        let bytes = read.map_err(|error| unusable(error.to_string()))?;
        if bytes.len() as u64 > MOST_BYTES {
            return Err(unusable("it is larger than 1 MiB".to_owned()));
        }
        // The library's own errors may quote a line, which may be a secret.
        let file = IdentityFile::from_buffer(bytes.as_slice())
            .map_err(|_| unusable("it is not an age identity file, as age-keygen writes it".to_owned()))?;
        let keys = file.into_identities().map_err(|_| unusable("its keys cannot be used".to_owned()))?;
        if keys.is_empty() {
            return Err(unusable("it holds no key".to_owned()));
        }
        Ok(Self(keys))
    }

    /// True when there is no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
