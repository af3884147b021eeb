//! Users, items and the ledger, in SQLite. Every query is parameterised.

use std::path::Path;
use std::sync::{Arc, Mutex};

use portcullis::ToolError;
use rusqlite::Connection;

/// The demo's database.
#[derive(Clone, Debug)]
pub struct Database(Arc<Mutex<Connection>>);

impl Database {
    /// Opens the database in `folder`, and fills it if it is new.
    ///
    /// # Errors
    ///
    /// When it cannot be opened.
    pub fn open(folder: &Path) -> Result<Self, portcullis::Error> {
        let open = || -> rusqlite::Result<Connection> {
            let connection = Connection::open(folder.join("demo.sqlite"))?;
            connection.execute_batch(include_str!("schema.sql"))?;
            Ok(connection)
        };
        let connection = open().map_err(|error| {
            portcullis::Error::Refused(format!("the database in {}: {error}", folder.display()))
        })?;
        Ok(Self(Arc::new(Mutex::new(connection))))
    }

    /// Runs `query` where blocking is fine.
    ///
    /// # Errors
    ///
    /// What the query says; all of it internal.
    pub async fn query<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, ToolError> {
        let connection = Arc::clone(&self.0);
        let answer = tokio::task::spawn_blocking(move || {
            let connection = connection
                .lock()
                .map_err(|_| ToolError::internal("the database lock is poisoned"))?;
            Ok(query(&connection)?)
        });
        answer.await?
    }
}
