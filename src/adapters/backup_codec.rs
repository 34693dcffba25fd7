//! What a backup file is made of: the database, compressed with zstd and, where a recipient is named, encrypted in the
//! age format. Both ways count bytes and take the SHA-256 of the file as it lies on disk.
//!
//! Bounds: 1 MiB is read at a time, and at most six of them wait for the disk; unpacking stops at the size the manifest promises, and at a zstd window of 32 MiB.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread;

use age::x25519::Recipient;
use age::{Decryptor, Encryptor, Identity};
use sha2::{Digest, Sha256};

use crate::adapters::disk::{self, DiskError, Naming};
pub use crate::adapters::identities::{Identities, IdentityError};

const STEP: u64 = 1024 * 1024;
const BLOCK: usize = 1024 * 1024;
/// Blocks that may be unpacked before the disk took them.
const BLOCKS_AHEAD: usize = 4;
/// zstd's own default: on text of conversations higher levels cost much time for few bytes.
const COMPRESSION_LEVEL: i32 = 3;
const LARGEST_WINDOW_LOG: u32 = 25;

/// What every file in the age format begins with.
const AGE_BEGINS: &[u8] = b"age-encryption.org/";
/// What every SQLite database begins with.
const DATABASE_BEGINS: &[u8] = b"SQLite format 3\0";
/// How much of a packed file is read at a time.
const READ_AT_ONCE: usize = 1 << 17;

/// Called after every MiB with how many bytes of the database are done; an error stops the work.
pub type Observe<'a> = &'a mut dyn FnMut(u64) -> io::Result<()>;

/// A packed file just written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packed {
    /// Its size.
    pub bytes: u64,
    /// Its SHA-256, hexadecimal.
    pub sha256: String,
    /// Whether it is encrypted.
    pub encrypted: bool,
}

/// Why a backup file could not be unpacked.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// The file is not what its manifest says.
    #[error("it does not verify: {0}")]
    Broken(String),
    /// It is encrypted, and no identity was given.
    #[error("it is encrypted: name the file that holds the secret key with --identity")]
    NeedsIdentity,
    /// It is encrypted to somebody else.
    #[error("it is encrypted, and not to any key in the identity file")]
    WrongIdentity,
    /// The caller wanted to stop.
    #[error("stopped before the backup was unpacked")]
    Stopped,
    /// The disk said no.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

/// Packs the database at `from` into `to`.
///
/// # Errors
/// What reading, writing or `observe` says.
pub fn pack(
    from: &Path,
    to: impl Write,
    recipient: Option<&Recipient>,
    observe: Observe<'_>,
) -> io::Result<Packed> {
    let mut source = File::open(from)?;
    let mut hashing = Hashing { inner: to, digest: Sha256::new(), bytes: 0 };
    match recipient {
        None => compress(&mut source, &mut hashing, observe)?,
        Some(recipient) => {
            let to_whom = std::iter::once(recipient as &dyn age::Recipient);
            let encryptor = Encryptor::with_recipients(to_whom).map_err(io::Error::other)?;
            let mut sealed = encryptor.wrap_output(&mut hashing)?;
            compress(&mut source, &mut sealed, observe)?;
            sealed.finish()?;
        }
    }
    hashing.inner.flush()?;
    Ok(Packed { bytes: hashing.bytes, sha256: hex(hashing.digest), encrypted: recipient.is_some() })
}

fn compress(source: &mut impl Read, to: impl Write, observe: Observe<'_>) -> io::Result<()> {
    let mut encoder = zstd::Encoder::new(to, COMPRESSION_LEVEL)?;
    encoder.include_checksum(true)?;
    copy(source, &mut encoder, observe)?;
    encoder.finish()?.flush()
}

fn copy(from: &mut impl Read, to: &mut impl Write, observe: Observe<'_>) -> io::Result<u64> {
    let mut done = 0;
    loop {
        let copied = io::copy(&mut from.by_ref().take(STEP), to)?;
        if copied == 0 {
            return Ok(done);
        }
        done += copied;
        observe(done)?;
    }
}

/// What a packed file is expected to be.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// Its SHA-256; `None` when there is no manifest.
    pub sha256: Option<&'a str>,
    /// The size of the database in it; `None` when there is no manifest.
    pub database_bytes: Option<u64>,
    /// Whether it is encrypted.
    pub encrypted: bool,
}

