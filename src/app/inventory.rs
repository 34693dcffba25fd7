//! What there is, for whoever runs the server.

use crate::adapters::inventory::Inventory;
use crate::app::{App, AppError};

impl App {
    /// Bytes on disk by kind, rows, the last run of each job, what the next cleanup would take.
    ///
    /// # Errors
    /// What the database or the disk says.
    pub async fn inventory(&self) -> Result<Inventory, AppError> {
        let (now, retention) = (self.clock.now(), self.retention.clone());
        let rows = move |db: &rusqlite::Connection| Inventory::of_rows(db, now, &retention);
        let mut inventory = self.database.read("take stock", rows).await?;
        let (dir, retention) = (self.data_dir.clone(), self.retention.clone());
        let add_files = move || inventory.add_files(&dir, now, &retention).map(|()| inventory);
        Ok(self.blocking(add_files).await??)
    }
}
