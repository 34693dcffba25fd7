//! The rows of the checkpointer's tables.

use rusqlite::types::ValueRef;
use rusqlite::{OptionalExtension, Row as SqlRow, ToSql};

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
    /// How many threads there are.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn count_threads(&self) -> Result<u64, SourceError> {
        let sql = "SELECT count(DISTINCT thread_id) FROM checkpoints";
        self.db.query_row(sql, [], |row| row.get(0)).reading("count the threads")
    }

    /// The first thread after `thread`, in the order of their ids.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn thread_after(&self, thread: Option<&str>) -> Result<Option<String>, SourceError> {
        let sql =
            "SELECT thread_id FROM checkpoints WHERE ?1 IS NULL OR thread_id > ?1 ORDER BY thread_id LIMIT 1";
        let mut statement = self.db.prepare_cached(sql).reading("find a thread")?;
        statement.query_row([thread], |row| text(row, 0)).optional().reading("find a thread")
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

    /// The ids of a namespace's checkpoints, in the order LangGraph itself gives them.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn checkpoint_ids(&self, thread: &str, namespace: &str) -> Result<Vec<String>, SourceError> {
        let sql = "SELECT checkpoint_id FROM checkpoints WHERE thread_id = ?1 AND checkpoint_ns = ?2
            ORDER BY checkpoint_id";
        let read = || {
            let mut statement = self.db.prepare_cached(sql)?;
            statement
                .query_map([thread, namespace], |row| text(row, 0))?
                .collect::<rusqlite::Result<Vec<_>>>()
        };
        read().reading("list the checkpoints")
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
            let bytes = match row.get_ref(1)? {
                ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Some(bytes.to_owned()),
                ValueRef::Integer(_) | ValueRef::Real(_) => Some(Vec::new()),
                // No bytes at all are a damaged row, and none that fit a row that is too large.
                ValueRef::Null if row.get_ref(2)? == ValueRef::Null => Some(Vec::new()),
                ValueRef::Null => None,
            };
            take(Row { form, bytes });
        }
        Ok(())
    }
}

fn text(row: &SqlRow<'_>, index: usize) -> rusqlite::Result<String> {
    Ok(match row.get_ref(index)? {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Null | ValueRef::Real(_) => String::new(),
    })
}