/// Unpacks the open backup `file`, which is at `from`, into the empty file `to`, which is not flushed to the disk.
///
/// # Errors
/// See [`UnpackError`]; what is in `to` is then worth nothing.
pub fn unpack(
    (from, file): (&Path, File),
    to: &File,
    expected: Expected<'_>,
    identities: &Identities,
    observe: Observe<'_>,
) -> Result<(), UnpackError> {
    let mut hashing =
        Hashing { inner: BufReader::with_capacity(READ_AT_ONCE, file), digest: Sha256::new(), bytes: 0 };
    let unpacked = decode(&mut hashing, to, expected, identities, observe);
    if let Err(
        UnpackError::NeedsIdentity | UnpackError::WrongIdentity | UnpackError::Stopped | UnpackError::Disk(_),
    ) = unpacked
    {
        return unpacked.map(|_| ());
    }
    // Also what a decoder did not care for: the hash is that of the whole file.
    io::copy(&mut hashing, &mut io::sink()).naming("read", from)?;
    let found = hex(hashing.digest);
    if expected.sha256.is_some_and(|sha256| sha256 != found) {
        return Err(UnpackError::Broken("its SHA-256 is not the one in its manifest".to_owned()));
    }
    let bytes = unpacked?;
    match expected.database_bytes.filter(|promised| *promised != bytes) {
        Some(promised) => {
            Err(UnpackError::Broken(format!("it holds {bytes} bytes, and its manifest says {promised}")))
        }
        None => Ok(()),
    }
}

/// Whether the file at `path` is encrypted, by its first bytes.
///
/// # Errors
/// When it cannot be read.
pub fn is_encrypted(path: &Path) -> Result<bool, DiskError> {
    let mut head = Vec::new();
    disk::open_to_read(path)?.take(AGE_BEGINS.len() as u64).read_to_end(&mut head).naming("read", path)?;
    Ok(head == AGE_BEGINS)
}

/// The SHA-256 of the file at `path`, hexadecimal.
///
/// # Errors
/// When it cannot be read.
pub fn sha256(path: &Path) -> Result<String, DiskError> {
    let file = disk::open_to_read(path)?;
    let mut hashing = Hashing { inner: file, digest: Sha256::new(), bytes: 0 };
    io::copy(&mut hashing, &mut io::sink()).naming("read", path)?;
    Ok(hex(hashing.digest))
}

fn decode(
    from: &mut (impl Read + Unpin),
    to: &File,
    expected: Expected<'_>,
    identities: &Identities,
    observe: Observe<'_>,
) -> Result<u64, UnpackError> {
    if !expected.encrypted {
        return decompress(from, to, expected, observe);
    }
    if identities.is_empty() {
        return Err(UnpackError::NeedsIdentity);
    }
    let decryptor = Decryptor::new(from).map_err(|error| UnpackError::Broken(error.to_string()))?;
    let keys = identities.0.iter().map(|key| key.as_ref() as &dyn Identity);
    let plain = decryptor.decrypt(keys).map_err(|error| {
        if matches!(error, age::DecryptError::NoMatchingKeys) {
            return UnpackError::WrongIdentity;
        }
        UnpackError::Broken(error.to_string())
    })?;
    decompress(plain, to, expected, observe)
}

fn decompress(
    from: impl Read,
    to: &File,
    expected: Expected<'_>,
    observe: Observe<'_>,
) -> Result<u64, UnpackError> {
    let broken = |error: io::Error| UnpackError::Broken(error.to_string());
    let mut from = BufReader::with_capacity(READ_AT_ONCE, from);
    if from.fill_buf().map_err(broken)?.starts_with(DATABASE_BEGINS) {
        let told = "it is a database as it lies on a disk, and a backup is packed: pack it with `zstd` first";
        return Err(UnpackError::Broken(told.to_owned()));
    }
    let mut decoder = zstd::Decoder::with_buffer(from).map_err(broken)?;
    decoder.window_log_max(LARGEST_WINDOW_LOG).map_err(broken)?;
    // One byte more than promised is enough to know.
    let most = expected.database_bytes.map_or(u64::MAX, |bytes| bytes.saturating_add(1));
    let (done, written) = thread::scope(|scope| {
        let (blocks, to_write) = mpsc::sync_channel(BLOCKS_AHEAD);
        let writing = scope.spawn(move || write_all(to_write, to));
        (hand_on(&mut decoder.take(most), &blocks, observe), {
            drop(blocks);
            writing.join()
        })
    });
    // A block that could not be written ends the reading, too: its error is the one to tell.
    written.unwrap_or_else(|panic| std::panic::resume_unwind(panic)).map_err(|source| DiskError {
        operation: "write",
        path: PathBuf::from("the unpacked copy"),
        source,
    })?;
    done.map_err(|error| {
        if error.kind() == io::ErrorKind::Interrupted { UnpackError::Stopped } else { broken(error) }
    })
}

