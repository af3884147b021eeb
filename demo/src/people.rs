//! Users: the brief's section 7.

use portcullis::prelude::*;
use rusqlite::OptionalExtension;
use schemars::JsonSchema;
use serde::Serialize;

use crate::database::Database;

/// A user, as the user sees it.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Profile {
    /// The user's name
    pub user: String,
    /// What the user is in this shop
    pub role: String,
}

/// Get your own profile.
#[tool(auth = require_scopes(["read"]), annotations(read_only))]
pub async fn get_profile(
    caller: Caller,
    database: State<Database>,
) -> Result<Json<Profile>, ToolError> {
    let Some(subject) = caller.subject().map(str::to_owned) else {
        return Ok(Json(Profile { user: "you".to_owned(), role: "local user".to_owned() }));
    };
    let profile = database
        .query(move |connection| {
            connection
                .query_row("SELECT name, role FROM users WHERE id = ?1", [subject], |row| {
                    Ok(Profile { user: row.get(0)?, role: row.get(1)? })
                })
                .optional()
        })
        .await?;
    profile.map(Json).ok_or_else(|| ToolError::new("You have no profile here."))
}

/// Delete a user.
#[tool(auth = require_scopes(["admin", "write"]), annotations(destructive))]
pub async fn delete_user(
    /// Whom to delete
    #[arg(pattern = "^[a-z0-9-]{1,64}$")]
    user_id: String,
    database: State<Database>,
) -> Result<String, ToolError> {
    let id = user_id.clone();
    let deleted = database
        .query(move |connection| connection.execute("DELETE FROM users WHERE id = ?1", [id]))
        .await?;
    match deleted {
        0 => Err(ToolError::new("There is no such user.")),
        _ => Ok(format!("Deleted user {user_id}")),
    }
}
