//! Checks and the decisions they give.
//!
//! A [`Check`] is one condition. Ready ones are [`require_scopes`], [`require_roles`],
//! [`restrict_tag`] and [`claim`]; [`all_of`], [`any_of`] and [`not`] join them; any function
//! of an [`AuthContext`] is one too.

mod arguments;
mod check;
mod claim;
mod combined;
#[doc(hidden)]
pub mod compiler;
mod context;
mod decision;
mod described;
mod function;
mod roles;
mod scopes;
mod states;
mod tag;

pub use arguments::{ByArguments, by_arguments};
pub use check::{Check, IntoCheck, IntoChecks};
#[cfg(feature = "jwt")]
pub(crate) use claim::find;
pub use claim::{Claim, ClaimCheck, ClaimError, claim};
pub use combined::{AllOf, AnyOf, Not, Shortfall, all_of, any_of, not};
pub use context::{AuthContext, Target};
pub use decision::{AuthorizationError, CheckError, Decision, Denial};
pub use described::{Described, described};
pub use function::FunctionCheck;
pub use roles::{RequireRoles, RoleExtractor, extract, require_roles};
pub use scopes::{RequireScopes, require_scopes};
pub use states::States;
pub use tag::{RestrictTag, restrict_tag};
