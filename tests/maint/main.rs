//! The real executables, as an operator and their scheduler run them: exit codes, JSON, files on disk.
#![expect(clippy::unwrap_used, reason = "a failed expectation fails the test, with its place")]

mod around_the_clock;
mod backups;
mod bad_input;
mod cleanup;
mod damaged_backups;
mod disk_fills_midway;
mod doctor;
mod erasures;
mod full_disk;
mod handbook;
mod import;
mod import_kills;
mod installations;
mod keep;
mod kills;
mod kills_of_restore;
mod ledger;
mod links;
mod long_conversations;
mod memories;
mod network_disks;
mod owners;
mod pipes;
mod planted_links;
mod progress;
mod qdrant;
#[path = "../qdrant/server.rs"]
mod qdrant_server;
#[path = "../ports/refusing.rs"]
mod refusing;
mod restore;
mod scheduling;
mod servers;
mod support;
mod unwritable;
mod upgrades;
mod verify;
mod ways_in;
