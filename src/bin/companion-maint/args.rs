//! The command line: what can be asked for. The doc comments are the help texts.
#![expect(clippy::doc_markdown, reason = "help texts are shown as they stand")]

use std::ops::RangeInclusive;
use std::path::PathBuf;

use clap::builder::{PathBufValueParser, TypedValueParser};
use clap::{Args, Parser, Subcommand};
use companion::adapters::metrics_file::TextfilePath;
use companion::domain::retention::RetentionDays;
use companion::domain::span::Span;

/// Keeps the house of a companion: deletes what has expired, makes proven backups, tells how things are. Run it by
/// hand, or from cron, systemd timers or Kubernetes CronJobs, while the server is running.
///
/// Exit codes: 0 done or nothing to do; 1 failed, the report says what changed; 2 wrong usage or settings, nothing was
/// touched; 3 some items failed, the rest is done, safe to run again (backup-db only after a look); 4 refused for
/// safety; 75 another run of this job holds the lock.
#[derive(Debug, Parser)]
#[command(name = "companion-maint", version, max_term_width = 100, after_long_help = companion::config::describe())]
pub struct Arguments {
    /// What to do
    #[command(subcommand)]
    pub command: Command,
    /// What every command takes
    #[command(flatten)]
    pub common: Common,
}

/// What every command takes.
#[derive(Debug, Args)]
pub struct Common {
    /// The data directory (DATA_DIR)
    #[arg(long, global = true, value_name = "DIR")]
    pub data_dir: Option<String>,
    /// The .env file [default: ./.env, if there is one]
    #[arg(long, global = true, value_name = "FILE")]
    pub env_file: Option<PathBuf>,
    /// Report as one JSON document
    #[arg(long, global = true)]
    pub json: bool,
    /// No report when all went well, and only warnings in the log
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// More in the log
    #[arg(long, short, global = true, conflicts_with = "quiet")]
    pub verbose: bool,
    /// Wait so long for another run of this job to end (30s, 5m, 1h) before giving up with exit 75 [default: not at all]
    #[arg(long, global = true, value_name = "DURATION", allow_hyphen_values = true)]
    pub wait_lock: Option<Span>,
    /// Stop at the next safe point after this time (30s, 5m, 1h), as SIGTERM does: exit 1, safe to run again
    #[arg(long, global = true, value_name = "DURATION", allow_hyphen_values = true)]
    pub max_runtime: Option<Span>,
    /// Write how the run went for Prometheus' node exporter, one file per job; one that cannot be written makes exit 0
    /// an exit 3
    #[arg(long, global = true, value_name = "x.prom", value_parser = PathBufValueParser::new().try_map(TextfilePath::try_from))]
    pub metrics_file: Option<TextfilePath>,
    /// GET this address (healthchecks.io): with /start before the work, as it is after exit 0, with the exit code (/75)
    /// after any other; a ping that fails is a warning in the log and nothing more
    #[arg(long, global = true, value_name = "URL")]
    pub ping_url: Option<String>,
}

