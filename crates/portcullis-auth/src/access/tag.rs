//! The check that asks for scopes where a component has a tag.

use super::compiler::{Compiler, Reduced};
use super::{AuthContext, Check, Decision, RequireScopes, Target, require_scopes};
use crate::{MaybeFuture, OneOrMany};

/// Requires `scopes` of whoever sees or uses a component that is tagged `tag`; every other
/// component is let through.
///
/// For the whole server: `.middleware(AuthMiddleware::new(restrict_tag("admin", ["admin"])))`.
/// A tag that no component has does not build.
///
/// # Example
///
/// ```
/// # mod portcullis { pub extern crate portcullis_auth as access; }
/// use portcullis::access::{Check, restrict_tag};
///
/// let check = restrict_tag("admin", ["admin"]);
/// assert_eq!(check.requirement(), "scopes admin for the tag admin");
/// ```
#[must_use]
pub fn restrict_tag(tag: impl Into<String>, scopes: impl OneOrMany) -> RestrictTag {
    RestrictTag { tag: tag.into(), scopes: require_scopes(scopes) }
}

/// See [`restrict_tag`].
#[derive(Clone, Debug)]
pub struct RestrictTag {
    tag: String,
    scopes: RequireScopes,
}

impl Check for RestrictTag {
    fn check<'a>(&'a self, context: AuthContext<'a>) -> MaybeFuture<'a, Decision> {
        MaybeFuture::ready(match context.has_tag(&self.tag) {
            true => self.scopes.decide(context),
            false => Decision::Allow,
        })
    }

    fn requirement(&self) -> String {
        format!("scopes {} for the tag {}", self.scopes.scopes(), self.tag)
    }

    fn validate(&self) -> Result<(), String> {
        self.scopes.validate()
    }

    fn reduce(&self, component: Target<'_>, _: Compiler) -> Reduced {
        match component.tags.contains(&self.tag) {
            true => Reduced::Scopes(self.scopes.scopes().clone()),
            false => Reduced::Allows,
        }
    }

    fn tags(&self, _: Compiler) -> Vec<String> {
        vec![self.tag.clone()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Principal, ScopeHierarchy, Scopes};

    #[tokio::test]
    async fn only_what_has_the_tag_is_restricted() {
        let check = restrict_tag("admin", ["admin"]);
        let none = ScopeHierarchy::default();
        let bob = Principal::new("bob").with_scopes(Scopes::from_iter(["read"]));
        let tags = ["admin".to_owned(), "danger".to_owned()];
        let target = |tags| Target { kind: "tool", name: "t", tags };
        let ask = async |tags| check.check(AuthContext::new(Some(&bob), &none, target(tags))).await;
        assert!(!ask(&tags).await.is_allow());
        assert!(ask(&tags[1..]).await.is_allow());
        assert_eq!(check.reduce(target(&tags[1..]), Compiler), Reduced::Allows);
        assert_eq!(
            check.reduce(target(&tags), Compiler),
            Reduced::Scopes(Scopes::from_iter(["admin"]))
        );
    }
}
