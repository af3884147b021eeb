//! What a check is given: the principal, the component, the state of the server.

use std::any::{Any, type_name};
use std::fmt;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::claim::ClaimError;
use super::{CheckError, States};
use crate::{Granted, OneOrMany, Principal, ScopeHierarchy};

/// What a check may look at.
#[derive(Clone, Copy)]
pub struct AuthContext<'a> {
    principal: Option<&'a Principal>,
    hierarchy: &'a ScopeHierarchy,
    target: Target<'a>,
    arguments: Option<&'a Map<String, Value>>,
    states: Option<&'a States>,
    listing: bool,
    local: bool,
}

/// The target of a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target<'a> {
    /// `tool`, `resource`, `template`, `prompt` or `route`.
    pub kind: &'static str,
    /// The name of the tool or prompt, the URI (template) of the resource, the method and path
    /// of the route.
    pub name: &'a str,
    /// The component's tags.
    pub tags: &'a [String],
}

impl<'a> AuthContext<'a> {
    /// The context of one decision about `target`.
    #[must_use]
    pub fn new(
        principal: Option<&'a Principal>,
        hierarchy: &'a ScopeHierarchy,
        target: Target<'a>,
    ) -> Self {
        Self {
            principal,
            hierarchy,
            target,
            arguments: None,
            states: None,
            listing: false,
            local: false,
        }
    }

    /// The same for a decision whether a list shows the target.
    #[must_use]
    pub fn for_list(mut self) -> Self {
        self.listing = true;
        self
    }

    /// The same for the user who started the process, over stdio.
    #[must_use]
    pub fn for_local_user(mut self) -> Self {
        self.local = true;
        self
    }

    /// The same with the state that the server was given.
    #[must_use]
    pub fn with_states(mut self, states: &'a States) -> Self {
        self.states = Some(states);
        self
    }

    /// The same for the decision that follows the validation of the arguments.
    #[must_use]
    pub fn with_arguments(mut self, arguments: &'a Map<String, Value>) -> Self {
        self.arguments = Some(arguments);
        self
    }

    /// The principal who is calling; none over HTTP without authentication.
    #[must_use]
    pub fn principal(&self) -> Option<&'a Principal> {
        self.principal
    }

    /// What the token grants, with what that implies; none without a principal.
    #[must_use]
    pub fn granted(&self) -> Option<Granted<'a>> {
        self.principal.map(|principal| Granted::new(principal.scopes(), self.hierarchy))
    }

    /// A claim of the token, as a type; see [`Principal::claim`].
    ///
    /// # Errors
    ///
    /// [`ClaimError`] without a principal, without the claim, or with one of another type. In
    /// a check, `?` makes each of them a denial.
    pub fn claim<T: DeserializeOwned>(&self, path: impl OneOrMany) -> Result<T, ClaimError> {
        self.principal.ok_or(ClaimError::Missing)?.claim(path)
    }

    /// `tool`, `resource`, `template`, `prompt` or `route`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        self.target.kind
    }

    /// The name of the tool or prompt, or the URI (template) of the resource.
    #[must_use]
    pub fn component(&self) -> &'a str {
        self.target.name
    }

    /// The component's tags.
    #[must_use]
    pub fn tags(&self) -> &'a [String] {
        self.target.tags
    }

    /// Whether the component has `tag`.
    #[must_use]
    pub fn has_tag(&self, tag: &str) -> bool {
        self.target.tags.iter().any(|own| own == tag)
    }

    /// Whether the decision is about showing the component in a list, rather than about using it.
    #[must_use]
    pub fn is_listing(&self) -> bool {
        self.listing
    }

    /// Whether the call comes over stdio, from the user who started the process: there is no
    /// principal, and only checks that say so are asked
    /// ([`Check::over_stdio`](crate::Check::over_stdio)).
    #[must_use]
    pub fn is_local(&self) -> bool {
        self.local
    }

    /// The state of type `T` that the server was given: a database that a check asks, for instance.
    ///
    /// # Errors
    ///
    /// When it was given none. In a check, `?` makes the error a denial whose cause is logged.
    ///
    /// # Example
    ///
    /// ```
    /// # mod portcullis { pub extern crate portcullis_auth as access; }
    /// use portcullis::access::{AuthContext, CheckError, IntoCheck};
    /// use std::collections::HashSet;
    ///
    /// struct Members(HashSet<String>);
    ///
    /// async fn require_member(context: &AuthContext<'_>) -> Result<bool, CheckError> {
    ///     let members = context.state::<Members>()?;
    ///     Ok(context.principal().is_some_and(|caller| members.0.contains(caller.subject())))
    /// }
    ///
    /// let check = require_member.into_check();
    /// ```
    pub fn state<T: Any + Send + Sync>(&self) -> Result<&'a T, CheckError> {
        self.states.and_then(States::find).ok_or_else(|| {
            let name = type_name::<T>();
            CheckError::internal(format!("the server has no state of the type {name}"))
        })
    }

    /// The validated arguments of a call, for checks that
    /// [read them](crate::Check::reads_arguments); none before they were validated.
    #[must_use]
    pub fn arguments(&self) -> Option<&'a Map<String, Value>> {
        self.arguments
    }
}

/// Without the arguments, which may hold secrets.
impl fmt::Debug for AuthContext<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthContext")
            .field("principal", &self.principal.map(Principal::subject))
            .field("target", &self.target)
            .finish_non_exhaustive()
    }
}
