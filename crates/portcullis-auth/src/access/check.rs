//! The trait of every check, and how a function becomes one.

use std::fmt;
use std::sync::Arc;

use super::compiler::{Compiler, Reduced};
use super::{AuthContext, Decision, Target};
use crate::MaybeFuture;

/// One condition for seeing and using a component.
///
/// Several on one component must all allow. A check that panics or takes too long denies.
/// Checks are skipped over stdio, where there is no token, unless they say
/// [otherwise](Self::over_stdio). Over HTTP without authentication, and over stdio where the
/// server trusts nobody there, they are not asked, and deny.
///
/// Most checks are functions, and need no implementation of this:
///
/// ```
/// # mod portcullis { pub extern crate portcullis_auth as access; }
/// use portcullis::access::{AuthContext, Check, IntoCheck};
///
/// fn require_premium_user(context: &AuthContext) -> bool {
///     context.claim("premium") == Ok(true)
/// }
///
/// let check = require_premium_user.into_check();
/// assert_eq!(check.requirement(), "require_premium_user");
///
/// /// Asks somebody else, and takes its time.
/// async fn require_member(context: &AuthContext<'_>) -> bool {
///     let subject = context.principal().map(|principal| principal.subject());
///     async { subject == Some("alice") }.await
/// }
///
/// let check = require_member.into_check();
/// ```
///
/// # Example
///
/// ```
/// # mod portcullis {
/// #     pub extern crate portcullis_auth as access;
/// #     pub extern crate portcullis_guard as guard;
/// # }
/// use portcullis::access::{AuthContext, Check, Decision};
/// use portcullis::guard::MaybeFuture;
///
/// #[derive(Debug)]
/// struct Level(u64);
///
/// impl Check for Level {
///     fn check<'a>(&'a self, context: AuthContext<'a>) -> MaybeFuture<'a, Decision> {
///         let level = context.claim::<u64>("level");
///         MaybeFuture::ready(level.map(|level| level >= self.0).into())
///     }
///
///     fn requirement(&self) -> String {
///         format!("level {} or more", self.0)
///     }
/// }
/// ```
pub trait Check: fmt::Debug + Send + Sync + 'static {
    /// Decides.
    fn check<'a>(&'a self, context: AuthContext<'a>) -> MaybeFuture<'a, Decision>;

    /// What is required, in a few words for the access table.
    fn requirement(&self) -> String;

    /// What is wrong with the check itself, if anything: the server then does not build.
    ///
    /// # Errors
    ///
    /// Says what is wrong and what would be right.
    fn validate(&self) -> Result<(), String> {
        Ok(())
    }

    /// Whether the check also looks at the validated arguments of a call. It is then asked a
    /// second time, with [`AuthContext::arguments`]; without them it says what lists do, and
    /// that has to allow a call too. For tools alone.
    fn reads_arguments(&self) -> bool {
        false
    }

    /// Whether calls over stdio are asked for too, where there is no principal
    /// ([`AuthContext::is_local`]). Default: no. Within another check it does not count, and
    /// the server does not build.
    fn over_stdio(&self) -> bool {
        false
    }

    /// The check reduced for a component, where that is known before any request; it agrees with
    /// [`check`](Self::check). Default: it has to be asked each time.
    #[doc(hidden)]
    fn reduce(&self, component: Target<'_>, _: Compiler) -> Reduced {
        let _ = component;
        Reduced::Dynamic
    }

    /// The tags that the check speaks of: the server does not build if no component has one.
    #[doc(hidden)]
    fn tags(&self, _: Compiler) -> Vec<String> {
        Vec::new()
    }
}

/// What `auth = …` accepts: a [`Check`], or a function of `&AuthContext`, sync or async, that
/// returns a `bool`, a [`Decision`], or a `Result` of one of them.
///
/// `M` tells the ways apart and is always inferred. A closure has to name its parameter's
/// type: `|context: &AuthContext| …`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an access check",
    label = "not a check",
    note = "write `auth = require_scopes([\"read\"])`, or a list of checks that must all allow",
    note = "or a function `fn(&AuthContext) -> bool`, or `async fn(&AuthContext<'_>) -> bool`, which may also return a `Decision`, or a `Result` whose error is an `AuthorizationError` or a `CheckError`",
    note = "a closure names its parameter's type: `|context: &AuthContext| …`; a `claim(…)` says what it has to be: `.equals(…)`"
)]
pub trait IntoCheck<M> {
    /// The check.
    fn into_check(self) -> Arc<dyn Check>;
}

impl<C: Check> IntoCheck<()> for C {
    fn into_check(self) -> Arc<dyn Check> {
        Arc::new(self)
    }
}

/// One that was made already.
impl IntoCheck<()> for Arc<dyn Check> {
    fn into_check(self) -> Arc<dyn Check> {
        self
    }
}

/// Several checks: a tuple of up to eight of any kind, an array or a `Vec` of one kind.
#[diagnostic::on_unimplemented(
    message = "`{Self}` are not several access checks",
    label = "not a tuple or an array of checks",
    note = "checks of different kinds go into a tuple: `any_of((require_scopes(\"admin\"), premium))`"
)]
pub trait IntoChecks<M> {
    /// The checks, in their order.
    fn into_checks(self) -> Vec<Arc<dyn Check>>;
}

impl<M, C: IntoCheck<M>, const N: usize> IntoChecks<M> for [C; N] {
    fn into_checks(self) -> Vec<Arc<dyn Check>> {
        self.into_iter().map(IntoCheck::into_check).collect()
    }
}

impl<M, C: IntoCheck<M>> IntoChecks<M> for Vec<C> {
    fn into_checks(self) -> Vec<Arc<dyn Check>> {
        self.into_iter().map(IntoCheck::into_check).collect()
    }
}

macro_rules! tuples {
    ($(($($check:ident $way:ident)+))+) => {$(
        impl<$($check: IntoCheck<$way>, $way),+> IntoChecks<($($way,)+)> for ($($check,)+) {
            fn into_checks(self) -> Vec<Arc<dyn Check>> {
                #[expect(non_snake_case, reason = "a variable for each type")]
                let ($($check,)+) = self;
                vec![$($check.into_check()),+]
            }
        }
    )+};
}

tuples! {
    (A MA)
    (A MA B MB)
    (A MA B MB C MC)
    (A MA B MB C MC D MD)
    (A MA B MB C MC D MD E ME)
    (A MA B MB C MC D MD E ME F MF)
    (A MA B MB C MC D MD E ME F MF G MG)
    (A MA B MB C MC D MD E ME F MF G MG H MH)
}
