//! When a job stops before its end — it was told to, or its time is up — and how long it waits for its lock.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::adapters::backup_codec::UnpackError;
use crate::adapters::backup_writer::BackupError;
use crate::adapters::data_dir::{DataDir, DataDirError, Lock};
use crate::adapters::snapshot::SnapshotError;
use crate::domain::span::Span;
use crate::maint::{Job, MaintError, Run, compact};

/// Between two tries for a lock.
const NEXT_TRY: Duration = Duration::from_millis(50);

/// Why a job has to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The process was told to.
    Asked,
    /// `--max-runtime` has passed.
    OutOfTime(Span),
}

/// Knows whether a job has to stop, and why. Clones tell the same.
#[derive(Debug, Clone)]
pub struct Stop {
    asked: Arc<AtomicBool>,
    limit: Option<(Instant, Span)>,
}

impl Stop {
    /// Stops when `asked` becomes true, or when `max_runtime` has passed from now on.
    #[must_use]
    pub fn new(asked: Arc<AtomicBool>, max_runtime: Option<Span>) -> Self {
        Self { asked, limit: max_runtime.map(|span| (Instant::now() + span.get(), span)) }
    }

    /// Why to stop now, if one has to.
    #[must_use]
    pub fn reason(&self) -> Option<Reason> {
        if self.asked.load(Ordering::Relaxed) {
            return Some(Reason::Asked);
        }
        let (end, span) = self.limit?;
        (Instant::now() >= end).then_some(Reason::OutOfTime(span))
    }

    /// For those who look for themselves: true when the job has to stop.
    pub(crate) fn asked(&self) -> impl FnMut() -> bool + Clone + Send + 'static {
        let stop = self.clone();
        move || stop.reason().is_some()
    }

    /// `error`, with the true reason in it when all it says is that the work was stopped.
    pub(crate) fn explain(&self, error: MaintError) -> MaintError {
        let stopped = matches!(
            error,
            MaintError::Stopped
                | MaintError::Unpack(UnpackError::Stopped)
                | MaintError::Backup(BackupError::Stopped | BackupError::Snapshot(SnapshotError::Stopped))
                | MaintError::Copy(SnapshotError::Stopped)
        );
        match self.reason() {
            Some(Reason::OutOfTime(span)) if stopped => MaintError::OutOfTime(span),
            _ => error,
        }
    }
}

impl Run<'_> {
    /// Whether to go on.
    pub(crate) fn go_on(&self) -> ControlFlow<()> {
        if self.stop.reason().is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    /// Fails when the job has to stop.
    pub(crate) fn check_stop(&self) -> Result<(), MaintError> {
        if self.go_on().is_break() { Err(self.stop.explain(MaintError::Stopped)) } else { Ok(()) }
    }

    /// Takes the lock of a job, waiting as long as `--wait-lock` says.
    ///
    /// # Errors
    /// [`DataDirError::Locked`] when it is held until then, and when the process is told to stop meanwhile.
    pub(crate) fn lock(&self, dir: &DataDir, name: &str) -> Result<Lock, MaintError> {
        let end = self.wait_lock.map(|span| Instant::now() + span.get());
        let mut told = false;
        loop {
            match dir.lock(name) {
                Err(DataDirError::Locked { .. }) if end.is_some_and(|end| Instant::now() < end) => {}
                other => return other.map_err(Into::into),
            }
            self.check_stop()?;
            if !std::mem::replace(&mut told, true) {
                tracing::info!(job = name, "Another run of this job holds the lock; waiting for it");
            }
            compact::pause(NEXT_TRY);
        }
    }
}

impl Job<'_> {
    /// Fails when the job has to stop.
    pub fn check_stop(&self) -> Result<(), MaintError> {
        self.run.check_stop()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_reasons_stop_and_being_asked_comes_first() {
        let asked = Arc::new(AtomicBool::new(false));
        assert_eq!(Stop::new(asked.clone(), "1h".parse().ok()).reason(), None);
        let mut stop = Stop::new(asked.clone(), "1s".parse().ok());
        stop.limit = stop.limit.map(|(_, span)| (Instant::now(), span));
        assert!(stop.reason().is_some_and(|reason| reason != Reason::Asked));
        assert!(stop.explain(MaintError::Stopped).to_string().contains("--max-runtime 1s"));
        assert!(stop.explain(BackupError::Stopped.into()).to_string().contains("--max-runtime 1s"));
        asked.store(true, Ordering::Relaxed);
        assert_eq!(stop.reason(), Some(Reason::Asked));
    }
}
