//! The one decision about every component, and what tells an operator how it goes.

pub(crate) mod decision;
pub(crate) mod explain;
pub(crate) mod table;

pub use portcullis_auth::{
    AllOf, AnyOf, AuthContext, AuthorizationError, ByArguments, Check, CheckError, Claim,
    ClaimCheck, ClaimError, Decision, Denial, Described, Granted, IntoCheck, IntoChecks, Not,
    OneOrMany, RequireRoles, RequireScopes, RestrictTag, RoleExtractor, ScopeHierarchy, Scopes,
    Target, all_of, any_of, by_arguments, claim, described, extract, not, require_roles,
    require_scopes, restrict_tag,
};

pub use self::explain::{Explained, Explanation};
pub use self::table::{AccessRow, AccessTable};