/// What changes something can be tried first, and forced.
#[derive(Debug, Args)]
pub struct Changing {
    /// Make the same plan and stop before the first change
    #[arg(long)]
    pub dry_run: bool,
    /// Go past the refusal that was told (a doubtful clock, a stricter retention, too much to delete, another
    /// installation's backups); a guarded backup stays, and that most rows have gone is told, all the same
    #[arg(long)]
    pub force: bool,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Delete sessions idle longer than their retention, and give the space back
    ///
    /// People unseen for PERSON_RETENTION_DAYS are erased with all their sessions, pinned ones as well.
    CleanupSessions(CleanupSessions),
    /// Delete audio replies past their age, then the oldest beyond the byte budget
    CleanupAudio(CleanupAudio),
    /// Make a proven backup while the server writes, then remove old ones
    BackupDb(BackupDb),
    /// Bring a backup back: proven first, undone if anything fails; the server has to be stopped
    RestoreDb(RestoreDb),
    /// Show the backups there are, newest first
    ListBackups,
    /// Unpack every backup and look through it
    VerifyBackups(VerifyBackups),
    /// Look for what is wrong on disk and in the database, and mend what is safe to mend
    ///
    /// Works while the server runs and people talk. Exit 3 when it found something (with --repair: when something is
    /// left), 0 when all is well. The check of the database's integrity reads all of it as it is at one moment; nobody
    /// waits for that, but the write-ahead log cannot be emptied meanwhile, so on a large and busy database let it run
    /// at a quiet hour. A damaged database is never touched: restore a backup.
    Doctor(Doctor),
    /// Bring in the conversations of a predecessor that kept them with LangGraph, as often as wanted without doubling
    ImportLanggraph(ImportLanggraph),
    /// Make the indexes that memories are found by anew from the memories themselves, with people talking meanwhile
    ///
    /// The embedded one, and the copy of it in Qdrant where QDRANT_URL names one: begun from nothing, so that whatever was
    /// wrong with it is gone. While the copy is made, the embedded index finds memories. Where a server runs, it makes the
    /// copy and this command shows how far it is.
    ReindexMemories(ReindexMemories),
    /// Tell what is on disk, when each job last ran, what the next cleanup would take
    Status,
}

/// `cleanup-sessions`
#[derive(Debug, Args)]
pub struct CleanupSessions {
    /// Whole days, 1 to 36500 [default: SESSION_RETENTION_DAYS]; a stricter one than that is refused
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub retention_days: Option<RetentionDays>,
    /// The most sessions to delete in one transaction, up to 500
    #[arg(long, value_name = "N", default_value = "500", allow_hyphen_values = true, value_parser = whole::<u32>(1..=500))]
    pub batch_size: u32,
    /// Refuse to delete more than this share of all sessions, of all people, or of all memories
    #[arg(long, value_name = "P", allow_hyphen_values = true, value_parser = whole::<u8>(0..=100))]
    pub max_delete_percent: Option<u8>,
    /// Leave the freed space inside the database file
    #[arg(long)]
    pub no_compact: bool,
    /// Trying and forcing
    #[command(flatten)]
    pub changing: Changing,
}

/// `cleanup-audio`
#[derive(Debug, Args)]
pub struct CleanupAudio {
    /// Hours, 1 to 876000 [default: AUDIO_MAX_AGE_HOURS]
    #[arg(long, value_name = "N", allow_hyphen_values = true, value_parser = whole::<u64>(1..=876_000))]
    pub max_age_hours: Option<u64>,
    /// The byte budget [default: AUDIO_MAX_TOTAL_BYTES]
    #[arg(long, value_name = "N", allow_hyphen_values = true, value_parser = whole::<u64>(0..=u64::MAX))]
    pub max_total_bytes: Option<u64>,
    /// Also delete files no checkpoint refers to, and leftovers of interrupted writes (older than an hour)
    #[arg(long)]
    pub orphans: bool,
    /// Refuse to delete more than this share of all files
    #[arg(long, value_name = "P", allow_hyphen_values = true, value_parser = whole::<u8>(0..=100))]
    pub max_delete_percent: Option<u8>,
    /// Trying and forcing
    #[command(flatten)]
    pub changing: Changing,
}

