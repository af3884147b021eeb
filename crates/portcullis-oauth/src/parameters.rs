//! The parameters of a query or a form.

use crate::error::{ErrorCode, OAuthError};

/// The parameters of one request: each is there once at most.
///
/// One that is sent twice is refused, whatever its name (RFC 6749 §3.1, §3.2): two readers would
/// take different values. One without a value counts as left out (same sections).
// Without `Debug`: passwords, codes and tokens are among them.
pub(crate) struct Parameters(Vec<(String, String)>);

/// How many there may be.
const MOST: usize = 64;

impl Parameters {
    /// Reads `application/x-www-form-urlencoded` text.
    ///
    /// # Errors
    ///
    /// `invalid_request` for a parameter that is repeated, and for too many.
    pub(crate) fn parse(text: &[u8]) -> Result<Self, OAuthError> {
        let mut parameters: Vec<(String, String)> = Vec::new();
        for (name, value) in form_urlencoded::parse(text) {
            if parameters.iter().any(|(known, _)| *known == name) {
                let description = "a parameter is there more than once";
                return Err(OAuthError::new(ErrorCode::InvalidRequest, description));
            }
            if parameters.len() == MOST {
                let description = "there are too many parameters";
                return Err(OAuthError::new(ErrorCode::InvalidRequest, description));
            }
            parameters.push((name.into_owned(), value.into_owned()));
        }
        Ok(Self(parameters))
    }

    /// The value of `name`; nothing where it is left out or empty.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        let (_, value) = self.0.iter().find(|(known, _)| known == name)?;
        Some(value.as_str()).filter(|value| !value.is_empty())
    }

    /// The value of `name`.
    ///
    /// # Errors
    ///
    /// `invalid_request` where it is left out or empty.
    pub(crate) fn required(&self, name: &'static str) -> Result<&str, OAuthError> {
        self.value(name).ok_or_else(|| {
            OAuthError::new(ErrorCode::InvalidRequest, format!("`{name}` is missing"))
        })
    }
}
