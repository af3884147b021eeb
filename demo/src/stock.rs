//! What is in stock, and what has to be ordered: the brief's sections 8 and 9.

use portcullis::prelude::*;
use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::{require_access_level, require_premium_user};
use crate::database::Database;

/// How many of each item there should be.
const FULL: i64 = 20;

/// Say how much is in stock. Everybody may know.
#[tool(annotations(read_only))]
pub async fn public_action(database: State<Database>) -> Result<String, ToolError> {
    let (items, pieces): (i64, i64) = database
        .query(|connection| {
            connection.query_row("SELECT count(*), coalesce(sum(stock), 0) FROM items", [], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
        })
        .await?;
    Ok(format!("In stock: {pieces} pieces of {items} items"))
}

/// An item that will soon run out.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Shortage {
    item: String,
    stock: i64,
    /// How many to order
    order: i64,
}

/// Forecast what has to be ordered. Requires a premium account.
#[tool(auth = require_premium_user, annotations(read_only))]
pub async fn premium_feature(database: State<Database>) -> Result<Json<Vec<Shortage>>, ToolError> {
    let shortages = database
        .query(|connection| {
            let mut statement = connection.prepare(
                "SELECT name, stock, ?1 - stock FROM items WHERE stock < ?1 ORDER BY stock, id",
            )?;
            let shortage = |row: &rusqlite::Row<'_>| {
                Ok(Shortage { item: row.get(0)?, stock: row.get(1)?, order: row.get(2)? })
            };
            statement.query_map([FULL], shortage)?.collect()
        })
        .await?;
    Ok(Json(shortages))
}

/// Restock what the forecast says. Requires the scope admin and access level 5.
#[tool(auth = [require_scopes(["admin"]), require_access_level(5)], annotations(idempotent))]
pub async fn advanced_admin_action(database: State<Database>) -> Result<String, ToolError> {
    let restocked = database
        .query(|connection| {
            connection.execute("UPDATE items SET stock = ?1 WHERE stock < ?1", [FULL])
        })
        .await?;
    Ok(format!("Restocked {restocked} items"))
}
