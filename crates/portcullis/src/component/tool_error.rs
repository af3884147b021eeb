//! Errors with a public and an internal face.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use portcullis_auth::{OneOrMany, Scopes};
use portcullis_guard::{ErrorChain, Reference, redaction, text};
use portcullis_protocol::ClientCapabilities;

use crate::component::verdict::Denied;

/// An error with two faces: what the caller is told, and what went wrong.
///
/// [`ToolError::new`] speaks to the caller. Everything else is internal: `?` on any
/// `std::error::Error` makes one whose text stays inside; the caller gets `Internal error
/// (reference …)`, and the log has the cause under the same reference. Boxed errors and those
/// of anyhow are no `std::error::Error`: write `.map_err(ToolError::internal)?` for them.
///
/// # Example
///
/// ```
/// use portcullis::ToolError;
///
/// fn parse(text: &str) -> Result<u32, ToolError> {
///     if text.is_empty() {
///         return Err(ToolError::new("Give me a number.")); // the caller reads this
///     }
///     Ok(text.parse::<u32>()?) // the caller never reads why this failed
/// }
///
/// assert_eq!(parse("").unwrap_err().public(), Some("Give me a number."));
/// assert_eq!(parse("hunter2").unwrap_err().public(), None);
/// ```
pub struct ToolError {
    face: Face,
    cause: Option<Box<dyn StdError + Send + Sync>>,
}

