//! Users, items and the ledger, in SQLite. Every query is parameterised.

use std::path::Path;
use std::sync::{Arc, Mutex};

use portcullis::ToolError;
use rusqlite::Connection;

/// The demo's database.
#[derive(Clone, Debug)]
pub struct Database(Arc<Mutex<Connection>>);

impl Database {
    /// Opens the database in `folder`, for its owner alone, and fills it if it is new.
    ///
    /// # Errors
    ///
    /// When it cannot be opened.
    pub fn open(folder: &Path) -> Result<Self, crate::Error> {
        let path = folder.join("demo.sqlite");
        make_private(&path).map_err(|error| format!("the database {}: {error}", path.display()))?;
        let open = || -> rusqlite::Result<Connection> {
            let connection = Connection::open(&path)?;
            connection.execute_batch(include_str!("schema.sql"))?;
            let filled: bool =
                connection
                    .query_row("SELECT EXISTS (SELECT 1 FROM filled)", [], |row| row.get(0))?;
            if !filled {
                fill(&connection)?;
            }
            Ok(connection)
        };
        let connection =
            open().map_err(|error| format!("the database in {}: {error}", folder.display()))?;
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

/// Sees that only its owner can read the file, which SQLite would make for everybody.
#[expect(clippy::disallowed_methods, reason = "the program lays out its own folder")]
fn make_private(path: &Path) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    {
        use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
        let file = options.mode(0o600).open(path)?;
        file.set_permissions(std::fs::Permissions::from_mode(0o600))
    }
    #[cfg(not(unix))]
    options.open(path).map(drop)
}

/// Gives the database its first content, in place of what it has, or changes nothing.
///
/// # Errors
///
/// When it cannot be written.
pub fn fill(connection: &Connection) -> rusqlite::Result<()> {
    let transaction = connection.unchecked_transaction()?;
    transaction.execute_batch(include_str!("content.sql"))?;
    transaction.commit()
}
