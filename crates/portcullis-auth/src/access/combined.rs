//! Checks made of other checks: all of them, any of them, or not this one.

use std::fmt;
use std::sync::Arc;

use super::compiler::{Compiler, Reduced};
use super::{AuthContext, Check, Decision, Denial, IntoCheck, IntoChecks, Target};
use crate::{MaybeFuture, Scopes};

/// Allows if every one of its checks does, asked in their order.
///
/// It takes a tuple of checks of any kind, or an array of one kind, and is what a list of checks
/// means. Denied, it lacks all the scopes that its checks lack, up
/// to the first check that denies for another reason: what comes after that one is not said.
///
/// # Example
///
/// ```
/// # mod portcullis { pub extern crate portcullis_auth as access; }
/// use portcullis::access::{Check, all_of, claim, require_scopes};
///
/// let check = all_of((require_scopes(["admin"]), claim("level").at_least(5)));
/// assert_eq!(check.requirement(), "(scopes admin and level is at least 5)");
/// ```
#[must_use]
pub fn all_of<M>(checks: impl IntoChecks<M>) -> AllOf {
    AllOf(checks.into_checks())
}

/// Allows if one of its checks does, asked in their order.
///
/// It takes a tuple of checks of any kind, or an array of one kind. Denied, it lacks the scopes of
/// the check that lacks fewest, if all of them are about scopes; otherwise it denies for a reason
/// of its own. The message of an [`AuthorizationError`](crate::AuthorizationError) reaches the
/// caller.
///
/// # Example
///
/// ```
/// # mod portcullis { pub extern crate portcullis_auth as access; }
/// use portcullis::access::{Check, any_of, claim, require_scopes};
///
/// let check = any_of((require_scopes(["admin"]), claim("premium").equals(true)));
/// assert_eq!(check.requirement(), "(scopes admin or premium is true)");
/// ```
#[must_use]
pub fn any_of<M>(checks: impl IntoChecks<M>) -> AnyOf {
    AnyOf(checks.into_checks())
}

/// Allows if `check` denies, and denies if it allows.
///
/// A check that could not decide (an error, a claim of the wrong type, no principal) denies within
/// it too. A clear denial becomes an allow, also for a missing [`claim`](crate::claim) and for an
/// [`AuthorizationError`](crate::AuthorizationError).
///
/// # Example
///
/// ```
/// # mod portcullis { pub extern crate portcullis_auth as access; }
/// use portcullis::access::{Check, claim, not};
///
/// assert_eq!(not(claim("suspended").equals(true)).requirement(), "not suspended is true");
/// ```
#[must_use]
pub fn not<M>(check: impl IntoCheck<M>) -> Not {
    Not(check.into_check())
}

/// See [`all_of`].
#[derive(Clone)]
pub struct AllOf(Vec<Arc<dyn Check>>);

/// See [`any_of`].
#[derive(Clone)]
pub struct AnyOf(Vec<Arc<dyn Check>>);

/// See [`not`].
#[derive(Clone, Debug)]
pub struct Not(Arc<dyn Check>);

/// Asks one check after the other, and gives each answer to `next`, until that has a decision.
///
/// An answer that is ready at once costs no future.
fn ask<'a, S: Send + 'a>(
    checks: &'a [Arc<dyn Check>],
    context: AuthContext<'a>,
    mut state: S,
    next: fn(&mut S, Decision) -> Option<Decision>,
    end: fn(S, AuthContext<'a>) -> Decision,
) -> MaybeFuture<'a, Decision> {
    for (index, check) in checks.iter().enumerate() {
        match check.check(context).now() {
            Ok(decision) => {
                if let Some(decided) = next(&mut state, decision) {
                    return MaybeFuture::ready(decided);
                }
            }
            Err(pending) => {
                let rest = checks.get(index + 1..).unwrap_or_default();
                return MaybeFuture::pending(async move {
                    if let Some(decided) = next(&mut state, pending.await) {
                        return decided;
                    }
                    for check in rest {
                        if let Some(decided) = next(&mut state, check.check(context).await) {
                            return decided;
                        }
                    }
                    end(state, context)
                });
            }
        }
    }
    MaybeFuture::ready(end(state, context))
}

