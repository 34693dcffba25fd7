//! `import-langgraph`: brings in the conversations of a predecessor that kept them with LangGraph's SQLite checkpointer.
//!
//! - A thread becomes a session. Its conversation is the root namespace; those of sub-graphs repeat it and are only
//!   counted. A thread without a root namespace has one conversation in each.
//! - A message comes in where it first appears and stays, whatever a later checkpoint has dropped. Its time is that of
//!   the checkpoint; one that lies in the future is moved to now, because a clock ahead of the store stops cleanup.
//! - What a person said and the answer to it are a turn. A question without an answer, or an answer without a question
//!   (a greeting), is a turn with an empty side, which readers leave out. An answer that has come since is filled in.
//! - Only words come in. System and tool messages, pictures, sound and metadata are counted and left out.
//! - Brought in once is known for good: what was deleted here since stays deleted, unless `--force` is given. A session
//!   that has a thread's id and was not brought in is not touched.
//! - When somebody who held imported conversations was erased, nothing is imported unless `--force` is given: after an older
//!   backup is restored the database does not tell what was brought in before.
//! - Sessions belong to whoever holds the token in `--person-token-file`, else to one person made for them, whose token
//!   is told once, in the report, and is neither in the record of runs nor in the log.

use std::path::PathBuf;

use rusqlite::Connection;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::adapters::acting::Rights;
use crate::adapters::import_owners;
use crate::adapters::import_store::{self, Needed, ThreadHash};
use crate::adapters::langgraph::{Role, Source, SourceError};
use crate::adapters::sqlite::{DbError, During};
use crate::domain::maintenance::IMPORT_LANGGRAPH;
use crate::domain::person::PersonToken;
use crate::maint::{ItemError, Job, MaintError, Needs, Outcome, Report, Run, Schema};
use bring_in::{Came, bring_in};
use collect::Heard;
use owner::Owners;

mod bring_in;
mod collect;
mod owner;
mod read;

const HOW_TO_USE: &str = "Whoever sends this token as the header X-Companion-Person, or as the cookie \
    companion_person, holds the imported sessions. It is shown only now.";

/// What the command line asks for.
#[derive(Debug, Clone)]
pub struct Options {
    /// The predecessor's database.
    pub source: PathBuf,
    /// `--person-token-file`: holds the token of the person who is to have the sessions.
    pub person_token_file: Option<PathBuf>,
    /// `--pin`: imported sessions never expire.
    pub pin: bool,
}

/// Why nothing was imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The source cannot be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The token is unusable.
    #[error("--person-token-file {path}: {why}", path = path.display())]
    Token {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The system has no randomness.
    #[error("cannot make a person's token: {0}")]
    Random(#[from] getrandom::Error),
}

impl ImportError {
    /// How a run that ends with this ends.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Source(_) | Self::Random(_) => Outcome::Failed,
            Self::Token { .. } => Outcome::Usage,
        }
    }
}

/// Messages that are not part of a conversation.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Skipped {
    /// Instructions to the model.
    pub system: u64,
    /// What tools and functions returned.
    pub tool: u64,
    /// Of a person or the companion, but without words: only sound, pictures or calls of tools.
    pub without_words: u64,
    /// Of anybody else.
    pub other: u64,
}

/// What was brought in, or would be.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Counts {
    /// Threads in the source.
    pub threads_found: u64,
    /// Threads in which nobody says anything.
    pub threads_without_words: u64,
    /// Checkpoints that were read.
    pub checkpoints_read: u64,
    /// Checkpoints, and writes of tasks, that could not be read.
    pub checkpoints_unreadable: u64,
    /// Namespaces of sub-graphs, which repeat the conversation.
    pub namespaces_skipped: u64,
    /// Sessions that are new.
    pub sessions_imported: u64,
    /// Sessions that got more turns.
    pub sessions_updated: u64,
    /// Sessions that were there with all their turns.
    pub sessions_unchanged: u64,
    /// Sessions deleted here since they were brought in; they stay deleted.
    pub sessions_deleted_since: u64,
    /// Sessions that were pinned.
    pub sessions_pinned: u64,
    /// Turns that are new.
    pub turns_imported: u64,
    /// Turns that got the answer that was missing.
    pub turns_completed: u64,
    /// Turns that were there.
    pub turns_already_there: u64,
    /// Messages that are not part of a conversation.
    pub messages_skipped: Skipped,
    /// Pictures, sound and other parts of messages that hold no words.
    pub parts_skipped: u64,
    /// Messages whose time lies in the future.
    pub times_in_future: u64,
    /// Imported sessions that the next `cleanup-sessions` would delete; `--pin` keeps them.
    pub would_expire: u64,
}

impl Counts {
    fn note(&mut self, need: Needed) {
        match need {
            Needed::Insert => self.turns_imported += 1,
            Needed::Complete => self.turns_completed += 1,
            Needed::Nothing => self.turns_already_there += 1,
        }
    }

    fn note_came(&mut self, came: &Came) {
        match came {
            Came::In => self.sessions_imported += 1,
            Came::More => self.sessions_updated += 1,
            Came::Nothing => self.sessions_unchanged += 1,
            Came::Gone => self.sessions_deleted_since += 1,
            Came::NotOurs => {}
        }
    }

    fn note_skipped(&mut self, heard: &[Heard]) {
        let skipped = &mut self.messages_skipped;
        for message in heard.iter().filter(|message| message.text.is_empty()) {
            match message.role {
                Role::Human | Role::Assistant => skipped.without_words += 1,
                Role::System => skipped.system += 1,
                Role::Tool => skipped.tool += 1,
                Role::Remove | Role::Other => skipped.other += 1,
            }
        }
    }
}

