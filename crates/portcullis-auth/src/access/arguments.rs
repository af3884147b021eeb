use std::any::type_name;
use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::{AuthContext, Check, Decision, IntoCheck};
use crate::Answer;

/// Decides about a call by its validated arguments, for tools alone.
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
/// # extern crate portcullis_auth as portcullis;
/// use portcullis::{AuthContext, by_arguments, require_scopes};
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
    ByArguments { in_lists: in_lists.into_check(), check }
}

/// See [`by_arguments`].
pub struct ByArguments<F> {
    in_lists: Arc<dyn Check>,
    check: F,
}

impl<F, R> Check for ByArguments<F>
where
    F: for<'a> Fn(&'a AuthContext<'a>, &'a Map<String, Value>) -> R + Send + Sync + 'static,
    R: Into<Decision> + 'static,
{
    fn check<'a>(&'a self, context: AuthContext<'a>) -> Answer<'a, Decision> {
        match context.arguments() {
            None => self.in_lists.check(context),
            Some(arguments) => Answer::ready((self.check)(&context, arguments).into()),
        }
    }

    fn requirement(&self) -> String {
        let name = super::function::name_of(type_name::<F>());
        format!("{} and {name} of the arguments", self.in_lists.requirement())
    }

    fn validate(&self) -> Result<(), String> {
        if self.in_lists.reads_arguments() {
            return Err("by_arguments: there are no arguments in lists".to_owned());
        }
        self.in_lists.validate()
    }

    fn tags(&self) -> Vec<String> {
        self.in_lists.tags()
    }

    fn reads_arguments(&self) -> bool {
        true
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
        let nobody = AuthContext::new(None, &none, target);
        assert!(!check.check(nobody).await.is_allow());
        assert_eq!(check.requirement(), "scopes write and own of the arguments");
    }
}
