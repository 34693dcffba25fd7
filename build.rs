//! Turns `static/` into Rust: fingerprints, compresses and embeds the web client, so that the server is one file.
//!
//! Pages, stylesheets and modules name other files as `/static/<path>`; here each such name is given its fingerprint.
//! A fingerprint covers what the browser gets, the names of other files included, so a file is finished only after
//! everything it refers to. Pages keep plain names: people type them. What a stylesheet imports is put in its place. The
//! service worker keeps its name as well, and is told what the page consists of.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fmt::Write as _;
use std::io::{Cursor, Write as _};
use std::path::{Path, PathBuf};
use std::{env, fs};

use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Where files are served, and so how they are referred to.
const PREFIX: &str = "/static/";

/// How a stylesheet takes another one in.
const IMPORT: &str = "@import \"/static/";

/// The page whose files the service worker keeps, and that worker.
const INDEX: &str = "index.html";
const WORKER: &str = "sw.js";

/// Where the bytes lie for the compiler, beside the source that names them.
const STORE: &str = "embedded";

/// All files of a release together, in all their encodings: so much of the server's memory they take for good. README,
/// Limits.
const MOST_BYTES: u64 = 4 << 20;

/// What a file is, told by its ending.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    /// Served under its own name.
    Page,
    /// May refer to other files.
    Text,
    /// Taken as it is.
    Binary,
}

/// A file as a browser will get it.
struct Finished {
    /// Its path below [`PREFIX`], or a page's plain name.
    name: String,
    kind: Kind,
    mime: &'static str,
    content: Vec<u8>,
}

fn main() -> Result<()> {
    let root = PathBuf::from(cargo_says("CARGO_MANIFEST_DIR")?).join("static");
    let out = PathBuf::from(cargo_says("OUT_DIR")?);
    tell_cargo("build.rs");
    let mut sources = BTreeMap::new();
    read_tree(&root, "", &mut sources)?;
    let mut finisher = Finisher { sources: &sources, done: BTreeMap::new(), under_way: Vec::new() };
    for name in sources.keys() {
        finisher.finish(name)?;
    }
    let mut done = finisher.done;
    tell_worker(&mut done)?;
    let mut finished: Vec<_> = done.into_values().collect();
    finished.sort_by(|a, b| a.name.cmp(&b.name));
    let store = out.join(STORE);
    fs::write(out.join("assets.rs"), table(&finished, &cargo_says("CARGO_PKG_VERSION")?, &store)?)?;
    check_size(&store)
}

fn check_size(store: &Path) -> Result<()> {
    let mut bytes = 0;
    for entry in fs::read_dir(store)? {
        bytes += entry?.metadata()?.len();
    }
    if bytes > MOST_BYTES {
        return Err(
            format!("static/ takes {bytes} bytes with what is compressed, more than {MOST_BYTES}").into()
        );
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "cargo speaks to a build script through the environment")]
fn cargo_says(name: &str) -> Result<String> {
    env::var(name).map_err(|error| format!("{name}: {error}").into())
}

fn tell_cargo(changed: impl std::fmt::Display) {
    println!("cargo:rerun-if-changed={changed}");
}

/// Reads every file below `directory`; `prefix` is its path from `static/`, with a slash at its end.
fn read_tree(directory: &Path, prefix: &str, found: &mut BTreeMap<String, Vec<u8>>) -> Result<()> {
    // Naming the directory as well lets cargo notice a file that is new or gone.
    tell_cargo(directory.display());
    for entry in fs::read_dir(directory).map_err(|error| format!("{}: {error}", directory.display()))? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_str().filter(|name| name.chars().all(|c| c != '/' && is_name_char(c)));
        let name = name.ok_or_else(|| {
            format!("{}: only A-Z a-z 0-9 . _ - may stand in a file's name", entry.path().display())
        })?;
        let path = format!("{prefix}{name}");
        if entry.file_type()?.is_dir() {
            read_tree(&entry.path(), &format!("{path}/"), found)?;
        } else {
            tell_cargo(entry.path().display());
            found.insert(path, fs::read(entry.path())?);
        }
    }
    Ok(())
}

/// Whether a reference to a file goes on with this character.
fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/')
}

