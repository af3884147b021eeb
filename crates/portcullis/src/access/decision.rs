//! The one decision about every use and every list entry.

use std::any::Any;
use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};

use futures_util::FutureExt;
use portcullis_auth::{
    AuthContext, Check, Decision, Denial, ScopeHierarchy, Scopes, Shortfall, States,
};
use portcullis_protocol::Exchange;
use serde_json::{Map, Value};
use tokio::time::Instant;

use crate::catalogue::compiled_checks::{CompiledCheck, Need};
use crate::catalogue::{Catalogue, Entry, Section};
use crate::component::verdict::{Denied, Face, RuleId};
use crate::component::{ComponentKind, Deny};
use crate::visibility::EffectiveRules;

/// Who asks, and how much time all answers have together.
#[derive(Clone, Copy)]
pub(crate) struct Asking<'a> {
    pub(crate) exchange: &'a Exchange,
    pub(crate) hierarchy: &'a ScopeHierarchy,
    pub(crate) states: &'a States,
    pub(crate) visibility: &'a EffectiveRules<'a>,
    pub(crate) deadline: Instant,
    /// Whether it is the local user, and the server trusts them.
    pub(crate) trusted: bool,
}

/// The purpose of a decision.
#[derive(Clone, Copy)]
pub(crate) enum Purpose<'a> {
    /// A list, or a notification about one.
    List,
    /// A use, before its arguments are looked at.
    Use,
    /// A use whose arguments were validated: the checks that read arguments are asked again.
    Call(&'a Map<String, Value>),
}

/// Allowed, or denied: by which rule, why, and what the caller may know of it.
#[derive(Debug)]
pub(crate) enum Access {
    Allowed,
    Denied(Denied),
}

impl Access {
    /// Whether lists show it, or which rule hides it: what may be used, and what is challenged.
    /// That it exists is not a secret, since the 403 names it; and of what is not listed no agent
    /// would ever meet the challenge.
    fn listed(self) -> Result<(), RuleId> {
        match self {
            Self::Allowed | Self::Denied(Denied { face: Face::Challenge(_), .. }) => Ok(()),
            Self::Denied(Denied { rule, face: Face::Absent | Face::Spoken(_), .. }) => Err(rule),
        }
    }
}

/// The one decision: may this exchange see and use this component?
///
/// Lists, uses, cursors and notifications about every kind of component ask it, and nothing
/// else does. In this order:
///
/// 1. A component that is disabled is not there, on every transport.
/// 2. Over stdio: yes, unless a check denies that says it is asked there too. There is no token;
///    the peer is the user who started the process. A server that says
///    `hide_protected_over_stdio` goes on instead, and finds no principal.
/// 3. The server-wide checks allow, and then the component's own; that of a function that asks
///    for a `Caller` comes first. Without a principal, all of them deny. Checks fail closed: one that
///    panics, or has not answered at the deadline, denies.
///
/// The first check that does not allow ends it; but where a denial is to be a challenge, all scopes
/// that are missing are collected, up to the first check that denies for another reason. A
/// component that is challenged is listed, so for a list the first missing scope is enough.
pub(crate) async fn decide(entry: &Entry, asking: &Asking<'_>, purpose: Purpose<'_>) -> Access {
    if !asking.visibility.shows(entry) {
        return Access::Denied(Denied {
            rule: RuleId::VISIBILITY,
            reason: Cow::Borrowed("it is disabled"),
            face: Face::Absent,
        });
    }
    let context = context_of(entry, asking, purpose);
    if asking.trusted {
        return decide_locally(entry, context.for_local_user(), asking.deadline).await;
    }
    let collects = entry.deny == Deny::Challenge;
    let (mut shortfall, mut first) = (Shortfall::default(), None);
    for check in &entry.checks.all {
        let Decision::Deny(denial) = ask(check, context, purpose, asking.deadline).await else {
            continue;
        };
        if !collects {
            return denied(check.rule, &denial, context);
        }
        match shortfall.add(denial) {
            Ok(()) if context.is_listing() => {
                first = Some(check.rule);
                break;
            }
            Ok(()) => _ = first.get_or_insert(check.rule),
            Err(other) if first.is_none() => return denied(check.rule, &other, context),
            Err(_) => break,
        }
    }
    match shortfall.into_scopes() {
        None => Access::Allowed,
        Some(required) => challenged(first.unwrap_or(RuleId::VISIBILITY), &required, context),
    }
}

/// Asks the checks that are asked over stdio too.
async fn decide_locally(entry: &Entry, context: AuthContext<'_>, deadline: Instant) -> Access {
    for check in &entry.checks.all {
        let Need::Local(local) = &check.need else { continue };
        if let Decision::Deny(denial) = answer(&**local, context, deadline).await {
            return denied(check.rule, &denial, context);
        }
    }
    Access::Allowed
}

/// Whether lists show a component to this exchange, or which rule hides it.
pub(crate) async fn lists(entry: &Entry, asking: &Asking<'_>) -> Result<(), RuleId> {
    decide(entry, asking, Purpose::List).await.listed()
}

