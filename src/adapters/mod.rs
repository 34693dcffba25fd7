//! One outside thing per file: SQLite, the data directory, audio files, backups, the offline companion.

pub mod audio_store;
pub mod backup_codec;
pub mod backup_store;
pub mod backup_writer;
pub mod data_dir;
pub mod database;
mod db_error;
pub mod disk;
pub mod erasure_ledger;
pub mod expiry_store;
pub mod import_store;
pub mod inspection;
pub mod installation;
pub mod langgraph;
pub mod metrics_file;
pub mod offline;
pub mod person_store;
pub mod ping;
pub mod private_files;
pub mod reserve;
pub mod run_store;
pub mod session_store;
pub mod set_aside;
pub mod snapshot;
pub mod sqlite;
pub mod write_ahead_log;