/// Reads block after block for another thread to write, until there is none or nobody takes it.
fn hand_on(from: &mut impl Read, to: &SyncSender<Vec<u8>>, observe: Observe<'_>) -> io::Result<u64> {
    let mut done = 0;
    loop {
        let block = read_block(from)?;
        let bytes = block.len() as u64;
        if bytes == 0 || to.send(block).is_err() {
            return Ok(done);
        }
        done += bytes;
        observe(done)?;
    }
}

/// The next MiB; less at the end.
fn read_block(from: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut block = vec![0; BLOCK];
    let mut filled = 0;
    while filled < block.len() {
        match from.read(&mut block[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    block.truncate(filled);
    Ok(block)
}

fn write_all(blocks: Receiver<Vec<u8>>, mut to: &File) -> io::Result<()> {
    for block in blocks {
        to.write_all(&block)?;
    }
    Ok(())
}

/// Counts and hashes what passes.
struct Hashing<T> {
    inner: T,
    digest: Sha256,
    bytes: u64,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(data)?;
        self.digest.update(&data[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, data: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(data)?;
        self.digest.update(&data[..read]);
        self.bytes += read as u64;
        Ok(read)
    }
}

fn hex(digest: Sha256) -> String {
    digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(recipient: Option<&Recipient>, bytes: usize) -> (tempfile::NamedTempFile, Packed) {
        let source = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(source.path(), vec![7; bytes]).unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut seen = 0;
        let observe = &mut |done| {
            seen = done;
            Ok(())
        };
        let packed = pack(source.path(), file.as_file(), recipient, observe).unwrap();
        assert_eq!(seen, bytes as u64);
        (file, packed)
    }

    fn unpacked(
        file: &Path,
        expected: Expected<'_>,
        identities: &Identities,
    ) -> Result<Vec<u8>, UnpackError> {
        let to = tempfile::NamedTempFile::new().unwrap();
        unpack((file, File::open(file).unwrap()), to.as_file(), expected, identities, &mut |_| Ok(()))?;
        Ok(std::fs::read(to.path()).unwrap())
    }

    fn expected(packed: &Packed, encrypted: bool) -> Expected<'_> {
        Expected { sha256: Some(&packed.sha256), database_bytes: Some(3_000_000), encrypted }
    }

    #[test]
    fn what_was_packed_comes_back() {
        let (file, packed) = packed(None, 3_000_000);
        assert_eq!(packed.sha256, sha256(file.path()).unwrap());
        assert_eq!(packed.bytes, file.path().metadata().unwrap().len());
        let back = unpacked(file.path(), expected(&packed, false), &Identities::default()).unwrap();
        assert_eq!(back, vec![7; 3_000_000]);
    }

    #[test]
    fn only_its_key_opens_an_encrypted_one() {
        let key = age::x25519::Identity::generate();
        let (file, packed) = packed(Some(&key.to_public()), 3_000_000);
        let open = |identities| unpacked(file.path(), expected(&packed, true), &identities);
        assert!(matches!(open(Identities::default()), Err(UnpackError::NeedsIdentity)));
        let other = Identities(vec![Box::new(age::x25519::Identity::generate())]);
        assert!(matches!(open(other), Err(UnpackError::WrongIdentity)));
        assert_eq!(open(Identities(vec![Box::new(key)])).unwrap(), vec![7; 3_000_000]);
    }

    #[test]
    fn a_file_that_is_not_what_its_manifest_says_is_broken() {
        let (file, packed) = packed(None, 3_000_000);
        let whole = std::fs::read(file.path()).unwrap();
        let none = Identities::default();
        let mut flipped = whole.clone();
        flipped[whole.len() / 2] ^= 1;
        let mut longer = whole.clone();
        longer.push(0);
        for bad in [&whole[..whole.len() - 9], &flipped, &longer, b"", b"text"] {
            std::fs::write(file.path(), bad).unwrap();
            let told = unpacked(file.path(), expected(&packed, false), &none);
            assert!(matches!(told, Err(UnpackError::Broken(_))));
        }
        std::fs::write(file.path(), &whole).unwrap();
        for promised in [2_999_999, 3_000_001] {
            let wrong = Expected { database_bytes: Some(promised), ..expected(&packed, false) };
            assert!(matches!(unpacked(file.path(), wrong, &none), Err(UnpackError::Broken(_))));
        }
    }

    #[test]
    fn an_identity_file_is_never_quoted() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for content in ["", "AGE-SECRET-KEY-1SECRETSECRET\n", "# only a comment\n"] {
            std::fs::write(file.path(), content).unwrap();
            let told = Identities::read(file.path()).map(|_| ()).unwrap_err().to_string();
            assert!(told.contains("identity file") && !told.contains("SECRETSECRET"), "{told}");
        }
    }
}
