//! The fifteen rules, as far as a server knows whether it keeps them.

mod access;
mod arguments;
mod exposure;
mod secrets;

use serde::Serialize;

use super::Place;
use crate::server::Server;

/// How many rules there are; `docs/manual/rules.md` lists them.
pub(super) const RULES: usize = 15;

/// How a rule is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Outcome {
    Pass,
    /// It is kept, and something deserves a look.
    Warn,
    Fail,
    /// It is about what this server does not have, or does not know.
    Skip,
}

/// What was found out about one rule.
#[derive(Debug, Serialize)]
pub(super) struct Finding {
    outcome: Outcome,
    seen: String,
    fix: Option<&'static str>,
}

impl Finding {
    pub(super) fn skip(seen: impl Into<String>) -> Self {
        Self { outcome: Outcome::Skip, seen: seen.into(), fix: None }
    }

    pub(super) fn fail(seen: impl Into<String>, fix: &'static str) -> Self {
        Self { outcome: Outcome::Fail, seen: seen.into(), fix: Some(fix) }
    }

    fn pass(seen: impl Into<String>) -> Self {
        Self { outcome: Outcome::Pass, seen: seen.into(), fix: None }
    }

    fn warn(seen: impl Into<String>, fix: &'static str) -> Self {
        Self { outcome: Outcome::Warn, seen: seen.into(), fix: Some(fix) }
    }
}

/// Judges a server that would be served at `place`, or over stdio.
pub(super) fn judge(server: &Server, place: Option<&Place<'_>>) -> [Finding; RULES] {
    [
        access::credentials(server),
        access::scopes(server, place),
        exposure::address(server, place),
        secrets::source(server),
        exposure::errors(server),
        access::redirect_uris(place),
        access::verification(place),
        arguments::paths(server),
        arguments::urls(server),
        secrets::output(server),
        arguments::queries(server),
        exposure::routes(server, place),
        arguments::time(server),
        exposure::audit(server),
        secrets::rotation(place),
    ]
}