/// The counts and, once, the token: told to the operator and recorded nowhere.
#[derive(Debug, Clone, Serialize)]
pub struct Told {
    /// What was brought in.
    #[serde(flatten)]
    pub counts: Counts,
    /// The token of the person who was made for the imported sessions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub person_token: Option<String>,
    /// What the token is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub person_token_use: Option<&'static str>,
}

/// Runs the job.
pub fn run(run: &Run<'_>, options: &Options) -> Report<Told> {
    let mut token = None;
    let needs = Needs { job: IMPORT_LANGGRAPH, schema: Schema::Current, reserve: false };
    let done = run.recorded(needs, |job, counts| import(job, options, counts, &mut token));
    let person_token = token.map(|token: PersonToken| token.reveal());
    let person_token_use = person_token.is_some().then_some(HOW_TO_USE);
    Report {
        counts: Told { counts: done.counts, person_token, person_token_use },
        schema: done.schema,
        job: done.job,
        dry_run: done.dry_run,
        started_at: done.started_at,
        duration_ms: done.duration_ms,
        errors: done.errors,
        exit_code: done.exit_code,
        begun: done.begun,
    }
}

fn import(
    job: &mut Job<'_>,
    options: &Options,
    counts: &mut Counts,
    token: &mut Option<PersonToken>,
) -> Result<(), MaintError> {
    let given = options.person_token_file.as_ref().map(|path| owner::given(&job.db, path)).transpose()?;
    let source = Source::open(&options.source, &job.dir, Rights::Operators).map_err(ImportError::from)?;
    if !job.run.dry_run {
        import_owners::note_made(&job.dir, &job.db)?;
    }
    let mut owners = Owners::look(&job.dir, &job.db, given, job.run.force)?;
    let now = job.now;
    let mut person = |db: &mut Connection| owners.person(db, now, token);
    let imported = import_all(job, &source, options, &mut person, counts);
    if !source.is_unchanged() {
        let error = "it was written while it was read; stop the predecessor and run this again".to_owned();
        job.errors.push(ItemError { item: "the predecessor's database".to_owned(), error });
    }
    if token.is_some() {
        import_store::mark_told(&job.db).during("note that the token is told")?;
    }
    tracing::info!(
        event = "import_completed",
        sessions_imported = counts.sessions_imported,
        sessions_updated = counts.sessions_updated,
        turns_imported = counts.turns_imported,
        checkpoints_unreadable = counts.checkpoints_unreadable,
        would_expire = counts.would_expire,
        dry_run = job.run.dry_run,
        "Brought in a predecessor's conversations"
    );
    imported
}

fn import_all(
    job: &mut Job<'_>,
    source: &Source,
    options: &Options,
    person: &mut dyn FnMut(&mut Connection) -> Result<i64, MaintError>,
    counts: &mut Counts,
) -> Result<(), MaintError> {
    let threads = source.threads().map_err(ImportError::from)?;
    counts.threads_found = threads.len() as u64;
    for (done, thread) in (1..).zip(threads) {
        job.check_stop()?;
        if !job.run.dry_run && job.dir.is_low() {
            return Err(DbError::Full("import: less than MIN_FREE_DISK_BYTES is free").into());
        }
        for namespace in namespaces(job, source, &thread, counts) {
            let Some(conversation) = read::conversation(job, source, (&thread, &namespace), counts)? else {
                continue;
            };
            let came = bring_in(job, &conversation, options, person, counts)?;
            counts.note_came(&came);
            if matches!(came, Came::NotOurs) {
                let error = "a session with this id was here before and is left alone".to_owned();
                job.errors.push(ItemError { item: format!("thread {}", short(&thread)), error });
            }
        }
        job.run.progress.advance("threads", done, counts.threads_found);
    }
    Ok(())
}

/// The namespaces of a thread that hold conversations.
fn namespaces(job: &mut Job<'_>, source: &Source, thread: &str, counts: &mut Counts) -> Vec<String> {
    let found = match source.namespaces(thread) {
        Ok(found) => found,
        Err(error) => {
            counts.checkpoints_unreadable += 1;
            job.errors
                .push(ItemError { item: format!("thread {}", short(thread)), error: error.to_string() });
            return Vec::new();
        }
    };
    if found.is_empty() {
        counts.checkpoints_unreadable += 1;
        let error = "its rows are not where the index says; the database is damaged".to_owned();
        job.errors.push(ItemError { item: format!("thread {}", short(thread)), error });
    }
    let has_root = found.iter().any(|namespace| namespace.is_empty());
    let (kept, skipped): (Vec<_>, Vec<_>) =
        found.into_iter().partition(|namespace| namespace.is_empty() || !has_root);
    counts.namespaces_skipped += skipped.len() as u64;
    kept
}

/// Names a thread and its namespace without telling them.
fn hash(thread: &str, namespace: &str) -> ThreadHash {
    let mut hasher = Sha256::new();
    hasher.update(thread.len().to_be_bytes());
    hasher.update(thread);
    hasher.update(namespace);
    hasher.finalize().into()
}

/// Enough of an id to find it again, not enough to use it.
fn short(id: &str) -> String {
    let start: String = id.chars().take(8).map(|c| if c.is_control() { '?' } else { c }).collect();
    if id.chars().count() > 8 { format!("{start}…") } else { start }
}
