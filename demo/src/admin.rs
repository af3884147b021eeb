//! What administrators do, some of it hidden until it is unlocked: the brief's sections 9 and 10.

use std::time::UNIX_EPOCH;

use portcullis::guard::{Clock, SystemClock};
use portcullis::prelude::*;

use crate::database::Database;

/// Close the ledger: each item's entries become its balance.
#[tool(tags("admin"))]
pub async fn admin_action(database: State<Database>) -> Result<String, ToolError> {
    let closed = database
        .query(|connection| {
            let transaction = connection.unchecked_transaction()?;
            let last: i64 =
                transaction.query_row("SELECT coalesce(max(rowid), 0) FROM ledger", [], |row| {
                    row.get(0)
                })?;
            let closed = transaction.execute(
                "INSERT INTO ledger SELECT item, 'balance', sum(cents) FROM ledger GROUP BY item",
                [],
            )?;
            transaction.execute("DELETE FROM ledger WHERE rowid <= ?1", [last])?;
            transaction.commit()?;
            Ok(closed)
        })
        .await?;
    Ok(format!("Closed the ledger of {closed} items"))
}

/// Wipe the entire database. Administrators only, once it is unlocked.
#[tool(tags("admin", "dangerous"), annotations(destructive))]
pub async fn wipe_database(database: State<Database>) -> Result<String, ToolError> {
    let [users, items, entries] = database
        .query(|connection| {
            let transaction = connection.unchecked_transaction()?;
            let wiped = [
                transaction.execute("DELETE FROM users", [])?,
                transaction.execute("DELETE FROM items", [])?,
                transaction.execute("DELETE FROM ledger", [])?,
            ];
            transaction.commit()?;
            Ok(wiped)
        })
        .await?;
    Ok(format!("Database wiped: {users} users, {items} items, {entries} entries of the ledger"))
}

/// Rotate all keys: each is new from today on. Administrators only, once it is unlocked.
#[tool(tags("admin", "dangerous"))]
pub async fn rotate_keys(database: State<Database>) -> Result<String, ToolError> {
    let now = SystemClock.now().duration_since(UNIX_EPOCH)?.as_secs();
    let today = i64::try_from(now)?;
    let rotated = database
        .query(move |connection| {
            connection.execute("UPDATE keys SET rotated = date(?1, 'unixepoch')", [today])
        })
        .await?;
    Ok(format!("Keys rotated: {rotated}"))
}

/// Unlock the dangerous tools, for you alone.
///
/// Over HTTP it takes the scope admin; over stdio there is the local user alone.
#[tool(auth = require_scopes(["admin"]))]
pub async fn unlock_admin(context: Context) -> Result<&'static str, ToolError> {
    context.enable_components(tags(["dangerous"])).await?;
    Ok("Admin tools unlocked for this session")
}
