use std::fmt;

use serde::Serialize;

use crate::catalogue::{Catalogue, Entry};
use crate::component::Deny;
use crate::gate::{Layer, Rules};
use crate::visibility::ServerRules;

/// Who may see and use what: one row for each component.
///
/// Displayed, it is a table for people; serialised, it is an array of rows.
///
/// # Example
///
/// ```
/// use portcullis::prelude::*;
///
/// /// Delete a user.
/// #[tool(tags("admin"), auth = require_scopes(["admin", "write"]))]
/// async fn delete_user(user_id: String) -> String {
///     format!("Deleted user {user_id}")
/// }
///
/// # fn main() -> Result<(), portcullis::Error> {
/// # let tokens = danger::StaticTokenVerifier::new().token("t", danger::user("dev"));
/// let server = Server::builder("users").auth(tokens).components(components![delete_user]).build()?;
/// let table = server.access_table();
/// assert_eq!(table.rows()[0].requirements, ["scopes admin write"]);
/// assert_eq!(table.to_string(), "tool  delete_user  [admin]  hide  scopes admin write\n");
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct AccessTable {
    rows: Vec<AccessRow>,
}

/// What one component requires.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct AccessRow {
    /// `tool`, `resource`, `template` or `prompt`.
    pub kind: String,
    /// The name, the URI or the URI template.
    pub component: String,
    /// The tags.
    pub tags: Vec<String>,
    /// What is required over HTTP, the server's own checks first; all of it, and nothing if
    /// there is none. `a caller` is what a function that takes a `Caller` requires.
    pub requirements: Vec<String>,
    /// `hide` or `challenge`: what a caller is told who may not use it. What is challenged is
    /// listed all the same.
    pub deny: String,
    /// Whether the server's rules show it; a session or principal may have rules of its own.
    pub visible: bool,
    /// Whether nobody may use it over HTTP, because nobody is authenticated.
    pub hidden: bool,
}

impl AccessTable {
    pub(crate) fn of(catalogue: &Catalogue, shown: &ServerRules, authenticated: bool) -> Self {
        let row = |entry| AccessRow::of(entry, &catalogue.rules, shown, authenticated);
        Self { rows: catalogue.entries().map(row).collect() }
    }

    /// The rows: tools, resources, templates, prompts.
    #[must_use]
    pub fn rows(&self) -> &[AccessRow] {
        &self.rows
    }

    /// The table as JSON, for programs.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        // Strings, lists of strings and truth values: nothing that JSON could not hold.
        serde_json::to_value(self).unwrap_or_default()
    }
}

impl AccessRow {
    fn of(entry: &Entry, rules: &Rules, shown: &ServerRules, authenticated: bool) -> Self {
        let of_layer = |layer: Layer| {
            let gates = entry.gates.gates.iter().filter(move |gate| gate.layer == layer);
            gates.map(|gate| rules.text(gate.rule).to_owned())
        };
        Self {
            kind: entry.kind.to_string(),
            component: entry.key.clone(),
            tags: entry.about.tags.clone(),
            requirements: of_layer(Layer::Server).chain(of_layer(Layer::Component)).collect(),
            deny: match entry.deny {
                Deny::Hide => "hide".to_owned(),
                Deny::Challenge => "challenge".to_owned(),
            },
            visible: shown.shown(entry.kind).get(entry.index).copied().unwrap_or(false),
            hidden: entry.is_protected() && !authenticated,
        }
    }

    fn tags(&self) -> String {
        match self.tags.as_slice() {
            [] => "-".to_owned(),
            tags => format!("[{}]", tags.join(" ")),
        }
    }
}

impl fmt::Display for AccessTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width =
            |cell: fn(&AccessRow) -> usize| self.rows.iter().map(cell).max().unwrap_or_default();
        let (kinds, components) = (width(|row| row.kind.len()), width(|row| row.component.len()));
        let (tags, denials) = (width(|row| row.tags().len()), width(|row| row.deny.len()));
        for row in &self.rows {
            let hidden = if row.hidden { "hidden, needs " } else { "" };
            let requirements = match row.requirements.as_slice() {
                [] => "-".to_owned(),
                requirements => requirements.join(" and "),
            };
            let disabled = if row.visible { "" } else { "  (disabled)" };
            let AccessRow { kind, component, deny, .. } = row;
            writeln!(
                f,
                "{kind:kinds$}  {component:components$}  {:tags$}  {deny:denials$}  \
                 {hidden}{requirements}{disabled}",
                row.tags(),
            )?;
        }
        Ok(())
    }
}
