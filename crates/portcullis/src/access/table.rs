//! The table of who may use what.

use std::fmt;

use serde::Serialize;

use crate::catalogue::compiled_checks::{CheckSource, Need, Rules};
use crate::catalogue::{Catalogue, Entry};
use crate::component::Deny;
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
/// assert_eq!(
///     table.to_string(),
///     "kind  component    tags     denied  over HTTP           over stdio\n\
///      tool  delete_user  [admin]  hide    scopes admin write  served\n"
/// );
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct AccessTable {
    rows: Vec<AccessRow>,
}

/// The requirements of one component.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct AccessRow {
    /// `tool`, `resource`, `template` or `prompt`.
    pub kind: String,
    /// The name, the URI or the URI template.
    pub component: String,
    /// The component's tags.
    pub tags: Vec<String>,
    /// All requirements over HTTP, the server's own checks first. Empty without a requirement. `a
    /// caller` is what a function that takes a `Caller` requires.
    pub requirements: Vec<String>,
    /// `hide` or `challenge`: how a denial is answered. A component that is challenged is listed
    /// all the same.
    pub deny: String,
    /// Whether the server's rules show it; a session or principal may have rules of its own.
    pub visible: bool,
    /// Whether nobody may use it over HTTP, because nobody is authenticated.
    pub hidden: bool,
    /// The requirements over stdio: checks that say that they are asked there too. Empty without
    /// one.
    pub over_stdio: Vec<String>,
    /// Whether nobody may use it over stdio, whatever `over_stdio` says; see
    /// [`hide_protected_over_stdio`](crate::ServerBuilder::hide_protected_over_stdio).
    pub hidden_over_stdio: bool,
}

impl AccessTable {
    pub(crate) fn new(
        catalogue: &Catalogue,
        shown: &ServerRules,
        authenticated: bool,
        trusts_stdio: bool,
    ) -> Self {
        let row = |entry: &Entry| AccessRow {
            hidden: entry.is_protected() && !authenticated,
            hidden_over_stdio: entry.is_protected() && !trusts_stdio,
            ..AccessRow::of(entry, &catalogue.rules, shown)
        };
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
    fn of(entry: &Entry, rules: &Rules, shown: &ServerRules) -> Self {
        let of_source = |source: CheckSource| {
            let checks = entry.checks.all.iter().filter(move |check| check.source == source);
            checks.map(|check| rules.text(check.rule).to_owned())
        };
        Self {
            kind: entry.kind.to_string(),
            component: entry.key.clone(),
            tags: entry.about.tags.clone(),
            requirements: of_source(CheckSource::Server)
                .chain(of_source(CheckSource::Component))
                .collect(),
            deny: match entry.deny {
                Deny::Hide => "hide".to_owned(),
                Deny::Challenge => "challenge".to_owned(),
            },
            visible: shown.shown(entry.kind).get(entry.index).copied().unwrap_or(false),
            hidden: entry.is_protected(),
            over_stdio: {
                let checks = entry.checks.all.iter();
                let local = checks.filter(|check| matches!(check.need, Need::Local(_)));
                local.map(|check| rules.text(check.rule).to_owned()).collect()
            },
            hidden_over_stdio: entry.is_protected(),
        }
    }

    /// One for each heading of the table.
    fn cells(&self) -> [String; 6] {
        let all_of = |requirements: &[String], nothing: &str| match requirements {
            [] => nothing.to_owned(),
            requirements => requirements.join(" and "),
        };
        let tags = match self.tags.as_slice() {
            [] => "-".to_owned(),
            tags => format!("[{}]", tags.join(" ")),
        };
        let disabled = if self.visible { "" } else { " (disabled)" };
        let hidden = if self.hidden { "hidden, needs " } else { "" };
        let over_http = format!("{hidden}{}{disabled}", all_of(&self.requirements, "-"));
        let over_stdio = match self.hidden_over_stdio {
            true => "hidden".to_owned(),
            false => format!("{}{disabled}", all_of(&self.over_stdio, "served")),
        };
        let (kind, component) = (self.kind.clone(), self.component.clone());
        [kind, component, tags, self.deny.clone(), over_http, over_stdio]
    }
}

impl fmt::Display for AccessTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headings = ["kind", "component", "tags", "denied", "over HTTP", "over stdio"];
        let rows: Vec<_> = self.rows.iter().map(AccessRow::cells).collect();
        let headings = headings.map(str::to_owned);
        let lines = std::iter::once(&headings).chain(&rows);
        let widths = lines.clone().fold([0; 6], |mut widths, cells| {
            for (width, cell) in widths.iter_mut().zip(cells) {
                *width = cell.chars().count().max(*width);
            }
            widths
        });
        for cells in lines {
            let padded = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
            writeln!(f, "{}", padded.collect::<Vec<_>>().join("  ").trim_end())?;
        }
        Ok(())
    }
}
