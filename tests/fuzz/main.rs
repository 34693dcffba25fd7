//! What coverage-guided fuzzing has found worth keeping, played again: every file of `corpus/<target>` is handed to that
//! target, which asserts what has to hold. How new files are found: `tests/fuzz/run`.
#![expect(clippy::unwrap_used, reason = "a failed expectation fails the test, with its place")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

mod targets;

use targets::{TARGETS, Target};

/// Files of one target, and bytes of all: what is kept is minimised.
const MOST_FILES: usize = 200;
const MOST_BYTES: u64 = 512 << 10;

fn corpus(target: &str) -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(target);
    let mut files: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// Which file it was is said last.
fn play(target: Target, path: &Path) -> Result<(), PathBuf> {
    let data = fs::read(path).unwrap();
    std::panic::catch_unwind(|| target(&data)).map_err(|_| path.to_owned())
}

#[test]
fn what_was_found_is_handled_as_it_has_to_be() {
    let played =
        TARGETS.iter().flat_map(|(name, target)| corpus(name).into_iter().map(|path| play(*target, &path)));
    let (passed, failed): (Vec<_>, Vec<_>) = played.partition(Result::is_ok);
    assert!(failed.is_empty(), "{failed:#?}");
    assert!(passed.len() >= TARGETS.len() * 5, "there are only {} files", passed.len());
}

#[test]
fn every_target_has_a_corpus_and_it_is_small() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus");
    let dirs: BTreeSet<_> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(dirs, TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect());
    let mut bytes = 0;
    for (name, _) in TARGETS {
        let files = corpus(name);
        assert!((1..=MOST_FILES).contains(&files.len()), "{name}: {} files", files.len());
        bytes += files.iter().map(|path| fs::metadata(path).unwrap().len()).sum::<u64>();
    }
    assert!(bytes <= MOST_BYTES, "{bytes} bytes");
}

/// A lock file of the fuzzer's own would go on without what the product needs by now, and nothing would be looked for any more.
#[test]
fn the_fuzzer_is_built_from_what_the_product_is_built_from() {
    let read = |name: &str| {
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap();
        toml::from_str::<toml::Table>(&text).unwrap()
    };
    let versions = |lock: &toml::Table| -> BTreeSet<(String, String)> {
        let text = |package: &toml::Value, key: &str| package[key].as_str().unwrap().to_owned();
        let packages = lock["package"].as_array().unwrap().iter();
        packages.map(|package| (text(package, "name"), text(package, "version"))).collect()
    };
    let (ours, theirs) = (versions(&read("Cargo.lock")), read("tests/fuzz/libfuzzer/Cargo.lock"));
    let names: BTreeSet<_> = ours.iter().map(|(name, _)| name.clone()).collect();
    let other: Vec<_> =
        versions(&theirs).difference(&ours).filter(|(name, _)| names.contains(name)).cloned().collect();
    assert!(other.is_empty(), "other versions than in Cargo.lock: {other:?}");
    let packages = theirs["package"].as_array().unwrap();
    let companion = packages.iter().find(|package| package["name"].as_str() == Some("companion")).unwrap();
    // "serde", or "syn 2.0.1" where there are several.
    let known = companion["dependencies"].as_array().unwrap().iter();
    let known: BTreeSet<_> = known.map(|name| name.as_str().unwrap().split(' ').next().unwrap()).collect();
    let manifest = read("Cargo.toml");
    let always = |needed: &toml::Value| needed.get("optional").and_then(toml::Value::as_bool) != Some(true);
    let missing: Vec<_> = ["dependencies", "build-dependencies"]
        .iter()
        .flat_map(|kind| manifest[*kind].as_table().unwrap())
        .filter(|(name, needed)| always(needed) && !known.contains(name.as_str()))
        .map(|(name, _)| name)
        .collect();
    assert!(missing.is_empty(), "not in tests/fuzz/libfuzzer/Cargo.lock: {missing:?}");
}
