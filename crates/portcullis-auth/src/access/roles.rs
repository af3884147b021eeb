//! Checks of roles, and where identity providers put roles in a token.

use std::fmt;

use serde_json::Value;

use super::claim::find;
use super::{AuthContext, Check, Decision};
use crate::{Claims, MaybeFuture, OneOrMany};

/// Requires every one of `roles`, which `extractor` finds in the claims.
///
/// Accepts: a principal whose claim is an array of strings with all of them, or the one string.
/// Refuses: every other one; a missing claim and one of another type are no roles. An empty
/// list does not build.
///
/// # Example
///
/// ```
/// # mod portcullis { pub extern crate portcullis_auth as access; }
/// use portcullis::access::{Check, extract, require_roles};
///
/// let keycloak = require_roles(extract::keycloak_realm(), ["admin"]);
/// let own = require_roles(extract::claim(["org", "roles"]), ["auditor", "reader"]);
/// assert_eq!(own.requirement(), "roles auditor reader in org.roles");
/// ```
#[must_use]
pub fn require_roles(extractor: RoleExtractor, roles: impl OneOrMany) -> RequireRoles {
    RequireRoles { extractor, roles: roles.into_many() }
}

/// See [`require_roles`].
#[derive(Clone, Debug)]
pub struct RequireRoles {
    extractor: RoleExtractor,
    roles: Vec<String>,
}

/// Where roles are in the claims of a token: see [`extract`].
#[derive(Clone)]
pub struct RoleExtractor {
    path: Vec<String>,
}

/// Where the identity providers put roles.
pub mod extract {
    use super::RoleExtractor;
    use crate::OneOrMany;

    /// At any claim: one name, or the names that lead into objects.
    #[must_use]
    pub fn claim(path: impl OneOrMany) -> RoleExtractor {
        RoleExtractor { path: path.into_many() }
    }

    /// Keycloak's roles of the realm: `realm_access.roles`.
    #[must_use]
    pub fn keycloak_realm() -> RoleExtractor {
        claim(["realm_access", "roles"])
    }

    /// Keycloak's roles of one client: `resource_access.<client>.roles`.
    #[must_use]
    pub fn keycloak_client(client: impl Into<String>) -> RoleExtractor {
        claim(["resource_access".to_owned(), client.into(), "roles".to_owned()])
    }

    /// Entra ID's app roles: `roles`.
    #[must_use]
    pub fn entra() -> RoleExtractor {
        claim("roles")
    }

    /// Cognito's groups: `cognito:groups`.
    #[must_use]
    pub fn cognito() -> RoleExtractor {
        claim("cognito:groups")
    }

    /// Auth0's roles, in the namespaced claim that an action of yours adds, such as
    /// `https://example.com/roles`.
    #[must_use]
    pub fn auth0(namespaced_claim: impl Into<String>) -> RoleExtractor {
        claim([namespaced_claim])
    }
}

impl RoleExtractor {
    /// Whether the claims have `role`; `None` where there are no roles to be found.
    fn has(&self, claims: &Claims, role: &str) -> Option<bool> {
        match find(claims, &self.path).ok()?? {
            Value::String(one) => Some(one == role),
            Value::Array(several) if several.iter().all(Value::is_string) => {
                Some(several.iter().any(|one| one == role))
            }
            _ => None,
        }
    }
}

impl Check for RequireRoles {
    fn check<'a>(&'a self, context: AuthContext<'a>) -> MaybeFuture<'a, Decision> {
        let Some(principal) = context.principal() else {
            return MaybeFuture::ready(Decision::failed("no principal"));
        };
        if self.roles.is_empty() {
            return MaybeFuture::ready(Decision::failed("a role check without roles"));
        }
        for role in &self.roles {
            match self.extractor.has(principal.claims(), role) {
                Some(true) => {}
                Some(false) => return MaybeFuture::ready(Decision::deny("a role is missing")),
                None => return MaybeFuture::ready(Decision::failed("no roles in the token")),
            }
        }
        MaybeFuture::ready(Decision::Allow)
    }

    fn requirement(&self) -> String {
        format!("roles {} in {}", self.roles.join(" "), self.extractor.path.join("."))
    }

    fn validate(&self) -> Result<(), String> {
        if self.roles.is_empty() {
            return Err(
                "require_roles(…, []) requires nothing: name a role, or leave it out".into()
            );
        }
        if self.roles.iter().any(String::is_empty)
            || self.extractor.path.iter().any(String::is_empty)
        {
            return Err("require_roles: a role or the name of the claim is empty".into());
        }
        Ok(())
    }
}

impl fmt::Debug for RoleExtractor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RoleExtractor({})", self.path.join("."))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{Principal, ScopeHierarchy, Target};

    async fn allows(check: RequireRoles, claims: Value) -> bool {
        let alice = Principal::new("alice").with_claims(claims.as_object().unwrap().clone());
        let none = ScopeHierarchy::default();
        let target = Target { kind: "tool", name: "t", tags: &[] };
        check.check(AuthContext::new(Some(&alice), &none, target)).await.is_allow()
    }

    #[tokio::test]
    async fn roles_are_found_where_each_provider_puts_them() {
        for (extractor, claims) in [
            (extract::keycloak_realm(), json!({"realm_access": {"roles": ["a", "b"]}})),
            (
                extract::keycloak_client("app"),
                json!({"resource_access": {"app": {"roles": ["a", "b"]}}}),
            ),
            (extract::entra(), json!({"roles": ["b", "a"]})),
            (extract::cognito(), json!({"cognito:groups": ["a", "b"]})),
            (
                extract::auth0("https://x.example/roles"),
                json!({"https://x.example/roles": ["a", "b"]}),
            ),
        ] {
            assert!(allows(require_roles(extractor.clone(), ["a", "b"]), claims.clone()).await);
            assert!(!allows(require_roles(extractor.clone(), ["a", "c"]), claims).await);
            assert!(!allows(require_roles(extractor, "a"), json!({})).await);
        }
    }

    #[tokio::test]
    async fn c17_what_is_no_list_of_roles_is_none() {
        assert!(allows(require_roles(extract::entra(), "a"), json!({"roles": "a"})).await);
        for roles in [json!("a b"), json!({"a": true}), json!(["a", 1]), json!([["a"]]), json!("A")]
        {
            assert!(!allows(require_roles(extract::entra(), "a"), json!({"roles": roles})).await);
        }
        assert!(require_roles(extract::entra(), Vec::<String>::new()).validate().is_err());
    }
}
