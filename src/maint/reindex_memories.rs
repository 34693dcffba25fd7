//! `reindex-memories`: makes the indexes that memories are found by anew from the memories themselves: the embedded one, and the copy
//! of it in Qdrant where one is set up. Both can be asked meanwhile; while the copy is made, the embedded one is.

use serde::Serialize;

use crate::adapters::sqlite::During;
use crate::adapters::{copy_store, memory_inspection, memory_store};
use crate::domain::maintenance::REINDEX_MEMORIES;
use crate::domain::memory::copy::CopyError;
use crate::maint::carrying::{Anew, Carrying};
use crate::maint::compact::{self, GAP};
use crate::maint::{Job, MaintError, Needs, Report, Run, Schema};

/// Memories in one transaction.
const PAGE: u32 = 200;

/// Which index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Index {
    /// The one in the database.
    Embedded,
    /// Its copy.
    Qdrant,
}

/// What the command line asks for.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// `--only`; `None`: all there are.
    pub only: Option<Index>,
}

/// What was made anew, or would be.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Counts {
    /// Memories there are.
    pub memories: u64,
    /// Memories that were put into the embedded index again.
    pub indexed: u64,
    /// Places of it that held no memory.
    pub cleared: u64,
    /// Where the copy is; `null` where none was made.
    pub copy: Option<String>,
    /// Memories that are in the new copy, or would be.
    pub copied: u64,
    /// True when the server has made it.
    pub copied_by_server: bool,
}

/// Runs the job.
pub fn run(run: &Run<'_>, options: Options) -> Report<Counts> {
    let needs = Needs { job: REINDEX_MEMORIES, schema: Schema::Current, reserve: false };
    run.recorded(needs, |job, counts| reindex(job, options, counts))
}

fn reindex(job: &mut Job<'_>, options: Options, counts: &mut Counts) -> Result<(), MaintError> {
    let carrying = Carrying::new(job.run)?;
    if options.only == Some(Index::Qdrant) && carrying.is_none() {
        return Err(MaintError::NoQdrant);
    }
    counts.memories = memory_store::total(&job.db).during("count memories")?;
    if options.only != Some(Index::Qdrant) {
        embedded(job, counts)?;
    }
    if let Some(carrying) = carrying.filter(|_| options.only != Some(Index::Embedded)) {
        copy(job, &carrying, counts)?;
    }
    tracing::info!(
        event = "reindex_completed",
        memories = counts.memories,
        indexed = counts.indexed,
        copied = counts.copied,
        dry_run = job.run.dry_run,
        "The indexes of memories are made anew"
    );
    Ok(())
}

fn embedded(job: &Job<'_>, counts: &mut Counts) -> Result<(), MaintError> {
    let mut last = 0;
    loop {
        job.run.check_stop()?;
        let places = memory_inspection::places(&job.db, last, PAGE).during("read memories")?;
        let Some(end) = places.last() else { break };
        last = end.key;
        if !job.run.dry_run {
            memory_inspection::index_again(&job.db, &places).during("index memories again")?;
            compact::pause(GAP);
        }
        counts.indexed += places.len() as u64;
        job.run.progress.advance("memories indexed", counts.indexed, counts.memories);
    }
    loop {
        job.run.check_stop()?;
        let strays = memory_inspection::strays(&job.db, PAGE).during("look for what is only in the index")?;
        counts.cleared += strays.len() as u64;
        if strays.is_empty() || job.run.dry_run {
            return Ok(());
        }
        memory_inspection::index_again(&job.db, &strays).during("clear the index of memories")?;
    }
}

fn copy(job: &Job<'_>, carrying: &Carrying, counts: &mut Counts) -> Result<(), MaintError> {
    counts.copy = Some(carrying.place());
    if !job.run.dry_run {
        // Not before it is known to be there: the one that is may be whole.
        let owner = copy_store::state(&job.db).during("read how the copy stands")?.owner;
        let anew = match carrying.look(owner, None) {
            Ok(_) => Anew::Yes,
            Err(CopyError::Anothers(_)) if job.run.force => Anew::Whatever,
            Err(error) => return Err(error.into()),
        };
        counts.copied_by_server = carrying.carry(job.run, (&job.dir, &job.db), anew)?;
    }
    counts.copied = memory_inspection::to_be_found(&job.db).during("count what is to be found")?;
    Ok(())
}
