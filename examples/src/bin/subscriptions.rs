//! Subscriptions: clients hear of resources that were updated and of lists that changed, and have the
//! variables of a resource completed.
//!
//! ```text
//! cargo run --bin subscriptions
//! ```
//!
//! Who listens hears of what they may see at that moment, and of nothing else. They are told that
//! something changed, and read it again: the new text is in no notification.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use portcullis::prelude::*;
use portcullis::visibility::names;

/// Texts by the titles of their notes.
struct Notes(Mutex<BTreeMap<String, String>>);

impl Notes {
    fn lock(&self) -> Result<MutexGuard<'_, BTreeMap<String, String>>, ToolError> {
        self.0.lock().map_err(|_| ToolError::internal("a change panicked"))
    }
}

/// What the title of a note may become, for what is written of it so far.
async fn titles(written: String, notes: State<Notes>) -> Result<Vec<String>, ToolError> {
    let notes = notes.lock()?;
    Ok(notes.keys().filter(|title| title.starts_with(&written)).cloned().collect())
}

/// A note.
#[resource("note://{title}", auth = require_scopes(["read"]))]
async fn note(
    #[arg(complete = titles)] title: String,
    notes: State<Notes>,
) -> Result<String, ToolError> {
    notes.lock()?.get(&title).cloned().ok_or_else(ToolError::not_found)
}

/// Change a note.
#[tool(auth = require_scopes(["write"]))]
async fn change_note(
    #[arg(pattern = "^[a-z]{1,20}$")] title: String,
    text: String,
    notes: State<Notes>,
    ctx: Context,
) -> Result<&'static str, ToolError> {
    let uri = format!("note://{title}");
    notes.lock()?.insert(title, text);
    ctx.notify_resource_updated(&uri)?;
    Ok("Changed.")
}

/// The minutes of the last meeting, once they are published.
#[resource("minutes://last", auth = require_scopes(["read"]))]
async fn minutes() -> &'static str {
    "Nothing was decided."
}

/// Publish the minutes: those who may read them are told that their list of resources has changed.
#[tool(auth = require_scopes(["write"]))]
async fn publish_minutes(ctx: Context) -> Result<&'static str, ToolError> {
    ctx.server_visibility().enable(names(["minutes://last"]))?;
    Ok("Published.")
}

#[tokio::main]
async fn main() -> Result<(), portcullis::Error> {
    tracing_subscriber::fmt().with_writer(portcullis::stderr).init();
    let tokens = danger::StaticTokenVerifier::new()
        .token("dev-token-alice", danger::user("alice").scopes(["read", "write"]))
        .token("dev-token-bob", danger::user("bob").scopes(["read"]))
        .token("dev-token-carol", danger::user("carol"));
    let notes = [("plan", "Build it."), ("plants", "Water them.")];
    let notes = notes.map(|(title, text)| (title.to_owned(), text.to_owned()));
    Server::builder("notes")
        .auth(tokens)
        .state(Notes(Mutex::new(BTreeMap::from(notes))))
        .components(components![note, minutes, change_note, publish_minutes])
        .disable(names(["minutes://last"]))
        .build()?
        .run()
        .await
}
