//! The answer of a check, and why it denies.

use std::borrow::Cow;
use std::error::Error as StdError;

use portcullis_guard::ErrorChain;

use crate::{Granted, Scopes};

/// Allow, or deny with a reason. Never a truthy value.
///
/// Exhaustive: there is no third answer.
///
/// A check's function may return a `bool`, this, or a `Result` of either. Checks fail closed: an
/// error is a denial, and only an [`AuthorizationError`] has a message for the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a decision that is not looked at decides nothing"]
pub enum Decision {
    /// The check allows.
    Allow,
    /// The check denies, for a reason.
    Deny(Denial),
}

impl Decision {
    /// A denial whose `reason` goes to the log.
    pub fn deny(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::Deny(Denial(Cause::Reason(reason.into())))
    }

    /// A denial because the check could not decide: [`not`](crate::not) does not turn it into an
    /// allow.
    pub fn failed(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::Deny(Denial(Cause::Failed(reason.into())))
    }

    /// A denial because some of the `required` scopes are missing.
    pub fn lacking(required: Scopes) -> Self {
        Self::Deny(Denial(Cause::Scopes(required)))
    }

    /// Whether it allows.
    #[must_use]
    pub fn is_allow(&self) -> bool {
        matches!(self, Self::Allow)
    }
}

/// Why something was denied: for the log, never for the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial(Cause);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Cause {
    Reason(Cow<'static, str>),
    Failed(Cow<'static, str>),
    Scopes(Scopes),
    Spoken(AuthorizationError),
}

impl Denial {
    /// The reason, for the log.
    #[must_use]
    pub fn reason(&self) -> Cow<'_, str> {
        match &self.0 {
            Cause::Reason(reason) | Cause::Failed(reason) => Cow::Borrowed(reason),
            Cause::Scopes(required) => Cow::Owned(format!("needs the scopes {required}")),
            Cause::Spoken(error) => Cow::Owned(format!("the check said: {}", error.message)),
        }
    }

    /// As [`reason`](Self::reason), naming the scopes that are missing of what is `granted`.
    #[must_use]
    pub fn reason_given(&self, granted: Option<Granted<'_>>) -> Cow<'_, str> {
        match (&self.0, granted) {
            (Cause::Scopes(required), Some(granted)) => {
                Cow::Owned(format!("missing scopes: {}", granted.missing(required)))
            }
            (Cause::Scopes(_), None) => Cow::Borrowed("no principal"),
            (Cause::Reason(_) | Cause::Failed(_) | Cause::Spoken(_), _) => self.reason(),
        }
    }

    /// The required scopes, if a missing one is the only cause.
    #[must_use]
    pub fn required_scopes(&self) -> Option<&Scopes> {
        match &self.0 {
            Cause::Scopes(required) => Some(required),
            Cause::Reason(_) | Cause::Failed(_) | Cause::Spoken(_) => None,
        }
    }

    /// What the check's author chose to say to the caller, if anything.
    #[must_use]
    pub fn spoken(&self) -> Option<&AuthorizationError> {
        match &self.0 {
            Cause::Spoken(error) => Some(error),
            Cause::Reason(_) | Cause::Failed(_) | Cause::Scopes(_) => None,
        }
    }

    /// Whether the check could not decide, so that its opposite is unknown too.
    #[must_use]
    pub fn is_failure(&self) -> bool {
        matches!(self.0, Cause::Failed(_))
    }
}

/// A denial whose message reaches the caller unchanged when the component is used.
///
/// Lists leave the component out all the same.
///
/// # Example
///
/// ```
/// # mod portcullis { pub extern crate portcullis_auth as access; }
/// use portcullis::access::{AuthContext, AuthorizationError};
///
/// fn office_hours(_context: &AuthContext) -> Result<bool, AuthorizationError> {
///     Err(AuthorizationError::new("The vault opens at nine."))
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthorizationError {
    message: Cow<'static, str>,
}

impl AuthorizationError {
    /// A denial that says `message` to the caller.
    pub fn new(message: impl Into<Cow<'static, str>>) -> Self {
        Self { message: message.into() }
    }

    /// The message for the caller.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }
}

/// The error of a fallible check: an [`AuthorizationError`], whose message reaches the caller, or
/// any other error, whose text goes to the log alone.
///
/// # Example
///
/// ```
/// # mod portcullis { pub extern crate portcullis_auth as access; }
/// use portcullis::access::{AuthContext, AuthorizationError, CheckError};
///
/// fn enough_credit(context: &AuthContext) -> Result<bool, CheckError> {
///     let credit: u64 = context.claim("credit")?; // missing, or no number: denied, in silence
///     if credit == 0 {
///         return Err(AuthorizationError::new("Your credit is used up.").into());
///     }
///     Ok(credit >= 10)
/// }
/// ```
#[derive(Debug)]
pub struct CheckError(Failure);

#[derive(Debug)]
enum Failure {
    Spoken(AuthorizationError),
    Internal(Box<dyn StdError + Send + Sync>),
}

impl CheckError {
    /// An error whose `cause` is for the log only; for boxed errors and those of anyhow, which
    /// `?` does not take.
    pub fn internal(cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self(Failure::Internal(cause.into()))
    }
}

impl From<AuthorizationError> for CheckError {
    fn from(error: AuthorizationError) -> Self {
        Self(Failure::Spoken(error))
    }
}

impl<E: StdError + Send + Sync + 'static> From<E> for CheckError {
    fn from(cause: E) -> Self {
        Self::internal(cause)
    }
}

/// For the answers of checks alone.
impl From<bool> for Decision {
    fn from(allow: bool) -> Self {
        if allow { Self::Allow } else { Self::deny("the check said no") }
    }
}

impl From<AuthorizationError> for Decision {
    fn from(error: AuthorizationError) -> Self {
        Self::Deny(Denial(Cause::Spoken(error)))
    }
}

impl From<CheckError> for Decision {
    fn from(error: CheckError) -> Self {
        match error.0 {
            Failure::Spoken(error) => error.into(),
            Failure::Internal(cause) => {
                Self::failed(format!("the check failed: {}", ErrorChain::new(&*cause)))
            }
        }
    }
}

impl<T: Into<Decision>, E: Into<CheckError>> From<Result<T, E>> for Decision {
    fn from(result: Result<T, E>) -> Self {
        match result {
            Ok(decision) => decision.into(),
            Err(error) => error.into().into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a07_an_error_is_a_denial_and_speaks_only_if_it_was_meant_to() {
        let failed: Decision = Err::<bool, _>(std::io::Error::other("secret-check-detail")).into();
        let Decision::Deny(denial) = failed else { panic!("allowed") };
        assert!(denial.is_failure() && denial.spoken().is_none());
        assert!(denial.reason().contains("secret-check-detail"), "the log has the cause");

        let spoken: Decision = Err::<bool, _>(AuthorizationError::new("Not today.")).into();
        let Decision::Deny(denial) = spoken else { panic!("allowed") };
        assert_eq!(denial.spoken().map(AuthorizationError::message), Some("Not today."));
        assert!(!denial.is_failure());
    }

    #[test]
    fn answers_of_checks_become_decisions() {
        assert_eq!(Decision::from(true), Decision::Allow);
        assert!(!Decision::from(false).is_allow());
        assert_eq!(Decision::from(Ok::<_, CheckError>(true)), Decision::Allow);
        assert!(!Decision::from(Ok::<_, AuthorizationError>(false)).is_allow());
    }
}
