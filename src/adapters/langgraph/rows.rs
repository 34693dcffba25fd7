//! The rows of the checkpointer's tables.

use std::collections::HashMap;

use rusqlite::types::ValueRef;
use rusqlite::{Row as SqlRow, ToSql};

use super::source::{Reading, Source, SourceError};
use super::{CHANNELS, MAX_BLOB_BYTES};

/// One row of `checkpoints` or `writes`.
pub struct Row {
    /// How the bytes are to be read.
    pub form: Option<String>,
    /// The bytes; `None` when they are more than [`MAX_BLOB_BYTES`].
    pub bytes: Option<Vec<u8>>,
}

impl Source {
    /// The ids of all threads. Read in one go: in a damaged index the next one may be one that was there before.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn threads(&self) -> Result<Vec<String>, SourceError> {
        let sql = "SELECT DISTINCT thread_id FROM checkpoints ORDER BY 1";
        let read = || {
            let mut statement = self.db.prepare(sql)?;
            statement.query_map([], |row| text(row, 0))?.collect::<rusqlite::Result<Vec<_>>>()
        };
        read().reading("list the threads")
    }

    /// The namespaces of a thread.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn namespaces(&self, thread: &str) -> Result<Vec<String>, SourceError> {
        let sql = "SELECT DISTINCT checkpoint_ns FROM checkpoints WHERE thread_id = ?1 ORDER BY 1";
        let read = || {
            let mut statement = self.db.prepare_cached(sql)?;
            statement.query_map([thread], |row| text(row, 0))?.collect::<rusqlite::Result<Vec<_>>>()
        };
        read().reading("list the namespaces")
    }

    /// The ids of a namespace's checkpoints, in the order in which they were made.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn checkpoint_ids(&self, thread: &str, namespace: &str) -> Result<Vec<String>, SourceError> {
        let list = |parent: &str| {
            let sql = format!(
                "SELECT checkpoint_id, {parent} FROM checkpoints WHERE thread_id = ?1 AND checkpoint_ns = ?2
                 ORDER BY checkpoint_id"
            );
            let mut statement = self.db.prepare_cached(&sql)?;
            let ids = statement.query_map([thread, namespace], |row| Ok((text(row, 0)?, text(row, 1)?)))?;
            ids.collect::<rusqlite::Result<Vec<_>>>()
        };
        // Without the parents the index alone is enough: it may be whole where a row is not.
        list("parent_checkpoint_id")
            .or_else(|_| list("''"))
            .map(|ids| in_order(&ids))
            .reading("list the checkpoints")
    }

    /// One checkpoint.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn checkpoint(&self, thread: &str, namespace: &str, id: &str) -> Result<Option<Row>, SourceError> {
        let sql = "SELECT type, iif(length(checkpoint) <= ?4, checkpoint, NULL), length(checkpoint)
            FROM checkpoints WHERE thread_id = ?1 AND checkpoint_ns = ?2 AND checkpoint_id = ?3";
        let mut found = None;
        let values: [&dyn ToSql; 4] = [&thread, &namespace, &id, &MAX_BLOB_BYTES];
        self.rows(sql, &values, &mut |row| found = Some(row)).reading("read a checkpoint")?;
        Ok(found)
    }

    /// Gives what tasks wrote to the channels of messages, going out from a checkpoint, to `take`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn writes(
        &self,
        thread: &str,
        namespace: &str,
        checkpoint: &str,
        take: &mut dyn FnMut(Row),
    ) -> Result<(), SourceError> {
        let channels = CHANNELS.map(|channel| format!("'{channel}'")).join(", ");
        let sql = format!(
            "SELECT type, iif(length(value) <= ?4, value, NULL), length(value) FROM writes
             WHERE thread_id = ?1 AND checkpoint_ns = ?2 AND checkpoint_id = ?3 AND channel IN ({channels})
             ORDER BY task_id, idx"
        );
        let values: [&dyn ToSql; 4] = [&thread, &namespace, &checkpoint, &MAX_BLOB_BYTES];
        self.rows(&sql, &values, take).reading("read the writes")
    }

    fn rows(&self, sql: &str, values: &[&dyn ToSql], take: &mut dyn FnMut(Row)) -> rusqlite::Result<()> {
        let mut statement = self.db.prepare_cached(sql)?;
        let mut rows = statement.query(values)?;
        while let Some(row) = rows.next()? {
            let form = match row.get_ref(0)? {
                ValueRef::Text(form) => Some(String::from_utf8_lossy(form).into_owned()),
                ValueRef::Null | ValueRef::Blob(_) | ValueRef::Integer(_) | ValueRef::Real(_) => None,
            };
            let mut bytes = match row.get_ref(1)? {
                ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Some(bytes.to_owned()),
                ValueRef::Integer(_) | ValueRef::Real(_) => Some(Vec::new()),
                // No bytes at all are a damaged row, and none that fit a row that is too large.
                ValueRef::Null if row.get_ref(2)? == ValueRef::Null => Some(Vec::new()),
                ValueRef::Null => None,
            };
            if let (Some("json"), Some(bytes)) = (form.as_deref(), &mut bytes) {
                super::json::make_standard(bytes);
            }
            take(Row { form, bytes });
        }
        Ok(())
    }
}

/// Ids begin with the time, but a clock may have been set back between two runs of the predecessor: no checkpoint comes
/// before the one it goes out from. Takes pairs of an id and its parent's, sorted by id.
fn in_order(ids: &[(String, String)]) -> Vec<String> {
    let places: HashMap<&str, usize> =
        ids.iter().enumerate().map(|(at, (id, _))| (id.as_str(), at)).collect();
    let mut placed = vec![false; ids.len()];
    let mut order = Vec::with_capacity(ids.len());
    for start in 0..ids.len() {
        // Up to the first ancestor that has its place, then down again. A circle ends where it began.
        let (mut line, mut next) = (Vec::new(), Some(start));
        while let Some(at) = next.filter(|at| !placed[*at]) {
            placed[at] = true;
            line.push(at);
            next = places.get(ids[at].1.as_str()).copied();
        }
        order.extend(line.into_iter().rev());
    }
    order.into_iter().map(|at| ids[at].0.clone()).collect()
}

fn text(row: &SqlRow<'_>, index: usize) -> rusqlite::Result<String> {
    Ok(match row.get_ref(index)? {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Null | ValueRef::Real(_) => String::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::in_order;

    fn order(pairs: &[(&str, &str)]) -> String {
        let pairs: Vec<_> =
            pairs.iter().map(|(id, parent)| ((*id).to_owned(), (*parent).to_owned())).collect();
        in_order(&pairs).concat()
    }

    #[test]
    fn no_checkpoint_comes_before_the_one_it_goes_out_from() {
        assert_eq!(order(&[("a", ""), ("b", "a"), ("c", "a"), ("d", "c")]), "abcd");
        assert_eq!(order(&[("a", "d"), ("b", "a"), ("c", ""), ("d", "c")]), "cdab");
        assert_eq!(order(&[("a", "c"), ("b", "gone"), ("c", "a")]), "cab", "a circle");
    }
}
