//! STAND-IN
#![allow(missing_docs)]
use std::{num::NonZeroU32, path::{Path, PathBuf}, time::Duration};
use crate::domain::{chat::{Crisis, Persona}, retention::RetentionDays};
#[derive(Debug, Clone)]
pub struct StorageConfig { pub data_dir: PathBuf, pub database: PathBuf, pub audio_dir: PathBuf, pub backup_dir: PathBuf, pub min_free_disk_bytes: u64 }
#[derive(Debug, Clone)]
pub struct RetentionConfig { pub session_days: Option<RetentionDays>, pub person_days: Option<RetentionDays>, pub audio_max_age: Duration, pub audio_max_total_bytes: u64, pub backup_keep: NonZeroU32 }
#[derive(Debug, Clone)]
pub struct LogConfig { pub level: tracing::level_filters::LevelFilter, pub format: LogFormat }
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat { Console, Json }
#[derive(Debug, Clone)]
pub struct LimitsConfig { pub max_request_bytes: u64, pub max_message_chars: usize, pub max_connections: usize, pub max_turns: usize }
#[derive(Debug, Clone)]
pub struct ServerConfig { pub host: String, pub port: u16, pub storage: StorageConfig, pub retention: RetentionConfig, pub limits: LimitsConfig, pub drain: Duration, pub trusted_proxies: Vec<ipnet::IpNet>, pub persona: Persona, pub log: LogConfig, pub ignored: Vec<String> }
#[derive(Debug, Clone, Default)]
pub struct Flags { pub env_file: Option<PathBuf>, pub overrides: Vec<(&'static str, String)> }
impl ServerConfig {
  pub fn load(f: Flags) -> Result<Self, String> { let mut c = Self::for_testing(Path::new("data")); c.port=8000; for (k,v) in f.overrides { match k { "PORT" => c.port = v.parse().map_err(|_| "port".to_string())?, "DATA_DIR" => { let k = Self::for_testing(Path::new(&v)); c.storage = k.storage; } _ => {} } } Ok(c) }
  pub fn for_testing(d: &Path) -> Self { Self { host: "127.0.0.1".into(), port: 0, storage: storage(d), retention: retention(), limits: LimitsConfig { max_request_bytes: 10485760, max_message_chars: 8000, max_connections: 8192, max_turns: 1024 }, drain: Duration::from_secs(20), trusted_proxies: vec![], persona: Persona { name: "x".into(), character: "x".into(), greetings: vec!["Hello".into()], honesty: "prog".into(), crisis: Crisis { answers: vec!["x".into()], help: "help".into() } }, log: LogConfig { level: tracing::level_filters::LevelFilter::INFO, format: LogFormat::Json }, ignored: vec![] } }
}
fn storage(d: &Path) -> StorageConfig { StorageConfig { data_dir: d.into(), database: d.join("companion.db"), audio_dir: d.join("audio"), backup_dir: d.join("backups"), min_free_disk_bytes: 104857600 } }
fn retention() -> RetentionConfig { RetentionConfig { session_days: RetentionDays::new(7), person_days: RetentionDays::new(400), audio_max_age: Duration::from_secs(86400), audio_max_total_bytes: 1 << 30, backup_keep: NonZeroU32::MIN.saturating_add(6) } }
#[derive(Debug, Clone)]
pub struct MaintConfig { pub storage: StorageConfig, pub retention: RetentionConfig, pub log: LogConfig, pub ignored: Vec<String> }
impl MaintConfig { pub fn load(f: Flags) -> Result<Self, String> { let mut s = storage(Path::new("data")); for (k,v) in f.overrides { if k == "DATA_DIR" { s = storage(Path::new(&v)); } } Ok(Self { storage: s, retention: retention(), log: LogConfig { level: tracing::level_filters::LevelFilter::INFO, format: LogFormat::Json }, ignored: vec![] }) } }