/// `backup-db`
#[derive(Debug, Args)]
pub struct BackupDb {
    /// How many of the newest backups stay [default: BACKUP_KEEP]
    #[arg(long, value_name = "N", conflicts_with = "stdout", allow_hyphen_values = true, value_parser = whole::<u32>(1..=10_000))]
    pub keep: Option<u32>,
    /// The newest of each of the last N days that have a backup stays, too [default: BACKUP_KEEP_DAILY]
    #[arg(long, value_name = "N", conflicts_with = "stdout", allow_hyphen_values = true, value_parser = whole::<u32>(0..=100_000))]
    pub keep_daily: Option<u32>,
    /// The same by weeks [default: BACKUP_KEEP_WEEKLY]
    #[arg(long, value_name = "N", conflicts_with = "stdout", allow_hyphen_values = true, value_parser = whole::<u32>(0..=10_000))]
    pub keep_weekly: Option<u32>,
    /// The same by months [default: BACKUP_KEEP_MONTHLY]
    #[arg(long, value_name = "N", conflicts_with = "stdout", allow_hyphen_values = true, value_parser = whole::<u32>(0..=10_000))]
    pub keep_monthly: Option<u32>,
    /// Where the backup goes [default: BACKUP_DIR]
    #[arg(long, value_name = "DIR", conflicts_with = "stdout")]
    pub output_dir: Option<PathBuf>,
    /// Write the compressed backup to stdout, for a pipe; the report goes to stderr
    #[arg(long)]
    pub stdout: bool,
    /// Trying and forcing
    #[command(flatten)]
    pub changing: Changing,
}

/// `restore-db`
#[derive(Debug, Args)]
pub struct RestoreDb {
    /// A backup's path, its name in BACKUP_DIR, or "latest"
    #[arg(value_name = "FILE|latest")]
    pub backup: String,
    /// The file with the secret key of an encrypted backup, as age-keygen writes it
    #[arg(long, value_name = "FILE")]
    pub identity: Option<PathBuf>,
    /// Do not ask; needed where nobody is at the terminal
    #[arg(long)]
    pub yes: bool,
    /// Trying and forcing
    #[command(flatten)]
    pub changing: Changing,
}

/// `verify-backups`
#[derive(Debug, Args)]
pub struct VerifyBackups {
    /// Also restore the newest one into a directory of its own, and read from it
    #[arg(long)]
    pub restore_drill: bool,
    /// The file with the secret key of encrypted backups; without it they are held against their SHA-256 only
    #[arg(long, value_name = "FILE")]
    pub identity: Option<PathBuf>,
}

/// `doctor`
#[derive(Debug, Args)]
pub struct Doctor {
    /// Mend what is safe to mend, and look again
    #[arg(long)]
    pub repair: bool,
    /// With --repair: list what would be mended, and change nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// `reindex-memories`
#[derive(Debug, Args)]
pub struct ReindexMemories {
    /// Only this index
    #[arg(long, value_name = "INDEX", value_enum)]
    pub only: Option<Index>,
    /// Trying, and giving up a collection in Qdrant that is not of this store
    #[command(flatten)]
    pub changing: Changing,
}

/// What memories are found by.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub enum Index {
    /// The index in the database
    Embedded,
    /// Its copy in Qdrant
    Qdrant,
}

/// `import-langgraph`
#[derive(Debug, Args)]
pub struct ImportLanggraph {
    /// The predecessor's SQLite file; it is not changed
    #[arg(value_name = "MEMORY.DB")]
    pub source: PathBuf,
    /// Holds the token of the person who is to have the sessions [default: a person made for them, whose token the
    /// report tells once]
    #[arg(long, value_name = "FILE")]
    pub person_token_file: Option<PathBuf>,
    /// Imported sessions never expire; without it the next cleanup-sessions deletes those idle for too long
    #[arg(long)]
    pub pin: bool,
    /// Trying, and bringing back conversations that were deleted here since they were imported
    #[command(flatten)]
    pub changing: Changing,
}

/// Reads a whole number within `range`, in plain digits, and says what would be right as the settings do.
fn whole<T: TryFrom<u64>>(
    range: RangeInclusive<u64>,
) -> impl Fn(&str) -> Result<T, String> + Clone + Send + Sync + 'static {
    move |text| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse().ok().filter(|number| digits && range.contains(number));
        let must = || format!("must be a whole number from {} to {}", range.start(), range.end());
        number.and_then(|number| T::try_from(number).ok()).ok_or_else(must)
    }
}
