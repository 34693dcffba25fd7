//! What a person may take in a day: counted in the database, in one step, before the model is asked.
//!
//! A turn counts once it is given to the model, also when its client leaves before the end: it has cost something by then. One
//! that the model failed does not, nor does one that is sent again, nor one whose client leaves while it is counted, nor one that
//! care is due to, which is not refused either. A recording is heard first: before, nobody knows what is said in it. Beyond the turns of
//! the day, and while the disk is low, only some are.

use std::sync::Arc;

use super::work::Work;
use crate::adapters::person_store;
use crate::app::{App, AppError};
use crate::domain::chat::Crisis;
use crate::domain::clock::Timestamp;
use crate::domain::crisis;

/// A turn that was counted; taken back when dropped, unless it stands.
struct Counted(Option<(Arc<App>, i64, Timestamp)>);

impl Counted {
    fn stands(mut self) {
        self.0 = None;
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        if let Some((app, person, at)) = self.0.take() {
            let turns = Arc::clone(&app);
            turns.turns.spawn_apart(async move { app.uncount_turn(person, at).await });
        }
    }
}

impl Work {
    /// Looks before a recording is heard whether it is refused unless care is due to what is said in it, and counts it among those:
    /// the disk is low, or it is one beyond the turns of the day. Without a word of what is said, whoever is not heard any more is
    /// told where to find help.
    pub(super) async fn is_heard_beyond(&self) -> Result<bool, AppError> {
        let is_low = self.app.room_to_grow().is_err();
        let is_beyond = is_low || self.has_had_the_day().await?;
        if is_beyond && !self.app.heard_beyond.count(self.person, self.said_at.day_number()) {
            let help = self.app.persona.crisis.help.clone();
            return Err(if is_low {
                AppError::NoRoomForCare { help }
            } else {
                day_used(self.said_at, Some(help))
            });
        }
        Ok(is_beyond)
    }

    async fn has_had_the_day(&self) -> Result<bool, AppError> {
        let Some(most) = self.app.limits.daily_turns_per_person else { return Ok(false) };
        let (person, day) = (self.person, self.said_at.day_number());
        let look = move |db: &rusqlite::Connection| person_store::has_had_turns(db, person, day, most.get());
        Ok(self.app.database.read("look at the turns of the day", look).await?)
    }

    /// A recording heard beyond those that was not refused is none of those that are.
    pub(super) fn is_answered_all_the_same(&self) {
        self.app.heard_beyond.uncount(self.person, self.said_at.day_number());
    }

    /// Looks whether there is room for the turn, and counts it among those of the day; what is said in it is known.
    pub(super) async fn admit(&mut self) -> Result<(), AppError> {
        self.app.room_to_grow().map_err(|error| self.refusal(error))?;
        if self.care_due().is_none() {
            self.app.count_turn(self.person, self.said_at).await?;
            self.is_counted = true;
        }
        Ok(())
    }

    /// Where there is no room for words of self-harm, whoever said them is told all the same where to find help.
    pub(super) fn refusal(&self, error: AppError) -> AppError {
        match (error, self.care_due()) {
            (AppError::DiskFull, Some(crisis)) => AppError::NoRoomForCare { help: crisis.help.clone() },
            (error, _) => error,
        }
    }

    fn care_due(&self) -> Option<&Crisis> {
        let history = self.taken.conversation.as_ref().map(|before| before.history.as_slice());
        crisis::due(&self.app.persona, history.unwrap_or_default(), &self.request.message)
    }

    /// Takes the turn back from those of the day, if it was counted.
    pub(super) async fn uncount(&self) {
        if self.is_counted {
            self.app.uncount_turn(self.person, self.said_at).await;
        }
    }
}

impl App {
    /// Counts a turn that begins `at`.
    async fn count_turn(self: &Arc<Self>, person: i64, at: Timestamp) -> Result<(), AppError> {
        let Some(most) = self.limits.daily_turns_per_person else { return Ok(()) };
        let count = move |db: &rusqlite::Connection| {
            person_store::count_turn(db, person, at.day_number(), most.get())
        };
        let app = Arc::clone(self);
        let counting = async move {
            let counted = app.database.write("count a turn", count).await?;
            Ok(counted.then(|| Counted(Some((app, person, at)))))
        };
        if let Some(counted) = self.turns.to_its_end(counting).await? {
            counted.stands();
            return Ok(());
        }
        Err(day_used(at, None))
    }

    /// Takes a turn back that began `at` and was counted.
    async fn uncount_turn(&self, person: i64, at: Timestamp) {
        if self.limits.daily_turns_per_person.is_none() {
            return;
        }
        let uncount =
            move |db: &rusqlite::Connection| person_store::uncount_turn(db, person, at.day_number());
        if let Err(error) = self.database.write("take a turn back", uncount).await {
            tracing::warn!(error = %error, "A turn that failed could not be taken back from those of the day");
        }
    }
}

fn day_used(at: Timestamp, help: Option<String>) -> AppError {
    let left = at.until_next_day();
    AppError::DailyTurnsUsed { retry_after: left.as_secs() + u64::from(left.subsec_nanos() > 0), help }
}