/// As [`lists`] for all components of one kind: one decision per equivalence class of checks
/// is cached.
pub(crate) struct ListDecision<'a> {
    asking: Asking<'a>,
    section: &'a Section,
    /// What the server's rules show, if no session's or principal's own rules apply.
    shown: Option<&'a [bool]>,
    /// The decision about each class.
    classes: Vec<Option<Result<(), RuleId>>>,
}

impl<'a> ListDecision<'a> {
    pub(crate) fn new(asking: Asking<'a>, catalogue: &'a Catalogue, kind: ComponentKind) -> Self {
        let classes = vec![None; catalogue.rules.classes()];
        let shown = asking.visibility.by_server(kind);
        Self { asking, section: catalogue.section(kind), shown, classes }
    }

    /// Whether the list shows the entry at `position`, and each after it, or which rule hides
    /// it: up to the first entry that has to be asked about. Most are known, and for a
    /// list of thousands none of their entries is looked at.
    pub(crate) fn known(&self, position: usize) -> impl Iterator<Item = Result<(), RuleId>> {
        let classes = self.section.classes.get(position..).unwrap_or_default();
        (position..).zip(classes).map_while(|(position, class)| {
            let shown = match self.shown {
                Some(shown) => shown.get(position).copied(),
                None => Some(self.asking.visibility.shows(self.section.entries.get(position)?)),
            };
            match shown {
                Some(true) => *self.classes.get((*class)?)?,
                Some(false) | None => Some(Err(RuleId::VISIBILITY)),
            }
        })
    }

    /// Whether the list shows the entry at `position`, or which rule hides it.
    pub(crate) async fn shows(&mut self, position: usize) -> Result<(), RuleId> {
        if let Some(known) = self.known(position).next() {
            return known;
        }
        let Some(entry) = self.section.entries.get(position) else {
            return Err(RuleId::VISIBILITY);
        };
        let shows = lists(entry, &self.asking).await;
        if let Some(known) = entry.checks.class.and_then(|class| self.classes.get_mut(class)) {
            *known = Some(shows);
        }
        shows
    }
}

fn context_of<'a>(entry: &'a Entry, asking: &Asking<'a>, purpose: Purpose<'a>) -> AuthContext<'a> {
    let principal = asking.exchange.principal.as_deref();
    let context = AuthContext::new(principal, asking.hierarchy, entry.target());
    let context = context.with_states(asking.states);
    match purpose {
        Purpose::List => context.for_list(),
        Purpose::Use => context,
        Purpose::Call(arguments) => context.with_arguments(arguments),
    }
}

/// Asks one check. Every check needs a principal: without one, a check that would allow everybody
/// denies as all others do.
pub(crate) async fn ask(
    compiled: &CompiledCheck,
    context: AuthContext<'_>,
    purpose: Purpose<'_>,
    deadline: Instant,
) -> Decision {
    let Some(granted) = context.granted() else { return Decision::failed("no principal") };
    match (&compiled.need, purpose) {
        (Need::Answer(check) | Need::Local(check), Purpose::Call(_))
            if !check.reads_arguments() =>
        {
            Decision::Allow
        }
        (Need::Answer(check) | Need::Local(check), _) => answer(&**check, context, deadline).await,
        // Asked before the arguments were read.
        (Need::Scopes(_), Purpose::Call(_)) | (Need::Caller, _) => Decision::Allow,
        (Need::Scopes(scopes), _) if granted.has_all(scopes) => Decision::Allow,
        (Need::Scopes(scopes), _) => Decision::lacking(scopes.clone()),
    }
}

/// The answer of a check, within its time. A panic is a denial.
pub(crate) async fn answer(
    check: &dyn Check,
    context: AuthContext<'_>,
    deadline: Instant,
) -> Decision {
    // Most checks answer at once: a list of thousands sets no timer for them.
    let asked = catch_unwind(AssertUnwindSafe(|| check.check(context).now()));
    let answered = match asked {
        Ok(Ok(decision)) => Ok(decision),
        Ok(Err(pending)) => {
            let answer = AssertUnwindSafe(pending).catch_unwind();
            match tokio::time::timeout_at(deadline, answer).await {
                Ok(answered) => answered,
                Err(_) => return Decision::failed("the check took too long"),
            }
        }
        Err(panic) => Err(panic),
    };
    answered.unwrap_or_else(|panic| {
        Decision::failed(format!("the check panicked: {}", panic_text(&*panic)))
    })
}

fn denied(rule: RuleId, denial: &Denial, context: AuthContext<'_>) -> Access {
    // A list counts what it hides and tells no reasons, so no reason is written for each component.
    let reason = match context.is_listing() {
        true => Cow::Borrowed(""),
        false => Cow::Owned(denial.reason_given(context.granted()).into_owned()),
    };
    let face = match denial.spoken() {
        Some(error) if !context.is_listing() => Face::Spoken(error.clone()),
        Some(_) | None => Face::Absent,
    };
    Access::Denied(Denied { rule, reason, face })
}

fn challenged(rule: RuleId, required: &Scopes, context: AuthContext<'_>) -> Access {
    let missing = context.granted().map(|granted| granted.lacking(required));
    let missing = missing.unwrap_or_else(|| required.clone());
    let reason = Cow::Owned(format!("missing scopes: {missing}"));
    Access::Denied(Denied { rule, reason, face: Face::Challenge(missing) })
}

/// The message of a panic, for the log.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("(no text)")
}
