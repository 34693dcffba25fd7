//! A backup with a random flaw is refused, or the flaw is harmless and exactly what was backed up comes back: never a
//! wrong database, never a lost one.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::content::Content;
use crate::support::dice::{Dice, rounds};
use crate::support::seed::{self, HOUR};
use crate::support::{House, names};

/// A house with one backup, to which something was added since.
struct Damaged {
    house: House,
    backup: PathBuf,
    manifest: PathBuf,
    backed_up: Content,
    refused: u32,
}

impl Damaged {
    fn new() -> Self {
        let house = House::built();
        seed::sessions(&mut house.db(), 30, 10, seed::now() - HOUR);
        house.maint(&["backup-db"]).expect(0);
        let (backup, backed_up) = (house.backups().pop().unwrap(), house.content());
        let manifest = PathBuf::from(backup.to_string_lossy().replace(".db.zst", ".json"));
        seed::sessions(&mut house.db(), 1, 1, seed::now() - HOUR);
        Self { house, backup, manifest, backed_up, refused: 0 }
    }

    /// Restores it as it is now.
    #[track_caller]
    fn restore(&mut self, flaw: &str, force: &[&str]) {
        let before = self.house.content();
        let asides = names(&self.house.dir.join("set-aside"), "");
        let restore = ["restore-db", self.backup.to_str().unwrap(), "--yes"];
        let ran = self.house.maint(&[&restore[..], force].concat());
        if ran.code == 0 {
            assert_eq!(self.house.content(), self.backed_up, "{flaw}: a wrong database");
            return;
        }
        self.refused += 1;
        // 1: the size that the manifest promises has become one for which there is no room.
        assert!(ran.code == 4 || ran.error().contains("space"), "{flaw}: {} {}", ran.code, ran.stdout);
        assert_eq!(self.house.content(), before, "{flaw}");
        assert_eq!(names(&self.house.dir.join("set-aside"), ""), asides, "{flaw}");
        assert!(!self.house.dir.join("restore.pending").exists(), "{flaw}");
        self.house.assert_no_temporary_files();
    }
}

fn flip(path: &Path, dice: &mut Dice) -> String {
    let mut bytes = fs::read(path).unwrap();
    let (place, bit) = (dice.below(bytes.len() as u64), dice.below(8));
    bytes[usize::try_from(place).unwrap()] ^= 1 << bit;
    fs::write(path, bytes).unwrap();
    format!("bit {bit} of byte {place} of {}", path.display())
}

#[test]
fn a_bit_that_flipped_anywhere_in_a_backup_or_its_manifest() {
    let mut damaged = Damaged::new();
    let mut dice = Dice::new("flipped_bits");
    for round in 0..rounds(40) {
        let path = if round % 4 == 0 { damaged.manifest.clone() } else { damaged.backup.clone() };
        let whole = fs::read(&path).unwrap();
        let flaw = flip(&path, &mut dice);
        damaged.restore(&flaw, &[]);
        fs::write(&path, whole).unwrap();
    }
    assert!(damaged.refused >= rounds(30), "every flaw of the backup itself is found: {}", damaged.refused);
    damaged.restore("no flaw", &[]);
    assert_eq!(damaged.house.content(), damaged.backed_up);
}

/// What is left to hold it against is the checksum within, and the database itself.
#[test]
fn a_bit_that_flipped_in_a_backup_that_has_lost_its_manifest() {
    let mut damaged = Damaged::new();
    fs::remove_file(&damaged.manifest).unwrap();
    let whole = fs::read(&damaged.backup).unwrap();
    let mut dice = Dice::new("flipped_without_manifest");
    for _ in 0..rounds(30) {
        let path = damaged.backup.clone();
        let flaw = flip(&path, &mut dice);
        damaged.restore(&flaw, &["--force"]);
        fs::write(&path, &whole).unwrap();
    }
    assert!(damaged.refused >= rounds(25), "almost every one is found: {}", damaged.refused);
}

#[test]
fn a_backup_that_ends_anywhere() {
    let mut damaged = Damaged::new();
    let whole = fs::read(&damaged.backup).unwrap();
    let mut dice = Dice::new("truncated");
    for round in 0..rounds(10) {
        let length = usize::try_from(dice.below(whole.len() as u64)).unwrap();
        fs::write(&damaged.backup, &whole[..length]).unwrap();
        damaged.restore(&format!("cut at {length}"), &[]);
        assert_eq!(damaged.refused, round + 1);
    }
}