/// Denials for scopes alone, joined.
#[derive(Debug, Default)]
pub struct Shortfall(Option<Scopes>);

impl Shortfall {
    /// Takes a denial that is about scopes alone; gives any other back.
    ///
    /// # Errors
    ///
    /// The denial, if it has another cause.
    pub fn add(&mut self, denial: Denial) -> Result<(), Denial> {
        let Some(required) = denial.required_scopes() else { return Err(denial) };
        self.0 = Some(match self.0.take() {
            None => required.clone(),
            Some(before) => before.union(required),
        });
        Ok(())
    }

    /// All the scopes that are required, if any are missing.
    #[must_use]
    pub fn into_scopes(self) -> Option<Scopes> {
        self.0
    }
}

impl Check for AllOf {
    fn check<'a>(&'a self, context: AuthContext<'a>) -> MaybeFuture<'a, Decision> {
        if self.0.is_empty() {
            return MaybeFuture::ready(Decision::failed("all_of([]) without checks"));
        }
        ask(
            &self.0,
            context,
            Shortfall::default(),
            |shortfall, decision| {
                let Decision::Deny(denial) = decision else { return None };
                let other = shortfall.add(denial).err()?;
                Some(match shortfall.0.take() {
                    Some(required) => Decision::lacking(required),
                    None => Decision::Deny(other),
                })
            },
            |shortfall, _| shortfall.into_scopes().map_or(Decision::Allow, Decision::lacking),
        )
    }

    fn requirement(&self) -> String {
        joined(&self.0, " and ")
    }

    fn validate(&self) -> Result<(), String> {
        validate(&self.0, "all_of([])")
    }

    fn reduce(&self, component: Target<'_>, compiler: Compiler) -> Reduced {
        let mut all: Option<Scopes> = None;
        for check in &self.0 {
            match check.reduce(component, compiler) {
                Reduced::Allows => {}
                Reduced::Scopes(scopes) => {
                    all = Some(all.map_or_else(|| scopes.clone(), |before| before.union(&scopes)));
                }
                Reduced::Dynamic => return Reduced::Dynamic,
            }
        }
        match all {
            Some(scopes) => Reduced::Scopes(scopes),
            None if self.0.is_empty() => Reduced::Dynamic,
            None => Reduced::Allows,
        }
    }

    fn tags(&self, compiler: Compiler) -> Vec<String> {
        self.0.iter().flat_map(|check| check.tags(compiler)).collect()
    }

    fn reads_arguments(&self) -> bool {
        self.0.iter().any(|check| check.reads_arguments())
    }
}

/// The denials of the checks of an [`AnyOf`] so far.
#[derive(Default)]
struct Alternatives {
    scopes: Vec<Scopes>,
    other: Option<Denial>,
}

impl Check for AnyOf {
    fn check<'a>(&'a self, context: AuthContext<'a>) -> MaybeFuture<'a, Decision> {
        ask(
            &self.0,
            context,
            Alternatives::default(),
            |alternatives, decision| match decision {
                Decision::Allow => Some(Decision::Allow),
                Decision::Deny(denial) => {
                    match denial.required_scopes() {
                        Some(required) => alternatives.scopes.push(required.clone()),
                        // The first other denial is kept, until a check could not decide: then its
                        // denial is.
                        None if alternatives.other.is_none() || denial.is_failure() => {
                            alternatives.other = Some(denial);
                        }
                        None => {}
                    }
                    None
                }
            },
            |alternatives, context| {
                if let Some(other) = alternatives.other {
                    return Decision::Deny(other);
                }
                let missing = |required: &Scopes| {
                    context.granted().map_or(usize::MAX, |granted| granted.missing(required).len())
                };
                match alternatives.scopes.into_iter().min_by_key(missing) {
                    Some(required) => Decision::lacking(required),
                    None => Decision::failed("any_of([]) without checks"),
                }
            },
        )
    }

