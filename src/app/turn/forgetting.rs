//! What a turn names that is to be forgotten: it goes before the turn is kept, looked for beside all that others write and deleted in
//! portions, so that nobody waits for it but whoever wants it.
//!
//! The turn is kept, and an answer that does not stream is told, once all of it is gone. What a kill interrupts was not kept: it is done
//! when it is said again, as the page does by itself.

use std::sync::Arc;

use rusqlite::Connection;

use super::remembered::Trace;
use super::work::Work;
use crate::adapters::memory_forgetting;
use crate::adapters::sqlite::DbError;
use crate::app::learning;
use crate::domain::memory::unwanted::Named;

impl Work {
    /// Forgets all that is named, if it is theirs who named it.
    pub(super) async fn forget_named(&self, trace: &Arc<Trace>) -> Result<(), DbError> {
        let names = trace.heard.named();
        if names.is_empty() {
            return Ok(());
        }
        let mut forgotten = 0;
        let outcome = self.forget_portions(trace.clone(), names, &mut forgotten).await;
        // What has gone before a failure has gone.
        self.is_forgotten(forgotten);
        outcome
    }

    async fn forget_portions(
        &self,
        trace: Arc<Trace>,
        names: Vec<String>,
        forgotten: &mut u64,
    ) -> Result<(), DbError> {
        let (database, session) = (&self.app.database, self.request.session);
        let named: Arc<[Named]> = names.iter().map(|name| Named::of(name)).collect();
        // First of all: what is learned meanwhile would not be looked at.
        let noting = trace.clone();
        let begin = move |db: &Connection| {
            let whose = noting.whose(db, session)?;
            whose.map(|person| learning::note_named(db, &noting.heard).map(|()| person.key)).transpose()
        };
        let Some(person) = database.write("note what is to be forgotten", begin).await? else {
            return Ok(());
        };
        let likely = move |db: &Connection| memory_forgetting::likely(db, person, &names);
        let mut left = database.read("look for what is to be forgotten", likely).await?;
        while !left.is_empty() {
            let named = named.clone();
            let look = move |db: &Connection| {
                let meant = memory_forgetting::meant(db, &mut left, &named)?;
                Ok((left, meant))
            };
            let meant;
            (left, meant) = database.read("look at what may be forgotten", look).await?;
            if !meant.is_empty() {
                // They may have been erased meanwhile, and their row be somebody else's.
                let trace = trace.clone();
                let forget = move |db: &Connection| match trace.whose(db, session)? {
                    Some(still) if still.key == person => memory_forgetting::forget_these(db, person, &meant),
                    _ => Ok(0),
                };
                *forgotten += database.write("forget what was named", forget).await?;
            }
        }
        Ok(())
    }
}
