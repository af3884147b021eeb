use std::fmt;

use crate::catalogue::{Catalogue, Entry};

/// Who may see and use what: one row for each component.
///
/// Displayed, it is a table for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessTable {
    rows: Vec<AccessRow>,
}

/// What one component requires.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AccessRow {
    /// `tool`, `resource`, `template` or `prompt`.
    pub kind: String,
    /// The name, the URI or the URI template.
    pub component: String,
    /// The tags.
    pub tags: Vec<String>,
    /// What is required over HTTP; all of it, and nothing if there is none.
    pub requirements: Vec<String>,
    /// Whether nobody may use it over HTTP, because nobody is authenticated.
    pub hidden: bool,
}

impl AccessTable {
    pub(crate) fn of(catalogue: &Catalogue, authenticated: bool) -> Self {
        Self {
            rows: catalogue.entries().map(|entry| AccessRow::of(entry, authenticated)).collect(),
        }
    }

    /// The rows: tools, resources, templates, prompts.
    #[must_use]
    pub fn rows(&self) -> &[AccessRow] {
        &self.rows
    }
}

impl AccessRow {
    fn of(entry: &Entry, authenticated: bool) -> Self {
        let caller = entry.needs_caller.then(|| "a caller".to_owned());
        let checks = entry.checks.iter().map(|check| check.requirement());
        Self {
            kind: entry.kind.to_string(),
            component: entry.key.clone(),
            tags: entry.about.tags.clone(),
            requirements: caller.into_iter().chain(checks).collect(),
            hidden: entry.is_protected() && !authenticated,
        }
    }
}

impl fmt::Display for AccessTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width =
            |cell: fn(&AccessRow) -> usize| self.rows.iter().map(cell).max().unwrap_or_default();
        let (kinds, components) = (width(|row| row.kind.len()), width(|row| row.component.len()));
        for row in &self.rows {
            let hidden = if row.hidden { "hidden, needs " } else { "" };
            let requirements = if row.requirements.is_empty() {
                "-".to_owned()
            } else {
                row.requirements.join(" and ")
            };
            writeln!(
                f,
                "{:kinds$}  {:components$}  {hidden}{requirements}",
                row.kind, row.component
            )?;
        }
        Ok(())
    }
}
