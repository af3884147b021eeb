//! A check with the words in which tables and records name it.

use std::sync::Arc;

use super::compiler::{Compiler, Reduced};
use super::{AuthContext, Check, Decision, IntoCheck, Target};
use crate::MaybeFuture;

/// Says in words what `check` requires, for the access table and the audit trail: of a function
/// they know the name alone, and of what a factory made not with what.
///
/// # Example
///
/// ```
/// # mod portcullis { pub extern crate portcullis_auth as access; }
/// use portcullis::access::{AuthContext, Check, described};
///
/// fn require_access_level(least: u64) -> impl Check {
///     let check = move |context: &AuthContext| {
///         context.claim("level").is_ok_and(|level: u64| level >= least)
///     };
///     described(format!("level {least} or more"), check)
/// }
///
/// assert_eq!(require_access_level(5).requirement(), "level 5 or more");
/// ```
pub fn described<M>(requirement: impl Into<String>, check: impl IntoCheck<M>) -> Described {
    Described { requirement: requirement.into(), check: check.into_check() }
}

/// See [`described`].
#[derive(Clone, Debug)]
pub struct Described {
    requirement: String,
    check: Arc<dyn Check>,
}

impl Check for Described {
    fn check<'a>(&'a self, context: AuthContext<'a>) -> MaybeFuture<'a, Decision> {
        self.check.check(context)
    }

    fn requirement(&self) -> String {
        self.requirement.clone()
    }

    fn validate(&self) -> Result<(), String> {
        if self.requirement.trim().is_empty() {
            return Err("described(\"\", …): say what is required".to_owned());
        }
        self.check.validate()
    }

    fn reduce(&self, component: Target<'_>, compiler: Compiler) -> Reduced {
        self.check.reduce(component, compiler)
    }

    fn tags(&self, compiler: Compiler) -> Vec<String> {
        self.check.tags(compiler)
    }

    fn reads_arguments(&self) -> bool {
        self.check.reads_arguments()
    }

    fn over_stdio(&self) -> bool {
        self.check.over_stdio()
    }
}
