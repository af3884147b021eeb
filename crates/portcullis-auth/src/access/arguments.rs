//! A check of a call by the arguments that it comes with.

use std::any::type_name;
use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::compiler::Compiler;
use super::{AuthContext, Check, Decision, IntoCheck};
use crate::MaybeFuture;

/// Decides about a call by its validated arguments, for tools alone.
///
/// **Over stdio it is skipped**, as every check is: there is no principal. For a rule that needs
/// none, such as a highest amount, call [`.over_stdio()`](ByArguments::over_stdio): it is then
/// asked there too.
///
/// 1. `in_lists` says who sees the tool, and who may call it at all: it is asked before the
///    arguments are read.
/// 2. `check` then sees the arguments, which meet the schema and have their defaults. It is a
///    function that answers at once: for one that has to wait (for a database, say), implement
///    [`Check`] with [`reads_arguments`](Check::reads_arguments).
///
/// The denial of either is that of a tool that does not exist, unless the tool says
/// `deny = challenge` and scopes are missing, or the denial is an
/// [`AuthorizationError`](crate::AuthorizationError).
///
/// **Deployment caveat.** A caller who sees the tool can try arguments one by one, and learn for
/// which of them it exists.
///
/// # Example
///
/// ```
/// # mod portcullis { pub extern crate portcullis_auth as access; }
/// use portcullis::access::{AuthContext, by_arguments, require_scopes};
/// use serde_json::{Map, Value};
///
/// fn own_account(context: &AuthContext, arguments: &Map<String, Value>) -> bool {
///     let account = arguments.get("account").and_then(Value::as_str);
///     context.principal().map(|principal| principal.subject()) == account
/// }
///
/// let check = by_arguments(require_scopes(["write"]), own_account);
/// ```
pub fn by_arguments<M, F, R>(in_lists: impl IntoCheck<M>, check: F) -> ByArguments<F>
where
    F: for<'a> Fn(&'a AuthContext<'a>, &'a Map<String, Value>) -> R + Send + Sync + 'static,
    R: Into<Decision> + 'static,
{
    ByArguments { in_lists: in_lists.into_check(), check, over_stdio: false }
}

/// See [`by_arguments`].
pub struct ByArguments<F> {
    in_lists: Arc<dyn Check>,
    check: F,
    over_stdio: bool,
}

impl<F> ByArguments<F> {
    /// Asks the rule about the arguments over stdio too, where `in_lists` is skipped and there
    /// is no principal: a rule that looks for one denies there.
    ///
    /// It works only for a check of its own (`auth = [a, b]`): within `any_of`, `all_of` or `not`,
    /// the server does not build.
    ///
    /// # Example
    ///
    /// ```
    /// # mod portcullis { pub extern crate portcullis_auth as access; }
    /// use portcullis::access::{AuthContext, by_arguments, require_scopes};
    /// use serde_json::{Map, Value};
    ///
    /// fn at_most_50(_: &AuthContext, arguments: &Map<String, Value>) -> bool {
    ///     arguments.get("amount").and_then(Value::as_u64).is_some_and(|amount| amount <= 50)
    /// }
    ///
    /// let check = by_arguments(require_scopes(["refund"]), at_most_50).over_stdio();
    /// ```
    #[must_use]
    pub fn over_stdio(mut self) -> Self {
        self.over_stdio = true;
        self
    }
}

impl<F, R> Check for ByArguments<F>
where
    F: for<'a> Fn(&'a AuthContext<'a>, &'a Map<String, Value>) -> R + Send + Sync + 'static,
    R: Into<Decision> + 'static,
{
    fn check<'a>(&'a self, context: AuthContext<'a>) -> MaybeFuture<'a, Decision> {
        let listed = match context.is_local() && self.over_stdio {
            true => MaybeFuture::ready(Decision::Allow),
            false => self.in_lists.check(context),
        };
        let Some(arguments) = context.arguments() else { return listed };
        // Both have to allow, however the call got here.
        let both = move |listed: Decision| match listed {
            Decision::Allow => (self.check)(&context, arguments).into(),
            denied @ Decision::Deny(_) => denied,
        };
        match listed.now() {
            Ok(listed) => MaybeFuture::ready(both(listed)),
            Err(pending) => MaybeFuture::pending(async move { both(pending.await) }),
        }
    }

    fn requirement(&self) -> String {
        let name = super::function::name_of(type_name::<F>());
        format!("{} and {name} of the arguments", self.in_lists.requirement())
    }

    fn validate(&self) -> Result<(), String> {
        if self.in_lists.reads_arguments() {
            return Err("by_arguments: the check for lists cannot read arguments".to_owned());
        }
        if self.in_lists.over_stdio() {
            return Err("by_arguments: the check for lists cannot run over stdio".to_owned());
        }
        self.in_lists.validate()
    }

    fn tags(&self, compiler: Compiler) -> Vec<String> {
        self.in_lists.tags(compiler)
    }

    fn reads_arguments(&self) -> bool {
        true
    }

    fn over_stdio(&self) -> bool {
        self.over_stdio
    }
}

impl<F> fmt::Debug for ByArguments<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ByArguments({:?}, {})", self.in_lists, type_name::<F>())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{Principal, ScopeHierarchy, Target, require_scopes};

    fn own(context: &AuthContext<'_>, arguments: &Map<String, Value>) -> bool {
        context.principal().map(Principal::subject) == arguments.get("id").and_then(Value::as_str)
    }

    #[tokio::test]
    async fn a10_lists_ask_one_check_and_calls_both() {
        let check = by_arguments(require_scopes("write"), own);
        let none = ScopeHierarchy::default();
        let alice = Principal::new("alice").with_scopes(crate::Scopes::from_iter(["write"]));
        let target = Target { kind: "tool", name: "t", tags: &[] };
        let context = AuthContext::new(Some(&alice), &none, target);
        assert!(check.check(context).await.is_allow());
        for (arguments, allowed) in [(json!({"id": "alice"}), true), (json!({"id": "bob"}), false)]
        {
            let arguments = arguments.as_object().unwrap();
            let decision = check.check(context.with_arguments(arguments)).await;
            assert_eq!(decision.is_allow(), allowed);
        }
        let arguments = json!({"id": "alice"});
        let context = context.with_arguments(arguments.as_object().unwrap());
        let admin =
            by_arguments(require_scopes("admin"), |_: &AuthContext<'_>, _: &Map<_, _>| true);
        let either = crate::any_of((admin, by_arguments(require_scopes("none"), own)));
        assert!(!either.check(context).await.is_allow(), "one's list and the other's arguments");
        let nobody = AuthContext::new(None, &none, target);
        assert!(!check.check(nobody).await.is_allow());
        assert_eq!(check.requirement(), "scopes write and own of the arguments");
    }
}