    fn requirement(&self) -> String {
        joined(&self.0, " or ")
    }

    fn validate(&self) -> Result<(), String> {
        validate(&self.0, "any_of([])")
    }

    fn tags(&self, compiler: Compiler) -> Vec<String> {
        self.0.iter().flat_map(|check| check.tags(compiler)).collect()
    }

    fn reads_arguments(&self) -> bool {
        self.0.iter().any(|check| check.reads_arguments())
    }
}

impl Check for Not {
    fn check<'a>(&'a self, context: AuthContext<'a>) -> MaybeFuture<'a, Decision> {
        if context.principal().is_none() {
            return MaybeFuture::ready(Decision::failed("no principal"));
        }
        match self.0.check(context).now() {
            Ok(decision) => MaybeFuture::ready(opposite(decision)),
            Err(pending) => MaybeFuture::pending(async move { opposite(pending.await) }),
        }
    }

    fn requirement(&self) -> String {
        format!("not {}", self.0.requirement())
    }

    fn validate(&self) -> Result<(), String> {
        if self.0.reads_arguments() {
            return Err(
                "not(…) cannot contain a check that reads arguments: lists would show the opposite"
                    .to_owned(),
            );
        }
        refuse_over_stdio(&*self.0, "not(…)")?;
        self.0.validate()
    }

    fn tags(&self, compiler: Compiler) -> Vec<String> {
        self.0.tags(compiler)
    }
}

fn opposite(decision: Decision) -> Decision {
    match decision {
        Decision::Allow => Decision::deny("the check inside not(…) allows"),
        Decision::Deny(denial) if denial.is_failure() => Decision::Deny(denial),
        Decision::Deny(_) => Decision::Allow,
    }
}

fn joined(checks: &[Arc<dyn Check>], between: &str) -> String {
    let requirements: Vec<String> = checks.iter().map(|check| check.requirement()).collect();
    match requirements.as_slice() {
        [one] => one.clone(),
        several => format!("({})", several.join(between)),
    }
}

fn validate(checks: &[Arc<dyn Check>], name: &str) -> Result<(), String> {
    if checks.is_empty() {
        return Err(format!("{name} without checks means nothing: add one, or leave it out"));
    }
    checks.iter().try_for_each(|check| {
        refuse_over_stdio(&**check, name)?;
        check.validate()
    })
}

/// Over stdio the whole combination would have to be asked, and most checks need a principal.
fn refuse_over_stdio(check: &dyn Check, name: &str) -> Result<(), String> {
    match check.over_stdio() {
        true => Err(format!(
            "{name} cannot contain a check that also runs over stdio: make it a check of its own, \
             auth = [a, b]"
        )),
        false => Ok(()),
    }
}

impl fmt::Debug for AllOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AllOf({:?})", self.0)
    }
}