fn kind_of(name: &str) -> Result<(Kind, &'static str)> {
    if name == WORKER {
        return Ok((Kind::Page, "text/javascript; charset=utf-8"));
    }
    Ok(match name.rsplit('.').next() {
        Some("html") => (Kind::Page, "text/html; charset=utf-8"),
        Some("css") => (Kind::Text, "text/css; charset=utf-8"),
        Some("js") => (Kind::Text, "text/javascript; charset=utf-8"),
        Some("svg") => (Kind::Text, "image/svg+xml"),
        Some("webmanifest") => (Kind::Text, "application/manifest+json"),
        Some("json") => (Kind::Text, "application/json"),
        Some("png") => (Kind::Binary, "image/png"),
        Some("ico") => (Kind::Binary, "image/x-icon"),
        Some("webp") => (Kind::Binary, "image/webp"),
        Some("woff2") => (Kind::Binary, "font/woff2"),
        Some(_) | None => {
            return Err(format!("static/{name}: build.rs does not know this kind of file").into());
        }
    })
}

/// Finishes files, each after those it refers to.
struct Finisher<'a> {
    sources: &'a BTreeMap<String, Vec<u8>>,
    done: BTreeMap<String, Finished>,
    under_way: Vec<String>,
}

impl Finisher<'_> {
    fn finish(&mut self, path: &str) -> Result<()> {
        if self.done.contains_key(path) {
            return Ok(());
        }
        if let Some(start) = self.under_way.iter().position(|other| other == path) {
            let circle = self.under_way.split_off(start).join(" -> ");
            let why = "a fingerprint covers the names of the files referred to, so none of them can be first";
            return Err(format!("static/: a circle of references: {circle} -> {path} ({why})").into());
        }
        let source = self.sources.get(path).ok_or_else(|| format!("static/{path} is missing"))?;
        let (kind, mime) = kind_of(path)?;
        self.under_way.push(path.to_owned());
        let content = if kind == Kind::Binary { source.clone() } else { self.rewrite(path, source)? };
        self.under_way.pop();
        let name = if kind == Kind::Page { path.to_owned() } else { fingerprinted(path, &content) };
        self.done.insert(path.to_owned(), Finished { name, kind, mime, content });
        Ok(())
    }

    /// Gives every reference in a text its fingerprint. A stylesheet that another one imports is put in its place: the rooms of a
    /// stylesheet come in one request.
    fn rewrite(&mut self, path: &str, source: &[u8]) -> Result<Vec<u8>> {
        let mut rest = str::from_utf8(source).map_err(|error| format!("static/{path}: {error}"))?;
        let mut text = String::with_capacity(rest.len());
        while let Some(at) = rest.find(PREFIX) {
            let (before, after) = rest.split_at(at + PREFIX.len());
            let end = after.find(|c| !is_name_char(c)).unwrap_or(after.len());
            let target = after[..end].trim_end_matches('.');
            if !self.sources.contains_key(target) || kind_of(target)?.0 == Kind::Page {
                let problem = "which is no file in static/ that can be fingerprinted";
                return Err(format!("static/{path} refers to {PREFIX}{target}, {problem}").into());
            }
            self.finish(target)?;
            rest = &after[target.len()..];
            let done = &self.done[target];
            if let (Some(before), Some(after)) = (before.strip_suffix(IMPORT), rest.strip_prefix("\";\n")) {
                text.push_str(before);
                text.push_str(str::from_utf8(&done.content)?);
                rest = after;
            } else {
                text.push_str(before);
                text.push_str(&done.name);
            }
        }
        text.push_str(rest);
        Ok(text.into_bytes())
    }
}

/// Tells the service worker the files of the page, and what this set of them is called.
fn tell_worker(done: &mut BTreeMap<String, Finished>) -> Result<()> {
    let missing = |name| format!("static/{name} is missing");
    let page = done.get(INDEX).ok_or_else(|| missing(INDEX))?;
    let files = files_of(page, done)?.into_iter().map(|name| format!("{PREFIX}{name}")).collect::<Vec<_>>();
    let release = hex_digest(&page.content)[..16].to_owned();
    let worker = done.get_mut(WORKER).ok_or_else(|| missing(WORKER))?;
    let text = str::from_utf8(&worker.content)?;
    let text = text.replace("{release}", &release).replace("{files}", &files.join("\", \""));
    worker.content = text.into_bytes();
    Ok(())
}