#[derive(Debug)]
enum Face {
    Public(Cow<'static, str>),
    RefusedArgument(String),
    NotFound,
    Internal,
    /// It took longer than it may.
    TooLong,
    /// A scope turned out to be missing while the handler ran.
    InsufficientScope(Scopes),
    /// A check that reads arguments denied.
    Denied(Box<Denied>),
    /// Over the rate limit of the component.
    Limited(Duration),
    /// The client is asked for something first: no failure.
    InputRequired,
    /// The client did not declare what it would have to be asked for.
    MissingCapability(ClientCapabilities),
    /// What the client sent for an answer, or for the state of its request, is refused.
    RefusedInput(&'static str),
}

impl ToolError {
    /// An error that the caller is told as it is.
    pub fn new(public: impl Into<Cow<'static, str>>) -> Self {
        Self { face: Face::Public(public.into()), cause: None }
    }

    /// An error whose `cause` is for the log only; for boxed errors and those of anyhow,
    /// which `?` does not take.
    pub fn internal(cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { face: Face::Internal, cause: Some(cause.into()) }
    }

    /// An error for something that does not exist. From a resource it answers as an unknown URI
    /// does.
    #[must_use]
    pub fn not_found() -> Self {
        Self { face: Face::NotFound, cause: None }
    }

    /// Adds what went wrong, for the log.
    #[must_use]
    pub fn with_cause(mut self, cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// The text for the caller, unless the error is internal.
    #[must_use]
    pub fn public(&self) -> Option<&str> {
        match &self.face {
            Face::Public(text) => Some(text),
            Face::RefusedArgument(text) => Some(text),
            Face::NotFound => Some("Not found"),
            Face::TooLong => Some(TOO_LONG),
            Face::InsufficientScope(_) => Some(INSUFFICIENT_SCOPE),
            Face::RefusedInput(text) => Some(text),
            Face::Internal
            | Face::Denied(_)
            | Face::Limited(_)
            | Face::InputRequired
            | Face::MissingCapability(_) => None,
        }
    }

    /// The time limit has passed.
    #[cold]
    pub(crate) fn too_long(limit: Duration) -> Self {
        let cause = Crashed(format!("it ran longer than {limit:?}"));
        Self { face: Face::TooLong, cause: Some(cause.into()) }
    }

    #[cold]
    pub(crate) fn denied(denied: Denied) -> Self {
        Self { face: Face::Denied(Box::new(denied)), cause: None }
    }

    #[cold]
    pub(crate) fn limited(retry_after: Duration) -> Self {
        Self { face: Face::Limited(retry_after), cause: None }
    }

    #[cold]
    pub(crate) fn refused_argument(message: impl Into<String>) -> Self {
        Self { face: Face::RefusedArgument(message.into()), cause: None }
    }

    /// Carries a question out of the function that asks it.
    pub(crate) fn input_required() -> Self {
        Self { face: Face::InputRequired, cause: None }
    }

    pub(crate) fn missing_capability(required: ClientCapabilities) -> Self {
        Self { face: Face::MissingCapability(required), cause: None }
    }

    #[cold]
    pub(crate) fn refused_input(text: &'static str) -> Self {
        Self { face: Face::RefusedInput(text), cause: None }
    }

    /// The same error as one of arguments, where it speaks to the caller.
    pub(crate) fn into_refused_argument(self) -> Self {
        match self.face {
            Face::Public(text) => Self { face: Face::RefusedArgument(text.into()), ..self },
            _ => self,
        }
    }

    /// Logs what the operator must know, and returns what the caller may know.
    ///
    /// This is the one place where an error of a handler crosses the border.
    pub(crate) fn reveal(self, component: &str, show_internal: bool) -> PublicError {
        let cause = self.cause.as_deref().map(chain);
        let face = match self.face {
            Face::Public(text) => TextFace::Message(text, "tool_error"),
            Face::TooLong => TextFace::Message(TOO_LONG.into(), "timeout"),
            Face::RefusedArgument(text) => {
                tracing::debug!(component, reason = text, cause, "arguments refused");
                return PublicError::RefusedArgument(text);
            }
            Face::NotFound => return PublicError::NotFound,
            Face::InsufficientScope(scopes) => return PublicError::InsufficientScope(scopes),
            Face::Denied(denied) => return PublicError::Denied(*denied),
            Face::Limited(retry_after) => return PublicError::Limited(retry_after),
            Face::InputRequired => return PublicError::InputRequired,
            Face::MissingCapability(required) => return PublicError::MissingCapability(required),
            Face::RefusedInput(text) => {
                tracing::debug!(component, reason = text, cause, "an answer of the client refused");
                return PublicError::RefusedInput(text);
            }
            Face::Internal => TextFace::Internal,
        };
        match (face, cause) {
            (TextFace::Message(text, outcome), cause) => {
                let reference = cause.map(|cause| {
                    let reference = Reference::new();
                    tracing::warn!(component, %reference, cause, "a handler reported an error");
                    reference
                });
                PublicError::Message { text, outcome, reference }
            }
            (TextFace::Internal, cause) => {
                let reference = Reference::new();
                let cause = cause.unwrap_or_default();
                tracing::error!(component, %reference, cause, "a handler failed");
                let text = if show_internal {
                    format!("Internal error (reference {reference}): {cause}")
                } else {
                    format!("Internal error (reference {reference})")
                };
                let (text, outcome) = (text.into(), "internal_error");
                PublicError::Message { text, outcome, reference: Some(reference) }
            }
        }
    }
}

/// A face that has a text.
enum TextFace {
    Message(Cow<'static, str>, &'static str),
    Internal,
}

/// Scopes turned out to be missing while a handler ran: over HTTP the caller gets a 403 with
/// `insufficient_scope` that names them (MCP authorization §Scope Challenge Handling).
///
/// # Example
///
/// ```
/// use portcullis::prelude::*;
/// use portcullis::component::InsufficientScope;
///
/// /// Archive a note; those of others need more.
/// #[tool(auth = require_scopes(["write"]))]
/// async fn archive(owner: String, caller: Caller) -> Result<String, ToolError> {
///     if caller.subject() != Some(&*owner) && !caller.has_scope("admin") {
///         return Err(InsufficientScope::new(["admin"]).into());
///     }
///     Ok("Archived.".to_owned())
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InsufficientScope(Scopes);

impl InsufficientScope {
    /// What is missing: all of it at once, so that a client asks once.
    pub fn new(scopes: impl OneOrMany) -> Self {
        Self(Scopes::from_iter(scopes.into_many()))
    }
}

impl From<InsufficientScope> for ToolError {
    fn from(error: InsufficientScope) -> Self {
        Self { face: Face::InsufficientScope(error.0), cause: None }
    }
}

const TOO_LONG: &str = "It took too long, and was stopped.";
const INSUFFICIENT_SCOPE: &str = "The access token lacks a scope that this needs.";

/// The longest cause that is logged, in characters.
const MAX_CAUSE_CHARS: usize = 2_048;

/// The part of an error that may leave the server.
pub(crate) enum PublicError {
    Message { text: Cow<'static, str>, outcome: &'static str, reference: Option<Reference> },
    RefusedArgument(String),
    NotFound,
    InsufficientScope(Scopes),
    Denied(Denied),
    Limited(Duration),
    InputRequired,
    MissingCapability(ClientCapabilities),
    RefusedInput(&'static str),
}

/// Without the cause, which is for the log alone, under its reference.
impl fmt::Debug for ToolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ToolError").field("face", &self.face).finish_non_exhaustive()
    }
}

impl<E: StdError + Send + Sync + 'static> From<E> for ToolError {
    fn from(cause: E) -> Self {
        Self::internal(cause)
    }
}

/// Secrets go before the text is cut: half of one would not be found.
fn chain(error: &(dyn StdError + Send + Sync + 'static)) -> String {
    let text = ErrorChain::new(error).to_string();
    text::cut(&redaction::redact(&text), MAX_CAUSE_CHARS).into_owned()
}

/// A handler that panicked, or ran too long: reported like any other failure.
#[derive(Debug)]
pub(crate) struct Crashed(pub(crate) String);

impl fmt::Display for Crashed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl StdError for Crashed {}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(error: ToolError, show_internal: bool) -> String {
        match error.reveal("t", show_internal) {
            PublicError::Message { text, .. } => text.into_owned(),
            _ => panic!("no message"),
        }
    }

    #[test]
    fn e01_the_cause_stays_inside() {
        let error = || ToolError::internal("postgres://u:hunter2@h refused");
        assert!(!text(error(), false).contains("hunter2"));
        assert!(text(error(), false).starts_with("Internal error (reference "));
        assert!(text(error(), true).contains("hunter2"));
        let public = ToolError::new("Try again later.").with_cause("hunter2");
        assert_eq!(text(public, false), "Try again later.");
    }

    /// The compiler refuses `Display` and `Serialize` of the same: `tests/attributes`.
    #[test]
    fn e05_debug_shows_no_cause_secret_or_token() {
        let error = ToolError::new("Try again later.").with_cause("hunter2");
        assert_eq!(format!("{error:?}"), r#"ToolError { face: Public("Try again later."), .. }"#);
        let error = ToolError::internal("hunter2");
        assert_eq!(format!("{error:?}"), "ToolError { face: Internal, .. }");
        let secret = portcullis_guard::Secret::new("hunter2".to_owned());
        assert_eq!(
            format!("{:?}", (secret.clone(), secret)),
            "(Secret([redacted]), Secret([redacted]))"
        );
        let token = portcullis_auth::BearerToken::from("hunter2");
        assert!(!format!("{token:?}").contains("hunter2"), "{token:?}");
    }

    #[test]
    fn the_log_gets_the_whole_chain() {
        #[derive(Debug)]
        struct Outer(std::io::Error);
        impl fmt::Display for Outer {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("outer")
            }
        }
        impl StdError for Outer {
            fn source(&self) -> Option<&(dyn StdError + 'static)> {
                Some(&self.0)
            }
        }
        assert_eq!(chain(&Outer(std::io::Error::other("inner"))), "outer: inner");
    }
}
