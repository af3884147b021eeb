//! Database: SQLite behind tools, where each caller sees their own rows.
//!
//! ```text
//! cargo run --bin database                        # in memory
//! NOTES_DATABASE=notes.sqlite cargo run --bin database
//! ```
//!
//! Every query is parameterised, so that an argument is never read as SQL. An error of the
//! database is masked: the caller gets a reference, and the log has the cause under it.

use std::sync::{Arc, Mutex};

use portcullis::guard::Environment;
use portcullis::prelude::*;
use rusqlite::Connection;

#[derive(Clone)]
struct Database(Arc<Mutex<Connection>>);

impl Database {
    fn open(path: Option<&str>) -> rusqlite::Result<Self> {
        let connection = match path {
            Some(path) => Connection::open(path)?,
            None => Connection::open_in_memory()?,
        };
        connection.execute_batch(
            "CREATE TABLE IF NOT EXISTS notes (
                 owner BLOB NOT NULL, title TEXT NOT NULL, text TEXT NOT NULL,
                 PRIMARY KEY (owner, title)
             ) STRICT",
        )?;
        Ok(Self(Arc::new(Mutex::new(connection))))
    }

    /// SQLite blocks, so a query runs beside the threads that answer requests.
    async fn query<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, ToolError> {
        let database = self.clone();
        let answer = tokio::task::spawn_blocking(move || {
            let connection =
                database.0.lock().map_err(|_| ToolError::internal("a query panicked"))?;
            Ok(query(&connection)?)
        });
        answer.await?
    }
}

/// Issuer and subject in one: two identity providers may know different people as `7`.
fn owner(caller: &Caller) -> [u8; 32] {
    caller.principal().map_or([0; 32], |principal| principal.id().holder())
}

/// Keep a note under a title of your choice.
#[tool]
async fn add_note(
    #[arg(min_length = 1, max_length = 100)] title: String,
    #[arg(max_length = 10000)] text: String,
    caller: Caller,
    database: State<Database>,
) -> Result<String, ToolError> {
    let (owner, answer) = (owner(&caller), format!("Kept {title:?}."));
    let added = database
        .query(move |connection| {
            connection.execute(
                "INSERT INTO notes (owner, title, text) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
                (owner, title, text),
            )
        })
        .await?;
    // What the caller can act upon is said in words that are meant for them.
    if added == 0 {
        return Err(ToolError::new("You have a note of that title already."));
    }
    Ok(answer)
}

/// The titles of your notes.
#[tool(annotations(read_only))]
async fn list_notes(
    caller: Caller,
    database: State<Database>,
) -> Result<Json<Vec<String>>, ToolError> {
    let owner = owner(&caller);
    let titles = database.query(move |connection| {
        let mut statement = connection
            .prepare("SELECT title FROM notes WHERE owner = ?1 ORDER BY title LIMIT 100")?;
        statement.query_map([owner], |row| row.get(0))?.collect()
    });
    Ok(Json(titles.await?))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt().with_writer(portcullis::stderr).init();
    let tokens = danger::StaticTokenVerifier::new()
        .token("dev-token-alice", danger::user("alice"))
        .token("dev-token-bob", danger::user("bob"));
    let database = Database::open(Environment::process().variable("NOTES_DATABASE"))?;
    let server = Server::builder("notes")
        .auth(tokens)
        .state(database)
        .components(components![add_note, list_notes])
        .build()?;
    Ok(server.run().await?)
}