impl fmt::Debug for AnyOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AnyOf({:?})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{AuthorizationError, Principal, ScopeHierarchy, claim, require_scopes};

    async fn ask<M>(check: impl IntoCheck<M>, scopes: &[&str]) -> Decision {
        let claims = json!({"level": 5, "premium": "true", "suspended": false});
        let alice = Principal::new("alice")
            .with_scopes(scopes.iter().copied().collect())
            .with_claims(claims.as_object().unwrap().clone());
        let none = ScopeHierarchy::default();
        let target = Target { kind: "tool", name: "t", tags: &[] };
        check.into_check().check(AuthContext::new(Some(&alice), &none, target)).await
    }

    async fn later(_: &AuthContext<'_>) -> bool {
        tokio::task::yield_now().await;
        true
    }

    fn lacking(scopes: &[&str]) -> Decision {
        Decision::lacking(scopes.iter().copied().collect())
    }

    #[tokio::test]
    async fn all_of_lacks_all_that_its_checks_lack() {
        let check = || all_of((require_scopes("a"), later, require_scopes(["b", "a"])));
        assert_eq!(ask(check(), &["a", "b"]).await, Decision::Allow);
        assert_eq!(ask(check(), &[]).await, lacking(&["a", "b"]));
        assert_eq!(ask(check(), &["a"]).await, lacking(&["b", "a"]));
    }

    #[tokio::test]
    async fn a11_what_is_behind_another_denial_is_not_said() {
        let no = |_: &AuthContext<'_>| false;
        let check = all_of((require_scopes("a"), no, require_scopes("b")));
        assert_eq!(ask(check, &[]).await, lacking(&["a"]));
        let check = all_of((no, require_scopes("b")));
        let Decision::Deny(denial) = ask(check, &[]).await else { panic!("allowed") };
        assert_eq!(denial.required_scopes(), None);
    }

    #[tokio::test]
    async fn any_of_needs_one_and_lacks_the_nearest() {
        let check = || any_of((require_scopes(["a", "b"]), later, require_scopes("c")));
        assert_eq!(ask(check(), &[]).await, Decision::Allow);
        let check = || any_of([require_scopes(["a", "b"]), require_scopes("c")]);
        assert_eq!(ask(check(), &["c"]).await, Decision::Allow);
        assert_eq!(ask(check(), &[]).await, lacking(&["c"]));
        let check = any_of((require_scopes("a"), claim("level").at_least(6)));
        let Decision::Deny(denial) = ask(check, &[]).await else { panic!("allowed") };
        assert_eq!(denial.required_scopes(), None, "a scope would not be the only way");
        let speaks = |_: &AuthContext<'_>| Decision::from(AuthorizationError::new("Closed."));
        let Decision::Deny(denial) = ask(any_of((require_scopes("a"), speaks)), &[]).await else {
            panic!("allowed")
        };
        assert!(denial.spoken().is_some());
    }

    #[tokio::test]
    async fn a07_not_turns_a_no_and_never_a_failure() {
        assert!(ask(not(claim("suspended").equals(true)), &[]).await.is_allow());
        assert!(!ask(not(claim("level").equals(5)), &[]).await.is_allow());
        assert!(!ask(not(claim("premium").equals(true)), &[]).await.is_allow(), "no boolean");
        let fails = |_: &AuthContext<'_>| Err::<bool, _>(std::io::Error::other("away"));
        assert!(!ask(not(fails), &[]).await.is_allow());
        assert!(!ask(not(any_of((fails, require_scopes("a")))), &[]).await.is_allow());
        assert!(!ask(not(later), &[]).await.is_allow());
        let none = ScopeHierarchy::default();
        let target = Target { kind: "tool", name: "t", tags: &[] };
        let nobody = AuthContext::new(None, &none, target);
        assert!(!not(claim("suspended").equals(true)).check(nobody).await.is_allow());
    }

    #[tokio::test]
    async fn a07_nothing_joined_denies_and_does_not_build() {
        let nothing = || Vec::<Arc<dyn Check>>::new();
        assert!(!ask(all_of(nothing()), &[]).await.is_allow());
        assert!(!ask(any_of(nothing()), &[]).await.is_allow());
        assert!(all_of(nothing()).validate().is_err() && any_of(nothing()).validate().is_err());
        assert!(not(require_scopes(Vec::<&str>::new())).validate().is_err());
    }

    #[test]
    fn scopes_alone_are_known_beforehand() {
        let target = Target { kind: "tool", name: "t", tags: &[] };
        let both =
            all_of((require_scopes("a"), crate::restrict_tag("x", "b"), require_scopes("c")));
        assert_eq!(both.reduce(target, Compiler), Reduced::Scopes(Scopes::from_iter(["a", "c"])));
        assert_eq!(all_of((require_scopes("a"), later)).reduce(target, Compiler), Reduced::Dynamic);
        assert_eq!(any_of([require_scopes("a")]).reduce(target, Compiler), Reduced::Dynamic);
    }
}
