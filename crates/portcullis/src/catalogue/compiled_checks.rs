//! The checks before a component: all that apply to it, compiled.

use std::sync::Arc;

use portcullis_auth::access::compiler::{Compiler, Reduced};
use portcullis_auth::{Check, Scopes, Target};

use crate::component::Deny;
use crate::component::verdict::RuleId;

/// Where a check was added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum CheckSource {
    /// `.middleware(AuthMiddleware::new(…))`.
    Server,
    /// `auth = …`.
    Component,
}

/// One check before a component.
#[derive(Clone, Debug)]
pub(crate) struct CompiledCheck {
    /// Which of the [`Rules`] it is.
    pub(crate) rule: RuleId,
    pub(crate) source: CheckSource,
    pub(crate) need: Need,
}

impl CompiledCheck {
    /// Whether its check wants to see the arguments.
    pub(crate) fn reads_arguments(&self) -> bool {
        match &self.need {
            Need::Answer(check) | Need::Local(check) => check.reads_arguments(),
            Need::Caller | Need::Scopes(_) => false,
        }
    }
}

/// What a check needs in order to allow.
#[derive(Clone, Debug)]
pub(crate) enum Need {
    /// A caller.
    Caller,
    /// These scopes.
    Scopes(Scopes),
    /// An allow from the check.
    Answer(Arc<dyn Check>),
    /// An allow from the check, which is asked over stdio too.
    Local(Arc<dyn Check>),
}

/// The checks before a component, in the order in which they are asked.
#[derive(Clone, Debug, Default)]
pub(crate) struct CompiledChecks {
    pub(crate) all: Vec<CompiledCheck>,
    /// The equivalence class of the checks: one number for all components with the same checks,
    /// where the token's scopes alone decide.
    pub(crate) class: Option<usize>,
    /// Whether a check wants to see the arguments.
    pub(crate) reads_arguments: bool,
}

impl CompiledChecks {
    /// Compiles the checks of one component.
    pub(crate) fn compile(
        target: Target<'_>,
        needs_caller: bool,
        server: &[Arc<dyn Check>],
        own: &[Arc<dyn Check>],
        deny: Deny,
        rules: &mut Rules,
    ) -> Self {
        let of_server = server.iter().map(|check| (CheckSource::Server, check));
        let of_component = own.iter().map(|check| (CheckSource::Component, check));
        let mut checks = Vec::new();
        for (source, check) in of_server {
            checks.extend(compile(target, source, check, rules));
        }
        if needs_caller {
            let rule = rules.add("a caller".to_owned());
            checks.push(CompiledCheck { rule, source: CheckSource::Component, need: Need::Caller });
        }
        for (source, check) in of_component {
            checks.extend(compile(target, source, check, rules));
        }
        let class = rules.class(deny, &checks);
        let reads_arguments = checks.iter().any(CompiledCheck::reads_arguments);
        Self { all: checks, class, reads_arguments }
    }
}

/// What a check is for a component, as only this compiler may ask: a check of a user's that
/// reduced itself wrongly would be bypassed.
///
/// ```compile_fail,E0061
/// use portcullis::access::{Check, require_scopes};
///
/// require_scopes("read").tags();
/// ```
///
/// ```compile_fail,E0050
/// use portcullis::guard::MaybeFuture;
/// use portcullis::access::{AuthContext, Check, Decision};
///
/// #[derive(Debug)]
/// struct Open;
///
/// impl Check for Open {
///     fn check<'a>(&'a self, _: AuthContext<'a>) -> MaybeFuture<'a, Decision> {
///         MaybeFuture::ready(Decision::Allow)
///     }
///     fn requirement(&self) -> String {
///         "nothing".to_owned()
///     }
///     fn tags(&self) -> Vec<String> {
///         Vec::new()
///     }
/// }
/// ```
///
/// ```compile_fail,E0432
/// use portcullis::access::compiler::Compiler;
/// ```
fn compile(
    target: Target<'_>,
    source: CheckSource,
    check: &Arc<dyn Check>,
    rules: &mut Rules,
) -> Option<CompiledCheck> {
    let need = match (check.reduce(target, Compiler), source) {
        _ if check.over_stdio() => Need::Local(Arc::clone(check)),
        (Reduced::Allows, CheckSource::Server) => return None,
        // Its author required something, if only a caller.
        (Reduced::Allows, CheckSource::Component) => Need::Caller,
        (Reduced::Scopes(scopes), _) => Need::Scopes(scopes),
        (Reduced::Dynamic, _) => Need::Answer(Arc::clone(check)),
    };
    let requirement = check.requirement();
    let text = match source {
        CheckSource::Server => format!("{requirement} (server)"),
        CheckSource::Component => requirement,
    };
    Some(CompiledCheck { rule: rules.add(text), source, need })
}

/// The texts of all rules of a server, and the classes of checks.
#[derive(Debug)]
pub(crate) struct Rules {
    texts: Vec<String>,
    classes: Vec<Class>,
}

/// What the checks of a class have in common: what a denial of theirs says, which decides whether
/// lists show it, and each rule, with the scopes that it needs. For components with other
/// tags, the same rule may need other scopes.
type Class = (Deny, Vec<(RuleId, Option<Scopes>)>);

impl Default for Rules {
    fn default() -> Self {
        Self { texts: vec!["visibility".to_owned()], classes: Vec::new() }
    }
}

impl Rules {
    pub(crate) fn text(&self, rule: RuleId) -> &str {
        self.texts.get(rule.index()).map_or("", String::as_str)
    }

    /// How many classes of checks there are.
    pub(crate) fn classes(&self) -> usize {
        self.classes.len()
    }

    /// The texts of the rules, in the order of their numbers.
    pub(crate) fn texts(&self) -> &[String] {
        &self.texts
    }

    fn add(&mut self, text: String) -> RuleId {
        let known = self.texts.iter().position(|own| *own == text);
        let index = known.unwrap_or_else(|| {
            self.texts.push(text);
            self.texts.len() - 1
        });
        RuleId::at(index)
    }

    fn class(&mut self, deny: Deny, checks: &[CompiledCheck]) -> Option<usize> {
        let by_token = checks.iter().map(|check| match &check.need {
            Need::Caller => Some((check.rule, None)),
            Need::Scopes(scopes) => Some((check.rule, Some(scopes.clone()))),
            Need::Answer(_) | Need::Local(_) => None,
        });
        let class: Class = (deny, by_token.collect::<Option<_>>()?);
        let known = self.classes.iter().position(|own| *own == class);
        Some(known.unwrap_or_else(|| {
            self.classes.push(class);
            self.classes.len() - 1
        }))
    }
}