/// What a page refers to and what that refers to, by name, but for pictures: those are large, and it can be used without.
fn files_of(page: &Finished, done: &BTreeMap<String, Finished>) -> Result<BTreeSet<String>> {
    let by_name: BTreeMap<&str, _> = done.values().map(|file| (file.name.as_str(), file)).collect();
    let mut found = BTreeSet::new();
    let mut unread = vec![page];
    while let Some(file) = unread.pop() {
        for after in str::from_utf8(&file.content)?.split(PREFIX).skip(1) {
            let end = after.find(|c| !is_name_char(c)).unwrap_or(after.len());
            let Some(other) = by_name.get(after[..end].trim_end_matches('.')) else { continue };
            if other.kind == Kind::Text && found.insert(other.name.clone()) {
                unread.push(other);
            }
        }
    }
    Ok(found)
}

fn hex_digest(content: &[u8]) -> String {
    Sha256::digest(content).iter().fold(String::new(), |mut hex, byte| {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// `app.js` with its content's fingerprint: `app-0123456789abcdef.js`.
fn fingerprinted(path: &str, content: &[u8]) -> String {
    let (stem, ending) = path.rsplit_once('.').unwrap_or((path, ""));
    format!("{stem}-{}.{ending}", &hex_digest(content)[..16])
}

fn brotli(content: &[u8]) -> Result<Vec<u8>> {
    let parameters = brotli::enc::BrotliEncoderParams { quality: 11, ..Default::default() };
    let mut small = Vec::new();
    brotli::BrotliCompress(&mut Cursor::new(content), &mut small, &parameters)?;
    Ok(small)
}

fn gzip(content: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(content)?;
    Ok(encoder.finish()?)
}

/// The Rust source `src/web/assets.rs` includes: one static per page, a slice of all other files by name, and what this
/// set of files is called.
fn table(finished: &[Finished], version: &str, store: &Path) -> Result<String> {
    // What an earlier build left would only gather.
    if store.exists() {
        fs::remove_dir_all(store)?;
    }
    fs::create_dir_all(store)?;
    let (mut pages, mut assets) = (String::new(), String::new());
    for file in finished {
        let value = entry(file, store)?;
        if file.kind == Kind::Page {
            let constant = file.name.to_uppercase().replace(|c: char| !c.is_ascii_alphanumeric(), "_");
            writeln!(pages, "/// The page `{}`.\npub static {constant}: Asset = {value};", file.name)?;
        } else {
            writeln!(assets, "    {value},")?;
        }
    }
    // The tags in it change with every byte of every encoding.
    let release = format!("{version}-{}", &hex_digest(assets.as_bytes())[..16]);
    Ok(format!(
        "{pages}\n/// Every fingerprinted file, by name.\npub static ASSETS: &[Asset] = &[\n{assets}];\n
/// What this set of files is called: the version and a hash of the set.\npub const RELEASE: &str = {release:?};\n"
    ))
}

fn entry(file: &Finished, store: &Path) -> Result<String> {
    let compressed = |ending: &str, small: Vec<u8>| -> Result<String> {
        if small.len() >= file.content.len() {
            return Ok("None".to_owned());
        }
        Ok(format!("Some({})", variant(&small, &format!("{}.{ending}", file.name), store)?))
    };
    Ok(format!(
        "Asset {{ name: {:?}, mime: {:?}, identity: {}, br: {}, gzip: {} }}",
        file.name,
        file.mime,
        variant(&file.content, &file.name, store)?,
        compressed("br", brotli(&file.content)?)?,
        compressed("gz", gzip(&file.content)?)?,
    ))
}

/// Leaves the bytes where the compiler picks them up. The tag is made of these bytes, not of the file they were
/// compressed from: a new compressor may write others, and a strong tag must tell.
fn variant(bytes: &[u8], name: &str, store: &Path) -> Result<String> {
    let file = name.replace('/', "+");
    fs::write(store.join(&file), bytes)?;
    let path = format!("{STORE}/{file}");
    let etag = format!("\"{}\"", &hex_digest(bytes)[..32]);
    Ok(format!("Variant {{ bytes: include_bytes!({path:?}), etag: {etag:?} }}"))
}
