//! Functions as checks, async ones too.

use std::any::type_name;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::sync::Arc;

use super::{AuthContext, Check, Decision, IntoCheck};
use crate::MaybeFuture;

/// A check that is a function.
pub struct FunctionCheck<F, M> {
    function: F,
    way: PhantomData<fn() -> M>,
}

/// The function answers at once.
#[derive(Debug)]
pub struct Sync<R>(PhantomData<fn() -> R>);

/// The function is async.
#[derive(Debug)]
pub struct Async;

impl<F, R> IntoCheck<Sync<R>> for F
where
    F: for<'a> Fn(&'a AuthContext<'a>) -> R + Send + std::marker::Sync + 'static,
    R: Into<Decision> + 'static,
{
    fn into_check(self) -> Arc<dyn Check> {
        Arc::new(FunctionCheck::<F, Sync<R>> { function: self, way: PhantomData })
    }
}

impl<F> IntoCheck<Async> for F
where
    F: for<'a> AsyncFunction<'a> + Send + std::marker::Sync + 'static,
{
    fn into_check(self) -> Arc<dyn Check> {
        Arc::new(FunctionCheck::<F, Async> { function: self, way: PhantomData })
    }
}

/// An async function of a context that it may borrow from.
pub trait AsyncFunction<'a> {
    /// What it returns before it is awaited.
    type MaybeFuture: Future<Output: Into<Decision>> + Send + 'a;

    /// Begins it.
    fn begin(&self, context: &'a AuthContext<'a>) -> Self::MaybeFuture;
}

impl<'a, F, A> AsyncFunction<'a> for F
where
    F: Fn(&'a AuthContext<'a>) -> A,
    A: Future<Output: Into<Decision>> + Send + 'a,
{
    type MaybeFuture = A;

    fn begin(&self, context: &'a AuthContext<'a>) -> A {
        self(context)
    }
}

impl<F, R> Check for FunctionCheck<F, Sync<R>>
where
    F: for<'a> Fn(&'a AuthContext<'a>) -> R + Send + std::marker::Sync + 'static,
    R: Into<Decision> + 'static,
{
    fn check<'a>(&'a self, context: AuthContext<'a>) -> MaybeFuture<'a, Decision> {
        MaybeFuture::ready((self.function)(&context).into())
    }

    fn requirement(&self) -> String {
        name_of(type_name::<F>())
    }
}

impl<F> Check for FunctionCheck<F, Async>
where
    F: for<'a> AsyncFunction<'a> + Send + std::marker::Sync + 'static,
{
    fn check<'a>(&'a self, context: AuthContext<'a>) -> MaybeFuture<'a, Decision> {
        MaybeFuture::pending(async move { self.function.begin(&context).await.into() })
    }

    fn requirement(&self) -> String {
        name_of(type_name::<F>())
    }
}

impl<F, M> fmt::Debug for FunctionCheck<F, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FunctionCheck({})", type_name::<F>())
    }
}

/// `a::b::premium` is `premium`; a closure made in `a::b::level` is `level`, and one that was
/// written into an attribute is a function of its component.
pub(super) fn name_of(path: &str) -> String {
    let (of, path) = match path.strip_prefix('<') {
        Some(rest) => ("a function of ", rest.split(" as ").next().unwrap_or(rest)),
        None => ("", path.split('<').next().unwrap_or(path)),
    };
    let named = |segment: &&str| !segment.is_empty() && !segment.starts_with('{');
    let name = path.rsplit("::").find(named);
    name.map_or_else(|| "a function".to_owned(), |name| format!("{of}{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AuthorizationError, CheckError, Principal, ScopeHierarchy, Target};

    fn premium(context: &AuthContext<'_>) -> bool {
        context.claim("premium") == Ok(true)
    }

    async fn premium_later(context: &AuthContext<'_>) -> bool {
        tokio::task::yield_now().await;
        context.claim("premium") == Ok(true)
    }

    fn fallible(context: &AuthContext<'_>) -> Result<bool, CheckError> {
        Ok(context.claim::<u64>("level")? >= 5)
    }

    async fn speaks(_: &AuthContext<'_>) -> Result<Decision, AuthorizationError> {
        Err(AuthorizationError::new("Not today."))
    }

    fn level(least: u64) -> impl Fn(&AuthContext<'_>) -> bool {
        move |context: &AuthContext<'_>| {
            context.claim::<u64>("level").is_ok_and(|level| level >= least)
        }
    }

    async fn ask<M>(check: impl IntoCheck<M>, claims: serde_json::Value) -> Decision {
        let principal = Principal::new("alice").with_claims(claims.as_object().unwrap().clone());
        let hierarchy = ScopeHierarchy::default();
        let target = Target { kind: "tool", name: "t", tags: &[] };
        check.into_check().check(AuthContext::new(Some(&principal), &hierarchy, target)).await
    }

    #[tokio::test]
    async fn functions_of_every_form_are_checks() {
        let json = || serde_json::json!({"premium": true, "level": 7});
        assert!(ask(premium, json()).await.is_allow());
        assert!(ask(premium_later, json()).await.is_allow());
        assert!(ask(fallible, json()).await.is_allow());
        assert!(ask(level(7), json()).await.is_allow());
        assert!(!ask(level(8), json()).await.is_allow());
        assert!(ask(|_: &AuthContext<'_>| true, json()).await.is_allow());
        assert!(ask(|_: &AuthContext<'_>| async { true }, json()).await.is_allow());
        let Decision::Deny(denial) = ask(speaks, json()).await else { panic!("allowed") };
        assert_eq!(denial.spoken().map(AuthorizationError::message), Some("Not today."));
    }

    #[tokio::test]
    async fn h14_an_async_check_that_says_no_denies() {
        let json = || serde_json::json!({"premium": "true", "level": "7"});
        assert!(!ask(premium_later, json()).await.is_allow());
        assert!(!ask(|_: &AuthContext<'_>| async { false }, json()).await.is_allow());
        assert!(!ask(fallible, json()).await.is_allow(), "a wrong type is a denial");
    }

    #[test]
    fn a_function_is_required_by_its_name() {
        assert_eq!(premium.into_check().requirement(), "premium");
        assert_eq!(level(5).into_check().requirement(), "level");
        let in_attribute = "<app::closure_it as portcullis::Declare>::declare::{{closure}}";
        assert_eq!(name_of(in_attribute), "a function of closure_it");
        assert_eq!(name_of("{{closure}}"), "a function");
    }
}
