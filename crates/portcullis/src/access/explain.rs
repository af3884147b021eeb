//! Why a caller may use a component, rule by rule.

use std::fmt;
use std::time::Duration;

use portcullis_auth::{AuthContext, Decision, Principal, ScopeHierarchy, States};
use serde::Serialize;
use tokio::time::Instant;

use crate::access::decision::{Purpose, ask};
use crate::catalogue::{Catalogue, Entry};
use crate::component::Deny;
use crate::component::selector::{Selected, Selector, keys, names};
use crate::error::{SelectionError, SelectionErrorKind};
use crate::visibility::VisibilityState;

/// Why somebody may, or may not, see and use a component over HTTP: rule by rule, for operators
/// and tests. Never show it to callers.
///
/// [`Server::explain`](crate::Server::explain) gives one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Explanation {
    /// `tool`, `resource`, `template` or `prompt`.
    pub kind: String,
    /// The name, the URI or the URI template.
    pub component: String,
    /// Whether all rules allow.
    pub allowed: bool,
    /// Whether lists show it: where it is allowed, and where its use would be challenged with
    /// the scopes that are missing.
    pub listed: bool,
    /// All rules, in the order in which they are asked, the ones after a denial included.
    pub rules: Vec<Explained>,
}

/// The answer of one rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Explained {
    /// The rule, as the access table and audit records name it.
    pub rule: String,
    /// Whether it allows.
    pub allows: bool,
    /// Why it does not, or what else there is to know.
    pub reason: Option<String>,
}

/// What an explanation is about: one server's components and rules.
pub(crate) struct Explaining<'a> {
    pub(crate) catalogue: &'a Catalogue,
    pub(crate) visibility: &'a VisibilityState,
    pub(crate) hierarchy: &'a ScopeHierarchy,
    pub(crate) states: &'a States,
    pub(crate) decision_timeout: Duration,
}

impl Explaining<'_> {
    pub(crate) async fn explain(
        &self,
        principal: Option<&Principal>,
        component: &str,
    ) -> Result<Explanation, SelectionError> {
        let entry = self.named(component)?;
        let shown = self.visibility.server().ok();
        let shown = shown.and_then(|rules| rules.shown(entry.kind).get(entry.index).copied());
        let mut rules = vec![Explained {
            rule: "visibility".to_owned(),
            allows: shown == Some(true),
            reason: (shown != Some(true)).then(|| "it is disabled".to_owned()),
        }];
        let context = AuthContext::new(principal, self.hierarchy, entry.target());
        let context = context.with_states(self.states);
        let deadline = Instant::now() + self.decision_timeout;
        // Whether the first denial is challenged.
        let mut challenged = None;
        for check in &entry.checks.all {
            let decision = ask(check, context, Purpose::Use, deadline).await;
            let (allows, reason) = match &decision {
                Decision::Allow if check.reads_arguments() => {
                    (true, Some("asked again with the arguments of each call".to_owned()))
                }
                Decision::Allow => (true, None),
                Decision::Deny(denial) => {
                    let lacks_scopes = denial.required_scopes().is_some();
                    challenged.get_or_insert(lacks_scopes && entry.deny == Deny::Challenge);
                    (false, Some(denial.reason_given(context.granted()).into_owned()))
                }
            };
            let rule = self.catalogue.rules.text(check.rule).to_owned();
            rules.push(Explained { rule, allows, reason });
        }
        Ok(Explanation {
            kind: entry.kind.to_string(),
            component: entry.key.clone(),
            allowed: rules.iter().all(|rule| rule.allows),
            listed: shown == Some(true) && challenged.unwrap_or(true),
            rules,
        })
    }

    /// The one component that is meant by a key or a name.
    fn named(&self, component: &str) -> Result<&Entry, SelectionError> {
        let matching = |selector: &Selector| -> Vec<&Entry> {
            let meant = |entry: &&Entry| selector.matches(entry.selected());
            self.catalogue.entries().filter(meant).collect()
        };
        let refused = |kind, reason: &str| {
            Err(SelectionError::new(kind, format!("explain({component:?}): {reason}")))
        };
        if let [entry] = matching(&keys([component])).as_slice() {
            return Ok(entry);
        }
        match matching(&names([component])).as_slice() {
            [entry] => Ok(entry),
            [] => refused(SelectionErrorKind::NoComponent, "no component has this name or key"),
            several => {
                let keys = several.iter().map(|entry| {
                    let Selected { kind, name, .. } = entry.selected();
                    format!("{kind}:{name}")
                });
                let which = format!("say which: {}", keys.collect::<Vec<_>>().join(", "));
                refused(SelectionErrorKind::Ambiguous, &which)
            }
        }
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = match (self.allowed, self.listed) {
            (true, _) => "allowed",
            (false, true) => "denied, but listed: a use gets a challenge",
            (false, false) => "denied",
        };
        writeln!(f, "{} {}: {verdict}", self.kind, self.component)?;
        for Explained { rule, allows, reason } in &self.rules {
            let answer = if *allows { "yes" } else { "no" };
            match reason {
                Some(reason) => writeln!(f, "  {answer:3}  {rule}: {reason}")?,
                None => writeln!(f, "  {answer:3}  {rule}")?,
            }
        }
        Ok(())
    }
}
