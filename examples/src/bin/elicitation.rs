//! Elicitation: a form for the user, in the middle of a call.
//!
//! ```text
//! cargo test --bin elicitation
//! cargo run --bin elicitation
//! ```
//!
//! In 2026-07-28 a call is answered with the question, and the function runs again from its start once
//! the client brings the answer; in a session it waits. The same function serves both: it asks before it
//! changes anything. Clients and their models read what is entered, so a server whose form asks for a
//! secret does not build: `elicitation_page` shows where secrets are entered.

use std::collections::BTreeSet;
use std::sync::Mutex;

use portcullis::component::{Elicited, FormElicitation};
use portcullis::prelude::*;
use schemars::JsonSchema;
use serde::Deserialize;

/// The numbers of the notes that there are.
struct Notes(Mutex<BTreeSet<u32>>);

#[derive(Deserialize, JsonSchema)]
struct Confirm {
    /// Tick this to delete it for good.
    delete: bool,
    /// Why, for the others?
    #[schemars(length(max = 200))]
    reason: Option<String>,
}

/// Delete a note, once you confirm it.
#[tool(auth = require_scopes(["write"]), annotations(destructive))]
async fn delete_note(
    id: u32,
    confirm: FormElicitation<Confirm>,
    notes: State<Notes>,
) -> Result<String, ToolError> {
    let answer = confirm.elicit(format!("Note {id} will be deleted.")).await?;
    let Elicited::Accepted(Confirm { delete: true, reason }) = answer else {
        return Ok(format!("Note {id} stays."));
    };
    let mut notes = notes.0.lock().map_err(|_| ToolError::internal("a deletion panicked"))?;
    if !notes.remove(&id) {
        return Err(ToolError::new("There is no such note."));
    }
    Ok(format!("Note {id} is deleted: {}.", reason.as_deref().unwrap_or("no reason given")))
}

#[tokio::main]
async fn main() -> Result<(), portcullis::Error> {
    tracing_subscriber::fmt().with_writer(portcullis::stderr).init();
    let tokens = danger::StaticTokenVerifier::new()
        .token("dev-token-alice", danger::user("alice").scopes(["write"]))
        .token("dev-token-bob", danger::user("bob").scopes(["write"]));
    let server = Server::builder("notes")
        .auth(tokens)
        .state(Notes(Mutex::new(BTreeSet::from([1, 2]))))
        .components(components![delete_note])
        .build()?;
    server.run().await
}

#[cfg(test)]
mod tests {
    use portcullis::error::ProblemKind;

    use super::*;

    #[derive(Deserialize, JsonSchema)]
    struct Account {
        password: String,
    }

    #[tool]
    async fn sign_in(account: FormElicitation<Account>) -> Result<&'static str, ToolError> {
        let account = account.elicit("Who are you?").await?.accepted();
        Ok(if account.is_some_and(|account| account.password == "x") { "in" } else { "out" })
    }

    #[test]
    fn a_form_that_asks_for_a_secret_does_not_build() {
        let server = Server::builder("notes").no_auth().components(components![sign_in]).build();
        let Err(portcullis::Error::Build(refused)) = server else { panic!("it builds") };
        assert_eq!(refused.problems()[0].kind(), ProblemKind::CredentialArgument);
    }
}
