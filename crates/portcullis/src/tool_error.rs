use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;

use portcullis_guard::Reference;

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
#[derive(Debug)]
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

    /// What was asked for does not exist. From a resource it answers as an unknown URI does.
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

    /// What the caller is told, unless the error is internal.
    #[must_use]
    pub fn public(&self) -> Option<&str> {
        match &self.face {
            Face::Public(text) => Some(text),
            Face::RefusedArgument(text) => Some(text),
            Face::NotFound => Some("Not found"),
            Face::Internal => None,
        }
    }

    pub(crate) fn refused_argument(message: impl Into<String>) -> Self {
        Self { face: Face::RefusedArgument(message.into()), cause: None }
    }

    /// Says to the log what it must know, and gives what the caller may know.
    ///
    /// This is the one place where an error of a handler crosses the border.
    pub(crate) fn reveal(self, component: &str, show_internal: bool) -> Revealed {
        let cause = self.cause.as_deref().map(chain);
        match self.face {
            Face::Public(text) => {
                if let Some(cause) = cause {
                    let reference = Reference::new();
                    tracing::warn!(component, %reference, ?cause, "a handler reported an error");
                }
                Revealed::Message(text)
            }
            Face::RefusedArgument(text) => {
                tracing::debug!(component, reason = text, "arguments refused");
                Revealed::RefusedArgument(text)
            }
            Face::NotFound => Revealed::NotFound,
            Face::Internal => {
                let reference = Reference::new();
                let cause = cause.unwrap_or_default();
                tracing::error!(component, %reference, ?cause, "a handler failed");
                Revealed::Message(if show_internal {
                    format!("Internal error (reference {reference}): {cause}").into()
                } else {
                    format!("Internal error (reference {reference})").into()
                })
            }
        }
    }
}

/// The longest cause that is logged, in characters.
const MAX_CAUSE_CHARS: usize = 2_048;

/// What of an error may leave the server.
pub(crate) enum Revealed {
    Message(Cow<'static, str>),
    RefusedArgument(String),
    NotFound,
}

impl<E: StdError + Send + Sync + 'static> From<E> for ToolError {
    fn from(cause: E) -> Self {
        Self::internal(cause)
    }
}

fn chain(error: &(dyn StdError + Send + Sync)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text.chars().take(MAX_CAUSE_CHARS).collect()
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
            Revealed::Message(text) => text.into_owned(),
            Revealed::RefusedArgument(text) => text,
            Revealed::NotFound => "not found".to_owned(),
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
