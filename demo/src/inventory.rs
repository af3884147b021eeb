//! Items and their ledger: the brief's sections 7 and 17.

use portcullis::prelude::*;
use rusqlite::OptionalExtension;
use schemars::JsonSchema;
use serde::Serialize;

use crate::database::Database;

/// Something in stock.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Item {
    id: String,
    name: String,
    stock: i64,
}

impl Item {
    fn from_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self { id: row.get(0)?, name: row.get(1)?, stock: row.get(2)? })
    }
}

/// What a search found.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Found {
    results: Vec<Item>,
    query: String,
}

/// Search for items by keyword.
#[tool(annotations(read_only))]
pub async fn search_items(
    /// Search query
    #[arg(min_length = 1, max_length = 200)]
    query: String,
    /// How many at most
    #[arg(ge = 1, le = 100, default = 20)]
    limit: u32,
    database: State<Database>,
) -> Result<Json<Found>, ToolError> {
    let keyword = query.clone();
    let results = database
        .query(move |connection| {
            // `instr` rather than `LIKE`: a keyword has no wildcards.
            let mut statement = connection.prepare(
                "SELECT id, name, stock FROM items WHERE instr(lower(name), lower(?1)) > 0 ORDER BY id LIMIT ?2",
            )?;
            statement.query_map((keyword, limit), Item::from_row)?.collect()
        })
        .await?;
    Ok(Json(Found { results, query }))
}

/// Delete an item.
#[tool(tags("admin"), auth = require_scopes(["admin"]), annotations(destructive))]
pub async fn delete_item(
    /// Item to delete
    #[arg(pattern = "^[a-z0-9-]{1,64}$")]
    item_id: String,
    database: State<Database>,
) -> Result<String, ToolError> {
    let id = item_id.clone();
    let deleted = database
        .query(move |connection| connection.execute("DELETE FROM items WHERE id = ?1", [id]))
        .await?;
    match deleted {
        0 => Err(ToolError::new("There is no such item.")),
        _ => Ok(format!("Deleted {item_id}")),
    }
}

/// One item.
#[resource("item://{id}", auth = require_scopes(["read"]))]
pub async fn item(id: String, database: State<Database>) -> Result<Json<Item>, ToolError> {
    let item = database
        .query(move |connection| {
            connection
                .query_row("SELECT id, name, stock FROM items WHERE id = ?1", [id], Item::from_row)
                .optional()
        })
        .await?;
    item.map(Json).ok_or_else(ToolError::not_found)
}

/// An entry of the ledger.
#[derive(Clone, Debug, Serialize)]
pub struct Entry {
    entry: String,
    cents: i64,
}

/// What an item cost and earned.
#[resource("ledger://{id}", auth = require_scopes(["admin"]))]
pub async fn ledger(id: String, database: State<Database>) -> Result<Json<Vec<Entry>>, ToolError> {
    let entries: Vec<Entry> = database
        .query(move |connection| {
            let mut statement = connection
                .prepare("SELECT entry, cents FROM ledger WHERE item = ?1 ORDER BY rowid")?;
            statement
                .query_map([id], |row| Ok(Entry { entry: row.get(0)?, cents: row.get(1)? }))?
                .collect()
        })
        .await?;
    if entries.is_empty() { Err(ToolError::not_found()) } else { Ok(Json(entries)) }
}

/// Financial report for a quarter.
#[prompt(auth = require_scopes(["admin"]))]
pub async fn financial_report(
    /// Such as Q3
    #[arg(pattern = "^Q[1-4]$")]
    quarter: String,
) -> String {
    format!("Generate a financial report for {quarter}. Read each item's ledger://{{id}} first.")
}
