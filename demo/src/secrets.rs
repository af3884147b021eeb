//! Sensitive resources that hold no secrets: the brief's section 7.

use portcullis::prelude::*;
use serde::Serialize;

use crate::database::Database;

/// Where things run.
#[derive(Clone, Debug, Serialize)]
pub struct Config {
    db_host: &'static str,
    currency: &'static str,
}

/// Sensitive configuration.
#[resource("secret://config", auth = require_scopes(["read"]))]
pub async fn secret_config() -> Json<Config> {
    Json(Config { db_host: "internal.db.example.com", currency: "EUR" })
}

/// A key's name and age; never the key.
#[derive(Clone, Debug, Serialize)]
pub struct KeyName {
    name: String,
    rotated: String,
}

/// The names of the keys in use, and when each was rotated.
#[resource("secret://keys", auth = require_scopes(["admin"]))]
pub async fn secret_keys(database: State<Database>) -> Result<Json<Vec<KeyName>>, ToolError> {
    let keys = database
        .query(|connection| {
            let mut statement =
                connection.prepare("SELECT name, rotated FROM keys ORDER BY name")?;
            statement
                .query_map([], |row| Ok(KeyName { name: row.get(0)?, rotated: row.get(1)? }))?
                .collect()
        })
        .await?;
    Ok(Json(keys))
}
